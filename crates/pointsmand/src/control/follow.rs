//! `GET /v1/explain/follow`: one explanation for each flow that is decided from now on.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pointsman_api::flow::Missed;
use pointsman_api::route::{EVENT_DECISION, EVENT_MISSED, EVENT_UNTOLD};
use pointsman_net::plane::Decisions;
use pointsman_net::record::FlowRecord;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::flow_filter::{Fit, FlowFilter};
use super::history::{Delivery, Feed, Reader};
use super::sse::{self, KEEP_ALIVE, Source, event, numbered, place, reset};
use super::untold::Count;
use super::{Refusal, Streams, flows};
use crate::app::App;

/// `?flow=`, `?contains=`, `?full=true`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowQuery {
    #[serde(default)]
    flow: String,
    #[serde(default)]
    contains: String,
    #[serde(default)]
    full: bool,
}

/// The stream, until the client goes away or the daemon ends.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
    Query(asked): Query<FollowQuery>,
    headers: HeaderMap,
) -> Response {
    let (_, setup) = app.generation();
    let filter = FlowFilter::new(&asked.flow, &asked.contains).and_then(|filter| filter.of(&setup));
    let filter = match filter {
        Ok(filter) => filter,
        Err(why) => return Refusal(StatusCode::BAD_REQUEST, "bad-flow", why).into_response(),
    };
    let last = sse::last_id(&headers);
    let feed = Decided(app.plane.decisions());
    let reader = streams.read(&streams.decisions, &app, last, feed);
    sse::respond(Following {
        hello: Some(place(&reader.id(), "from here on")),
        last: last.map(str::to_owned),
        reader,
        app,
        filter,
        untold: Count::default(),
        full: asked.full,
    })
}

struct Decided(Decisions);

impl Feed<Arc<FlowRecord>> for Decided {
    async fn next(&mut self) -> Result<Arc<FlowRecord>, RecvError> {
        self.0.recv().await
    }
}

struct Following {
    hello: Option<String>,
    last: Option<String>,
    reader: Reader<Arc<FlowRecord>>,
    app: Arc<App>,
    filter: FlowFilter,
    untold: Count,
    full: bool,
}

impl Source for Following {
    async fn next(&mut self) -> Option<String> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        let heard = tokio::select! {
            heard = timeout(KEEP_ALIVE, self.reader.next()) => heard,
            () = self.app.stopped() => return None,
        };
        let id = self.reader.id();
        let text = match heard {
            Ok(Delivery::News(record)) => match self.filter.fits(&record) {
                Fit::Yes => {
                    let explained = flows::explanation(&self.app, &record, self.full);
                    event(EVENT_DECISION, &explained)
                }
                Fit::Untold(fact) => {
                    self.untold.add(fact);
                    match self.untold.due(Instant::now()) {
                        Some(untold) => event(EVENT_UNTOLD, &untold),
                        None => return Some(String::new()),
                    }
                }
                Fit::No => return Some(String::new()),
            },
            Ok(Delivery::Missed(missed)) => event(EVENT_MISSED, &Missed { missed }),
            Ok(Delivery::Reset) => reset(self.last.take()),
            Err(_quiet) => match self.untold.due(Instant::now()) {
                Some(untold) => event(EVENT_UNTOLD, &untold),
                None => return Some(place(&id, "quiet")),
            },
        };
        Some(numbered(&id, &text))
    }
}

//! `GET /v1/explain/follow`: one explanation for each flow that is decided from now on.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use pointsman_api::route::EVENT_DECISION;
use pointsman_net::plane::Decisions;
use pointsman_net::record::FlowRecord;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::flow_stream::{ChosenFlows, FlowStream};
use super::history::Feed;
use super::{Refusal, Streams, flows, sse};
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
) -> Result<Response, Refusal> {
    let chosen = ChosenFlows::new(&app, &asked.flow, &asked.contains)?;
    let last = sse::last_id(&headers);
    let feed = Decided(app.plane.decisions());
    let reader = streams.read(&streams.decisions, &app, last, feed);
    let tell = move |app: &App, chosen: &mut ChosenFlows, record: Arc<FlowRecord>| {
        chosen.tell(&record, || {
            sse::event(
                EVENT_DECISION,
                &flows::explanation(app, &record, asked.full),
            )
        })
    };
    Ok(sse::respond(FlowStream::new(
        reader, last, app, chosen, tell,
    )))
}

struct Decided(Decisions);

impl Feed<Arc<FlowRecord>> for Decided {
    async fn next(&mut self) -> Result<Arc<FlowRecord>, RecvError> {
        self.0.recv().await
    }
}

//! `GET /v1/explain/follow`: one explanation for each flow that is decided from now on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pointsman_api::flow::{Missed, Untold};
use pointsman_api::route::{EVENT_DECISION, EVENT_MISSED, EVENT_UNTOLD};
use pointsman_net::plane::Decisions;
use pointsman_net::record::FlowRecord;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::events::reset;
use super::history::{Feed, Reader, Told};
use super::sse::{self, KEEP_ALIVE, Source, event, numbered, place};
use super::wanted::{Fit, Wanted};
use super::{Refusal, Streams, flows};
use crate::app::App;

/// `?flow=`, `?contains=`, `?full=true`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
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
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let wanted = match Wanted::new(&asked.flow, &asked.contains) {
        Ok(wanted) => wanted,
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
        wanted,
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
    wanted: Wanted,
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
            Ok(Told::News(record)) => match self.wanted.fits(&record) {
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
            Ok(Told::Missed(missed)) => event(EVENT_MISSED, &Missed { missed }),
            Ok(Told::Reset) => reset(self.last.take()),
            Err(_quiet) => match self.untold.due(Instant::now()) {
                Some(untold) => event(EVENT_UNTOLD, &untold),
                None => return Some(place(&id, "quiet")),
            },
        };
        Some(numbered(&id, &text))
    }
}

/// How often at most it is said that it is not known of flows whether they fit.
const UNTOLD: Duration = Duration::from_secs(10);

/// Flows of which it is not known whether they fit, since that was said last.
#[derive(Debug, Default)]
pub(super) struct Count {
    fact: &'static str,
    flows: u64,
    said: Option<Instant>,
}

impl Count {
    pub(super) fn add(&mut self, fact: &'static str) {
        self.fact = fact;
        self.flows += 1;
    }

    /// What is to be said now.
    pub(super) fn due(&mut self, now: Instant) -> Option<Untold> {
        let early = self.said.is_some_and(|said| now < said + UNTOLD);
        if self.flows == 0 || early {
            return None;
        }
        self.said = Some(now);
        Some(Untold {
            fact: self.fact.to_owned(),
            flows: std::mem::take(&mut self.flows),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_said_at_once_and_then_by_count() {
        let mut count = Count::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(count.due(at(0)), None);
        let mut add = |seconds| {
            count.add("program");
            count.due(at(seconds)).map(|untold| untold.flows)
        };
        assert_eq!(
            [0, 1, 9, 10, 11].map(&mut add),
            [Some(1), None, None, Some(3), None]
        );
        assert_eq!(count.due(at(20)).map(|untold| untold.flows), Some(1));
        assert_eq!(count.due(at(40)), None);
    }
}

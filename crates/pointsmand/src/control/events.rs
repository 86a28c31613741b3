//! `GET /v1/events`: flows as they end, with `begun=true` as they begin, too, what rules say of them, and what becomes of the configuration.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use pointsman_api::Action;
use pointsman_api::daemon::Change;
use pointsman_api::flow::Message;
use pointsman_api::route::{EVENT_BEGIN, EVENT_END, EVENT_GENERATION, EVENT_MESSAGE};
use pointsman_net::plane::{Decisions, News, Tail};
use pointsman_net::record::FlowRecord;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::flow_stream::{ChosenFlows, FlowStream};
use super::history::Feed;
use super::sse::event;
use super::{Refusal, Streams, sse};
use crate::app::App;

/// Something that is told.
#[derive(Clone, Debug)]
pub(super) enum StreamEvent {
    Begun(Arc<FlowRecord>),
    Change(Change),
    News(News),
}

/// `?flow=`, `?contains=`: which flows, `?begun=true`: also as they begin; the configuration is everybody's news.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    #[serde(default)]
    flow: String,
    #[serde(default)]
    contains: String,
    #[serde(default)]
    begun: bool,
}

/// The stream, until the client goes away or the daemon ends.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
    Query(asked): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let chosen = ChosenFlows::new(&app, &asked.flow, &asked.contains)?;
    let feed = All {
        decisions: asked.begun.then(|| app.plane.decisions()),
        tail: app.plane.tail(),
        held: None,
        changes: app.changes(),
    };
    let last = sse::last_id(&headers);
    let history = match asked.begun {
        true => &streams.events_with_begun,
        false => &streams.events,
    };
    let reader = streams.read(history, &app, last, feed);
    Ok(sse::respond(FlowStream::new(
        reader, last, app, chosen, tell,
    )))
}

struct All {
    /// Where somebody reads of flows that begin.
    decisions: Option<Decisions>,
    tail: Tail,
    /// What came while decisions before it were not read yet: a flow begins before it ends.
    held: Option<News>,
    changes: broadcast::Receiver<Change>,
}

impl Feed<StreamEvent> for All {
    async fn next(&mut self) -> Result<StreamEvent, RecvError> {
        loop {
            match self.decisions.as_mut().map(Decisions::try_recv) {
                Some(Ok(record)) => return Ok(StreamEvent::Begun(record)),
                Some(Err(TryRecvError::Lagged(missed))) => return Err(RecvError::Lagged(missed)),
                Some(Err(TryRecvError::Closed | TryRecvError::Empty)) | None => {}
            }
            if let Some(news) = self.held.take() {
                return Ok(StreamEvent::News(news));
            }
            let decided = async {
                match &mut self.decisions {
                    Some(decisions) => decisions.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                record = decided => return record.map(StreamEvent::Begun),
                // Nothing is waited for until it is told.
                news = self.tail.recv() => self.held = Some(news?),
                change = self.changes.recv() => return change.map(StreamEvent::Change),
            }
        }
    }
}

fn tell(app: &App, chosen: &mut ChosenFlows, what: StreamEvent) -> Option<String> {
    match what {
        // Of those of which too little is known is told when they end.
        StreamEvent::Begun(record) => chosen.have(&record).then(|| begun(app, &record))?,
        StreamEvent::Change(change) => Some(event(EVENT_GENERATION, &change)),
        StreamEvent::News(News::Ended(record)) => {
            chosen.tell(&record, || event(EVENT_END, &app.wire(&record)))
        }
        StreamEvent::News(News::Said { flow, id, text }) => {
            let text = text.to_string();
            chosen.tell(&*app.plane.record(flow)?, || {
                event(EVENT_MESSAGE, &Message { flow, id, text })
            })
        }
    }
}

/// Nothing of flows that end at once.
fn begun(app: &App, record: &FlowRecord) -> Option<String> {
    let record = app.wire(record);
    match record.action {
        Action::None | Action::Reject | Action::Reset => None,
        _ => Some(event(EVENT_BEGIN, &record)),
    }
}

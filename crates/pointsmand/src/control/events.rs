//! `GET /v1/events`: flows as they end, with `begun=true` as they begin, too, what rules say of them, and what becomes of the configuration.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use pointsman_api::Action;
use pointsman_api::daemon::Change;
use pointsman_api::flow::{Message, Missed};
use pointsman_api::route::{
    EVENT_BEGIN, EVENT_END, EVENT_GENERATION, EVENT_MESSAGE, EVENT_MISSED, EVENT_UNTOLD,
};
use pointsman_net::plane::{Decisions, News, Tail};
use pointsman_net::record::FlowRecord;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::timeout;

use super::flow_filter::{Fit, FlowFilter};
use super::history::{Delivery, Feed, Reader};
use super::sse::{self, KEEP_ALIVE, Source, event, numbered, place, reset};
use super::untold::Count;
use super::{Refusal, Streams};
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
) -> Response {
    let (_, setup) = app.generation();
    let filter = FlowFilter::new(&asked.flow, &asked.contains).and_then(|filter| filter.of(&setup));
    let filter = match filter {
        Ok(filter) => filter,
        Err(why) => return Refusal(StatusCode::BAD_REQUEST, "bad-flow", why).into_response(),
    };
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
    sse::respond(Events {
        hello: Some(place(&reader.id(), "from here on")),
        last: last.map(str::to_owned),
        reader,
        app,
        filter,
        untold: Count::default(),
    })
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

struct Events {
    hello: Option<String>,
    last: Option<String>,
    reader: Reader<StreamEvent>,
    app: Arc<App>,
    filter: FlowFilter,
    untold: Count,
}

impl Source for Events {
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
            Ok(Delivery::News(StreamEvent::News(news))) => match self.told(news) {
                Some(text) => text,
                None => return Some(String::new()),
            },
            Ok(Delivery::News(StreamEvent::Begun(record))) => match self.begun(&record) {
                Some(text) => text,
                None => return Some(String::new()),
            },
            Ok(Delivery::News(StreamEvent::Change(change))) => event(EVENT_GENERATION, &change),
            Ok(Delivery::Missed(missed)) => event(EVENT_MISSED, &Missed { missed }),
            Ok(Delivery::Reset) => reset(self.last.take()),
            Err(_quiet) => return Some(place(&id, "quiet")),
        };
        Some(numbered(&id, &text))
    }
}

impl Events {
    /// Nothing of flows that end at once. Those of which too little is known are counted when they end.
    fn begun(&self, record: &FlowRecord) -> Option<String> {
        if !matches!(self.filter.fits(record), Fit::Yes) {
            return None;
        }
        let record = self.app.wire(record);
        match record.action {
            Action::None | Action::Reject | Action::Reset => None,
            _ => Some(event(EVENT_BEGIN, &record)),
        }
    }

    /// Nothing of flows that are not chosen.
    fn told(&mut self, news: News) -> Option<String> {
        let record = match &news {
            News::Ended(record) => Some(Arc::clone(record)),
            News::Said { flow, .. } => self.app.plane.record(*flow),
        };
        match record.map_or(Fit::No, |record| self.filter.fits(&record)) {
            Fit::Yes => {}
            Fit::No => return None,
            Fit::Untold(fact) => {
                self.untold.add(fact);
                let untold = self.untold.due(Instant::now())?;
                return Some(event(EVENT_UNTOLD, &untold));
            }
        }
        Some(match news {
            News::Ended(record) => event(EVENT_END, &self.app.wire(&record)),
            News::Said { flow, id, text } => {
                let text = text.to_string();
                event(EVENT_MESSAGE, &Message { flow, id, text })
            }
        })
    }
}

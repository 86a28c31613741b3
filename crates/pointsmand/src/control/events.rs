//! `GET /v1/events`: flows as they end, what rules say of them, and what becomes of the configuration.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use pointsman_api::daemon::Change;
use pointsman_api::flow::{Message, Missed, Reset};
use pointsman_api::route::{EVENT_END, EVENT_GENERATION, EVENT_MESSAGE, EVENT_MISSED, EVENT_RESET};
use pointsman_net::plane::{News, Tail};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::Streams;
use super::history::{Feed, Reader, Told};
use super::sse::{self, KEEP_ALIVE, Source, event, numbered, place};
use crate::app::App;

/// Something that is told.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    Change(Change),
    News(News),
}

/// The stream, until the client goes away or the daemon ends.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
    headers: HeaderMap,
) -> Response {
    let feed = Both {
        tail: app.plane.tail(),
        changes: app.changes(),
    };
    let last = sse::last_id(&headers);
    let reader = streams.read(&streams.events, &app, last, feed);
    sse::respond(Events {
        hello: Some(place(&reader.id(), "from here on")),
        last: last.map(str::to_owned),
        reader,
        app,
    })
}

struct Both {
    tail: Tail,
    changes: broadcast::Receiver<Change>,
}

impl Feed<Heard> for Both {
    async fn next(&mut self) -> Result<Heard, RecvError> {
        tokio::select! {
            news = self.tail.recv() => news.map(Heard::News),
            change = self.changes.recv() => change.map(Heard::Change),
        }
    }
}

struct Events {
    hello: Option<String>,
    last: Option<String>,
    reader: Reader<Heard>,
    app: Arc<App>,
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
            Ok(Told::News(Heard::News(news))) => told(&self.app, news),
            Ok(Told::News(Heard::Change(change))) => event(EVENT_GENERATION, &change),
            Ok(Told::Missed(missed)) => event(EVENT_MISSED, &Missed { missed }),
            Ok(Told::Reset) => reset(self.last.take()),
            Err(_quiet) => return Some(place(&id, "quiet")),
        };
        Some(numbered(&id, &text))
    }
}

/// The client cannot go on where it was.
pub(super) fn reset(last: Option<String>) -> String {
    let after = last.unwrap_or_default();
    event(EVENT_RESET, &Reset { after })
}

fn told(app: &App, news: News) -> String {
    match news {
        News::Ended(record) => event(EVENT_END, &app.wire(&record)),
        News::Said { flow, id, text } => {
            let text = text.to_string();
            event(EVENT_MESSAGE, &Message { flow, id, text })
        }
    }
}

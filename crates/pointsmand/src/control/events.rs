//! `GET /v1/events`: flows as they end, what rules say of them, and what becomes of the configuration.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use pointsman_api::daemon::Change;
use pointsman_api::flow::{Message, Missed};
use pointsman_api::route::{EVENT_END, EVENT_GENERATION, EVENT_MESSAGE, EVENT_MISSED};
use pointsman_net::plane::{News, Tail};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::sse::{self, KEEP_ALIVE, QUIET, Source, event};
use crate::app::App;

/// The stream, until the client goes away or the daemon ends.
pub(crate) async fn stream(State(app): State<Arc<App>>) -> Response {
    sse::respond(Events {
        tail: app.plane.tail(),
        changes: app.changes(),
        app,
    })
}

struct Events {
    tail: Tail,
    changes: broadcast::Receiver<Change>,
    app: Arc<App>,
}

impl Source for Events {
    async fn next(&mut self) -> Option<String> {
        let either = async {
            tokio::select! {
                news = self.tail.recv() => news.map(|news| told(&self.app, news)),
                change = self.changes.recv() => change.map(|change| event(EVENT_GENERATION, &change)),
            }
        };
        let heard = tokio::select! {
            heard = timeout(KEEP_ALIVE, either) => heard,
            () = self.app.stopped() => return None,
        };
        match heard {
            Ok(Ok(text)) => Some(text),
            Ok(Err(RecvError::Lagged(missed))) => Some(event(EVENT_MISSED, &Missed { missed })),
            Ok(Err(RecvError::Closed)) => None,
            Err(_quiet) => Some(QUIET.to_owned()),
        }
    }
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

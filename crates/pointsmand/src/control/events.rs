//! `GET /v1/events`: flows as they end, and what rules say of them, as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use pointsman_api as api;
use pointsman_api::route::{EVENT_END, EVENT_MESSAGE};
use pointsman_net::plane::Tail;
use tokio::sync::broadcast::error::RecvError;

use crate::app::App;

/// A comment now and then, so that a reader that went away is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The stream, until the client goes away or the daemon ends.
pub(crate) async fn stream(State(app): State<Arc<App>>) -> Response {
    let events = Events {
        tail: app.plane.tail(),
        app,
        begun: false,
    };
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::new(EventBody(Some(step(events))))).into_response()
}

struct Events {
    tail: Tail,
    app: Arc<App>,
    begun: bool,
}

impl Events {
    /// The next piece of text; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        if !self.begun {
            // At once, so that a client knows that it hears everything from here on.
            self.begun = true;
            return Some(": listening\n\n".to_owned());
        }
        let received = tokio::select! {
            received = tokio::time::timeout(KEEP_ALIVE, self.tail.recv()) => received,
            () = self.app.stopped() => return None,
        };
        match received {
            Ok(Ok(record)) => {
                let mut text = String::new();
                for (id, message) in &record.messages {
                    let message = api::flow::Message {
                        flow: record.id,
                        id: *id,
                        text: message.clone(),
                    };
                    push(&mut text, EVENT_MESSAGE, &message);
                }
                push(&mut text, EVENT_END, &self.app.wire(&record));
                Some(text)
            }
            Ok(Err(RecvError::Lagged(missed))) => Some(format!(": {missed} flows missed\n\n")),
            Ok(Err(RecvError::Closed)) => None,
            Err(_quiet) => Some(": quiet\n\n".to_owned()),
        }
    }
}

fn push(text: &mut String, event: &str, value: &impl serde::Serialize) {
    if let Ok(json) = serde_json::to_string(value) {
        text.push_str(&format!("event: {event}\ndata: {json}\n\n"));
    }
}

type Next = Pin<Box<dyn Future<Output = (Events, Option<String>)> + Send>>;

/// The events as a body that ends with them.
struct EventBody(Option<Next>);

fn step(mut events: Events) -> Next {
    Box::pin(async move {
        let next = events.next().await;
        (events, next)
    })
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let Poll::Ready((events, text)) = next.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        self.0 = text.is_some().then(|| step(events));
        Poll::Ready(text.map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

//! Server-sent events (WHATWG HTML, 9.2) as a response, until the client goes away or the daemon ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use pointsman_api::flow::Reset;
use pointsman_api::route::EVENT_RESET;
use serde::Serialize;

/// A comment so often, so that a reader that went away is noticed.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The comment.
pub(super) const QUIET: &str = ": quiet\n\n";

/// The id after which a client asks to go on (WHATWG HTML, 9.2.4); one that is no text is none that was given.
pub(super) fn last_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get("last-event-id")?;
    Some(id.to_str().unwrap_or_default())
}

/// A comment that says where the stream is.
pub(super) fn place(id: &str, said: &str) -> String {
    format!(": {said}\nid: {id}\n\n")
}

/// An event after which a reader can go on.
pub(super) fn numbered(id: &str, event: &str) -> String {
    format!("id: {id}\n{event}")
}

/// Where events come from.
pub(super) trait Source: Send + 'static {
    /// The next piece of text, perhaps empty; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Option<String>> + Send;
}

/// The events of a source as a response. It begins with a comment at once, so that a client knows that it hears
/// everything from there on.
pub(super) fn respond(source: impl Source) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    let begun: Next<_> = Box::pin(async { (source, Some(": listening\n\n".to_owned())) });
    (headers, Body::new(Events(Some(begun)))).into_response()
}

/// One event.
pub(super) fn event(name: &str, value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(json) => format!("event: {name}\ndata: {json}\n\n"),
        // Nothing of ours fails to be JSON.
        Err(error) => format!(": {error}\n\n"),
    }
}

/// The client cannot go on where it was.
pub(super) fn reset(last: Option<String>) -> String {
    let after = last.unwrap_or_default();
    event(EVENT_RESET, &Reset { after })
}

type Next<S> = Pin<Box<dyn Future<Output = (S, Option<String>)> + Send>>;

struct Events<S>(Option<Next<S>>);

fn step<S: Source>(mut source: S) -> Next<S> {
    Box::pin(async move {
        loop {
            match source.next().await {
                // Nothing for this client.
                Some(text) if text.is_empty() => {}
                text => return (source, text),
            }
        }
    })
}

impl<S: Source> hyper::body::Body for Events<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let Poll::Ready((source, text)) = next.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        self.0 = text.is_some().then(|| step(source));
        Poll::Ready(text.map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

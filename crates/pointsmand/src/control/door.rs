//! Who comes in to the control socket: connections, the places that they take, and how long they may take them.
//!
//! Invariants: a connection that has not sent its whole request holds nobody up: it has a time limit, and the oldest of
//! them makes room for the newest. A whole request has a place of its own kind, or is told that there is none: followers
//! take none from short requests, and neither takes those of `status` and `stop`, or of `reload`. Whoever does not read
//! its answer is hung up on. One request a connection, so that an idle client holds nothing.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::server::conn::http1::Builder;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pointsman_api::{Error, route};
use pointsman_net::tasks::Tasks;
use pointsman_os::descriptors;
use pointsman_os::local::{ControlListener, LocalStream};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Refusal;
use super::lobby::{Client, Lobby};
use super::steady::Steady;

/// Short requests that are answered at once.
const SHORT: usize = 56;
/// Followers at once.
const FOLLOWERS: usize = 64;
/// `status`, `diagnostics` and `stop` at once where all other places are taken.
const KEPT: usize = 4;
/// The longest request head, in bytes: FLOW words stand in it.
const MAX_HEAD: usize = 64 << 10;
/// The longest body that a client sends, in bytes: a candidate's text, a flow as JSON.
const MAX_BODY: usize = 1 << 20;
/// How long a client may take to send a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to send the body.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to read the last words of a connection.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long we wait for descriptors where there are none.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until the tasks are asked to stop.
pub(super) async fn serve(router: Router, listener: ControlListener, tasks: Tasks) {
    let lobby = Arc::new(Lobby::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tasks.stopping() => return,
        };
        match accepted {
            Ok(stream) => {
                let (router, lobby) = (router.clone(), Arc::clone(&lobby));
                let client = lobby.enter();
                tasks.spawn(async move {
                    if let Err(error) = talk(stream, router, &client).await {
                        tracing::debug!("control client: {error}");
                    }
                    lobby.leave(&client);
                });
            }
            Err(error) => {
                tracing::warn!("control socket: {error}");
                if descriptors::exhausted(&error) {
                    lobby.make_room();
                }
                // Accepting again at once would spin.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Who asks by the control socket's path: the daemon's own user, or root.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnSocket;

/// One connection, until its answer is read.
async fn talk(stream: LocalStream, router: Router, client: &Arc<Client>) -> io::Result<()> {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Arc::clone(client));
        request.extensions_mut().insert(OnSocket);
        Box::pin(router.call(request))
    });
    let io = TokioIo::new(Steady::new(stream, Arc::clone(client)));
    let mut connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(io, service);
    let served = loop {
        tokio::select! {
            biased;
            served = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break served,
            () = client.displaced.notified() => {}
        }
        // Told when its request was whole already: what that asks for may be under way.
        if !client.lobby.is_inside(client) {
            let room = "too many clients sent no whole request: the oldest makes room";
            let stream = connection.into_parts().io.into_inner();
            // What is no request, or too long, was refused.
            if stream.answered() {
                return Ok(());
            }
            return stream
                .end(StatusCode::SERVICE_UNAVAILABLE, "too-many-clients", room)
                .await;
        }
    };
    let stream = connection.into_parts().io.into_inner();
    match (served, stream.refused()) {
        (_, Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG)) => {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            let text = format!("the request's head is longer than {MAX_HEAD} bytes or 100 fields");
            stream.end(status, "head-too-large", &text).await
        }
        (_, Some(status)) => {
            let text = "this is no request of HTTP/1.1";
            stream.end(status, "bad-request", text).await
        }
        (Err(error), None) if error.is_timeout() && !stream.answered() => {
            let text = format!("the request's head took longer than {HEAD_LIMIT:?}");
            let status = StatusCode::REQUEST_TIMEOUT;
            stream.end(status, "too-slow", &text).await
        }
        (Err(error), None) => Err(io::Error::other(error)),
        (Ok(()), None) => stream.shut().await,
    }
}

impl Steady<LocalStream> {
    /// Says why there is no answer, and hangs up.
    async fn end(self, status: StatusCode, code: &str, why: &str) -> io::Result<()> {
        let body = serde_json::to_vec(&Error::new(code, why)).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = self.into_inner();
        let said = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.shutdown().await
        };
        timeout(LAST_WORDS, said).await?
    }

    async fn shut(self) -> io::Result<()> {
        timeout(LAST_WORDS, self.into_inner().shutdown()).await?
    }
}

/// The places of requests that are whole.
#[derive(Debug)]
pub(super) struct Places {
    short: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    status: Arc<Semaphore>,
    reload: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        let of = |count| Arc::new(Semaphore::new(count));
        Self {
            short: of(SHORT),
            followers: of(FOLLOWERS),
            status: of(KEPT),
            reload: of(KEPT),
        }
    }
}

impl Places {
    /// A place for such a request, and whether it follows; or why there is none.
    fn take(&self, method: &Method, path: &str) -> Result<(OwnedSemaphorePermit, bool), Refusal> {
        let free = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let full = |text: &str| {
            let text = text.to_owned();
            Refusal(StatusCode::SERVICE_UNAVAILABLE, "too-many-clients", text)
        };
        if matches!(path, route::EVENTS | route::FOLLOW | route::REQUESTS) && method == Method::GET
        {
            let full = || full("as many clients follow as may at once: 64");
            let place = free(&self.followers).ok_or_else(full)?;
            return Ok((place, true));
        }
        let kept = match path {
            route::STATUS | route::DIAGNOSTICS | route::STOP => Some(&self.status),
            route::RELOAD | route::CONFIRM => Some(&self.reload),
            _ => None,
        };
        let place = free(&self.short).or_else(|| kept.and_then(free));
        let full = || full("as many requests are being answered as may be at once: try again");
        Ok((place.ok_or_else(full)?, false))
    }
}

/// Lets a request in once it is whole and there is a place for it, which it keeps until its answer is read.
pub(super) async fn admit(
    State(places): State<Arc<Places>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match whole(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    let client = parts.extensions.get::<Arc<Client>>();
    if let Some(client) = client {
        client.lobby.admit(client);
    }
    let (place, follows) = match places.take(&parts.method, parts.uri.path()) {
        Ok(taken) => taken,
        Err(full) => return full.into_response(),
    };
    if let Some(client) = client {
        client.take(place, follows);
    }
    next.run(Request::from_parts(parts, body.into())).await
}

async fn whole(body: Body) -> Result<Bytes, Refusal> {
    let refuse = |status, code, text| Err(Refusal(status, code, text));
    match timeout(BODY_LIMIT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("the body is longer than {MAX_BODY} bytes");
            refuse(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", text)
        }
        Ok(Err(error)) => {
            let text = format!("the body cannot be read: {error}");
            refuse(StatusCode::BAD_REQUEST, "bad-request", text)
        }
        Err(_late) => {
            let text = format!("the body took longer than {BODY_LIMIT:?}");
            refuse(StatusCode::REQUEST_TIMEOUT, "too-slow", text)
        }
    }
}

#[cfg(test)]
mod tests;

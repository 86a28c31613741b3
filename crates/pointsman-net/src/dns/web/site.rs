//! One request: what it asks, and its response.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use pointsman_wire::dns::{MAX_MESSAGE, MEDIA_TYPE, NoMessage, max_age, message_of};
use tokio::sync::Mutex as Turn;
use tokio::time::{Instant, timeout};

use super::activity::{Activity, Unread};
use crate::dns::answering::{Outcome, Service};
use crate::dns::rates::Allowed;
use crate::dns::visit::Visit;

/// Longer than any query that people's programs ask, in bytes: of longer ones a connection brings one at a time.
const USUAL: usize = 4096;

/// Replies in bytes that a connection's client may leave unread: dozens of long ones.
const UNREAD: usize = 256 << 10;

/// How much of the body of a request that is refused is read, in bytes, and for how long: there are clients that hear no
/// response before they have sent all.
const PASSED_OVER: usize = 256 << 10;
const LEFTOVERS: Duration = Duration::from_secs(1);

/// What is asked by HTTP at one connection.
pub(super) struct Site {
    visit: Mutex<Visit>,
    path: Arc<str>,
    activity: Arc<Activity>,
    /// Whose body may be a long one.
    long: Turn<()>,
}

/// Why there is no response: the rules say that nothing is answered, or nobody would read it.
#[derive(Debug, thiserror::Error)]
#[error("nothing is answered")]
pub(super) struct Unanswered;

/// A response without a message.
type Plain = (StatusCode, &'static str);

impl Site {
    pub(super) fn new(visit: Visit, path: Arc<str>, activity: Arc<Activity>) -> Self {
        Self {
            visit: Mutex::new(visit),
            path,
            activity,
            long: Turn::new(()),
        }
    }

    /// The response to a request.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Written>, Unanswered> {
        let (head, mut body) = request.into_parts();
        let message = match self.message(&head, &mut body).await {
            Ok(message) => message,
            Err(refusal) => {
                let _late = timeout(LEFTOVERS, pass_over(body)).await;
                return self.refuse(refusal);
            }
        };
        let underway = self.activity.begin();
        let (service, asker) = {
            let mut visit = self.visit.lock().unwrap_or_else(PoisonError::into_inner);
            (visit.service(), visit.asker)
        };
        let Some(service) = service else {
            return Err(Unanswered);
        };
        let mut reply = Vec::new();
        match service.take(&message, asker, &mut reply) {
            Outcome::Replied => {}
            Outcome::Silent => return self.silent(&message, &service),
            Outcome::Asking(asking) => asking.finish(&mut reply).await,
        }
        drop(underway);
        let age = max_age(&reply);
        let mut response = self.written(reply)?;
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Ok(age) = HeaderValue::try_from(format!("max-age={age}")) {
            fields.insert(CACHE_CONTROL, age);
        }
        Ok(response)
    }

    /// The message that a request carries.
    async fn message(&self, head: &Parts, body: &mut Incoming) -> Result<Vec<u8>, Plain> {
        if head.uri.path() != &*self.path {
            return Err((StatusCode::NOT_FOUND, "there is nothing at this path\n"));
        }
        if head.method == Method::GET {
            return message_of(head.uri.query()).map_err(|why| match why {
                NoMessage::NotOne => (StatusCode::BAD_REQUEST, "one parameter `dns` is wanted\n"),
                NoMessage::NotEncoded => (StatusCode::BAD_REQUEST, "`dns` is no base64url\n"),
                NoMessage::TooLong => (StatusCode::URI_TOO_LONG, "no message is that long\n"),
            });
        }
        if head.method != Method::POST {
            let told = "queries come by GET or POST\n";
            return Err((StatusCode::METHOD_NOT_ALLOWED, told));
        }
        let kind = head.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(MEDIA_TYPE) {
            let told = "a message of DNS is `application/dns-message`\n";
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, told));
        }
        let idle = {
            let visit = self.visit.lock().unwrap_or_else(PoisonError::into_inner);
            visit.limits.stream_idle
        };
        match timeout(idle, self.body(body)).await {
            Ok(read) => read,
            Err(_elapsed) => Err((StatusCode::REQUEST_TIMEOUT, "the message did not come\n")),
        }
    }

    async fn body(&self, body: &mut Incoming) -> Result<Vec<u8>, Plain> {
        const TOO_LONG: Plain = (StatusCode::PAYLOAD_TOO_LARGE, "no message is that long\n");
        if body.size_hint().lower() > MAX_MESSAGE as u64 {
            return Err(TOO_LONG);
        }
        let mut body = Limited::new(body, MAX_MESSAGE);
        let (mut message, mut turn) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(
                    |error| match error.is::<http_body_util::LengthLimitError>() {
                        true => TOO_LONG,
                        false => (StatusCode::BAD_REQUEST, "the message broke off\n"),
                    },
                )?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if message.len() + data.len() > USUAL && turn.is_none() {
                turn = Some(self.long.lock().await);
            }
            message.extend_from_slice(&data);
        }
        Ok(message)
    }

    /// What is no message of DNS is told so; what the rules drop is answered by nothing at all.
    fn silent(&self, message: &[u8], service: &Service) -> Result<Response<Written>, Unanswered> {
        match service.is_query(message) {
            true => Err(Unanswered),
            false => self.written_as((StatusCode::BAD_REQUEST, "this is no query of DNS\n")),
        }
    }

    /// Refuses what is no query; whoever goes on so has used up the rate of queries.
    fn refuse(&self, refusal: Plain) -> Result<Response<Written>, Unanswered> {
        let allowed = {
            let visit = self.visit.lock().unwrap_or_else(PoisonError::into_inner);
            let rates = &visit.shared.dns_rates;
            rates.allows(visit.client, &visit.limits, Instant::now())
        };
        match allowed {
            Allowed::Yes => self.written_as(refusal),
            Allowed::Refused | Allowed::Silent => {
                self.written_as((StatusCode::TOO_MANY_REQUESTS, "too many requests\n"))
            }
        }
    }

    fn written_as(&self, (status, told): Plain) -> Result<Response<Written>, Unanswered> {
        let mut response = self.written(told.as_bytes().to_vec())?;
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            fields.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        Ok(response)
    }

    fn written(&self, bytes: Vec<u8>) -> Result<Response<Written>, Unanswered> {
        let unread = self.activity.reply(bytes.len(), UNREAD);
        let unread = unread.ok_or(Unanswered)?;
        let held = Held {
            bytes,
            _unread: unread,
        };
        Ok(Response::new(Written(Some(Bytes::from_owner(held)))))
    }
}

async fn pass_over(mut body: Incoming) {
    let mut seen = 0;
    while seen < PASSED_OVER {
        match body.frame().await {
            Some(Ok(frame)) => seen += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

/// A reply, as long as anybody holds it: also what the connection has and its client does not take.
struct Held {
    bytes: Vec<u8>,
    _unread: Unread,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body of a response; `None`: the connection has it.
#[derive(Debug)]
pub(super) struct Written(Option<Bytes>);

impl Body for Written {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |it| it.len() as u64))
    }
}

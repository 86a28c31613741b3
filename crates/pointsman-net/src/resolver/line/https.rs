//! DNS over HTTPS (RFC 8484): each question is a POST, many at once by HTTP/2, one after the other by HTTP/1.1 where the
//! server takes nothing else.
//!
//! Invariant: of what a server sends no more is held than a message may have, and a head of 16 KiB; what is no message is
//! said to be none.

use std::error::Error as _;
use std::pin::Pin;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, AGE, CONTENT_TYPE, HOST};
use hyper::rt::Executor;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pointsman_policy::Host;
use pointsman_spec::resolver::Encrypted;
use pointsman_wire::dns::MAX_MESSAGE;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use crate::resolver::message::{self, Refusal, Said};
use crate::resolver::question::WireQuestion;
use crate::tasks::Tasks;

/// What is offered within TLS, the better one first (RFC 7301).
pub(super) const PROTOCOLS: &[&[u8]] = &[H2, b"http/1.1"];
const H2: &[u8] = b"h2";

/// Questions at once by one connection: what most servers take (RFC 9113 §6.5.2 advises 100 at least).
const MOST: usize = 128;

const MESSAGE: &str = "application/dns-message";
/// Bytes of a head: what servers send is a tenth of it.
const MOST_HEAD: u32 = 16 * 1024;

/// Where questions are given to a connection.
#[derive(Debug)]
pub(super) struct Https {
    sender: Sender,
    url: String,
    authority: String,
}

#[derive(Debug)]
enum Sender {
    Many(http2::SendRequest<Full<Bytes>>),
    /// One at a time holds it.
    One(Mutex<http1::SendRequest<Full<Bytes>>>),
}

/// What moves the bytes of a connection; it ends with it.
pub(super) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who owns what HTTP/2 does by the side.
#[derive(Clone)]
struct Owner(Tasks);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Owner {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

impl Https {
    /// Begins to speak HTTP with a server that chose `protocol`; gives how many questions it takes at once, and what moves
    /// the bytes.
    ///
    /// # Errors
    /// One sentence.
    pub(super) async fn new(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        at: &Encrypted,
        protocol: Option<&[u8]>,
        tasks: &Tasks,
    ) -> Result<(Self, usize, Driver), String> {
        let authority = match (&at.server.host, at.server.port) {
            (Host::Name(name), 443) => name.to_string(),
            (Host::Address(address), 443) if address.is_ipv4() => address.to_string(),
            (Host::Address(address), 443) => format!("[{address}]"),
            _ => at.server.to_string(),
        };
        let stream = TokioIo::new(stream);
        let (sender, width, driver): (_, _, Driver) = if protocol == Some(H2) {
            let (sender, connection) = http2::Builder::new(Owner(tasks.clone()))
                .max_header_list_size(MOST_HEAD)
                .initial_connection_window_size(1 << 20)
                .handshake(stream)
                .await
                .map_err(|error| words(&error))?;
            let driver = async move { drop(connection.await) };
            (Sender::Many(sender), MOST, Box::pin(driver))
        } else {
            let (sender, connection) = http1::Builder::new()
                .max_headers(64)
                .max_buf_size(MOST_HEAD as usize)
                .handshake(stream)
                .await
                .map_err(|error| words(&error))?;
            let driver = async move { drop(connection.await) };
            (Sender::One(Mutex::new(sender)), 1, Box::pin(driver))
        };
        let url = match &sender {
            Sender::Many(_) => format!("https://{authority}{}", at.path),
            Sender::One(_) => at.path.to_string(),
        };
        let https = Self {
            sender,
            url,
            authority,
        };
        Ok((https, width, driver))
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Many(sender) => sender.is_closed(),
            Sender::One(sender) => sender.try_lock().is_ok_and(|sender| sender.is_closed()),
        }
    }

    /// What the server says; why the connection ended, where it ended before.
    pub(super) async fn ask(&self, query: &[u8], question: &WireQuestion) -> Result<Said, String> {
        let request = match self.request(query) {
            Ok(request) => request,
            Err(error) => return Ok(failed(&error.to_string())),
        };
        let response = match &self.sender {
            Sender::Many(sender) => {
                let mut sender = sender.clone();
                match sender.ready().await {
                    Ok(()) => sender.send_request(request).await,
                    Err(error) => Err(error),
                }
            }
            Sender::One(sender) => {
                let mut sender = sender.lock().await;
                match sender.ready().await {
                    Ok(()) => sender.send_request(request).await,
                    Err(error) => Err(error),
                }
            }
        };
        read(response.map_err(|error| words(&error))?, question).await
    }

    /// Says nothing of who asks but what has to be said (RFC 8484 §8.2).
    fn request(&self, query: &[u8]) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut body = query.to_vec();
        // The number says nothing here, and the same for all lets caches serve (RFC 8484 §4.1).
        if let Some(id) = body.first_chunk_mut::<2>() {
            *id = [0; 2];
        }
        let request = Request::post(self.url.as_str())
            .header(CONTENT_TYPE, MESSAGE)
            .header(ACCEPT, MESSAGE);
        let request = match &self.sender {
            Sender::Many(_) => request,
            Sender::One(_) => request.header(HOST, self.authority.as_str()),
        };
        request.body(Full::new(body.into()))
    }
}

async fn read(response: Response<Incoming>, question: &WireQuestion) -> Result<Said, String> {
    if response.status() != StatusCode::OK {
        let status = response.status();
        return Ok(failed(&format!("the server answered HTTP {status}")));
    }
    let headers = response.headers();
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    let bare = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
    let bare = bare.unwrap_or_default().trim_ascii();
    if !bare.eq_ignore_ascii_case(MESSAGE.as_bytes()) {
        let kind = String::from_utf8_lossy(bare);
        let kind: String = kind
            .chars()
            .take(40)
            .flat_map(char::escape_default)
            .collect();
        return Ok(failed(&format!(
            "the server sent `{kind}`, which is no DNS"
        )));
    }
    // Caches on the way may have held it (RFC 8484 §5.1).
    let age = headers.get(AGE).and_then(|age| age.to_str().ok());
    let age: u32 = age.and_then(|age| age.parse().ok()).unwrap_or(0);
    let body = Limited::new(response.into_body(), MAX_MESSAGE)
        .collect()
        .await;
    let bytes = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(failed("the server sent more than a message may have"));
        }
        Err(error) => return Err(error.to_string()),
    };
    Ok(match message::response(&bytes, 0, question) {
        Some(Said::Truncated) => failed("cut short over HTTPS"),
        Some(said) => said.older(age),
        None => failed("an answer to another question"),
    })
}

fn failed(why: &str) -> Said {
    Said::Failed(Refusal::from(why.to_owned()))
}

/// The last cause says most.
fn words(error: &hyper::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = error.to_string();
        cause = error.source();
    }
    words
}

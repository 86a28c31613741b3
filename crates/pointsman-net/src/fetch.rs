//! Files from the web by way of an outbound: rule sets that refresh themselves.
//!
//! Invariant: what is fetched comes through the outbound that was asked for or not at all. It is bounded in size
//! and time, and a body that ended early is an error, so a list is never replaced by half of itself. A redirect
//! never leaves TLS.
//! Absent: when to fetch, and where the bytes are kept.

mod metered;
mod url;

use std::io;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HOST, HeaderMap, HeaderName, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, LOCATION, TRANSFER_ENCODING, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pointsman_policy::OutboundId;
use pointsman_spec::asks::Asked;
use pointsman_spec::resolver::Authorities;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use self::metered::{Allowance, Metered};
pub use self::url::{BadUrl, Url};
use crate::outbound::{Destination, DialError, Ways};
use crate::tls::client::Client;

/// Redirects that are followed; browsers follow 20, lists are hardly ever moved more than twice.
const MOST_REDIRECTS: usize = 5;

/// What a server said of the copy that we have, so that it need not send it again (RFC 9110, 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// Its `ETag`, verbatim.
    pub etag: Option<String>,
    /// Its `Last-Modified`, verbatim.
    pub last_modified: Option<String>,
}

/// What to fetch, and how.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// From where.
    pub url: Url,
    /// By which outbound.
    pub via: OutboundId,
    /// Of the copy that we have.
    pub validators: Validators,
    /// The most bytes of a body.
    pub limit: u64,
    /// The longest that it may take, redirects and all.
    pub within: Duration,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The body was handed over.
    New {
        /// To be sent the next time.
        validators: Validators,
        /// Bytes.
        length: u64,
    },
    /// Our copy is what the server has.
    Unchanged,
}

/// Why nothing was fetched. No text of these holds the URL's query: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The connection or the answer broke.
    #[error("the connection broke")]
    Broke(#[from] hyper::Error),
    /// No connection.
    #[error("no connection")]
    Dial(#[from] DialError),
    /// A body in an encoding that nobody asked for.
    #[error("the server sent `{0}`, which was not asked for")]
    Encoded(String),
    /// The body could not be kept.
    #[error("it cannot be stored")]
    Keep(#[source] io::Error),
    /// It ends in the middle of a line, and nothing says that it was to end there.
    #[error(
        "it ends in the middle of a line and the server gave no length: it may have been cut off"
    )]
    MaybeCut,
    /// Redirected elsewhere than to a URL that can be fetched.
    #[error("redirected to a URL that cannot be fetched: {0}")]
    Redirect(String),
    /// Not 200 or 304.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// Time was over.
    #[error("not done within {0:?}")]
    TimedOut(Duration),
    /// The server is not who it should be, or there are no authorities to tell by.
    #[error("no TLS with the server: {0}")]
    Tls(String),
    /// Larger than allowed.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
}

/// Fetches a file; its bytes are handed to `keep` as they come.
///
/// # Errors
/// [`FetchError`]; `keep` may have been given a part of the body then.
pub async fn fetch(
    ways: &Ways,
    what: &Fetch,
    keep: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> Result<Fetched, FetchError> {
    match timeout(what.within, follow(ways, what, keep)).await {
        Ok(done) => done,
        Err(_elapsed) => Err(FetchError::TimedOut(what.within)),
    }
}

async fn follow(
    ways: &Ways,
    what: &Fetch,
    keep: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> Result<Fetched, FetchError> {
    let mut url = what.url.clone();
    for _ in 0..=MOST_REDIRECTS {
        match once(ways, what, &url, keep).await? {
            FetchStep::Done(fetched) => return Ok(fetched),
            FetchStep::Moved(to) => {
                url = url
                    .join(&to)
                    .map_err(|why| FetchError::Redirect(why.to_string()))?;
            }
        }
    }
    Err(FetchError::Redirect(format!(
        "more than {MOST_REDIRECTS} redirects"
    )))
}

enum FetchStep {
    Done(Fetched),
    Moved(String),
}

async fn once(
    ways: &Ways,
    what: &Fetch,
    url: &Url,
    keep: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> Result<FetchStep, FetchError> {
    let destination = Destination {
        host: url.host.clone(),
        port: url.port,
        resolved: Vec::new(),
        asked: Asked::default(),
    };
    let stream = ways.open(what.via, &destination, what.within).await?;
    if url.tls {
        // The authorities are some hundred kilobytes: a fetch a day does not keep them in memory.
        let client = Client::new(Authorities::System, &[]).await;
        let client = client.map_err(FetchError::Tls)?;
        let stream = client.connect(stream, &url.host).await;
        let stream = stream.map_err(FetchError::Tls)?;
        exchange(stream, what, url, keep).await
    } else {
        exchange(stream, what, url, keep).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    what: &Fetch,
    url: &Url,
    keep: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> Result<FetchStep, FetchError> {
    let allowance = Allowance::for_a_head();
    let stream = Metered {
        stream,
        allowance: allowance.clone(),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = pin!(connection);
    let mut asking = pin!(async {
        let response = sender.send_request(request(what, url)?).await?;
        allowance.lift();
        read(response, what, url.tls, keep).await
    });
    // Whoever asks is done only when the answer is read; the connection may end before that.
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut asking => return answer,
            _ended = &mut connection, if open => open = false,
        }
    }
}

fn request(what: &Fetch, url: &Url) -> Result<Request<Empty<Bytes>>, FetchError> {
    let mut request = Request::get(url.path.as_str())
        .header(HOST, url.authority())
        .header(USER_AGENT, concat!("pointsman/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT_ENCODING, "identity");
    let Validators {
        etag,
        last_modified,
    } = &what.validators;
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    if let Some(date) = last_modified {
        request = request.header(IF_MODIFIED_SINCE, date);
    }
    request
        .body(Empty::new())
        .map_err(|error| FetchError::Redirect(error.to_string()))
}

async fn read(
    response: Response<Incoming>,
    what: &Fetch,
    tls: bool,
    keep: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> Result<FetchStep, FetchError> {
    let headers = response.headers();
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => return Ok(FetchStep::Done(Fetched::Unchanged)),
        status if status.is_redirection() => {
            let to = header(headers, &LOCATION).ok_or(FetchError::Status(status))?;
            return Ok(FetchStep::Moved(to));
        }
        status => return Err(FetchError::Status(status)),
    }
    // All of them: a server may name `identity` first, and bytes that are no text still name something.
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    let packed = encodings.find(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if let Some(encoding) = packed {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        return Err(FetchError::Encoded(encoding.into_owned()));
    }
    let validators = Validators {
        etag: header(headers, &ETAG),
        last_modified: header(headers, &LAST_MODIFIED),
    };
    // TLS tells an end from a cut; without it, and without a length, whoever closes may have been cut off.
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    let mut body = response.into_body();
    let bounded = tls || chunked || body.size_hint().exact().is_some();
    let mut last = None;
    let mut length = 0_u64;
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame?.into_data() else {
            continue;
        };
        length += bytes.len() as u64;
        if length > what.limit {
            return Err(FetchError::TooLarge(what.limit));
        }
        last = bytes.last().copied().or(last);
        keep(&bytes).map_err(FetchError::Keep)?;
    }
    // Half a line may be another name, or a wider range; what ends a line or a JSON document is whole, and other
    // formats know their own end.
    let in_a_line = last.is_some_and(|byte| byte == b' ' || byte.is_ascii_graphic());
    if !bounded && in_a_line && !matches!(last, Some(b'}' | b']')) {
        return Err(FetchError::MaybeCut);
    }
    Ok(FetchStep::Done(Fetched::New { validators, length }))
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

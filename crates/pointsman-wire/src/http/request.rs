//! The head of a request to a proxy, and the head to send on.
//!
//! Invariant: what is sent on is written from what was understood, so the server cannot understand
//! another target, another end of the body, or a password meant for the proxy.
//! Absent: other schemes than `http` and `ws` (which is `http` with an upgrade) in absolute targets.

use std::fmt;
use std::str;

use data_encoding::BASE64;

use crate::host::{parse_authority, parse_port, split_port};
use crate::http::framing::{self, BodyLength, Declared, Message};
use crate::http::head::{self, Header, MAX_HEAD, Persistence, Reading};
use crate::http::is_token_byte;
use crate::read::{Reader, Stop, bounded, malformed};
use crate::{Parse, RequestHost, WhyNot};

/// The most empty lines that are passed over before a request: clients send one after a body, and servers
/// ought to take at least one (RFC 9112 §2.2). More are no request that begins.
pub(super) const MAX_EMPTY_LINES: usize = 8;
/// The longest method.
const MAX_METHOD: usize = 32;

/// A user name and password for the proxy (RFC 7617).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name; it cannot hold a colon.
    pub user: String,
    /// The password, kept out of `Debug`.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What a request is for (RFC 9112 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `http://host[:port]/path`, or `ws://`: a plain request through the proxy.
    Absolute {
        /// The host.
        host: RequestHost,
        /// The port, 80 unless given.
        port: u16,
        /// What the origin server is asked for, in the client's own bytes, those above 127 included;
        /// `*` only with `OPTIONS`.
        path_and_query: Vec<u8>,
    },
    /// `CONNECT host:port`: a tunnel.
    Connect {
        /// The host.
        host: RequestHost,
        /// The port.
        port: u16,
    },
    /// `/path` or `*`: a request as an origin server gets it, where the proxy is transparent or
    /// mistaken for a server.
    Origin(Vec<u8>),
}

/// The head of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// Where the body ends; a tunnel has none.
    pub body: BodyLength,
    /// All headers as they came, in order.
    pub headers: Vec<Header>,
    /// Whether the client would send another request on this connection; one of HTTP/1.0 would not,
    /// whatever it says, for what it says may be another proxy's mistake (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// How many proxies a `TRACE` or `OPTIONS` may still pass (RFC 9110 §7.6.2); with 0 the answer is ours.
    pub max_forwards: Option<u64>,
    /// The method, case kept.
    pub method: String,
    /// The credentials for the proxy; `None` also where they are not Basic or cannot be read, which
    /// is to be answered like none (407).
    pub proxy_authorization: Option<Credentials>,
    /// What the request is for.
    pub target: Target,
    /// Whether the client asks to switch protocols, as for WebSocket.
    pub upgrade: bool,
    /// 1 of HTTP/1.1 (and above), 0 of HTTP/1.0.
    pub version_minor: u8,
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("version_minor", &self.version_minor)
            .field("headers", &head::names(&self.headers))
            .field("body", &self.body)
            .field("keep_alive", &self.keep_alive)
            .field("upgrade", &self.upgrade)
            .finish_non_exhaustive()
    }
}

/// Reads the head of a request, at most [`MAX_HEAD`] bytes; the body follows after the bytes used.
///
/// A few empty lines before it are skipped: some clients send one after a body (RFC 9112 §2.2).
pub fn parse_request_head(bytes: &[u8]) -> Parse<RequestHead> {
    bounded(bytes, MAX_HEAD, |reader| {
        for _ in 0..MAX_EMPTY_LINES {
            if reader.rest().first() == Some(&b'\r') {
                reader.literal(b"\r\n", WhyNot::AnotherProtocol)?;
            }
        }
        let line = request_line(reader)?;
        let headers = head::headers(reader, Reading::Strict)?;
        if head::values(&headers, "host").count() > 1 {
            return malformed("several Host headers");
        }
        let target = target(&line)?;
        let declared = framing::declared(&headers, line.version_minor, Message::Request)?;
        let body = match (&target, declared) {
            // What follows the head is the tunnel's (RFC 9110 §9.3.6).
            (Target::Connect { .. }, _) | (_, Declared::Nothing) => BodyLength::None,
            (_, Declared::Chunked) => BodyLength::Chunked,
            (_, Declared::Length(length)) => BodyLength::Length(length),
        };
        Ok(RequestHead {
            body,
            keep_alive: line.version_minor >= 1 && head::persists(&headers, line.version_minor),
            max_forwards: max_forwards(line.method, &headers),
            method: line.method.to_owned(),
            proxy_authorization: credentials(&headers),
            target,
            upgrade: head::upgrades(&headers, line.version_minor),
            version_minor: line.version_minor,
            headers,
        })
    })
}

impl RequestHead {
    /// The value of the first header called `name`, ignoring case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        head::values(&self.headers, name).next()
    }

    /// The host and port of the `Host` header, if it is there and is an authority.
    pub fn host_header(&self) -> Option<(RequestHost, Option<u16>)> {
        parse_authority(str::from_utf8(self.header("host")?).ok()?)
    }

    /// Writes the head to send to the origin server, on a connection that is to be kept or closed
    /// afterwards.
    ///
    /// The target is in origin form and `Host` is the target's authority; headers for one hop are
    /// gone; `Connection` says what `persistence` is (to an old server always `close`), or `Upgrade`
    /// where the client asked for it. The version stays the client's, so that an old client gets no
    /// chunks. `Trailer` stays: it tells what was left behind (RFC 9110 §6.6.2). A tunnel's head is not for
    /// sending on; its form is `CONNECT` again.
    pub fn rewritten(&self, persistence: Persistence) -> Vec<u8> {
        let (target, host) = match &self.target {
            Target::Absolute {
                host,
                port: 80,
                path_and_query,
            } => (path_and_query.clone(), Some(host.to_string())),
            Target::Absolute {
                host,
                port,
                path_and_query,
            } => (path_and_query.clone(), Some(format!("{host}:{port}"))),
            Target::Connect { host, port } => {
                let authority = format!("{host}:{port}");
                (authority.clone().into_bytes(), Some(authority))
            }
            Target::Origin(path) => (path.clone(), None),
        };
        let mut out = format!("{} ", self.method).into_bytes();
        out.extend_from_slice(&target);
        out.extend_from_slice(format!(" HTTP/1.{}\r\n", self.version_minor).as_bytes());
        match (&host, self.header("host")) {
            (Some(host), _) => head::write_header(&mut out, "Host", host.as_bytes()),
            (None, Some(host)) => head::write_header(&mut out, "Host", host),
            (None, None) => {}
        }
        let forwards = self.max_forwards.map(|most| most.saturating_sub(1));
        head::write_end_to_end(&mut out, &self.headers, |name| {
            forwards.is_none() || !name.eq_ignore_ascii_case(MAX_FORWARDS)
        });
        if let Some(most) = forwards {
            head::write_header(&mut out, "Max-Forwards", most.to_string().as_bytes());
        }
        match self.body {
            BodyLength::Chunked => head::write_chunked(&mut out),
            BodyLength::Length(length) => {
                head::write_header(&mut out, "Content-Length", length.to_string().as_bytes());
            }
            BodyLength::None => {}
        }
        let keep = persistence == Persistence::Keep && self.version_minor >= 1;
        let word = if keep { "keep-alive" } else { "close" };
        head::write_connection(&mut out, &self.headers, self.upgrade, word);
        out.extend_from_slice(b"\r\n");
        out
    }
}

struct RequestLine<'a> {
    method: &'a str,
    target: &'a [u8],
    version_minor: u8,
}

/// Takes the request line with its end.
fn request_line<'a>(reader: &mut Reader<'a>) -> Result<RequestLine<'a>, Stop> {
    let rest = reader.rest();
    let window = rest.get(..=MAX_METHOD).unwrap_or(rest);
    let method = match window.iter().position(|byte| !is_token_byte(*byte)) {
        Some(0) => return Err(Stop::Not(WhyNot::AnotherProtocol)),
        Some(end) => reader.take(end)?,
        None if window.len() > MAX_METHOD => return Err(Stop::Not(WhyNot::AnotherProtocol)),
        None => return Err(Stop::More),
    };
    reader.literal(b" ", WhyNot::AnotherProtocol)?;
    let target = match reader
        .rest()
        .iter()
        // Bytes above 127 have no place in a URI, but clients send them and servers take them.
        .position(|byte| !matches!(byte, 0x21..=0x7e | 0x80..))
    {
        Some(0) => return malformed("request target"),
        Some(end) => reader.take(end)?,
        None => return Err(Stop::More),
    };
    reader.literal(b" HTTP/1.", WhyNot::Malformed("request line"))?;
    let version_minor = match reader.u8()? {
        b'0' => 0,
        // A higher minor version is compatible (RFC 9110 §2.5).
        b'1'..=b'9' => 1,
        _ => return malformed("HTTP version"),
    };
    reader.literal(b"\r\n", WhyNot::Malformed("end of the request line"))?;
    match str::from_utf8(method) {
        Ok(method) => Ok(RequestLine {
            method,
            target,
            version_minor,
        }),
        Err(_) => malformed("request line"),
    }
}

fn target(line: &RequestLine<'_>) -> Result<Target, Stop> {
    if line.method == "CONNECT" {
        let parts = str::from_utf8(line.target).ok().and_then(split_port);
        let parts =
            parts.and_then(|(host, port)| Some((RequestHost::parse(host)?, parse_port(port?)?)));
        return match parts {
            Some((host, port)) => Ok(Target::Connect { host, port }),
            None => malformed("target of CONNECT, which is host:port"),
        };
    }
    if line.target.starts_with(b"/") || (line.target == b"*" && line.method == "OPTIONS") {
        return Ok(Target::Origin(line.target.to_owned()));
    }
    let colon = line.target.windows(3).position(|three| three == b"://");
    let Some((scheme, rest)) = colon.and_then(|colon| line.target.split_at_checked(colon)) else {
        return malformed("request target");
    };
    if !(scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"ws")) {
        return Err(WhyNot::Unsupported("scheme of the target").into());
    }
    let rest = rest.strip_prefix(b"://").unwrap_or(rest);
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    let authority = str::from_utf8(authority).ok().and_then(parse_authority);
    let Some((host, port)) = authority else {
        return malformed("authority of the target");
    };
    // A fragment is the client's own business.
    let path = path.split(|byte| *byte == b'#').next().unwrap_or_default();
    let path_and_query = match path {
        b"" if line.method == "OPTIONS" => b"*".to_vec(),
        [b'/', ..] => path.to_owned(),
        query => [b"/", query].concat(),
    };
    Ok(Target::Absolute {
        host,
        port: port.unwrap_or(80),
        path_and_query,
    })
}

const MAX_FORWARDS: &str = "max-forwards";

/// What `Max-Forwards` says, where the method hears it and it says a number.
fn max_forwards(method: &str, headers: &[Header]) -> Option<u64> {
    if !matches!(method, "OPTIONS" | "TRACE") {
        return None;
    }
    let value = head::values(headers, MAX_FORWARDS).next()?;
    let digits = str::from_utf8(value).ok()?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// The Basic credentials of `Proxy-Authorization`, where there is exactly one that can be read.
fn credentials(headers: &[Header]) -> Option<Credentials> {
    let mut values = head::values(headers, "proxy-authorization");
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, token) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(token.trim_ascii()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

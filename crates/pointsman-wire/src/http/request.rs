//! The head of a request to a proxy, and the head to send on.
//!
//! Invariant: what is sent on is written from what was understood, so the server cannot understand
//! another target, another end of the body, or a password meant for the proxy.
//! Absent: other schemes than `http` in absolute targets.

use std::fmt;
use std::str;

use crate::host::{parse_authority, parse_port, split_port};
use crate::http::framing::{self, BodyLength, Declared};
use crate::http::head::{self, Header, LineEnds, MAX_HEAD};
use crate::http::is_token_byte;
use crate::read::{Reader, Stop, bounded, malformed};
use crate::{Parse, RequestHost, WhyNot, base64};

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
    /// `http://host[:port]/path`: a plain request through the proxy.
    Absolute {
        /// The host.
        host: RequestHost,
        /// The port, 80 unless given.
        port: u16,
        /// What the origin server is asked for; `*` only with `OPTIONS`.
        path_and_query: String,
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
    Origin(String),
}

/// The head of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// Where the body ends; a tunnel has none.
    pub body: BodyLength,
    /// All headers as they came, in order.
    pub headers: Vec<Header>,
    /// Whether the client would send another request on this connection.
    pub keep_alive: bool,
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

/// Values of headers may be secrets: only their names are shown.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("version_minor", &self.version_minor)
            .field("headers", &names)
            .field("body", &self.body)
            .field("keep_alive", &self.keep_alive)
            .field("upgrade", &self.upgrade)
            .finish_non_exhaustive()
    }
}

/// Reads the head of a request, at most [`MAX_HEAD`] bytes; the body follows after the bytes used.
///
/// One empty line before it is skipped: some clients send one after a body (RFC 9112 §2.2).
pub fn parse_request_head(bytes: &[u8]) -> Parse<RequestHead> {
    bounded(bytes, MAX_HEAD, |reader| {
        if reader.rest().first() == Some(&b'\r') {
            reader.literal(b"\r\n", WhyNot::AnotherProtocol)?;
        }
        let line = request_line(reader)?;
        let headers = head::headers(reader, LineEnds::Strict)?;
        if head::values(&headers, "host").count() > 1 {
            return malformed("several Host headers");
        }
        let target = target(&line)?;
        let declared = framing::declared(&headers, line.version_minor)?;
        let body = match (&target, declared) {
            (_, Declared::OtherCoding) => {
                return Err(WhyNot::Unsupported("transfer coding").into());
            }
            // What follows the head is the tunnel's (RFC 9110 §9.3.6).
            (Target::Connect { .. }, _) | (_, Declared::Nothing) => BodyLength::None,
            (_, Declared::Chunked) => BodyLength::Chunked,
            (_, Declared::Length(length)) => BodyLength::Length(length),
        };
        Ok(RequestHead {
            body,
            keep_alive: head::persists(&headers, line.version_minor),
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

    /// Writes the head to send to the origin server, on a connection for this request alone.
    ///
    /// The target is in origin form and `Host` is the target's authority; headers for one hop are
    /// gone; `Connection` says `close`, or `Upgrade` where the client asked for it. The version
    /// stays the client's, so that an old client gets no chunks. `Trailer` stays, as bodies are
    /// passed on as they are. A tunnel's head is not for sending on; its form is `CONNECT` again.
    pub fn rewritten(&self) -> Vec<u8> {
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
                (authority.clone(), Some(authority))
            }
            Target::Origin(path) => (path.clone(), None),
        };
        let line = format!("{} {target} HTTP/1.{}\r\n", self.method, self.version_minor);
        let mut out = line.into_bytes();
        match (&host, self.header("host")) {
            (Some(host), _) => head::write_header(&mut out, "Host", host.as_bytes()),
            (None, Some(host)) => head::write_header(&mut out, "Host", host),
            (None, None) => {}
        }
        head::write_end_to_end(&mut out, &self.headers);
        match self.body {
            BodyLength::Chunked => head::write_codings(&mut out, &self.headers),
            BodyLength::Length(length) => {
                head::write_header(&mut out, "Content-Length", length.to_string().as_bytes());
            }
            BodyLength::None => {}
        }
        head::write_connection(&mut out, &self.headers, self.upgrade, "close");
        out.extend_from_slice(b"\r\n");
        out
    }
}

struct RequestLine<'a> {
    method: &'a str,
    target: &'a str,
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
        .position(|byte| !(0x21..=0x7e).contains(byte))
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
    match (str::from_utf8(method), str::from_utf8(target)) {
        (Ok(method), Ok(target)) => Ok(RequestLine {
            method,
            target,
            version_minor,
        }),
        _ => malformed("request line"),
    }
}

fn target(line: &RequestLine<'_>) -> Result<Target, Stop> {
    if line.method == "CONNECT" {
        let parts = split_port(line.target)
            .and_then(|(host, port)| Some((RequestHost::parse(host)?, parse_port(port?)?)));
        return match parts {
            Some((host, port)) => Ok(Target::Connect { host, port }),
            None => malformed("target of CONNECT, which is host:port"),
        };
    }
    if line.target.starts_with('/') || (line.target == "*" && line.method == "OPTIONS") {
        return Ok(Target::Origin(line.target.to_owned()));
    }
    let Some((scheme, rest)) = line.target.split_once("://") else {
        return malformed("request target");
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(WhyNot::Unsupported("scheme of the target").into());
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some((host, port)) = parse_authority(authority) else {
        return malformed("authority of the target");
    };
    // A fragment is the client's own business.
    let path = path.split('#').next().unwrap_or_default();
    let path_and_query = match path {
        "" if line.method == "OPTIONS" => "*".to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        query => format!("/{query}"),
    };
    Ok(Target::Absolute {
        host,
        port: port.unwrap_or(80),
        path_and_query,
    })
}

/// The Basic credentials of `Proxy-Authorization`, where there is exactly one that can be read.
fn credentials(headers: &[Header]) -> Option<Credentials> {
    let mut values = head::values(headers, "proxy-authorization");
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, token) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = String::from_utf8(base64::decode(token.trim_ascii())?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

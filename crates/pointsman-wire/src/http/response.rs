//! The head of a response, and the head to pass on to the client.
//!
//! Invariant: an interim response (1xx) is a head of its own and never the answer.

use std::fmt;

use crate::http::chunked::Chunks;
use crate::http::framing::{self, Declared, Message, ResponseBody};
use crate::http::head::{self, Header, MAX_HEAD, Persistence, Reading};
use crate::http::request::RequestHead;
use crate::read::{Reader, Stop, bounded, malformed};
use crate::{Parse, WhyNot};

/// The head of a response.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// Where the body ends.
    pub body: ResponseBody,
    /// All headers as they came, in order.
    pub headers: Vec<Header>,
    /// Whether the server would take another request on this connection: it says so, and the body
    /// has an end of its own.
    pub keep_alive: bool,
    /// The words after the status, possibly none.
    pub reason: Vec<u8>,
    /// The status, 100 to 999.
    pub status: u16,
    /// Whether the server says that it switched protocols (101), asked for or not: see
    /// [`ResponseHead::accepts_upgrade_of`].
    pub upgrade: bool,
    /// 1 of HTTP/1.1 (and above), 0 of HTTP/1.0 and of what says `ICY`.
    pub version_minor: u8,
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("version_minor", &self.version_minor)
            .field("headers", &head::names(&self.headers))
            .field("body", &self.body)
            .field("keep_alive", &self.keep_alive)
            .field("upgrade", &self.upgrade)
            .finish_non_exhaustive()
    }
}

/// Reads the head of the response to a request of `request_method`, at most [`MAX_HEAD`] bytes; the
/// body follows after the bytes used.
///
/// Bare line feeds are taken for line ends, and blanks before a colon are removed, as the head is
/// written anew. A status line of `ICY`, as radio streams send it, counts as HTTP/1.0's.
pub fn parse_response_head(bytes: &[u8], request_method: &str) -> Parse<ResponseHead> {
    bounded(bytes, MAX_HEAD, |reader| {
        let line = status_line(reader, request_method != "CONNECT")?;
        let headers = head::headers(reader, Reading::Lenient)?;
        let declared = framing::declared(&headers, line.version_minor, Message::Response)?;
        let tunnel = request_method == "CONNECT" && (200..300).contains(&line.status);
        let bare = request_method == "HEAD" || matches!(line.status, 100..=199 | 204 | 304);
        let body = match declared {
            _ if bare || tunnel => ResponseBody::None,
            Declared::Chunked => ResponseBody::Chunked,
            Declared::Length(length) => ResponseBody::Length(length),
            Declared::Nothing => ResponseBody::UntilClose,
        };
        let persists = head::persists(&headers, line.version_minor);
        Ok(ResponseHead {
            body,
            keep_alive: persists && body != ResponseBody::UntilClose && !tunnel,
            reason: line.reason.to_vec(),
            status: line.status,
            upgrade: line.status == 101,
            version_minor: line.version_minor,
            headers,
        })
    })
}

impl ResponseHead {
    /// The value of the first header called `name`, ignoring case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        head::values(&self.headers, name).next()
    }

    /// Whether this is an interim response (1xx, but not 101), after which the answer is still to come.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && !self.upgrade
    }

    /// Whether this switches to nothing but what `request` offered (RFC 9110 §7.8); otherwise it is no
    /// answer to it, and what follows is nobody's.
    pub fn accepts_upgrade_of(&self, request: &RequestHead) -> bool {
        let mut chosen = head::items(&self.headers, "upgrade").peekable();
        let offered = |choice: &[u8]| {
            head::items(&request.headers, "upgrade").any(|offer| offer.eq_ignore_ascii_case(choice))
        };
        self.upgrade && request.upgrade && chosen.peek().is_some() && chosen.all(offered)
    }

    /// Whether this asks for a login that belongs to the connection and not to a request: NTLM or
    /// Negotiate (RFC 4559), of the server or of a proxy.
    pub fn asks_for_connection_login(&self) -> bool {
        let challenge = match self.status {
            401 => "www-authenticate",
            407 => "proxy-authenticate",
            _ => return false,
        };
        head::items(&self.headers, challenge).any(|item| {
            let scheme = item.split(|byte| *byte == b' ').next().unwrap_or_default();
            scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
        })
    }

    /// Writes the head to send to the client, whose connection is to be kept or closed afterwards.
    ///
    /// Headers for one hop are gone. A body that ends with the connection cannot be followed by
    /// anything, so then `Connection` says `close` whatever `persistence` is. `chunks` says what becomes of a
    /// chunked body; where they are joined, `persistence` has to be [`Persistence::Close`].
    pub fn rewritten(&self, persistence: Persistence, chunks: Chunks) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {:03} ", self.status).into_bytes();
        out.extend_from_slice(&self.reason);
        out.extend_from_slice(b"\r\n");
        head::write_end_to_end(&mut out, &self.headers, |_| true);
        // Such a response must not have them (RFC 9110 §8.6, RFC 9112 §6.1); to HEAD and in a 304
        // they tell what would have been sent.
        if !matches!(self.status, 100..=199 | 204) {
            let length = head::items(&self.headers, "content-length").next();
            if let Some(length) = length {
                head::write_header(&mut out, "Content-Length", length);
            }
            if chunks == Chunks::Kept && head::says_chunked(&self.headers) {
                head::write_chunked(&mut out);
            }
        }
        if !self.is_interim() {
            let keep = persistence == Persistence::Keep && self.body != ResponseBody::UntilClose;
            let word = if keep { "keep-alive" } else { "close" };
            head::write_connection(&mut out, &self.headers, self.upgrade, word);
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

struct StatusLine<'a> {
    version_minor: u8,
    status: u16,
    reason: &'a [u8],
}

/// Takes the status line with its end; the space before an absent reason may be missing too.
fn status_line<'a>(reader: &mut Reader<'a>, icy: bool) -> Result<StatusLine<'a>, Stop> {
    let version_minor = if icy && reader.rest().first() == Some(&b'I') {
        reader.literal(b"ICY", WhyNot::AnotherProtocol)?;
        0
    } else {
        reader.literal(b"HTTP/1.", WhyNot::AnotherProtocol)?;
        match reader.u8()? {
            b'0' => 0,
            b'1'..=b'9' => 1,
            _ => return malformed("HTTP version"),
        }
    };
    reader.literal(b" ", WhyNot::Malformed("status line"))?;
    let mut status = 0;
    for _ in 0..3 {
        match reader.u8()? {
            digit @ b'0'..=b'9' => status = status * 10 + u16::from(digit - b'0'),
            _ => return malformed("status"),
        }
    }
    if status < 100 {
        return malformed("status");
    }
    let end = reader
        .rest()
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(Stop::More)?;
    let tail = reader.take(end + 1)?;
    let tail = tail.strip_suffix(b"\n").unwrap_or(tail);
    let tail = tail.strip_suffix(b"\r").unwrap_or(tail);
    let text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    match tail {
        [] => Ok(StatusLine {
            version_minor,
            status,
            reason: tail,
        }),
        [b' ', reason @ ..] if reason.iter().all(text) => Ok(StatusLine {
            version_minor,
            status,
            reason,
        }),
        _ => malformed("status line"),
    }
}

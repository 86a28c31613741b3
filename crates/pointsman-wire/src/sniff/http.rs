//! The head of an HTTP/1 request, read leniently: what is wanted is the name, not the law.
//!
//! Invariant: a bad header line hides nothing; lines are read for themselves. Absent: bodies, the
//! strictness of a proxy (see `crate::http`), HTTP/2 beyond its preface.

use crate::WhyNot;
use crate::host::split_port;
use crate::http::is_token_byte;
use crate::read::{Reader, Stop};
use crate::sniff::{Glance, Protocol, name_text};

/// The longest method that is still taken for one; WebDAV's longest has 17 bytes.
const MAX_METHOD: usize = 32;
/// The client's HTTP/2 connection preface (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the head; with `cut`, no more bytes will ever be shown and what is there must do.
pub(super) fn look(bytes: &[u8], cut: bool) -> Result<(Glance, usize), Stop> {
    let mut glance = Glance::of(Protocol::Http);
    if bytes.starts_with(b"PRI * H") {
        Reader::new(bytes).literal(PREFACE, WhyNot::AnotherProtocol)?;
        return Ok((glance, PREFACE.len()));
    }
    // Servers pass over empty lines before a request (RFC 9112 §2.2): they must not hide one.
    let blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let blanks = bytes.iter().take_while(blank).count();
    let shown = bytes.len();
    let bytes = bytes.get(blanks..).unwrap_or_default();
    let line = RequestLine::read(bytes, cut)?;
    let mut head = Head {
        rest: bytes.get(line.used..).unwrap_or_default(),
        complete: false,
    };
    let mut host = None;
    let mut agent = None;
    for line in head.by_ref() {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (halves.next(), halves.next()) else {
            continue;
        };
        let name = name.trim_ascii();
        if host.is_none() && name.eq_ignore_ascii_case(b"host") {
            host = Some(value.trim_ascii());
        } else if agent.is_none() && name.eq_ignore_ascii_case(b"user-agent") {
            agent = Some(value.trim_ascii());
        }
    }
    if !head.complete && !cut {
        return Err(Stop::More);
    }
    let used = if cut && !head.complete {
        shown
    } else {
        shown - head.rest.len()
    };
    // The authority of an absolute target outweighs Host (RFC 9112 §3.2.2).
    glance.name = line.authority().or(host).and_then(host_name);
    glance.method = Some(String::from_utf8_lossy(line.method).into_owned());
    glance.user_agent = agent.map(|agent| String::from_utf8_lossy(agent).into_owned());
    Ok((glance, used))
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// How many bytes the line took, with its end.
    used: usize,
}

impl<'a> RequestLine<'a> {
    fn read(bytes: &'a [u8], cut: bool) -> Result<Self, Stop> {
        let other = WhyNot::AnotherProtocol;
        let mut reader = Reader::new(bytes);
        let window = bytes.get(..=MAX_METHOD).unwrap_or(bytes);
        let method = match window.iter().position(|byte| !is_token_byte(*byte)) {
            Some(0) => return Err(Stop::Not(other)),
            Some(end) => reader.take(end)?,
            None if window.len() > MAX_METHOD => return Err(Stop::Not(other)),
            None => return Err(Stop::More),
        };
        reader.literal(b" ", other)?;
        let target = match reader
            .rest()
            .iter()
            .position(|byte| matches!(byte, 0..=b' ' | 0x7f))
        {
            Some(0) => return Err(Stop::Not(other)),
            Some(end) => reader.take(end)?,
            // A target longer than all that is looked at still begins with its authority.
            None if cut => {
                return Ok(Self {
                    method,
                    target: reader.rest(),
                    used: bytes.len(),
                });
            }
            None => return Err(Stop::More),
        };
        reader.literal(b" HTTP/1.", other)?;
        if !reader.u8()?.is_ascii_digit() {
            return Err(Stop::Not(other));
        }
        match reader.u8()? {
            b'\n' => {}
            b'\r' => reader.literal(b"\n", other)?,
            _ => return Err(Stop::Not(other)),
        }
        Ok(Self {
            method,
            target,
            used: bytes.len() - reader.rest().len(),
        })
    }

    /// The authority of an absolute or authority-form target.
    fn authority(&self) -> Option<&'a [u8]> {
        if self.method == b"CONNECT" {
            return Some(self.target);
        }
        let scheme = |scheme: &[u8]| {
            let (start, rest) = self.target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        };
        let rest = scheme(b"http://").or_else(|| scheme(b"ws://"))?;
        let authority = rest
            .split(|byte| matches!(byte, b'/' | b'?' | b'#'))
            .next()?;
        authority.rsplit(|byte| *byte == b'@').next()
    }
}

/// The complete lines after the request line, up to the empty one.
struct Head<'a> {
    rest: &'a [u8],
    complete: bool,
}

impl<'a> Iterator for Head<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.complete {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.complete = line.is_empty();
        (!self.complete).then_some(line)
    }
}

/// The host of `host[:port]`, without the brackets of an IPv6 literal.
fn host_name(authority: &[u8]) -> Option<String> {
    let authority = std::str::from_utf8(authority).ok()?;
    let (host, _port) = split_port(authority)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    name_text(bare.as_bytes())
}

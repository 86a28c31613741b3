//! The block of a start line and headers, and what can be asked of it.
//!
//! Invariant: a head is parsed once, when its empty line is there; so a verdict on its headers
//! cannot change with more bytes.

use std::borrow::Cow;

use crate::WhyNot;
use crate::read::{Reader, Stop, malformed};

/// The longest head that is read, in bytes: twice what the widest-spread servers take of a request.
pub const MAX_HEAD: usize = 65_536;
/// The most headers a head may have: twice what servers with a limit of their own take.
pub const MAX_HEADERS: usize = 200;

/// A header: its name as it came, and its value without surrounding white space.
pub type Header = (String, Vec<u8>);

/// The names of headers, as heads are shown for debugging: values may be secrets.
pub(super) fn names(headers: &[Header]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

/// What a head says of the connection it is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It ends after this message.
    Close,
    /// Another message may follow.
    Keep,
}

/// How a head is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// CR LF and nothing else ends a line, and a colon follows its name at once: what else could be
    /// meant is a matter of opinion, hence of smuggling.
    Strict,
    /// A bare LF will do, and blanks before a colon are removed (RFC 9112 §5.1).
    Lenient,
}

/// Takes the header block that follows the start line, with its empty line.
pub(super) fn headers(reader: &mut Reader<'_>, reading: Reading) -> Result<Vec<Header>, Stop> {
    let block = reader.take(block_length(reader.rest(), reading)?)?;
    let block = match reading {
        Reading::Strict => Cow::Borrowed(block),
        Reading::Lenient => without_blanks(block),
    };
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(&block, &mut slots) {
        Ok(httparse::Status::Complete((used, headers))) if used == block.len() => Ok(headers
            .iter()
            .map(|header| (header.name.to_owned(), header.value.trim_ascii().to_vec()))
            .collect()),
        Ok(_) | Err(_) => malformed("header line"),
    }
}

/// The block without the blanks that stand before the colons of its lines.
fn without_blanks(block: &[u8]) -> Cow<'_, [u8]> {
    let name_of = |line: &[u8]| -> Option<(usize, usize)> {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = line.get(..colon)?.trim_ascii_end().len();
        (0 < name && name < colon).then_some((name, colon))
    };
    let mut lines = block.split_inclusive(|byte| *byte == b'\n');
    if !lines.any(|line| name_of(line).is_some()) {
        return Cow::Borrowed(block);
    }
    let mut out = Vec::with_capacity(block.len());
    for line in block.split_inclusive(|byte| *byte == b'\n') {
        let (name, colon) = name_of(line).unwrap_or_default();
        out.extend_from_slice(line.get(..name).unwrap_or_default());
        out.extend_from_slice(line.get(colon..).unwrap_or_default());
    }
    Cow::Owned(out)
}

/// How long the block is, with the empty line that ends it.
fn block_length(bytes: &[u8], reading: Reading) -> Result<usize, Stop> {
    let mut line_start = 0;
    let mut lines = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\n' {
            continue;
        }
        let line = bytes.get(line_start..at).unwrap_or_default();
        let text = match line.strip_suffix(b"\r") {
            Some(text) => text,
            None if reading == Reading::Strict => return malformed("line without CR LF"),
            None => line,
        };
        if text.is_empty() {
            return Ok(at + 1);
        }
        lines += 1;
        // Told as soon as it is true, so that nobody has us read all of a head again for each line of it.
        if lines > MAX_HEADERS {
            return Err(Stop::Not(WhyNot::TooLong));
        }
        line_start = at + 1;
    }
    Err(Stop::More)
}

/// The values of all headers called `name`, in order.
pub(super) fn values<'a>(headers: &'a [Header], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
}

/// The comma-separated items of all headers called `name` (RFC 9110 §5.6.1), empty ones left out.
pub(super) fn items<'a>(headers: &'a [Header], name: &str) -> impl Iterator<Item = &'a [u8]> {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

/// Whether the list header `name` has the item `wanted`, ignoring case.
pub(super) fn has_item(headers: &[Header], name: &str, wanted: &str) -> bool {
    items(headers, name).any(|item| item.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Whether a message of this version and these headers leaves its connection usable
/// (RFC 9112 §9.3); `Proxy-Connection` is heard too, as old clients send it.
pub(super) fn persists(headers: &[Header], version_minor: u8) -> bool {
    let says = |wanted| {
        has_item(headers, "connection", wanted) || has_item(headers, "proxy-connection", wanted)
    };
    if says("close") {
        false
    } else {
        version_minor >= 1 || says("keep-alive")
    }
}

/// Whether the message asks or agrees to switch protocols in a way that can be passed on.
///
/// HTTP/2 in clear (`h2c`) cannot: its settings travel in a header of their own.
pub(super) fn upgrades(headers: &[Header], version_minor: u8) -> bool {
    version_minor >= 1
        && has_item(headers, "connection", "upgrade")
        && items(headers, "upgrade").next().is_some()
        && !has_item(headers, "upgrade", "h2c")
}

/// Appends the headers that may travel on, each on a line.
///
/// Left out are those that concern one hop (RFC 9110 §7.6.1), those that `Connection` lists, and those
/// that the caller writes itself: lengths, codings, `Connection` and `Host`, and what `takes` does not take.
pub(super) fn write_end_to_end(
    out: &mut Vec<u8>,
    headers: &[Header],
    takes: impl Fn(&str) -> bool,
) {
    for (name, value) in headers {
        if takes(name) && !stays_behind(name) && !has_item(headers, "connection", name) {
            write_header(out, name, value);
        }
    }
}

/// Whether the body is, or would be, in chunks; no other coding is read.
pub(super) fn says_chunked(headers: &[Header]) -> bool {
    has_item(headers, "transfer-encoding", "chunked")
}

/// Appends that the body comes in chunks.
pub(super) fn write_chunked(out: &mut Vec<u8>) {
    write_header(out, "Transfer-Encoding", b"chunked");
}

/// Whether a transfer coding says that there is none; it never goes on, for readers today do not know it.
pub(super) fn is_identity(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"identity")
}

/// Appends `Connection`: the upgrade of `headers` if there is one, otherwise `word`.
pub(super) fn write_connection(out: &mut Vec<u8>, headers: &[Header], upgrade: bool, word: &str) {
    if upgrade {
        for value in values(headers, "upgrade") {
            write_header(out, "Upgrade", value);
        }
    }
    let word = if upgrade { "Upgrade" } else { word };
    write_header(out, "Connection", word.as_bytes());
}

fn stays_behind(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "connection",
        "content-length",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let proxy = name
        .get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case("proxy-"));
    // What proxies on the way say of the answer is for whoever reads it (RFC 9209).
    let proxy = proxy && !name.eq_ignore_ascii_case("proxy-status");
    proxy || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Appends one header line.
pub(super) fn write_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

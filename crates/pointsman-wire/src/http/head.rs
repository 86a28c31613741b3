//! The block of a start line and headers, and what can be asked of it.
//!
//! Invariant: a head is parsed once, when its empty line is there; so a verdict on its headers
//! cannot change with more bytes.

use crate::WhyNot;
use crate::read::{Reader, Stop, malformed};

/// The longest head that is read, in bytes.
pub const MAX_HEAD: usize = 16_384;
/// The most headers a head may have.
pub const MAX_HEADERS: usize = 100;

/// A header: its name as it came, and its value without surrounding white space.
pub type Header = (String, Vec<u8>);

/// How line ends are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// CR LF and nothing else: what a bare LF ends is a matter of opinion, hence of smuggling.
    Strict,
    /// A bare LF will do.
    Lenient,
}

/// Takes the header block that follows the start line, with its empty line.
pub(super) fn headers(reader: &mut Reader<'_>, ends: LineEnds) -> Result<Vec<Header>, Stop> {
    let block = reader.take(block_length(reader.rest(), ends)?)?;
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(block, &mut slots) {
        Ok(httparse::Status::Complete((used, headers))) if used == block.len() => Ok(headers
            .iter()
            .map(|header| (header.name.to_owned(), header.value.trim_ascii().to_vec()))
            .collect()),
        Err(httparse::Error::TooManyHeaders) => Err(Stop::Not(WhyNot::TooLong)),
        Ok(_) | Err(_) => malformed("header line"),
    }
}

/// How long the block is, with the empty line that ends it.
fn block_length(bytes: &[u8], ends: LineEnds) -> Result<usize, Stop> {
    let mut line_start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\n' {
            continue;
        }
        let line = bytes.get(line_start..at).unwrap_or_default();
        let text = match line.strip_suffix(b"\r") {
            Some(text) => text,
            None if ends == LineEnds::Strict => return malformed("line without CR LF"),
            None => line,
        };
        if text.is_empty() {
            return Ok(at + 1);
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
/// that the caller writes itself: lengths, codings, `Connection` and `Host`.
pub(super) fn write_end_to_end(out: &mut Vec<u8>, headers: &[Header]) {
    for (name, value) in headers {
        if !stays_behind(name) && !has_item(headers, "connection", name) {
            write_header(out, name, value);
        }
    }
}

/// Appends the transfer codings as they came, for the body is passed on as it comes.
pub(super) fn write_codings(out: &mut Vec<u8>, headers: &[Header]) {
    for codings in values(headers, "transfer-encoding") {
        write_header(out, "Transfer-Encoding", codings);
    }
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
    const NAMES: [&str; 7] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let proxy = name
        .get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case("proxy-"));
    proxy || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Appends one header line.
pub(super) fn write_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

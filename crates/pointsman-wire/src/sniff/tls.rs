//! The TLS ClientHello (RFC 8446 §4.1.2) over any number of records, or bare.
//!
//! Invariant: while the hello is incomplete only record headers are read; its body is decoded once.
//! Absent: anything after the hello, SSL 2 hellos, the inner hello of ECH.

use std::borrow::Cow;

use crate::WhyNot;
use crate::read::{Reader, Stop, malformed};
use crate::sniff::{Glance, Protocol, name_text};

/// The content type of a handshake record.
pub(super) const HANDSHAKE: u8 = 22;

const CLIENT_HELLO: u8 = 1;
/// Message type and three bytes of length.
const MESSAGE_HEADER: usize = 4;
/// The longest plaintext fragment (RFC 8446 §5.1).
const MAX_FRAGMENT: usize = 1 << 14;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// Reads the hello; with `cut`, no more bytes will ever be shown and what is there must do.
pub(super) fn look(bytes: &[u8], cut: bool) -> Result<(Glance, usize), Stop> {
    let mut glance = Glance::of(Protocol::Tls);
    match walk(bytes)? {
        Walk::Complete { end, length } => {
            let message = gather(bytes, length);
            match decode(&message, &mut glance) {
                Ok(()) => Ok((glance, end)),
                Err(Stop::More) => malformed("ClientHello shorter than its fields"),
                Err(stop) => Err(stop),
            }
        }
        Walk::Partial if cut => match decode(&gather(bytes, usize::MAX), &mut glance) {
            Ok(()) | Err(Stop::More) => Ok((glance, bytes.len())),
            Err(stop) => Err(stop),
        },
        Walk::Partial => Err(Stop::More),
    }
}

/// Reads the message without records, as QUIC carries it; [`Stop::More`] while it is incomplete.
///
/// With `cut`, no more bytes will ever be shown and what is there must do.
pub(super) fn look_at_message(message: &[u8], cut: bool, glance: &mut Glance) -> Result<(), Stop> {
    let mut header = Reader::new(message);
    if header.u8()? != CLIENT_HELLO {
        return Err(Stop::Not(WhyNot::AnotherProtocol));
    }
    let [a, b, c] = header.array::<3>()?.map(usize::from);
    let end = MESSAGE_HEADER + (a << 16 | b << 8 | c);
    match message.get(..end) {
        Some(whole) => match decode(whole, glance) {
            Err(Stop::More) => malformed("ClientHello shorter than its fields"),
            read => read,
        },
        None if cut => match decode(message, glance) {
            Err(Stop::More) => Ok(()),
            read => read,
        },
        None => Err(Stop::More),
    }
}

enum Walk {
    /// The whole message is there: its length, and where in the input it ends.
    Complete { end: usize, length: usize },
    /// All right so far.
    Partial,
}

/// Checks record headers and the message's header, without touching the body.
fn walk(bytes: &[u8]) -> Result<Walk, Stop> {
    let mut header = [0_u8; MESSAGE_HEADER];
    let mut have = 0;
    for record in Records::new(bytes) {
        let fragment = record?;
        for (slot, byte) in header.iter_mut().skip(have).zip(fragment.bytes) {
            *slot = *byte;
        }
        have += fragment.bytes.len();
        if have >= 1 && header[0] != CLIENT_HELLO {
            return Err(Stop::Not(WhyNot::AnotherProtocol));
        }
        if have < MESSAGE_HEADER {
            continue;
        }
        let [_, length @ ..] = header;
        let [a, b, c] = length.map(usize::from);
        let length = MESSAGE_HEADER + (a << 16 | b << 8 | c);
        if have >= length {
            return Ok(Walk::Complete {
                end: fragment.end - (have - length),
                length,
            });
        }
    }
    Ok(Walk::Partial)
}

/// The first `length` bytes of the message, borrowed when one record holds them.
fn gather(bytes: &[u8], length: usize) -> Cow<'_, [u8]> {
    let mut fragments = Records::new(bytes)
        .map_while(Result::ok)
        .map(|fragment| fragment.bytes);
    let first = fragments.next().unwrap_or_default();
    if first.len() >= length {
        return Cow::Borrowed(first.get(..length).unwrap_or_default());
    }
    let mut message = first.to_vec();
    for fragment in fragments {
        message.extend_from_slice(fragment);
        if message.len() >= length {
            message.truncate(length);
            break;
        }
    }
    Cow::Owned(message)
}

/// What is there of one record's fragment.
struct Fragment<'a> {
    bytes: &'a [u8],
    /// The offset in the input just after `bytes`.
    end: usize,
}

/// The handshake records of the input; ends where the input does, or after the first bad header.
struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    failed: bool,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            failed: false,
        }
    }

    /// The length that the next header tells; `None` while the header is incomplete.
    fn header(&self) -> Result<Option<usize>, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let wrong = match self.at {
            0 => WhyNot::AnotherProtocol,
            _ => WhyNot::Malformed("another record within the ClientHello"),
        };
        // Version 3.0 to 3.4; hellos say 3.1 or 3.3. A length above the maximum shows in its first
        // byte, except for the last few.
        let highest = [HANDSHAKE, 3, 4, 0x40];
        let lowest = [HANDSHAKE, 3, 0, 0];
        let within = |(at, byte): (usize, &u8)| (lowest[at]..=highest[at]).contains(byte);
        if !rest.iter().take(4).enumerate().all(within) {
            return Err(Stop::Not(wrong));
        }
        match rest {
            [_, _, _, 0, 0, ..] => malformed("empty handshake record"),
            [_, _, _, high, low, ..] => match usize::from(u16::from_be_bytes([*high, *low])) {
                length if length > MAX_FRAGMENT => Err(Stop::Not(wrong)),
                length => Ok(Some(length)),
            },
            _ => Ok(None),
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Fragment<'a>, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.at >= self.bytes.len() {
            return None;
        }
        let length = match self.header() {
            Ok(length) => length?,
            Err(stop) => {
                self.failed = true;
                return Some(Err(stop));
            }
        };
        let start = self.at + 5;
        self.at = (start + length).min(self.bytes.len());
        Some(Ok(Fragment {
            bytes: self.bytes.get(start..self.at)?,
            end: self.at,
        }))
    }
}

/// Reads the message into `glance`; [`Stop::More`] where it ends inside a field.
fn decode(message: &[u8], glance: &mut Glance) -> Result<(), Stop> {
    let mut hello = Reader::new(message);
    hello.take(MESSAGE_HEADER)?;
    let legacy_version = hello.u16()?;
    if !(0x0300..=0x0304).contains(&legacy_version) {
        return malformed("ClientHello version");
    }
    glance.tls_version = Some(legacy_version);
    let _random: [u8; 32] = hello.array()?;
    let _session = hello.vec8()?;
    let _ciphers = hello.vec16()?;
    let _compressions = hello.vec8()?;
    if hello.is_empty() {
        // Before TLS 1.2 there need be no extensions.
        return Ok(());
    }
    let declared = usize::from(hello.u16()?);
    // The list may be cut; its items are read as far as they go.
    let there = hello.rest();
    let missing = declared > there.len();
    let mut extensions = Reader::new(there.get(..declared).unwrap_or(there));
    let mut named = false;
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let body = Reader::new(extensions.vec16()?);
        match kind {
            // A second server_name is forbidden; the first is what servers that care not take.
            SERVER_NAME if !named => {
                named = true;
                glance.name = server_name(body)?;
            }
            ALPN => glance.alpn = alpn(body)?,
            SUPPORTED_VERSIONS => {
                glance.tls_version = supported_versions(body)?.or(glance.tls_version);
            }
            ENCRYPTED_CLIENT_HELLO => glance.ech = true,
            _ => {}
        }
    }
    if missing { Err(Stop::More) } else { Ok(()) }
}

/// The first host name of the list (RFC 6066 §3).
fn server_name(mut body: Reader<'_>) -> Result<Option<String>, Stop> {
    let mut names = Reader::new(body.vec16()?);
    while !names.is_empty() {
        let host_name = names.u8()? == 0;
        let name = names.vec16()?;
        if host_name {
            return Ok(name_text(name));
        }
    }
    Ok(None)
}

/// The protocol names of the list (RFC 7301 §3.1) that are text and not GREASE.
fn alpn(mut body: Reader<'_>) -> Result<Vec<String>, Stop> {
    let mut names = Reader::new(body.vec16()?);
    let mut found = Vec::new();
    while !names.is_empty() {
        let name = names.vec8()?;
        let grease = matches!(name, [a, b] if a == b && a & 0x0f == 0x0a);
        if grease || !name.iter().all(u8::is_ascii_graphic) {
            continue;
        }
        found.push(String::from_utf8_lossy(name).into_owned());
    }
    Ok(found)
}

/// The highest version of the list (RFC 8446 §4.2.1) that is a known one, which GREASE is not.
fn supported_versions(mut body: Reader<'_>) -> Result<Option<u16>, Stop> {
    let mut versions = Reader::new(body.vec8()?);
    let mut highest = None;
    while !versions.is_empty() {
        let version = versions.u16()?;
        if (0x0300..=0x0304).contains(&version) {
            highest = highest.max(Some(version));
        }
    }
    Ok(highest)
}

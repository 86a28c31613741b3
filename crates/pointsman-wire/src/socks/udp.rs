//! The header of relayed datagrams (RFC 1928 §7), the same in both directions.
//!
//! Invariant: fragments are refused, as the RFC allows and everybody does. A header is written before a
//! payload that is already in its place: nothing is copied for it, nothing allocated.
//! Its user is the relay of datagrams. Absent: what a port of 0, or an address that is none of a host's, means.

use crate::read::bounded;
use crate::socks::address::{self, MAX_ADDRESS};
use crate::{Parse, RequestHost, Unwritable, WhyNot};

/// The longest header, in bytes: the room to leave before a payload.
pub const MAX_UDP_HEADER: usize = 3 + MAX_ADDRESS;

/// Where a relayed datagram goes to, or came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpHeader {
    /// The host.
    pub host: RequestHost,
    /// The port.
    pub port: u16,
}

/// Reads the header of a datagram; the payload follows after the bytes used.
///
/// A datagram never grows, so [`Parse::NeedMore`] means that it is too short. The reserved bytes are not
/// looked at; the payload may be empty.
pub fn parse_udp_header(datagram: &[u8]) -> Parse<UdpHeader> {
    bounded(datagram, MAX_UDP_HEADER, |reader| {
        let _reserved = reader.u16()?;
        if reader.u8()? != 0 {
            return Err(WhyNot::Unsupported("fragmented datagram").into());
        }
        let (host, port) = address::read(reader)?;
        Ok(UdpHeader { host, port })
    })
}

/// How long the header of a datagram is: all that is asked of one whose place is known by its spelling. A name is neither
/// read nor copied.
///
/// What [`parse_udp_header`] reads is as long as this says. It may also tell a length where that declines the name.
#[must_use]
pub fn udp_header_length(datagram: &[u8]) -> Option<usize> {
    let [_, _, 0, kind, rest @ ..] = datagram else {
        return None;
    };
    let length = RESERVED.len() + address::spelled_length(*kind, rest)?;
    (length <= datagram.len()).then_some(length)
}

/// Appends the header of a datagram to `out`, which may be reused: an address allocates nothing more.
/// A name that is declined leaves `out` as it was.
pub fn write_udp_header(
    out: &mut Vec<u8>,
    host: &RequestHost,
    port: u16,
) -> Result<(), Unwritable> {
    let before = out.len();
    out.extend(RESERVED);
    address::write(out, host, port).inspect_err(|_| out.truncate(before))
}

/// Writes the header into `buffer`, right before the payload that begins at `payload_at`.
///
/// Returns where the header begins, which is where the datagram does. A name that is none, and room of
/// less than [`MAX_UDP_HEADER`] bytes that is too small for this header, are declined and nothing is written.
pub fn write_udp_header_before(
    buffer: &mut [u8],
    payload_at: usize,
    host: &RequestHost,
    port: u16,
) -> Result<usize, Unwritable> {
    const TOO_SMALL: Unwritable = Unwritable("no room before the payload");
    let length = RESERVED.len() + address::length(host)?;
    let start = payload_at.checked_sub(length).ok_or(TOO_SMALL)?;
    let room = buffer.get_mut(start..payload_at).ok_or(TOO_SMALL)?;
    let mut slots = Slots(room.iter_mut());
    slots.extend(RESERVED);
    address::write(&mut slots, host, port)?;
    Ok(start)
}

/// Two reserved bytes, and the number of the fragment: it is none.
const RESERVED: [u8; 3] = [0; 3];

/// Places that are written one after the other; there are as many as bytes.
struct Slots<'a>(std::slice::IterMut<'a, u8>);

impl Extend<u8> for Slots<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        for (byte, slot) in bytes.into_iter().zip(&mut self.0) {
            *slot = byte;
        }
    }
}

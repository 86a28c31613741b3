//! The header of relayed datagrams (RFC 1928 §7).
//!
//! Invariant: fragments are refused, as the RFC allows and everybody does.

use crate::read::bounded;
use crate::socks::address::{self, MAX_ADDRESS};
use crate::{Parse, RequestHost, Unwritable, WhyNot};

/// The longest header, in bytes.
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
/// A datagram never grows, so [`Parse::NeedMore`] means that it is too short.
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

/// Appends the header of a datagram to `out`, which may be reused: an address allocates nothing more.
/// A name that is declined leaves `out` as it was.
pub fn write_udp_header(
    out: &mut Vec<u8>,
    host: &RequestHost,
    port: u16,
) -> Result<(), Unwritable> {
    let before = out.len();
    out.extend_from_slice(&[0, 0, 0]);
    address::write(out, host, port).inspect_err(|_| out.truncate(before))
}

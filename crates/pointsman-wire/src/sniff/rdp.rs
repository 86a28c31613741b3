//! RDP: the connection request of X.224 in a TPKT (MS-RDPBCGR §2.2.1.1).
//!
//! Invariant: told by what RDP alone puts behind the request: a cookie, or the protocols it offers.
//! Absent: the bare request of very old clients, which others (ISO over TCP, S7) send as well; the
//! cookie's user name.

use crate::WhyNot;
use crate::read::{Reader, Stop};

/// The version of TPKT, the first byte.
pub(super) const TPKT: u8 = 3;
/// TPKT's header, and the request's without its first byte, which is not counted.
const HEADERS: usize = 11;
const COOKIE: &[u8] = b"Cookie: ";
/// An RDP Negotiation Request; its length is little-endian.
const NEGOTIATION: u8 = 1;

pub(super) fn stream(bytes: &[u8]) -> Result<usize, Stop> {
    let other = WhyNot::AnotherProtocol;
    let mut reader = Reader::new(bytes);
    reader.literal(&[TPKT, 0], other)?;
    let length = usize::from(reader.u16()?);
    let counted = usize::from(reader.u8()?);
    if length <= HEADERS || counted + 5 != length {
        return Err(Stop::Not(other));
    }
    // A connection request to nobody, by anybody, of class 0.
    reader.literal(&[0xe0, 0, 0], other)?;
    let _source = reader.u16()?;
    reader.literal(&[0], other)?;
    let rest = reader.take(length - HEADERS)?;
    let offers = matches!(rest, [NEGOTIATION, _, 8, 0, _, _, _, _, ..]);
    if offers || rest.starts_with(COOKIE) {
        Ok(length)
    } else {
        Err(Stop::Not(other))
    }
}

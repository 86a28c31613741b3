//! STUN (RFC 8489 §5), which TURN, ICE and WebRTC begin with.
//!
//! Invariant: told by its magic cookie and its length. Absent: the STUN of 2003, which has no cookie.

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;

/// Whether a datagram is a STUN message.
pub(super) fn datagram(bytes: &[u8]) -> bool {
    let [kind, _, a, b, cookie @ ..] = bytes else {
        return false;
    };
    // Attributes are padded to four bytes.
    let length = usize::from(u16::from_be_bytes([*a, *b]));
    kind & 0xc0 == 0
        && cookie.starts_with(&COOKIE)
        && length % 4 == 0
        && bytes.len() == HEADER + length
}

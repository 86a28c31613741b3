//! DTLS (RFC 6347 §4, RFC 9147 §5): the record that a ClientHello comes in.
//!
//! Invariant: told by a record of the first epoch that begins a ClientHello and lies in the datagram.
//! Absent: the hello's names, for where it is used (WebRTC, CoAP, VPNs) there are none.

use crate::read::{Reader, Stop, malformed};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Type, length, sequence, and offset and length of the fragment.
const MESSAGE_HEADER: usize = 12;

/// Whether a datagram begins with a ClientHello.
pub(super) fn datagram(bytes: &[u8]) -> bool {
    read(bytes).is_ok()
}

fn read(bytes: &[u8]) -> Result<(), Stop> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    // 1.0, or 1.2 and above.
    let version = reader.u16()?;
    let epoch = reader.u16()?;
    let _sequence: [u8; 6] = reader.array()?;
    let message = reader.vec16()?;
    let told = kind == HANDSHAKE
        && matches!(version, 0xfeff | 0xfefd)
        && epoch == 0
        && message.len() > MESSAGE_HEADER
        && message.first() == Some(&CLIENT_HELLO);
    if told {
        Ok(())
    } else {
        malformed("DTLS ClientHello")
    }
}

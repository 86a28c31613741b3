//! BitTorrent: the handshake between peers (BEP 3), its table of peers (BEP 5), its own transport
//! (BEP 29) and its trackers (BEP 15).
//!
//! Invariant: only what begins a flow is told: later datagrams of µTP have no mark of their own.
//! Absent: encrypted streams (MSE), which are made to look like nothing.

use crate::WhyNot;
use crate::read::{Reader, Stop};

/// The first byte of the handshake: the length of the protocol's name.
pub(super) const NAME_LENGTH: u8 = 19;

const HANDSHAKE: &[u8] = b"\x13BitTorrent protocol";
/// The number that asks a tracker for a connection, and the action "connect".
const CONNECT: &[u8] = b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0";
/// A connect request has a number of its own behind that.
const CONNECT_LENGTH: usize = 16;
/// How questions and answers of the table of peers begin and end: a dictionary in the order of its keys,
/// of which the first holds the arguments, or an address, and the last the kind.
const BEGINS: [&[u8]; 3] = [b"d1:ad", b"d1:rd", b"d2:ip6:"];
const ENDS: [&[u8]; 2] = [b"1:y1:qe", b"1:y1:re"];
/// The number of who speaks; little comes before it.
const ID: &[u8] = b"2:id20:";
const ID_WITHIN: usize = 48;
/// µTP, version 1, type SYN.
const SYN: u8 = 0x41;

pub(super) fn stream(bytes: &[u8]) -> Result<usize, Stop> {
    Reader::new(bytes).literal(HANDSHAKE, WhyNot::AnotherProtocol)?;
    Ok(HANDSHAKE.len())
}

/// Whether a flow's first datagram is BitTorrent's.
pub(super) fn datagram(bytes: &[u8]) -> bool {
    let tracker = bytes.starts_with(CONNECT) && bytes.len() == CONNECT_LENGTH;
    tracker || peers(bytes) || syn(bytes).is_ok()
}

fn peers(bytes: &[u8]) -> bool {
    let start = bytes.get(..ID_WITHIN).unwrap_or(bytes);
    BEGINS.iter().any(|begin| start.starts_with(begin))
        && ENDS.iter().any(|end| bytes.ends_with(end))
        && start.windows(ID.len()).any(|window| window == ID)
}

/// The first packet of a µTP connection: nothing was received, so two fields of it are zero, and it
/// brings no bytes.
fn syn(bytes: &[u8]) -> Result<(), Stop> {
    let not = Stop::Not(WhyNot::AnotherProtocol);
    let mut reader = Reader::new(bytes);
    reader.literal(&[SYN], WhyNot::AnotherProtocol)?;
    let mut extension = reader.u8()?;
    let _connection_and_time: [u8; 6] = reader.array()?;
    let difference: [u8; 4] = reader.array()?;
    let _window_and_sequence: [u8; 6] = reader.array()?;
    let acknowledged = reader.u16()?;
    while extension != 0 {
        extension = reader.u8()?;
        reader.vec8()?;
    }
    let first = difference == [0; 4] && acknowledged == 0 && reader.is_empty();
    if first { Ok(()) } else { Err(not) }
}

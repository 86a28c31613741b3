//! NTP (RFC 5905 §7.3): a client's question.
//!
//! Invariant: the length, mode, version, stratum and interval all fit; there is no mark that says more,
//! so this is asked last. Absent: answers, versions before 3, private and control messages.

use crate::read::{Reader, Stop, malformed};

const HEADER: usize = 48;
/// A key's number, and an MD5 or SHA-1 digest behind the header.
const WITH_DIGEST: [usize; 2] = [HEADER + 20, HEADER + 24];
const CLIENT: u8 = 3;

/// Whether a datagram is a client's question.
pub(super) fn datagram(bytes: &[u8]) -> bool {
    let [first, stratum, interval, ..] = bytes else {
        return false;
    };
    let (version, mode) = (first >> 3 & 0b111, first & 0b111);
    // The interval is a power of two, 2^17 seconds at most.
    let plausible = matches!(version, 3 | 4) && mode == CLIENT && *stratum <= 16 && *interval <= 17;
    let behind = bytes.get(HEADER..);
    plausible
        && (WITH_DIGEST.contains(&bytes.len())
            || behind.is_some_and(|fields| extensions(fields).is_ok()))
}

/// Extension fields up to the end (RFC 7822 §3), as secured NTP has them (RFC 8915).
fn extensions(fields: &[u8]) -> Result<(), Stop> {
    let mut reader = Reader::new(fields);
    while !reader.is_empty() {
        let _kind = reader.u16()?;
        let length = usize::from(reader.u16()?);
        if length < 16 || length % 4 != 0 {
            return malformed("extension field");
        }
        reader.take(length - 4)?;
    }
    Ok(())
}

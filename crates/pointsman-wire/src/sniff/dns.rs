//! DNS queries (RFC 1035 §4, RFC 7766), told by their structure and not by a port.
//!
//! Invariant: the whole message is accounted for, so that chance makes none.
//! Absent: answers, updates, notifications, several questions at once, NetBIOS names in DNS' clothes;
//! and the name that is asked for, which is not where the flow goes.

use crate::WhyNot;
use crate::read::{Reader, Stop};

/// The shortest query: a header, the root, type and class.
const MIN: usize = 12 + 1 + 2 + 2;
/// The longest that is told over a stream, where queries have about 100 bytes.
const MAX: usize = 0x2ff;

/// Reads a query behind its length, as streams carry it.
pub(super) fn stream(bytes: &[u8]) -> Result<usize, Stop> {
    let mut reader = Reader::new(bytes);
    let length = usize::from(reader.u16()?);
    if !(MIN..=MAX).contains(&length) {
        return not();
    }
    let there = reader.rest();
    match (query(there.get(..length).unwrap_or(there)), there.len()) {
        (Ok(()), there) if there >= length => Ok(2 + length),
        (Err(Stop::More) | Ok(()), there) if there < length => Err(Stop::More),
        _ => not(),
    }
}

/// Whether a datagram is a query.
pub(super) fn datagram(bytes: &[u8]) -> bool {
    query(bytes).is_ok()
}

fn query(message: &[u8]) -> Result<(), Stop> {
    let mut reader = Reader::new(message);
    let _id = reader.u16()?;
    // A standard query, not truncated; recursion may be desired, and of the other bits "authentic
    // data" and "checking disabled" may be set (RFC 6840 §5.7).
    let [high, low] = reader.array()?;
    if high & !0x01 != 0 || low & !0x30 != 0 {
        return not();
    }
    let [questions, answers, authorities, additional] =
        [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    // EDNS and a signature at most.
    if (questions, answers, authorities) != (1, 0, 0) || additional > 2 {
        return not();
    }
    name(&mut reader)?;
    let (kind, class) = (reader.u16()?, reader.u16()?);
    // The Internet, Chaos (`version.bind`), any; multicast DNS uses the first bit (RFC 6762 §5.4).
    if kind == 0 || !matches!(class & 0x7fff, 1 | 3 | 255) {
        return not();
    }
    for _ in 0..additional {
        name(&mut reader)?;
        let _kind_class_ttl: [u8; 8] = reader.array()?;
        reader.vec16()?;
    }
    if reader.is_empty() { Ok(()) } else { not() }
}

/// Passes over a name, which is not compressed: there is nothing before it to point to.
fn name(reader: &mut Reader<'_>) -> Result<(), Stop> {
    let mut length = 0;
    loop {
        let label = match reader.rest().first() {
            Some(0..=63) => reader.vec8()?,
            Some(_) => return not(),
            None => return Err(Stop::More),
        };
        if label.is_empty() {
            return Ok(());
        }
        // 16 bytes in halves, each half a letter from A to P (RFC 1001 §14.1).
        let netbios = label.len() == 32 && label.iter().all(|byte| (b'A'..=b'P').contains(byte));
        length += 1 + label.len();
        if length > 254 || netbios {
            return not();
        }
    }
}

fn not<T>() -> Result<T, Stop> {
    Err(Stop::Not(WhyNot::AnotherProtocol))
}

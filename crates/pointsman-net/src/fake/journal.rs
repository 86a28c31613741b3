//! Names and their slots in bytes, one behind the other: what was written last counts, and what breaks off is left out.
//!
//! A line with the version, a line with the ranges; then for each name its length (one byte), its slot (four, the high
//! one first), itself, and four bytes of a keyed hash of all that. Total over any bytes.

use pointsman_policy::Domain;
use pointsman_policy::set::Key;
use pointsman_policy::set::keyed_hash;

const VERSION: &str = "pointsman fake addresses 1\n";

/// The bytes of a name, beside itself.
const FIXED: usize = 1 + 4 + 4;

/// What a journal says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// In the order written.
    pub(super) names: Vec<(Domain, u32)>,
    /// Bytes at the end that say nothing: what was being written when the daemon was ended, or the disk was full.
    pub(super) torn: usize,
}

/// The beginning of a journal of these ranges.
pub(super) fn header(ranges: &str) -> Vec<u8> {
    format!("{VERSION}{ranges}\n").into_bytes()
}

/// Appends a name.
pub(super) fn write(key: Key, name: &Domain, slot: u32, out: &mut Vec<u8>) {
    let text = name.as_str().as_bytes();
    // Names have at most 253 bytes.
    let Ok(length) = u8::try_from(text.len()) else {
        return;
    };
    let begin = out.len();
    out.push(length);
    out.extend(slot.to_be_bytes());
    out.extend_from_slice(text);
    let sum = sum(key, &out[begin..]);
    out.extend(sum);
}

/// Reads a journal; `None` where it is none, or of other ranges.
pub(super) fn read(key: Key, ranges: &str, bytes: &[u8]) -> Option<Read> {
    let mut rest = bytes.strip_prefix(header(ranges).as_slice())?;
    let mut names = Vec::new();
    while let Some((name, slot, behind)) = one(key, rest) {
        names.push((name, slot));
        rest = behind;
    }
    Some(Read {
        names,
        torn: rest.len(),
    })
}

fn one(key: Key, bytes: &[u8]) -> Option<(Domain, u32, &[u8])> {
    let length = FIXED + usize::from(*bytes.first()?);
    let (record, behind) = bytes.split_at_checked(length)?;
    let (said, own) = record.split_at_checked(length - 4)?;
    if own != sum(key, said) {
        return None;
    }
    let slot = u32::from_be_bytes(*said.get(1..5)?.first_chunk()?);
    let name = std::str::from_utf8(said.get(5..)?).ok()?;
    Some((Domain::parse(name).ok()?, slot, behind))
}

fn sum(key: Key, bytes: &[u8]) -> [u8; 4] {
    let [.., a, b, c, d] = keyed_hash(key, bytes).to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([7, 9]);

    fn journal(names: &[(&str, u32)]) -> Vec<u8> {
        let mut bytes = header("198.18.0.0/15 -");
        for (name, slot) in names {
            write(KEY, &Domain::parse(name).unwrap(), *slot, &mut bytes);
        }
        bytes
    }

    #[test]
    fn what_was_written_is_read_and_what_breaks_off_is_not() {
        let all = [("a.test", 7), ("b.test", 70_000), ("a.test", 8)];
        let bytes = journal(&all);
        let read = |bytes: &[u8]| read(KEY, "198.18.0.0/15 -", bytes);
        let names = |count: usize| {
            let named = all[..count].iter();
            named
                .map(|(name, slot)| (Domain::parse(name).unwrap(), *slot))
                .collect::<Vec<_>>()
        };
        let whole = read(&bytes).unwrap();
        assert_eq!((whole.names, whole.torn), (names(3), 0));
        let (one, record) = (journal(&all[..1]).len(), 6 + FIXED);
        for cut in one..bytes.len() {
            let left = read(&bytes[..cut]).unwrap();
            let count = 1 + (cut - one) / record;
            assert_eq!(left.names, names(count), "{cut}");
            assert_eq!(left.torn, (cut - one) % record);
        }
        // Neither another key, other ranges, nor another file.
        assert_eq!(
            super::read(Key([7, 8]), "198.18.0.0/15 -", &bytes)
                .unwrap()
                .names,
            []
        );
        assert_eq!(super::read(KEY, "198.18.0.0/16 -", &bytes), None);
        assert_eq!(read(b"{}"), None);
        for at in one..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x20;
            let count = 1 + (at - one) / record;
            assert_eq!(read(&flipped).unwrap().names, names(count), "{at}");
        }
    }
}

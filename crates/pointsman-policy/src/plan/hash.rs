//! Keyed hashes of what rules look for, 32 bits each. Those of names are halves of the fingerprints by which rule sets
//! know them, so a walk that comes to both computes them once.
//!
//! Invariant: equal things have equal hashes. The converse is not needed: who shares a hash by accident is visited
//! in vain. Nobody who lacks the key can have many share one.

use std::net::IpAddr;

use crate::address::Prefix;
use crate::key::Key;

/// Never the hash of anything: ends a table.
pub(super) const NO_HASH: u32 = u32::MAX;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);

/// What makes a hash of one kind differ from the same value's of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(pub(super) u16);

/// Hashes under one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    first: u64,
    second: u64,
}

impl Hasher {
    pub(super) fn new(Key([first, second]): Key) -> Self {
        // A key of zeros would be multiplied to zeros.
        Self {
            first: first ^ 0x9e37_79b9_7f4a_7c15,
            second: second ^ 0xd1b5_4a32_d192_ed03,
        }
    }

    pub(crate) fn number(&self, tag: Tag, number: u64) -> u32 {
        done(self.take(self.begin(tag), number))
    }

    /// The range of `length` bits that holds `address`.
    pub(crate) fn prefix(&self, tag: Tag, address: IpAddr, length: u8) -> u32 {
        match Prefix::new(address, length).address() {
            IpAddr::V4(v4) => self.number(tag, u64::from(v4.to_bits()) << 8 | u64::from(length)),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                let state = self.take(self.begin(tag), (bits >> 64) as u64);
                let state = self.take(state, bits as u64);
                done(self.take(state, u64::from(length)))
            }
        }
    }

    /// The aligned range of ports whose first `length` bits are `port`'s.
    pub(crate) fn ports(&self, tag: Tag, port: u16, length: u8) -> u32 {
        let first = u32::from(port) >> (16 - u32::from(length.min(16)));
        self.number(tag, u64::from(first) << 8 | u64::from(length))
    }

    pub(crate) fn text(&self, tag: Tag, text: &str) -> u32 {
        done(self.bytes(self.begin(tag), text.as_bytes(), |word| word))
    }

    /// As [`Self::text`] of the same in ASCII lower case.
    pub(crate) fn folded(&self, tag: Tag, text: &str) -> u32 {
        done(self.bytes(self.begin(tag), text.as_bytes(), lower))
    }

    fn begin(&self, tag: Tag) -> u64 {
        self.take(self.first, u64::from(tag.0))
    }

    /// Eight bytes a step; the last step holds the rest and its length.
    #[inline]
    fn bytes(&self, mut state: u64, text: &[u8], each: impl Fn(u64) -> u64) -> u64 {
        let (chunks, last) = text.as_chunks::<8>();
        for chunk in chunks {
            state = self.take(state, each(u64::from_be_bytes(*chunk)));
        }
        let rest = last
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.take(state, each(rest) | (last.len() as u64 + 1) << 56)
    }

    #[inline]
    fn take(&self, state: u64, word: u64) -> u64 {
        let product = u128::from(state ^ word) * u128::from(self.second);
        (product as u64) ^ ((product >> 64) as u64) ^ self.first
    }
}

/// Of a name, half of its fingerprint; `kind` tells what the rule looks for in it. A name's hashes are neighbours.
#[inline]
pub(crate) fn of_name(fingerprint: u64, kind: u8) -> u32 {
    ((fingerprint >> 32) as u32 ^ u32::from(kind)).min(NO_HASH - 1)
}

/// Eight characters in ASCII lower case.
#[inline]
fn lower(word: u64) -> u64 {
    let low = word & !HIGHEST;
    let behind_z = low + ONES * u64::from(0x7f - b'Z');
    let from_a = low + ONES * u64::from(0x80 - b'A');
    let upper = from_a & !behind_z & !word & HIGHEST;
    word | upper >> 2
}

fn done(state: u64) -> u32 {
    ((state >> 32) as u32).min(NO_HASH - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn hashes_tell_things_apart() {
        let hasher = Hasher::new(Key::default());
        let mut seen = HashSet::new();
        let mut add = |hash: u32, what: &str| assert!(seen.insert(hash), "{what}");
        for tag in [Tag(1), Tag(2)] {
            for text in ["", "a", "ab", "abcdefgh", "abcdefgh\0", "abcdefghi", "\0"] {
                add(hasher.text(tag, text), text);
            }
            for length in 0..=32 {
                add(hasher.prefix(tag, [255; 4].into(), length), "v4");
            }
            for length in 0..=128 {
                add(hasher.prefix(tag, [255; 16].into(), length), "v6");
            }
            for length in 0..=16 {
                add(hasher.ports(Tag(tag.0 + 2), u16::MAX, length), "port");
            }
        }
    }

    #[test]
    fn folding_is_the_hash_of_the_lower_case() {
        let hasher = Hasher::new(Key([1, 2]));
        for text in [
            "",
            "curl",
            "CURL",
            "Firefox Web Content",
            "@AZ[`az{",
            "Ä",
            "IIIIIIIII\u{e9}IIIIII",
        ] {
            assert_eq!(
                hasher.folded(Tag(1), text),
                hasher.text(Tag(1), &text.to_ascii_lowercase()),
                "{text}"
            );
        }
    }
}

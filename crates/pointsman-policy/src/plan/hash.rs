//! Keyed hashes of what rules look for, 32 bits each.
//!
//! Invariant: equal things have equal hashes. The converse is not needed: who shares a hash by accident is visited
//! in vain. Nobody who lacks the key can have many share one.

use std::net::IpAddr;

use crate::address::Prefix;
use crate::set::Key;

/// Never the hash of anything: ends a table.
pub(super) const NO_HASH: u32 = u32::MAX;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const DOTS: u64 = u64::from_ne_bytes([b'.'; 8]);
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

    /// Calls `each` with every ancestor of a name, the last label first: the number of its labels and a state
    /// to be finished by [`Self::name`]. One pass from the right, eight characters a step.
    #[inline]
    pub(crate) fn labels(&self, name: &str, mut each: impl FnMut(usize, u64)) {
        let bytes = name.as_bytes();
        let (mut state, mut end, mut labels) = (self.first, bytes.len(), 0);
        loop {
            let (word, held) = before(bytes, end);
            let dots = word ^ DOTS;
            // The lowest bit that is set belongs to the last dot; those above may be wrong.
            let last_dot = dots.wrapping_sub(ONES) & !dots & HIGHEST;
            if last_dot == 0 && held == 8 {
                state = self.take(state, word);
                end -= 8;
                continue;
            }
            let length = (last_dot.trailing_zeros() / 8).min(held);
            let label = word & ((1 << (8 * length)) - 1);
            state = self.take(state, label | (u64::from(length) + 1) << 56);
            labels += 1;
            each(labels, state);
            if last_dot == 0 {
                return;
            }
            end -= length as usize + 1;
        }
    }

    pub(crate) fn name(&self, tag: Tag, state: u64) -> u32 {
        done(self.take(state, u64::from(tag.0)))
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

/// The up to eight characters before `end`, the last of them lowest, and how many they are.
#[inline]
fn before(bytes: &[u8], end: usize) -> (u64, u32) {
    if let Some(eight) = end.checked_sub(8).and_then(|from| bytes.get(from..end))
        && let Ok(eight) = eight.try_into()
    {
        return (u64::from_be_bytes(eight), 8);
    }
    let few = bytes.get(..end).unwrap_or_default();
    let word = few
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    (word, few.len() as u32)
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
        for name in ["com", "a.com", "b.a.com", "acom"] {
            let mut last = 0;
            hasher.labels(name, |_, state| last = state);
            add(hasher.name(Tag(1), last), name);
            add(hasher.name(Tag(2), last), name);
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

    #[test]
    fn an_ancestor_has_its_own_hash() {
        let hasher = Hasher::new(Key([1, 2]));
        let of = |name: &str| {
            let mut states = Vec::new();
            hasher.labels(name, |_, state| states.push(state));
            states
        };
        assert_eq!(of("a.b.example.com")[..2], of("example.com")[..]);
        assert_ne!(of("ab.com"), of("a.com"));
        for length in 1..30 {
            let name = format!("{}.example.{}", "a".repeat(length), "b".repeat(length));
            let states = of(&name);
            assert_eq!(states.len(), 3, "{name}");
            assert_eq!(states[..1], of(&"b".repeat(length))[..], "{name}");
            assert_eq!(states[..2], of(&name[length + 1..])[..], "{name}");
        }
    }
}

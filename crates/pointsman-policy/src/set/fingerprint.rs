//! Fingerprints of a name and of all its ancestors, in one pass from the right.
//!
//! A fingerprint is the SipHash-1-3, under the process's key, of the name's labels from the right, each
//! written in 64-bit words: eight characters a word from the label's end, then a word of the rest whose top
//! byte is 0x80 plus their number. Names are ASCII, so that byte marks the label's end and no two names
//! have one writing. The writing of an ancestor is a beginning of its descendant's: one pass gives all.
//!
//! Invariant: the work is linear in the name's length, whatever its labels are.

use super::sip::Sip;
use crate::domain::{Domain, Name};
use crate::key::Key;

/// The most labels that a name of 253 bytes has.
pub(crate) const MOST_LABELS: usize = 127;
/// The last labels whose fingerprints are kept: few lists hold deeper names, whatever names are asked for.
const KEPT: usize = 16;
const DOTS: u64 = u64::from_ne_bytes([b'.'; 8]);

/// The fingerprints of a name and its ancestors: computed once for a decision, good for every set.
#[derive(Clone, Debug)]
pub struct Fingerprints<'n> {
    name: &'n Domain,
    key: Key,
    labels: usize,
    /// That of the last label first.
    kept: [u64; KEPT],
}

impl<'n> Fingerprints<'n> {
    /// Those of `name` under `key`. Allocates nothing.
    #[must_use]
    #[inline]
    pub fn of(key: Key, name: &'n Domain) -> Self {
        let mut kept = [0; KEPT];
        let labels = fill(key, name.into(), &mut kept);
        Self {
            name,
            key,
            labels,
            kept,
        }
    }

    /// The name that they are of.
    #[must_use]
    pub fn name(&self) -> &'n Domain {
        self.name
    }

    /// The key that they were computed under.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// How many labels the name has.
    pub(crate) fn labels(&self) -> usize {
        self.labels
    }

    /// That of the last label first: all, or as many as are kept.
    pub(crate) fn kept(&self) -> &[u64] {
        self.kept.get(..self.labels).unwrap_or(&self.kept)
    }

    /// All, for lists of names so deep that those kept do not suffice.
    #[cold]
    pub(crate) fn all(&self) -> [u64; MOST_LABELS] {
        let mut all = [0; MOST_LABELS];
        fill(self.key, self.name.into(), &mut all);
        all
    }
}

/// The fingerprint of one name, and the number of its labels.
pub(crate) fn fingerprint(key: Key, name: Name<'_>) -> (u64, usize) {
    let mut last = 0;
    let mut labels = 0;
    walk(key, name, |sip, end| {
        labels += 1;
        if end {
            last = sip.finish();
        }
    });
    (last, labels)
}

/// Fills in as many as there is room for; tells how many there are.
fn fill(key: Key, name: Name<'_>, chain: &mut [u64]) -> usize {
    let mut labels = 0;
    walk(key, name, |sip, _| {
        if let Some(place) = chain.get_mut(labels) {
            *place = sip.finish();
        }
        labels += 1;
    });
    labels
}

/// Calls `label` behind each label from the right, and says whether it was the name's first.
#[inline]
fn walk(key: Key, name: Name<'_>, mut label: impl FnMut(&Sip, bool)) {
    let bytes = name.as_str().as_bytes();
    let mut sip = Sip::new(key);
    let mut end = bytes.len();
    loop {
        let word = before(bytes, end);
        let length = before_dot(word);
        if length == 8 {
            sip.take(word);
            end -= 8;
            continue;
        }
        let rest = word & ((1 << (8 * length)) - 1);
        sip.take(rest | ((0x80 | u64::from(length)) << 56));
        end -= length as usize;
        label(&sip, end == 0);
        if end == 0 {
            return;
        }
        end -= 1;
    }
}

/// The eight characters before `end`, the last of them lowest; dots stand before the name's first.
#[inline]
fn before(bytes: &[u8], end: usize) -> u64 {
    if let Some(eight) = end.checked_sub(8).and_then(|from| bytes.get(from..end))
        && let Ok(eight) = eight.try_into()
    {
        return u64::from_be_bytes(eight);
    }
    if let Some(first) = bytes.first_chunk() {
        let missing = 8 * (8 - end as u32);
        let present = u64::from_be_bytes(*first).checked_shr(missing).unwrap_or(0);
        return present | DOTS.checked_shl(64 - missing).unwrap_or(0);
    }
    let mut word = DOTS;
    for byte in bytes.iter().take(end) {
        word = (word << 8) | u64::from(*byte);
    }
    word
}

/// How many characters stand behind the last dot in a word; 8 when there is none.
#[inline]
fn before_dot(word: u64) -> u32 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let zero_where_dot = word ^ DOTS;
    let found = zero_where_dot.wrapping_sub(ONES) & !zero_where_dot & (ONES << 7);
    found.trailing_zeros() / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documented writing, spelled out.
    fn plainly(key: Key, name: &str) -> u64 {
        let mut sip = Sip::new(key);
        for label in name.rsplit('.') {
            let mut rest = label;
            while rest.len() >= 8 {
                let (head, tail) = rest.split_at(rest.len() - 8);
                sip.take(
                    tail.bytes()
                        .fold(0, |word, byte| word << 8 | u64::from(byte)),
                );
                rest = head;
            }
            let word = rest
                .bytes()
                .fold(0, |word, byte| word << 8 | u64::from(byte));
            sip.take(word | (0x80 + rest.len() as u64) << 56);
        }
        sip.finish()
    }

    #[test]
    fn one_pass_gives_what_each_ancestor_gives_alone() {
        let key = Key([3, 5]);
        let long = [
            &*"a".repeat(63),
            &"b".repeat(63),
            &"c".repeat(63),
            &"d".repeat(61),
        ]
        .join(".");
        let deep = vec!["x"; 127].join(".");
        let names = [
            "a",
            "ab.c",
            "www.example.com",
            "a.b.c.d.e.f.g.h",
            "a.b.c.d.e.f.g.h.i",
            "seven77.com",
            "eight888.com",
            "nine99999.com",
            "sixteen-letters-.eight888",
            &long,
            &deep,
        ];
        for name in names {
            let domain = Domain::parse(name).unwrap();
            let prints = Fingerprints::of(key, &domain);
            let expected: Vec<_> = domain.ancestors().map(|name| plainly(key, name)).collect();
            assert_eq!(prints.labels(), expected.len(), "{name}");
            let got = prints.kept().to_vec();
            let near = expected.iter().rev().take(KEPT).copied();
            assert_eq!(got, near.collect::<Vec<_>>(), "{name}");
            let all = prints.all();
            assert!(all.iter().zip(expected.iter().rev()).all(|(a, b)| a == b));
            let alone = fingerprint(key, Name::from(&domain));
            assert_eq!(alone, (expected[0], expected.len()), "{name}");
        }
        assert_eq!(deep.len(), 253);
        assert_ne!(plainly(Key([0, 0]), "a.b"), plainly(Key([0, 1]), "a.b"));
    }
}

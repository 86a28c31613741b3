//! The succinct trie that `.srs` and `.mrs` keep names in: reading, walking, making.
//!
//! A trie's nodes are numbered level by level from the root, 0. `leaves` has a bit for each node that
//! ends a key; `shape` has, node after node, a 0 for each child and a 1 at its end; `labels` has the
//! byte that leads to each node but the root, in the order of their numbers. (LOUDS; Jacobson 1989.)
//! Keys are names written backwards, character by character.
//!
//! Invariant: a walk ends whatever the bits say: each child has a greater number than its parent.

use super::Unreadable;
use super::packed::Packed;

/// The longest key that is walked: no name and no pattern of names needs more.
const MAX_KEY: usize = 1024;

/// Ones between two that are noted.
const STEP: usize = 64;

/// A trie in memory: some two bits and a byte for each node.
pub(super) struct Trie {
    leaves: Vec<u64>,
    shape: Vec<u64>,
    labels: Vec<u8>,
    /// The place behind every [`STEP`]th one of `shape`, the first being place 0.
    marks: Vec<usize>,
}

/// A key of a trie, while it is walked.
pub(super) struct Key<'t> {
    trie: &'t Trie,
    node: usize,
    /// The nodes above, the root first.
    above: &'t [Step],
    /// The key, turned around: the name from its left.
    pub(super) text: &'t str,
}

/// A node that is being walked: its number, and the place of its next bit in `shape`.
#[derive(Clone, Copy)]
struct Step {
    node: usize,
    at: usize,
}

impl Trie {
    /// Checks that the parts fit together.
    pub(super) fn new(
        leaves: Vec<u64>,
        shape: Vec<u64>,
        labels: Vec<u8>,
    ) -> Result<Self, Unreadable> {
        let mut marks = vec![0];
        let mut ones = 0;
        for (at, word) in shape.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                ones += 1;
                if ones % STEP == 0 {
                    marks.push(at * 64 + word.trailing_zeros() as usize + 1);
                }
                word &= word - 1;
            }
        }
        // A root without a child and without an end is an empty trie.
        if ones != labels.len() + 1 && !(labels.is_empty() && ones == 0) {
            return Err(Unreadable::malformed(
                "the index of names in the list is damaged",
            ));
        }
        Ok(Self {
            leaves,
            shape,
            labels,
            marks,
        })
    }

    /// Reads `leaves`, `shape` and `labels`, each behind its length.
    pub(super) fn read(
        bytes: &mut Packed<'_>,
        length: fn(&mut Packed<'_>) -> Result<u64, Unreadable>,
    ) -> Result<Self, Unreadable> {
        let count = length(bytes)?;
        let leaves = bytes.words(count)?;
        let count = length(bytes)?;
        let shape = bytes.words(count)?;
        let count = length(bytes)?;
        let labels = bytes.bytes(count)?;
        Self::new(leaves, shape, labels)
    }

    /// Calls `each` with every key, in the order of their bytes.
    pub(super) fn walk(
        &self,
        mut each: impl FnMut(Key<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let damaged = || Unreadable::malformed("the index of names in the list is damaged");
        if self.labels.is_empty() {
            return Ok(());
        }
        // The key stands at the end, so that it reads from its left.
        let mut key = [0; MAX_KEY];
        let mut turned = String::new();
        let mut path = vec![Step { node: 0, at: 0 }];
        while let Some(step) = path.last_mut() {
            let place = step.at;
            step.at += 1;
            if bit(&self.shape, place).ok_or_else(damaged)? {
                path.pop();
                continue;
            }
            let child = place - step.node + 1;
            let label = self.labels.get(child - 1).ok_or_else(damaged)?;
            if child <= step.node {
                return Err(damaged());
            }
            let depth = path.len();
            let start = MAX_KEY.checked_sub(depth).ok_or_else(damaged)?;
            key[start] = *label;
            if bit(&self.leaves, child).unwrap_or(false) {
                let text = if key[start..].is_ascii() {
                    std::str::from_utf8(&key[start..]).map_err(|_ascii| damaged())?
                } else {
                    turn(&key[start..], &mut turned).ok_or_else(damaged)?
                };
                each(Key {
                    trie: self,
                    node: child,
                    above: &path,
                    text,
                })?;
            }
            let at = self.children(child).ok_or_else(damaged)?;
            path.push(Step { node: child, at });
        }
        Ok(())
    }

    /// The place of a node's first bit in `shape`: behind as many ones as there are nodes before.
    fn children(&self, node: usize) -> Option<usize> {
        let mut at = *self.marks.get(node / STEP)?;
        let mut missing = node % STEP;
        if missing == 0 {
            return Some(at);
        }
        loop {
            let word = *self.shape.get(at / 64)? >> (at % 64);
            let ones = word.count_ones() as usize;
            if ones >= missing {
                let mut word = word;
                for _ in 1..missing {
                    word &= word - 1;
                }
                return Some(at + word.trailing_zeros() as usize + 1);
            }
            missing -= ones;
            at = (at / 64 + 1) * 64;
        }
    }

    /// The child of a node behind a label.
    fn child(&self, node: usize, label: u8) -> Option<usize> {
        let mut at = self.children(node)?;
        while bit(&self.shape, at) == Some(false) {
            let child = at.checked_sub(node)? + 1;
            if self.labels.get(child - 1) == Some(&label) {
                return Some(child);
            }
            at += 1;
        }
        None
    }

    fn ends(&self, node: usize) -> bool {
        bit(&self.leaves, node).unwrap_or(false)
    }

    /// Makes a trie of keys (already turned around). They are sorted here.
    pub(super) fn make(mut keys: Vec<Vec<u8>>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        let (mut leaves, mut shape, mut labels) = (Bits::default(), Bits::default(), Vec::new());
        // Each node: the keys that go through it, and how many of their bytes lead to it.
        let mut level = std::collections::VecDeque::from([(0, keys.len(), 0)]);
        while let Some((mut from, to, depth)) = level.pop_front() {
            let ends = keys.get(from).is_some_and(|key| key.len() == depth);
            leaves.push(ends);
            from += usize::from(ends);
            while from < to {
                let label = keys[from][depth];
                let same = keys[from..to].partition_point(|key| key[depth] == label);
                level.push_back((from, from + same, depth + 1));
                labels.push(label);
                shape.push(false);
                from += same;
            }
            shape.push(true);
        }
        Self {
            leaves: leaves.trimmed(),
            shape: shape.words,
            labels,
            marks: Vec::new(),
        }
    }

    /// The parts, as they are written: leaves, shape, labels.
    pub(super) fn parts(&self) -> (&[u64], &[u64], &[u8]) {
        (&self.leaves, &self.shape, &self.labels)
    }
}

impl Key<'_> {
    /// Whether the trie also has this key with `.` and then `sign` behind it.
    pub(super) fn also_below(&self, sign: u8) -> bool {
        let dot = self.trie.child(self.node, b'.');
        let sign = dot.and_then(|dot| self.trie.child(dot, sign));
        sign.is_some_and(|node| self.trie.ends(node))
    }

    /// Whether the trie also has this key without its last two bytes (`.` and a sign).
    pub(super) fn also_above(&self) -> bool {
        let two_up = self.above.len().checked_sub(2);
        two_up
            .and_then(|at| self.above.get(at))
            .is_some_and(|step| step.node != 0 && self.trie.ends(step.node))
    }
}

fn bit(words: &[u64], at: usize) -> Option<bool> {
    words.get(at / 64).map(|word| word >> (at % 64) & 1 == 1)
}

/// `backwards` has the bytes of the name, each character's turned around: puts them right.
fn turn<'b>(backwards: &[u8], buffer: &'b mut String) -> Option<&'b str> {
    let bytes: Vec<u8> = backwards.iter().rev().copied().collect();
    let text = String::from_utf8(bytes).ok()?;
    buffer.clear();
    buffer.extend(text.chars().rev());
    Some(buffer)
}

#[derive(Default)]
struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.length.is_multiple_of(64) {
            self.words.push(0);
        }
        if let Some(word) = self.words.last_mut() {
            *word |= u64::from(bit) << (self.length % 64);
        }
        self.length += 1;
    }

    /// Without the words behind the last one that is set, as the formats have it.
    fn trimmed(mut self) -> Vec<u64> {
        while self.words.len() > 1 && self.words.last() == Some(&0) {
            self.words.pop();
        }
        self.words
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(trie: &Trie) -> Trie {
        let (leaves, shape, labels) = trie.parts();
        Trie::new(leaves.to_vec(), shape.to_vec(), labels.to_vec()).unwrap()
    }

    fn keys(trie: &Trie) -> Vec<String> {
        let mut all = Vec::new();
        trie.walk(|key| {
            all.push(key.text.to_owned());
            Ok(())
        })
        .unwrap();
        all
    }

    fn turned(text: &str) -> Vec<u8> {
        text.chars().rev().collect::<String>().into_bytes()
    }

    #[test]
    fn a_name_finds_its_wildcard_and_a_wildcard_its_name() {
        let names = ["a.b", "+.a.b", "+.c", "bü.de", "d"];
        let trie = again(&Trie::make(names.iter().map(|n| turned(n)).collect()));
        let mut seen = Vec::new();
        trie.walk(|key| {
            seen.push((key.text.to_owned(), key.also_below(b'+'), key.also_above()));
            Ok(())
        })
        .unwrap();
        seen.sort();
        let seen: Vec<_> = seen.iter().map(|(t, b, a)| (t.as_str(), *b, *a)).collect();
        let expected = [
            ("+.a.b", false, true),
            ("+.c", false, false),
            ("a.b", true, false),
            ("bü.de", false, false),
            ("d", false, false),
        ];
        assert_eq!(seen, expected);
    }

    proptest! {
        #[test]
        fn what_is_made_is_walked(mut names in prop::collection::vec("[a-c.]{1,9}", 0..300)) {
            let trie = again(&Trie::make(names.iter().map(|n| turned(n)).collect()));
            let mut walked = keys(&trie);
            walked.sort();
            names.sort();
            names.dedup();
            prop_assert_eq!(walked, names);
        }

        #[test]
        fn any_bits_are_walked_to_an_end(
            leaves in prop::collection::vec(any::<u64>(), 0..4),
            shape in prop::collection::vec(any::<u64>(), 0..4),
            labels in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            if let Ok(trie) = Trie::new(leaves, shape, labels) {
                let mut count = 0;
                let _damaged = trie.walk(|key| {
                    let _ = (key.also_below(b'+'), key.also_above());
                    count += 1;
                    Ok(())
                });
                prop_assert!(count <= trie.labels.len());
            }
        }
    }
}

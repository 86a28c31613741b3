//! The succinct trie that `.srs` and `.mrs` keep names in: reading, walking, making.
//!
//! A trie's nodes are numbered level by level from the root, 0. `leaves` has a bit for each node that
//! ends a key; `shape` has, node after node, a 0 for each child and a 1 at its end; `labels` has the
//! byte that leads to each node but the root, in the order of their numbers. (LOUDS; Jacobson 1989.)
//! Keys are names written backwards, character by character.
//!
//! A walk in the order of keys meets the nodes of each level in the order of their numbers. So it keeps a
//! place for each level and never searches for a node's bits.
//!
//! Invariant: a trie that was made is whole: its levels take up all bits and all labels. A walk ends.

use super::Unreadable;
use super::packed::Packed;

/// The longest key that is walked: no name and no pattern of names needs more.
const MAX_KEY: usize = 1024;

/// A trie in memory: some two bits and a byte for each node.
pub(super) struct Trie {
    leaves: Vec<u64>,
    shape: Vec<u64>,
    labels: Vec<u8>,
    /// The first node of each level.
    levels: Vec<Step>,
}

/// A key of a trie, while it is walked.
pub(super) struct Key<'t> {
    trie: &'t Trie,
    /// For each level above the key's node the node that leads to it; for all others the next one to come.
    steps: &'t [Step],
    /// The level of the key's node.
    depth: usize,
    /// The key, turned around: the name from its left.
    pub(super) text: &'t str,
}

/// A node, and the place of its next bit in `shape`.
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
        let levels = levels(&shape, labels.len()).ok_or_else(damaged)?;
        Ok(Self {
            leaves,
            shape,
            labels,
            levels,
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
        let mut steps = self.levels.clone();
        // The key stands at the end, so that it reads from its left.
        let mut key = [0_u8; MAX_KEY];
        let mut turned = String::new();
        let mut depth = 0;
        // How many bytes of the key are not ASCII.
        let mut wide = 0;
        while let Some(step) = steps.get_mut(depth) {
            let last = bit(&self.shape, step.at).ok_or_else(damaged)?;
            step.at += 1;
            if last {
                step.node += 1;
                let Some(above) = depth.checked_sub(1) else {
                    return Ok(());
                };
                wide -= usize::from(!key[MAX_KEY - depth].is_ascii());
                depth = above;
                continue;
            }
            depth += 1;
            let child = steps.get(depth).ok_or_else(damaged)?.node;
            let label = *self.labels.get(child - 1).ok_or_else(damaged)?;
            let start = MAX_KEY.checked_sub(depth).ok_or_else(damaged)?;
            key[start] = label;
            wide += usize::from(!label.is_ascii());
            if self.ends(child) {
                let text = if wide == 0 {
                    std::str::from_utf8(&key[start..]).map_err(|_ascii| damaged())?
                } else {
                    turn(&key[start..], &mut turned).ok_or_else(damaged)?
                };
                each(Key {
                    trie: self,
                    steps: &steps,
                    depth,
                    text,
                })?;
            }
        }
        Ok(())
    }

    /// The child behind a label of a node of which nothing was walked yet. `first` is its first child.
    fn child(&self, of: Step, first: usize, label: u8) -> Option<usize> {
        let children = (of.at..).take_while(|at| bit(&self.shape, *at) == Some(false));
        let mut numbers = (first..).zip(children).map(|(child, _)| child);
        numbers.find(|child| self.labels.get(child - 1) == Some(&label))
    }

    fn ends(&self, node: usize) -> bool {
        bit(&self.leaves, node).unwrap_or(false)
    }

    /// Makes a trie of keys (already turned around), to be written. They are sorted here.
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
            levels: Vec::new(),
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
        self.below(sign).is_some_and(|node| self.trie.ends(node))
    }

    fn below(&self, sign: u8) -> Option<usize> {
        let own = *self.steps.get(self.depth)?;
        let first = *self.steps.get(self.depth + 1)?;
        let dot = self.trie.child(own, first.node, b'.')?;
        let at = behind(&self.trie.shape, first.at, dot - first.node)?;
        // As many zeros stand before a node's first bit as nodes have a lower number than its first child.
        let grandchild = at - dot + 1;
        self.trie.child(Step { node: dot, at }, grandchild, sign)
    }

    /// Whether the trie also has this key without its last two bytes (`.` and a sign).
    pub(super) fn also_above(&self) -> bool {
        let two_up = self.depth.checked_sub(2);
        two_up
            .and_then(|level| self.steps.get(level))
            .is_some_and(|step| step.node != 0 && self.trie.ends(step.node))
    }
}

fn damaged() -> Unreadable {
    Unreadable::malformed("the index of names in the list is damaged")
}

/// The first node of each level; none of an empty trie. `None`: the bits are not those of a trie with so many
/// labels, or its keys are too long.
fn levels(shape: &[u64], labels: usize) -> Option<Vec<Step>> {
    let mut levels = Vec::new();
    if labels == 0 {
        // A root, or not even that.
        let ones: u32 = shape.iter().map(|word| word.count_ones()).sum();
        return (ones <= 1).then_some(levels);
    }
    let mut first = Step { node: 0, at: 0 };
    let mut end = 1;
    while first.node < end {
        if levels.len() > MAX_KEY {
            return None;
        }
        levels.push(first);
        let count = end - first.node;
        let at = behind(shape, first.at, count)?;
        let children = at - first.at - count;
        first = Step { node: end, at };
        end += children;
    }
    let nothing_more = behind(shape, first.at, 1).is_none();
    (end == labels + 1 && nothing_more).then_some(levels)
}

/// The place behind so many ones from a place on.
fn behind(shape: &[u64], mut at: usize, mut ones: usize) -> Option<usize> {
    if ones == 0 {
        return Some(at);
    }
    loop {
        let mut word = *shape.get(at / 64)? >> (at % 64);
        let here = word.count_ones() as usize;
        if here >= ones {
            for _ in 1..ones {
                word &= word - 1;
            }
            return Some(at + word.trailing_zeros() as usize + 1);
        }
        ones -= here;
        at = (at / 64 + 1) * 64;
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
        fn neighbours_are_known_while_walking(names in prop::collection::hash_set("[+a-c.-]{1,5}", 0..200)) {
            let trie = again(&Trie::make(names.iter().map(|n| turned(n)).collect()));
            let mut wrong = Vec::new();
            trie.walk(|key| {
                let below = names.contains(&format!("+.{}", key.text));
                let above = key.text.get(2..).is_some_and(|rest| names.contains(rest));
                if (key.also_below(b'+'), key.also_above()) != (below, above) {
                    wrong.push(key.text.to_owned());
                }
                Ok(())
            })
            .unwrap();
            prop_assert!(wrong.is_empty(), "{wrong:?}");
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

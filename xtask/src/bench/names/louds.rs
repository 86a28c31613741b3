//! A succinct trie over names' bytes in LOUDS (Jacobson, 1989), as lists for other routers embed it: what a
//! look-up there costs.
//!
//! Names lie in it from their last byte. A level-order bitmap gives each node a 0 for every child and a 1 at
//! its end; ranks are kept for every word of 64 bits, and the position of every 64th 1. A mark below a node
//! says that a suffix ends there. It tells that a name is held, not by which entry.

/// Sorts before all bytes of names.
const MARK: u8 = b'\n';

#[derive(Default)]
pub(super) struct Louds {
    /// By child.
    labels: Vec<u8>,
    bitmap: Vec<u64>,
    /// Ones before each word.
    ranks: Vec<u32>,
    /// Where the ones 0, 64, 128 ... stand.
    selects: Vec<u32>,
    bits: usize,
}

impl Louds {
    /// Of suffixes.
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        let mut keys: Vec<Vec<u8>> = names
            .map(|name| name.bytes().rev().chain([MARK]).collect())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let mut trie = Self::default();
        let mut level = vec![(0, keys.len())];
        let mut depth = 0;
        while !level.is_empty() {
            let mut next = Vec::new();
            for (mut from, to) in level {
                while from < to {
                    let Some(label) = keys[from].get(depth) else {
                        // Marks are the ends of keys: they have no children.
                        from += 1;
                        continue;
                    };
                    let same = keys[from..to].partition_point(|key| key[depth] == *label);
                    next.push((from, from + same));
                    trie.labels.push(*label);
                    trie.push(false);
                    from += same;
                }
                trie.push(true);
            }
            level = next;
            depth += 1;
        }
        drop(keys);
        trie.labels.shrink_to_fit();
        trie.bitmap.shrink_to_fit();
        trie.index();
        trie
    }

    /// Whether a suffix of `name` is in it.
    pub(super) fn holds(&self, name: &str) -> bool {
        let (mut node, mut at) = (0, 0);
        for byte in name.bytes().rev() {
            loop {
                if self.bit(at) {
                    return false;
                }
                let label = self.labels[at - node];
                if label == byte {
                    break;
                }
                if label == MARK && byte == b'.' {
                    return true;
                }
                at += 1;
            }
            node = at + 1 - self.ones_before(at + 1);
            at = self.one(node - 1) + 1;
        }
        !self.bit(at) && self.labels[at - node] == MARK
    }

    fn push(&mut self, bit: bool) {
        if self.bits.is_multiple_of(64) {
            self.bitmap.push(0);
        }
        if bit {
            self.bitmap[self.bits / 64] |= 1 << (self.bits % 64);
        }
        self.bits += 1;
    }

    fn index(&mut self) {
        let mut ones = 0;
        for (at, word) in self.bitmap.iter().enumerate() {
            self.ranks.push(ones);
            let mut rest = *word;
            while rest != 0 {
                if ones % 64 == 0 {
                    self.selects.push(at as u32 * 64 + rest.trailing_zeros());
                }
                ones += 1;
                rest &= rest - 1;
            }
        }
        self.ranks.push(ones);
        self.ranks.shrink_to_fit();
        self.selects.shrink_to_fit();
    }

    fn bit(&self, at: usize) -> bool {
        self.bitmap[at / 64] & (1 << (at % 64)) != 0
    }

    fn ones_before(&self, at: usize) -> usize {
        let ones = self.ranks[at / 64] as usize;
        match at % 64 {
            0 => ones,
            within => ones + (self.bitmap[at / 64] << (64 - within)).count_ones() as usize,
        }
    }

    /// Where the one of this number stands, from 0.
    fn one(&self, number: usize) -> usize {
        let mut word = self.selects[number / 64] as usize / 64;
        while self.ranks[word + 1] as usize <= number {
            word += 1;
        }
        let mut rest = self.bitmap[word];
        for _ in 0..number - self.ranks[word] as usize {
            rest &= rest - 1;
        }
        word * 64 + rest.trailing_zeros() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_suffixes_and_nothing_else() {
        let names = ["com.cn", "example.com", "a.example.com", "io", "xample.com"];
        let trie = Louds::new(names.iter().map(|name| (*name).to_owned()));
        let check = |name: &str, expected| assert_eq!(trie.holds(name), expected, "{name}");
        check("example.com", true);
        check("www.example.com", true);
        check("wwwexample.com", false);
        check("com", false);
        check("x.io", true);
        check("iio", false);
        check("cn", false);
        check("b.com.cn", true);
        check("ample.com", false);
    }

    #[test]
    fn many_names_are_all_there() {
        let name = |number| {
            let mut name = String::new();
            super::super::synthetic::write_name(3, number, &mut name);
            name
        };
        let trie = Louds::new((0..5000).map(name));
        assert!((0..5000).all(|number| trie.holds(&name(number))));
        assert!((5000..10_000).all(|number| !trie.holds(&name(number))));
    }
}

//! Where something occurs: ascending positions in a list of rules, and a table from hashes to such.
//!
//! Invariant: each answer is the earliest position from a given one on, or [`NOWHERE`].

use super::hash::NO_HASH;

/// Behind every position.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Set in a number that stands for several positions; the rest is where they begin.
const SEVERAL: u32 = 1 << 31;

/// Ascending positions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions(Box<[u32]>);

/// The positions of those that have several. A number stands for one position, or for where its run is: how many
/// they are, then they.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(Vec<u32>);

/// From hashes to positions. A slot is a hash and a number of `runs`. Slots ascend, each at or behind its home, so a
/// look-up ends at the first that is not less.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    slots: Box<[u64]>,
    /// How many homes there are.
    homes: u32,
    runs: Runs,
}

impl Positions {
    pub(super) fn new(mut positions: Vec<u32>) -> Self {
        positions.sort_unstable();
        positions.dedup();
        Self(positions.into())
    }

    #[inline]
    pub(crate) fn first(&self) -> u32 {
        self.0.first().copied().unwrap_or(NOWHERE)
    }

    #[inline]
    pub(super) fn last(&self) -> u32 {
        self.0.last().copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn next(&self, from: u32) -> u32 {
        next(&self.0, from)
    }

    /// As [`Self::next`], for a caller who asks for ever later ones and keeps `at` between.
    #[inline]
    pub(crate) fn next_after(&self, at: &mut usize, from: u32) -> u32 {
        while let Some(position) = self.0.get(*at) {
            if *position >= from {
                return *position;
            }
            *at += 1;
        }
        NOWHERE
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

impl Runs {
    /// The number that stands for these positions, ascending and below 2^31.
    pub(super) fn add(&mut self, positions: impl ExactSizeIterator<Item = u32>) -> u32 {
        // No list of rules comes near 2^31 of anything.
        let (at, count) = (self.0.len(), positions.len() as u32);
        self.0.push(count);
        self.0.extend(positions);
        match self.0[at..] {
            [1, only] => {
                self.0.truncate(at);
                only
            }
            _ => at as u32 | SEVERAL,
        }
    }

    #[inline]
    pub(super) fn next(&self, number: u32, from: u32) -> u32 {
        if number & SEVERAL != 0 {
            return self.several((number ^ SEVERAL) as usize, from);
        }
        if number >= from { number } else { NOWHERE }
    }

    #[inline(never)]
    fn several(&self, at: usize, from: u32) -> u32 {
        let count = self.0.get(at).map_or(0, |count| *count as usize);
        next(self.0.get(at + 1..at + 1 + count).unwrap_or_default(), from)
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

impl Table {
    /// Of pairs of a hash and a position below 2^31.
    pub(super) fn new(mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let hashes = pairs.chunk_by(|(a, _), (b, _)| a == b).count();
        // Five eighths full: short ways, and a hundred thousand hashes in some megabyte.
        let homes = u32::try_from(hashes * 8 / 5 + 1).unwrap_or(u32::MAX);
        let mut slots: Vec<u64> = Vec::with_capacity(homes as usize + 16);
        let mut runs = Runs::default();
        for same in pairs.chunk_by(|(a, _), (b, _)| a == b) {
            let value = runs.add(same.iter().map(|(_, position)| *position));
            let hash = same[0].0;
            while slots.len() < home(hash, homes) {
                slots.push(u64::MAX);
            }
            slots.push(u64::from(hash) << 32 | u64::from(value));
        }
        while slots.len() <= homes as usize {
            slots.push(u64::MAX);
        }
        slots.push(u64::MAX);
        runs.shrink();
        Self {
            slots: slots.into(),
            homes,
            runs,
        }
    }

    /// What stands where a look-up of `hash` begins: read for several before any is compared, so that all are waited
    /// for at once.
    #[inline]
    pub(crate) fn touch(&self, hash: u32) -> u64 {
        self.slots.get(home(hash, self.homes)).copied().unwrap_or(0)
    }

    /// The earliest position of `hash` from `from` on.
    #[inline]
    pub(crate) fn next(&self, hash: u32, from: u32) -> u32 {
        let from_home = self.slots.get(home(hash, self.homes)..).unwrap_or_default();
        for slot in from_home {
            let found = (slot >> 32) as u32;
            if found < hash {
                continue;
            }
            if found > hash || hash == NO_HASH {
                break;
            }
            return self.runs.next(*slot as u32, from);
        }
        NOWHERE
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots) + self.runs.bytes()
    }
}

fn home(hash: u32, homes: u32) -> usize {
    ((u64::from(hash) * u64::from(homes)) >> 32) as usize
}

#[inline]
fn next(positions: &[u32], from: u32) -> u32 {
    match positions.first() {
        Some(first) if *first >= from => *first,
        _ => {
            let at = positions.partition_point(|position| *position < from);
            positions.get(at).copied().unwrap_or(NOWHERE)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_table_tells_the_earliest(
            pairs in proptest::collection::vec(
                (prop_oneof![0..40_u32, Just(NO_HASH - 1), any::<u32>().prop_map(|h| h.min(NO_HASH - 1))], 0..50_u32),
                0..200,
            ),
            asked in 0..41_u32,
            from in 0..51_u32,
        ) {
            let table = Table::new(pairs.clone());
            let hashes = pairs.iter().map(|(hash, _)| *hash).chain([asked, NO_HASH - 1]);
            for hash in hashes {
                let all = pairs.iter().filter(|(h, at)| *h == hash && *at >= from);
                let earliest = all.map(|(_, at)| *at).min();
                prop_assert_eq!(table.next(hash, from), earliest.unwrap_or(NOWHERE));
            }
        }
    }

    #[test]
    fn an_empty_table_holds_nothing() {
        for hash in [0, 1, NO_HASH] {
            assert_eq!(Table::default().next(hash, 0), NOWHERE);
            assert_eq!(Table::new(Vec::new()).next(hash, 0), NOWHERE);
        }
    }

    #[test]
    fn positions_are_told_from_anywhere() {
        let positions = Positions::new(vec![9, 3, 5, 3]);
        for (from, expected) in [(0, 3), (3, 3), (4, 5), (9, 9), (10, NOWHERE)] {
            assert_eq!(positions.next(from), expected, "{from}");
            let mut at = 0;
            assert_eq!(positions.next_after(&mut at, from), expected, "{from}");
        }
        assert_eq!((positions.first(), positions.last()), (3, 9));
    }
}

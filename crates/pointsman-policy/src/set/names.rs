//! A table of names' fingerprints: what a set of a million names is in memory.
//!
//! An entry is one word: 61 bits of the name's keyed fingerprint, then three bits of its [`Kind`]. Words are
//! sorted and lie in 2^k buckets by their first k bits, two to four a bucket; those k bits are not stored
//! again. So 61 bits are compared exactly whatever the table's size: that two of a million names, or a name
//! asked for and one of them, look the same has a chance of some 2^-41 a set and a look-up, and nobody who
//! lacks the key can raise it. Nothing else decides: no filter, no shorter hash.
//!
//! Invariants: words are strictly ascending. An exception wins always, whatever is more specific.

mod build;
mod directory;
#[cfg(test)]
mod tests;

pub(super) use build::{MOST_ENTRIES, NameTableBuilder};
pub(super) use directory::Directory;

use super::fingerprint::Fingerprints;
use super::places::{At, Places};

/// Which names an entry that is a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// All below, without itself.
    Below,
    /// Itself alone.
    Exact,
    /// Itself and all below.
    Suffix,
}

/// What a name in a list stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    /// Itself.
    Exact = 0,
    /// Itself and all below.
    Suffix = 1,
    /// Itself, which is not held.
    ExceptExact = 2,
    /// Itself and all below, which are not held.
    ExceptSuffix = 3,
    /// All below, without itself.
    Below = 4,
    /// All below, which are not held; of itself it says nothing.
    ExceptBelow = 5,
}

impl Kind {
    /// How many there are.
    pub(super) const COUNT: usize = 6;

    /// What an entry stands for, or (`except`) takes out.
    pub(super) fn of(reach: Reach, except: bool) -> Self {
        match (reach, except) {
            (Reach::Below, false) => Self::Below,
            (Reach::Below, true) => Self::ExceptBelow,
            (Reach::Exact, false) => Self::Exact,
            (Reach::Exact, true) => Self::ExceptExact,
            (Reach::Suffix, false) => Self::Suffix,
            (Reach::Suffix, true) => Self::ExceptSuffix,
        }
    }
}

/// The table. `entries` are little-endian and end with zeros, so that a stretch can be read from each on.
#[derive(Clone, Debug, Default)]
pub(super) struct NameTable {
    pub(super) count: u32,
    /// k: 2^k buckets.
    pub(super) bits: u8,
    pub(super) buckets: Directory,
    pub(super) entries: Box<[u8]>,
    /// By [`Kind`]: bit n stands for entries of n + 1 labels, so that no other ancestor is looked up.
    pub(super) depths: [u128; Kind::COUNT],
    /// `None` in the small form.
    pub(super) places: Option<Places>,
}

/// What a table says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableMatch {
    /// An exception holds it.
    Excepted,
    /// Nothing does.
    No,
    /// This entry does, of so many labels.
    Yes {
        entry: u32,
        labels: u8,
        reach: Reach,
    },
}

/// Where to look for an ancestor.
#[derive(Clone, Copy, Default)]
struct Bucket {
    wanted: u64,
    from: u32,
    to: u32,
    /// Its labels less one.
    depth: u8,
}

/// The entries of one name: the first one, and bits of their kinds, whose order is theirs.
#[derive(Clone, Copy)]
struct Met {
    first: u32,
    kinds: u8,
}

impl NameTable {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn place(&self, entry: u32) -> Option<At> {
        self.places.as_ref()?.get(entry)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.bytes() + self.entries.len() + self.places.as_ref().map_or(0, Places::bytes)
    }

    /// Whether there is an exception.
    pub(super) fn has_exceptions(&self) -> bool {
        let [_, _, except_exact, except_suffix, _, except_below] = self.depths;
        (except_exact | except_suffix | except_below) != 0
    }

    /// The name itself, else the longest suffix that holds it, of which one for itself, too, goes before one
    /// for names below alone; unless there is an exception.
    #[inline]
    pub(super) fn find(&self, prints: &Fingerprints<'_>) -> TableMatch {
        if self.is_empty() {
            return TableMatch::No;
        }
        let kept = prints.kept();
        if kept.len() == prints.labels() || self.deepest() <= kept.len() {
            self.find_in(kept, prints.labels())
        } else {
            self.find_in(&prints.all(), prints.labels())
        }
    }

    /// The most labels of an entry.
    fn deepest(&self) -> usize {
        let all = self.depths.iter().fold(0, |all, depths| all | depths);
        (u128::BITS - all.leading_zeros()) as usize
    }

    /// Of a name of so many labels. `chain` are the fingerprints of its ancestors, the shortest first, and of
    /// itself; of those that are not there the table has no entry.
    fn find_in(&self, chain: &[u64], labels: usize) -> TableMatch {
        let [
            exact,
            suffix,
            except_exact,
            except_suffix,
            below,
            except_below,
        ] = self.depths;
        let own = 1_u128.checked_shl(labels as u32).unwrap_or(0) >> 1;
        let anywhere = suffix | except_suffix;
        let mut open = (own & (exact | except_exact | anywhere))
            | (own.saturating_sub(1) & (anywhere | below | except_below));
        let mut answer = TableMatch::No;
        let mut buckets = [Bucket::default(); AT_ONCE];
        while open != 0 {
            let count = self.fetch(chain, &mut open, &mut buckets);
            for bucket in &buckets[..count] {
                let own = 1 << bucket.depth == own;
                let Some(met) = self.probe(bucket) else {
                    continue;
                };
                let except = if own {
                    Kind::ExceptExact
                } else {
                    Kind::ExceptBelow
                };
                if met.has(Kind::ExceptSuffix) || met.has(except) {
                    return TableMatch::Excepted;
                }
                let (kind, reach) = match answer {
                    TableMatch::No if own && met.has(Kind::Exact) => (Kind::Exact, Reach::Exact),
                    TableMatch::No if met.has(Kind::Suffix) => (Kind::Suffix, Reach::Suffix),
                    TableMatch::No if !own && met.has(Kind::Below) => (Kind::Below, Reach::Below),
                    _ => continue,
                };
                answer = TableMatch::Yes {
                    entry: met.entry(kind),
                    labels: bucket.depth + 1,
                    reach,
                };
                if except_suffix | except_below == 0 {
                    return answer;
                }
                // From here on only an exception counts.
                open &= except_suffix | except_below;
            }
        }
        answer
    }

    /// Takes the deepest of the ancestors that are to be looked up, and reads from all their buckets, so that
    /// a look-up waits for memory once and not once for each of them.
    #[inline]
    fn fetch(&self, chain: &[u64], open: &mut u128, buckets: &mut [Bucket; AT_ONCE]) -> usize {
        let width = width(self.bits);
        let mut count = 0;
        while let (Some(place), Some(depth)) = (buckets.get_mut(count), open.checked_ilog2()) {
            *open ^= 1 << depth;
            let Some(fingerprint) = chain.get(depth as usize) else {
                continue;
            };
            let wanted = fingerprint & !KINDS;
            let Some((from, to)) = self.buckets.bounds(bucket(wanted, self.bits)) else {
                continue;
            };
            *place = Bucket {
                wanted,
                from,
                to,
                depth: depth as u8,
            };
            count += 1;
        }
        let mut read = 0;
        for bucket in &buckets[..count] {
            let first = bucket.from as usize * width;
            let byte = |at: usize| self.entries.get(at).copied().unwrap_or(0);
            read |= byte(first) | byte(first + STRETCH * width - 1);
        }
        std::hint::black_box(read);
        count
    }

    #[inline]
    fn probe(&self, bucket: &Bucket) -> Option<Met> {
        let Bucket {
            wanted, from, to, ..
        } = *bucket;
        match width(self.bits) {
            8 => self.scan::<8>(wanted, from, to),
            7 => self.scan::<7>(wanted, from, to),
            6 => self.scan::<6>(wanted, from, to),
            _ => self.scan::<5>(wanted, from, to),
        }
    }

    /// Compares a whole stretch without a branch, whatever of it lies in the bucket: waiting for one bucket
    /// does not keep the processor from going on to the next.
    #[inline]
    fn scan<const WIDTH: usize>(&self, wanted: u64, from: u32, to: u32) -> Option<Met> {
        let mask = stored(WIDTH);
        let wanted = wanted & mask;
        let mut first = from;
        loop {
            let begin = first as usize * WIDTH;
            let stretch = self
                .entries
                .get(begin..begin + STRETCH * WIDTH + 8 - WIDTH)?;
            let mut equal = 0_u32;
            for at in 0..STRETCH {
                let word = *stretch.get(at * WIDTH..)?.first_chunk()?;
                let same = (u64::from_le_bytes(word) & mask) ^ wanted <= KINDS;
                equal |= u32::from(same) << at;
            }
            let within = to.saturating_sub(first).min(STRETCH as u32);
            equal &= (1 << within) - 1;
            if equal != 0 {
                return self.met::<WIDTH>(wanted, first + equal.trailing_zeros(), to);
            }
            if to - first <= STRETCH as u32 {
                return None;
            }
            first += STRETCH as u32;
        }
    }

    /// The entries of a name from the first one on; they may reach beyond a stretch.
    #[inline]
    fn met<const WIDTH: usize>(&self, wanted: u64, first: u32, to: u32) -> Option<Met> {
        let mut kinds = 0;
        for entry in first..to.min(first + Kind::COUNT as u32) {
            let bytes = self.entries.get(entry as usize * WIDTH..)?.first_chunk()?;
            let kind = (u64::from_le_bytes(*bytes) & stored(WIDTH)) ^ wanted;
            if kind > KINDS {
                break;
            }
            kinds |= 1 << kind;
        }
        Some(Met { first, kinds })
    }
}

impl Met {
    fn has(self, kind: Kind) -> bool {
        self.kinds & (1 << kind as u8) != 0
    }

    /// The entry of a kind that it has.
    fn entry(self, kind: Kind) -> u32 {
        let earlier = self.kinds & ((1 << kind as u8) - 1);
        self.first + earlier.count_ones()
    }
}

/// The bits of an entry's word that hold its kind.
const KINDS: u64 = 7;

/// The most bits that choose a bucket.
pub(super) const MOST_BITS: u8 = 29;

/// How many buckets are fetched at once: few names have more labels.
const AT_ONCE: usize = 4;

/// How many entries are compared at once: few buckets hold more.
const STRETCH: usize = 8;

/// The bytes of so many entries of a table of 2^`bits` buckets, and of the stretch behind them.
pub(super) fn entry_bytes(bits: u8, count: usize) -> usize {
    (count + STRETCH)
        .saturating_mul(width(bits))
        .saturating_add(8)
}

/// In which of 2^`bits` buckets a word lies.
#[inline]
fn bucket(word: u64, bits: u8) -> usize {
    word.checked_shr(64 - u32::from(bits)).unwrap_or(0) as usize
}

/// The bytes of an entry in a table of 2^`bits` buckets: all bits that the bucket does not tell.
#[inline]
fn width(bits: u8) -> usize {
    usize::from(64 - bits.min(MOST_BITS)).div_ceil(8)
}

/// The bits that an entry of so many bytes holds.
#[inline]
fn stored(width: usize) -> u64 {
    u64::MAX >> (64 - 8 * width)
}

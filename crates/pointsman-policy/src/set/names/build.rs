//! Building a table of names.
//!
//! Words and places wait in pieces that never move, then are dealt out to their buckets at once, so that the
//! peak is what waits beside the finished table. Each bucket is sorted where it lies, and of entries said
//! twice the one with the lowest line stays.

use super::super::places::{At, PlacesBuilder};
use super::{Directory, Kind, MOST_BITS, NameTable, bucket, entry_bytes, width};

/// The most entries of a table: numbers of entries stay below 2^31.
pub(crate) const MOST_ENTRIES: usize = 1 << 31;
/// The most items of a piece: allocators give pieces of this size back to the system.
const PIECE: usize = 1 << 15;

/// A table that is being built.
#[derive(Debug)]
pub(crate) struct NameTableBuilder {
    words: Pieces<u64>,
    /// As long as `words`; nothing in the small form.
    places: Option<Pieces<At>>,
    depths: [u128; Kind::COUNT],
    last_line: u32,
}

/// A vector that grows without moving: growing holds nothing twice.
#[derive(Debug)]
struct Pieces<T> {
    full: Vec<Vec<T>>,
    last: Vec<T>,
    count: usize,
}

impl NameTableBuilder {
    pub(crate) fn new(with_places: bool) -> Self {
        Self {
            words: Pieces::new(),
            places: with_places.then(Pieces::new),
            depths: [0; Kind::COUNT],
            last_line: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.count
    }

    /// Adds a name of so many labels; `at` is not kept in the small form.
    pub(crate) fn add(&mut self, fingerprint: u64, labels: usize, kind: Kind, at: At) {
        self.words.push((fingerprint & !super::KINDS) | kind as u64);
        self.depths[kind as usize] |= 1_u128.checked_shl(labels as u32).unwrap_or(0) >> 1;
        if let Some(places) = &mut self.places {
            places.push(at);
            self.last_line = self.last_line.max(at.line);
        }
    }

    pub(crate) fn finish(self) -> NameTable {
        if self.words.count == 0 {
            return NameTable::default();
        }
        let depths = self.depths;
        let (mut dealt, count) = match width(bits(self.words.count)) {
            8 => self.dealt::<8>(),
            7 => self.dealt::<7>(),
            6 => self.dealt::<6>(),
            _ => self.dealt::<5>(),
        };
        // So that a stretch can be read from the last entry on.
        dealt.entries.resize(entry_bytes(dealt.bits, count), 0);
        NameTable {
            count: count as u32,
            bits: dealt.bits,
            buckets: Directory::new(dealt.bits, dealt.buckets),
            entries: dealt.entries.into_boxed_slice(),
            depths,
            places: dealt.places.map(|places| places.finish(count)),
        }
    }

    /// Each word in its bucket, in order there; and how many there are. `WIDTH` is that of the table.
    fn dealt<const WIDTH: usize>(self) -> (Dealt, usize) {
        let mut dealt = self.deal::<WIDTH>();
        let count = dealt.settle::<WIDTH>();
        dealt.entries.truncate(count * WIDTH);
        (dealt, count)
    }

    /// Puts each word into its bucket, in no order there.
    fn deal<const WIDTH: usize>(self) -> Dealt {
        let count = self.words.count;
        let bits = bits(count);
        let mut buckets = vec![0_u32; (1 << bits) + 1];
        for word in self.words.pieces().flatten() {
            buckets[bucket(*word, bits)] += 1;
        }
        let mut begin = 0;
        for bucket in &mut buckets {
            begin += std::mem::replace(bucket, begin);
        }
        let mut entries = Vec::with_capacity(entry_bytes(bits, count));
        entries.resize(count * WIDTH, 0);
        let mut placed = self
            .places
            .is_some()
            .then(|| PlacesBuilder::new(count, self.last_line));
        let mut places = self.places.iter().flat_map(Pieces::pieces);
        for words in self.words.pieces() {
            // Both have pieces of the same lengths.
            let places = places.next().unwrap_or_default();
            for (number, word) in words.iter().enumerate() {
                // Where the next word of this bucket goes; in the end, where the bucket ends.
                let next = &mut buckets[bucket(*word, bits)];
                put::<WIDTH>(&mut entries, *next as usize, *word);
                if let (Some(placed), Some(at)) = (&mut placed, places.get(number)) {
                    placed.set(*next, *at);
                }
                *next += 1;
            }
        }
        // Each bucket's end is the next one's beginning.
        buckets.rotate_right(1);
        buckets[0] = 0;
        Dealt {
            bits,
            buckets,
            entries,
            places: placed,
        }
    }
}

/// A table whose buckets are not in order yet.
struct Dealt {
    bits: u8,
    buckets: Vec<u32>,
    entries: Vec<u8>,
    places: Option<PlacesBuilder>,
}

impl Dealt {
    /// Sorts each bucket, drops what is said twice, and closes the gaps; tells how many entries remain.
    fn settle<const WIDTH: usize>(&mut self) -> usize {
        if let Some(places) = &mut self.places {
            places.settle();
        }
        let mut sorted: Vec<(u64, At)> = Vec::new();
        let (mut kept, mut from) = (0_u32, 0);
        for bucket in 1..self.buckets.len() {
            let to = self.buckets[bucket];
            sorted.clear();
            sorted.extend((from..to).map(|entry| {
                let at = self.places.as_ref().and_then(|places| places.get(entry));
                let nowhere = At { line: 0, form: 0 };
                (self.word::<WIDTH>(entry as usize), at.unwrap_or(nowhere))
            }));
            sorted.sort_unstable();
            sorted.dedup_by_key(|(word, _)| *word);
            for (word, at) in &sorted {
                put::<WIDTH>(&mut self.entries, kept as usize, *word);
                if let Some(places) = &mut self.places {
                    places.set(kept, *at);
                }
                kept += 1;
            }
            self.buckets[bucket] = kept;
            from = to;
        }
        kept as usize
    }

    fn word<const WIDTH: usize>(&self, entry: usize) -> u64 {
        let mut word = [0; 8];
        word[..WIDTH].copy_from_slice(&self.entries[entry * WIDTH..(entry + 1) * WIDTH]);
        u64::from_le_bytes(word)
    }
}

impl<T> Pieces<T> {
    fn new() -> Self {
        Self {
            full: Vec::new(),
            last: Vec::new(),
            count: 0,
        }
    }

    fn push(&mut self, item: T) {
        if self.last.len() == self.last.capacity() {
            let room = (2 * self.last.capacity()).clamp(16, PIECE);
            let full = std::mem::replace(&mut self.last, Vec::with_capacity(room));
            self.full.push(full);
        }
        self.last.push(item);
        self.count += 1;
    }

    fn pieces(&self) -> impl Iterator<Item = &[T]> {
        let full = self.full.iter().map(Vec::as_slice);
        full.chain(std::iter::once(self.last.as_slice()))
    }
}

/// k for a table of so many entries: two to four of them fall into a bucket.
fn bits(count: usize) -> u8 {
    ((count / 2).checked_ilog2().unwrap_or(0) as u8).min(MOST_BITS)
}

fn put<const WIDTH: usize>(entries: &mut [u8], entry: usize, word: u64) {
    entries[entry * WIDTH..(entry + 1) * WIDTH].copy_from_slice(&word.to_le_bytes()[..WIDTH]);
}

//! IPv4: the nested prefixes laid flat.
//!
//! Invariant: a boundary's value is the longest prefix that holds the addresses from there up to the next
//! one; the first boundary is 0. n prefixes have at most 2n + 1 boundaries, of 6 bytes each in a large
//! table (and 256 KiB of index), of 8 in a small one.

use std::hint::select_unpredictable;
use std::net::Ipv4Addr;

use super::bytes::{Damaged, Reader, put_u32};
use super::{FAR, NONE, pack, unpack};
use crate::address::Prefix;

/// Address, length, coded line: sorts by address, the wider first, the earlier line first.
pub(super) type Staged = u64;

/// From so many boundaries on, an index by the upper 16 bits pays for itself.
const INDEXED: usize = 65_536;

/// How many upper halves there are.
const GROUPS: usize = 65_536;

/// So many boundaries are compared at once.
const WINDOW: usize = 16;

/// For each number of boundaries in a window, 1 for those; from memory, so that all are compared at once.
static VALID: [[u16; WINDOW]; WINDOW + 1] = {
    let mut valid = [[0; WINDOW]; WINDOW + 1];
    let mut at = 0;
    while at < WINDOW * (WINDOW + 1) {
        valid[at / WINDOW][at % WINDOW] = (at % WINDOW < at / WINDOW) as u16;
        at += 1;
    }
    valid
};

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    flat: Flat,
    /// Prefixes that longer ones cover wholly; no look-up ends at them.
    hidden: Vec<Staged>,
    len: usize,
}

/// The boundaries, ascending, and their values.
#[derive(Clone, Debug)]
enum Flat {
    Plain {
        keys: Vec<u32>,
        values: Vec<u32>,
    },
    Indexed {
        /// For each upper half, how many boundaries stand before it; one more at the end.
        index: Box<[u32; GROUPS + 1]>,
        /// For each upper half the lower halves of its boundaries, then their values (the lower half
        /// first), so that a look-up stays in one or two lines of the processor's cache; and [`WINDOW`]
        /// more.
        groups: Vec<u16>,
    },
}

impl Default for Flat {
    fn default() -> Self {
        Self::Plain {
            keys: Vec::new(),
            values: Vec::new(),
        }
    }
}

pub(super) fn staged(bits: u32, length: u8, coded: u32) -> Staged {
    u64::from(bits) << 32 | u64::from(pack(length, coded))
}

impl Table {
    pub(super) fn build(mut staged: Vec<Staged>) -> Self {
        staged.shrink_to_fit();
        staged.sort_unstable();
        staged.dedup_by_key(|entry| *entry >> 24);
        if staged.is_empty() {
            return Self::default();
        }
        let mut count = 0;
        let entries = || staged.iter().copied();
        flatten(entries(), |_, _| count += 1, |_| {});
        let mut flat = FlatBuilder::new(count);
        let mut hidden = Vec::new();
        flatten(
            entries(),
            |key, value| flat.push(key, value),
            |entry| hidden.push(entry),
        );
        hidden.shrink_to_fit();
        Self {
            flat: flat.finish(),
            hidden,
            len: staged.len(),
        }
    }

    /// Length and coded line of the longest prefix around an address, or [`NONE`].
    #[inline(always)]
    pub(super) fn find(&self, bits: u32) -> u32 {
        match &self.flat {
            Flat::Plain { keys, values } => {
                let before = keys.partition_point(|key| *key <= bits);
                let value = values.get(before.wrapping_sub(1));
                value.copied().unwrap_or(NONE)
            }
            Flat::Indexed { index, groups } => indexed(index, groups, bits).unwrap_or(NONE),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        let flat = match &self.flat {
            Flat::Plain { keys, values } => (keys.capacity() + values.capacity()) * 4,
            Flat::Indexed { index, groups } => size_of_val(&**index) + groups.capacity() * 2,
        };
        flat + self.hidden.capacity() * size_of::<Staged>()
    }

    /// Every prefix once, in no order.
    pub(super) fn each(&self, take: &mut impl FnMut(Prefix, u32)) {
        // The prefix of each length that was met last: its boundaries come in one stretch.
        let mut met: [Option<Prefix>; 33] = [None; 33];
        self.each_boundary(|key, value| {
            let (length, coded) = unpack(value);
            if let Some(met) = met.get_mut(usize::from(length)) {
                let prefix = Prefix::new(Ipv4Addr::from_bits(key).into(), length);
                if *met != Some(prefix) {
                    *met = Some(prefix);
                    take(prefix, coded);
                }
            }
        });
        for entry in &self.hidden {
            let (length, coded) = unpack(*entry as u32);
            let address = Ipv4Addr::from_bits((*entry >> 32) as u32);
            take(Prefix::new(address.into(), length), coded);
        }
    }

    fn each_boundary(&self, mut take: impl FnMut(u32, u32)) {
        match &self.flat {
            Flat::Plain { keys, values } => {
                for (key, value) in keys.iter().zip(values) {
                    take(*key, *value);
                }
            }
            Flat::Indexed { index, groups } => {
                let mut rest = groups.as_slice();
                for (upper, ends) in index.windows(2).enumerate() {
                    let count = (ends[1] - ends[0]) as usize;
                    let (low, after) = rest.split_at(count);
                    let (values, after) = after.split_at(count * 2);
                    for (low, value) in low.iter().zip(values.as_chunks().0) {
                        take((upper as u32) << 16 | u32::from(*low), whole(*value));
                    }
                    rest = after;
                }
            }
        }
    }

    fn boundaries(&self) -> usize {
        match &self.flat {
            Flat::Plain { keys, .. } => keys.len(),
            Flat::Indexed { index, .. } => index[GROUPS] as usize,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for count in [self.len, self.boundaries(), self.hidden.len()] {
            put_u32(out, u32::try_from(count).unwrap_or(u32::MAX));
        }
        self.each_boundary(|key, value| {
            put_u32(out, key);
            put_u32(out, value);
        });
        for entry in &self.hidden {
            out.extend_from_slice(&entry.to_le_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (len, count, hiding) = (reader.count()?, reader.count()?, reader.count()?);
        let (pairs, hidden) = (reader.array::<8>(count)?, reader.array::<8>(hiding)?);
        let mut flat = FlatBuilder::new(count);
        let mut last = None;
        for pair in pairs.iter().map(|raw| u64::from_le_bytes(*raw)) {
            let (key, value) = (pair as u32, (pair >> 32) as u32);
            if last.map_or(key != 0, |last| last >= key) {
                return Err(Damaged("boundaries that do not ascend from 0"));
            }
            if value != NONE && unpack(value).0 > 32 {
                return Err(Damaged("a length beyond 32"));
            }
            flat.push(key, value);
            last = Some(key);
        }
        let hidden: Vec<_> = hidden
            .iter()
            .map(|raw| Staged::from_le_bytes(*raw))
            .collect();
        if hidden.iter().any(|entry| unpack(*entry as u32).0 > 32) {
            return Err(Damaged("a length beyond 32"));
        }
        let table = Self {
            flat: flat.finish(),
            hidden,
            len,
        };
        let mut held = 0;
        table.each(&mut |_, _| held += 1);
        if held == len {
            Ok(table)
        } else {
            Err(Damaged("a count of prefixes that is not theirs"))
        }
    }
}

/// The value of the last boundary that is at most `bits`.
#[inline(always)]
fn indexed(index: &[u32; GROUPS + 1], groups: &[u16], bits: u32) -> Option<u32> {
    let upper = (bits >> 16) as usize;
    let wanted = bits as u16;
    let (first, end) = (index[upper] as usize, index[upper + 1] as usize);
    let (group, count) = (first * 3, end - first);
    let (mut start, mut left) = (group, count);
    // Without a branch on what it finds: the outcome is as good as random.
    while left > WINDOW {
        let half = left / 2;
        let middle = *groups.get(start + half - 1)?;
        start += select_unpredictable(middle <= wanted, half, 0);
        left -= half;
    }
    let window = groups.get(start..)?.first_chunk::<WINDOW>()?;
    let mut below = 0;
    for (key, valid) in window.iter().zip(VALID.get(left)?) {
        below += u16::from(*key <= wanted) & valid;
    }
    let below = start - group + usize::from(below);
    // Before the first boundary of its own, an address has the last value of the group before.
    let behind = if below == 0 { 0 } else { count + below * 2 };
    let at = (group + behind).wrapping_sub(2);
    Some(whole(*groups.get(at..)?.first_chunk()?))
}

/// A value from its halves.
#[inline]
fn whole([lower, upper]: [u16; 2]) -> u32 {
    u32::from(upper) << 16 | u32::from(lower)
}

/// Lays sorted, different prefixes flat: gives each boundary with its value, ascending, and each
/// prefix that no boundary shows.
pub(super) fn flatten(
    staged: impl Iterator<Item = Staged>,
    mut boundary: impl FnMut(u32, u32),
    mut hidden: impl FnMut(Staged),
) {
    // What is open at the place reached, the widest first: its last address, itself, whether shown.
    let mut open: Vec<(u32, Staged, bool)> = Vec::with_capacity(33);
    // The boundary reached is given only when none else takes its place.
    let mut pending: u32 = 0;
    let mut reach = |open: &mut Vec<(u32, Staged, bool)>, pending: &mut u32, next: Option<u32>| {
        if next != Some(*pending) {
            match open.last_mut() {
                Some((_, entry, shown)) => {
                    *shown = true;
                    boundary(*pending, *entry as u32);
                }
                None => boundary(*pending, NONE),
            }
        }
        *pending = next.unwrap_or(*pending);
    };
    for entry in staged {
        let start = (entry >> 32) as u32;
        while let Some((last, ..)) = open.last()
            && *last < start
        {
            let next = *last + 1;
            reach(&mut open, &mut pending, Some(next));
            close(&mut open, &mut hidden);
        }
        reach(&mut open, &mut pending, Some(start));
        let (length, _) = unpack(entry as u32);
        let rest = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        open.push((start | rest, entry, false));
    }
    // Once the last address of all is passed there is no boundary to come.
    let mut over = false;
    while let Some((last, ..)) = open.last() {
        let next = last.checked_add(1);
        if !over {
            reach(&mut open, &mut pending, next);
        }
        over |= next.is_none();
        close(&mut open, &mut hidden);
    }
    if !over {
        reach(&mut open, &mut pending, None);
    }
}

fn close(open: &mut Vec<(u32, Staged, bool)>, hidden: &mut impl FnMut(Staged)) {
    if let Some((_, entry, false)) = open.pop() {
        hidden(entry);
    }
}

/// Takes ascending boundaries.
struct FlatBuilder {
    flat: Flat,
    /// The values of the last group.
    values: Vec<u16>,
    /// How many groups have begun.
    opened: usize,
    pushed: u32,
}

impl FlatBuilder {
    fn new(count: usize) -> Self {
        let flat = if count < INDEXED {
            Flat::Plain {
                keys: Vec::with_capacity(count),
                values: Vec::with_capacity(count),
            }
        } else {
            Flat::Indexed {
                index: Box::new([0; GROUPS + 1]),
                groups: Vec::with_capacity(count * 3 + WINDOW),
            }
        };
        Self {
            flat,
            values: Vec::new(),
            opened: 0,
            pushed: 0,
        }
    }

    fn push(&mut self, key: u32, value: u32) {
        match &mut self.flat {
            Flat::Plain { keys, values } => {
                keys.push(key);
                values.push(value);
            }
            Flat::Indexed { index, groups } => {
                let group = (key >> 16) as usize;
                if self.opened <= group {
                    groups.append(&mut self.values);
                    index[self.opened..=group].fill(self.pushed);
                    self.opened = group + 1;
                }
                groups.push(key as u16);
                self.values.extend([value as u16, (value >> 16) as u16]);
            }
        }
        self.pushed += 1;
    }

    fn finish(mut self) -> Flat {
        if let Flat::Indexed { index, groups } = &mut self.flat {
            groups.append(&mut self.values);
            groups.extend([0; WINDOW]);
            index[self.opened..].fill(self.pushed);
        }
        self.flat
    }
}

/// Compile-time proof that a coded line leaves room for the length.
const _: () = assert!(FAR < 1 << 24);

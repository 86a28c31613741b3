//! IPv4: the nested prefixes laid flat.
//!
//! Invariant: `values[i]` is the longest prefix that holds the addresses from boundary `i` up to the
//! next one; the first boundary is 0. n prefixes have at most 2n + 1 boundaries, of 6 bytes each in a
//! large table (and 256 KiB of index), of 8 in a small one.

use std::net::Ipv4Addr;

use super::bytes::{Damaged, Reader, put_u32};
use super::{FAR, pack, unpack};
use crate::address::Prefix;

/// Address, length, coded line: sorts by address, the wider first, the earlier line first.
pub(super) type Staged = u64;

/// No prefix: a length that none has.
const NONE: u32 = u32::MAX;

/// From so many boundaries on, an index by the upper 16 bits pays for itself.
const INDEXED: usize = 65_536;

/// So many boundaries are compared at once.
const WINDOW: usize = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    keys: Keys,
    values: Vec<u32>,
    /// Prefixes that longer ones cover wholly; no look-up ends at them.
    hidden: Vec<Staged>,
    len: usize,
}

/// The boundaries, ascending.
#[derive(Clone, Debug)]
enum Keys {
    Plain(Vec<u32>),
    Indexed {
        /// For each upper half, how many boundaries stand before it; one more at the end.
        index: Vec<u32>,
        /// Their lower halves, and [`WINDOW`] more that are none.
        low: Vec<u16>,
    },
}

impl Default for Keys {
    fn default() -> Self {
        Self::Plain(Vec::new())
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
        flatten(&staged, |_, _| count += 1, |_| {});
        let mut keys = KeysBuilder::new(count);
        let mut values = Vec::with_capacity(count);
        let mut hidden = Vec::new();
        flatten(
            &staged,
            |key, value| {
                keys.push(key);
                values.push(value);
            },
            |entry| hidden.push(entry),
        );
        hidden.shrink_to_fit();
        Self {
            keys: keys.finish(),
            values,
            hidden,
            len: staged.len(),
        }
    }

    #[inline]
    pub(super) fn find(&self, bits: u32) -> Option<(u8, u32)> {
        let before = match &self.keys {
            Keys::Plain(keys) => keys.partition_point(|key| *key <= bits),
            Keys::Indexed { index, low } => indexed(index, low, bits),
        };
        let value = *self.values.get(before.wrapping_sub(1))?;
        (value != NONE).then(|| unpack(value))
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        let keys = match &self.keys {
            Keys::Plain(keys) => keys.capacity() * 4,
            Keys::Indexed { index, low } => index.capacity() * 4 + low.capacity() * 2,
        };
        keys + self.values.capacity() * 4 + self.hidden.capacity() * size_of::<Staged>()
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
        match &self.keys {
            Keys::Plain(keys) => {
                for (key, value) in keys.iter().zip(&self.values) {
                    take(*key, *value);
                }
            }
            Keys::Indexed { index, low } => {
                for (upper, ends) in index.windows(2).enumerate() {
                    let range = ends[0] as usize..ends[1] as usize;
                    for (low, value) in low[range.clone()].iter().zip(&self.values[range]) {
                        take((upper as u32) << 16 | u32::from(*low), *value);
                    }
                }
            }
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for count in [self.len, self.values.len(), self.hidden.len()] {
            put_u32(out, u32::try_from(count).unwrap_or(u32::MAX));
        }
        self.each_boundary(|key, _| put_u32(out, key));
        self.values.iter().for_each(|value| put_u32(out, *value));
        for entry in &self.hidden {
            out.extend_from_slice(&entry.to_le_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (len, count, hiding) = (reader.count()?, reader.count()?, reader.count()?);
        let (raw_keys, raw_values) = (reader.array::<4>(count)?, reader.array::<4>(count)?);
        let raw_hidden = reader.array::<8>(hiding)?;
        let mut keys = KeysBuilder::new(count);
        let mut last = None;
        for key in raw_keys.iter().map(|raw| u32::from_le_bytes(*raw)) {
            if last.is_none_or(|last| last < key) && (last.is_some() || key == 0) {
                keys.push(key);
                last = Some(key);
            } else {
                return Err(Damaged("boundaries that do not ascend from 0"));
            }
        }
        let values: Vec<u32> = raw_values
            .iter()
            .map(|raw| u32::from_le_bytes(*raw))
            .collect();
        let hidden: Vec<Staged> = raw_hidden
            .iter()
            .map(|raw| u64::from_le_bytes(*raw))
            .collect();
        let lengths = hidden.iter().map(|entry| *entry as u32);
        if values
            .iter()
            .copied()
            .chain(lengths)
            .any(|value| value != NONE && unpack(value).0 > 32)
        {
            return Err(Damaged("a length beyond 32"));
        }
        let table = Self {
            keys: keys.finish(),
            values,
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

/// How many boundaries are at most `bits`.
#[inline]
fn indexed(index: &[u32], low: &[u16], bits: u32) -> usize {
    let upper = (bits >> 16) as usize;
    let wanted = bits as u16;
    let (Some(start), Some(end)) = (index.get(upper), index.get(upper + 1)) else {
        return 0;
    };
    let (mut start, mut left) = (*start as usize, (*end - *start) as usize);
    // Without a branch on what it finds: the outcome is as good as random.
    while left > WINDOW {
        let half = left / 2;
        let here = low.get(start + half - 1).is_some_and(|key| *key <= wanted);
        start += if here { half } else { 0 };
        left -= half;
    }
    let Some(window) = low
        .get(start..)
        .and_then(|rest| rest.first_chunk::<WINDOW>())
    else {
        return 0;
    };
    let mut below = 0;
    for (lane, key) in window.iter().enumerate() {
        below += u16::from((*key <= wanted) & ((lane as u16) < left as u16));
    }
    start + usize::from(below)
}

/// Lays sorted, different prefixes flat: gives each boundary with its value, ascending, and each
/// prefix that no boundary shows.
fn flatten(staged: &[Staged], mut boundary: impl FnMut(u32, u32), mut hidden: impl FnMut(Staged)) {
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
        let start = (*entry >> 32) as u32;
        while let Some((last, ..)) = open.last()
            && *last < start
        {
            let next = *last + 1;
            reach(&mut open, &mut pending, Some(next));
            close(&mut open, &mut hidden);
        }
        reach(&mut open, &mut pending, Some(start));
        let (length, _) = unpack(*entry as u32);
        let rest = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        open.push((start | rest, *entry, false));
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
struct KeysBuilder {
    keys: Keys,
    pushed: u32,
}

impl KeysBuilder {
    fn new(count: usize) -> Self {
        let keys = if count < INDEXED {
            Keys::Plain(Vec::with_capacity(count))
        } else {
            Keys::Indexed {
                index: Vec::with_capacity(65_537),
                low: Vec::with_capacity(count + WINDOW),
            }
        };
        Self { keys, pushed: 0 }
    }

    fn push(&mut self, key: u32) {
        match &mut self.keys {
            Keys::Plain(keys) => keys.push(key),
            Keys::Indexed { index, low } => {
                index.resize((key >> 16) as usize + 1, self.pushed);
                low.push(key as u16);
            }
        }
        self.pushed += 1;
    }

    fn finish(mut self) -> Keys {
        if let Keys::Indexed { index, low } = &mut self.keys {
            index.resize(65_537, self.pushed);
            low.extend([0; WINDOW]);
        }
        self.keys
    }
}

/// Compile-time proof that a coded line leaves room for the length.
const _: () = assert!(FAR < 1 << 24);

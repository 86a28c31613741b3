//! IPv6: prefixes sorted by their first address, each knowing the way to one around it.
//!
//! Invariant: the last prefix that begins at or before an address holds it, or one that its links lead
//! to does, or none. Links lead back, so a walk ends. A link spans at most 65,535 entries; where the
//! prefix around is farther, it leads to an entry in between: that is inside the same prefix, does not
//! hold the address either, and leads on. Prefixes to /48 take 12 bytes and 1 to 2 of index, longer ones 22.

use std::hint::select_unpredictable;
use std::net::Ipv6Addr;

use super::bytes::{Damaged, Reader, put_u32};
use super::{NONE, pack, unpack};
use crate::address::Prefix;

/// The longest prefix of [`Short`].
pub(super) const SHORT: u8 = 48;

/// So many entries are searched in a number of steps that is always the same.
const WINDOW: usize = 8;

/// Upper 32 bits; next 16 and the length; coded line.
pub(super) type StagedShort = [u32; 3];
/// Address; length and coded line.
pub(super) type StagedLong = [u32; 5];

/// Prefixes to /48.
#[derive(Clone, Debug, Default)]
pub(super) struct Short {
    /// Sorted by [`key`]: its lower half with the link in place of zeros, its upper half, length and
    /// coded line.
    entries: Vec<[u32; 3]>,
    index: Index,
}

/// Where to look for a key: the space from the first one on in parts, each part in even slices.
#[derive(Clone, Debug, Default)]
struct Index {
    /// At most the first key.
    base: u64,
    /// A key's distance from `base`, so far shifted, is the number of its part.
    cut: u32,
    parts: Vec<Part>,
    /// For each slice of each part, how many entries stand before it; one more at the end.
    before: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    /// Its first slice.
    slice: u32,
    /// A distance within the part, so far shifted, is the number of its slice.
    shift: u8,
}

/// Prefixes beyond /48.
#[derive(Clone, Debug, Default)]
pub(super) struct Long {
    keys: Vec<u128>,
    links: Vec<u16>,
    values: Vec<u32>,
}

pub(super) fn staged_short(bits: u128, length: u8, coded: u32) -> StagedShort {
    let middle = (bits >> 80) as u32 & 0xFFFF;
    [(bits >> 96) as u32, middle << 16 | u32::from(length), coded]
}

pub(super) fn staged_long(bits: u128, length: u8, coded: u32) -> StagedLong {
    let [a, b, c, d] = [96, 64, 32, 0].map(|shift| (bits >> shift) as u32);
    [a, b, c, d, pack(length, coded)]
}

impl Short {
    pub(super) fn build(mut staged: Vec<StagedShort>) -> Self {
        staged.sort_unstable();
        staged.dedup_by_key(|[upper, lower, _]| (*upper, *lower));
        // Built where they were staged.
        let mut entries = staged;
        entries.shrink_to_fit();
        let mut links = Links::default();
        for (at, entry) in entries.iter_mut().enumerate() {
            let [upper, lower, coded] = *entry;
            let (middle, length) = (lower & 0xFFFF_0000, lower as u8);
            let address = u128::from(upper) << 96 | u128::from(middle) << 64;
            let link = links.next(at, address, length);
            *entry = [middle | u32::from(link), upper, pack(length, coded)];
        }
        let index = Index::of(&entries);
        Self { entries, index }
    }

    /// Length and coded line of the longest prefix around an address, or [`NONE`].
    #[inline(always)]
    pub(super) fn find(&self, bits: u128) -> u32 {
        self.walk((bits >> 64) as u64 | 0xFFFF).unwrap_or(NONE)
    }

    #[inline(always)]
    fn walk(&self, wanted: u64) -> Option<u32> {
        let (start, end) = self.index.around(wanted, self.entries.len())?;
        let mut at = self.before(start, end, wanted)?.checked_sub(1)?;
        loop {
            let entry = *self.entries.get(at)?;
            let link = entry[0] & 0xFFFF;
            // Two at a time, without a branch on either.
            let around = *self.entries.get(at.wrapping_sub(link as usize))?;
            let (near, far) = (holds(entry, wanted), holds(around, wanted));
            let found = select_unpredictable(far, around[2], NONE);
            let found = select_unpredictable(near, entry[2], found);
            let next = around[0] & 0xFFFF;
            if near | far | (next == 0) {
                return Some(found);
            }
            at = at.checked_sub((link + next) as usize)?;
        }
    }

    /// How many entries are at most `wanted`; those before `start` are, those from `end` on are not.
    #[inline(always)]
    fn before(&self, mut start: usize, end: usize, wanted: u64) -> Option<usize> {
        let mut left = end.checked_sub(start)?;
        // Without a branch on what it finds: the outcome is as good as random.
        while left > WINDOW {
            let half = left / 2;
            let middle = key(*self.entries.get(start + half - 1)?);
            start += select_unpredictable(middle <= wanted, half, 0);
            left -= half;
        }
        let rest = self.entries.get(start..)?;
        let Some(window) = rest.first_chunk::<WINDOW>() else {
            return Some(start + rest.partition_point(|entry| key(*entry) <= wanted));
        };
        let mut below = 0;
        for half in [WINDOW / 2, WINDOW / 4, WINDOW / 8] {
            let middle = key(window[(below + half - 1) % WINDOW]);
            below += select_unpredictable(middle <= wanted, half, 0);
        }
        let last = key(window[below % WINDOW]) <= wanted;
        Some(start + below + usize::from(last))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let index = self.index.parts.capacity() * size_of::<Part>();
        self.entries.capacity() * 12 + index + self.index.before.capacity() * 4
    }

    /// Every prefix, by address.
    pub(super) fn each(&self, take: &mut impl FnMut(Prefix, u32)) {
        for entry in &self.entries {
            let (length, coded) = unpack(entry[2]);
            let address = Ipv6Addr::from_bits(address(*entry));
            take(Prefix::new(address.into(), length), coded);
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_u32(out, u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        for part in self.entries.iter().flatten() {
            put_u32(out, *part);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let count = reader.count()?;
        let raw = reader.array::<12>(count)?;
        let parts = |raw: &[u8; 12]| {
            let [a, b, c] = [0, 4, 8].map(|at| [raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
            [a, b, c].map(u32::from_le_bytes)
        };
        let entries: Vec<[u32; 3]> = raw.iter().map(parts).collect();
        let addresses = entries.iter().map(|entry| address(*entry));
        let links = entries.iter().map(|entry| entry[0] as u16);
        let values = entries.iter().map(|entry| entry[2]);
        check(addresses, links, values, 0..=SHORT)?;
        let index = Index::of(&entries);
        Ok(Self { entries, index })
    }
}

/// The first 48 bits, and the link below them.
#[inline]
fn key([lower, upper, _]: [u32; 3]) -> u64 {
    u64::from(upper) << 32 | u64::from(lower)
}

#[inline(always)]
fn holds(entry: [u32; 3], wanted: u64) -> bool {
    (key(entry) ^ wanted)
        .checked_shr(64 - (entry[2] >> 24))
        .unwrap_or(0)
        == 0
}

fn address(entry: [u32; 3]) -> u128 {
    u128::from(key(entry) >> 16) << 80
}

impl Index {
    /// At most a byte of parts and a byte of slices for each entry, and a few.
    fn of(entries: &[[u32; 3]]) -> Self {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Self::default();
        };
        let (first, last) = (key(*first), key(*last));
        let parts = ((last >> 48) - (first >> 48) + 1) as usize;
        let mut index = Self::default();
        if parts <= entries.len() / 12 {
            index.base = first >> 48 << 48;
            index.cut = 48;
            index.parts.reserve_exact(parts);
            // Even slices of each part, for four entries or more.
            let slices = |count: usize| (count / 4).checked_ilog2().unwrap_or(0);
            let counts = || {
                let same = |a: &[u32; 3], b: &[u32; 3]| a[1] >> 16 == b[1] >> 16;
                entries.chunk_by(same)
            };
            let all: usize = counts().map(|part| 1 << slices(part.len())).sum();
            let empty = parts - counts().count();
            index.before.reserve_exact(all + empty + 1);
            let mut before = 0;
            for part in counts() {
                let number = ((key(part[0]) - index.base) >> 48) as usize;
                index.skip_to(number, before);
                let bits = slices(part.len());
                index.push(part, 48 - bits, 1 << bits, &mut before);
            }
        } else {
            index.base = first;
            index.cut = 64;
            let most = (entries.len() as u64 / 4).max(1);
            let shift = (0..64).find(|shift| (last - first) >> shift < most);
            let shift = shift.unwrap_or(63);
            let slices = ((last - first) >> shift) as usize + 1;
            index.before.reserve_exact(slices + 1);
            index.push(entries, shift, slices, &mut 0);
        }
        index.before.push(entries.len() as u32);
        index
    }

    /// Adds parts without entries up to the one of this number.
    fn skip_to(&mut self, number: usize, before: u32) {
        while self.parts.len() < number {
            let slice = self.before.len() as u32;
            self.parts.push(Part { slice, shift: 63 });
            self.before.push(before);
        }
    }

    /// Adds a part of so many slices, `before` which so many entries stand.
    fn push(&mut self, part: &[[u32; 3]], shift: u32, slices: usize, before: &mut u32) {
        let slice = self.before.len();
        self.parts.push(Part {
            slice: slice as u32,
            shift: shift as u8,
        });
        for entry in part {
            let begin = slice + (self.within(key(*entry)) >> shift) as usize + 1;
            if self.before.len() < begin {
                self.before.resize(begin, *before);
            }
            *before += 1;
        }
        self.before.resize(slice + slices, *before);
    }

    fn within(&self, key: u64) -> u64 {
        (key - self.base) & u64::MAX >> (64 - self.cut)
    }

    /// Between which of `count` entries the first one beyond `wanted` is; `None` when all are.
    #[inline(always)]
    fn around(&self, wanted: u64, count: usize) -> Option<(usize, usize)> {
        let distance = wanted.checked_sub(self.base)?;
        let part = distance.checked_shr(self.cut).unwrap_or(0);
        // Beyond the last part or slice are no entries.
        let Some(part) = self.parts.get(part as usize) else {
            return Some((count, count));
        };
        let slice = u64::from(part.slice) + (self.within(wanted) >> part.shift);
        let slice = slice.min(self.before.len() as u64) as usize;
        match (self.before.get(slice), self.before.get(slice + 1)) {
            (Some(start), Some(end)) => Some((*start as usize, *end as usize)),
            _ => Some((count, count)),
        }
    }
}

impl Long {
    pub(super) fn build(mut staged: Vec<StagedLong>) -> Self {
        staged.shrink_to_fit();
        staged.sort_unstable();
        staged.dedup_by_key(|[a, b, c, d, value]| (*a, *b, *c, *d, *value >> 24));
        let mut long = Self {
            keys: Vec::with_capacity(staged.len()),
            links: Vec::with_capacity(staged.len()),
            values: Vec::with_capacity(staged.len()),
        };
        let mut links = Links::default();
        for (at, [a, b, c, d, value]) in staged.iter().enumerate() {
            let key = [a, b, c, d]
                .into_iter()
                .fold(0, |bits: u128, part| bits << 32 | u128::from(*part));
            long.keys.push(key);
            long.links.push(links.next(at, key, unpack(*value).0));
            long.values.push(*value);
        }
        long
    }

    /// Length and coded line of the longest prefix around an address, or [`NONE`].
    #[inline]
    pub(super) fn find(&self, bits: u128) -> u32 {
        if self.keys.is_empty() {
            return NONE;
        }
        self.walk(bits).unwrap_or(NONE)
    }

    #[inline(never)]
    fn walk(&self, bits: u128) -> Option<u32> {
        let before = self.keys.partition_point(|key| *key <= bits);
        let mut at = before.checked_sub(1)?;
        loop {
            let value = *self.values.get(at)?;
            let shift = 128 - (value >> 24);
            if (*self.keys.get(at)? ^ bits).checked_shr(shift).unwrap_or(0) == 0 {
                return Some(value);
            }
            match *self.links.get(at)? {
                0 => return None,
                link => at = at.checked_sub(usize::from(link))?,
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.capacity() * 16 + self.links.capacity() * 2 + self.values.capacity() * 4
    }

    /// Every prefix, by address.
    pub(super) fn each(&self, take: &mut impl FnMut(Prefix, u32)) {
        for (key, value) in self.keys.iter().zip(&self.values) {
            let (length, coded) = unpack(*value);
            take(Prefix::new(Ipv6Addr::from_bits(*key).into(), length), coded);
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_u32(out, u32::try_from(self.keys.len()).unwrap_or(u32::MAX));
        for key in &self.keys {
            out.extend_from_slice(&key.to_le_bytes());
        }
        for link in &self.links {
            out.extend_from_slice(&link.to_le_bytes());
        }
        self.values.iter().for_each(|value| put_u32(out, *value));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let count = reader.count()?;
        let (keys, links) = (reader.array::<16>(count)?, reader.array::<2>(count)?);
        let values = reader.array::<4>(count)?;
        let long = Self {
            keys: keys.iter().map(|raw| u128::from_le_bytes(*raw)).collect(),
            links: links.iter().map(|raw| u16::from_le_bytes(*raw)).collect(),
            values: values.iter().map(|raw| u32::from_le_bytes(*raw)).collect(),
        };
        let (keys, links) = (long.keys.iter().copied(), long.links.iter().copied());
        check(keys, links, long.values.iter().copied(), SHORT + 1..=128)?;
        Ok(long)
    }
}

/// Whether stored entries keep the laws of built ones.
fn check(
    addresses: impl Iterator<Item = u128>,
    links: impl Iterator<Item = u16>,
    values: impl Iterator<Item = u32>,
    lengths: std::ops::RangeInclusive<u8>,
) -> Result<(), Damaged> {
    let mut last = None;
    for (at, ((address, link), value)) in addresses.zip(links).zip(values).enumerate() {
        let (length, _) = unpack(value);
        if !lengths.contains(&length) {
            return Err(Damaged("a length of another table"));
        }
        let hosts = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        if address & hosts != 0 {
            return Err(Damaged("a prefix with host bits"));
        }
        if last.is_some_and(|last| last >= (address, length)) {
            return Err(Damaged("prefixes out of order"));
        }
        if usize::from(link) > at {
            return Err(Damaged("a link that leads nowhere"));
        }
        last = Some((address, length));
    }
    Ok(())
}

/// The prefixes around the entry reached and itself, the widest first: where, and its last address.
#[derive(Default)]
struct Links {
    open: Vec<(usize, u128)>,
}

impl Links {
    /// The link of the next entry.
    fn next(&mut self, at: usize, address: u128, length: u8) -> u16 {
        while self.open.pop_if(|(_, last)| *last < address).is_some() {}
        // All between the prefix around and this entry is inside the one and beside the other.
        let link = self.open.last().map_or(0, |(around, _)| {
            u16::try_from(at - around).unwrap_or(u16::MAX)
        });
        let rest = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        self.open.push((at, address | rest));
        link
    }
}

//! IPv6 from /16 to /48: in parts by the first 16 bits, the 32 after them laid flat.
//!
//! Invariant: a part is cut into even slots, at most one for every two of its prefixes. An entry is the
//! first address from which on a prefix is the longest; where a prefix holds a slot's first address, the
//! slot has an entry there, so a look-up reads one slot. No entry says that nothing holds an address: the
//! last entry before it is then of a prefix that has ended, which its length shows.
//!
//! Memory: 8 bytes an entry, 4 a slot, 4 for each of the first 16 bits between the least and the greatest:
//! of n prefixes at most 2.5 n entries, n / 2 slots and 3 n parts, of the Internet's routes some 11 bytes a
//! prefix. A look-up takes a step for the part, one for the slot and, where more than [`WINDOW`] entries
//! are in a slot, those of a binary search among them, whatever the list.

use std::hint::select_unpredictable;
use std::net::Ipv6Addr;

use super::bytes::{Damaged, Reader, put_u32};
use super::{FAR, NONE, unpack, v4};
use crate::address::Prefix;

/// The shortest prefix.
pub(super) const SHORTEST: u8 = 16;
/// The longest prefix.
pub(super) const LONGEST: u8 = 48;

/// So many entries are compared at once.
const WINDOW: usize = 16;

/// What fewer prefixes for each part make too sparse, as a fraction: one for three.
const SPARSE: usize = 3;

/// From so many prefixes on a part could not tell where its slots begin.
const MOST: usize = 1 << 26;

/// For each number of entries in a window, 1 for those; from memory, so that all are compared at once.
static VALID: [[u32; WINDOW]; WINDOW + 1] = {
    let mut valid = [[0; WINDOW]; WINDOW + 1];
    let mut at = 0;
    while at < WINDOW * (WINDOW + 1) {
        valid[at / WINDOW][at % WINDOW] = (at % WINDOW < at / WINDOW) as u32;
        at += 1;
    }
    valid
};

/// Upper 32 bits; next 16 and the length; coded line.
pub(super) type Staged = [u32; 3];

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// The first 16 bits of the first part.
    base: u32,
    /// The first slot of each part, times 64, and how far a key is shifted to be the number of a slot.
    parts: Vec<u32>,
    /// For each slot, how many entries stand before it; one more at the end. The first one is empty and
    /// stands for parts without prefixes.
    slots: Vec<u32>,
    /// For each slot its keys (flipped), then their values, so that a look-up stays in one or two lines of
    /// the processor's cache; and [`WINDOW`] more.
    groups: Vec<u32>,
    /// Prefixes that longer ones cover wholly; no look-up ends at them.
    hidden: Vec<Staged>,
    len: usize,
}

pub(super) fn staged(bits: u128, length: u8, coded: u32) -> Staged {
    let middle = (bits >> 80) as u32 & 0xFFFF;
    [(bits >> 96) as u32, middle << 16 | u32::from(length), coded]
}

/// Address, length and coded line.
pub(super) fn parts_of([upper, lower, coded]: Staged) -> (u128, u8, u32) {
    let middle = u128::from(lower >> 16);
    (u128::from(upper) << 96 | middle << 80, lower as u8, coded)
}

/// Whether a table of these, sorted, is worth its parts.
pub(super) fn suits(staged: &[Staged]) -> bool {
    let (Some(first), Some(last)) = (staged.first(), staged.last()) else {
        return true;
    };
    let parts = (last[0] >> 16) - (first[0] >> 16) + 1;
    staged.len() < MOST && parts as usize / SPARSE <= staged.len()
}

impl Table {
    /// The table of prefixes that are sorted, different, and [suit](suits) it.
    pub(super) fn build(staged: &[Staged]) -> Self {
        let Some(first) = staged.first() else {
            return Self::default();
        };
        let mut table = Self {
            base: first[0] >> 16,
            slots: vec![0],
            len: staged.len(),
            ..Self::default()
        };
        for part in staged.chunk_by(|a, b| a[0] >> 16 == b[0] >> 16) {
            let number = (part[0][0] >> 16) - table.base;
            table.parts.resize(number as usize, 32);
            table.push(part);
        }
        let entries = table.groups.len() as u32 / 2;
        table.slots.push(entries);
        table.groups.extend([0; WINDOW]);
        table.parts.shrink_to_fit();
        table.slots.shrink_to_fit();
        table.groups.shrink_to_fit();
        table.hidden.shrink_to_fit();
        table
    }

    /// Adds the part of these prefixes.
    fn push(&mut self, part: &[Staged]) {
        let top = part[0][0] & 0xFFFF_0000;
        let bits = (part.len() / 2).checked_ilog2().unwrap_or(0);
        let shift = 32 - bits;
        let slot = self.slots.len();
        self.parts.push((slot as u32) << 6 | shift);
        let mut filling = Filling {
            slots: &mut self.slots,
            groups: &mut self.groups,
            values: Vec::new(),
            first: slot,
            shift,
            last: NONE,
        };
        let hidden = &mut self.hidden;
        v4::flatten(
            part.iter().map(|[upper, lower, coded]| {
                let low = upper << 16 | lower >> 16;
                v4::staged(low, *lower as u8 - SHORTEST, *coded)
            }),
            |key, value| filling.boundary(key, value),
            |entry| {
                let (length, coded) = unpack(entry as u32);
                let low = (entry >> 32) as u32;
                let lower = low << 16 | u32::from(length + SHORTEST);
                hidden.push([top | low >> 16, lower, coded]);
            },
        );
        filling.finish(slot + (1 << bits));
    }

    /// Length and coded line of the longest prefix around an address, or [`NONE`].
    #[inline(always)]
    pub(super) fn find(&self, bits: u128) -> u32 {
        self.look(bits).unwrap_or(NONE)
    }

    #[inline(always)]
    fn look(&self, bits: u128) -> Option<u32> {
        let number = ((bits >> 112) as u32).wrapping_sub(self.base);
        let part = *self.parts.get(number as usize)?;
        let low = (bits >> 80) as u32;
        let slot = (part >> 6) as usize + (u64::from(low) >> (part & 63)) as usize;
        let (first, end) = (*self.slots.get(slot)?, *self.slots.get(slot + 1)?);
        let count = (end - first) as usize;
        let group = self.groups.get(first as usize * 2..)?;
        let wanted = flipped(low);
        let (mut start, mut left) = (0, count);
        // Without a branch on what it finds: the outcome is as good as random.
        while left > WINDOW {
            let half = left / 2;
            let middle = *group.get(start + half - 1)? as i32;
            start += select_unpredictable(middle <= wanted, half, 0);
            left -= half;
        }
        let window = group.get(start..)?.first_chunk::<WINDOW>()?;
        let mut below = 0;
        for (key, valid) in window.iter().zip(VALID.get(left)?) {
            below += u32::from(*key as i32 <= wanted) & valid;
        }
        let below = start + below as usize;
        let last = below.saturating_sub(1);
        let (key, value) = (*group.get(last)? as i32, *group.get(count + last)?);
        // Before the first entry is nothing: a difference that no length shifts away.
        let differs = u64::from((key ^ wanted) as u32) | u64::from(below == 0) << 63;
        let beyond = u32::from(LONGEST).wrapping_sub(value >> 24);
        Some(select_unpredictable(
            differs.wrapping_shr(beyond) == 0,
            value,
            NONE,
        ))
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        let words = self.parts.capacity() + self.slots.capacity() + self.groups.capacity();
        words * 4 + self.hidden.capacity() * size_of::<Staged>()
    }

    /// Every prefix once, in no order.
    pub(super) fn each(&self, take: &mut impl FnMut(Prefix, u32)) {
        self.each_staged(&mut |staged| {
            let (bits, length, coded) = parts_of(staged);
            take(Prefix::new(Ipv6Addr::from_bits(bits).into(), length), coded);
        });
    }

    fn each_staged(&self, take: &mut impl FnMut(Staged)) {
        // The prefix of each length that was met last: its entries come in one stretch.
        let mut met = [None; LONGEST as usize + 1];
        let mut rest = self.groups.as_slice();
        for (top, part) in (self.base..).zip(&self.parts) {
            let (slot, bits) = ((part >> 6) as usize, 32 - (part & 63));
            let slots = self.slots.get(slot..).unwrap_or_default();
            // The empty slot of parts without prefixes has nothing to give.
            for ends in slots.windows(2).take(1 << bits).filter(|_| slot > 0) {
                let count = (ends[1] - ends[0]) as usize;
                let (keys, after) = rest.split_at(count);
                let (values, after) = after.split_at(count);
                rest = after;
                for (key, value) in keys.iter().zip(values) {
                    let (length, coded) = unpack(*value);
                    let bits = u128::from(top) << 112 | u128::from(flipped(*key) as u32) << 80;
                    let hosts = u128::MAX >> length;
                    let prefix = staged(bits & !hosts, length, coded);
                    let met = &mut met[usize::from(length)];
                    if *met != Some(prefix) {
                        *met = Some(prefix);
                        take(prefix);
                    }
                }
            }
        }
        self.hidden.iter().for_each(|hidden| take(*hidden));
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut all = Vec::with_capacity(self.len);
        self.each_staged(&mut |staged| all.push(staged));
        all.sort_unstable();
        put_u32(out, u32::try_from(all.len()).unwrap_or(u32::MAX));
        all.iter().flatten().for_each(|part| put_u32(out, *part));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let count = reader.count()?;
        let raw = reader.array::<12>(count)?;
        let mut all: Vec<Staged> = Vec::with_capacity(count);
        for [a, b, c, d, e, f, g, h, rest @ ..] in raw {
            let [upper, lower] = [[*a, *b, *c, *d], [*e, *f, *g, *h]].map(u32::from_le_bytes);
            let next = [upper, lower, u32::from_le_bytes(*rest)];
            let (bits, length, coded) = parts_of(next);
            if lower >> 8 & 0xFF != 0 || !(SHORTEST..=LONGEST).contains(&length) {
                return Err(Damaged("a length of another table"));
            }
            if bits & u128::MAX >> length != 0 || coded > FAR {
                return Err(Damaged("a prefix with other bits"));
            }
            if all.last().is_some_and(|last| last[..2] >= next[..2]) {
                return Err(Damaged("prefixes out of order"));
            }
            all.push(next);
        }
        if !suits(&all) {
            return Err(Damaged("prefixes too sparse for their table"));
        }
        Ok(Self::build(&all))
    }
}

/// A key as it is compared, and back: its order as a signed number, which is what processors compare many
/// of at once.
#[inline]
fn flipped(key: u32) -> i32 {
    (key ^ 0x8000_0000) as i32
}

/// Takes the ascending boundaries of a part.
struct Filling<'a> {
    slots: &'a mut Vec<u32>,
    groups: &'a mut Vec<u32>,
    /// The values of the last slot.
    values: Vec<u32>,
    /// The part's first slot.
    first: usize,
    shift: u32,
    /// The value of the last boundary.
    last: u32,
}

impl Filling<'_> {
    fn boundary(&mut self, key: u32, value: u32) {
        let slot = self.first + (u64::from(key) >> self.shift) as usize;
        self.slots_to(slot);
        let starts = u64::from(key) & ((1 << self.shift) - 1) == 0;
        if self.slots.len() == slot {
            self.open(starts);
        }
        self.last = value;
        if value != NONE {
            self.groups.push(flipped(key) as u32);
            self.values.push(value + (u32::from(SHORTEST) << 24));
        }
    }

    /// Opens all slots before this one, with an entry where a prefix reaches in.
    fn slots_to(&mut self, slot: usize) {
        while self.slots.len() < slot {
            self.open(false);
        }
    }

    /// Opens the next slot; `starts` when a boundary is where it begins.
    fn open(&mut self, starts: bool) {
        self.groups.append(&mut self.values);
        let number = (self.slots.len() - self.first) as u64;
        self.slots.push(self.groups.len() as u32 / 2);
        if self.last != NONE && !starts {
            self.groups
                .push(flipped((number << self.shift) as u32) as u32);
            self.values.push(self.last + (u32::from(SHORTEST) << 24));
        }
    }

    fn finish(mut self, end: usize) {
        self.slots_to(end);
        self.groups.append(&mut self.values);
    }
}

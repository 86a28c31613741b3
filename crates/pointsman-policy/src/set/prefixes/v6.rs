//! IPv6: prefixes sorted by their first address, each knowing the way to one around it.
//!
//! Invariant: the last prefix that begins at or before an address holds it, or one that its links lead
//! to does, or none. Links lead back, so a walk ends. A link spans at most 65,535 entries; where the
//! prefix around is farther, it leads to an entry in between: that is inside the same prefix, does not
//! hold the address either, and leads on. Prefixes to /48 take 12 bytes and 1 to 2 of index, longer ones 22.

use std::net::Ipv6Addr;

use super::bytes::{Damaged, Reader, put_u32};
use super::{pack, unpack};
use crate::address::Prefix;

/// The longest prefix of [`Short`].
pub(super) const SHORT: u8 = 48;

/// Upper 32 bits; next 16 and the length; coded line.
pub(super) type StagedShort = [u32; 3];
/// Address; length and coded line.
pub(super) type StagedLong = [u32; 5];

/// Prefixes to /48.
#[derive(Clone, Debug, Default)]
pub(super) struct Short {
    /// The first 48 bits above, the link below; ascending.
    keys: Vec<u64>,
    /// Length and coded line.
    values: Vec<u32>,
    /// For each of even slices of the space from the first key on, how many keys stand before it.
    index: Vec<u32>,
    /// How far a slice's number is shifted.
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
        staged.shrink_to_fit();
        staged.sort_unstable();
        staged.dedup_by_key(|[upper, lower, _]| (*upper, *lower));
        let mut keys = Vec::with_capacity(staged.len());
        let mut values = Vec::with_capacity(staged.len());
        let mut links = Links::default();
        for (at, [upper, lower, coded]) in staged.iter().enumerate() {
            let key = u64::from(*upper) << 32 | u64::from(*lower >> 16) << 16;
            let length = *lower as u8;
            keys.push(key | u64::from(links.next(at, u128::from(key) << 64, length)));
            values.push(pack(length, *coded));
        }
        drop(staged);
        let (index, shift) = index(&keys);
        Self {
            keys,
            values,
            index,
            shift,
        }
    }

    #[inline]
    pub(super) fn find(&self, bits: u128) -> Option<(u8, u32)> {
        let wanted = (bits >> 64) as u64 | 0xFFFF;
        let slice = wanted.checked_sub(*self.keys.first()?)? >> self.shift;
        // Beyond the last slice every key is before the address.
        let slice = slice.min(self.index.len() as u64) as usize;
        let (start, end) = match (self.index.get(slice), self.index.get(slice + 1)) {
            (Some(start), Some(end)) => (*start as usize, *end as usize),
            _ => (self.keys.len(), self.keys.len()),
        };
        let inside = self.keys.get(start..end)?;
        let before = start + inside.partition_point(|key| *key <= wanted);
        let mut at = before.checked_sub(1)?;
        loop {
            let key = *self.keys.get(at)?;
            let found = unpack(*self.values.get(at)?);
            let shift = 64 - u32::from(found.0);
            if (key ^ wanted).checked_shr(shift).unwrap_or(0) == 0 {
                return Some(found);
            }
            match key & 0xFFFF {
                0 => return None,
                link => at = at.checked_sub(link as usize)?,
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.capacity() * 8 + self.values.capacity() * 4 + self.index.capacity() * 4
    }

    /// Every prefix, by address.
    pub(super) fn each(&self, take: &mut impl FnMut(Prefix, u32)) {
        for (key, value) in self.keys.iter().zip(&self.values) {
            let (length, coded) = unpack(*value);
            let address = Ipv6Addr::from_bits(u128::from(*key >> 16) << 80);
            take(Prefix::new(address.into(), length), coded);
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_u32(out, u32::try_from(self.keys.len()).unwrap_or(u32::MAX));
        for key in &self.keys {
            out.extend_from_slice(&key.to_le_bytes());
        }
        self.values.iter().for_each(|value| put_u32(out, *value));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let count = reader.count()?;
        let (keys, values) = (reader.array::<8>(count)?, reader.array::<4>(count)?);
        let keys: Vec<u64> = keys.iter().map(|raw| u64::from_le_bytes(*raw)).collect();
        let values: Vec<u32> = values.iter().map(|raw| u32::from_le_bytes(*raw)).collect();
        let addresses = keys.iter().map(|key| u128::from(*key >> 16) << 80);
        let links = keys.iter().map(|key| *key as u16);
        check(addresses, links, &values, 0..=SHORT)?;
        let (index, shift) = index(&keys);
        Ok(Self {
            keys,
            values,
            index,
            shift,
        })
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

    #[inline]
    pub(super) fn find(&self, bits: u128) -> Option<(u8, u32)> {
        if self.keys.is_empty() {
            return None;
        }
        let mut at = self
            .keys
            .partition_point(|key| *key <= bits)
            .checked_sub(1)?;
        loop {
            let found = unpack(*self.values.get(at)?);
            let shift = 128 - u32::from(found.0);
            if (*self.keys.get(at)? ^ bits).checked_shr(shift).unwrap_or(0) == 0 {
                return Some(found);
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
        check(keys, links, &long.values, SHORT + 1..=128)?;
        Ok(long)
    }
}

/// Even slices of the space that keys are in: between a quarter and half as many as keys.
fn index(keys: &[u64]) -> (Vec<u32>, u8) {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
        return (Vec::new(), 0);
    };
    let span = last - first;
    let most = (keys.len() as u64 / 2).saturating_sub(2).max(1);
    let mut shift = 0;
    while shift < 63 && span >> shift >= most {
        shift += 1;
    }
    let slices = (span >> shift) as usize + 1;
    let mut index = Vec::with_capacity(slices + 1);
    for (at, key) in keys.iter().enumerate() {
        let slice = ((key - first) >> shift) as usize;
        index.resize(slice + 1, at as u32);
    }
    index.push(keys.len() as u32);
    (index, shift)
}

/// Whether stored entries keep the laws of built ones.
fn check(
    addresses: impl Iterator<Item = u128>,
    links: impl Iterator<Item = u16>,
    values: &[u32],
    lengths: std::ops::RangeInclusive<u8>,
) -> Result<(), Damaged> {
    let mut last = None;
    for (at, ((address, link), value)) in addresses.zip(links).zip(values).enumerate() {
        let (length, _) = unpack(*value);
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

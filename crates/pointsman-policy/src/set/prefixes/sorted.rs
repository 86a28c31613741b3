//! IPv6 of any length: prefixes sorted by their first address, each knowing the way to one around it.
//!
//! Invariant: the last prefix that begins at or before an address holds it, or one that its links lead
//! to does, or none. Links lead back, so a walk ends. A link spans at most 65,535 entries; where the
//! prefix around is farther, it leads to an entry in between: that is inside the same prefix, does not
//! hold the address either, and leads on. 22 bytes a prefix.

use std::net::Ipv6Addr;

use super::bytes::{Damaged, Reader, put_u32};
use super::{NONE, pack, unpack};
use crate::address::Prefix;

/// Address; length and coded line.
pub(super) type Staged = [u32; 5];

/// The prefixes, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    keys: Vec<u128>,
    links: Vec<u16>,
    values: Vec<u32>,
}

pub(super) fn staged(bits: u128, length: u8, coded: u32) -> Staged {
    let [a, b, c, d] = [96, 64, 32, 0].map(|shift| (bits >> shift) as u32);
    [a, b, c, d, pack(length, coded)]
}

impl Table {
    pub(super) fn build(mut staged: Vec<Staged>) -> Self {
        staged.shrink_to_fit();
        staged.sort_unstable();
        staged.dedup_by_key(|[a, b, c, d, value]| (*a, *b, *c, *d, *value >> 24));
        let mut table = Self {
            keys: Vec::with_capacity(staged.len()),
            links: Vec::with_capacity(staged.len()),
            values: Vec::with_capacity(staged.len()),
        };
        let mut links = Links::default();
        for (at, [a, b, c, d, value]) in staged.iter().enumerate() {
            let key = [a, b, c, d]
                .into_iter()
                .fold(0, |bits: u128, part| bits << 32 | u128::from(*part));
            table.keys.push(key);
            table.links.push(links.next(at, key, unpack(*value).0));
            table.values.push(*value);
        }
        table
    }

    /// Length and coded line of the longest prefix around an address, or [`NONE`].
    #[inline(never)]
    pub(super) fn find(&self, bits: u128) -> u32 {
        self.walk(bits).unwrap_or(NONE)
    }

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

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
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
        let table = Self {
            keys: keys.iter().map(|raw| u128::from_le_bytes(*raw)).collect(),
            links: links.iter().map(|raw| u16::from_le_bytes(*raw)).collect(),
            values: values.iter().map(|raw| u32::from_le_bytes(*raw)).collect(),
        };
        let (keys, links) = (table.keys.iter().copied(), table.links.iter().copied());
        check(keys, links, table.values.iter().copied())?;
        Ok(table)
    }
}

/// Whether stored entries keep the laws of built ones.
fn check(
    addresses: impl Iterator<Item = u128>,
    links: impl Iterator<Item = u16>,
    values: impl Iterator<Item = u32>,
) -> Result<(), Damaged> {
    let mut last = None;
    for (at, ((address, link), value)) in addresses.zip(links).zip(values).enumerate() {
        let (length, _) = unpack(value);
        if length > 128 {
            return Err(Damaged("a length beyond 128"));
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

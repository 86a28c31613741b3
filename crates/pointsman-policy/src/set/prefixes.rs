//! Address prefixes of a set, compact and immutable, each with the line that says it.
//!
//! Invariant: [`PrefixTable::find`] gives the longest prefix that holds an address, and of prefixes
//! said twice the first line. IPv4 costs at most 16 steps of a binary search; IPv6 one binary search
//! for each kind of length (to /48, beyond) and from there at most one step for each length that the
//! table's prefixes nest in, and one more for every 65,535 entries. Building sorts: n log n.
//!
//! Deliberately absent: how entries are written; the set's forms know that by the line.

mod bytes;
mod v4;
mod v6;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use bytes::Damaged;

use crate::address::Prefix;

/// Lines from here on stand in [`PrefixTable::far`]; three bytes hold the others.
const FAR: u32 = 0xFF_FFFF;

/// No prefix: a length that none has.
const NONE: u32 = 0xFF00_0000;

/// An immutable table of prefixes of both families.
#[derive(Clone, Debug, Default)]
pub struct PrefixTable {
    v4: v4::Table,
    short: v6::Short,
    long: v6::Long,
    /// The lines that need more than three bytes, sorted by prefix.
    far: Vec<(Prefix, u32)>,
}

/// Collects prefixes for a [`PrefixTable`], in 8 to 20 bytes each.
#[derive(Clone, Debug, Default)]
pub struct PrefixBuilder {
    v4: Vec<v4::Staged>,
    short: Vec<v6::StagedShort>,
    long: Vec<v6::StagedLong>,
    far: Vec<(Prefix, u32)>,
}

impl PrefixBuilder {
    /// Adds a prefix that stands at `line`.
    pub fn add(&mut self, prefix: Prefix, line: u32) {
        let coded = line.min(FAR);
        if coded == FAR {
            self.far.push((prefix, line));
        }
        match prefix.address() {
            IpAddr::V4(address) => {
                self.v4
                    .push(v4::staged(address.to_bits(), prefix.length(), coded));
            }
            IpAddr::V6(address) if prefix.length() <= v6::SHORT => {
                self.short
                    .push(v6::staged_short(address.to_bits(), prefix.length(), coded));
            }
            IpAddr::V6(address) => {
                self.long
                    .push(v6::staged_long(address.to_bits(), prefix.length(), coded));
            }
        }
    }

    /// The table.
    #[must_use]
    pub fn finish(self) -> PrefixTable {
        let mut far = self.far;
        far.sort_unstable();
        far.dedup_by_key(|(prefix, _)| *prefix);
        far.shrink_to_fit();
        PrefixTable {
            v4: v4::Table::build(self.v4),
            short: v6::Short::build(self.short),
            long: v6::Long::build(self.long),
            far,
        }
    }
}

impl PrefixTable {
    /// The table of these prefixes, each with its line.
    #[must_use]
    pub fn build(entries: Vec<(Prefix, u32)>) -> Self {
        let mut builder = PrefixBuilder::default();
        for (prefix, line) in entries {
            builder.add(prefix, line);
        }
        builder.finish()
    }

    /// The longest prefix that holds `address` (canonical), and its line.
    #[must_use]
    #[inline(always)]
    pub fn find(&self, address: IpAddr) -> Option<(Prefix, u32)> {
        match address {
            IpAddr::V4(v4) => self.found(address, self.v4.find(v4.to_bits())),
            IpAddr::V6(v6) => self.found(address, self.find_v6(v6.to_bits())),
        }
    }

    #[inline(always)]
    fn find_v6(&self, bits: u128) -> u32 {
        match self.long.find(bits) {
            NONE => self.short.find(bits),
            found => found,
        }
    }

    /// How many different prefixes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.short.len() + self.long.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory behind it, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let far = self.far.capacity() * size_of::<(Prefix, u32)>();
        self.v4.bytes() + self.short.bytes() + self.long.bytes() + far
    }

    /// Every prefix with its line: IPv4 before IPv6, within a family by address, the wider one first.
    /// Takes memory for all of them.
    #[must_use]
    pub fn entries(&self) -> Vec<(Prefix, u32)> {
        let mut entries = Vec::with_capacity(self.len());
        let mut take = |prefix, coded| entries.push((prefix, self.line(prefix, coded)));
        self.v4.each(&mut take);
        self.short.each(&mut take);
        self.long.each(&mut take);
        entries.sort_unstable();
        entries
    }

    /// What a family's table found for `address`. Whether it is anything comes last: that is as good as
    /// random, and so it costs no wrong guess where the caller does without a branch.
    #[inline(always)]
    fn found(&self, address: IpAddr, packed: u32) -> Option<(Prefix, u32)> {
        let (length, coded) = unpack(packed);
        let prefix = Prefix::new(address, length);
        let line = self.line(prefix, coded);
        (packed != NONE).then_some((prefix, line))
    }

    #[inline(always)]
    fn line(&self, prefix: Prefix, coded: u32) -> u32 {
        if coded < FAR {
            coded
        } else {
            self.far_line(prefix)
        }
    }

    #[cold]
    fn far_line(&self, prefix: Prefix) -> u32 {
        let at = self.far.binary_search_by_key(&prefix, |(far, _)| *far);
        at.ok().and_then(|at| self.far.get(at)).map_or(FAR, |f| f.1)
    }
}

/// A length and a coded line in four bytes; see [`unpack`].
fn pack(length: u8, coded: u32) -> u32 {
    u32::from(length) << 24 | coded
}

/// The length and the coded line.
#[inline]
fn unpack(packed: u32) -> (u8, u32) {
    ((packed >> 24) as u8, packed & FAR)
}

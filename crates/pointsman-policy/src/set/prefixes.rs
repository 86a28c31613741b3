//! Address prefixes of a set, compact and immutable, each with the line that says it.
//!
//! Invariant: [`PrefixTable::find`] gives the longest prefix that holds an address, and of prefixes
//! said twice the first line. IPv4 costs at most 16 steps of a binary search. IPv6 from /16 to /48 costs a
//! binary search within a slot ([`dense`]); where a table has others as well, or few and far between, a
//! binary search among those, from there at most one step for each length that they nest in, and one more
//! for every 65,535 of them ([`sorted`]). Building sorts: n log n.
//!
//! Deliberately absent: how entries are written; the set's forms know that by the line.

mod bytes;
mod dense;
mod sorted;
mod v4;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use bytes::Damaged;

use crate::address::Prefix;
use bytes::{Reader, put_u32};

/// Lines from here on stand in [`PrefixTable::far`]; three bytes hold the others.
const FAR: u32 = 0xFF_FFFF;

/// No prefix: a length that none has.
const NONE: u32 = 0xFF00_0000;

/// An immutable table of prefixes of both families.
#[derive(Clone, Debug, Default)]
pub struct PrefixTable {
    v4: v4::Table,
    /// IPv6 of usual lengths, where there are many.
    dense: dense::Table,
    /// The other IPv6.
    sorted: sorted::Table,
    /// The lines that need more than three bytes, sorted by prefix.
    far: Vec<(Prefix, u32)>,
}

/// Collects prefixes for a [`PrefixTable`], in 8 to 20 bytes each.
#[derive(Clone, Debug, Default)]
pub struct PrefixBuilder {
    v4: Vec<v4::Staged>,
    dense: Vec<dense::Staged>,
    sorted: Vec<sorted::Staged>,
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
            IpAddr::V6(address)
                if (dense::SHORTEST..=dense::LONGEST).contains(&prefix.length()) =>
            {
                self.dense
                    .push(dense::staged(address.to_bits(), prefix.length(), coded));
            }
            IpAddr::V6(address) => {
                self.sorted
                    .push(sorted::staged(address.to_bits(), prefix.length(), coded));
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
        let (mut dense, mut sorted) = (self.dense, self.sorted);
        dense.sort_unstable();
        dense.dedup_by_key(|[upper, lower, _]| (*upper, *lower));
        if !dense::suits(&dense) {
            sorted.extend(dense.drain(..).map(|staged| {
                let (bits, length, coded) = dense::parts_of(staged);
                sorted::staged(bits, length, coded)
            }));
        }
        PrefixTable {
            v4: v4::Table::build(self.v4),
            dense: dense::Table::build(&dense),
            sorted: sorted::Table::build(sorted),
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
            IpAddr::V4(v4) => {
                let bits = v4.to_bits();
                found(address, self.v4.find(bits), |length| {
                    self.far_v4(bits, length)
                })
            }
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                found(address, self.find_v6(bits), |length| {
                    self.far_v6(bits, length)
                })
            }
        }
    }

    #[inline(always)]
    fn find_v6(&self, bits: u128) -> u32 {
        let dense = self.dense.find(bits);
        if self.sorted.is_empty() {
            return dense;
        }
        match (dense, self.sorted.find(bits)) {
            (NONE, found) | (found, NONE) => found,
            (one, other) => one.max(other),
        }
    }

    /// How many different prefixes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.dense.len() + self.sorted.len()
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
        self.v4.bytes() + self.dense.bytes() + self.sorted.bytes() + far
    }

    /// Every prefix with its line: IPv4 before IPv6, within a family by address, the wider one first.
    /// Takes memory for all of them.
    #[must_use]
    pub fn entries(&self) -> Vec<(Prefix, u32)> {
        let mut entries = Vec::with_capacity(self.len());
        let mut take = |prefix, coded| entries.push((prefix, self.line(prefix, coded)));
        self.v4.each(&mut take);
        self.dense.each(&mut take);
        self.sorted.each(&mut take);
        entries.sort_unstable();
        entries
    }

    /// Appends the table to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.v4.write(out);
        self.dense.write(out);
        self.sorted.write(out);
        put_u32(out, u32::try_from(self.far.len()).unwrap_or(u32::MAX));
        for (prefix, line) in &self.far {
            let (family, bits) = match prefix.address() {
                IpAddr::V4(v4) => (4, u128::from(v4.to_bits())),
                IpAddr::V6(v6) => (6, v6.to_bits()),
            };
            out.extend_from_slice(&bits.to_le_bytes());
            out.extend_from_slice(&[family, prefix.length()]);
            put_u32(out, *line);
        }
    }

    /// Reads a table that [`Self::write`] wrote off the front of `bytes`. Damage is an error or a table with other
    /// entries: what comes of it keeps the laws of one that was built.
    ///
    /// # Errors
    /// [`Damaged`] when the bytes are not such a table.
    pub fn read(bytes: &mut &[u8]) -> Result<Self, Damaged> {
        let mut reader = Reader { rest: bytes };
        let mut table = Self {
            v4: v4::Table::read(&mut reader)?,
            dense: dense::Table::read(&mut reader)?,
            sorted: sorted::Table::read(&mut reader)?,
            far: Vec::new(),
        };
        let count = reader.count()?;
        let raw = reader.array::<22>(count)?;
        table.far.reserve_exact(raw.len());
        for [bits @ .., family, length, l0, l1, l2, l3] in raw {
            let bits = u128::from_le_bytes(*bits);
            let address = match (*family, u32::try_from(bits)) {
                (4, Ok(bits)) => Ipv4Addr::from_bits(bits).into(),
                (6, _) => Ipv6Addr::from_bits(bits).into(),
                _ => return Err(Damaged("an address of no family")),
            };
            let prefix = Prefix::new(address, *length);
            if table.far.last().is_some_and(|(last, _)| *last >= prefix) {
                return Err(Damaged("far lines out of order"));
            }
            let line = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
            table.far.push((prefix, line));
        }
        *bytes = reader.rest;
        Ok(table)
    }
    fn line(&self, prefix: Prefix, coded: u32) -> u32 {
        if coded < FAR {
            coded
        } else {
            self.far_line(prefix)
        }
    }

    // Both take bits, which are at hand: a whole address would be made for every look-up.
    #[cold]
    #[inline(never)]
    fn far_v4(&self, bits: u32, length: u8) -> u32 {
        self.far_line(Prefix::new(Ipv4Addr::from_bits(bits).into(), length))
    }

    #[cold]
    #[inline(never)]
    fn far_v6(&self, bits: u128, length: u8) -> u32 {
        self.far_line(Prefix::new(Ipv6Addr::from_bits(bits).into(), length))
    }

    /// The line of a prefix whose line needs more than three bytes.
    fn far_line(&self, prefix: Prefix) -> u32 {
        let at = self.far.binary_search_by_key(&prefix, |(far, _)| *far);
        at.ok().and_then(|at| self.far.get(at)).map_or(FAR, |f| f.1)
    }
}

/// What a family's table found for `address`. Whether it is anything comes last: that is as good as
/// random, and so it costs no wrong guess where the caller does without a branch.
#[inline(always)]
fn found(address: IpAddr, packed: u32, far: impl FnOnce(u8) -> u32) -> Option<(Prefix, u32)> {
    let (length, coded) = unpack(packed);
    let line = if coded < FAR { coded } else { far(length) };
    (packed != NONE).then_some((Prefix::new(address, length), line))
}

/// A length and a coded line in four bytes, in the order of lengths; see [`unpack`].
fn pack(length: u8, coded: u32) -> u32 {
    u32::from(length) << 24 | coded
}

/// The length and the coded line.
#[inline]
fn unpack(packed: u32) -> (u8, u32) {
    ((packed >> 24) as u8, packed & FAR)
}

//! A prefix table as bytes, for a cache of ours.
//!
//! Invariant: reading is total. It takes no more memory than the bytes it is given justify, and a
//! table that comes of it keeps the laws of one that was built, so damage is an error or a table with
//! other entries, never a panic or a search without end. Little-endian throughout.
//!
//! Deliberately absent: version and checksum; the container has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{PrefixTable, dense, sorted, v4};
use crate::address::Prefix;

/// Bytes that are no prefix table, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored prefixes are damaged: {0}")]
pub struct Damaged(pub(super) &'static str);

/// Reads from the front of bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl PrefixTable {
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

    /// Reads a table that [`Self::write`] wrote off the front of `bytes`.
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
}

impl<'a> Reader<'a> {
    /// A number of things.
    pub(super) fn count(&mut self) -> Result<usize, Damaged> {
        let count = self.array::<4>(1)?.first().copied().unwrap_or_default();
        usize::try_from(u32::from_le_bytes(count)).map_err(|_too_many| Damaged("too many entries"))
    }

    /// `count` things of `N` bytes.
    pub(super) fn array<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], Damaged> {
        let wanted = count.checked_mul(N);
        let (taken, rest) = wanted
            .and_then(|wanted| self.rest.split_at_checked(wanted))
            .ok_or(Damaged("they end early"))?;
        self.rest = rest;
        Ok(taken.as_chunks().0)
    }
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

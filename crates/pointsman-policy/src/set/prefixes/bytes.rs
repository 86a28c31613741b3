//! Numbers as bytes, and back: what the parts of a prefix table are written and read with, for a cache of ours.
//!
//! Invariant: reading is total. It takes no more memory than the bytes it is given justify, and damage is an error,
//! never a panic. Little-endian throughout.
//!
//! Deliberately absent: version and checksum; the container has them.

/// Bytes that are no prefix table, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored prefixes are damaged: {0}")]
pub struct Damaged(pub(super) &'static str);

/// Reads from the front of bytes.
pub(super) struct Reader<'a> {
    /// What is not read yet.
    pub(super) rest: &'a [u8],
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

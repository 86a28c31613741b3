//! Where the buckets of a table begin.
//!
//! Fingerprints are spread evenly, so a bucket begins near its share of the entries: kept is by how much it
//! does not, in two bytes. A table where that is not enough (of more than some 2^28 entries) keeps four.

/// Where each bucket begins, and behind the last one the number of entries; empty in an empty table.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Directory {
    /// Entries.
    count: u64,
    bits: u8,
    begins: Begins,
}

#[derive(Clone, Debug)]
enum Begins {
    /// Less the share.
    Near(Box<[i16]>),
    Far(Box<[u32]>),
}

impl Directory {
    /// Of 2^`bits` buckets, given where they begin and, last, the number of entries.
    pub(in super::super) fn new(bits: u8, begins: Vec<u32>) -> Self {
        let count = begins.last().copied().map_or(0, u64::from);
        let near = (0..).zip(&begins).map(|(bucket, begin)| {
            let share = share(count, bits, bucket);
            i16::try_from(i64::from(*begin) - share as i64).ok()
        });
        let begins = match near.collect::<Option<_>>() {
            Some(near) => Begins::Near(near),
            None => Begins::Far(begins.into_boxed_slice()),
        };
        Self {
            count,
            bits,
            begins,
        }
    }

    /// Where a bucket begins and ends.
    #[inline]
    pub(super) fn bounds(&self, bucket: usize) -> Option<(u32, u32)> {
        match &self.begins {
            Begins::Near(near) => {
                let [from, to] = *near.get(bucket..)?.first_chunk()?;
                let begin = |bucket: usize, off: i16| {
                    share(self.count, self.bits, bucket as u64).wrapping_add_signed(off.into())
                        as u32
                };
                Some((begin(bucket, from), begin(bucket + 1, to)))
            }
            Begins::Far(far) => {
                let [from, to] = *far.get(bucket..)?.first_chunk()?;
                Some((from, to))
            }
        }
    }

    /// What [`Self::new`] was given.
    pub(in super::super) fn begins(&self) -> impl Iterator<Item = u32> {
        let buckets = match &self.begins {
            Begins::Near(near) => near.len(),
            Begins::Far(far) => far.len(),
        };
        let begins = (1..buckets).filter_map(|end| Some(self.bounds(end - 1)?.0));
        begins.chain((buckets > 0).then_some(self.count as u32))
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        match &self.begins {
            Begins::Near(near) => size_of_val(&**near),
            Begins::Far(far) => size_of_val(&**far),
        }
    }
}

impl Default for Begins {
    fn default() -> Self {
        Self::Near(Box::default())
    }
}

/// Where a bucket would begin if all had as many entries.
#[inline]
fn share(count: u64, bits: u8, bucket: u64) -> u64 {
    // Below 2^31 entries and 2^29 buckets.
    (count * bucket) >> bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_and_uneven_buckets_are_given_back() {
        let check = |bits: u8, begins: Vec<u32>, bytes: usize| {
            let directory = Directory::new(bits, begins.clone());
            assert_eq!(directory.begins().collect::<Vec<_>>(), begins);
            for (bucket, pair) in begins.windows(2).enumerate() {
                assert_eq!(directory.bounds(bucket), Some((pair[0], pair[1])));
            }
            assert_eq!(directory.bounds(begins.len() - 1), None);
            assert_eq!(directory.bytes(), bytes);
        };
        check(0, vec![0, 1], 4);
        check(2, vec![0, 3, 3, 9, 11], 10);
        check(2, vec![0, 0, 0, 0, 32_767], 10);
        check(2, vec![0, 0, 0, 0, 60_000], 20);
        check(1, vec![0, u32::MAX, u32::MAX], 12);
        assert_eq!(Directory::default().bounds(0), None);
        assert_eq!(Directory::default().begins().count(), 0);
    }
}

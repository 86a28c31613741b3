//! How many bytes of datagrams are held for flows that are decided.
//!
//! Invariant: never more than [`MOST_HELD`], whoever asks at once.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of all flows together: a hundred flows that begin at once, each with a long hello, are a tenth of it.
pub(super) const MOST_HELD: usize = 4 << 20;

/// How many bytes are held for all flows.
#[derive(Debug, Default)]
pub(crate) struct Holding(AtomicUsize);

impl Holding {
    /// So many more, unless that is too many.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let all = self.0.fetch_add(bytes, Ordering::Relaxed);
        let fits = all.saturating_add(bytes) <= MOST_HELD;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

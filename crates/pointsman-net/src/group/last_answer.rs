//! When a member of a group answered last.
//!
//! Invariant: cheap enough for each datagram.

use std::sync::atomic::{AtomicU64, Ordering};

/// When a member answered any flow last: seconds of the clock that relays go by; 0: never.
#[derive(Debug, Default)]
pub(crate) struct LastAnswer(AtomicU64);

impl LastAnswer {
    /// It answers, at that second.
    pub(super) fn at(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

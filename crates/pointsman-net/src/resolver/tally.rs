//! What became of questions to an upstream, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What became of questions to an upstream since its servers were first asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamCounts {
    /// Asked: those that were answered from memory are not.
    pub asked: u64,
    /// A server told.
    pub answered: u64,
    /// None could tell.
    pub failed: u64,
    /// What came that was no answer to the question: forged, or late.
    pub dropped: u64,
    /// How long those that were answered took, all together.
    pub took: Duration,
}

/// Counts while questions are asked.
#[derive(Debug, Default)]
pub(super) struct Tally {
    asked: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    took_us: AtomicU64,
}

impl Tally {
    pub(super) fn begins(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// Something came that was no answer to the question.
    pub(super) fn drops(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// A question has ended that took so long.
    pub(super) fn ends(&self, told: bool, took: Duration) {
        if told {
            let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.answered.fetch_add(1, Ordering::Relaxed);
            self.took_us.fetch_add(took, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn now(&self) -> UpstreamCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        UpstreamCounts {
            asked: of(&self.asked),
            answered: of(&self.answered),
            failed: of(&self.failed),
            dropped: of(&self.dropped),
            took: Duration::from_micros(of(&self.took_us)),
        }
    }
}

impl std::iter::Sum for UpstreamCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            asked: sum.asked + one.asked,
            answered: sum.answered + one.answered,
            failed: sum.failed + one.failed,
            dropped: sum.dropped + one.dropped,
            took: sum.took + one.took,
        })
    }
}

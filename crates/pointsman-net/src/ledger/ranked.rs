//! Locks that are taken in one order, so that no two threads wait for each other.
//!
//! Invariant: who holds a lock takes only locks of a higher rank; a debug build panics where somebody does not, whether
//! or not another thread is in the way just then.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Before which locks one is taken; lower first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Flows that ended.
    Ended,
    /// A share of the live flows.
    Live,
    /// What is known of one flow.
    Known,
    /// Records that flows are alike to.
    Kinds,
}

/// A lock with a rank.
pub(super) struct Ranked<T> {
    rank: Rank,
    lock: Mutex<T>,
}

/// What is behind a lock, as long as it is held.
pub(super) struct Guard<'a, T> {
    // Given back before the note of it, for fields are dropped in their order.
    guard: MutexGuard<'a, T>,
    _held: HeldRank,
}

impl<T> Ranked<T> {
    pub(super) fn new(rank: Rank, value: T) -> Self {
        let lock = Mutex::new(value);
        Self { rank, lock }
    }

    /// Waits for it; what a panic left behind is taken as it is.
    pub(super) fn lock(&self) -> Guard<'_, T> {
        // Noted first: who would wait for ever is told.
        let held = HeldRank::note(self.rank);
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { guard, _held: held }
    }
}

impl<T: fmt::Debug> fmt::Debug for Ranked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock.fmt(f)
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// That this thread holds a lock of that rank: nothing at all in a release build.
struct HeldRank {
    #[cfg(debug_assertions)]
    bit: u8,
}

#[cfg(debug_assertions)]
impl HeldRank {
    fn note(rank: Rank) -> Self {
        let bit = 1 << rank as u8;
        let held = HELD.get();
        assert!(
            held < bit,
            "{rank:?} is locked under a lock of its rank or a higher one ({held:#b})"
        );
        HELD.set(held | bit);
        Self { bit }
    }
}

#[cfg(not(debug_assertions))]
impl HeldRank {
    fn note(_: Rank) -> Self {
        Self {}
    }
}

#[cfg(debug_assertions)]
impl Drop for HeldRank {
    fn drop(&mut self) {
        HELD.set(HELD.get() & !self.bit);
    }
}

#[cfg(debug_assertions)]
thread_local! {
    /// A bit for each rank that this thread holds.
    static HELD: std::cell::Cell<u8> = const { std::cell::Cell::new(0) };
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn an_order_that_may_end_in_a_deadlock_panics_without_one() {
        let ranks = [Rank::Ended, Rank::Live, Rank::Known, Rank::Kinds];
        for first in ranks {
            for second in ranks {
                let (one, other) = (Ranked::new(first, ()), Ranked::new(second, ()));
                let both = AssertUnwindSafe(|| {
                    let _one = one.lock();
                    drop(other.lock());
                });
                assert_eq!(
                    catch_unwind(both).is_ok(),
                    first < second,
                    "{first:?}, {second:?}"
                );
                // Whatever happened, nothing is held.
                drop(Ranked::new(Rank::Ended, ()).lock());
            }
        }
    }
}

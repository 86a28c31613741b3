//! See [`crate::clock`].

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn boottime() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds * 1000 + nanos / 1_000_000
}

//! When a list is due: after its interval, or after failures. Plain functions, but for the clock and chance.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::clock::unix_ms;

/// The pause after a first failure; doubled with each further one.
const AGAIN: Duration = Duration::from_secs(30);

/// The longest pause after failures.
const AGAIN_AT_MOST: Duration = Duration::from_secs(3600);

/// How long to wait where there is a copy, and where it is so old, if that is known; `None` for ever.
pub(super) fn wait(
    interval: Option<Duration>,
    copy: bool,
    age: Option<Duration>,
) -> Option<Duration> {
    match (interval, age) {
        _ if !copy => Some(Duration::ZERO),
        (Some(interval), Some(age)) => Some(interval.saturating_sub(age)),
        // It is of a time to come: who knows how old it is.
        (Some(_), None) => Some(Duration::ZERO),
        (None, _) => None,
    }
}

/// What the clock on the wall says then, in milliseconds since 1970.
pub(super) fn at(left: Duration) -> u64 {
    let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    unix_ms().saturating_add(left)
}

/// The pause after so many failures in a row: at most the interval, where there is one.
pub(super) fn again(failures: u32, interval: Option<Duration>) -> Duration {
    let doubled = AGAIN.saturating_mul(1 << (failures - 1).min(16));
    let most = interval.map_or(AGAIN_AT_MOST, |interval| interval.min(AGAIN_AT_MOST));
    doubled.min(most.max(Duration::from_secs(1)))
}

/// Up to a tenth more or less, so that a thousand routers do not ask at once.
pub(super) fn jittered(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 2001;
    time.mul_f64(0.9 + random as f64 / 10_000.0)
}

//! A clock that stands still while the host sleeps, where nothing better is known.

use std::sync::OnceLock;
use std::time::Instant;

pub(crate) fn boottime() -> u64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let past = BEGUN.get_or_init(Instant::now).elapsed();
    u64::try_from(past.as_millis()).unwrap_or(u64::MAX)
}

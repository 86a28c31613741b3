//! The clock by which answers grow old: it goes on while the host sleeps, for times to live do.

use std::sync::OnceLock;
use std::time::Duration;

use pointsman_os::clock::boottime;
use tokio::time::Instant;

/// Now, as answers are kept by. Such moments are compared with each other alone: the runtime's clock stands still while
/// the host sleeps.
pub(crate) fn now() -> Instant {
    static BEGUN: OnceLock<(Instant, u64)> = OnceLock::new();
    let (begun, at) = *BEGUN.get_or_init(|| (Instant::now(), boottime()));
    begun + Duration::from_millis(boottime().saturating_sub(at))
}

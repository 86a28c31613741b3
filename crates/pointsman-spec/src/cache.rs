//! What is kept of what name servers answered, and for how long.

use std::time::Duration;

/// What is kept of answers, over all who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// What they may take, in bytes.
    pub size: u64,
    /// Records hold for no less, whatever the server says; zero: as it says.
    pub min_ttl: Duration,
    /// ... and for no more.
    pub max_ttl: Duration,
    /// That there is no such name or record holds for no more.
    pub negative_ttl: Duration,
    /// For so long after it held an answer is told to clients where nobody else can tell (RFC 8767); zero: never.
    pub stale: Duration,
    /// What is asked for again is asked for before it ends.
    pub prefetch: bool,
}

impl Default for CacheLimits {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            size: 8 << 20,
            // Stretching what others say breaks their fail-over.
            min_ttl: Duration::ZERO,
            // A wrong time of a week must not outlive a move.
            max_ttl: DAY,
            // RFC 2308 §5 allows three hours; a typo in a zone must heal.
            negative_ttl: Duration::from_secs(900),
            // RFC 8767 §5 proposes one to three days.
            stale: DAY,
            prefetch: true,
        }
    }
}

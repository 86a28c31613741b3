//! Lines of the log about what may happen a thousand times a second: one a minute tells of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// When a line was last written.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether another line is due, which is written then.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_minute_is_due() {
        let (line, begin) = (Seldom::default(), Instant::now());
        assert!(line.is_due(begin));
        assert!(!line.is_due(begin + PAUSE / 2));
        assert!(line.is_due(begin + PAUSE));
        assert!(!line.is_due(begin + PAUSE + PAUSE / 2));
    }
}

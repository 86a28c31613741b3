//! Limits of time and number, and their defaults with their reasons.

use std::time::Duration;

/// How a connection of a forward goes on to the next target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The most targets that are tried; `None`: all.
    pub targets: Option<usize>,
    /// Pause before the second target, doubled before each further one.
    pub pause: Duration,
    /// What that pause grows to at most.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            targets: None,
            // Another target is not the one that is down: there is nothing to wait for.
            pause: Duration::ZERO,
            // A client waits meanwhile.
            most: Duration::from_secs(1),
        }
    }
}

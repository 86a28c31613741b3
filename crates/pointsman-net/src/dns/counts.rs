//! What became of queries, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of queries since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsCounts {
    /// All that came, malformed ones among them.
    pub queries: u64,
    /// Answered from memory.
    pub known: u64,
    /// Answered as an upstream said.
    pub asked: u64,
    /// Answered here: by rules, or by what the configuration says.
    pub here: u64,
    /// Answered as an upstream said once: nobody could tell anew.
    pub stale: u64,
    /// Nobody could tell.
    pub failed: u64,
    /// Refused: malformed, of a kind that is not answered, from a client who is not admitted, or too many at once.
    pub refused: u64,
    /// Not answered: no queries, dropped by a rule, or far too many at once.
    pub dropped: u64,
    /// Connections that came to no query: closed at once, or without a handshake of TLS.
    pub connections_refused: u64,
}

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    Known,
    Asked,
    Here,
    Stale,
    Failed,
    Refused,
    Dropped,
}

/// Counts while queries are answered.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU64; 7], AtomicU64);

impl Counts {
    pub(super) fn count(&self, became: Became) {
        if let Some(count) = self.0.get(place(became)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count_connection(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    /// All counts of this moment.
    pub(crate) fn now(&self) -> DnsCounts {
        let of = |became| {
            let count = self.0.get(place(became));
            count.map_or(0, |count| count.load(Ordering::Relaxed))
        };
        let all = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        DnsCounts {
            queries: all.sum(),
            known: of(Became::Known),
            asked: of(Became::Asked),
            here: of(Became::Here),
            stale: of(Became::Stale),
            failed: of(Became::Failed),
            refused: of(Became::Refused),
            dropped: of(Became::Dropped),
            connections_refused: self.1.load(Ordering::Relaxed),
        }
    }
}

fn place(became: Became) -> usize {
    match became {
        Became::Known => 0,
        Became::Asked => 1,
        Became::Here => 2,
        Became::Failed => 3,
        Became::Refused => 4,
        Became::Dropped => 5,
        Became::Stale => 6,
    }
}

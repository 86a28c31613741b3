//! The configurations that were in force before, and what waits for confirmation.
//!
//! Invariant: which configuration is in force the plane says, and not the book. Nobody holds the lock over a wait, and a
//! commit holds it from its first change to its last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pointsman_api::daemon::Awaiting;
use pointsman_config::Setup;
use pointsman_net::record::rfc3339;
use pointsman_net::spec::Number;
use tokio::time::Instant;

use super::owed::Asker;
use crate::clock::unix_ms;
use crate::dependencies::Dependencies;

/// Loads before the one in force that `explain --id` can still ask, each with what its newest refresh of rule sets made
/// of it.
const KEPT: usize = 2;

/// The configurations that were in force before, and what waits for confirmation.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Newest last.
    earlier: VecDeque<(Number, Arc<Setup>)>,
    /// What is rolled back unless it is confirmed.
    pub(super) pending: Option<Pending>,
    /// Who asked for a reload while one waited.
    pub(super) owed: Option<Asker>,
    /// Whether compiled lists are kept that nothing in force needs: a configuration came into force since they were
    /// looked through.
    pub(super) unswept: bool,
}

impl Book {
    /// The newest of such a number.
    pub(super) fn newest(&self, is_it: impl Fn(Number) -> bool) -> Option<Arc<Setup>> {
        let mut newest_first = self.earlier.iter().rev();
        let found = newest_first.find(|(known, _)| is_it(*known));
        found.map(|(_, setup)| Arc::clone(setup))
    }

    /// One of the load `now` came into the place of what was in force. Of a load that goes on only its newest refresh
    /// is of use.
    pub(super) fn replaced(&mut self, (number, setup): (Number, Arc<Setup>), now: u64) {
        if number.load == now {
            return;
        }
        self.earlier.push_back((number, setup));
        if self.earlier.len() > KEPT {
            self.earlier.pop_front();
        }
    }

    /// Whether that generation waits for confirmation.
    pub(super) fn waits(&self, number: Number) -> bool {
        self.pending.as_ref().is_some_and(|it| it.is_of(number))
    }
}

/// What is in force for now.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) generation: Number,
    /// What comes back unless it is confirmed.
    pub(super) earlier: (Number, Arc<Setup>),
    /// What that one asked the disk for.
    pub(super) earlier_asked: Dependencies,
    until: Instant,
    until_ms: u64,
}

impl Pending {
    /// `earlier` comes back after `within`.
    pub(super) fn new(
        generation: Number,
        earlier: (Number, Arc<Setup>),
        earlier_asked: Dependencies,
        within: Duration,
    ) -> Self {
        Self {
            generation,
            earlier,
            earlier_asked,
            until: Instant::now() + within,
            until_ms: unix_ms().saturating_add(millis(within)),
        }
    }

    pub(super) fn is_of(&self, generation: Number) -> bool {
        self.generation == generation
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn told(&self) -> Awaiting {
        let left = self.until.saturating_duration_since(Instant::now());
        Awaiting {
            generation: self.generation.to_string(),
            earlier: self.earlier.0.to_string(),
            until: rfc3339(self.until_ms),
            remaining_ms: millis(left),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn refreshes_of_lists_drive_no_other_load_out() {
        let files = pointsman_config::files::Memory::new([(
            "c.yaml",
            "version: 1\ninbounds: { a: { type: mixed, listen: 1 } }\nrules: [\"FALLBACK, DIRECT\"]\n",
        )]);
        let loaded = pointsman_config::load(Path::new("c.yaml"), None, None, &files);
        let setup = Arc::new(loaded.setup.unwrap());
        let mut book = Book::default();
        let at = |load, refresh| Number { load, refresh };
        let all = [(5, 0), (6, 0), (7, 0), (7, 1), (7, 2), (7, 3), (8, 0)];
        for ((load, refresh), (next, _)) in all.into_iter().zip(all.into_iter().skip(1)) {
            book.replaced((at(load, refresh), Arc::clone(&setup)), next);
        }
        let known = book.earlier.iter().map(|(known, _)| known.to_string());
        assert_eq!(known.collect::<Vec<_>>(), ["6", "7.3"]);
        let newest = |load| book.newest(|known| known.load == load);
        assert!(newest(7).is_some() && newest(5).is_none());
    }
}

//! The configurations that are known, and what waits for confirmation.
//!
//! Invariant: which configuration is in force the plane says, by its number: here is what belongs to that number. Nobody
//! holds the lock over a wait, and a commit holds it from its first change to its last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pointsman_api::daemon::Awaiting;
use pointsman_config::Setup;
use pointsman_net::plane::Plane;
use pointsman_net::record::rfc3339;
use pointsman_net::spec::Number;
use pointsman_net::spec::listening::Listening;
use tokio::time::Instant;

use super::owed::Asker;
use crate::asked::Asked;
use crate::clock::unix_ms;

/// Loads that `explain --id` can still ask, each with what its newest refresh of rule sets made of it.
const KEPT: usize = 3;

/// The configurations that are known, and what waits for confirmation.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Newest last.
    setups: VecDeque<(Number, Arc<Setup>)>,
    /// What is rolled back unless it is confirmed.
    pub(super) pending: Option<Pending>,
    /// Who asked for a reload while one waited.
    pub(super) owed: Option<Asker>,
    /// Whether compiled lists are kept that nothing in force needs: a configuration came into force since they were
    /// looked through.
    pub(super) unswept: bool,
}

impl Book {
    /// The configuration in force.
    pub(super) fn in_force(&self, plane: &Plane) -> Option<(Number, Arc<Setup>)> {
        let number = plane.generation()?.number();
        Some((number, self.of(number)?))
    }

    /// The configuration of that number.
    pub(super) fn of(&self, number: Number) -> Option<Arc<Setup>> {
        let found = self.setups.iter().find(|(known, _)| *known == number);
        found.map(|(_, setup)| Arc::clone(setup))
    }

    /// The newest of that load.
    pub(super) fn of_load(&self, load: u64) -> Option<Arc<Setup>> {
        let found = self
            .setups
            .iter()
            .rev()
            .find(|(known, _)| known.load == load);
        found.map(|(_, setup)| Arc::clone(setup))
    }

    /// What may come into force is known before it does.
    pub(super) fn keep(&mut self, number: Number, setup: Arc<Setup>) {
        self.forget(number);
        self.setups.push_back((number, setup));
    }

    pub(super) fn forget(&mut self, number: Number) {
        self.setups.retain(|(known, _)| *known != number);
    }

    /// Forgets the oldest loads, and what a refresh took the place of; but never what is in force.
    pub(super) fn trim(&mut self, in_force: Number) {
        let mut loads: Vec<u64> = self.setups.iter().map(|(known, _)| known.load).collect();
        loads.dedup();
        let oldest = loads.len().saturating_sub(KEPT);
        let kept = loads.split_off(oldest);
        let newest: Vec<Number> = kept
            .iter()
            .filter_map(|load| {
                let of = self.setups.iter().map(|(known, _)| *known);
                of.filter(|known| known.load == *load).max()
            })
            .collect();
        self.setups
            .retain(|(known, _)| *known == in_force || newest.contains(known));
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
    pub(super) earlier_asked: Asked,
    until: Instant,
    until_ms: u64,
}

impl Pending {
    /// `earlier` comes back after `within`.
    pub(super) fn new(
        generation: Number,
        earlier: (Number, Arc<Setup>),
        earlier_asked: Asked,
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

/// What is in force, at one moment.
#[derive(Debug)]
pub(crate) struct InForce {
    /// Its number.
    pub(crate) number: Number,
    /// The configuration.
    pub(crate) setup: Arc<Setup>,
    /// What is listened on.
    pub(crate) listening: Vec<Listening>,
    /// What waits for confirmation.
    pub(crate) awaiting: Option<Awaiting>,
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
        for number in [
            at(5, 0),
            at(6, 0),
            at(7, 0),
            at(7, 1),
            at(7, 2),
            at(7, 3),
            at(8, 0),
        ] {
            book.keep(number, Arc::clone(&setup));
            book.trim(number);
        }
        let known: Vec<String> = book
            .setups
            .iter()
            .map(|(known, _)| known.to_string())
            .collect();
        assert_eq!(known, ["6", "7.3", "8"]);
        assert!(book.of_load(7).is_some() && book.of_load(5).is_none());
        // What is in force stays, also after a roll-back.
        book.trim(at(6, 0));
        assert!(book.of(at(6, 0)).is_some());
    }
}

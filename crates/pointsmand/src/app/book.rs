//! The configurations that are known, and what waits for confirmation.
//!
//! Invariant: which configuration is in force the plane says, by its number: here is what belongs to that number. Nobody
//! holds the lock over a wait, and a commit holds it from its first change to its last.

use std::collections::VecDeque;
use std::sync::Arc;

use pointsman_api::daemon::Awaiting;
use pointsman_config::Setup;
use pointsman_net::generation::Number;
use pointsman_net::plane::{Listening, Plane};

use super::confirm::Pending;

/// Generations that `explain --id` can still ask.
const KEPT: usize = 3;

/// The configurations that are known, and what waits for confirmation.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Newest last.
    setups: VecDeque<(Number, Arc<Setup>)>,
    /// What is rolled back unless it is confirmed.
    pub(super) pending: Option<Pending>,
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

    /// Forgets the oldest, but never the one in force.
    pub(super) fn trim(&mut self, in_force: Number) {
        while self.setups.len() > KEPT {
            let oldest = self.setups.iter().position(|(known, _)| *known != in_force);
            let Some(oldest) = oldest else { return };
            self.setups.remove(oldest);
        }
    }

    /// Whether that generation waits for confirmation.
    pub(super) fn waits(&self, number: Number) -> bool {
        self.pending.as_ref().is_some_and(|it| it.is_of(number))
    }
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

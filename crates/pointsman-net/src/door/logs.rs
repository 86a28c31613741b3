//! The logs that doors have of their own, over generations.
//!
//! Invariant: doors that name one path share its log; preparing a generation that is then refused loses nothing, and
//! the logs that it opened close.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_spec::door::DoorSpec;

use super::Door;
use crate::record::log::{AccessLog, Dropped};

/// The logs of the doors in force.
#[derive(Debug, Default)]
pub(crate) struct Logs(Mutex<HashMap<PathBuf, Arc<AccessLog>>>);

impl Logs {
    /// These doors are in force.
    pub(crate) fn commit(&self, doors: &[Arc<Door>]) {
        let mut logs = self.all();
        for log in doors.iter().filter_map(|door| door.log.as_ref()) {
            logs.insert(log.path().to_owned(), Arc::clone(log));
        }
    }

    /// These doors are in force for good: logs that none of them has are given up.
    pub(crate) fn prune(&self, doors: &[DoorSpec]) {
        let named = |path: &Path| {
            doors
                .iter()
                .any(|door| door.access_log.as_deref() == Some(path))
        };
        self.all().retain(|path, _| named(path));
    }

    /// Opens all anew, after somebody moved them away.
    pub(crate) fn reopen(&self) {
        for log in self.all().values() {
            log.reopen();
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<AccessLog>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs that a generation opens, which are nobody's until it is in force.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    opened: HashMap<PathBuf, Arc<AccessLog>>,
    kept: &'a Logs,
    dropped: &'a Arc<Dropped>,
}

impl<'a> Opening<'a> {
    /// Those logs count in `dropped` what they lose.
    pub(crate) fn new(kept: &'a Logs, dropped: &'a Arc<Dropped>) -> Self {
        Self {
            opened: HashMap::new(),
            kept,
            dropped,
        }
    }

    /// The log at that path.
    ///
    /// # Errors
    /// Those of opening it.
    pub(crate) fn log(&mut self, path: &Path) -> io::Result<Arc<AccessLog>> {
        let kept = self.kept.all().get(path).map(Arc::clone);
        if let Some(log) = kept.or_else(|| self.opened.get(path).map(Arc::clone)) {
            return Ok(log);
        }
        let log = Arc::new(AccessLog::open(path, self.dropped)?);
        self.opened.insert(path.to_owned(), Arc::clone(&log));
        Ok(log)
    }
}

//! What is known of the lists that are fetched: when they were asked for, and what was wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_api::FetchedList;
use pointsman_config::setup::ListSource;

/// What is known of each list that is fetched, by name.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<BTreeMap<Arc<str>, FetchedList>>);

impl Lists {
    /// All, in the order of their names.
    pub(crate) fn all(&self) -> Vec<FetchedList> {
        self.lock().values().cloned().collect()
    }

    /// Forgets those that are not among `sources`.
    pub(crate) fn begin(&self, sources: &[ListSource]) {
        let mut lists = self.lock();
        lists.retain(|name, _| sources.iter().any(|source| source.name == *name));
    }

    /// Changes what is known of one.
    pub(crate) fn tell(&self, source: &ListSource, change: impl FnOnce(&mut FetchedList)) {
        let mut lists = self.lock();
        let list = lists.entry(Arc::clone(&source.name)).or_default();
        list.name = source.name.to_string();
        change(list);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, FetchedList>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

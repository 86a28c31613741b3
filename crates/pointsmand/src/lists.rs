//! What is known of the lists that are fetched: when they were asked for, and what was wrong. And how many are read at
//! once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_api::FetchedList;
use pointsman_config::setup::ListSource;
use tokio::sync::Semaphore;

/// Lists that are read at once: each may take many times its size until it is compiled.
pub(crate) const READ_AT_ONCE: usize = 2;

/// What is known of each list that is fetched, by name.
#[derive(Debug)]
pub(crate) struct Lists {
    known: Mutex<BTreeMap<Arc<str>, FetchedList>>,
    reading: Arc<Semaphore>,
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            reading: Arc::new(Semaphore::new(READ_AT_ONCE)),
        }
    }
}

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
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs what reads a list on a thread of its own, so that the control socket goes on; few at a time. What runs
    /// counts until it is done, also when nobody waits for it any more.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        let turn = turn.map_err(|error| error.to_string())?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working.await.map_err(|error| error.to_string())
    }
}

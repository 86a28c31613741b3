//! Answers kept as long as they hold, never longer than an hour; bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_policy::Domain;
use tokio::time::Instant;

use super::families::Told;
use super::message::Family;
use super::questions::Questions;

/// A household's names of a day; some 200 bytes each.
const MAX_ENTRIES: usize = 4096;
/// A wrong time to live of a week must not outlive a change of address by a week.
const MAX_TTL: u32 = 3600;

/// Answers by name and family. The lock is held for a look at the table, never over a wait.
#[derive(Debug, Default)]
pub(super) struct Cache {
    table: Mutex<HashMap<(Domain, Family), (Told, Instant)>>,
    /// Those whose answers come here.
    pub(super) questions: Arc<Questions>,
}

impl Cache {
    pub(super) fn get(&self, name: &Domain, family: Family, now: Instant) -> Option<Told> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, until) = table.get(&(name.clone(), family))?;
        (now < *until).then(|| told.clone())
    }

    pub(super) fn put(&self, name: &Domain, family: Family, told: Told, ttl: u32, now: Instant) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MAX_ENTRIES {
            table.retain(|_, (_, until)| now < *until);
        }
        if table.len() >= MAX_ENTRIES {
            // All are fresh: the one that ends first goes.
            let first = table
                .iter()
                .min_by_key(|(_, (_, until))| *until)
                .map(|(k, _)| k.clone());
            first.and_then(|key| table.remove(&key));
        }
        let until = now + Duration::from_secs(ttl.min(MAX_TTL).into());
        table.insert((name.clone(), family), (told, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_with_their_time() {
        let cache = Cache::default();
        let name = Domain::parse("a.test").unwrap();
        let now = Instant::now();
        cache.put(
            &name,
            Family::V4,
            Told::Addresses(vec![[1, 1, 1, 1].into()]),
            60,
            now,
        );
        let after = |seconds| cache.get(&name, Family::V4, now + Duration::from_secs(seconds));
        assert!(after(59).is_some());
        assert!(after(60).is_none());
        assert!(cache.get(&name, Family::V6, now).is_none());
    }

    #[test]
    fn the_table_is_bounded() {
        let cache = Cache::default();
        let now = Instant::now();
        for n in 0..MAX_ENTRIES + 10 {
            let name = Domain::parse(&format!("n{n}.test")).unwrap();
            cache.put(
                &name,
                Family::V4,
                Told::Addresses(Vec::new()),
                60 + u32::try_from(n).unwrap(),
                now,
            );
        }
        assert_eq!(cache.table.lock().unwrap().len(), MAX_ENTRIES);
        let newest = Domain::parse(&format!("n{}.test", MAX_ENTRIES + 9)).unwrap();
        assert!(cache.get(&newest, Family::V4, now).is_some());
    }
}

//! Answers kept as long as they hold, by who was asked and by what way; bounded over all of them.
//!
//! Invariant: an answer is found by those alone who would ask the same servers by the same way. Absent: clocks; whoever
//! comes brings the time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::lookup::{Answer, Question};

/// A household's names of a day, each of two types; some 250 bytes each.
const MAX_ENTRIES: usize = 8192;

/// Who was asked: a number that is never given twice.
pub(super) type UpstreamId = u64;

/// The lock is held for a look at the table, never over a wait.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<UpstreamId, HashMap<Question, Entry>>,
    /// All of them by their end; the number tells those of one moment apart.
    ends: BTreeMap<(Instant, u64), (UpstreamId, Question)>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    end: (Instant, u64),
}

impl Cache {
    pub(super) fn get(
        &self,
        asked: UpstreamId,
        question: &Question,
        now: Instant,
    ) -> Option<Answer> {
        let table = self.table();
        let entry = table.entries.get(&asked)?.get(question)?;
        (now < entry.end.0).then(|| entry.answer.clone())
    }

    /// Keeps an answer until then.
    pub(super) fn put(
        &self,
        asked: UpstreamId,
        question: &Question,
        answer: Answer,
        until: Instant,
        now: Instant,
    ) {
        let mut table = self.table();
        table.remove(asked, question);
        if until <= now {
            return;
        }
        // What has ended goes, and else what ends first.
        while let Some((&end, _)) = table.ends.first_key_value()
            && (end.0 <= now || table.ends.len() >= MAX_ENTRIES)
        {
            if let Some((asked, question)) = table.ends.remove(&end) {
                table.remove(asked, &question);
            }
        }
        let end = (until, table.next);
        table.next += 1;
        table.ends.insert(end, (asked, question.clone()));
        let entries = table.entries.entry(asked).or_default();
        entries.insert(question.clone(), Entry { answer, end });
    }

    /// Drops all that they answered: nobody asks them any more.
    pub(super) fn forget(&self, asked: UpstreamId) {
        let mut table = self.table();
        for entry in table.entries.remove(&asked).unwrap_or_default().values() {
            table.ends.remove(&entry.end);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, asked: UpstreamId, question: &Question) {
        let Some(entries) = self.entries.get_mut(&asked) else {
            return;
        };
        if let Some(entry) = entries.remove(question) {
            self.ends.remove(&entry.end);
        }
        if entries.is_empty() {
            self.entries.remove(&asked);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pointsman_policy::Domain;

    use super::*;
    use crate::lookup::RecordType;

    fn question(name: &str, kind: RecordType) -> Question {
        Question {
            name: Domain::parse(name).unwrap(),
            kind,
        }
    }

    fn a(name: &str) -> Question {
        question(name, RecordType::A)
    }

    fn why(text: &str) -> Answer {
        Answer::Failed(text.into())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    impl Cache {
        fn sizes(&self) -> (usize, usize) {
            let table = self.table();
            let entries = table.entries.values().map(HashMap::len).sum();
            (entries, table.ends.len())
        }
    }

    #[test]
    fn answers_end_with_their_time() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.put(1, &a("a.test"), why("x"), now + seconds(60), now);
        let after = |count| cache.get(1, &a("a.test"), now + seconds(count));
        assert_eq!(after(59), Some(why("x")));
        assert_eq!(after(60), None);
        assert_eq!(
            cache.get(1, &question("a.test", RecordType::Aaaa), now),
            None
        );
        assert_eq!(cache.get(1, &a("b.test"), now), None);
        // Others may answer otherwise.
        assert_eq!(cache.get(2, &a("a.test"), now), None);
        // A later answer takes the place of the first, also one that holds for no time.
        cache.put(1, &a("a.test"), why("y"), now + seconds(9), now);
        assert_eq!((after(8), after(9)), (Some(why("y")), None));
        cache.put(1, &a("a.test"), why("z"), now, now);
        assert_eq!((after(0), cache.sizes()), (None, (0, 0)));
    }

    #[test]
    fn what_has_ended_makes_room_and_else_what_ends_first() {
        let (cache, now) = (Cache::default(), Instant::now());
        for n in 0..MAX_ENTRIES + 10 {
            let until = now + seconds(60 + u64::try_from(n).unwrap());
            let asked = u64::try_from(n % 3).unwrap();
            cache.put(asked, &a(&format!("n{n}.test")), why("x"), until, now);
        }
        assert_eq!(cache.sizes(), (MAX_ENTRIES, MAX_ENTRIES));
        assert!(cache.get(0, &a("n9.test"), now).is_none());
        assert!(cache.get(1, &a("n10.test"), now).is_some());
        let much_later = now + seconds(100_000);
        cache.put(0, &a("new"), why("x"), much_later + seconds(1), much_later);
        assert_eq!(cache.sizes(), (1, 1));
    }

    #[test]
    fn what_nobody_asks_any_more_is_forgotten() {
        let (cache, now) = (Cache::default(), Instant::now());
        for asked in [1, 2] {
            cache.put(asked, &a("a.test"), why("x"), now + seconds(60), now);
        }
        cache.forget(1);
        assert_eq!(cache.get(1, &a("a.test"), now), None);
        assert_eq!(cache.get(2, &a("a.test"), now), Some(why("x")));
        assert_eq!(cache.sizes(), (1, 1));
    }
}

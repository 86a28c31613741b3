//! Answers kept as long as they hold, by who was asked and by what way; bounded in bytes over all of them.
//!
//! Invariants: an answer is found by those alone who would ask the same servers by the same way; what is asked for again
//! and again stays, whatever a flood of names asks for that nobody asks twice. Absent: clocks; whoever comes brings the
//! time.

use std::time::Duration;

use quick_cache::sync::Cache as Store;
use quick_cache::{Equivalent, Weighter};
use tokio::time::Instant;

use super::heard::Heard;
use super::question::{QuestionView, WireQuestion};

/// What all answers may take, in bytes: some 30,000 of them.
const SIZE: u64 = 8 << 20;
/// An entry of a usual answer, in bytes, with what the table itself takes for it.
const USUAL: u64 = 256;

/// Who was asked: a number that is never given twice.
pub(super) type UpstreamId = u64;

/// A lock is held for a look at a part of the table, never over a wait.
#[derive(Debug)]
pub(super) struct Cache(Store<Key, Entry, Weight>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key(UpstreamId, WireQuestion);

#[derive(PartialEq, Eq, Hash)]
struct KeyView<'a>(UpstreamId, QuestionView<'a>);

#[derive(Clone, Debug)]
enum Entry {
    /// What a server told holds as long as it says itself.
    Told(Heard),
    /// That nobody could tell, until then.
    Failed(Heard, Instant),
}

#[derive(Clone, Debug)]
struct Weight;

impl Default for Cache {
    fn default() -> Self {
        let usual = usize::try_from(SIZE / USUAL).unwrap_or(usize::MAX);
        Self(Store::with_weighter(usual, SIZE, Weight))
    }
}

impl Cache {
    /// What is known of a question, no older than that.
    pub(super) fn get(
        &self,
        asked: UpstreamId,
        question: QuestionView<'_>,
        longest: Duration,
        now: Instant,
    ) -> Option<Heard> {
        match self.0.get(&KeyView(asked, question))? {
            Entry::Told(Heard::Told(kept)) => kept.holds(now, longest).then_some(Heard::Told(kept)),
            Entry::Failed(heard, until) => (now < until).then_some(heard),
            Entry::Told(Heard::Failed(_)) => None,
        }
    }

    /// Keeps an answer until then, in place of the one before.
    pub(super) fn put(
        &self,
        asked: UpstreamId,
        question: &WireQuestion,
        heard: Heard,
        until: Instant,
        now: Instant,
    ) {
        if until <= now {
            self.0.remove(&KeyView(asked, question.view()));
            return;
        }
        let entry = match heard {
            Heard::Told(_) => Entry::Told(heard),
            Heard::Failed(_) => Entry::Failed(heard, until),
        };
        self.0.insert(Key(asked, question.clone()), entry);
    }

    /// Drops all that they answered: nobody asks them any more.
    pub(super) fn forget(&self, asked: UpstreamId) {
        self.0.retain(|Key(of, _), _| *of != asked);
    }
}

impl Equivalent<Key> for KeyView<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == key.0 && self.1 == key.1.view()
    }
}

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let (Entry::Told(heard) | Entry::Failed(heard, _)) = entry;
        // A slot of the table, and what the allocator adds to three pieces.
        const OWN: usize = size_of::<(Key, Entry)>() + 96;
        let size = OWN + key.1.bytes().len() + heard.size();
        u64::try_from(size).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_policy::Domain;

    use super::*;
    use crate::lookup::{Question, RecordType};

    const LONG: Duration = Duration::from_secs(86_400);

    fn question(name: &str, kind: RecordType) -> WireQuestion {
        let name = Domain::parse(name).unwrap();
        WireQuestion::new(&Question { name, kind }).unwrap()
    }

    fn a(name: &str) -> WireQuestion {
        question(name, RecordType::A)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    impl Cache {
        fn find(&self, asked: UpstreamId, question: &WireQuestion, now: Instant) -> Option<Heard> {
            self.get(asked, question.view(), LONG, now)
        }
    }

    #[test]
    fn answers_end_with_their_time() {
        let (cache, now) = (Cache::default(), Instant::now());
        let why = |text: &str| Heard::failed(text);
        cache.put(1, &a("a.test"), why("x"), now + seconds(60), now);
        let after = |count| cache.find(1, &a("a.test"), now + seconds(count));
        assert_eq!(after(59), Some(why("x")));
        assert_eq!(after(60), None);
        let aaaa = question("a.test", RecordType::Aaaa);
        assert_eq!(cache.find(1, &aaaa, now), None);
        assert_eq!(cache.find(1, &a("b.test"), now), None);
        // Others may answer otherwise.
        assert_eq!(cache.find(2, &a("a.test"), now), None);
        // A later answer takes the place of the first, also one that holds for no time.
        cache.put(1, &a("a.test"), why("y"), now + seconds(9), now);
        assert_eq!((after(8), after(9)), (Some(why("y")), None));
        cache.put(1, &a("a.test"), why("z"), now, now);
        assert_eq!((after(0), cache.0.len()), (None, 0));
    }

    #[test]
    fn a_flood_takes_neither_more_room_nor_what_is_asked_for_again() {
        let (cache, now) = (Cache::default(), Instant::now());
        let until = now + seconds(60);
        let hot: Vec<WireQuestion> = (0..1000).map(|n| a(&format!("hot{n}.test"))).collect();
        for question in &hot {
            cache.put(1, question, Heard::failed("hot"), until, now);
            cache.find(1, question, now);
        }
        let mut hits = 0;
        for n in 0..200_000_u32 {
            cache.put(1, &a(&format!("n{n}.test")), Heard::failed("x"), until, now);
            if n % 20 == 0 {
                let at = usize::try_from(n / 20).unwrap() % hot.len();
                hits += usize::from(cache.find(1, &hot[at], now).is_some());
            }
        }
        assert!(cache.0.weight() <= SIZE, "{}", cache.0.weight());
        assert!(hits > 9_900, "{hits} of 10,000");
    }

    #[test]
    fn what_nobody_asks_any_more_is_forgotten() {
        let (cache, now) = (Cache::default(), Instant::now());
        for asked in [1, 2] {
            let heard = Heard::failed("x");
            cache.put(asked, &a("a.test"), heard, now + seconds(60), now);
        }
        cache.forget(1);
        assert_eq!(cache.find(1, &a("a.test"), now), None);
        assert!(cache.find(2, &a("a.test"), now).is_some());
        assert_eq!(cache.0.len(), 1);
    }
}

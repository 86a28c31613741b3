//! Answers kept as long as they hold, by who was asked and by what way; bounded in bytes over all of them.
//!
//! Invariants: an answer is found by those alone who would ask the same servers by the same way; what is asked for again
//! and again stays, whatever a flood of names asks for that nobody asks twice. Absent: clocks; whoever comes brings the
//! time.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_spec::cache::CacheLimits;
use quick_cache::sync::Cache as Store;
use quick_cache::{Equivalent, Weighter};
use tokio::time::Instant;

pub(super) use super::heard::UpstreamId;
use super::heard::{Heard, Kept, Trouble};
use super::question::{QuestionView, WireQuestion};

/// An entry of a usual answer, in bytes, with what the table itself takes for it.
const USUAL: u64 = 256;

/// A lock is held for a look at a part of the table, never over a wait.
#[derive(Debug)]
pub(super) struct Cache {
    store: Store<Key, Entry, Weight>,
    /// For what is put in.
    limits: Mutex<CacheLimits>,
    /// ... of those, what is asked for with each look.
    prefetches: AtomicBool,
}

/// What an entry answers stands in it: no question is kept twice.
#[derive(Clone, Debug)]
struct Key(Entry);

#[derive(PartialEq, Eq, Hash)]
struct KeyView<'a>(UpstreamId, QuestionView<'a>);

#[derive(Clone, Debug)]
enum Entry {
    /// What a server told holds as long as it says itself.
    Told(Arc<Kept>),
    /// That nobody could tell.
    Failed(Arc<Failed>),
}

#[derive(Debug)]
struct Failed {
    asked: UpstreamId,
    question: WireQuestion,
    trouble: Trouble,
}

#[derive(Clone, Debug)]
struct Weight;

impl Default for Cache {
    fn default() -> Self {
        let limits = CacheLimits::default();
        let usual = usize::try_from(limits.size / USUAL).unwrap_or(usize::MAX);
        Self {
            store: Store::with_weighter(usual, limits.size, Weight),
            limits: Mutex::new(limits),
            prefetches: AtomicBool::new(limits.prefetch),
        }
    }
}

impl Cache {
    /// Keeps as much as is said there from now on, and for as long. Where the times are others than before, nothing that
    /// is kept counts any more.
    pub(super) fn limit(&self, limits: &CacheLimits) {
        let times = |of: &CacheLimits| (of.min_ttl, of.max_ttl, of.negative_ttl);
        let before = {
            let mut now = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *now, *limits)
        };
        self.prefetches.store(limits.prefetch, Ordering::Relaxed);
        if before.size != limits.size {
            self.store.set_capacity(limits.size);
        }
        if times(&before) != times(limits) {
            self.store.clear();
        }
    }

    pub(super) fn limits(&self) -> CacheLimits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is asked for again is asked for before it ends.
    pub(super) fn prefetches(&self) -> bool {
        self.prefetches.load(Ordering::Relaxed)
    }

    /// What is known of a question, no older than that.
    pub(super) fn get(
        &self,
        asked: UpstreamId,
        question: QuestionView<'_>,
        longest: Duration,
        now: Instant,
    ) -> Option<Heard> {
        match self.store.get(&KeyView(asked, question))? {
            Entry::Told(kept) if kept.holds(now, longest) => Some(Heard::Told(kept)),
            // That nobody could tell beside it.
            Entry::Told(kept) => kept.trouble(now).map(Heard::Failed),
            Entry::Failed(failed) => failed.trouble.holds(now).map(Heard::Failed),
        }
    }

    /// What was known of a question and holds no longer, so long as it may be told.
    pub(super) fn stale(
        &self,
        asked: UpstreamId,
        question: QuestionView<'_>,
        now: Instant,
    ) -> Option<Arc<Kept>> {
        let Entry::Told(kept) = self.store.get(&KeyView(asked, question))? else {
            return None;
        };
        kept.is_stale(now, self.limits().stale).then_some(kept)
    }

    /// Keeps an answer until then, in place of the one before. That nobody could tell takes no place of what was told and
    /// may be told yet.
    pub(super) fn put(
        &self,
        asked: UpstreamId,
        question: &WireQuestion,
        heard: Heard,
        until: Instant,
        now: Instant,
    ) {
        let key = KeyView(asked, question.view());
        let entry = match heard {
            Heard::Told(_) if until <= now => {
                self.store.remove(&key);
                return;
            }
            Heard::Told(kept) => Entry::Told(kept),
            Heard::Failed(failure) => {
                let trouble = Trouble { failure, until };
                let stale = self.limits().stale;
                match self.store.get(&key) {
                    Some(Entry::Told(kept)) if kept.may_be_told(now, stale) => {
                        kept.note(trouble, now);
                        return;
                    }
                    _ if until <= now => {
                        self.store.remove(&key);
                        return;
                    }
                    _ => Entry::Failed(Arc::new(Failed {
                        asked,
                        question: question.clone(),
                        trouble,
                    })),
                }
            }
            Heard::Stale(_) => return,
        };
        self.store.insert(Key(entry.clone()), entry);
    }

    /// Drops all that they answered: nobody asks them any more.
    pub(super) fn forget(&self, asked: UpstreamId) {
        self.store.retain(|key, _| key.view().0 != asked);
    }
}

impl Key {
    fn view(&self) -> KeyView<'_> {
        match &self.0 {
            Entry::Told(kept) => {
                let (asked, question) = kept.answers();
                KeyView(asked, question)
            }
            Entry::Failed(failed) => KeyView(failed.asked, failed.question.view()),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.view().hash(state);
    }
}

impl Equivalent<Key> for KeyView<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.view()
    }
}

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        // A slot of the table, half a slot of what it remembers of those that went, and what the allocator adds to two
        // pieces.
        const OWN: usize = size_of::<(Key, Entry)>() * 3 / 2 + 12 + 32;
        let heard = match entry {
            Entry::Told(kept) => kept.size(),
            Entry::Failed(failed) => {
                size_of::<Failed>() + failed.question.bytes().len() + failed.trouble.size()
            }
        };
        let size = OWN + heard;
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
        assert_eq!((after(0), cache.store.len()), (None, 0));
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
        assert!(
            cache.store.weight() <= CacheLimits::default().size,
            "{}",
            cache.store.weight()
        );
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
        assert_eq!(cache.store.len(), 1);
    }

    /// An answer to a question for that name's address, which holds for so many seconds.
    fn told(name: &str, since: Instant, count: u32) -> Heard {
        let wire = pointsman_wire::dns::WireName::from_text(name).unwrap();
        let mut message = b"\0\x07\x81\x80\0\x01\0\x01\0\0\0\0".to_vec();
        message.extend(wire.as_bytes());
        message.extend(b"\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01");
        let response = pointsman_wire::dns::parse_response(&message).unwrap();
        let message = pointsman_wire::dns::Cached::new(&response, 60).unwrap();
        let question = a(name);
        let asked = (1, question.view());
        Heard::Told(Arc::new(Kept::new(message, asked, since, count, "".into())))
    }

    #[test]
    fn what_was_told_outlives_that_nobody_can_tell() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.limit(&CacheLimits {
            stale: seconds(100),
            ..CacheLimits::default()
        });
        let (question, at) = (a("a.test"), |count| now + seconds(count));
        let stale = |count| cache.stale(1, question.view(), at(count));
        cache.put(1, &question, told("a.test", now, 10), at(10), now);
        assert!(cache.find(1, &question, at(9)).is_some() && stale(9).is_none());
        assert!(cache.find(1, &question, at(10)).is_none());
        let kept = stale(10).unwrap();
        assert!(!kept.is_left_alone(at(10)));
        // It is not forgotten by a failure, which counts for its own time, and for 30 s who asks is told at once.
        cache.put(1, &question, Heard::failed("x"), at(25), at(20));
        assert_eq!(cache.find(1, &question, at(24)), Some(Heard::failed("x")));
        assert_eq!(cache.find(1, &question, at(25)), None);
        assert!(kept.is_left_alone(at(49)) && !kept.is_left_alone(at(50)));
        assert!(stale(109).is_some() && stale(110).is_none());
        // Then it is as any other.
        cache.put(1, &question, Heard::failed("y"), at(130), at(120));
        assert_eq!(cache.find(1, &question, at(129)), Some(Heard::failed("y")));
        assert!(stale(129).is_none());
        // While it holds, no failure takes its place.
        cache.put(1, &question, told("a.test", now, 200), at(200), now);
        cache.put(1, &question, Heard::failed("z"), at(135), at(130));
        assert!(matches!(
            cache.find(1, &question, at(131)),
            Some(Heard::Told(_))
        ));
    }

    #[test]
    fn what_is_asked_for_again_is_due_once_in_its_last_tenth() {
        let now = Instant::now();
        let Heard::Told(kept) = told("a.test", now, 100) else {
            panic!("an answer");
        };
        let due = |count| kept.is_due(now + seconds(count));
        assert!(!due(1) && !due(89) && due(90) && !due(91));
        // Nobody asked for it in between.
        let Heard::Told(seldom) = told("a.test", now, 100) else {
            panic!("an answer");
        };
        assert!(!seldom.is_due(now + seconds(95)) && seldom.is_due(now + seconds(96)));
    }

    #[test]
    fn another_size_counts_at_once_and_other_times_forget() {
        let (cache, now) = (Cache::default(), Instant::now());
        let fill = |count: u32| {
            for n in 0..count {
                let name = format!("name{n}.example.test");
                cache.put(1, &a(&name), told(&name, now, 60), now + seconds(60), now);
            }
        };
        fill(1000);
        assert_eq!(cache.store.len(), 1000);
        let small = CacheLimits {
            size: 64 << 10,
            ..CacheLimits::default()
        };
        cache.limit(&small);
        assert!(cache.store.weight() <= 64 << 10 && cache.store.len() > 50);
        cache.limit(&CacheLimits::default());
        fill(1000);
        assert_eq!(cache.store.len(), 1000);
        cache.limit(&CacheLimits {
            max_ttl: seconds(30),
            ..CacheLimits::default()
        });
        assert_eq!(cache.store.len(), 0);
        // As many usual answers as fit.
        fill(100_000);
        assert!(cache.store.len() > 32_000, "{}", cache.store.len());
    }
}

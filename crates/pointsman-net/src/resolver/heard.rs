//! What is known of a question: a server's answer as long as it holds, or that nobody could tell.
//!
//! Invariant: a message is kept as it came but for its times to live, so that whoever asks anew gets the same records.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_policy::Domain;
use pointsman_wire::dns::{Cached, WireName, code};
use tokio::time::Instant;

use super::clock;
use super::question::{QuestionView, Wishes};
use crate::lookup::{Answer, Data, Record, Source};

/// What is known of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A server told.
    Told(Arc<Kept>),
    /// A server told once; that holds no longer, and nobody can tell now (RFC 8767).
    Stale(Arc<Kept>),
    /// Nobody could.
    Failed(Arc<Failure>),
}

/// A message that says that there are records, none of that type, or no such name.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) message: Cached,
    /// Who was asked.
    asked: UpstreamId,
    wishes: Wishes,
    /// When it came, by [`super::clock`].
    since: Instant,
    /// For how many seconds it holds.
    seconds: u32,
    /// The server in words: `udp 192.0.2.1:53`.
    pub(crate) from: Arc<str>,
    /// The names that it says the name is another one for.
    pub(crate) aliases: Box<[Domain]>,
    /// How often it was told, as far as that matters.
    told: AtomicU8,
    /// It is being asked for anew.
    is_renewed: AtomicBool,
    /// That nobody could tell when it was asked for again.
    setback: Mutex<Option<Box<Setback>>>,
}

#[derive(Debug)]
struct Setback {
    trouble: Trouble,
    /// When it was so.
    at: Instant,
}

/// That nobody could tell, until then.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failure: Arc<Failure>,
    pub(super) until: Instant,
}

/// Who was asked: a number that is never given twice.
pub(super) type UpstreamId = u64;

/// How long servers that could not tell are left alone while there is a stale answer (RFC 8767 §5).
const LEFT_ALONE: Duration = Duration::from_secs(30);

/// What is told that often is asked for before it ends.
const OFTEN: u8 = 2;

/// Why nobody could tell. It says nothing of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In words.
    pub(crate) why: Arc<str>,
    /// The code for whoever asked by DNS.
    pub(crate) code: u16,
    /// The number of the extended error (RFC 8914 §4).
    pub(crate) number: u16,
    /// What servers were given that said nothing to the end; `None`: they did, or there was no way to them.
    pub(crate) silent_for: Option<Duration>,
}

impl Failure {
    /// No server was there to say anything: "No Reachable Authority".
    pub(crate) fn unreachable(why: impl Into<Arc<str>>) -> Self {
        const NO_REACHABLE_AUTHORITY: u16 = 22;
        Self {
            why: why.into(),
            code: code::SERV_FAIL,
            number: NO_REACHABLE_AUTHORITY,
            silent_for: None,
        }
    }
}

impl Heard {
    pub(super) fn failed(why: impl Into<Arc<str>>) -> Self {
        Self::Failed(Arc::new(Failure::unreachable(why)))
    }

    /// Whether it says something to whoever would wait so long: a silence that was shorter does not.
    pub(super) fn tells(&self, patience: Duration) -> bool {
        match self {
            Self::Told(_) | Self::Stale(_) => true,
            Self::Failed(failure) => failure.silent_for.is_none_or(|given| given >= patience),
        }
    }

    /// What it says of the addresses of the name; it holds for no longer than so much after it came.
    pub(super) fn answer(self, longest: Duration) -> Answer {
        let kept = match self {
            Self::Told(kept) | Self::Stale(kept) => kept,
            Self::Failed(failure) => return Answer::Failed(Arc::clone(&failure.why)),
        };
        let longest = Duration::from_secs(kept.seconds.into()).min(longest);
        let age = clock::now().saturating_duration_since(kept.since);
        let until = Instant::now() + longest.saturating_sub(age);
        let from = Source::Server(Arc::clone(&kept.from));
        let records = records(&kept.message);
        match (kept.message.code(), records.is_empty()) {
            (code::NX_DOMAIN, _) => Answer::NoName { until, from },
            (_, true) => Answer::NoData { until, from },
            (_, false) => Answer::Records {
                records: records.into(),
                until,
                from,
            },
        }
    }
}

impl Kept {
    /// When it came.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// How many seconds ago it came.
    pub(crate) fn age(&self, now: Instant) -> u32 {
        let age = now.saturating_duration_since(self.since).as_secs();
        u32::try_from(age).unwrap_or(u32::MAX)
    }

    /// What came just now and holds for so many seconds.
    pub(super) fn new(
        mut message: Cached,
        (asked, question): (UpstreamId, QuestionView<'_>),
        since: Instant,
        seconds: u32,
        from: Arc<str>,
    ) -> Self {
        // It is found by its question.
        message.spell(question.bytes());
        Self {
            aliases: aliases(&message),
            message,
            asked,
            wishes: question.wishes(),
            since,
            seconds,
            from,
            told: AtomicU8::new(0),
            is_renewed: AtomicBool::new(false),
            setback: Mutex::default(),
        }
    }

    /// Who was asked, and what.
    pub(super) fn answers(&self) -> (UpstreamId, QuestionView<'_>) {
        let question = QuestionView::of(self.message.question(), self.wishes);
        (self.asked, question)
    }

    fn until(&self) -> Instant {
        self.since + Duration::from_secs(self.seconds.into())
    }

    /// Whether it holds, so long as it is no older than that.
    pub(super) fn holds(&self, now: Instant, longest: Duration) -> bool {
        now < self.until() && now < self.since + longest
    }

    /// Whether it held, and that is no longer ago.
    pub(super) fn is_stale(&self, now: Instant, stale: Duration) -> bool {
        (self.until()..self.until() + stale).contains(&now)
    }

    /// Whether it holds, or held no longer ago than that.
    pub(super) fn may_be_told(&self, now: Instant, stale: Duration) -> bool {
        now < self.until() + stale
    }

    /// That nobody could tell what it is now.
    pub(super) fn note(&self, trouble: Trouble, at: Instant) {
        // It may be asked for once more.
        self.is_renewed.store(false, Ordering::Relaxed);
        *self.setback() = Some(Box::new(Setback { trouble, at }));
    }

    /// Why nobody could tell when it was asked for again, as long as that holds.
    pub(super) fn trouble(&self, now: Instant) -> Option<Arc<Failure>> {
        self.setback().as_ref()?.trouble.holds(now)
    }

    /// Whether nobody could tell of late, so that nobody is asked.
    pub(super) fn is_left_alone(&self, now: Instant) -> bool {
        let setback = self.setback();
        let at = setback.as_ref().map(|setback| setback.at);
        at.is_some_and(|at| now.saturating_duration_since(at) < LEFT_ALONE)
    }

    /// It is told once more; whether it should be asked for anew, which is said once.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let told = self.told.load(Ordering::Relaxed);
        if told < OFTEN {
            self.told.store(told + 1, Ordering::Relaxed);
        }
        let age = now.saturating_duration_since(self.since);
        let is_late = age * 10 >= Duration::from_secs(self.seconds.into()) * 9;
        is_late && told + 1 >= OFTEN && !self.is_renewed.swap(true, Ordering::Relaxed)
    }

    /// How much memory it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        // A name's text, and what counts who shares it.
        let names = self.aliases.iter();
        let names = names.map(|name| size_of::<Domain>() + 16 + name.as_str().len());
        self.message.size() - size_of::<Cached>() + size_of::<Self>() + names.sum::<usize>()
    }

    fn setback(&self) -> MutexGuard<'_, Option<Box<Setback>>> {
        self.setback.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.since, it.seconds);
        of(self) == of(other) && self.message == other.message && self.from == other.from
    }
}

impl Eq for Kept {}

impl Trouble {
    /// Why, as long as that holds.
    pub(super) fn holds(&self, now: Instant) -> Option<Arc<Failure>> {
        (now < self.until).then(|| Arc::clone(&self.failure))
    }

    /// How much memory it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + size_of::<Failure>() + self.failure.why.len()
    }
}

/// More addresses of one name are not tried within the time of a dial.
pub(super) const MAX_ADDRESSES: usize = 64;

/// More names of one name are not looked at by rules; servers follow some ten.
const MAX_ALIASES: usize = 64;

/// The names that a message leads to, as far as they are hosts' names; each once.
fn aliases(message: &Cached) -> Box<[Domain]> {
    let mut aliases: Vec<Domain> = Vec::new();
    let mut text = String::new();
    if let Some(response) = message.response() {
        response.each_alias(&mut |alias: WireName| {
            alias.write_host(&mut text);
            if let Ok(alias) = Domain::parse(&text)
                && aliases.len() < MAX_ALIASES
                && !aliases.contains(&alias)
            {
                aliases.push(alias);
            }
        });
    }
    aliases.into()
}

/// The addresses of a name, each once.
fn records(message: &Cached) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let addresses = message.response().map(|response| response.addresses());
    for (address, ttl) in addresses.unwrap_or_default() {
        let (data, room) = (Data::from(address), records.len() < MAX_ADDRESSES);
        match records.iter_mut().find(|known| known.data == data) {
            Some(known) => known.ttl = known.ttl.min(ttl),
            // A list of advertisers names each a thousand times in vain.
            None if room => records.push(Record { data, ttl }),
            None => {}
        }
    }
    records
}

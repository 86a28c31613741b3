//! What is known of a question: a server's answer as long as it holds, or that nobody could tell.
//!
//! Invariant: a message is kept as it came but for its times to live, so that whoever asks anew gets the same records.

use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Domain;
use pointsman_wire::dns::{Cached, WireName, code};
use tokio::time::Instant;

use crate::lookup::{Answer, Data, Record, Source};

/// What is known of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A server told.
    Told(Arc<Kept>),
    /// Nobody could.
    Failed(Arc<Failure>),
}

/// A message that says that there are records, none of that type, or no such name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) message: Arc<Cached>,
    /// When it came.
    pub(super) since: Instant,
    /// Until when it holds.
    pub(super) until: Instant,
    /// The server in words: `udp 192.0.2.1:53`.
    pub(crate) from: Arc<str>,
    /// The names that it says the name is another one for.
    pub(crate) aliases: Box<[Domain]>,
}

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
            Self::Told(_) => true,
            Self::Failed(failure) => failure.silent_for.is_none_or(|given| given >= patience),
        }
    }

    /// How much memory it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Told(kept) => {
                // A name's text, and what counts who shares it.
                let names = kept.aliases.iter();
                let names = names.map(|name| size_of::<Domain>() + 16 + name.as_str().len());
                kept.message.size() + size_of::<Kept>() + names.sum::<usize>()
            }
            Self::Failed(failure) => size_of::<Failure>() + failure.why.len(),
        }
    }

    /// What it says of the addresses of the name; it holds for no longer than so much after it came.
    pub(super) fn answer(self, longest: Duration) -> Answer {
        let kept = match self {
            Self::Told(kept) => kept,
            Self::Failed(failure) => return Answer::Failed(Arc::clone(&failure.why)),
        };
        let until = kept.until.min(kept.since + longest);
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

    /// What a server said, which came just now and holds until then.
    pub(super) fn new(
        message: Arc<Cached>,
        since: Instant,
        until: Instant,
        from: Arc<str>,
    ) -> Self {
        let aliases = aliases(&message);
        Self {
            message,
            since,
            until,
            from,
            aliases,
        }
    }

    /// How many seconds ago it came.
    pub(crate) fn age(&self, now: Instant) -> u32 {
        let age = now.saturating_duration_since(self.since).as_secs();
        u32::try_from(age).unwrap_or(u32::MAX)
    }

    /// Whether it holds, so long as it is no older than that.
    pub(super) fn holds(&self, now: Instant, longest: Duration) -> bool {
        now < self.until && now < self.since + longest
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

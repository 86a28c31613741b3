//! Queries whose answer is not here: somebody is asked, or it is written down first.
//!
//! Invariant: whoever has one has its place among those who wait; dropping it gives that back.

use std::sync::Arc;

use pointsman_policy::Domain;
use pointsman_policy::fact::Network;
use pointsman_spec::dns::BY_ANSWER;
use pointsman_wire::dns::{Query, Reply, code, pad, parse_query};
use tokio::time::Instant;

use super::counts::Became;
use super::faking::{self, Giving};
use super::given::Told;
use super::judge::{Judge, Verdict};
use super::query_log::Entry;
use super::refusal::refuse;
use super::waits::WaitPlace;
use super::words::Words;
use super::writing::{FIXED_FOR, addresses, room, write_error, write_heard};
use crate::correlation;
use crate::outbound::Ways;
use crate::resolver::{Heard, Upstream, WireQuestion, clock};
use crate::spec::dns::DnsServer;

/// The number of an extended error of no other kind (RFC 8914 §4).
const OTHER: u16 = 0;

/// A query whose answer has to be asked for, or written down.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) message: Box<[u8]>,
    pub(super) of: AskedOf,
    pub(super) by: AskedBy,
    pub(super) is_private: bool,
    pub(super) place: WaitPlace,
}

/// For whom it is asked.
#[derive(Debug)]
pub(super) struct AskedBy {
    pub(super) ways: Ways,
    pub(super) network: Network,
    /// Who is told.
    pub(super) told: Told,
    pub(super) server: Arc<DnsServer>,
    /// Where queries are logged.
    pub(super) entry: Option<Entry>,
}

/// Who has the answer.
#[derive(Debug)]
pub(super) enum AskedOf {
    /// Nobody yet.
    Giving(Giving),
    /// An upstream.
    Upstream(Box<AskedUpstream>),
}

/// An upstream that is asked.
#[derive(Debug)]
pub(super) struct AskedUpstream {
    pub(super) question: WireQuestion,
    /// The name, where it may be a host's.
    pub(super) host: Option<Domain>,
    pub(super) upstream: Arc<Upstream>,
    /// Where answers are looked at.
    pub(super) judge: Option<Judge>,
    /// Whether a fake address stands for the name.
    pub(super) is_faked: bool,
}

impl Asking {
    /// Asks, and appends the reply to `out`; nothing, where there is none.
    pub(super) async fn finish(self, out: &mut Vec<u8>) {
        let Self {
            message,
            of,
            mut by,
            is_private,
            place,
        } = self;
        // It could be read before.
        let Ok(query) = parse_query(&message) else {
            return;
        };
        let begin = out.len();
        let became = match of {
            AskedOf::Giving(giving) => Some(by.give(&giving, &query, out).await),
            AskedOf::Upstream(asked) => match by.in_hosts_file(&asked, &query, out).await {
                true => Some(Became::Here),
                false => by.ask(*asked, &query, out).await,
            },
        };
        if is_private && out.len() > begin {
            pad(&query, begin, out);
        }
        if let Some(entry) = by.entry.take() {
            let from = match became {
                Some(Became::Asked | Became::Failed) => "upstream",
                Some(Became::Stale) => "stale",
                _ => "policy",
            };
            let reply = out.get(begin..).unwrap_or(&[]);
            entry.write(&by.server, (&message, reply), from);
        }
        place.answered();
        if let Some(became) = became {
            by.ways.shared().dns.count(became);
        }
    }
}

impl AskedBy {
    async fn give(&self, giving: &Giving, query: &Query<'_>, out: &mut Vec<u8>) -> Became {
        let given = giving.fakes.give(&giving.name, giving.ttl).await;
        let limit = room(query, self.network);
        let Some(fake) = given else {
            let why = "all fake addresses stand for names that may still be meant";
            write_error(query, code::SERV_FAIL, OTHER, why, limit, out);
            return Became::Failed;
        };
        faking::write(query, fake, giving.ttl, limit, out);
        Became::Here
    }

    /// Whether the system's hosts file has the name, as it is now; then the reply is written.
    async fn in_hosts_file(
        &self,
        asked: &AskedUpstream,
        query: &Query<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(name) = &asked.host else {
            return false;
        };
        let fixed = asked.upstream.look_in_hosts_file(name).await;
        if fixed.is_empty() {
            return false;
        }
        let records = addresses(query.kind(), &fixed);
        let correlation = &self.ways.shared().correlation;
        self.told
            .fixed(&fixed, FIXED_FOR, correlation, correlation::now());
        let reply = Reply {
            records: &records,
            negative: records.is_empty().then_some(FIXED_FOR),
            ..Reply::default()
        };
        reply.write(query, room(query, self.network), out);
        true
    }

    async fn ask(
        &mut self,
        asked: AskedUpstream,
        query: &Query<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Became> {
        let AskedUpstream {
            question,
            host: _,
            upstream,
            mut judge,
            is_faked,
        } = asked;
        let mut heard = upstream.ask(&question, &self.ways).await;
        let by_rule = loop {
            let verdict = judge.as_mut().map(|judge| judge.judge(&heard));
            match verdict.unwrap_or(Verdict::Given) {
                Verdict::Given => break None,
                Verdict::Ask(other) => heard = other.ask(&question, &self.ways).await,
                Verdict::Here(end, rule) => break Some((end, rule)),
            }
        };
        let (limit, now) = (room(query, self.network), clock::now());
        if let (Some(entry), Some(judge)) = (&mut self.entry, &judge) {
            entry.trail.at = Some(judge.at());
        }
        if let Some((end, rule)) = by_rule {
            let why = Words::of_rule(BY_ANSWER, rule.as_ref());
            if let Some(entry) = &mut self.entry {
                entry.trail.rule = rule;
            }
            return Some(refuse(query, end, why.as_str(), limit, out));
        }
        let correlation = &self.ways.shared().correlation;
        self.told
            .heard(&heard, correlation, now, correlation::now());
        write_heard(query, &heard, is_faked, now, limit, out);
        if let Heard::Failed(failure) = &heard
            && self.ways.shared().dns_failures.is_due(Instant::now())
        {
            // No name is said: the log is not for what people ask.
            let why = &*failure.why;
            tracing::warn!(%why, "a query got no answer (told once a minute; `diagnostics` counts them)");
        }
        Some(match heard {
            Heard::Told(_) => Became::Asked,
            Heard::Stale(_) => Became::Stale,
            Heard::Failed(_) => Became::Failed,
        })
    }
}

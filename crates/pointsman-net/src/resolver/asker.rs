//! One question to the servers of a list: what is known already, what is being asked, else what they say.
//!
//! Invariant: what is kept was heard by the way that it is kept for; and that nobody could tell is kept for seconds alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use pointsman_spec::resolver::NameServer;
use tokio::time::{Instant, timeout_at};

use super::exchange;
use super::list::List;
use super::message::Response;
use super::questions::Hearing;
use super::station::{Station, Upstreams};
use super::system::{Patience, SystemFiles};
use super::turns::{PASS_BY, in_turn};
use crate::lookup::{Answer, Question, RecordType, Source, Transport};

/// How long it holds that nobody could tell (RFC 9520, section 3.2: at least a second, 5 s at first).
const FAILED_FOR: Duration = Duration::from_secs(5);
/// In seconds: a wrong time to live of a week must not outlive a change of address by a week; and RFC 2308, section 5.
const MAX_TTL: u32 = 3600;

/// What a question is asked with.
pub(super) struct Asker<'a> {
    station: &'a Arc<Station>,
    upstreams: Arc<Upstreams>,
    servers: Arc<[NameServer]>,
    patience: Patience,
    pub(super) transport: &'a dyn Transport,
}

impl<'a> Asker<'a> {
    pub(super) fn new(
        station: &'a Arc<Station>,
        list: &List,
        known: Option<&SystemFiles>,
        transport: &'a dyn Transport,
    ) -> Self {
        let (servers, upstreams) = list.upstreams(known, transport);
        Self {
            station,
            upstreams,
            servers,
            patience: known.map_or_else(Patience::default, SystemFiles::patience),
            transport,
        }
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// What is known, or heard until then.
    pub(super) async fn ask(&self, question: &Question, until: Instant) -> Answer {
        match self.begin(question) {
            Ok(known) => known,
            Err(hearing) => wait(hearing, until).await,
        }
    }

    /// What is known; else the question, under way.
    pub(super) fn begin(&self, question: &Question) -> Result<Answer, Hearing> {
        let Self {
            station, upstreams, ..
        } = self;
        let known = station.cache.get(upstreams.asked, question, Instant::now());
        if let Some(known) = known {
            return Ok(known);
        }
        let key = (upstreams.asked, question.clone(), self.transport.depth());
        let find = || {
            let asking = Asking {
                station: Arc::clone(station),
                upstreams: Arc::clone(upstreams),
                servers: Arc::clone(&self.servers),
                patience: self.patience,
                transport: self.transport.share(),
                question: question.clone(),
            };
            Box::pin(async move { asking.find().await }) as _
        };
        let tasks = self.transport.questions();
        Err(station.questions.join(key, tasks, find))
    }

    /// Whether nothing was heard of that type from any server for a whole budget.
    pub(super) fn is_silent(&self, kind: RecordType) -> bool {
        let all = &self.upstreams.all;
        self.station.silences.all(all, kind, Instant::now())
    }
}

/// A question that began with its look-up says itself who was silent.
const GRACE: Duration = Duration::from_millis(250);

/// Waits for an answer. Where it does not come in time, it is for the next who asks.
pub(super) async fn wait(hearing: Hearing, until: Instant) -> Answer {
    let begun = Instant::now();
    match timeout_at(until + GRACE, hearing.clone().answer()).await {
        Ok(answer) => answer,
        Err(_elapsed) => {
            hearing.leave_late();
            Answer::Failed(silent(begun.elapsed()).into())
        }
    }
}

/// A question that is asked. It owns what it needs, for it outlives whoever asked.
struct Asking {
    station: Arc<Station>,
    upstreams: Arc<Upstreams>,
    servers: Arc<[NameServer]>,
    patience: Patience,
    transport: Arc<dyn Transport>,
    question: Question,
}

impl Asking {
    /// Asks the servers in turn until one answers, and keeps what it says.
    async fn find(&self) -> Answer {
        let begun = Instant::now();
        let (kind, all) = (self.question.kind, &self.upstreams.all);
        // The question before this one may have ended since its asker looked.
        let (cache, asked) = (&self.station.cache, self.upstreams.asked);
        if let Some(known) = cache.get(asked, &self.question, begun) {
            return known;
        }
        let silences = &self.station.silences;
        let order = silences.order(all, kind, begun);
        let Patience { whole, datagrams } = self.patience;
        let until = begun + whole;
        let ask = |at: &usize| {
            let server = &self.servers[*at];
            exchange::ask(server, &self.question, &*self.transport, until, datagrams)
        };
        let heard = |at: &usize, sound| silences.note(&all[*at], kind, sound, Instant::now());
        let told = in_turn(&order, until, |_| PASS_BY, ask, heard).await;
        let now = Instant::now();
        let (answer, until) = match told {
            Ok((turn, response)) => {
                let server = self.servers[order[turn]].to_string();
                settled(response, Source::Server(server.into()), now)
            }
            Err(failures) => {
                let servers: Vec<&NameServer> = order.iter().map(|at| &self.servers[*at]).collect();
                let (why, holds) = failed(&servers, failures, whole);
                (Answer::Failed(why), now + holds)
            }
        };
        // Somebody may have selected another way meanwhile.
        let same = |(reached, server): (_, &NameServer)| {
            let reached: &super::way::Reached = reached;
            reached.now(server, &*self.transport) == *reached
        };
        if all.iter().zip(self.servers.iter()).all(same) {
            cache.put(asked, &self.question, answer.clone(), until, now);
        }
        answer
    }
}

/// What a response comes to, and until when it holds.
fn settled(response: Response, from: Source, now: Instant) -> (Answer, Instant) {
    let after = |ttl: u32| now + Duration::from_secs(ttl.min(MAX_TTL).into());
    match response {
        Response::Records(records) => {
            let until = after(records.iter().map(|record| record.ttl).min().unwrap_or(0));
            let records = records.into();
            let answer = Answer::Records {
                records,
                until,
                from,
            };
            (answer, until)
        }
        Response::NoData(ttl) => {
            let until = after(ttl);
            (Answer::NoData { until, from }, until)
        }
        Response::NoName(ttl) => {
            let until = after(ttl);
            (Answer::NoName { until, from }, until)
        }
        // None of these settles anything.
        Response::Failed(why) | Response::Unreached(why) => (Answer::Failed(why.into()), now),
        Response::Truncated | Response::Silent => (Answer::Failed("no answer".into()), now),
    }
}

fn silent(limit: Duration) -> String {
    format!("no answer within {limit:.1?}")
}

/// Why nobody could tell, and how long that holds: not where there was no way to a server, which costs nothing to try and
/// may change at once.
fn failed(
    servers: &[&NameServer],
    failures: Vec<(usize, Response)>,
    limit: Duration,
) -> (Arc<str>, Duration) {
    let unreached = |(_, why): &(usize, Response)| matches!(why, Response::Unreached(_));
    let holds = match failures.is_empty() || failures.iter().any(unreached) {
        true => Duration::ZERO,
        false => FAILED_FOR,
    };
    let whys = failures.into_iter().map(|(index, why)| {
        let why = match why {
            Response::Failed(why) | Response::Unreached(why) => why,
            Response::Truncated => "cut short over TCP".into(),
            Response::Records(_) | Response::NoData(_) | Response::NoName(_) | Response::Silent => {
                silent(limit)
            }
        };
        match servers.get(index) {
            Some(server @ (NameServer::Tcp(_) | NameServer::Udp(_))) => format!("{server}: {why}"),
            Some(NameServer::NotYet(_) | NameServer::System) | None => why,
        }
    });
    // Servers that are not built have no address to be told apart by.
    let mut seen = HashSet::new();
    let whys: Vec<String> = whys.filter(|why| seen.insert(why.clone())).collect();
    let why = match whys.as_slice() {
        [] if servers.is_empty() => "no name server is configured".into(),
        [] => "no time was left to ask for it".into(),
        _ => whys.join("; ").into(),
    };
    (why, holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::{Data, Record};

    #[test]
    fn no_servers_and_no_time_are_told_apart() {
        let limit = Duration::from_secs(4);
        let why = |servers: &[&NameServer], failures| failed(servers, failures, limit);
        let told = |why: &str, holds| (Arc::<str>::from(why), holds);
        let never = Duration::ZERO;
        assert_eq!(
            why(&[], Vec::new()),
            told("no name server is configured", never)
        );
        let servers = [&NameServer::System];
        let expected = told("no time was left to ask for it", never);
        assert_eq!(why(&servers, Vec::new()), expected);
        let later = || Response::Unreached("DNS over `tls://` is not built yet".into());
        let expected = told("DNS over `tls://` is not built yet", never);
        assert_eq!(why(&[], vec![(0, later()), (1, later())]), expected);
        let expected = told("no answer within 4.0s", FAILED_FOR);
        assert_eq!(why(&servers, vec![(0, Response::Silent)]), expected);
    }

    #[test]
    fn answers_hold_as_long_as_their_shortest_record_and_never_for_long() {
        let now = Instant::now();
        let record = |ttl| Record {
            data: Data::A([1; 4].into()),
            ttl,
        };
        let holds = |response| settled(response, Source::Configuration, now).1 - now;
        let records = |ttls: [u32; 2]| Response::Records(ttls.map(record).into());
        for (response, seconds) in [
            (records([60, 5]), 5),
            (records([60, 0]), 0),
            (records([604_800, 604_800]), 3600),
            (Response::NoName(7), 7),
            (Response::NoName(604_800), 3600),
            (Response::NoData(604_800), 3600),
        ] {
            let shown = format!("{response:?}");
            assert_eq!(holds(response), Duration::from_secs(seconds), "{shown}");
        }
    }
}

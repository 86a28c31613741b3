//! One question to the servers of a list: what is known already, what is being asked, else what they say.
//!
//! Invariant: what is kept was heard by the way that it is kept for; and that nobody could tell is kept for seconds alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use pointsman_spec::cache::CacheLimits;
use pointsman_spec::resolver::{NameServer, Turns};
use pointsman_wire::dns::{Cached, Lifetime, code};
use tokio::time::{Instant, timeout_at};

use super::heard::{Failure, Heard, Kept};
use super::list::{Asked, List};
use super::message::Said;
use super::question::{QuestionView, WireQuestion};
use super::questions::{Hearing, Key};
use super::sockets::Place;
use super::station::Station;
use super::system::{Patience, SystemFiles};
use super::turns::{PASS_BY, Sort, Sound, at_once, in_turn};
use super::{clock, exchange};
use crate::lookup::{Behalf, Transport};

/// How long it holds that nobody could tell (RFC 9520, section 3.2: at least a second, 5 s at first).
const FAILED_FOR: Duration = Duration::from_secs(5);

/// What a question is asked with.
pub(super) struct Asker<'a> {
    station: &'a Arc<Station>,
    servers: Asked,
    patience: Patience,
    /// No older answer counts; where it is zero, none is kept.
    longest: Duration,
    pub(super) transport: &'a dyn Transport,
}

impl<'a> Asker<'a> {
    pub(super) fn new(
        station: &'a Arc<Station>,
        list: &List,
        known: Option<&SystemFiles>,
        longest: Duration,
        transport: &'a dyn Transport,
    ) -> Self {
        let servers = list.asked(known, transport);
        let mut asked = servers.servers.iter();
        Self {
            station,
            longest: match asked.any(|server| transport.asks_own_server(server)) {
                true => Duration::ZERO,
                false => longest,
            },
            servers,
            patience: known.map_or_else(Patience::default, SystemFiles::patience),
            transport,
        }
    }

    /// Servers are given so much in all.
    pub(super) fn within(mut self, whole: Duration) -> Self {
        self.patience.whole = whole;
        self
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// What is known, or heard until then.
    pub(super) async fn ask(&self, question: &WireQuestion, until: Instant) -> Heard {
        match self.begin(question.view()) {
            Ok(known) => known,
            Err(hearing) => self.wait(hearing, until).await,
        }
    }

    /// Before a look-up by these questions: a client has so many under way and no more. What is known needs no place.
    pub(super) async fn enter(
        &self,
        questions: &[WireQuestion],
        until: Instant,
    ) -> Result<Option<Place>, &'static str> {
        let Behalf::Client(client) = self.transport.behalf() else {
            return Ok(None);
        };
        let now = clock::now();
        let unknown = |question: &&WireQuestion| self.known(question.view(), now).is_none();
        match questions.iter().filter(unknown).count() {
            0 => Ok(None),
            count => {
                let sockets = count * self.servers.servers.len();
                self.station
                    .sockets
                    .enter(client, sockets, until)
                    .await
                    .map(Some)
            }
        }
    }

    /// Waits for an answer. Where it does not come in time, it is for the next who asks.
    pub(super) fn wait(
        &self,
        hearing: Hearing,
        until: Instant,
    ) -> impl Future<Output = Heard> + Send + 'static {
        let (begun, late) = (Instant::now(), self.station.sockets.late());
        async move {
            match timeout_at(until + GRACE, hearing.clone().answer()).await {
                Ok(answer) => answer,
                Err(_elapsed) => {
                    hearing.leave_late(late);
                    Heard::failed(silent(begun.elapsed()))
                }
            }
        }
    }

    /// Leaves a question, which goes on for the next who asks.
    pub(super) fn leave(&self, hearing: Hearing) {
        hearing.leave_late(self.station.sockets.late());
    }

    /// What is known.
    pub(super) fn known(&self, question: QuestionView<'_>, now: Instant) -> Option<Heard> {
        let (cache, asked) = (&self.station.cache, self.servers.upstreams.asked);
        let known = cache.get(asked, question, self.longest, now);
        known.filter(|heard| !self.longest.is_zero() && heard.tells(self.patience.whole))
    }

    /// What was known and holds no longer, where it may be told.
    pub(super) fn stale(&self, question: QuestionView<'_>, now: Instant) -> Option<Arc<Kept>> {
        let (cache, asked) = (&self.station.cache, self.servers.upstreams.asked);
        let stale = cache.stale(asked, question, now);
        stale.filter(|_| !self.longest.is_zero())
    }

    /// What is known; else the question, under way.
    pub(super) fn begin(&self, question: QuestionView<'_>) -> Result<Heard, Hearing> {
        match self.known(question, clock::now()) {
            Some(known) => Ok(known),
            None => Err(self.join(question, false)),
        }
    }

    /// Asks anew what is known, for those who ask next.
    pub(super) fn renew(&self, question: QuestionView<'_>) {
        self.leave(self.join(question, true));
    }

    fn join(&self, question: QuestionView<'_>, is_known: bool) -> Hearing {
        let (asked, question) = (self.servers.upstreams.asked, question.to_owned());
        let is_within = self.transport.behalf() == Behalf::Question;
        let key = Key {
            asked,
            question: question.clone(),
            whole: self.patience.whole,
            depth: self.transport.depth(),
            is_within,
            is_for_query: self.transport.is_for_query(),
        };
        let find = || {
            let asking = Asking {
                station: Arc::clone(self.station),
                servers: self.servers.clone(),
                patience: self.patience,
                longest: self.longest,
                transport: self.transport.share(),
                question,
                is_within,
                is_known,
            };
            Box::pin(async move { asking.find().await }) as _
        };
        let tasks = self.transport.questions();
        self.station.questions.join(key, tasks, find)
    }

    /// Whether nothing was heard of that type from any server for a whole budget.
    pub(super) fn is_silent(&self, kind: u16) -> bool {
        let all = &self.servers.upstreams.all;
        self.station
            .silences
            .all(all, Sort::from(kind), Instant::now())
    }
}

/// A question that began with its look-up says itself who was silent.
const GRACE: Duration = Duration::from_millis(250);

/// A question that is asked. It owns what it needs, for it outlives whoever asked.
struct Asking {
    station: Arc<Station>,
    servers: Asked,
    patience: Patience,
    longest: Duration,
    transport: Arc<dyn Transport>,
    question: WireQuestion,
    /// Whether another question stands on it.
    is_within: bool,
    /// Whether it is asked though an answer is known.
    is_known: bool,
}

impl Asking {
    /// Asks the servers in turn until one answers, and keeps what it says.
    async fn find(&self) -> Heard {
        let begun = Instant::now();
        let Asked {
            servers,
            turns,
            upstreams,
        } = &self.servers;
        let (sort, all) = (Sort::from(self.question.kind()), &upstreams.all);
        // The question before this one may have ended since its asker looked.
        let (cache, asked) = (&self.station.cache, upstreams.asked);
        let known = cache.get(asked, self.question.view(), self.longest, clock::now());
        let keeps = !self.longest.is_zero();
        let counts = |it: &Heard| !self.is_known && keeps && it.tells(self.patience.whole);
        if let Some(known) = known.filter(counts) {
            return known;
        }
        let Patience { whole, datagrams } = self.patience;
        let until = begun + whole;
        let sockets = &self.station.sockets;
        let seat = match self.is_within {
            true => sockets.within_another(),
            false => match sockets.seat(servers.len(), until).await {
                Ok(seat) => seat,
                Err(why) => return Heard::failed(why),
            },
        };
        let silences = &self.station.silences;
        let mut order = silences.order(all, sort, begun);
        let first = upstreams.fastest.known(begun);
        let is_at_once = match turns {
            Turns::Order => false,
            Turns::Race => true,
            Turns::Fastest => first.is_none(),
        };
        if let (Turns::Fastest, Some(first)) = (turns, first) {
            // Others are asked when it is silent, as by any list.
            order.sort_by_key(|at| *at != first);
        }
        // Whoever was asked late had no time to answer.
        let had_time = begun.elapsed() < PASS_BY;
        let ask = |at: &usize| {
            let asked = (&servers[*at], &upstreams.lines[*at], &self.question);
            exchange::ask(
                asked,
                &*self.transport,
                until,
                datagrams,
                (&seat, &upstreams.tally),
            )
        };
        let heard = |at: &usize, sound| {
            let sound = match sound {
                Sound::Silence if !had_time => Sound::PassedBy,
                sound => sound,
            };
            silences.note(&all[*at], sort, sound, Instant::now());
        };
        upstreams.tally.begins();
        let told = match is_at_once {
            true => at_once(&order, until, ask, heard).await,
            false => in_turn(&order, until, |_| PASS_BY, ask, heard).await,
        };
        upstreams.tally.ends(told.is_ok(), begun.elapsed());
        if *turns == Turns::Fastest {
            match &told {
                Ok((turn, _)) if is_at_once => upstreams.fastest.note(order[*turn], Instant::now()),
                Ok((turn, _)) if Some(order[*turn]) == first => {}
                _ => upstreams.fastest.forget(),
            }
        }
        let now = clock::now();
        let (heard, until) = match told {
            Ok((turn, Said::Told(message, seconds))) => {
                let (message, seconds) = within(message, seconds, &cache.limits());
                let until = now + Duration::from_secs(seconds.into());
                let from = upstreams.called(order[turn], &servers[order[turn]]);
                let what = (asked, self.question.view());
                let kept = Kept::new(message, what, now, seconds, from);
                (Heard::Told(Arc::new(kept)), until)
            }
            // Nothing else settles a question.
            Ok(_) => (Heard::failed("no answer"), now),
            Err(failures) => {
                let servers: Vec<&NameServer> = order.iter().map(|at| &servers[*at]).collect();
                let (failure, holds) = failed(&servers, failures, whole);
                (Heard::Failed(Arc::new(failure)), now + holds)
            }
        };
        // Somebody may have selected another way meanwhile.
        let same = |(reached, server): (_, &NameServer)| {
            let reached: &super::way::Reached = reached;
            reached.now(server, &*self.transport) == *reached
        };
        if keeps && all.iter().zip(servers.iter()).all(same) {
            cache.put(asked, &self.question, heard.clone(), until, now);
        }
        heard
    }
}

/// An answer, and for how many seconds it holds, within the limits.
fn within(message: Arc<Cached>, seconds: u32, limits: &CacheLimits) -> (Cached, u32) {
    let whole = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let lifetime = message.response().map(|response| response.lifetime());
    let (least, most) = match lifetime {
        Some(Lifetime::Records(_)) => (whole(limits.min_ttl), whole(limits.max_ttl)),
        // Who hears it keeps it as long (RFC 2308 §3).
        _ => (0, whole(limits.negative_ttl).min(seconds)),
    };
    let mut message = Arc::unwrap_or_clone(message);
    message.limit(least, most);
    (message, seconds.clamp(least, most.max(least)))
}

fn silent(limit: Duration) -> String {
    format!("no answer within {limit:.1?}")
}

/// Why nobody could tell, and how long that holds: not where there was no way to a server, which costs nothing to try and
/// may change at once.
fn failed(
    servers: &[&NameServer],
    failures: Vec<(usize, Said)>,
    limit: Duration,
) -> (Failure, Duration) {
    let unreached = |(_, why): &(usize, Said)| matches!(why, Said::Unreached(_));
    let holds = match failures.is_empty() || failures.iter().any(unreached) {
        true => Duration::ZERO,
        false => FAILED_FOR,
    };
    let (code, number) = told_of(&failures);
    let is_silent = |(_, said): &(usize, Said)| matches!(said, Said::Silent);
    let silent_for = failures.iter().any(is_silent).then_some(limit);
    let whys = failures.into_iter().map(|(index, why)| {
        let why = match why {
            Said::Failed(refusal) => refusal.why,
            Said::Unreached(why) => why,
            Said::Truncated => "cut short over TCP".into(),
            Said::Told(..) | Said::Silent => silent(limit),
        };
        match servers.get(index) {
            Some(NameServer::NotYet(_) | NameServer::System) | None => why,
            Some(server) => format!("{server}: {why}"),
        }
    });
    // Servers that are not built have no address to be told apart by.
    let mut seen = HashSet::new();
    let whys: Vec<String> = whys.filter(|why| seen.insert(why.clone())).collect();
    let why: Arc<str> = match whys.as_slice() {
        [] if servers.is_empty() => "no name server is configured".into(),
        [] => "no time was left to ask for it".into(),
        _ => whys.join("; ").into(),
    };
    let failure = Failure {
        why,
        code,
        number,
        silent_for,
    };
    (failure, holds)
}

/// The code for who asked, and the number of its extended error: what the servers said where they agree.
fn told_of(failures: &[(usize, Said)]) -> (u16, u16) {
    /// "Network Error" (RFC 8914 §4.24).
    const NETWORK_ERROR: u16 = 23;
    let unreachable = Failure::unreachable("");
    let refusals = || {
        failures.iter().filter_map(|(_, said)| match said {
            Said::Failed(refusal) => Some(refusal),
            _ => None,
        })
    };
    let codes = || refusals().filter_map(|refusal| refusal.code);
    let code = match codes().next() {
        Some(first) if codes().all(|code| code == first) => first,
        _ => code::SERV_FAIL,
    };
    let number = refusals().find_map(|refusal| refusal.extended);
    let network = refusals().next().map(|_| NETWORK_ERROR);
    (code, number.or(network).unwrap_or(unreachable.number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::message::Refusal;

    #[test]
    fn no_servers_and_no_time_are_told_apart() {
        let limit = Duration::from_secs(4);
        let why = |servers: &[&NameServer], failures| {
            let (failure, holds) = failed(servers, failures, limit);
            (failure.why, holds)
        };
        let told = |why: &str, holds| (Arc::<str>::from(why), holds);
        let never = Duration::ZERO;
        assert_eq!(
            why(&[], Vec::new()),
            told("no name server is configured", never)
        );
        let servers = [&NameServer::System];
        let expected = told("no time was left to ask for it", never);
        assert_eq!(why(&servers, Vec::new()), expected);
        let later = || Said::Unreached("DNS over `tls://` is not built yet".into());
        let expected = told("DNS over `tls://` is not built yet", never);
        assert_eq!(why(&[], vec![(0, later()), (1, later())]), expected);
        let expected = told("no answer within 4.0s", FAILED_FOR);
        assert_eq!(why(&servers, vec![(0, Said::Silent)]), expected);
    }

    #[test]
    fn what_all_servers_say_is_said_on() {
        let says = |code, extended| {
            Said::Failed(Refusal {
                code,
                extended,
                ..String::new().into()
            })
        };
        let of = |all: Vec<Said>| told_of(&all.into_iter().enumerate().collect::<Vec<_>>());
        let refused = || says(Some(code::REFUSED), None);
        assert_eq!(
            of(vec![refused(), Said::Silent, refused()]),
            (code::REFUSED, 23)
        );
        let bogus = says(Some(code::SERV_FAIL), Some(6));
        assert_eq!(of(vec![refused(), bogus]), (code::SERV_FAIL, 6));
        assert_eq!(of(vec![Said::Silent]), (code::SERV_FAIL, 22));
        assert_eq!(of(vec![says(None, None)]), (code::SERV_FAIL, 23));
    }
}

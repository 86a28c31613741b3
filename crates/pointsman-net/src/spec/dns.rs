//! The DNS server of a generation: data, and those who are asked, which live.

mod follow;

use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::condition::{AnswerTest, Condition};
use pointsman_policy::fact::Facts;
use pointsman_policy::model::{Origin, each_node};
use pointsman_policy::{Action, Answered, Domain, Host, OutboundId, Policy};
use pointsman_spec::asks::QueryRules;
pub use pointsman_spec::dns::QueryPolicies;
use pointsman_spec::dns::{DnsEnd, DnsLimits, DnsSpec};
use pointsman_spec::outbound::Outbound;

use self::follow::{Follow, Followed};
use super::Number;
use crate::fake::Fakes;
use crate::resolver::{ByName, Heard, Station, Upstream, UpstreamCounts};

/// What doors that speak DNS lead to.
#[derive(Clone, Debug)]
pub struct DnsServer {
    policy: Arc<Policy>,
    answers: Option<Answers>,
    ends: Vec<DnsEnd>,
    upstreams: Vec<Arc<Upstream>>,
    /// Their names.
    names: Vec<Arc<str>>,
    follow: Option<Arc<Follow>>,
    hosts: Arc<ByName<IpAddr>>,
    /// Whether names that mean nothing to the world are asked for all the same.
    pub(crate) asks_for_local_names: bool,
    pub(crate) limits: DnsLimits,
    /// Addresses that stand for names, and how many seconds each answer holds.
    fake: Option<(Arc<Fakes>, u32)>,
}

/// What becomes of a query.
#[derive(Clone, Debug)]
pub(crate) enum QueryEnd {
    /// It is asked there, at the upstream of that number, as the rule says.
    Ask(usize, Arc<Upstream>, Option<Origin>),
    /// It is answered with a fake address; what is no address is asked for as [`DnsServer::follow`] says.
    Fake(Option<Origin>),
    /// It is answered here, as the rule says.
    Here(DnsEnd, Option<Origin>),
    /// All flows to the name are refused, by this rule first: it is as if there were no such name, or it is not answered.
    FlowsRefused(Action, Option<Origin>),
    /// Nobody says what becomes of it, and why.
    Undecided(Arc<str>),
}

/// Rules on answers.
#[derive(Clone, Debug)]
struct Answers {
    policy: Arc<Policy>,
    only_aliases: bool,
    /// Whether they look at addresses.
    addresses: bool,
}

/// What becomes of an answer.
#[derive(Debug)]
pub(crate) enum Judged {
    /// It is given as it came.
    Given,
    /// It is asked for there instead, at the upstream of that number.
    Ask(usize, Arc<Upstream>),
    /// The rule answers.
    Here(DnsEnd, Option<Origin>),
}

/// The most addresses of an answer that are looked at.
const MOST_ADDRESSES: usize = 64;

impl DnsServer {
    /// One that asks by `outbounds`, those of its generation, and knows what `station` keeps.
    #[must_use]
    pub fn new(spec: &DnsSpec, outbounds: &[Outbound], station: &Arc<Station>) -> Self {
        let upstream = |spec| Arc::new(Upstream::new(spec, outbounds, station));
        Self {
            policy: Arc::clone(&spec.policy),
            answers: spec.answers.as_ref().map(|answers| Answers {
                policy: Arc::clone(&answers.policy),
                only_aliases: answers.only_aliases,
                addresses: looks_at_addresses(&answers.policy),
            }),
            ends: spec.ends.clone(),
            names: spec
                .upstreams
                .iter()
                .map(|it| Arc::clone(&it.name))
                .collect(),
            upstreams: spec.upstreams.iter().map(upstream).collect(),
            follow: spec.follow.clone().map(|spec| Arc::new(Follow::new(spec))),
            hosts: Arc::new(ByName::new(spec.hosts.iter().cloned())),
            asks_for_local_names: spec.asks_for_local_names,
            limits: spec.limits,
            fake: spec.fake.as_ref().map(|spec| {
                let ttl = u32::try_from(spec.ttl.as_secs()).unwrap_or(u32::MAX);
                (station.fakes.of(spec), ttl)
            }),
        }
    }

    /// The same with other policies: what a refreshed rule set needs.
    pub(crate) fn with_policies(&self, policies: QueryPolicies) -> Self {
        let QueryPolicies { queries, answers } = policies;
        let answers = self.answers.clone().zip(answers);
        Self {
            policy: queries,
            answers: answers.map(|(known, policy)| Answers { policy, ..known }),
            ..self.clone()
        }
    }

    /// The end that asks the upstream of that number.
    pub(crate) fn end_of(&self, at: usize) -> OutboundId {
        let own = |end: &DnsEnd| *end == DnsEnd::Ask(at);
        let end = self.ends.iter().position(own);
        OutboundId(
            end.and_then(|end| u32::try_from(end).ok())
                .unwrap_or(u32::MAX),
        )
    }

    /// Whether answers are looked at.
    pub(crate) fn judges(&self) -> bool {
        self.answers.is_some()
    }

    /// What becomes of the answer of the upstream of that number to a query, where these ends were asked already.
    pub(crate) fn judge(
        &self,
        facts: &mut Facts,
        heard: &Heard,
        (at, tried): (usize, &[OutboundId]),
    ) -> Judged {
        let Some(answers) = &self.answers else {
            return Judged::Given;
        };
        let (aliases, code) = match heard {
            Heard::Told(kept) | Heard::Stale(kept) => (&*kept.aliases, kept.message.code()),
            Heard::Failed(failure) => (&[][..], failure.code),
        };
        if answers.only_aliases && aliases.is_empty() {
            return Judged::Given;
        }
        let mut addresses = [IpAddr::from([0; 4]); MOST_ADDRESSES];
        let mut count = 0;
        if let Heard::Told(kept) | Heard::Stale(kept) = heard
            && answers.addresses
            && let Some(response) = kept.message.response()
        {
            response.each_target(&mut |address| {
                if let Some(room) = addresses.get_mut(count) {
                    *room = address;
                    count += 1;
                }
            });
        }
        let answered = Answered {
            addresses: addresses.get(..count).unwrap_or(&[]),
            aliases,
            code,
            upstream: self.names.get(at).map_or("", |name| name),
            tried,
        };
        let Some(decision) = answers.policy.decide_answer(facts, &answered) else {
            return Judged::Given;
        };
        match decision.outbound.and_then(|end| self.end(end)) {
            Some(DnsEnd::Ask(at)) => match self.upstreams.get(*at) {
                Some(upstream) => Judged::Ask(*at, Arc::clone(upstream)),
                None => Judged::Given,
            },
            Some(end) if end.is_answer() => Judged::Here(*end, decision.rule),
            Some(_) | None => Judged::Given,
        }
    }

    /// What became of questions to each of its upstreams.
    pub fn counts(&self) -> impl Iterator<Item = UpstreamCounts> {
        self.upstreams.iter().map(|upstream| upstream.counts())
    }

    /// The fixed addresses of a name.
    pub(crate) fn fixed(&self, name: &Domain) -> Vec<IpAddr> {
        self.hosts.all(name).into_iter().copied().collect()
    }

    /// Its rules, for a flow to that name.
    pub(crate) fn rules(&self, name: &Domain) -> QueryRules<'_> {
        QueryRules {
            policy: &self.policy,
            ends: &self.ends,
            is_fixed: !self.hosts.all(name).is_empty(),
            asks_for_local_names: self.asks_for_local_names,
        }
    }

    /// Whether a rule sends this very name to somebody: another one than counts for a query without a name.
    pub(crate) fn is_sent(&self, facts: &Facts) -> bool {
        let decision = self.policy.decide_query(facts.clone());
        let end = decision.and_then(|decision| self.end(decision.outbound?));
        matches!(end, Some(DnsEnd::Ask(_))) && self.policy.names_query(facts)
    }

    fn end(&self, end: OutboundId) -> Option<&DnsEnd> {
        self.ends.get(usize::try_from(end.0).ok()?)
    }

    /// What becomes of a query; what is asked for and no query has is absent. `policies` are those of flows.
    pub(crate) fn decide(
        &self,
        facts: &mut Facts,
        policies: &[Arc<Policy>],
        number: Number,
    ) -> QueryEnd {
        let (name, client) = asked(facts);
        let decision = self.policy.decide_known(facts);
        let end = decision.as_ref().and_then(|decision| decision.outbound);
        let rule = decision.and_then(|decision| decision.rule);
        match end.and_then(|end| self.end(end)) {
            Some(DnsEnd::Ask(at)) => self.ask(*at, rule),
            Some(DnsEnd::Fake) if self.fake.is_some() => QueryEnd::Fake(rule),
            Some(DnsEnd::Fake | DnsEnd::Follow) => {
                self.follow((name, client), rule, policies, number)
            }
            Some(end) => QueryEnd::Here(*end, rule),
            None => QueryEnd::Undecided("no rule says who is asked for this name".into()),
        }
    }

    /// Who is asked for a name is where its flows leave.
    pub(crate) fn follow(
        &self,
        (name, client): (Option<Domain>, Option<IpAddr>),
        rule: Option<Origin>,
        policies: &[Arc<Policy>],
        number: Number,
    ) -> QueryEnd {
        let followed = self.follow.as_ref().zip(name.or_else(unnamed));
        let followed = followed.map(|(follow, name)| follow.ask(&name, client, policies, number));
        match followed {
            Some(Followed::Ask(at)) => self.ask(at, rule),
            Some(Followed::Refused(action, rule)) => QueryEnd::FlowsRefused(action, rule),
            Some(Followed::Nobody(why)) => QueryEnd::Undecided(why),
            None => QueryEnd::Undecided("there is no policy to follow".into()),
        }
    }

    /// The addresses that stand for names, and how many seconds each answer holds.
    pub(crate) fn fakes(&self) -> Option<(&Arc<Fakes>, u32)> {
        self.fake.as_ref().map(|(fakes, ttl)| (fakes, *ttl))
    }

    /// The name of an upstream.
    pub(crate) fn name_of(&self, at: usize) -> Option<Arc<str>> {
        self.names.get(at).cloned()
    }

    fn ask(&self, at: usize, rule: Option<Origin>) -> QueryEnd {
        match self.upstreams.get(at) {
            Some(upstream) => QueryEnd::Ask(at, Arc::clone(upstream), rule),
            None => QueryEnd::Undecided("the upstream is not there".into()),
        }
    }
}

fn looks_at_addresses(policy: &Policy) -> bool {
    let mut looks = false;
    each_node(&policy.body, &mut |node| {
        let of_addresses =
            |test: &Condition| matches!(test, Condition::Answer(AnswerTest::Address(_)));
        looks |= node
            .condition()
            .is_some_and(|it| it.any_test(&mut |test| of_addresses(test)));
    });
    looks
}

/// The name that is asked for, and who asks.
pub(crate) fn asked(facts: &Facts) -> (Option<Domain>, Option<IpAddr>) {
    let name = facts.destination.known().and_then(Host::name).cloned();
    let client = facts.source.known();
    (name, client.map(|client| client.ip().to_canonical()))
}

/// A name that no rule speaks of: the root, and what ends in no name of hosts, is asked for where flows to it would leave.
fn unnamed() -> Option<Domain> {
    Domain::parse("no-rule-names-this.example").ok()
}

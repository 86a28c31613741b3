//! The DNS server of a generation: data, and those who are asked, which live.

mod follow;

use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::fact::Facts;
use pointsman_policy::{Action, Domain, Host, OutboundId, Policy};
use pointsman_spec::asks::QueryRules;
use pointsman_spec::dns::{DnsEnd, DnsLimits, DnsSpec};
use pointsman_spec::outbound::Outbound;

use self::follow::{Follow, Followed};
use super::Number;
use crate::resolver::{ByName, Station, Upstream};

/// What doors that speak DNS lead to.
#[derive(Clone, Debug)]
pub struct DnsServer {
    policy: Arc<Policy>,
    ends: Vec<DnsEnd>,
    upstreams: Vec<Arc<Upstream>>,
    follow: Option<Arc<Follow>>,
    hosts: Arc<ByName<IpAddr>>,
    /// Whether names that mean nothing to the world are asked for all the same.
    pub(crate) asks_for_local_names: bool,
    pub(crate) limits: DnsLimits,
}

/// What becomes of a query.
#[derive(Clone, Debug)]
pub(crate) enum QueryEnd {
    /// It is asked there.
    Ask(Arc<Upstream>),
    /// It is answered here.
    Here(DnsEnd),
    /// All flows to the name are refused: it is as if there were no such name, or it is not answered.
    FlowsRefused(Action),
    /// Nobody says what becomes of it, and why.
    Undecided(Arc<str>),
}

impl DnsServer {
    /// One that asks by `outbounds`, those of its generation, and knows what `station` keeps.
    #[must_use]
    pub fn new(spec: &DnsSpec, outbounds: &[Outbound], station: &Arc<Station>) -> Self {
        let upstream = |spec| Arc::new(Upstream::new(spec, outbounds, station));
        Self {
            policy: Arc::clone(&spec.policy),
            ends: spec.ends.clone(),
            upstreams: spec.upstreams.iter().map(upstream).collect(),
            follow: spec.follow.clone().map(|spec| Arc::new(Follow::new(spec))),
            hosts: Arc::new(ByName::new(spec.hosts.iter().cloned())),
            asks_for_local_names: spec.asks_for_local_names,
            limits: spec.limits,
        }
    }

    /// The same with another policy: what a refreshed rule set needs.
    pub(crate) fn with_policy(&self, policy: Arc<Policy>) -> Self {
        Self {
            policy,
            ..self.clone()
        }
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
        facts: Facts,
        policies: &[Arc<Policy>],
        number: Number,
    ) -> QueryEnd {
        let name = facts.destination.known().and_then(Host::name).cloned();
        let client = facts
            .source
            .known()
            .map(|client| client.ip().to_canonical());
        let end = self
            .policy
            .decide_query(facts)
            .and_then(|decision| decision.outbound);
        match end.and_then(|end| self.end(end)) {
            Some(DnsEnd::Ask(at)) => self.ask(*at),
            Some(DnsEnd::Follow) => {
                let followed = self.follow.as_ref().zip(name.or_else(unnamed));
                let followed =
                    followed.map(|(follow, name)| follow.ask(&name, client, policies, number));
                match followed {
                    Some(Followed::Ask(at)) => self.ask(at),
                    Some(Followed::Refused(action)) => QueryEnd::FlowsRefused(action),
                    Some(Followed::Nobody(why)) => QueryEnd::Undecided(why),
                    None => QueryEnd::Undecided("there is no policy to follow".into()),
                }
            }
            Some(end) => QueryEnd::Here(*end),
            None => QueryEnd::Undecided("no rule says who is asked for this name".into()),
        }
    }

    fn ask(&self, at: usize) -> QueryEnd {
        match self.upstreams.get(at) {
            Some(upstream) => QueryEnd::Ask(Arc::clone(upstream)),
            None => QueryEnd::Undecided("the upstream is not there".into()),
        }
    }
}

/// A name that no rule speaks of: the root, and what ends in no name of hosts, is asked for where flows to it would leave.
fn unnamed() -> Option<Domain> {
    Domain::parse("no-rule-names-this.example").ok()
}

//! The DNS server of a generation: data, and those who are asked, which live.

use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::fact::{Fact, Facts};
use pointsman_policy::{Domain, Need, Policy, Step};
use pointsman_spec::dns::{DnsEnd, DnsLimits, DnsSpec};
use pointsman_spec::outbound::Outbound;

use crate::resolver::{ByName, Station, Upstream};

/// What doors that speak DNS lead to.
#[derive(Debug)]
pub struct DnsServer {
    policy: Arc<Policy>,
    ends: Vec<DnsEnd>,
    upstreams: Vec<Arc<Upstream>>,
    hosts: ByName<IpAddr>,
    pub(crate) limits: DnsLimits,
}

/// What becomes of a query.
#[derive(Clone, Debug)]
pub(crate) enum QueryEnd {
    /// It is asked there.
    Ask(Arc<Upstream>),
    /// It is answered here.
    Here(DnsEnd),
    /// No rule says what becomes of it.
    Undecided,
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
            hosts: ByName::new(spec.hosts.iter().cloned()),
            limits: spec.limits,
        }
    }

    /// The fixed addresses of a name.
    pub(crate) fn fixed(&self, name: &Domain) -> Vec<IpAddr> {
        self.hosts.all(name).into_iter().copied().collect()
    }

    /// What becomes of a query; what is asked for and no query has is absent.
    pub(crate) fn decide(&self, mut facts: Facts) -> QueryEnd {
        let end = loop {
            match self.policy.decide(&facts) {
                Step::Decided(decision) => break decision.outbound,
                Step::Need(need) => is_absent(&mut facts, need),
                Step::NoRoute => break None,
            }
        };
        let end = end.and_then(|end| self.ends.get(usize::try_from(end.0).ok()?));
        match end {
            Some(DnsEnd::Ask(at)) => match self.upstreams.get(*at) {
                Some(upstream) => QueryEnd::Ask(Arc::clone(upstream)),
                None => QueryEnd::Undecided,
            },
            Some(end) => QueryEnd::Here(*end),
            None => QueryEnd::Undecided,
        }
    }
}

fn is_absent(facts: &mut Facts, need: Need) {
    let sought = facts.sought.to_mut();
    match need {
        Need::Country => sought.geo = Fact::Absent,
        Need::Local => sought.local = Fact::Absent,
        Need::Owner => sought.owner = Fact::Absent,
        Need::Resolve => sought.resolved = Fact::Absent,
        Need::Sniff => sought.look = Fact::Absent,
        Need::Verdict(request) => facts.answer(request, Fact::Absent),
    }
}

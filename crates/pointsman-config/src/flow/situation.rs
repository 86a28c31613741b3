//! A flow put into a configuration: the policy that it meets, its facts, and the answers to what
//! the policy asks.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::fact::{
    Facts, Inbound as InboundFact, InboundKind, Network, Provenance, SoughtFacts,
};
use pointsman_policy::request::{Answer, RequestId};
use pointsman_policy::{Domain, Fact, Host, Need, Policy};

use super::door::{Door, has_name};
use super::names::{listed, meant};
use super::{BadFlow, Query, Via, bad};
use crate::setup::{Dialect, Forward, Inbound, PolicyId, ResolverId, Setup};

/// Where a flow stands before its policy is asked.
#[derive(Clone, Debug)]
pub struct Situation<'s> {
    /// The policy that it meets.
    pub policy: &'s Arc<Policy>,
    /// Its number.
    pub policy_id: PolicyId,
    /// The forward that took it.
    pub forward: Option<&'s Forward>,
    /// Whether that forward was not said, but is meant: the flow goes to where it listens.
    pub aimed: bool,
    /// Who resolves for it.
    pub resolver: Option<ResolverId>,
    /// What is known at accept; what is asked for later is unknown.
    pub facts: Facts,
}

impl<'s> Situation<'s> {
    /// Puts a flow into a configuration.
    ///
    /// # Errors
    /// [`BadFlow`] when it names what the configuration does not have, or lacks a destination.
    pub fn new(setup: &'s Setup, query: &Query) -> Result<Self, BadFlow> {
        let aimed = Door::aimed_at(setup, query);
        let via = match aimed {
            Some(forward) => Some(Via {
                kind: Some(InboundKind::Forward),
                name: Some(Arc::clone(&forward.name)),
                ..Via::default()
            }),
            None => query.inbound.as_ref().map(|via| Door::meant(setup, via)),
        };
        let door = Door::of(setup, via.as_ref())?;
        let (forward, inbound) = match door {
            Some(Door::Forward(forward)) => (Some(forward), None),
            Some(Door::Inbound(inbound)) => (None, Some(inbound)),
            None => (None, None),
        };
        let usual = match forward.is_some_and(Forward::is_udp) {
            true => Network::Udp,
            false => Network::Tcp,
        };
        let network = query.network.unwrap_or(usual);
        if let Some(forward) = forward.filter(|_| network != usual) {
            let name = &forward.name;
            let others = setup
                .forwards
                .iter()
                .filter(|it| it.is_udp() == (network == Network::Udp));
            let others: Vec<&str> = others.map(|it| &*it.name).collect();
            let hint = match (others.as_slice(), &query.inbound) {
                ([], _) | (_, Some(_)) => String::new(),
                (others, None) => format!(
                    "; add `inbound=forward:{}`",
                    others.join("` or `inbound=forward:")
                ),
            };
            let why = format!("`{name}` takes flows over {} alone{hint}", usual.as_str());
            return Err(bad("network", why));
        }
        let needs_destination = setup.dialect != Dialect::PolicyRouter && forward.is_none();
        if needs_destination && query.destination.is_none() {
            return Err(BadFlow::NoDestination);
        }
        let first = setup.inbounds.first();
        let policy_id = match (forward, inbound.or(first)) {
            (Some(forward), _) => forward.policy,
            (None, Some(inbound)) => inbound.policy,
            (None, None) => PolicyId(0),
        };
        let Some(policy) = setup.policies.get(policy_id.0) else {
            return Err(BadFlow::NotJson("the configuration has no policy".into()));
        };
        let resolver = match forward {
            Some(_) => None,
            None => inbound.or(first).and_then(|inbound| inbound.resolver),
        };
        defined(setup, query)?;
        let given = |fact: Option<Arc<str>>| Fact::from_option(fact, Provenance::Given);
        let via = via.map(|via| inbound_fact(&via, inbound, forward));
        let facts = Facts {
            network,
            query_type: None,
            inbound: Fact::from_option(via, Provenance::Given),
            source: Fact::from_option(query.source, Provenance::Given),
            destination: Fact::from_option(query.destination.clone(), Provenance::Given),
            port: Fact::from_option(query.port, Provenance::Given),
            sought: SoughtFacts {
                dscp: Fact::from_option(query.dscp, Provenance::Given),
                fake_ip: Fact::Absent,
                correlated: correlated(query),
                serves: given(query.serves.clone()),
                ..SoughtFacts::default()
            }
            .into(),
        };
        Ok(Self {
            policy,
            policy_id,
            forward,
            aimed: aimed.is_some(),
            resolver: resolver.or(setup.server_resolver),
            facts,
        })
    }

    /// Answers from what was said, and from what the configuration itself holds (databases, names
    /// with fixed addresses); all else is absent.
    pub fn answer(&self, setup: &Setup, query: &Query, need: Need, facts: &mut Facts) {
        match need {
            Need::Country => {
                let address = facts.destination_address();
                let found = address.map(|address| self.policy.databases.lookup(address));
                facts.sought.to_mut().geo = found.unwrap_or(Fact::Absent);
            }
            Need::Local => {
                facts.sought.to_mut().local = Fact::from_option(query.local, Provenance::Given);
            }
            Need::Owner => {
                facts.sought.to_mut().owner =
                    Fact::from_option(query.process.clone(), Provenance::Given).boxed();
                if let Fact::Known(process, _) = &mut facts.sought.to_mut().owner {
                    for text in [
                        &mut process.name,
                        &mut process.path,
                        &mut process.command_line,
                        &mut process.user,
                        &mut process.cgroup,
                        &mut process.unit,
                        &mut process.tag,
                    ] {
                        settle(text);
                    }
                    settle(&mut process.pid);
                }
            }
            Need::Resolve => facts.sought.to_mut().resolved = self.resolved(setup, query, facts),
            Need::Sniff => {
                facts.sought.to_mut().look =
                    Fact::from_option(query.first_bytes(), Provenance::Given).boxed();
            }
            Need::Verdict(request) => {
                let said = self.verdict(query, request);
                facts.answer(request, Fact::from_option(said, Provenance::Given));
            }
        }
    }

    /// What is said to be answered to a request.
    #[must_use]
    pub fn verdict(&self, query: &Query, request: RequestId) -> Option<Answer> {
        let asked = self.policy.body.request(request)?;
        let who = Some(asked.request.subscriber);
        let mut said = query.verdicts.iter();
        let own = said.clone().find(|(of, _)| *of == who);
        let any = || said.find(|(of, _)| of.is_none());
        own.or_else(any).map(|(_, answer)| *answer)
    }

    /// The addresses that a named destination would be dialled at, as far as they are known, where the policy
    /// did not ask for them.
    #[must_use]
    pub fn dialled(&self, setup: &Setup, query: &Query, facts: &Facts) -> Vec<IpAddr> {
        match facts.sought.resolved {
            Fact::Unknown => self.resolved(setup, query, facts).known().cloned(),
            _ => None,
        }
        .unwrap_or_default()
    }

    fn resolved(&self, setup: &Setup, query: &Query, facts: &Facts) -> Fact<Vec<IpAddr>> {
        if let Some(said) = &query.resolved {
            let said = Some(said.clone()).filter(|addresses| !addresses.is_empty());
            return Fact::from_option(said, Provenance::Given);
        }
        let resolver = self.resolver.and_then(|id| setup.resolvers.get(id.0));
        let (Some(resolver), Some(name)) = (resolver, facts.destination_name()) else {
            return Fact::Absent;
        };
        let fixed: Vec<_> = resolver.fixed(name).collect();
        let fixed = Some(fixed).filter(|addresses| !addresses.is_empty());
        Fact::from_option(fixed, Provenance::Resolver)
    }
}

/// That what is named besides the inbound is there.
fn defined(setup: &Setup, query: &Query) -> Result<(), BadFlow> {
    let outbounds = || setup.outbounds.iter().map(|outbound| &*outbound.name);
    if let Some(serves) = &query.serves
        && !outbounds().any(|name| name == &**serves)
    {
        let meant = meant(serves, outbounds());
        return Err(BadFlow::UnknownOutbound(format!(
            "there is no outbound `{serves}` ({meant})"
        )));
    }
    let mut said = query.verdicts.iter().filter_map(|(of, _)| *of).peekable();
    if said.peek().is_none() {
        return Ok(());
    }
    let asked: BTreeSet<u32> = setup
        .policies
        .iter()
        .flat_map(|policy| {
            policy
                .body
                .requests()
                .iter()
                .map(|asked| asked.request.subscriber)
        })
        .collect();
    match said.find(|subscriber| !asked.contains(subscriber)) {
        None => Ok(()),
        Some(subscriber) => {
            let asked: Vec<String> = asked.iter().map(u32::to_string).collect();
            let asked = listed(asked.iter().map(String::as_str));
            Err(BadFlow::NoSubscriber(format!(
                "no rule asks subscriber {subscriber} ({asked})"
            )))
        }
    }
}

fn settle<T>(fact: &mut Fact<T>) {
    if matches!(fact, Fact::Unknown) {
        *fact = Fact::Absent;
    }
}

/// What conditions see of the inbound: what was said, completed from the configuration.
fn inbound_fact(via: &Via, found: Option<&Inbound>, forward: Option<&Forward>) -> InboundFact {
    let user = found.zip(via.user.as_ref());
    let user = user.and_then(|(inbound, name)| inbound.users.iter().find(|u| u.name == *name));
    let alias = user.and_then(|user| user.alias.clone());
    let alias = alias.or_else(|| found.and_then(|inbound| inbound.alias.clone()));
    let forwarded = forward.map(|_| InboundKind::Forward);
    InboundFact {
        kind: via
            .kind
            .or(forwarded)
            .or_else(|| found.map(|inbound| inbound.kind))
            .unwrap_or(InboundKind::Mixed),
        name: via
            .name
            .clone()
            .or(alias)
            .or_else(|| forward.map(|f| Arc::clone(&f.name))),
        // A name tells the port; a type alone does not.
        port: via.port.or_else(|| {
            let name = via.name.as_ref()?;
            let named = found.filter(|inbound| has_name(inbound, name));
            named.map(|inbound| inbound.listen.port())
        }),
        user: via.user.clone(),
    }
}

/// The name that the DNS server is said to have given an address for; one that is asked for by its name has none.
fn correlated(query: &Query) -> Fact<Domain> {
    let is_address = matches!(query.destination, Some(Host::Address(_)));
    match query.dns_names.as_deref().filter(|_| is_address) {
        None | Some([]) => Fact::Absent,
        Some([name]) => Fact::Known(name.clone(), Provenance::DnsCorrelation),
        Some(names) => {
            let names: Vec<&str> = names.iter().map(Domain::as_str).collect();
            Fact::Failed(format!("ambiguous: {}", names.join(", ")).into())
        }
    }
}

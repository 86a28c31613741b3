//! Who is asked for the name of a flow, and why: what the data plane does where it looks the name up, told.

use pointsman_api::Explanation;
use pointsman_api::explain::LookUp;
use pointsman_policy::fact::{Fact, Facts, Need};
use pointsman_policy::model::OutboundKind;
use pointsman_policy::{Action, Domain, OutboundId, Policy};
use pointsman_spec::asks::{Asked, Because, Leaves, QueryRules, Seeker};

use super::names::{rule, server};
use crate::setup::{DnsEnd, ResolverId, Setup};

/// Who is asked for the name of a flow, before the policy knows where it leaves.
#[must_use]
pub fn asked(setup: &Setup, policy: &Policy, facts: &Facts) -> Asked {
    whom(setup, facts, Leaves::Undecided(policy)).0
}

/// Adds to the explanation of a flow who is asked for its name; nothing where it is not looked up here, or the
/// configuration names nobody.
pub fn tell_look_up(explanation: &mut Explanation, setup: &Setup, policy: &Policy, facts: &Facts) {
    explanation.look_up = look_up(explanation, setup, policy, facts);
}

fn look_up(
    explanation: &Explanation,
    setup: &Setup,
    policy: &Policy,
    facts: &Facts,
) -> Option<LookUp> {
    let name = facts.destination_name()?;
    if setup.asks.says_nothing() && inbound(setup, facts).is_none() {
        return None;
    }
    let resolve = Need::Resolve.as_str();
    if explanation.asked.iter().any(|need| need == resolve) {
        let mut before = facts.clone();
        let sought = before.sought.to_mut();
        (sought.resolved, sought.geo, sought.local) = (Fact::Unknown, Fact::Unknown, Fact::Unknown);
        let (asked, because) = whom(setup, &before, Leaves::Undecided(policy));
        return Some(told(setup, policy, name, asked, because));
    }
    let decision = &explanation.decision;
    let names = decision.outbound.iter().chain(&decision.groups);
    let names = names.chain(&decision.member);
    let found = |name: &String| {
        let at = policy.outbounds.iter().position(|it| *it.name == **name)?;
        u32::try_from(at).ok().map(OutboundId)
    };
    let by: Vec<OutboundId> = names.filter_map(found).collect();
    let last = policy.outbound(*by.last()?);
    if !matches!(last.kind, OutboundKind::Plain(Action::Direct)) {
        return None;
    }
    let (asked, because) = whom(setup, facts, Leaves::By(&by));
    Some(told(setup, policy, name, asked, because))
}

fn whom(setup: &Setup, facts: &Facts, leaves: Leaves<'_>) -> (Asked, Because) {
    let rules = setup.dns.as_ref().zip(facts.destination_name());
    let rules = rules.map(|(server, name)| QueryRules {
        policy: &server.what.policy,
        ends: &server.what.ends,
        is_fixed: is_fixed(setup, name),
        asks_for_local_names: server.what.asks_for_local_names,
    });
    setup.asks.whom(Seeker {
        facts,
        inbound: inbound(setup, facts),
        leaves,
        rules,
    })
}

/// The resolver that the flow's inbound names; the first one where none is known.
fn inbound(setup: &Setup, facts: &Facts) -> Option<ResolverId> {
    let name = facts.inbound.known().and_then(|it| it.name.as_ref());
    let mut inbounds = setup.inbounds.iter();
    let found = match name {
        Some(name) => inbounds.find(|it| it.name == *name),
        None => inbounds.next(),
    };
    found.and_then(|inbound| inbound.resolver)
}

fn is_fixed(setup: &Setup, name: &Domain) -> bool {
    let mut resolvers = setup.resolvers.iter();
    let first = resolvers.next();
    first.is_some_and(|it| it.what.fixed(name).next().is_some())
}

fn told(setup: &Setup, policy: &Policy, name: &Domain, asked: Asked, because: Because) -> LookUp {
    let mut told = LookUp {
        name: name.to_string(),
        upstream: None,
        servers: Vec::new(),
        reason: String::new(),
        rule: None,
    };
    let id = match asked {
        Asked::Resolver(id) => id.or(setup.server_resolver),
        Asked::Here(end) => {
            told.reason = format!("nobody is asked: a rule for queries says `{}`", word(end));
            if let Because::Rule(of) = because {
                told.rule = of.map(rule);
            }
            return told;
        }
        Asked::Local => {
            told.reason =
                "nobody is asked: the name means nothing to the world, and no rule sends it to an upstream"
                    .to_owned();
            return told;
        }
    };
    let resolver = id.and_then(|id| setup.resolvers.get(id.0));
    if let Some(resolver) = resolver {
        let fixed: Vec<String> = resolver.what.fixed(name).map(|it| it.to_string()).collect();
        if !fixed.is_empty() {
            let fixed = fixed.join(", ");
            told.reason = format!("nobody is asked: its addresses are fixed: {fixed}");
            return told;
        }
    }
    let servers = resolver.map(|resolver| resolver.what.servers_for(name));
    told.servers = match servers {
        Some(servers) => servers.iter().map(|it| server(it, setup)).collect(),
        None => vec!["the system".to_owned()],
    };
    let is_of_domain = resolver
        .zip(servers)
        .is_some_and(|(it, servers)| it.what.servers != *servers);
    let upstreams = setup.dns.as_ref().map(|dns| &dns.what.upstreams);
    let named = upstreams
        .zip(id)
        .filter(|_| setup.asks.heeds_rules && !is_of_domain);
    let named = named.and_then(|(upstreams, id)| upstreams.get(id.0));
    told.upstream = named.map(|it| it.name.to_string());
    let outbound = |id: OutboundId| &policy.outbound(id).name;
    told.reason = match because {
        _ if is_of_domain => "the servers that are named for such names".to_owned(),
        Because::Rule(of) => {
            told.rule = of.map(rule);
            "a rule for queries names them".to_owned()
        }
        Because::Inbound => "the inbound's resolver".to_owned(),
        Because::Outbound(id) => format!("who is asked for what leaves by `{}`", outbound(id)),
        Because::Everywhere => "all ways that it may take lead where it is asked".to_owned(),
        Because::Undecided => {
            "it may leave by several ways that ask different upstreams: `dns.undecided`".to_owned()
        }
        Because::Nothing | Because::Local => {
            "the resolver for all that is not said otherwise".to_owned()
        }
    };
    told
}

/// An answer as rules name it.
fn word(end: DnsEnd) -> &'static str {
    match end {
        DnsEnd::Ask(_) | DnsEnd::Fake | DnsEnd::Follow => "follow",
        DnsEnd::Drop => "drop",
        DnsEnd::NoData => "nodata",
        DnsEnd::NoName => "nxdomain",
        DnsEnd::Refused => "refused",
        DnsEnd::Pass => "pass",
        DnsEnd::Zero => "zero",
    }
}

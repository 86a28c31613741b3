//! Who is asked for the names that flows bring and that are looked up here: where they leave directly, and where rules look
//! at addresses.
//!
//! Invariant: whoever carries a flow and whoever explains it come to the same; and what the rules for queries say of a name
//! holds for flows to it, so that a name is asked at one place, whoever brings it.

use pointsman_policy::fact::{Fact, Facts, Provenance};
use pointsman_policy::local_names::{LocalName, local_name};
use pointsman_policy::model::Origin;
use pointsman_policy::{Agreement, Domain, Host, OutboundId, Policy};

use crate::dns::DnsEnd;
use crate::ids::ResolverId;

/// What a configuration says of who is asked, beside the `resolver` of inbounds and what resolvers say themselves (fixed
/// addresses, and servers for some names, which come before all).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskSpec {
    /// Whether the rules for queries count. Their upstreams are then the resolvers, in the same order.
    pub heeds_rules: bool,
    /// Whom the configuration names for names whose flows leave by an outbound, by its number.
    pub by_outbound: Vec<Option<ResolverId>>,
    /// The same where nobody is named, and the rules for queries follow the policy.
    pub usual: Vec<Option<ResolverId>>,
    /// Who is asked where the ways that a flow may take ask differently.
    pub undecided: Option<ResolverId>,
    /// Who is asked for all that is not said otherwise; `None`: the resolver for servers.
    pub resolver: Option<ResolverId>,
    /// Whether the configuration names him, so that rules for queries that look at no name do not count.
    pub names_resolver: bool,
    /// Those that ask as the system is configured: names that mean something here alone are theirs to know.
    pub of_system: Vec<ResolverId>,
}

/// A flow whose name is to be looked up.
#[derive(Clone, Copy, Debug)]
pub struct Seeker<'a> {
    /// What is known of it.
    pub facts: &'a Facts,
    /// The resolver that its inbound names.
    pub inbound: Option<ResolverId>,
    /// How it leaves.
    pub leaves: Leaves<'a>,
    /// The rules for queries, where there are any.
    pub rules: Option<QueryRules<'a>>,
}

/// How a flow leaves.
#[derive(Clone, Copy, Debug)]
pub enum Leaves<'a> {
    /// By these: the outbound that the policy chose, then what groups selected within it.
    By(&'a [OutboundId]),
    /// That policy is to find out, and looks at the address.
    Undecided(&'a Policy),
}

/// The rules for queries.
#[derive(Clone, Copy, Debug)]
pub struct QueryRules<'a> {
    /// They.
    pub policy: &'a Policy,
    /// Their ends.
    pub ends: &'a [DnsEnd],
    /// Whether the name has fixed addresses, which come before them.
    pub is_fixed: bool,
    /// Whether names that mean nothing to the world are asked for all the same.
    pub asks_for_local_names: bool,
}

/// Who is asked for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// That resolver; `None`: the one for servers.
    Resolver(Option<ResolverId>),
    /// Nobody: a rule answers so.
    Here(DnsEnd),
    /// Nobody: the name means nothing to the world.
    Local,
}

impl Default for Asked {
    fn default() -> Self {
        Self::Resolver(None)
    }
}

/// Why somebody is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// A rule for queries says so.
    Rule(Option<Origin>),
    /// The inbound names him.
    Inbound,
    /// The flow leaves by that outbound, who is asked there.
    Outbound(OutboundId),
    /// Wherever the flow may leave he is asked.
    Everywhere,
    /// The flow may leave by several ways that ask differently.
    Undecided,
    /// Nothing else is said.
    Nothing,
    /// The name means nothing to the world.
    Local,
}

/// What the rules for queries say of a name.
#[derive(Clone, Debug, Default)]
struct Ruled {
    end: Option<DnsEnd>,
    rule: Option<Origin>,
    /// Whether they say it of that very name.
    of_name: bool,
}

impl AskSpec {
    /// Whether it says nothing, so that the inbound's resolver is asked.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        let Self {
            heeds_rules,
            by_outbound,
            usual,
            undecided: _,
            // The inbound's stands for it.
            resolver: _,
            names_resolver: _,
            of_system: _,
        } = self;
        !heeds_rules && by_outbound.iter().chain(usual).all(Option::is_none)
    }

    /// Who is asked for the name of a flow, and why. In this order: a rule for queries with a condition on the name, the
    /// inbound's resolver, who is named for the outbound, who is named for all, what other rules for queries say.
    #[must_use]
    pub fn whom(&self, seeker: Seeker<'_>) -> (Asked, Because) {
        let named = seeker.facts.destination_name();
        let Some(name) = named.filter(|_| !self.says_nothing()) else {
            let because = match seeker.inbound {
                Some(_) => Because::Inbound,
                None => Because::Nothing,
            };
            return (Asked::Resolver(seeker.inbound), because);
        };
        let rules = seeker.rules.filter(|_| self.heeds_rules);
        let ruled = rules.map(|rules| ruled(rules, seeker.facts, name));
        let ruled = ruled.unwrap_or_default();
        if ruled.of_name {
            let because = || Because::Rule(ruled.rule.clone());
            match ruled.end {
                Some(DnsEnd::Ask(at)) => return (to(ResolverId(at)), because()),
                Some(
                    end @ (DnsEnd::Drop
                    | DnsEnd::NoData
                    | DnsEnd::NoName
                    | DnsEnd::Refused
                    | DnsEnd::Zero),
                ) => return (Asked::Here(end), because()),
                // What stands for a name is not what it has.
                Some(DnsEnd::Fake | DnsEnd::Follow | DnsEnd::Pass) | None => {}
            }
        }
        let follows = matches!(ruled.end, Some(DnsEnd::Fake | DnsEnd::Follow));
        let follows = ruled.of_name && follows;
        let (asked, because) = match seeker.inbound {
            Some(inbound) if !follows => (to(inbound), Because::Inbound),
            _ => self.by_way(seeker, &ruled),
        };
        let stays = |rules: QueryRules<'_>| {
            let local = local_name(name, A);
            let is_local = matches!(local, Some(LocalName::NoData | LocalName::NoName));
            is_local && !rules.is_fixed && !rules.asks_for_local_names
        };
        let knows = |id: &ResolverId| asked == to(*id);
        if rules.is_some_and(stays) && !self.of_system.iter().any(knows) {
            return (Asked::Local, Because::Local);
        }
        (asked, because)
    }

    fn by_way(&self, seeker: Seeker<'_>, ruled: &Ruled) -> (Asked, Because) {
        match seeker.leaves {
            Leaves::By(outbounds) => {
                let mut named = outbounds
                    .iter()
                    .map(|id| (*id, named(&self.by_outbound, *id)));
                match named.find_map(|(id, asked)| Some((id, asked?))) {
                    Some((id, asked)) => (to(asked), Because::Outbound(id)),
                    None => self.otherwise(outbounds, ruled),
                }
            }
            Leaves::Undecided(policy) => {
                let ask = |id: OutboundId| {
                    let asked = named(&self.by_outbound, id).map(to);
                    let asked = asked.unwrap_or_else(|| self.otherwise(&[id], ruled).0);
                    Some(number(asked))
                };
                let ends = policy.possible(seeker.facts, &[]);
                let (otherwise, because) = self.otherwise(&[], ruled);
                match policy.agree(&ends, ask) {
                    Agreement::All(at) if at != number(otherwise) => {
                        (to(ResolverId(at)), Because::Everywhere)
                    }
                    Agreement::Differ(..) if self.undecided.is_some() => {
                        (Asked::Resolver(self.undecided), Because::Undecided)
                    }
                    // Refused flows need no answer.
                    _ => (otherwise, because),
                }
            }
        }
    }

    /// Who is asked where nobody is named for the way.
    fn otherwise(&self, outbounds: &[OutboundId], ruled: &Ruled) -> (Asked, Because) {
        let mut usual = outbounds.iter().map(|id| (*id, named(&self.usual, *id)));
        let resolver = (Asked::Resolver(self.resolver), Because::Nothing);
        match ruled.end {
            _ if self.names_resolver => resolver,
            Some(DnsEnd::Ask(at)) => (to(ResolverId(at)), Because::Rule(ruled.rule.clone())),
            _ => match usual.find_map(|(id, asked)| Some((id, asked?))) {
                Some((id, asked)) => (to(asked), Because::Outbound(id)),
                None => resolver,
            },
        }
    }
}

/// A query for the name, by the same client.
fn ruled(rules: QueryRules<'_>, facts: &Facts, name: &Domain) -> Ruled {
    if rules.is_fixed {
        return Ruled::default();
    }
    let query = Facts {
        network: facts.network,
        query_type: Some(A),
        inbound: facts.inbound.clone(),
        source: facts.source.clone(),
        destination: Fact::Known(Host::Name(name.clone()), Provenance::Request),
        port: Fact::Absent,
        ..Facts::default()
    };
    let of_name = rules.policy.names_query(&query);
    let Some(decision) = rules.policy.decide_query(query) else {
        return Ruled::default();
    };
    let end = decision
        .outbound
        .and_then(|end| usize::try_from(end.0).ok());
    Ruled {
        end: end.and_then(|end| rules.ends.get(end)).copied(),
        rule: decision.rule,
        of_name,
    }
}

fn named(all: &[Option<ResolverId>], id: OutboundId) -> Option<ResolverId> {
    let at = usize::try_from(id.0).ok()?;
    all.get(at).copied().flatten()
}

fn to(resolver: ResolverId) -> Asked {
    Asked::Resolver(Some(resolver))
}

/// For comparing alone.
fn number(asked: Asked) -> usize {
    match asked {
        Asked::Resolver(Some(ResolverId(at))) => at,
        _ => usize::MAX,
    }
}

/// The number of the type of IPv4 addresses (RFC 1035 §3.2.2).
const A: u16 = 1;

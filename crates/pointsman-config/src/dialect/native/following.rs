//! `follow`: a name is asked where its flows leave. Which upstream that is for each outbound, and whether it can be told.
//!
//! Invariant: no upstream is chosen in silence: what neither `ask` nor a `via` says is an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use pointsman_policy::condition::{DomainTest, NumberField};
use pointsman_policy::fact::{Fact, Facts, Provenance};
use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::model::{Origin, each_node};
use pointsman_policy::{
    Agreement, Condition, Domain, End, Host, OutboundId, Policy, Possible, Step,
};

use super::asking::{Said, own};
use super::dns::Dns;
use super::policies::{Policies, line};
use super::rule_sets::RuleSets;
use crate::input::Input;
use crate::name_server::leads_to;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Severity, Span};
use crate::setup::{DnsEnd, DnsServer, FollowSpec, Kind};

/// Whether rules come to `follow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    No,
    /// They say so.
    Said,
    /// There are none, and it is what they would say.
    Usually,
}

/// Names of rules that are tried; more would only tell the same again.
const MOST_TRIED: usize = 500;

/// What of the configuration rules for names need.
pub(super) struct Context<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) rule_sets: &'a RuleSets,
    pub(super) databases: &'a Arc<GeoDatabases>,
    pub(super) policies: &'a Policies,
    pub(super) outbounds: &'a Outbounds,
}

/// How the policy is followed, where rules come to it; `None` where they do not, and after an error.
pub(super) fn spec(
    dns: &Dns<'_>,
    said: &Said,
    context: &Context<'_>,
    (place, used): (&Span, Used),
    problems: &mut Problems,
) -> Option<FollowSpec> {
    let outbounds = context.outbounds;
    let before = problems.count(Severity::Error);
    let mut asked = said.ask.clone();
    let policy = context.policies.main.filter(|_| used != Used::No)?;
    for id in leads_to(context.policies.body(policy)) {
        let Some(kind) = outbounds.kind(id) else {
            continue;
        };
        let at = usize::try_from(id.0).unwrap_or(usize::MAX);
        if matches!(kind, Kind::Refuse(_)) || asked.get(at).is_none_or(Option::is_some) {
            continue;
        }
        asked[at] = own(id, kind, dns);
        if asked[at].is_none() {
            no_upstream(id, outbounds, (place, used), problems);
        }
    }
    (!said.failed && problems.count(Severity::Error) == before).then_some(FollowSpec {
        policy,
        ask: asked,
        undecided: said.undecided,
    })
}

fn no_upstream(
    id: OutboundId,
    outbounds: &Outbounds,
    (place, used): (&Span, Used),
    problems: &mut Problems,
) {
    let name = outbounds.name(id).unwrap_or("?");
    let message = format!("nobody is asked for names whose flows leave by `{name}`");
    let span = outbounds.span(id).unwrap_or(place).clone();
    let span = super::first_line(&span);
    let problem = match used {
        // Nobody wrote it: the names are not asked for, and all else is served.
        Used::Usually => problems.warning("no-upstream-for", &span, message),
        Used::No | Used::Said => problems.error("no-upstream-for", &span, message),
    };
    problem.hint = Some(format!(
        "add `ask: {{ {name}: UPSTREAM }}` to `dns`, or an upstream with `via: {name}`"
    ));
}

/// Tells where names may leave by several ways that ask differently, and nobody is named for that.
pub(super) fn check(server: &DnsServer, policy: &Policy, problems: &mut Problems) {
    let Some(follow) = server.what.follow.as_ref() else {
        return;
    };
    if follow.undecided.is_some() {
        return;
    }
    let ask = |outbound: OutboundId| {
        let at = usize::try_from(outbound.0).ok()?;
        follow.ask.get(at).copied().flatten()
    };
    let types = types(&server.what.policy);
    let mut told: BTreeSet<u32> = BTreeSet::new();
    for name in names(policy) {
        if !is_followed(server, &name, &types) {
            continue;
        }
        let ends = policy.possible_for(&name, None);
        let Agreement::Differ(one, other) = policy.agree(&ends, ask) else {
            continue;
        };
        let line = one.rule.as_ref().map_or(0, |rule| rule.line);
        if told.insert(line) {
            differ(server, policy, &name, (one, other), problems);
        }
    }
}

fn differ(
    server: &DnsServer,
    policy: &Policy,
    name: &Domain,
    (one, other): (&Possible, &Possible),
    problems: &mut Problems,
) {
    let way = |possible: &Possible| match possible.end {
        End::To(outbound) => policy.outbound(outbound).name.to_string(),
        End::NoRoute | End::Refused => "nowhere".to_owned(),
    };
    let message = format!(
        "flows to `{name}` may leave by `{}` or by `{}`, which ask different upstreams for the name",
        way(one),
        way(other)
    );
    let at = |rule: &Origin| line(&server.span, rule).of_rule(&rule.text);
    let span = one.rule.as_ref().map_or_else(|| server.span.clone(), at);
    let problem = problems.error("dns-undecided", &span, message);
    problem.hint = Some(
        "say by `dns.undecided: UPSTREAM` who is asked then, or send such names by a rule of `dns.rules`"
            .into(),
    );
    problem.related = other
        .rule
        .as_ref()
        .map(|rule| (at(rule), "or by this one".into()));
}

/// Whether the rules of the server come to `follow` for that name.
fn is_followed(server: &DnsServer, name: &Domain, types: &[u16]) -> bool {
    types
        .iter()
        .any(|of| is_type_followed(server, name, Some(*of)))
}

fn is_type_followed(server: &DnsServer, name: &Domain, query_type: Option<u16>) -> bool {
    let facts = Facts {
        query_type,
        destination: Fact::Known(Host::Name(name.clone()), Provenance::Request),
        ..Facts::default()
    };
    match server.what.policy.decide(&facts) {
        Step::Decided(decision) => {
            let end = decision
                .outbound
                .and_then(|end| usize::try_from(end.0).ok());
            let end = end.and_then(|end| server.what.ends.get(end));
            matches!(end, Some(DnsEnd::Fake | DnsEnd::Follow))
        }
        // It depends on who asks.
        Step::Need(_) => true,
        Step::NoRoute => false,
    }
}

/// A type of each kind that rules tell apart: the ends of their ranges, and what lies behind these.
fn types(policy: &Policy) -> Vec<u16> {
    let mut types = BTreeSet::from([0]);
    each_node(&policy.body, &mut |node| {
        let Some(condition) = node.condition() else {
            return;
        };
        condition.each_test(&mut |test| {
            if let Condition::Number(NumberField::DnsType, range) = test {
                let ends = [*range.start(), range.end().saturating_add(1)];
                types.extend(ends.into_iter().filter_map(|end| u16::try_from(end).ok()));
            }
        });
    });
    types.into_iter().take(MOST_TRIED).collect()
}

/// Names that rules speak of, and one that none does.
fn names(policy: &Policy) -> Vec<Domain> {
    let mut names = Vec::new();
    names.extend(Domain::parse("no-rule-names-this.example").ok());
    each_node(&policy.body, &mut |node| {
        let Some(condition) = node.condition() else {
            return;
        };
        condition.each_test(&mut |test| {
            if names.len() >= MOST_TRIED {
                return;
            }
            match test {
                Condition::Domain(DomainTest::Exact(name)) => names.push(name.clone()),
                Condition::Domain(DomainTest::Suffix(name)) => {
                    names.extend(Domain::parse(&format!("x.{}", name.as_str())).ok());
                }
                _ => {}
            }
        });
    });
    names
}

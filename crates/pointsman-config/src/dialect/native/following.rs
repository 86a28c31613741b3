//! `follow`: a name is asked where its flows leave. Which upstream that is for each outbound, and whether it can be told.
//!
//! Invariant: no upstream is chosen in silence: what neither `ask` nor a `via` says is an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use pointsman_policy::condition::DomainTest;
use pointsman_policy::fact::{Fact, Facts, Provenance};
use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::model::{Origin, each_node};
use pointsman_policy::request::Route;
use pointsman_policy::{
    Agreement, Condition, Domain, End, Host, Node as PolicyNode, OutboundId, Policy, Possible, Step,
};

use super::dns::Dns;
use super::named;
use super::policies::{Policies, line};
use super::rule_sets::RuleSets;
use crate::name_server::Ends;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Severity, Span, nearest};
use crate::setup::{Carrier, DnsEnd, DnsServer, FollowSpec, Kind, NameServer, ResolverId, Uplink};
use crate::yaml::Node;

/// The keys `ask` and `undecided`, each with its value.
type Keys<'a> = (Option<(&'a Node, &'a Node)>, Option<(&'a Node, &'a Node)>);

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
    pub(super) rule_sets: &'a RuleSets,
    pub(super) databases: &'a Arc<GeoDatabases>,
    pub(super) policies: &'a Policies,
    pub(super) outbounds: &'a Outbounds,
}

/// How the policy is followed, where rules come to it; `None` where they do not, and after an error.
pub(super) fn spec(
    dns: &Dns<'_>,
    (ask, undecided): Keys<'_>,
    ends: &Ends,
    context: &Context<'_>,
    (place, used): (&Span, Used),
    problems: &mut Problems,
) -> Option<FollowSpec> {
    let outbounds = context.outbounds;
    let before = problems.count(Severity::Error);
    let count = usize::try_from(outbounds.count()).unwrap_or(0);
    let mut asked: Vec<Option<usize>> = vec![None; count];
    for (name, span, node) in named(ask.map(|(_, node)| node), "`ask`", problems) {
        let outbound = outbounds.resolve(name, span, problems);
        let upstream = upstream(node, dns, ends, problems);
        if let (Some(OutboundId(at)), Some(upstream)) = (outbound, upstream)
            && let Some(place) = usize::try_from(at).ok().and_then(|at| asked.get_mut(at))
        {
            *place = Some(upstream);
        }
    }
    let undecided = undecided.map(|(_, node)| upstream(node, dns, ends, problems));
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
    (problems.count(Severity::Error) == before).then(|| FollowSpec {
        policy,
        ask: asked,
        undecided: undecided.flatten(),
    })
}

/// The ends that steps may lead to.
pub(super) fn leads_to(steps: &[PolicyNode]) -> BTreeSet<OutboundId> {
    let mut found = BTreeSet::new();
    each_node(steps, &mut |step| match step {
        PolicyNode::Leaf { outbound, .. } => drop(found.insert(*outbound)),
        PolicyNode::Rule(rule) => drop(found.insert(rule.outbound)),
        PolicyNode::Request { request, .. } => {
            found.extend(
                Route::ALL
                    .iter()
                    .filter_map(|route| request.outbound(*route)),
            );
        }
        _ => {}
    });
    found
}

/// The upstream that a key names.
fn upstream(node: &Node, dns: &Dns<'_>, ends: &Ends, problems: &mut Problems) -> Option<usize> {
    let name = node.text("the name of an upstream", problems)?;
    let found = ends.upstream(name);
    if found.is_none() {
        let message = format!("`dns.upstreams` has no `{name}`");
        let known = dns.names.iter().map(String::as_str);
        problems.error("unknown-resolver", &node.span, message).hint =
            nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    }
    found
}

/// The one upstream that is asked by that outbound; of the plain way out the one for what is dialled directly.
fn own(id: OutboundId, kind: &Kind, dns: &Dns<'_>) -> Option<usize> {
    let by = |at: usize, via: Option<OutboundId>| {
        let servers = dns.resolvers.get(at).map(|it| &it.servers);
        servers.is_some_and(|servers| {
            let is = |server: &NameServer| match server {
                NameServer::Tcp(place) | NameServer::Udp(place) => place.via == via,
                NameServer::System => via.is_none(),
                NameServer::NotYet(_) => false,
            };
            !servers.is_empty() && servers.iter().all(is)
        })
    };
    let mut own = (0..dns.names.len()).filter(|at| by(*at, Some(id)));
    if let (Some(one), None) = (own.next(), own.next()) {
        return Some(one);
    }
    let is_plain =
        matches!(kind, Kind::Carry(Carrier::Direct(uplink)) if *uplink == Uplink::default());
    let last = ResolverId(dns.names.len().saturating_sub(1));
    let ResolverId(usual) = dns.server_resolver.unwrap_or(last);
    (is_plain && by(usual, None)).then_some(usual)
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
    let mut told: BTreeSet<u32> = BTreeSet::new();
    for name in names(policy) {
        if !is_followed(server, &name) {
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
fn is_followed(server: &DnsServer, name: &Domain) -> bool {
    let facts = Facts {
        destination: Fact::Known(Host::Name(name.clone()), Provenance::Request),
        ..Facts::default()
    };
    match server.what.policy.decide(&facts) {
        Step::Decided(decision) => {
            let end = decision
                .outbound
                .and_then(|end| usize::try_from(end.0).ok());
            let end = end.and_then(|end| server.what.ends.get(end));
            end == Some(&DnsEnd::Follow)
        }
        // It depends on who asks.
        Step::Need(_) => true,
        Step::NoRoute => false,
    }
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

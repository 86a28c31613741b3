//! What nothing uses: rule sets, ways out, policies.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use pointsman_policy::model::{Node, Origin, SetId, each_node, each_origin};
use pointsman_policy::{OutboundId, Policy};

use pointsman_config::places::Places;
use pointsman_config::problem::{Problems, Source};
use pointsman_config::setup::{Carrier, Dialect, Kind, Setup, Uplink};

/// Notes what is defined and never used.
pub(super) fn look(setup: &Setup, places: &mut Places<'_>, problems: &mut Problems) {
    let mut seen = Seen::default();
    for policy in &setup.policies {
        each_node(&policy.body, &mut |node| seen.node(policy, node));
    }
    if let Some(dns) = &setup.dns {
        let answers = dns.what.answers.as_ref().map(|it| &it.policy);
        for policy in [Some(&dns.what.policy), answers].into_iter().flatten() {
            each_node(&policy.body, &mut |node| {
                if let Some(condition) = node.condition() {
                    policy.gather_sets(condition, &mut seen.sets);
                }
            });
        }
    }
    sets(setup, &seen, problems);
    outbounds(setup, seen, problems);
    policies(setup, places, problems);
}

/// What the policies refer to.
#[derive(Default)]
struct Seen {
    sets: BTreeSet<SetId>,
    outbounds: HashSet<OutboundId>,
}

impl Seen {
    fn node(&mut self, policy: &Policy, node: &Node) {
        if let Some(condition) = node.condition() {
            policy.gather_sets(condition, &mut self.sets);
        }
        match node {
            Node::Leaf { outbound, .. } => self.outbounds.extend([*outbound]),
            Node::Request { request, .. } => {
                self.outbounds.extend([request.reject, request.blackhole]);
            }
            Node::Rule(rule) => self.outbounds.extend([rule.outbound]),
            Node::Any(_)
            | Node::Instrument { .. }
            | Node::Resolve(_)
            | Node::Select(_)
            | Node::Sub { .. }
            | Node::When { .. } => {}
        }
    }
}

/// The main text: where the sections are.
fn main_source(setup: &Setup) -> Option<&Arc<Source>> {
    let inbound = setup.inbounds.first().map(|inbound| &inbound.span.source);
    inbound.or_else(|| setup.forwards.first().map(|forward| &forward.span.source))
}

fn sets(setup: &Setup, seen: &Seen, problems: &mut Problems) {
    let (Some(policy), Some(source)) = (setup.policies.first(), main_source(setup)) else {
        return;
    };
    for (number, set) in (0..).zip(policy.sets.iter()) {
        if seen.sets.contains(&SetId(number)) {
            continue;
        }
        let line = source.line(defined_at(source, &set.name));
        let place = line.find(&set.name).unwrap_or(line);
        let message = format!("no rule uses the rule set `{}`", set.name);
        problems.note("unused-set", &place, message).hint =
            Some("remove it: it is loaded and never used".into());
    }
}

/// The line of a key of that name; the first one where there is none.
fn defined_at(source: &Source, name: &str) -> u32 {
    let sections = ["rule_sets:", "rule-provider:", "rule_provider:"];
    let is_key = |line: &str| {
        let bare = line.trim_start();
        let bare = bare.trim_start_matches(['"', '\'']);
        let rest = bare.strip_prefix(name);
        rest.is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
    };
    let mut section = None;
    for (number, line) in (1..).zip(source.text.lines()) {
        if sections.iter().any(|word| line.starts_with(word)) {
            section = Some(number);
        } else if section.is_some() && is_key(line) {
            return number;
        }
    }
    section.unwrap_or(1)
}

fn outbounds(setup: &Setup, mut seen: Seen, problems: &mut Problems) {
    let Some(main) = main_source(setup) else {
        return;
    };
    let used = &mut seen.outbounds;
    for outbound in &setup.outbounds {
        match &outbound.kind {
            Kind::Through(hops) => used.extend(hops),
            Kind::Choose(group) => used.extend(&group.members),
            Kind::Carry(Carrier::Target(target)) => used.extend(target.via),
            _ => {}
        }
    }
    for forward in &setup.forwards {
        used.insert(forward.group);
    }
    for resolver in &setup.resolvers {
        let by_domain = resolver
            .by_domain
            .iter()
            .flat_map(|(_, _, servers)| servers);
        for server in resolver.servers.iter().chain(by_domain) {
            used.extend(server.via());
        }
    }
    used.extend(setup.sources.iter().filter_map(|list| list.via));
    for (number, outbound) in (0..).zip(&setup.outbounds) {
        let Some(span) = &outbound.span else { continue };
        // Whoever takes a list of proxies from elsewhere does not use each of them.
        let own = Arc::ptr_eq(&span.source, main);
        if used.contains(&OutboundId(number)) || !own || is_harmless(&outbound.kind) {
            continue;
        }
        let message = format!("nothing uses the outbound `{}`", outbound.name);
        problems.note("unused-outbound", span, message).hint =
            Some("remove it, or write the rule that it is for".into());
    }
}

/// Refusals and plain ways out are defined for completeness, and nobody misses them.
fn is_harmless(kind: &Kind) -> bool {
    match kind {
        Kind::Refuse(_) | Kind::Carry(Carrier::Target(_)) => true,
        Kind::Choose(_) => kind.balancing().is_some(),
        Kind::Carry(Carrier::Direct(uplink)) => *uplink == Uplink::default(),
        Kind::Carry(Carrier::Upstream(_)) | Kind::NotYet { .. } | Kind::Through(_) => false,
    }
}

fn policies(setup: &Setup, places: &mut Places<'_>, problems: &mut Problems) {
    if setup.dialect != Dialect::Native || setup.inbounds.is_empty() {
        return;
    }
    let used: HashSet<usize> = setup
        .inbounds
        .iter()
        .map(|inbound| inbound.policy.0)
        .collect();
    let forwarded = setup.forwards.iter().map(|forward| forward.policy.0);
    let forwarded: HashSet<usize> = forwarded.collect();
    let of = |number: usize| setup.policies.get(number);
    let names: HashSet<&str> = used
        .iter()
        .filter_map(|n| of(*n))
        .map(|p| &*p.name)
        .collect();
    let mut places_used: HashSet<(&str, u32)> = HashSet::new();
    for policy in used.iter().filter_map(|number| of(*number)) {
        each_origin(&policy.body, &mut |origin| {
            places_used.insert((&origin.file, origin.line));
        });
    }
    for (number, policy) in setup.policies.iter().enumerate() {
        if used.contains(&number) || forwarded.contains(&number) || names.contains(&*policy.name) {
            continue;
        }
        let mut first: Option<&Origin> = None;
        each_origin(&policy.body, &mut |origin| {
            first = first.or(Some(origin));
        });
        // A tree that others use stands in them line by line.
        let Some(first) =
            first.filter(|origin| !places_used.contains(&(&*origin.file, origin.line)))
        else {
            continue;
        };
        let message = format!(
            "no inbound uses the policy `{}`, which begins here",
            policy.name
        );
        problems
            .note("unused-policy", &places.of(first), message)
            .hint =
            Some("name it as the `policy` of an inbound, or as a word of another tree".into());
    }
}

//! What the linter calls a rule that never matches never matches, and can go: over random policies and flows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../pointsman-policy/tests/flow/mod.rs"]
mod flow;
#[path = "../../pointsman-policy/tests/random/mod.rs"]
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pointsman_config::files::Memory;
use pointsman_config::list::{InlineEntry, ListFile, Origin as Stands};
use pointsman_policy::condition::{AddressOf, Asks, Condition, DomainTest};
use pointsman_policy::decision::{Step, Trace, Verdict};
use pointsman_policy::fact::Facts;
use pointsman_policy::model::{Node, OnUnknown, Policy, SetId};
use pointsman_policy::set::Reach;
use pointsman_policy::{Domain, OutboundId};
use pointsman_tools::lint;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Policies that are gone through, each with so many flows of so large a pool.
const POLICIES: usize = 1_200;
const FLOWS: usize = 40;
const POOL: usize = 3_000;

/// Of these, how many are decided without the dead rules, too.
const COMPARED: usize = 10;

/// Rules of each kind that must be found dead among them, else the law holds for want of findings; the last are
/// those whose set is taken entry by entry.
const ENOUGH: &[(&str, usize)] = &[
    ("Behind", 150),
    ("Impossible", 100),
    ("Off", 500),
    ("Taken", 500),
    ("by entries", 20),
];

/// A policy, and the entries of its sets.
#[derive(Clone, Debug)]
struct Case {
    policy: Policy,
    lists: Vec<ListFile>,
}

impl Case {
    /// The lines of rules that never match, with the reasons.
    fn dead(&self) -> Vec<(u32, String)> {
        dead(&self.policy, &self.lists)
    }

    fn with(&self, body: Vec<Node>) -> Self {
        let policy = Policy {
            body: body.into(),
            ..self.policy.clone()
        };
        Self {
            policy,
            lists: self.lists.clone(),
        }
    }
}

fn dead(policy: &Policy, lists: &[ListFile]) -> Vec<(u32, String)> {
    let found = lint::never_match(policy, lists, &Memory::default());
    let lines = found.into_iter().map(|(origin, why)| (origin.line, why));
    lines.collect()
}

/// Policies with more rules than the others' laws need, so that many stand in each other's way.
fn long_policy() -> impl Strategy<Value = Policy> {
    (random::any_policy(), vec(random::any_node(), 1..10)).prop_map(|(policy, more)| {
        let mut body = policy.body.to_vec();
        body.extend(more);
        random::number(&mut body, &mut 0);
        Policy {
            body: body.into(),
            ..policy
        }
    })
}

/// Rules on single names and ranges before rules on sets.
fn policy_of_sets() -> impl Strategy<Value = Policy> {
    let single = prop_oneof![
        4 => random::any_listed_set().prop_map(|(_, names, ranges)| {
            let name = names.first().map(|(name, kind)| {
                let name = Domain::parse(name).unwrap();
                Condition::Domain(match kind {
                    0..3 => DomainTest::Exact(name),
                    _ => DomainTest::Suffix(name),
                })
            });
            let range = ranges.first().map(|range| Condition::Address {
                of: AddressOf::Destination,
                prefix: range.parse().unwrap(),
                asks: Asks::Never,
            });
            name.or(range).unwrap_or(Condition::Never)
        }),
        1 => random::any_condition(),
    ];
    let set = (0..2_u32, any::<bool>()).prop_map(|(set, asks)| {
        let asks = if asks { Asks::Resolve } else { Asks::Never };
        Condition::Set(SetId(set), asks)
    });
    let set =
        (set, prop::option::weighted(0.2, random::any_condition())).prop_map(|(set, more)| {
            match more {
                Some(more) => Condition::And(vec![set, more]),
                None => set,
            }
        });
    let rules = (
        vec(single, 1..6),
        vec(set, 1..4),
        random::any_policy(),
        any::<u8>(),
    );
    rules.prop_map(|(single, sets, policy, seed)| {
        let mut body: Vec<Node> = single
            .into_iter()
            .chain(sets)
            .zip((0_u32..).map(|at| at.wrapping_mul(u32::from(seed)) % 4))
            .map(|(condition, to)| flow::rule(1, condition, OutboundId(to)))
            .collect();
        body.extend(policy.body.iter().take(2).cloned());
        random::number(&mut body, &mut 0);
        Policy {
            body: body.into(),
            ..policy
        }
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    let policies = prop_oneof![random::any_policy(), long_policy(), policy_of_sets()];
    (policies, vec(random::any_listed_set(), 2)).prop_map(|(policy, listed)| {
        let mut lists = Vec::new();
        let mut sets = Vec::new();
        for (number, (set, names, ranges)) in listed.into_iter().enumerate() {
            let name: Arc<str> = number.to_string().into();
            let names = names.into_iter().filter_map(|(name, kind)| {
                let excepts = match kind {
                    8 | 9 | 13 => name.len().is_multiple_of(2),
                    other => matches!(other, 0 | 1 | 10 | 12),
                };
                let reach = match kind {
                    5..=8 => Reach::Suffix,
                    11 | 13 => Reach::Below,
                    _ => Reach::Exact,
                };
                (!excepts).then(|| Ok((Domain::parse(name).unwrap(), reach)))
            });
            let ranges = ranges.into_iter().map(|range| Err(range.parse().unwrap()));
            let entries = names.chain(ranges).map(|what| InlineEntry {
                what,
                line: 1,
                text: "entry".into(),
            });
            lists.push(ListFile {
                name: Arc::clone(&name),
                origin: Stands::Inline(entries.collect()),
            });
            sets.push(Arc::new(set.shared_as(name, "set.txt")));
        }
        let sets = sets.into();
        Case {
            policy: Policy { sets, ..policy },
            lists,
        }
    })
}

fn is_of_its_transport(flow: &Facts) -> bool {
    let look = flow.sought.look.known();
    let told = look.and_then(|look| look.protocol.network());
    told.is_none_or(|network| network == flow.network)
}

#[test]
fn what_is_called_dead_never_matches_and_can_go() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let cases = any_case();
    let pool = vec(random::any_flow(), POOL);
    let pool = pool.new_tree(&mut runner).unwrap().current();
    // What first bytes tell, they tell over one transport: no flow is of the other.
    let mut flows = pool.iter().filter(|flow| is_of_its_transport(flow)).cycle();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..POLICIES {
        let case = cases.new_tree(&mut runner).unwrap().current();
        let dead = case.dead();
        for (_, why) in &dead {
            let kind = why
                .trim_start_matches("Some(")
                .split(['(', ')'])
                .next()
                .unwrap();
            *found.entry(kind.to_owned()).or_default() += 1;
        }
        let lines: BTreeSet<u32> = dead.iter().map(|(line, _)| *line).collect();
        if lines.is_empty() {
            continue;
        }
        let whole = self::dead(&case.policy, &[]).len();
        *found.entry("by entries".to_owned()).or_default() += dead.len() - whole;
        let fewer = without(&case, &lines);
        for (count, flow) in flows.by_ref().take(FLOWS).enumerate() {
            if let Some(line) = loud(&case.policy, &lines, flow) {
                fail(case.clone(), flow, line);
            }
            if count >= COMPARED {
                continue;
            }
            let (before, after) = (outcome(&case.policy, flow), outcome(&fewer, flow));
            assert_eq!(before, after, "without {lines:?}\n{case:?}\n{flow:?}");
        }
    }
    for (kind, enough) in ENOUGH {
        assert!(found.get(*kind) >= Some(enough), "too few: {found:?}");
    }
}

/// The policy without its rules that never match; those that have names resolved for others stay, and all where
/// what is unknown is refused.
fn without(case: &Case, lines: &BTreeSet<u32>) -> Policy {
    let policy = &case.policy;
    let goes = |node: &&Node| match node {
        Node::Rule(rule) => lines.contains(&rule.origin.line) && !resolves(&rule.condition),
        _ => false,
    };
    if policy.on_unknown == OnUnknown::Reject {
        return policy.clone();
    }
    let body = policy.body.iter().filter(|node| !goes(node)).cloned();
    case.with(body.collect()).policy
}

fn resolves(condition: &Condition) -> bool {
    match condition {
        Condition::Address { asks, .. }
        | Condition::Asn(_, asks)
        | Condition::Country(_, asks)
        | Condition::Set(_, asks)
        | Condition::Zone(_, _, asks) => *asks == Asks::Resolve,
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(resolves),
        Condition::Not(inner) => resolves(inner),
        _ => false,
    }
}

/// Where a flow goes.
fn outcome(policy: &Policy, flow: &Facts) -> String {
    match policy.decide(flow) {
        Step::Decided(decision) => format!("{:?}", decision.outbound),
        other => format!("{other:?}"),
    }
}

/// The line of a rule that is called dead and matches.
fn loud(policy: &Policy, dead: &BTreeSet<u32>, flow: &Facts) -> Option<u32> {
    let mut trace = Trace::default();
    let _ = policy.decide_traced(flow, &mut trace);
    let matched = trace
        .visits
        .iter()
        .filter(|visit| visit.verdict == Verdict::Yes);
    let mut lines = matched.map(|visit| visit.origin.line);
    lines.find(|line| dead.contains(line))
}

/// Fails with as few steps as still break the law.
fn fail(mut case: Case, flow: &Facts, line: u32) -> ! {
    let mut at = 0;
    while at < case.policy.body.len() {
        let mut body = case.policy.body.to_vec();
        body.remove(at);
        let fewer = case.with(body);
        let dead: BTreeSet<u32> = fewer.dead().into_iter().map(|(line, _)| line).collect();
        match loud(&fewer.policy, &dead, flow) == Some(line) {
            true => case = fewer,
            false => at += 1,
        }
    }
    let why = case.dead().into_iter().find(|(at, _)| *at == line);
    let why = why.map(|(_, why)| why);
    let policy = &case.policy;
    let steps: Vec<String> = policy.body.iter().map(|node| format!("{node:?}")).collect();
    let sets: Vec<String> = policy.sets.iter().map(|set| format!("{set:?}")).collect();
    let (steps, sets) = (steps.join("\n"), sets.join("\n"));
    panic!(
        "line {line} matched, {why:?}\n{steps}\n{sets}\n{:?}\n{:?}\n{flow:?}",
        case.lists, policy.domain_order
    );
}

/// The law is not kept by never finding anything: what a reader sees at once is found.
#[test]
fn what_is_plain_is_found() {
    use flow::{DIRECT, PROXY, leaf, port, rule, suffix};
    let check = |body: Vec<Node>, expected: &[u32]| {
        let found = dead(&flow::policy(body), &[]);
        let found: Vec<u32> = found.into_iter().map(|(line, _)| line).collect();
        assert_eq!(found, expected);
    };
    check(
        vec![
            rule(1, suffix("a.test"), PROXY),
            rule(2, suffix("b.a.test"), DIRECT),
            rule(3, suffix("test"), DIRECT),
            leaf(4, DIRECT),
        ],
        &[2],
    );
    check(
        vec![
            rule(1, port(80), PROXY),
            leaf(2, DIRECT),
            rule(3, port(81), PROXY),
        ],
        &[3],
    );
}

//! What the linter calls a rule that never matches never matches: over random policies and flows.

#[path = "../../pointsman-policy/tests/flow/mod.rs"]
mod flow;
#[path = "../../pointsman-policy/tests/random/mod.rs"]
mod random;

use std::collections::{BTreeMap, BTreeSet};

use pointsman_config::lint::never_match;
use pointsman_policy::decision::{Trace, Verdict};
use pointsman_policy::fact::Facts;
use pointsman_policy::model::{Node, Policy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Policies that are gone through, each with so many flows of so large a pool.
const POLICIES: usize = 4_000;
const FLOWS: usize = 60;
const POOL: usize = 3_000;

/// Rules of each kind that must be found dead among them, else the law holds for want of findings.
const ENOUGH: &[(&str, usize)] = &[("Behind", 150), ("Impossible", 500), ("Taken", 500)];

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

#[test]
fn what_is_called_dead_never_matches() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let policies = prop_oneof![random::any_policy(), long_policy()];
    let pool = vec(random::any_flow(), POOL);
    let pool = pool.new_tree(&mut runner).unwrap().current();
    let mut flows = pool.iter().cycle();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..POLICIES {
        let policy = policies.new_tree(&mut runner).unwrap().current();
        let dead = never_match(&policy);
        for (_, why) in &dead {
            let kind = why.trim_start_matches("Some(").split('(').next().unwrap();
            *found.entry(kind.to_owned()).or_default() += 1;
        }
        let lines: BTreeSet<u32> = dead.iter().map(|(origin, _)| origin.line).collect();
        if lines.is_empty() {
            continue;
        }
        for flow in flows.by_ref().take(FLOWS) {
            if let Some(line) = loud(&policy, &lines, flow) {
                fail(policy.clone(), flow, line);
            }
        }
    }
    for (kind, enough) in ENOUGH {
        assert!(found.get(*kind) >= Some(enough), "too few: {found:?}");
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
fn fail(mut policy: Policy, flow: &Facts, line: u32) -> ! {
    let mut at = 0;
    while at < policy.body.len() {
        let mut body = policy.body.to_vec();
        body.remove(at);
        let fewer = Policy {
            body: body.into(),
            ..policy.clone()
        };
        let dead = never_match(&fewer);
        let dead: BTreeSet<u32> = dead.iter().map(|(origin, _)| origin.line).collect();
        match loud(&fewer, &dead, flow) == Some(line) {
            true => policy = fewer,
            false => at += 1,
        }
    }
    let why = never_match(&policy)
        .into_iter()
        .find(|(origin, _)| origin.line == line);
    let why = why.map(|(_, why)| why);
    let steps: Vec<String> = policy.body.iter().map(|node| format!("{node:?}")).collect();
    let sets: Vec<String> = policy.sets.iter().map(|set| format!("{set:?}")).collect();
    let (steps, sets) = (steps.join("\n"), sets.join("\n"));
    panic!(
        "line {line} matched, {why:?}\n{steps}\n{sets}\n{:?}\n{flow:?}",
        policy.domain_order
    );
}

/// The law is not kept by never finding anything: what a reader sees at once is found.
#[test]
fn what_is_plain_is_found() {
    use flow::{DIRECT, PROXY, leaf, port, rule, suffix};
    let check = |body: Vec<Node>, expected: &[u32]| {
        let policy = flow::policy(body);
        let found = never_match(&policy);
        let found: Vec<u32> = found.iter().map(|(origin, _)| origin.line).collect();
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

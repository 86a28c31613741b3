//! What holds for every policy and every flow.

mod flow;
mod random;

use std::collections::HashMap;

use flow::{learn, unlearned};
use pointsman_policy::decision::{Decision, Reason, Step, Trace, Verdict};
use pointsman_policy::fact::{Need, Network};
use pointsman_policy::model::{Node, Policy};
use pointsman_policy::{Watch, settle};
use proptest::prelude::*;
use random::{any_flow, any_policy};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever is known besides what was asked for: the decision stays.
    #[test]
    fn learning_more_never_changes_a_decision(
        policy in any_policy(),
        world in any_flow(),
        other in any_flow(),
        told in proptest::bits::u8::ANY,
    ) {
        let mut partial = unlearned(&world);
        for (at, need) in Need::ALL.into_iter().enumerate() {
            if told & (1 << at) != 0 {
                learn(need, &mut partial, &world);
            }
        }
        let early = policy.decide(&partial);
        let settled = settle(&policy, &mut partial, |need, facts| learn(need, facts, &world));
        if !matches!(early, Step::Need(_)) {
            prop_assert_eq!(&early, &settled.step);
        }
        prop_assert_eq!(&settled.step, &policy.decide(&world));
        for need in Need::ALL {
            if partial.lacks(need) {
                learn(need, &mut partial, &other);
            }
        }
        prop_assert_eq!(&settled.step, &policy.decide(&partial));
    }

    /// The last rule that the trace calls a match is the one that decided.
    #[test]
    fn the_traces_last_word_is_the_decision(policy in any_policy(), flow in any_flow()) {
        let mut trace = Trace::default();
        let step = policy.decide_traced(&flow, &mut trace);
        let Step::Decided(Decision { reason, rule, outbound, .. }) = step else {
            return Ok(());
        };
        match reason {
            Reason::LoopGuard { .. } => prop_assert!(false, "the guard is no part of the walk"),
            Reason::Unknown { ref why } => {
                let last = trace.visits.last().unwrap();
                prop_assert_eq!(Some(&last.origin), rule.as_ref());
                prop_assert_eq!(&last.verdict, &Verdict::Unknown(why.clone()));
                prop_assert_eq!(outbound, None);
            }
            Reason::Fallback { .. } | Reason::Rule | Reason::Verdict { .. } => {
                let last = trace.visits.iter().rev().find(|v| v.verdict == Verdict::Yes);
                prop_assert_eq!(last.map(|visit| &visit.origin), rule.as_ref());
                prop_assert!(outbound.is_some());
            }
        }
        if let Reason::Fallback { tried } = reason {
            prop_assert_eq!(tried + 1, trace.visits.len());
        }
    }

    /// Watching changes nothing, whether it is settled or not.
    #[test]
    fn watchers_change_nothing(policy in any_policy(), world in any_flow()) {
        for flow in [unlearned(&world), world] {
            let step = policy.decide(&flow);
            let mut trace = Trace::default();
            prop_assert_eq!(&policy.decide_traced(&flow, &mut trace), &step);
            let mut messages = Vec::new();
            let watch = Watch::Messages { time: "", messages: &mut messages };
            prop_assert_eq!(&policy.decide_with(&flow, watch), &step);
            prop_assert_eq!(messages, trace.messages);
        }
    }

    /// Nothing is asked twice, or that no rule on the way could ask.
    #[test]
    fn only_visited_rules_ask(policy in any_policy(), world in any_flow()) {
        let mut flow = unlearned(&world);
        let settled = settle(&policy, &mut flow, |need, facts| learn(need, facts, &world));
        let mut trace = Trace::default();
        prop_assert_eq!(&policy.decide_traced(&flow, &mut trace), &settled.step);
        let mut askers = HashMap::new();
        askers_of(&policy, &policy.body, &mut askers);
        for (at, need) in settled.asked.iter().enumerate() {
            prop_assert!(!settled.asked[..at].contains(need), "{need:?} twice");
            prop_assert!(policy.wants(*need));
            let of_streams = policy.first_asking_of_streams(*need).is_some();
            prop_assert!(of_streams || flow.network != Network::Tcp, "{need:?} over TCP");
            let mut visited = trace.visits.iter().map(|visit| visit.origin.line);
            let asker = visited.find(|line| askers.get(line).is_some_and(|a| a.contains(need)));
            prop_assert!(asker.is_some(), "nobody asked for {need:?}");
        }
    }

    /// A finder that finds nothing does not hang the loop.
    #[test]
    fn settling_ends_when_nothing_is_found(policy in any_policy(), world in any_flow()) {
        let mut flow = unlearned(&world);
        let settled = settle(&policy, &mut flow, |_, _| {});
        prop_assert!(settled.asked.len() <= Need::ALL.len() + policy.body.requests().len());
        prop_assert!(!matches!(settled.step, Step::Need(_)));
    }
}

/// What each line may ask for by itself, without the lines in its branches.
fn askers_of(policy: &Policy, nodes: &[Node], askers: &mut HashMap<u32, Vec<Need>>) {
    for node in nodes {
        let mut own = node.clone();
        let mut branches: Vec<Node> = Vec::new();
        let mut lines = Vec::new();
        match &mut own {
            Node::Any(nodes) => branches.append(nodes),
            Node::Instrument { origin, .. }
            | Node::Leaf { origin, .. }
            | Node::Request { origin, .. }
            | Node::Resolve(origin) => {
                lines.push(origin.line);
            }
            Node::Rule(rule) => lines.push(rule.origin.line),
            Node::Select(select) => {
                lines.push(select.origin.line);
                lines.extend(select.arms.iter().map(|arm| arm.origin.line));
                let arms = select.arms.iter_mut();
                branches
                    .extend(arms.map(|arm| std::mem::replace(&mut arm.then, Node::Any(vec![]))));
            }
            Node::Sub { body, origin, .. } => {
                lines.push(origin.line);
                branches.append(body);
            }
            Node::When {
                then,
                otherwise,
                origin,
                ..
            } => {
                lines.push(origin.line);
                branches.extend(otherwise.take().map(|node| *node));
                branches.push(std::mem::replace(&mut **then, Node::Any(vec![])));
            }
        }
        let alone = Policy {
            body: vec![own].into(),
            ..policy.clone()
        };
        let needs = Need::ALL.into_iter().filter(|need| alone.wants(*need));
        let verdict = match node {
            Node::Request { request, .. } => Some(Need::Verdict(request.number())),
            _ => None,
        };
        let needs: Vec<Need> = needs.chain(verdict).collect();
        for line in lines {
            askers.insert(line, needs.clone());
        }
        askers_of(policy, &branches, askers);
    }
}

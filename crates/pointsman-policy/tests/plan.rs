//! The compiled policy gives the interpreter's answers: the same decision, the same question, the same count.

mod flow;
mod random;

use flow::{flow, learn, unlearned};
use pointsman_policy::Fact;
use pointsman_policy::Watch;
use pointsman_policy::decision::{Step, Trace};
use pointsman_policy::fact::{Facts, Need};
use pointsman_policy::model::{OnUnknown, Policy};
use pointsman_policy::set::Key;
use proptest::prelude::*;
use random::{any_flow, any_policy_of};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Short lists of deep steps, compiled whatever their length.
    #[test]
    fn nested_policies_are_compiled_faithfully(
        policy in any_policy_of(1..6),
        flows in proptest::collection::vec((any_flow(), any::<u16>()), 15),
        key in any::<[u64; 2]>(),
    ) {
        compare(policy, flows, key)?;
    }

    /// Long lists, in which much is skipped.
    #[test]
    fn long_policies_are_compiled_faithfully(
        policy in any_policy_of(8..60),
        flows in proptest::collection::vec((any_flow(), any::<u16>()), 15),
        key in any::<[u64; 2]>(),
    ) {
        compare(policy, flows, key)?;
    }
}

/// More of them on demand: `POINTSMAN_PLAN_CASES=100000`.
fn cases() -> u32 {
    let asked = std::env::var("POINTSMAN_PLAN_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// Each flow as it is asked on, with both meanings of what is broken.
fn compare(
    mut policy: Policy,
    flows: Vec<(Facts, u16)>,
    key: [u64; 2],
) -> Result<(), TestCaseError> {
    policy.body.compile_lists(Key(key), 1);
    prop_assert!(policy.body.plan_bytes() > 0);
    for on_unknown in [OnUnknown::Skip, OnUnknown::Reject] {
        policy.on_unknown = on_unknown;
        for (world, told) in &flows {
            let mut facts = unlearned(world);
            let mut world = world.clone();
            for (at, need) in Need::ALL.into_iter().enumerate() {
                if told & (1 << at) != 0 {
                    learn(need, &mut facts, &world);
                }
            }
            break_some(told >> 5, &mut facts, &mut world);
            loop {
                let step = same(&policy, &facts)?;
                match step {
                    Step::Need(need) => learn(need, &mut facts, &world),
                    Step::Decided(_) | Step::NoRoute => break,
                }
            }
            same(&policy, &world)?;
        }
    }
    Ok(())
}

fn same(policy: &Policy, facts: &Facts) -> Result<Step, TestCaseError> {
    let plain = policy.decide_plainly(facts);
    prop_assert_eq!(&policy.decide(facts), &plain);
    let mut trace = Trace::default();
    prop_assert_eq!(&policy.decide_traced(facts, &mut trace), &plain);
    let mut messages = Vec::new();
    let watch = Watch::Messages {
        time: "",
        messages: &mut messages,
    };
    prop_assert_eq!(&policy.decide_with(facts, watch), &plain);
    prop_assert_eq!(messages, trace.messages);
    Ok(plain)
}

/// Facts that are settled at accept break too, now and then.
fn break_some(bits: u16, facts: &mut Facts, world: &mut Facts) {
    for facts in [facts, world] {
        let failed = || "broken".into();
        match bits % 32 {
            0 => facts.destination = Fact::Failed(failed()),
            1 => facts.port = Fact::Failed(failed()),
            2 => facts.source = Fact::Failed(failed()),
            3 => facts.inbound = Fact::Failed(failed()),
            4 => facts.fake_ip = Fact::Failed(failed()),
            5 => facts.correlated = Fact::Failed(failed()),
            6 => {
                if let Fact::Known(owner, _) = &mut facts.owner {
                    owner.name = Fact::Failed(failed());
                    owner.path = Fact::Failed(failed());
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_short_list_gets_no_plan() {
    let mut policy = flow::policy(vec![flow::rule(1, flow::port(1), flow::PROXY)]);
    policy.body.compile(Key::default());
    assert_eq!(policy.body.plan_bytes(), 0);
    let rules = (1..20).map(|line| flow::rule(line, flow::port(line as u16), flow::PROXY));
    let mut policy = flow::policy(rules.collect());
    policy.body.compile(Key::default());
    assert!(policy.body.plan_bytes() > 0);
    let Step::Decided(decision) = policy.decide(&flow("dst=a.test:7")) else {
        panic!("a rule is for it");
    };
    assert_eq!(decision.rule.unwrap().line, 7);
}

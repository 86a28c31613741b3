//! The compiled policy gives the interpreter's answers: the same decision, the same question, the same count.

mod flow;
mod random;

use std::ops::RangeInclusive;

use flow::{flow, ip, learn, port, suffix, unlearned};
use pointsman_policy::condition::{Asks, Condition, Side, TextField, TextTest};
use pointsman_policy::decision::{Step, Trace};
use pointsman_policy::fact::{Facts, Need};
use pointsman_policy::model::{OnUnknown, Policy};
use pointsman_policy::set::Key;
use pointsman_policy::{Fact, Node, Watch};
use proptest::prelude::*;
use random::{any_flow, any_picky_policy_of, any_policy_of};
use regex::RegexBuilder;

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

    /// Long lists of rules that most flows pass, in which much is skipped.
    #[test]
    fn picky_policies_are_compiled_faithfully(
        policy in any_picky_policy_of(8..60),
        flows in proptest::collection::vec((any_flow(), any::<u16>()), 15),
        key in any::<[u64; 2]>(),
    ) {
        compare(policy, flows, key)?;
    }

    /// Long lists.
    #[test]
    fn long_policies_are_compiled_faithfully(
        policy in any_policy_of(8..60),
        flows in proptest::collection::vec((any_flow(), any::<u16>()), 15),
        key in any::<[u64; 2]>(),
    ) {
        compare(policy, flows, key)?;
    }
}

/// The cases by hand: each would be decided otherwise if a part of an index told too few rules.
#[test]
fn rules_are_found_again_after_vain_visits() {
    let and = |all: &[Condition]| Condition::And(all.to_vec());
    let agent = |test| Condition::Text(TextField::UserAgent, test);
    let regex = |text: &str, nocase| {
        let built = RegexBuilder::new(text).case_insensitive(nocase).build();
        agent(TextTest::Regex(built.unwrap()))
    };
    let ports = |range: RangeInclusive<u16>| Condition::Port {
        side: Side::Destination,
        ranges: vec![range],
        network: None,
    };
    let unresolved = |prefix: &str| ip(prefix, Asks::Never);
    let no = || port(1);
    let check = |conditions: &[Condition], words: &str, expected: u32| {
        let lines = (1..).zip(conditions);
        let rules = lines.map(|(line, condition)| match condition {
            // Stands for `.LOCAL-RESOLVE` here.
            Condition::Always => Node::Resolve(flow::origin(line)),
            other => flow::rule(line, other.clone(), flow::PROXY),
        });
        let mut policy = flow::policy(rules.chain([flow::leaf(99, flow::DIRECT)]).collect());
        policy.body.compile_lists(Key::default(), 1);
        let facts = flow(words);
        assert_eq!(
            policy.decide(&facts),
            policy.decide_plainly(&facts),
            "{words}"
        );
        let Step::Decided(decision) = policy.decide(&facts) else {
            panic!("{words}: all is known");
        };
        assert_eq!(decision.rule.unwrap().line, expected, "{words}");
    };
    let known = "look=http:a.test:CURL:GET owner=none geo=none local=none resolved=10.3.0.1";
    let to = |host: &str, port: u16| format!("dst={host}:{port} {known}");
    // An address that comes to be seen on the way.
    let late = [
        unresolved("10.0.0.0/8"),
        Condition::Always,
        unresolved("10.3.0.0/16"),
    ];
    check(&late, &to("a.test", 80), 3);
    check(&late, &to("10.9.9.9", 80), 1);
    // A range around one that was visited in vain, and a suffix around a name.
    let outer = [
        and(&[unresolved("10.3.0.0/16"), no()]),
        unresolved("10.0.0.0/8"),
    ];
    check(&outer, &to("10.3.0.1", 80), 2);
    check(&outer, &to("11.3.0.1", 80), 99);
    let outer = [and(&[unresolved("fd00::/16"), no()]), unresolved("::/0")];
    check(&outer, &to("[fd00::1]", 80), 2);
    let outer = [
        and(&[suffix("b.a.test"), no()]),
        and(&[suffix("test"), no()]),
        suffix("a.test"),
    ];
    check(&outer, &to("b.a.test", 80), 3);
    let outer = [
        and(&[ports(80..=90), suffix("org")]),
        ports(81..=90),
        ports(1..=65535),
    ];
    check(&outer, &to("a.test", 80), 3);
    check(&outer, &to("a.test", 81), 2);
    check(&outer, &to("a.org", 80), 1);
    // Case, where the test ignores it and where it does not.
    check(
        &[agent(TextTest::KeywordIgnoreCase("url".into()))],
        &to("a.test", 80),
        1,
    );
    check(
        &[agent(TextTest::Keyword("url".into()))],
        &to("a.test", 80),
        99,
    );
    check(&[agent(TextTest::Keyword("".into()))], &to("a.test", 80), 1);
    check(
        &[agent(TextTest::ExactIgnoreCase("cUrl".into()))],
        &to("a.test", 80),
        1,
    );
    // Regular expressions enough for several sets, the last with a comment at its end.
    let mut many: Vec<Condition> = (0..40)
        .map(|n| regex(&format!("^x{n}"), n % 2 == 0))
        .collect();
    check(&many, &to("a.test", 80), 99);
    many.extend([
        regex("^curl", false),
        regex("(?x) ^curl $ # all of it", true),
    ]);
    check(&many, &to("a.test", 80), 42);
    many.insert(20, regex("^[^a]url", true));
    check(&many, &to("a.test", 80), 21);
}

/// Under this key the agent has the 32-bit hash of the name: whoever finds the name's rule by it has proven nothing.
#[test]
fn a_hash_that_a_text_shares_with_a_name_decides_nothing() {
    let agent = |text: &str| Condition::Text(TextField::UserAgent, TextTest::Exact(text.into()));
    let rules = [agent("another"), suffix("n64939.test")];
    let rules = (1..).zip(rules);
    let rules = rules.map(|(line, condition)| flow::rule(line, condition, flow::PROXY));
    let mut policy = flow::policy(rules.chain([flow::leaf(3, flow::DIRECT)]).collect());
    policy.body.compile_lists(Key([3, 5]), 1);
    for (host, expected) in [("a.test", 3), ("n64939.test", 2)] {
        let facts = flow(&format!("dst={host}:80 look=http:{host}:agent/1622:GET"));
        assert_eq!(policy.decide(&facts), policy.decide_plainly(&facts));
        let Step::Decided(decision) = policy.decide(&facts) else {
            panic!("{host}: all is known");
        };
        assert_eq!(decision.rule.unwrap().line, expected, "{host}");
    }
}

/// More of them on demand: `POINTSMAN_PLAN_CASES=100000`.
fn cases() -> u32 {
    let asked = std::env::var("POINTSMAN_PLAN_CASES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(300)
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
            4 => facts.sought.to_mut().fake_ip = Fact::Failed(failed()),
            5 => facts.sought.to_mut().correlated = Fact::Failed(failed()),
            6 => {
                if let Fact::Known(owner, _) = &mut facts.sought.to_mut().owner {
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
    let mut policy = flow::policy(vec![flow::rule(1, port(1), flow::PROXY)]);
    policy.body.compile(Key::default());
    assert_eq!(policy.body.plan_bytes(), 0);
    let rules = (1..20).map(|line| flow::rule(line, port(line as u16), flow::PROXY));
    let mut policy = flow::policy(rules.collect());
    policy.body.compile(Key::default());
    assert!(policy.body.plan_bytes() > 0);
    let Step::Decided(decision) = policy.decide(&flow("dst=a.test:7")) else {
        panic!("a rule is for it");
    };
    assert_eq!(decision.rule.unwrap().line, 7);
}

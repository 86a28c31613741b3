//! How rules are known again, and which are counted.

use pointsman_policy::condition::Condition;
use pointsman_policy::model::{Arm, ArmKey, DomainOrder, OnUnknown, Rule, Select, SelectOn};
use pointsman_policy::{OutboundId, fact::Protocol};

use super::*;

const OUT: OutboundId = OutboundId(0);

fn origin(line: u32, text: &str) -> Origin {
    Origin {
        file: "config".into(),
        line,
        text: text.into(),
    }
}

fn rule(line: u32, text: &str) -> Node {
    Node::Rule(Rule {
        condition: Condition::Always,
        outbound: OUT,
        origin: origin(line, text),
        class: None,
    })
}

fn leaf(line: u32, text: &str) -> Node {
    Node::Leaf {
        outbound: OUT,
        origin: origin(line, text),
    }
}

fn policy(name: &str, body: Vec<Node>) -> Arc<Policy> {
    Arc::new(Policy {
        name: name.into(),
        outbounds: Arc::default(),
        direct: OUT,
        body: body.into(),
        sets: Arc::default(),
        zones: Arc::default(),
        databases: Arc::default(),
        domain_order: DomainOrder::default(),
        on_unknown: OnUnknown::default(),
    })
}

/// One flow by each rule of that number.
fn hit(rules: &Rules, number: usize) {
    let origin = &rules.all()[number].origin.clone();
    let tally = rules.tally(origin).unwrap();
    tally.flows.fetch_add(1, Ordering::Relaxed);
}

/// Flows by each rule.
fn flows(rules: &Rules) -> Vec<u64> {
    let numbers = rules.all().iter().map(|rule| rule.tally.numbers().flows);
    numbers.collect()
}

#[test]
fn white_space_is_no_part_of_a_rule() {
    let check = |text: &str, expected| assert_eq!(&*canonical(text), expected);
    check("DOMAIN, a.test, A", "DOMAIN,a.test,A");
    check("DOMAIN ,a.test,  A", "DOMAIN,a.test,A");
    check("ads  => reset", "ads => reset");
}

#[test]
fn a_rule_is_known_by_its_words() {
    let mut tallies = Tallies::default();
    let list = |body: Vec<Node>| vec![policy("main", body), policy("other", vec![leaf(1, "a")])];
    let first = tallies.of(&list(vec![rule(1, "a"), rule(2, "b"), rule(3, "b")]), true);
    for number in [0, 0, 1, 2, 2, 2, 3] {
        hit(&first, number);
    }
    assert_eq!(flows(&first), [2, 1, 3, 1]);
    // Moved, between others, spaced otherwise: the same; of equals the first stays the first.
    let moved = vec![
        rule(1, "new"),
        rule(2, "b"),
        rule(3, " b"),
        rule(4, "a"),
        leaf(5, "x"),
    ];
    let second = tallies.of(&list(moved), true);
    assert_eq!(flows(&second), [0, 1, 3, 2, 0, 1]);
    // Those that came back after a while are the same, and forgotten after a longer one.
    let without = list(vec![leaf(1, "x")]);
    let back = list(vec![rule(1, "a"), leaf(2, "x")]);
    tallies.of(&without, true);
    tallies.of(&without, false);
    tallies.of(&without, true);
    assert_eq!(flows(&tallies.of(&back, true)), [2, 0, 1]);
    for _ in 0..KEPT {
        tallies.of(&without, true);
    }
    assert_eq!(flows(&tallies.of(&back, true)), [0, 0, 1]);
}

#[test]
fn what_was_decided_before_is_recalled() {
    let list = || {
        vec![policy(
            "main",
            vec![rule(1, "a"), rule(2, "a"), rule(3, "b"), leaf(4, "x")],
        )]
    };
    let mut before = Tallies::default();
    let rules = before.of(&list(), true);
    for number in [1, 1, 2] {
        hit(&rules, number);
    }
    let mut remembered = before.remember();
    remembered.sort_by_key(|rule| rule.text.clone());
    let told: Vec<(&str, u32, u64)> = remembered
        .iter()
        .map(|rule| (&*rule.text, rule.ordinal, rule.tallied.flows))
        .collect();
    assert_eq!(told, [("a", 1, 2), ("b", 0, 1)]);
    let mut after = Tallies::default();
    after.recall(remembered);
    assert_eq!(flows(&after.of(&list(), true)), [0, 2, 1, 0]);
    // Nothing that a file says overflows.
    let most = Tallied {
        flows: u64::MAX,
        bytes_sent: u64::MAX,
        bytes_received: u64::MAX,
        last_ms: u64::MAX,
    };
    let mut after = Tallies::default();
    after.recall(vec![Remembered {
        policy: "main".into(),
        file: "config".into(),
        text: "b".into(),
        ordinal: 0,
        tallied: most,
    }]);
    let rules = after.of(&list(), true);
    hit(&rules, 2);
    assert_eq!(flows(&rules)[2], u64::MAX / 2 + 1);
    // A rule that is gone is forgotten, recalled or not.
    for _ in 0..KEPT {
        after.of(&[], true);
    }
    assert_eq!(flows(&after.of(&list(), true)), [0; 4]);
}

#[test]
fn all_that_decisions_name_is_counted() {
    let arm = |line, then| Arm {
        key: ArmKey::Protocol(Protocol::Tls),
        then,
        origin: origin(line, "arm"),
    };
    let body = vec![
        Node::Any(vec![rule(1, "rule")]),
        Node::Select(Select {
            on: SelectOn::Protocol,
            arms: vec![
                arm(3, leaf(4, "named by its arm")),
                arm(5, Node::Any(vec![rule(6, "nested")])),
            ],
            origin: origin(2, "select"),
        }),
        Node::When {
            condition: Condition::Always,
            then: Box::new(leaf(8, "named by its condition")),
            otherwise: Some(Box::new(leaf(9, "else"))),
            origin: origin(7, "when"),
        },
        Node::Sub {
            condition: Condition::Always,
            body: vec![leaf(11, "fallback")],
            origin: origin(10, "sub"),
        },
        Node::Resolve(origin(12, "resolve")),
    ];
    let rules = Tallies::default().of(&[policy("main", body)], true);
    let told: Vec<(u32, bool, bool)> = rules
        .all()
        .iter()
        .map(|rule| (rule.origin.line, rule.decides, rule.last_word))
        .collect();
    let expected = [
        (1, true, false),
        (2, false, false),
        (3, true, false),
        (5, false, false),
        (6, true, false),
        (7, true, false),
        (9, true, false),
        (10, false, false),
        (11, true, true),
    ];
    assert_eq!(told, expected);
    assert!(rules.tally(&origin(1, "another place in memory")).is_none());
}

//! What each step of a policy would decide, not only the first.

mod flow;

use std::ops::ControlFlow;

use flow::{
    DIRECT, PROXY, RESET, WORK, flow as facts, ip, leaf, origin, policy, port, rule, suffix,
};
use pointsman_policy::condition::{Asks, Condition, TextField, TextTest};
use pointsman_policy::fact::Protocol;
use pointsman_policy::model::{Arm, ArmKey, Node, Select, SelectOn};

/// The lines of the rules that would decide, in order.
fn every(body: Vec<Node>, words: &str) -> Vec<u32> {
    let mut lines = Vec::new();
    policy(body).every_decision(&facts(words), |decision| {
        lines.push(decision.rule.map_or(0, |rule| rule.line));
        ControlFlow::Continue(())
    });
    lines
}

#[test]
fn a_walk_goes_on_after_a_decision() {
    let process = Condition::Text(TextField::ProcessName, TextTest::Exact("curl".into()));
    let body = || {
        vec![
            rule(1, suffix("a.test"), PROXY),
            Node::Any(vec![rule(2, suffix("test"), WORK), rule(3, port(1), RESET)]),
            Node::Sub {
                condition: suffix("a.test"),
                body: vec![rule(5, port(2), WORK), leaf(6, DIRECT)],
                origin: origin(4),
            },
            rule(7, process.clone(), WORK),
            rule(8, ip("10.0.0.0/8", Asks::Never), PROXY),
            Node::Resolve(origin(9)),
            rule(10, ip("10.0.0.0/8", Asks::Never), PROXY),
            leaf(11, DIRECT),
        ]
    };
    let check =
        |words: &str, expected: &[u32]| assert_eq!(every(body(), words), expected, "{words}");
    check("dst=a.test:1 resolved=none owner=none", &[1, 2, 3, 6, 11]);
    check("dst=a.test:2 resolved=none owner=none", &[1, 2, 5, 6, 11]);
    // Only the rule that lacks a fact is passed over.
    check("dst=b.test:1 resolved=none", &[2, 3, 11]);
    check("dst=b.test:1 resolved=none owner=curl", &[2, 3, 7, 11]);
    // Below the step that resolves, the address is seen.
    check("dst=x:9 resolved=10.1.1.1 owner=none", &[10, 11]);
    check("dst=10.1.1.1:9 owner=none", &[8, 10, 11]);
}

#[test]
fn a_walk_goes_on_within_branches() {
    let when = |line, condition, then, otherwise: Option<Node>| Node::When {
        condition,
        then: Box::new(then),
        otherwise: otherwise.map(Box::new),
        origin: origin(line),
    };
    let process = Condition::Text(TextField::ProcessName, TextTest::Exact("curl".into()));
    let protocol = |protocol, line, then| Arm {
        key: ArmKey::Protocol(protocol),
        then,
        origin: origin(line),
    };
    let tls = Node::Any(vec![
        rule(21, suffix("a.test"), PROXY),
        rule(22, port(2), RESET),
        leaf(23, WORK),
    ]);
    let body = || {
        vec![
            when(
                1,
                suffix("test"),
                Node::Any(vec![
                    rule(2, suffix("a.test"), PROXY),
                    when(3, port(2), leaf(4, WORK), Some(leaf(5, RESET))),
                    leaf(6, DIRECT),
                ]),
                Some(Node::Any(vec![
                    rule(7, port(2), WORK),
                    rule(8, port(2), RESET),
                ])),
            ),
            // What lacks a fact is passed over, with all that is in it.
            when(9, process.clone(), Node::Any(vec![leaf(10, WORK)]), None),
            Node::Sub {
                condition: port(2),
                body: vec![
                    when(12, suffix("test"), Node::Any(vec![leaf(13, WORK)]), None),
                    leaf(14, DIRECT),
                ],
                origin: origin(11),
            },
            Node::Select(Select {
                on: SelectOn::Protocol,
                arms: vec![
                    protocol(Protocol::Tls, 20, tls.clone()),
                    protocol(Protocol::Ssh, 24, leaf(25, WORK)),
                ],
                origin: origin(19),
            }),
            leaf(30, DIRECT),
        ]
    };
    let check =
        |words: &str, expected: &[u32]| assert_eq!(every(body(), words), expected, "{words}");
    check("dst=a.test:1", &[2, 5, 6, 30]);
    check("dst=a.test:2", &[2, 3, 6, 13, 14, 30]);
    check("dst=b.test:1 owner=curl", &[5, 6, 10, 30]);
    check("dst=x:2", &[7, 8, 14, 30]);
    check("dst=x:1", &[30]);
    check("dst=a.test:2 look=tls", &[2, 3, 6, 13, 14, 21, 22, 23, 30]);
    check("dst=x:1 look=ssh", &[24, 30]);
}

#[test]
fn who_has_heard_enough_ends_it() {
    let body = vec![
        rule(1, port(1), PROXY),
        rule(2, port(1), WORK),
        leaf(3, DIRECT),
    ];
    let mut heard = 0;
    policy(body).every_decision(&facts("dst=x:1"), |_| {
        heard += 1;
        ControlFlow::Break(())
    });
    assert_eq!(heard, 1);
}

//! How a policy's nodes are walked, and what the trace says of it.

mod flow;

use flow::{
    DIRECT, PROXY, RESET, WORK, flow as facts, ip, leaf, name, origin, policy, port, rule, suffix,
    told, visits, with_sets,
};
use pointsman_policy::condition::{Asks, Condition, TextField, TextTest, ZoneOf};
use pointsman_policy::decision::{Entry, Reason, Step, Trace};
use pointsman_policy::explain::sentence;
use pointsman_policy::fact::Protocol;
use pointsman_policy::guard;
use pointsman_policy::model::{
    Action, Arm, ArmKey, Class, Matcher, Node, OnUnknown, OutboundId, Policy, Rule, Select,
    SelectOn, SetId, Source,
};
use pointsman_policy::set::{Item, Key, Place, RuleSetBuilder, Sink as _};
use pointsman_policy::zone::{ZoneId, Zones};
use std::sync::Arc;

fn check(policy: &Policy, cases: &[(&str, &str)]) {
    for (words, expected) in cases {
        assert_eq!(told(policy, words), *expected, "{words}");
    }
}

fn protocol(line: u32, arms: Vec<Arm>) -> Node {
    Node::Select(Select {
        on: SelectOn::Protocol,
        arms,
        origin: origin(line),
    })
}

fn arm(line: u32, key: ArmKey, then: Node) -> Arm {
    Arm {
        key,
        then,
        origin: origin(line),
    }
}

fn when(line: u32, condition: Condition, then: Node, otherwise: Option<Node>) -> Node {
    Node::When {
        condition,
        then: Box::new(then),
        otherwise: otherwise.map(Box::new),
        origin: origin(line),
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let body = vec![
        rule(1, suffix("a.test"), PROXY),
        rule(2, suffix("test"), WORK),
        leaf(3, DIRECT),
    ];
    check(
        &policy(body),
        &[
            ("dst=x.a.test:1", "proxy by 1"),
            ("dst=b.test:1", "work by 2"),
            ("dst=other:1", "direct by 3"),
        ],
    );
    check(&policy(vec![]), &[("dst=x.test:1", "no route")]);
    check(
        &policy(vec![rule(1, port(1), PROXY)]),
        &[("dst=x.test:2", "no route")],
    );
}

#[test]
fn the_loop_guard_is_asked_of_what_the_rules_decided() {
    let policy = policy(vec![rule(1, Condition::Always, PROXY)]);
    // The walk itself does not know it: no refusal can be passed by it.
    check(&policy, &[("dst=x.test:1 serves=proxy", "proxy by 1")]);
    let flow = facts("dst=x.test:1 serves=proxy");
    let Step::Decided(decision) = policy.decide(&flow) else {
        panic!("undecided");
    };
    let guarded = guard::apply(
        decision,
        Some(Action::Proxy),
        &flow.sought.serves,
        policy.direct,
    );
    assert_eq!(guarded.rule, Some(origin(1)));
    let said = sentence(&policy, &Step::Decided(guarded), None);
    let expected = "loop guard: the flow's process serves the outbound `proxy`, so the flow goes direct and not as";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn an_address_is_seen_from_the_rule_on_that_asked_for_it() {
    let never = |line, prefix| rule(line, ip(prefix, Asks::Never), WORK);
    let listed = policy(vec![
        never(1, "10.0.0.0/8"),
        Node::Resolve(origin(2)),
        never(3, "10.0.0.0/8"),
        leaf(4, DIRECT),
    ]);
    check(
        &listed,
        &[
            ("dst=x.test:1", "needs resolve"),
            ("dst=x.test:1 resolved=10.1.1.1", "work by 3"),
            ("dst=x.test:1 resolved=1.1.1.1", "direct by 4"),
            ("dst=x.test:1 resolved=none", "direct by 4"),
            ("dst=x.test:1 resolved=!servfail", "direct by 4"),
            ("dst=10.1.1.1:1", "work by 1"),
            ("dst=1.1.1.1:1", "direct by 4"),
        ],
    );
    assert_eq!(
        visits(&listed, "dst=x.test:1 resolved=!servfail"),
        [
            "1 no: there is no ip (the name is not resolved here)",
            "2 ?: unknown: servfail",
            "3 ?: unknown: servfail",
            "4 yes: it always matches",
        ]
    );
    // A rule that was not reached did not ask.
    let guarded = policy(vec![
        rule(
            1,
            Condition::And(vec![port(9), ip("10.0.0.0/8", Asks::Resolve)]),
            PROXY,
        ),
        never(2, "10.0.0.0/8"),
        leaf(3, DIRECT),
    ]);
    check(
        &guarded,
        &[
            ("dst=x.test:1 resolved=10.1.1.1", "direct by 3"),
            ("dst=x.test:9 resolved=10.1.1.1", "proxy by 1"),
            ("dst=x.test:9 resolved=11.1.1.1", "direct by 3"),
        ],
    );
    // One that was reached and did not match has it known to those below.
    let asked = policy(vec![
        rule(1, ip("11.0.0.0/8", Asks::Resolve), PROXY),
        never(2, "10.0.0.0/8"),
        leaf(3, DIRECT),
    ]);
    check(&asked, &[("dst=x.test:1 resolved=10.1.1.1", "work by 2")]);
}

#[test]
fn unknown_rules_are_skipped_or_end_the_flow() {
    let body = || {
        vec![
            rule(1, Condition::Protocol(Protocol::Tls), PROXY),
            protocol(
                2,
                vec![arm(3, ArmKey::Protocol(Protocol::Tls), leaf(4, WORK))],
            ),
            when(
                5,
                Condition::Protocol(Protocol::Tls),
                leaf(6, WORK),
                Some(leaf(7, WORK)),
            ),
            leaf(8, DIRECT),
        ]
    };
    let skipping = policy(body());
    check(
        &skipping,
        &[
            ("look=!gone", "direct by 8"),
            ("look=tls:x.test", "proxy by 1"),
        ],
    );
    let rejecting = |body| Policy {
        on_unknown: OnUnknown::Reject,
        ..policy(body)
    };
    check(&rejecting(body()), &[("look=!gone", "refused by 1")]);
    check(
        &rejecting(body().split_off(1)),
        &[("look=!gone", "refused by 2")],
    );
    check(
        &rejecting(body().split_off(2)),
        &[("look=!gone", "refused by 5")],
    );
    let policy = rejecting(body());
    let step = policy.decide(&facts("look=!gone"));
    assert_eq!(
        sentence(&policy, &step, None),
        "`rule 1` (config:1): it is unknown whether it matches (gone), and such flows are refused"
    );
}

#[test]
fn a_sub_list_never_returns_to_its_parent() {
    let inner = Node::Sub {
        condition: port(443),
        body: vec![rule(3, suffix("b.test"), WORK)],
        origin: origin(2),
    };
    let outer = Node::Sub {
        condition: suffix("test"),
        body: vec![inner, leaf(4, PROXY)],
        origin: origin(1),
    };
    check(
        &policy(vec![outer, leaf(5, DIRECT)]),
        &[
            ("dst=b.test:443", "work by 3"),
            ("dst=a.test:443", "no route"),
            ("dst=a.test:80", "proxy by 4"),
            ("dst=other:80", "direct by 5"),
        ],
    );
}

#[test]
fn branches_that_do_not_decide_fall_through() {
    let nested = protocol(
        2,
        vec![arm(3, ArmKey::Protocol(Protocol::Http), leaf(4, RESET))],
    );
    let body = vec![
        when(1, suffix("https.test"), nested, None),
        when(
            5,
            port(22),
            leaf(6, PROXY),
            Some(when(7, port(23), leaf(8, WORK), None)),
        ),
        when(9, port(24), leaf(10, PROXY), Some(leaf(11, WORK))),
        leaf(12, DIRECT),
    ];
    check(
        &policy(body),
        &[
            ("dst=https.test:80", "needs sniff"),
            ("dst=https.test:80 look=http:https.test", "reset by 3"),
            ("dst=https.test:22 look=tls:https.test", "proxy by 5"),
            ("dst=other:23", "work by 7"),
            ("dst=other:24", "proxy by 9"),
            ("dst=other:25", "work by 11"),
        ],
    );
}

#[expect(clippy::unwrap_used, reason = "zones that clash must fail the test")]
fn zoned() -> Policy {
    let mut zones = Zones::default();
    let secret = zones.add_domain_zone("secret-sites");
    let https = zones.add_domain_zone("https-only");
    let unlisted = zones.add_domain_zone("unlisted");
    let work = zones.add_address_zone("worknet");
    let entry = |text: &str, line| Entry {
        text: text.into(),
        file: "namezone/x".into(),
        line,
    };
    let mut add = |zone, domain, text, line| {
        zones
            .add_domain(zone, name(domain), entry(text, line))
            .unwrap();
    };
    add(secret, "twitter.com", "com.twitter", 5);
    add(https, "www.google.com", "com.google.www", 1);
    add(unlisted, "api.twitter.com", "com.twitter.api", 2);
    zones
        .add_address(
            work,
            "10.3.5.0/24".parse().unwrap(),
            entry("10.3.5.0/24", 7),
        )
        .unwrap();
    let domain = ZoneOf::Domain;
    let select = |line, of, asks, arms| {
        Node::Select(Select {
            on: SelectOn::Zone(of, asks),
            arms,
            origin: origin(line),
        })
    };
    let named = arm(2, ArmKey::Zone(secret), leaf(2, PROXY));
    let http = arm(4, ArmKey::Protocol(Protocol::Http), leaf(4, RESET));
    let https = arm(3, ArmKey::Zone(https), protocol(3, vec![http]));
    let ranges = vec![arm(7, ArmKey::Zone(work), leaf(7, WORK))];
    let body = vec![Node::Any(vec![
        select(1, domain, Asks::Never, vec![named, https]),
        select(6, ZoneOf::Address, Asks::Resolve, ranges),
        leaf(9, DIRECT),
    ])];
    Policy {
        zones: Arc::new(zones),
        domain_order: pointsman_policy::model::DomainOrder::SniffedElseRequested,
        ..policy(body)
    }
}

#[test]
fn trees_look_zones_up() {
    let ip = "dst=1.2.3.4:443";
    check(
        &zoned(),
        &[
            ("dst=1.2.3.4:443", "needs sniff"),
            (
                "dst=1.2.3.4:443 look=tls:m.twitter.com",
                "proxy by 2 with com.twitter (namezone/x:5)",
            ),
            // The more specific zone is no key here, and nothing climbs to the other.
            ("dst=1.2.3.4:443 look=tls:api.twitter.com", "direct by 9"),
            (
                "dst=1.2.3.4:443 look=tls:twitter.com.evil.org",
                "direct by 9",
            ),
            ("dst=1.2.3.4:80 look=http:www.google.com", "reset by 4"),
            ("dst=1.2.3.4:443 look=tls:www.google.com", "direct by 9"),
            (
                "dst=10.3.5.9:443 look=tls:www.google.com",
                "work by 7 with 10.3.5.0/24 (namezone/x:7)",
            ),
            ("dst=x.test:443 look=other", "needs resolve"),
            (
                "dst=x.test:443 look=other resolved=10.3.5.1",
                "work by 7 with 10.3.5.0/24 (namezone/x:7)",
            ),
            ("dst=x.test:443 look=other resolved=none", "direct by 9"),
        ],
    );
    let policy = zoned();
    assert_eq!(
        visits(&policy, &format!("{ip} look=tls:www.google.com")),
        [
            "3 yes: domain is www.google.com (given), in zone https-only by com.google.www (namezone/x:1)",
            "3 no: protocol is tls (given)",
            "6 no: ip is 1.2.3.4 (request)",
            "9 yes: it always matches",
        ]
    );
    let flow = facts("dst=1.2.3.4:443 look=tls:m.twitter.com");
    let mut trace = Trace::default();
    let step = policy.decide_traced(&flow, &mut trace);
    assert_eq!(
        sentence(&policy, &step, Some(&trace)),
        "`rule 2` (config:2): domain is m.twitter.com (given), in zone secret-sites by \
         com.twitter (namezone/x:5)"
    );
    assert_eq!(
        visits(&policy, "dst=1.2.3.4:443 look=ech:x.test")[0],
        "1 no: domain is x.test (given; ECH is offered: this may be the outer name)"
    );
}

#[test]
fn zones_are_conditions_too() {
    let zone = |of, asks| Condition::Zone(of, ZoneId(0), asks);
    let body = vec![
        rule(1, zone(ZoneOf::Domain, Asks::Never), PROXY),
        rule(2, zone(ZoneOf::Address, Asks::Never), WORK),
        leaf(3, DIRECT),
    ];
    let policy = Policy {
        body: body.into(),
        ..zoned()
    };
    check(
        &policy,
        &[
            (
                "dst=x.twitter.com:1 look=none",
                "proxy by 1 with com.twitter (namezone/x:5)",
            ),
            ("dst=api.twitter.com:1 look=none", "direct by 3"),
            (
                "dst=10.3.5.1:1 look=none",
                "work by 2 with 10.3.5.0/24 (namezone/x:7)",
            ),
            ("dst=x.test:1 look=none resolved=10.3.5.1", "direct by 3"),
        ],
    );
}

#[test]
fn the_entry_is_that_of_the_part_that_matched() {
    let mut set = RuleSetBuilder::new("list", "list.txt", Key::default());
    set.add_suffix(name("a.test"), 4, ".a.test");
    let in_set = || Condition::Set(SetId(0), Asks::Never);
    let both = Condition::And(vec![in_set(), port(9)]);
    let body = vec![
        // The set holds, the whole AND does not: its entry explains nothing.
        rule(1, Condition::Or(vec![both, port(8)]), PROXY),
        rule(2, Condition::Not(Box::new(in_set())), WORK),
        leaf(3, DIRECT),
    ];
    check(
        &with_sets(policy(body), vec![set.finish()]),
        &[
            ("dst=x.a.test:9", "proxy by 1 with .a.test (list.txt:4)"),
            ("dst=x.a.test:8", "proxy by 1"),
            ("dst=b.test:7", "work by 2"),
            ("dst=x.a.test:7", "direct by 3"),
        ],
    );
}

/// Whatever else the set holds: names above, its address, other entries.
#[test]
fn a_set_does_not_hold_what_it_excepts() {
    let mut set = RuleSetBuilder::new("list", "list.txt", Key::default());
    set.add_suffix(name("test"), 1, "||test^");
    set.add_prefix("10.0.0.0/8".parse().unwrap(), 2, "10.0.0.0/8");
    set.add_other(port(9), 3, "DST-PORT,9");
    let (except, written) = (name("a.test"), "@@||a.test^");
    let item = Item::ExceptSuffix((&except).into());
    set.add(item, Place { line: 4, written });
    let body = vec![
        rule(1, Condition::Set(SetId(0), Asks::Resolve), PROXY),
        leaf(2, DIRECT),
    ];
    check(
        &with_sets(policy(body), vec![set.finish()]),
        &[
            ("dst=b.test:1", "proxy by 1 with ||test^ (list.txt:1)"),
            ("dst=x.a.test:9 resolved=10.1.1.1", "direct by 2"),
            (
                "dst=10.1.1.1:1 look=none",
                "proxy by 1 with 10.0.0.0/8 (list.txt:2)",
            ),
            ("dst=10.1.1.1:1 look=tls:a.test", "direct by 2"),
            (
                "dst=c.org:9 resolved=1.1.1.1",
                "proxy by 1 with DST-PORT,9 (list.txt:3)",
            ),
        ],
    );
}

#[test]
fn catch_alls_count_what_was_tried() {
    let body = vec![
        rule(1, port(1), PROXY),
        when(2, port(9), Node::Any(vec![leaf(3, WORK)]), None),
        leaf(4, DIRECT),
    ];
    let policy = policy(body);
    let reason = |words| match policy.decide(&facts(words)) {
        Step::Decided(decision) => decision.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("dst=x.test:1"), Reason::Rule);
    assert_eq!(reason("dst=x.test:5"), Reason::Fallback { tried: 2 });
    assert_eq!(reason("dst=x.test:9"), Reason::Fallback { tried: 2 });
    let step = policy.decide(&facts("dst=x.test:5"));
    assert_eq!(
        sentence(&policy, &step, None),
        "no earlier rule decided (2 tried): `rule 4` (config:4)"
    );
}

#[test]
fn classes_say_how_the_pattern_matched() {
    let class = |line, condition, source, pattern: &str| {
        Node::Rule(Rule {
            condition,
            outbound: OutboundId(1),
            origin: origin(line),
            class: Some(Class {
                source,
                pattern: pattern.into(),
            }),
        })
    };
    let app = Condition::Text(TextField::ProcessName, TextTest::AppName("zen.exe".into()));
    let policy = policy(vec![
        class(1, suffix("youtube.com"), Source::DomainRule, "youtube.com"),
        class(2, app, Source::AppRule, "zen.exe"),
    ]);
    let matcher = |words| match policy.decide(&facts(words)) {
        Step::Decided(decision) => decision
            .class
            .map(|(class, matcher)| (class.source, matcher)),
        other => panic!("{other:?}"),
    };
    let domain = |matcher| Some((Source::DomainRule, matcher));
    assert_eq!(matcher("dst=youtube.com:1"), domain(Matcher::Exact));
    assert_eq!(matcher("dst=m.youtube.com:1"), domain(Matcher::Suffix));
    // Whether an app matched says nothing of names: none is looked for.
    assert_eq!(
        matcher("dst=other:1 owner=Zen.exe"),
        Some((Source::AppRule, Matcher::Exact))
    );
}

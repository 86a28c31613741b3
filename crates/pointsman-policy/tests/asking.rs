//! What is asked of whom: facts for rules, and facts for messages.

mod flow;

use flow::{
    DIRECT, PROXY, WORK, flow as facts, ip, leaf, origin, policy, port, rule, suffix, visits,
    with_sets,
};
use pointsman_policy::condition::{Asks, Condition, ZoneOf};
use pointsman_policy::decision::{Step, Trace};
use pointsman_policy::fact::{Need, Protocol};
use pointsman_policy::model::{Node, Origin, Policy, SetId, Template};
use pointsman_policy::set::{Key, RuleSetBuilder};
use pointsman_policy::zone::ZoneId;
use pointsman_policy::{Watch, settle};

#[test]
fn settling_asks_each_fact_once_and_ends() {
    let body = vec![
        rule(1, Condition::Protocol(Protocol::Tls), PROXY),
        rule(2, ip("10.0.0.0/8", Asks::Resolve), WORK),
        rule(3, Condition::Country("DE".into(), Asks::Resolve), WORK),
        leaf(4, DIRECT),
    ];
    let policy = policy(body);
    let mut flow = facts("dst=x.test:1");
    let settled = settle(&policy, &mut flow, |need, flow| {
        if need == Need::Resolve {
            flow.resolved = facts("resolved=1.1.1.1").resolved;
        }
    });
    assert_eq!(settled.asked, [Need::Sniff, Need::Resolve, Need::Country]);
    assert_eq!(
        visits(&policy, "dst=x.test:1 look=!x resolved=1.1.1.1 geo=!y"),
        [
            "1 ?: unknown: x",
            "2 no: ip is 1.1.1.1 (given)",
            "3 ?: unknown: y",
            "4 yes: it always matches",
        ]
    );
    let mut trace = Trace::default();
    assert_eq!(policy.decide_traced(&flow, &mut trace), settled.step);
    assert_eq!(trace.visits[0].to_string(), "unknown: not found");
}

#[test]
fn what_a_policy_may_ask_is_told_from_its_text() {
    let wants = |policy: &Policy| {
        let wanted = Need::ALL.iter().filter(|need| policy.wants(**need));
        wanted
            .map(|need| need.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(wants(&policy(vec![leaf(1, DIRECT)])), "");
    assert_eq!(wants(&policy(vec![rule(1, suffix("x"), PROXY)])), "sniff");
    let requested = Policy {
        domain_order: pointsman_policy::model::DomainOrder::Requested,
        ..policy(vec![rule(1, suffix("x"), PROXY)])
    };
    assert_eq!(wants(&requested), "");
    let zone = rule(
        1,
        Condition::Zone(ZoneOf::Address, ZoneId(0), Asks::Resolve),
        PROXY,
    );
    assert_eq!(wants(&policy(vec![zone])), "resolve");
    let asks = |asks| vec![rule(1, Condition::Set(SetId(0), asks), PROXY)];
    let mut set = RuleSetBuilder::new("s", "s", Key::default());
    set.add_prefix("10.0.0.0/8".parse().unwrap(), 1, "10.0.0.0/8");
    let set = set.finish();
    let check = |body, expected: &str| {
        assert_eq!(wants(&with_sets(policy(body), vec![set.clone()])), expected);
    };
    check(asks(Asks::Never), "");
    check(asks(Asks::Resolve), "resolve");
    check(vec![Node::Resolve(Origin::default())], "resolve");
    check(
        vec![rule(1, Condition::Asn(1, Asks::Never), PROXY)],
        "country",
    );
}

#[test]
fn messages_are_told_with_what_is_known() {
    let instrument = |line, condition, message: &str| Node::Instrument {
        condition,
        id: line,
        message: Template::parse(message).unwrap(),
        origin: origin(line),
    };
    let body = vec![
        instrument(
            1,
            suffix("a.test"),
            "[{time.hms_ms}] {addr.src} to {addr.dst}",
        ),
        instrument(
            2,
            suffix("b.test"),
            "{process.name} of {process.parent_name}, {process.parents.1.name}, {process.parents.2.pid}, {process.parents}",
        ),
        instrument(
            3,
            port(9),
            "{ip} {addr.resolved_dst} {protocol} {domain} {country}",
        ),
        instrument(
            4,
            port(7),
            "{local} {inbound.type} {inbound.user} {tls.sni} {time.date}",
        ),
        leaf(5, DIRECT),
    ];
    let policy = policy(body);
    let said = |words: &str| {
        let mut messages = vec![(9, "of an earlier call".to_owned())];
        let time = "2026-01-31T23:59:59.999+01:00";
        let watch = Watch::Messages {
            time,
            messages: &mut messages,
        };
        let step = policy.decide_with(&facts(words), watch);
        let mut trace = Trace::default();
        let watch = Watch::Trace {
            time,
            trace: &mut trace,
        };
        assert_eq!(policy.decide_with(&facts(words), watch), step);
        assert_eq!(trace.messages, messages);
        match step {
            Step::Need(need) => format!("needs {}", need.as_str()),
            _ => {
                let line = |(id, text): &(u32, String)| format!("{id}: {text}");
                messages.iter().map(line).collect::<Vec<_>>().join("\n")
            }
        }
    };
    let check = |words, expected: &str| assert_eq!(said(words), expected, "{words}");
    check("dst=other:1", "");
    check(
        "dst=x.a.test:443 src=10.0.0.1:5",
        "1: [23:59:59.999] 10.0.0.1:5 to x.a.test:443",
    );
    check("dst=a.test:1", "1: [23:59:59.999] N/A to a.test:1");
    check("dst=b.test:1", "needs owner");
    check("dst=b.test:1 owner=none", "2: N/A of N/A, N/A, N/A, N/A");
    check("dst=b.test:1 owner=curl", "2: curl of N/A, N/A, N/A, []");
    check(
        "dst=b.test:1 owner=a<sh<login<init",
        "2: a of sh, login, 7, [sh, login, init]",
    );
    // A message neither resolves nor looks: to speak of a flow must not change it.
    check(
        "dst=x.test:9 resolved=1.1.1.1 geo=DE",
        "3: N/A N/A N/A x.test N/A",
    );
    check("dst=1.1.1.1:9 look=other", "needs country");
    check(
        "dst=1.1.1.1:9 look=other geo=DE",
        "3: 1.1.1.1 1.1.1.1:9 other N/A DE",
    );
    check(
        "dst=[::1]:9 look=none geo=none",
        "3: ::1 [::1]:9 N/A N/A N/A",
    );
    check("dst=x.test:7", "needs local");
    check(
        "dst=x.test:7 local=10.0.0.9 inbound=alice@http:1 look=ech:outer.test",
        "4: 10.0.0.9 http alice outer.test 2026-01-31",
    );
}

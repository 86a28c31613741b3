//! What is asked of whom: facts for rules, and facts for messages.

mod flow;

use flow::{
    DIRECT, PROXY, WORK, flow as facts, ip, leaf, not, origin, policy, port, rule, suffix, told,
    truth, visits, with_sets,
};
use pointsman_policy::condition::{Asks, Condition, NumberField, TextField, TextTest, ZoneOf};
use pointsman_policy::decision::{Step, Trace};
use pointsman_policy::fact::{Fact, Facts, Need, Parent, Protocol, Provenance};
use pointsman_policy::model::{
    Arm, ArmKey, Node, OnUnknown, Origin, Policy, Select, SelectOn, SetId, Template,
};
use pointsman_policy::set::{Key, RuleSetBuilder};
use pointsman_policy::template::VARIABLES;
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
            flow.sought.to_mut().resolved = facts("resolved=1.1.1.1").sought.resolved.clone();
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

/// What a message of this text says of a flow.
fn said(message: &str, flow: &Facts) -> String {
    let message = match Template::parse(message) {
        Ok(message) => message,
        Err(bad) => panic!("{bad}"),
    };
    let body = vec![
        Node::Instrument {
            condition: Condition::Always,
            id: 1,
            message,
            origin: origin(1),
        },
        leaf(2, DIRECT),
    ];
    let mut messages = Vec::new();
    let watch = Watch::Messages {
        time: "2026-01-31T23:59:59.999+01:00",
        messages: &mut messages,
    };
    let step = policy(body).decide_with(flow, watch);
    assert!(matches!(step, Step::Decided(_)), "{step:?}");
    messages.remove(0).1
}

#[test]
fn every_variable_has_its_value_or_is_missing() {
    let all: Vec<String> = VARIABLES
        .iter()
        .map(|(name, _)| format!("{name}={{{name}}}"))
        .collect();
    let all = all.join("\n");
    let values = |words: &str| {
        let mut flow = facts(words);
        if let Fact::Known(process, _) = &mut flow.sought.to_mut().owner {
            for (field, text) in [
                (&mut process.user, "alice"),
                (&mut process.cgroup, "/user.slice"),
                (&mut process.unit, "a.service"),
                (&mut process.tag, "Work"),
            ] {
                *field = Fact::Known(text.into(), Provenance::Given);
            }
            process.pid = Fact::Known(4711, Provenance::Given);
        }
        said(&all, &flow)
    };
    let nothing = values("look=none resolved=none owner=none geo=none local=none");
    let known: Vec<&str> = nothing
        .lines()
        .filter(|line| !line.ends_with("=N/A"))
        .collect();
    assert_eq!(
        known,
        [
            "network=tcp",
            "time.hms_ms=23:59:59.999",
            "time.hms=23:59:59",
            "time.date=2026-01-31",
            "time.rfc3339=2026-01-31T23:59:59.999+01:00"
        ]
    );
    let whole = values(
        "dst=192.0.2.1:443 src=10.0.0.1:5000 inbound=alice@http:7890#desk look=http:a.test:curl:GET \
         owner=/usr/bin/curl<sh<init geo=DE/7 local=10.0.0.2",
    );
    let missing: Vec<&str> = whole
        .lines()
        .filter(|line| line.ends_with("=N/A"))
        .collect();
    // Nothing has all of them at once.
    assert_eq!(
        missing,
        [
            "fake_ip=N/A",
            "alpn=N/A",
            "tls.alpn=N/A",
            "tls.version=N/A",
            "quic.version=N/A",
            "dns.type=N/A",
            "dscp=N/A",
            "ssh.software=N/A",
            "process.serves=N/A",
            "process.parent.path=N/A"
        ]
    );
    for line in [
        "addr.dst=192.0.2.1:443",
        "addr.src=10.0.0.1:5000",
        "inbound.name=desk",
        "process.cmdline=/usr/bin/curl --flag",
        "process.tag=Work",
        "process.pid=4711",
        "process.parents=[sh, init]",
        "process.parent.pid=7",
        "country=DE",
        "asn=7",
    ] {
        assert!(
            whole.lines().any(|known| known == line),
            "{line} in {whole}"
        );
    }
}

#[test]
fn ancestors_are_told_as_far_as_they_are_known() {
    let with = |parents: Vec<Parent>| {
        let mut flow = facts("owner=curl");
        if let Fact::Known(process, _) = &mut flow.sought.to_mut().owner {
            process.parents = parents;
        }
        flow
    };
    let pid = |pid| Parent {
        pid: Some(pid),
        ..Parent::default()
    };
    let text = "{process.parents} {process.parent.name} {process.parent.pid} {process.parents.40.name} {process.parents.40.pid}";
    assert_eq!(said(text, &with(vec![])), "[] N/A N/A N/A N/A");
    assert_eq!(said(text, &with(vec![pid(9)])), "[N/A] N/A 9 N/A N/A");
    let deep = said(text, &with((1..=60).map(pid).collect()));
    assert!(deep.ends_with("] N/A 1 N/A 41"), "{deep}");
}

/// What is told over one transport alone is simply not so over the other, and nobody looks for it there.
#[test]
fn first_bytes_are_not_asked_for_what_the_transport_rules_out() {
    let number = |field, value: u32| Condition::Number(field, value..=value);
    let any = |field| Condition::Text(field, TextTest::Keyword("".into()));
    let over = |network: &str, condition: Condition| {
        let policy = policy(vec![leaf(9, DIRECT)]);
        let words = format!("dst=10.0.0.1:443 network={network}");
        let unknown = truth(&policy, &condition, &words);
        let broken = truth(&policy, &condition, &format!("{words} look=!gone"));
        match (&*unknown, &*broken) {
            ("needs sniff", "unknown: gone") => "asks".to_owned(),
            (one, other) if one == other => unknown,
            other => panic!("{network} {condition:?}: {other:?}"),
        }
    };
    let check = |condition: Condition, tcp: &str, udp: &str| {
        assert_eq!(over("tcp", condition.clone()), tcp, "{condition:?}");
        assert_eq!(over("udp", condition.clone()), udp, "{condition:?}");
    };
    for protocol in Protocol::ALL {
        let (tcp, udp) = match protocol {
            Protocol::Bittorrent | Protocol::Dns | Protocol::Other => ("asks", "asks"),
            Protocol::Dtls | Protocol::Ntp | Protocol::Quic | Protocol::Stun => ("no", "asks"),
            _ => ("asks", "no"),
        };
        check(Condition::Protocol(protocol), tcp, udp);
    }
    check(not(Condition::Protocol(Protocol::Quic)), "yes", "asks");
    check(number(NumberField::QuicVersion, 1), "no", "asks");
    check(number(NumberField::TlsVersion, 0x304), "asks", "asks");
    check(any(TextField::ServerName), "asks", "asks");
    for field in [
        TextField::HttpHost,
        TextField::Method,
        TextField::SshSoftware,
        TextField::UserAgent,
    ] {
        check(any(field), "asks", "no");
    }
    let policy = policy(vec![
        rule(1, Condition::Protocol(Protocol::Quic), PROXY),
        leaf(2, DIRECT),
    ]);
    let seen = visits(&policy, "dst=10.0.0.1:443");
    assert_eq!(seen[0], "1 no: network is tcp (inbound)");
}

/// A choice by protocol asks for the first bytes where one of its arms may be it.
#[test]
fn a_choice_by_protocol_asks_where_an_arm_may_be_it() {
    let arm = |line, protocol| Arm {
        key: ArmKey::Protocol(protocol),
        then: leaf(line, PROXY),
        origin: origin(line),
    };
    let choice = |protocols: &[Protocol]| {
        let arms = (2..).zip(protocols).map(|(line, one)| arm(line, *one));
        let select = Select {
            on: SelectOn::Protocol,
            arms: arms.collect(),
            origin: origin(1),
        };
        let mut policy = policy(vec![Node::Select(select), leaf(9, DIRECT)]);
        policy.on_unknown = OnUnknown::Reject;
        policy
    };
    let check = |protocols: &[Protocol], words: &str, expected: &str| {
        let words = format!("dst=10.0.0.1:443 {words}");
        assert_eq!(told(&choice(protocols), &words), expected, "{words}");
    };
    let datagrams = [Protocol::Quic, Protocol::Stun];
    check(&datagrams, "", "direct by 9");
    check(&datagrams, "look=!gone", "direct by 9");
    check(&datagrams, "network=udp", "needs sniff");
    check(&datagrams, "network=udp look=!gone", "refused by 1");
    check(&datagrams, "network=udp look=quic", "proxy by 2");
    check(&[Protocol::Quic, Protocol::Tls], "", "needs sniff");
    check(&[Protocol::Quic, Protocol::Tls], "look=tls", "proxy by 3");
    check(&[Protocol::Tls], "network=udp", "direct by 9");
    let early = |policy: &Policy| policy.first_asking_of_streams(Need::Sniff).is_some();
    assert!(!early(&choice(&datagrams)));
    assert!(early(&choice(&[Protocol::Quic, Protocol::Dns])));
}

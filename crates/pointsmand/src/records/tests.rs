//! One record is one schema: what the API says, what access logs say, and what the reference says of both.

use std::collections::BTreeSet;
use std::time::Duration;

use pointsman_net::record::{Banner, Befell, Fault, Incidents, Limit, Rest, ServerProtocol};
use pointsman_policy::decision::{Decision, Reason};
use pointsman_policy::fact::{Inbound, InboundKind, Parent, Protocol, Provenance};
use pointsman_policy::refused::{Refused, Refuser};
use pointsman_policy::{Domain, Host};
use serde_json::Value;

use super::*;

fn known<T>(value: T) -> Fact<T> {
    Fact::Known(value, Provenance::Request)
}

fn incidents() -> Incidents {
    let rest = Rest {
        failures: 3,
        left: Duration::from_millis(11_500),
        tried: false,
    };
    let befell = Befell {
        passed_by: vec![PassedBy {
            target: "z".into(),
            rest,
        }],
        attempts: vec![Attempt {
            target: "a".into(),
            error: "refused".into(),
            times: 2,
            took_us: 9,
        }],
        messages: vec![(3, "hello".into())],
        waits: Vec::new(),
        banner: Some(Banner {
            protocol: ServerProtocol::Mysql,
            software: Some("8.0.39".to_owned()),
        }),
    };
    befell.into()
}

/// One in which nothing is lacking.
fn full() -> FlowRecord {
    let mut record = FlowRecord {
        id: 7,
        started_ms: 1_700_000_000_000,
        lasted: Duration::from_micros(12_345),
        listener: "desk".into(),
        outbound: Some("group".into()),
        member: Some("b".into()),
        action: Some(Action::Proxy),
        answered_early: true,
        bytes_sent: 1,
        bytes_received: 2,
        groups: vec!["inner".into()],
        incidents: incidents(),
        note: Note::Association,
        decision: Some(Decision {
            outbound: None,
            reason: Reason::Rule,
            rule: Some(Origin {
                text: "DOMAIN, a.test, group".into(),
                file: "c.yaml".into(),
                line: 4,
            }),
            entry: None,
            class: None,
        }),
        ended: Some(End::Failed(Fault::Login, "no".into())),
        ..FlowRecord::default()
    };
    let facts = &mut record.facts;
    facts.source = known("127.0.0.1:5".parse().unwrap());
    facts.destination = known(Host::parse("a.test").unwrap());
    facts.port = known(443);
    facts.inbound = known(Inbound {
        kind: InboundKind::Socks5,
        name: None,
        port: Some(7890),
        user: Some("bob".into()),
    });
    facts.sought.to_mut().look = known(Look {
        protocol: Protocol::Tls,
        ..Look::default()
    })
    .boxed();
    facts.sought.to_mut().owner = known(Process {
        name: known("curl".into()),
        pid: known(4),
        parents: Vec::<Parent>::new(),
        ..Process::default()
    })
    .boxed();
    facts.sought.to_mut().resolved = known(vec!["192.0.2.1".parse().unwrap()]);
    facts.sought.to_mut().geo = known(Geo::default());
    facts.sought.to_mut().local = known("192.0.2.9".parse().unwrap());
    record.took.dial_us = 8;
    record
}

/// Those of flows that brought an address: one name was told for it, and several were.
fn by_address() -> [FlowRecord; 2] {
    let told = [
        known(Domain::parse("a.test").unwrap()),
        Fact::Failed("ambiguous: a.test, b.test".into()),
    ];
    told.map(|name| {
        let mut record = full();
        record.facts.destination = known(Host::parse("192.0.2.1").unwrap());
        record.facts.sought.to_mut().correlated = name;
        record
    })
}

/// Keys that access logs have, and the API's record has not.
const MORE: [&str; 4] = ["sniff", "resolved", "geo", "local"];

#[test]
fn access_logs_say_what_the_api_says() {
    let others = [full(), FlowRecord::default()].into_iter();
    for record in others.chain(by_address()) {
        let told = serde_json::to_value(wire(&record, None)).unwrap();
        let logged = record.to_json();
        let (told, logged) = (told.as_object().unwrap(), logged.as_object().unwrap());
        for (key, value) in told {
            if key != "process" || value.is_null() {
                assert_eq!(logged.get(key), Some(value), "{key}");
                continue;
            }
            for (part, value) in value.as_object().unwrap() {
                assert_eq!(&logged[key][part], value, "process.{part}");
            }
        }
        let more = logged.keys().filter(|key| !told.contains_key(*key));
        assert!(
            more.clone().all(|key| MORE.contains(&key.as_str())),
            "{logged:?}"
        );
    }
    let line = full().to_json();
    assert_eq!(line["time"], "2023-11-14T22:13:20.000Z");
    assert_eq!(
        (&line["duration_ms"], &line["ended_by"]),
        (&12.into(), &"dial".into())
    );
}

#[test]
fn the_reference_has_each_key_of_a_record() {
    let text = include_str!("../../../../docs/reference/logs.md");
    let table = text.split("<!-- record -->").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(3)
        .take_while(|line| line.starts_with('|'));
    let documented: BTreeSet<String> = rows
        .flat_map(|row| {
            let keys = row.split('|').nth(1).unwrap().split('`');
            keys.skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let mut expected = BTreeSet::new();
    for record in by_address() {
        let Value::Object(line) = record.to_json() else {
            panic!("a record is an object");
        };
        expected.extend(line.keys().cloned());
    }
    assert_eq!(documented, expected);
}

#[test]
fn the_reference_has_each_limit() {
    let text = include_str!("../../../../docs/reference/logs.md");
    let table = text.split("<!-- limits -->").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(3)
        .take_while(|line| line.starts_with('|'));
    let documented: Vec<String> = rows.map(str::to_owned).collect();
    let expected: Vec<String> = Limit::ALL
        .iter()
        .map(|it| format!("| `{}` | {} |", it.as_str(), it.sentence()))
        .collect();
    assert_eq!(documented, expected);
}

#[test]
fn what_broke_after_the_dial_is_not_the_dials_fault() {
    let mut record = full();
    record.incidents = Incidents::default();
    record.took.dial_us = 1000;
    let dials = |record: &FlowRecord| -> Vec<String> {
        let dials = steps(record, &[]).into_iter();
        let dials = dials.filter(|step| step.step == "dial");
        dials.map(|step| step.outcome).collect()
    };
    for (fault, dial) in [
        (Fault::Login, "failed: no"),
        (Fault::ConnectionRefused, "failed: no"),
        (Fault::Answer, "open"),
        (Fault::Target, "open"),
        (Fault::Client, "open"),
    ] {
        record.ended = Some(End::Failed(fault, "no".into()));
        assert_eq!(dials(&record), [dial], "{fault:?}");
    }
}

#[test]
fn steps_tell_of_targets_in_the_order_in_which_they_had_their_turn() {
    let mut record = full();
    record.ended = Some(End::Closed);
    let steps = steps(&record, &[]).into_iter();
    let steps: Vec<String> = steps.map(|step| step.outcome).collect();
    let expected = [
        "z: passed by: it is not tried for 12 s after 3 failures",
        "a: 2 times failed: refused",
        "b: open",
    ];
    assert_eq!(steps, expected);
}

#[test]
fn what_refused_a_flow_above_its_rules_is_a_row_of_its_trace_and_says_so_once() {
    let check = |refused: Refused, row: &str, because: &str| {
        let mut record = full();
        let mut explanation = remembered(&record);
        record.action = Some(Action::Reject);
        record.note = refused.into();
        above_rules(&record, &mut explanation);
        let Some(api::explain::TraceLine::Visit(last)) = explanation.trace.last() else {
            panic!("{:?}", explanation.trace);
        };
        assert_eq!((&*last.text, &*last.because), (row, because));
        assert_eq!(explanation.decision.action, api::Action::Reject);
        assert!(
            explanation.reason.starts_with(&*record.note),
            "{}",
            explanation.reason
        );
    };
    check(
        Refused::new(Refuser::ConnectionLimit, "as many as may be (1)"),
        "connection limit",
        "as many as may be (1)",
    );
    // A colon in it is no end of a name.
    check(
        Refused::sentence(Refuser::NetworkUdp, "`a` carries no UDP: it cannot"),
        "network udp",
        "`a` carries no UDP: it cannot",
    );
}

//! Which words choose which flows.

use pointsman_policy::fact::Provenance;

use super::*;

fn known<T>(value: T) -> Fact<T> {
    Fact::Known(value, Provenance::System)
}

/// A flow of curl to a.test:443 whose first bytes were looked at.
fn record() -> FlowRecord {
    let mut record = FlowRecord {
        groups: vec!["inner".into()],
        ..FlowRecord::default()
    };
    let facts = &mut record.facts;
    facts.destination = known(Host::parse("a.test").unwrap());
    facts.port = known(443);
    facts.sought.to_mut().dscp = known(8);
    facts.sought.to_mut().look = known(Box::new(Look {
        protocol: Protocol::Tls,
        alpn: vec!["h2".into()],
        tls_version: Some(0x304),
        ..Look::default()
    }));
    let text = |text: &str| known(Arc::<str>::from(text));
    facts.sought.to_mut().owner = known(Box::new(Process {
        name: text("curl"),
        unit: text("a.service"),
        tag: Fact::Absent,
        parents: vec![Parent {
            name: Some("sh".into()),
            path: None,
            pid: None,
        }],
        ..Process::default()
    }));
    record
}

fn check(record: &FlowRecord, words: &str, expected: Fit) {
    let filter = FlowFilter::new(words, "").unwrap();
    assert_eq!(filter.fits(record), expected, "{words}");
}

#[test]
fn every_word_chooses() {
    let record = record();
    for words in [
        "",
        "a.test",
        "test",
        "https://a.test/x",
        "network=tcp",
        "dscp=8",
        "protocol=tls",
        "alpn=h2",
        "tls-version=1.3 protocol=tls",
        "sni=a.test",
        "process=curl",
        "process=curl parent=sh unit=a.service",
    ] {
        check(&record, words, Fit::Yes);
    }
    for words in [
        "b.test",
        "a.test:80",
        "http://a.test",
        "udp://a.test:443",
        "dscp=9",
        "protocol=http",
        "protocol=other",
        "alpn=h3",
        "tls-version=1.2",
        "ech=yes",
        "method=GET",
        "user-agent=curl",
        "sni=b.test",
        "process=wget",
        "process=/usr/bin/wget",
        "parent=bash",
        "unit=b.service",
        "tag=x",
    ] {
        let fit = FlowFilter::new(words, "").unwrap().fits(&record);
        assert!(fit != Fit::Yes, "{words}");
    }
}

#[test]
fn what_no_rule_asked_for_cannot_be_told() {
    let mut record = record();
    check(&record, "cmdline=x", Fit::Untold("program"));
    record.facts.sought.to_mut().owner = Fact::Unknown;
    record.facts.sought.to_mut().look = Fact::Unknown;
    check(&record, "process=curl", Fit::Untold("program"));
    check(&record, "protocol=tls", Fit::Untold("first bytes"));
    check(&record, "sni=b.test", Fit::Untold("first bytes"));
    // The client asked for that name.
    check(&record, "sni=a.test", Fit::Yes);
    // It is another flow, whoever's it is.
    check(&record, "process=curl b.test", Fit::No);
    record.facts.sought.to_mut().owner = Fact::Absent;
    check(&record, "process=curl", Fit::No);
}

#[test]
fn a_text_stands_anywhere() {
    let record = record();
    let fits = |text: &str| FlowFilter::new("", text).unwrap().fits(&record);
    assert_eq!(["A.TEST", "inn", "cur"].map(fits), [Fit::Yes; 3]);
    assert_eq!(fits("nowhere"), Fit::No);
}

#[test]
fn what_no_flow_is_chosen_by_is_refused() {
    for words in [
        "resolved=1.2.3.4",
        "serves=x",
        "local=::1",
        "verdict=REJECT",
    ] {
        assert!(FlowFilter::new(words, "").is_err(), "{words}");
    }
}

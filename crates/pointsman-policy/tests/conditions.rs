//! Every kind of condition, one case a line.

mod flow;

use flow::{
    DIRECT, PROXY, ip, leaf, name, not, policy, port, rule, suffix, told, truth, with_sets,
};
use pointsman_policy::condition::{
    AddressKind, AddressOf, Asks, Condition, DomainTest, Side, TextField, TextTest,
};
use pointsman_policy::fact::{InboundKind, Network, Protocol};
use pointsman_policy::model::{DomainOrder, Policy, SetId};
use pointsman_policy::set::RuleSet;
use regex::Regex;

fn check(condition: &Condition, cases: &[(&str, &str)]) {
    check_in(&policy(vec![]), condition, cases);
}

fn check_in(policy: &Policy, condition: &Condition, cases: &[(&str, &str)]) {
    for (words, expected) in cases {
        let got = truth(policy, condition, words);
        assert_eq!(got, *expected, "{condition:?} of {words}");
    }
}

#[test]
fn domains() {
    let domain = |test| Condition::Domain(test);
    check(
        &domain(DomainTest::Exact(name("google.com"))),
        &[
            ("dst=google.com:443", "yes"),
            ("dst=www.google.com:443", "no"),
            ("dst=1.1.1.1:443", "needs sniff"),
        ],
    );
    check(
        &suffix("google.com"),
        &[
            ("dst=google.com:443", "yes"),
            ("dst=mail.google.com:443", "yes"),
            ("dst=notgoogle.com:443", "no"),
            ("dst=google.com.test:443", "no"),
            ("dst=198.18.0.1:443 fake=www.google.com", "yes"),
        ],
    );
    check(
        &domain(DomainTest::Keyword("google".into())),
        &[("dst=my-google-x.net:1", "yes"), ("dst=goo.gle:1", "no")],
    );
    let regex = Regex::new("^ads[0-9]+\\.").unwrap();
    check(
        &domain(DomainTest::Regex(regex)),
        &[("dst=ads1.test:1", "yes"), ("dst=xads1.test:1", "no")],
    );
}

#[test]
fn the_domain_is_derived_in_the_order_of_the_dialect() {
    let check = |order, cases: &[(&str, &str)]| {
        let policy = Policy {
            domain_order: order,
            ..policy(vec![])
        };
        check_in(&policy, &suffix("x.test"), cases);
    };
    let literal = "dst=1.1.1.1:443";
    check(
        DomainOrder::Native,
        &[
            ("dst=x.test:443", "yes"),
            ("dst=y.test:443 look=tls:x.test dns=x.test", "no"),
            (literal, "needs sniff"),
            ("dst=1.1.1.1:443 look=tls:x.test dns=y.test", "yes"),
            ("dst=1.1.1.1:443 look=none dns=x.test", "yes"),
            ("dst=1.1.1.1:443 look=other dns=x.test", "yes"),
            ("dst=1.1.1.1:443 look=tls:y.test dns=x.test", "no"),
            ("dst=1.1.1.1:443 look=!reset dns=x.test", "unknown: reset"),
            ("dst=1.1.1.1:443 look=none", "no"),
            // Browsers offer ECH everywhere: the name still counts.
            ("dst=1.1.1.1:443 look=ech:x.test", "yes"),
            ("dst=1.1.1.1:443 look=ech:y.test dns=x.test", "no"),
        ],
    );
    check(
        DomainOrder::Requested,
        &[
            ("dst=x.test:443", "yes"),
            (literal, "no"),
            ("dst=1.1.1.1:443 fake=x.test", "yes"),
            ("dst=1.1.1.1:443 look=tls:x.test dns=x.test", "no"),
        ],
    );
    check(
        DomainOrder::RequestedElseSniffed,
        &[
            ("dst=x.test:443", "yes"),
            (literal, "needs sniff"),
            ("dst=1.1.1.1:443 look=tls:x.test", "yes"),
            ("dst=1.1.1.1:443 look=none dns=x.test", "no"),
        ],
    );
    check(
        DomainOrder::SniffedElseRequested,
        &[
            ("dst=x.test:443", "needs sniff"),
            ("dst=x.test:443 look=tls:y.test", "no"),
            ("dst=y.test:443 look=tls:x.test", "yes"),
            ("dst=x.test:443 look=other", "yes"),
            ("dst=x.test:443 look=none", "yes"),
            ("dst=x.test:443 look=ech:y.test", "yes"),
            ("dst=x.test:443 look=!reset", "unknown: reset"),
        ],
    );
}

#[test]
fn addresses() {
    check(
        &ip("10.0.0.0/8", Asks::Never),
        &[
            ("dst=10.1.1.1:80", "yes"),
            ("dst=11.1.1.1:80", "no"),
            ("dst=[::ffff:10.1.1.1]:80", "yes"),
            ("dst=[::1]:80", "no"),
            // Known, but nobody here asked for it.
            ("dst=x.test:80 resolved=10.1.1.1", "no"),
            ("dst=198.18.0.1:80 fake=x.test", "no"),
        ],
    );
    check(
        &ip("10.0.0.0/8", Asks::Resolve),
        &[
            ("dst=10.1.1.1:80", "yes"),
            ("dst=x.test:80", "needs resolve"),
            ("dst=x.test:80 resolved=10.1.1.1", "yes"),
            // The first address counts, as it is the one that is dialled first.
            ("dst=x.test:80 resolved=11.1.1.1,10.1.1.1", "no"),
            ("dst=x.test:80 resolved=none", "no"),
            ("dst=x.test:80 resolved=!servfail", "unknown: servfail"),
            ("dst=10.1.1.1:80 fake=x.test", "needs resolve"),
            ("", "no"),
        ],
    );
    let of = |of| Condition::Address {
        of,
        prefix: "10.0.0.0/8".parse().unwrap(),
        asks: Asks::Resolve,
    };
    check(
        &of(AddressOf::Source),
        &[
            ("dst=10.1.1.1:80 src=10.1.1.1:5", "yes"),
            ("dst=10.1.1.1:80 src=11.1.1.1:5", "no"),
            ("dst=10.1.1.1:80 src=[::ffff:10.1.1.1]:5", "yes"),
            ("dst=10.1.1.1:80", "no"),
        ],
    );
    check(
        &of(AddressOf::Either),
        &[
            ("dst=x.test:80 src=10.1.1.1:5", "yes"),
            ("dst=x.test:80 src=11.1.1.1:5", "needs resolve"),
            ("dst=x.test:80 src=11.1.1.1:5 resolved=10.9.9.9", "yes"),
            (
                "dst=x.test:80 src=11.1.1.1:5 resolved=!broken",
                "unknown: broken",
            ),
            ("dst=11.1.1.1:80", "no"),
        ],
    );
    check(
        &of(AddressOf::Outgoing),
        &[
            ("dst=10.1.1.1:80", "needs local"),
            ("dst=1.1.1.1:80 local=10.2.2.2", "yes"),
            ("dst=1.1.1.1:80 local=none", "no"),
            ("dst=1.1.1.1:80 local=!netlink", "unknown: netlink"),
        ],
    );
}

#[test]
fn kinds_of_destinations_are_what_the_client_asked_for() {
    let row = |kind, name, v4, v6| {
        check(
            &Condition::AddressKind(kind),
            &[
                ("dst=x.test:80 resolved=1.1.1.1", name),
                ("dst=1.1.1.1:80 look=tls:x.test", v4),
                ("dst=[::1]:80", v6),
                ("dst=198.18.0.1:80 fake=x.test", name),
                ("", "no"),
            ],
        );
    };
    row(AddressKind::Domain, "yes", "no", "no");
    row(AddressKind::Ip, "no", "yes", "yes");
    row(AddressKind::Ipv4, "no", "yes", "no");
    row(AddressKind::Ipv6, "no", "no", "yes");
}

#[test]
fn countries_and_numbers() {
    check(
        &Condition::Country("GB".into(), Asks::Never),
        &[
            ("dst=1.1.1.1:80", "needs country"),
            ("dst=1.1.1.1:80 geo=GB", "yes"),
            ("dst=1.1.1.1:80 geo=SE/29518", "no"),
            ("dst=1.1.1.1:80 geo=/29518", "no"),
            ("dst=1.1.1.1:80 geo=none", "no"),
            ("dst=1.1.1.1:80 geo=!corrupt", "unknown: corrupt"),
            ("dst=x.test:80", "no"),
        ],
    );
    check(
        &Condition::Asn(29518, Asks::Resolve),
        &[
            ("dst=x.test:80", "needs resolve"),
            ("dst=x.test:80 resolved=1.1.1.1", "needs country"),
            ("dst=x.test:80 resolved=1.1.1.1 geo=SE/29518", "yes"),
            ("dst=x.test:80 resolved=1.1.1.1 geo=SE", "no"),
            (
                "dst=x.test:80 resolved=!broken geo=SE/29518",
                "unknown: broken",
            ),
        ],
    );
}

#[test]
fn ports_and_networks() {
    let of = |side, ranges: &[(u16, u16)], network| Condition::Port {
        side,
        ranges: ranges.iter().map(|(from, to)| *from..=*to).collect(),
        network,
    };
    check(
        &of(Side::Destination, &[(80, 80), (8000, 8100)], None),
        &[
            ("dst=x.test:80", "yes"),
            ("dst=x.test:8100 network=udp", "yes"),
            ("dst=x.test:81", "no"),
            ("src=1.1.1.1:80", "no"),
        ],
    );
    check(
        &of(Side::Destination, &[(53, 53)], Some(Network::Udp)),
        &[
            ("dst=1.1.1.1:53 network=udp", "yes"),
            ("dst=1.1.1.1:53", "no"),
            ("dst=1.1.1.1:54 network=udp", "no"),
        ],
    );
    check(
        &of(Side::Source, &[(5, 5)], None),
        &[("src=1.1.1.1:5", "yes"), ("dst=1.1.1.1:5", "no")],
    );
    check(
        &Condition::Network(Network::Udp),
        &[("network=udp", "yes"), ("network=icmp", "no"), ("", "no")],
    );
}

#[test]
fn inbounds() {
    let of = |kind, port, user: Option<&str>| Condition::Inbound {
        kind,
        port,
        user: user.map(Into::into),
    };
    check(
        &of(Some(InboundKind::Http), None, None),
        &[
            ("inbound=http:7890", "yes"),
            ("inbound=alice@http:1", "yes"),
            ("inbound=socks5:7890", "no"),
            ("", "no"),
        ],
    );
    check(
        &of(Some(InboundKind::Mixed), Some(7890), None),
        &[
            ("inbound=http:7890", "yes"),
            ("inbound=socks5:7890", "yes"),
            ("inbound=socks5:7891", "no"),
            ("inbound=tun:7890", "no"),
        ],
    );
    check(
        &of(Some(InboundKind::Http), None, Some("alice")),
        &[
            ("inbound=alice@http:7", "yes"),
            ("inbound=bob@http:7", "no"),
            ("inbound=http:7", "no"),
        ],
    );
    let alias = TextTest::Exact("work".into());
    check(
        &Condition::Text(TextField::InboundName, alias),
        &[
            ("inbound=http:7890#work", "yes"),
            ("inbound=http:7890#home", "no"),
            ("inbound=http:7890", "no"),
            ("", "no"),
        ],
    );
}

#[test]
fn texts() {
    let text = |field, test: TextTest| Condition::Text(field, test);
    check(
        &text(TextField::ProcessName, TextTest::Exact("curl".into())),
        &[
            ("", "needs owner"),
            ("owner=/usr/bin/curl", "yes"),
            ("owner=curl", "yes"),
            ("owner=Curl", "no"),
            ("owner=none", "no"),
            ("owner=!procfs", "unknown: procfs"),
        ],
    );
    check(
        &text(TextField::ProcessPath, TextTest::Keyword("/bin/".into())),
        &[("owner=/usr/bin/curl", "yes"), ("owner=curl", "no")],
    );
    check(
        &text(
            TextField::CommandLine,
            TextTest::Regex(Regex::new("^curl.*--f").unwrap()),
        ),
        &[("owner=curl", "yes"), ("owner=wget", "no")],
    );
    check(
        &text(
            TextField::ParentName,
            TextTest::ExactIgnoreCase("BASH".into()),
        ),
        &[
            ("owner=curl<sh<bash", "yes"),
            ("owner=bash<sh", "no"),
            ("owner=curl", "no"),
        ],
    );
    // A field that nobody read is absent: the process itself was asked for as a whole.
    check(
        &text(TextField::Tag, TextTest::Exact("t".into())),
        &[("owner=curl", "no"), ("", "needs owner")],
    );
    check(
        &text(
            TextField::UserAgent,
            TextTest::KeywordIgnoreCase("curl/".into()),
        ),
        &[
            ("", "needs sniff"),
            ("look=http:x.test:CURL/8:GET", "yes"),
            ("look=http:x.test:wget:GET", "no"),
            ("look=tls:x.test", "no"),
            ("look=none", "no"),
            ("look=!gone", "unknown: gone"),
        ],
    );
    check(
        &text(TextField::Method, TextTest::Exact("GET".into())),
        &[
            ("look=http:x.test:a:GET", "yes"),
            ("look=http:x.test:a:PUT", "no"),
        ],
    );
    check(
        &text(TextField::Alpn, TextTest::Exact("h2".into())),
        &[("look=tls:x.test:h2", "yes"), ("look=tls:x.test", "no")],
    );
    check(
        &text(TextField::SshSoftware, TextTest::Keyword("OpenSSH".into())),
        &[("look=ssh::OpenSSH_9", "yes"), ("look=ssh::dropbear", "no")],
    );
    check(
        &Condition::Protocol(Protocol::Tls),
        &[
            ("dst=x.test:443", "needs sniff"),
            ("look=ech:x.test", "yes"),
            ("look=other", "no"),
            ("look=none", "no"),
        ],
    );
}

#[test]
fn app_patterns_compare_base_names() {
    let check = |pattern: &str, text: &str, expected: bool| {
        let test = TextTest::AppName(pattern.into());
        assert_eq!(test.passes(text), expected, "{pattern} {text}");
    };
    check("zen.exe", "C:\\Program Files\\Zen\\ZEN.exe", true);
    check("zen.exe", " /opt/zen.exe ", true);
    check("zen.exe", "zen.exe", true);
    check("zen.exe", "frozen.exe", false);
    check("zen.exe", "zen.exe/other", false);
    let check = |keyword: &str, text: &str, expected: bool| {
        let test = TextTest::KeywordIgnoreCase(keyword.into());
        assert_eq!(test.passes(text), expected, "{keyword} {text}");
    };
    check("fire", "FireFox", true);
    check("firefoxes", "FireFox", false);
    check("", "", true);
}

#[test]
fn logic_has_three_values() {
    let yes = || Condition::Always;
    let no = || Condition::Never;
    // Failed look: unknown.
    let unknown = || Condition::Protocol(Protocol::Tls);
    let and = |a, b| Condition::And(vec![a, b]);
    let or = |a, b| Condition::Or(vec![a, b]);
    let check = |condition: Condition, expected: &str| {
        let got = truth(&policy(vec![]), &condition, "look=!gone");
        assert_eq!(got.split(':').next(), Some(expected), "{condition:?}");
    };
    check(and(yes(), yes()), "yes");
    check(and(yes(), no()), "no");
    check(and(yes(), unknown()), "unknown");
    check(and(no(), unknown()), "no");
    check(and(unknown(), no()), "no");
    check(and(unknown(), yes()), "unknown");
    check(and(unknown(), unknown()), "unknown");
    check(or(no(), no()), "no");
    check(or(no(), yes()), "yes");
    check(or(no(), unknown()), "unknown");
    check(or(unknown(), yes()), "yes");
    check(or(unknown(), no()), "unknown");
    check(not(yes()), "no");
    check(not(no()), "yes");
    check(not(unknown()), "unknown");
    check(Condition::And(vec![]), "yes");
    check(Condition::Or(vec![]), "no");
    // There is honestly no name: not the same as unknown.
    let absent = truth(
        &policy(vec![]),
        &not(suffix("local")),
        "dst=1.1.1.1:1 look=none",
    );
    assert_eq!(absent, "yes");
}

#[test]
fn logic_asks_from_the_left_and_stops_early() {
    let sniff = || Condition::Protocol(Protocol::Tls);
    let owner = || Condition::Text(TextField::ProcessName, TextTest::Exact("curl".into()));
    check(
        &Condition::And(vec![port(443), sniff(), owner()]),
        &[
            ("dst=x.test:80", "no"),
            ("dst=x.test:443", "needs sniff"),
            ("dst=x.test:443 look=tls:x.test", "needs owner"),
            ("dst=x.test:443 look=http:x.test", "no"),
            // Unknown does not end an AND: a later part may still make it false.
            ("dst=x.test:443 look=!gone", "needs owner"),
            ("dst=x.test:443 look=!gone owner=wget", "no"),
        ],
    );
    check(
        &Condition::Or(vec![port(443), sniff(), owner()]),
        &[
            ("dst=x.test:443", "yes"),
            ("dst=x.test:80", "needs sniff"),
            ("dst=x.test:80 look=tls:x.test", "yes"),
            ("dst=x.test:80 look=!gone owner=curl", "yes"),
        ],
    );
}

#[test]
fn rule_sets() {
    let mut names = RuleSet::new("names", "names.txt");
    names.add_suffix(name("ads.test"), 1, "+.ads.test");
    names.add_exact(name("exact.test"), 2, "exact.test");
    let mut ranges = RuleSet::new("ranges", "ranges.txt");
    ranges.add_prefix("10.0.0.0/8".parse().unwrap(), 1, "10.0.0.0/8");
    let mut mixed = RuleSet::new("mixed", "mixed.txt");
    mixed.add_suffix(name("ads.test"), 1, "DOMAIN-SUFFIX,ads.test");
    mixed.add_prefix("10.0.0.0/8".parse().unwrap(), 2, "IP-CIDR,10.0.0.0/8");
    mixed.add_other(port(22), 3, "DST-PORT,22");
    let curl = TextTest::Exact("curl".into());
    mixed.add_other(
        Condition::Text(TextField::ProcessName, curl),
        4,
        "PROCESS-NAME,curl",
    );
    let mut nested = RuleSet::new("nested", "nested.txt");
    nested.add_other(Condition::Set(SetId(2), Asks::Resolve), 1, "RULE-SET,mixed");
    let mut circle = RuleSet::new("circle", "circle.txt");
    circle.add_other(
        Condition::Set(SetId(4), Asks::Resolve),
        1,
        "RULE-SET,circle",
    );
    let sets = vec![names, ranges, mixed, nested, circle];

    let check = |set: u32, asks: Asks, cases: &[(&str, &str)]| {
        let body = vec![
            rule(1, Condition::Set(SetId(set), asks), PROXY),
            leaf(2, DIRECT),
        ];
        let policy = with_sets(policy(body), sets.clone());
        for (words, expected) in cases {
            assert_eq!(told(&policy, words), *expected, "set {set} of {words}");
        }
    };
    check(
        0,
        Asks::Resolve,
        &[
            (
                "dst=a.ads.test:80",
                "proxy by 1 with +.ads.test (names.txt:1)",
            ),
            (
                "dst=exact.test:80",
                "proxy by 1 with exact.test (names.txt:2)",
            ),
            // No prefixes, so nothing to resolve for.
            ("dst=a.exact.test:80", "direct by 2"),
            ("dst=10.1.1.1:80", "needs sniff"),
        ],
    );
    check(
        1,
        Asks::Never,
        &[
            (
                "dst=10.1.1.1:80",
                "proxy by 1 with 10.0.0.0/8 (ranges.txt:1)",
            ),
            ("dst=x.test:80 resolved=10.1.1.1", "direct by 2"),
        ],
    );
    check(1, Asks::Resolve, &[("dst=x.test:80", "needs resolve")]);
    check(
        2,
        Asks::Resolve,
        &[
            (
                "dst=a.ads.test:80",
                "proxy by 1 with DOMAIN-SUFFIX,ads.test (mixed.txt:1)",
            ),
            ("dst=x.test:22", "needs resolve"),
            (
                "dst=x.test:22 resolved=10.1.1.1",
                "proxy by 1 with IP-CIDR,10.0.0.0/8 (mixed.txt:2)",
            ),
            (
                "dst=x.test:22 resolved=1.1.1.1",
                "proxy by 1 with DST-PORT,22 (mixed.txt:3)",
            ),
            (
                "dst=x.test:22 resolved=!gone",
                "proxy by 1 with DST-PORT,22 (mixed.txt:3)",
            ),
            ("dst=x.test:80 resolved=1.1.1.1", "needs owner"),
            ("dst=x.test:80 resolved=1.1.1.1 owner=none", "direct by 2"),
        ],
    );
    // The rule that uses a set may forbid what the set's rules would ask, also through another set.
    check(
        3,
        Asks::Never,
        &[("dst=x.test:80 resolved=10.1.1.1", "needs owner")],
    );
    check(3, Asks::Resolve, &[("dst=x.test:80", "needs resolve")]);
    check(4, Asks::Resolve, &[("dst=x.test:80", "direct by 2")]);
    check(9, Asks::Resolve, &[("dst=x.test:80", "direct by 2")]);
}

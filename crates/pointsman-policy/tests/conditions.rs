//! Every kind of condition, one case a line.

mod flow;

use flow::{ip, name, policy, suffix, truth};
use pointsman_policy::NamePattern;
use pointsman_policy::condition::{
    AddressKind, AddressOf, Asks, Condition, DomainTest, NumberField, Side, TextField, TextTest,
};
use pointsman_policy::fact::{InboundKind, Network, Protocol};
use pointsman_policy::model::{DomainOrder, Policy};
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
    let regex = NamePattern::new("^ads[0-9]+\\.").unwrap();
    check(
        &domain(DomainTest::Regex(regex)),
        &[("dst=ads1.test:1", "yes"), ("dst=xads1.test:1", "no")],
    );
}

#[test]
fn types_of_queries() {
    let https = NumberField::DnsType.read_range("HTTPS").unwrap();
    let test = Condition::Number(NumberField::DnsType, https);
    let cases = [
        ("dst=a.test:1 type=65", "yes"),
        ("dst=a.test:1 type=1", "no"),
        // Flows have none.
        ("dst=a.test:1", "no"),
    ];
    check(&test, &cases);
    check(
        &Condition::Not(Box::new(test)),
        &[("dst=a.test:1 type=1", "yes"), ("dst=a.test:1", "yes")],
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
        &[
            ("owner=curl", "no"),
            ("owner=curl tag=t", "yes"),
            ("owner=curl tag=T", "no"),
            ("owner=curl tag=none", "no"),
            ("owner=none", "no"),
            ("", "needs owner"),
        ],
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
fn numbers() {
    use NumberField::{Dscp, Ech, Pid, QuicVersion, TlsVersion};
    check(
        &Condition::Number(Dscp, 40..=46),
        &[
            ("dscp=46", "yes"),
            ("dscp=47", "no"),
            ("dscp=none", "no"),
            ("dscp=!gone", "unknown: gone"),
            // Settled at accept.
            ("", "no"),
        ],
    );
    check(
        &Condition::Number(Pid, 7..=7),
        &[
            ("", "needs owner"),
            ("owner=curl pid=7", "yes"),
            ("owner=curl pid=8", "no"),
            ("owner=curl pid=!denied", "unknown: denied"),
            ("owner=curl", "no"),
            ("owner=none", "no"),
            ("owner=!broken", "unknown: broken"),
        ],
    );
    check(
        &Condition::Number(TlsVersion, 0x301..=0x303),
        &[
            ("", "needs sniff"),
            ("look=tls:x.test", "yes"),
            ("look=ech:x.test", "no"),
            ("look=other", "no"),
            ("look=!gone", "unknown: gone"),
        ],
    );
    check(
        &Condition::Number(Ech, 0..=0),
        &[
            ("", "needs sniff"),
            ("look=tls:x.test", "yes"),
            ("look=ech:x.test", "no"),
            // Where there is no hello, there is none within.
            ("look=http:x.test", "no"),
        ],
    );
    check(
        &Condition::Number(QuicVersion, 1..=1),
        &[
            ("network=udp look=quic:x.test", "yes"),
            ("network=udp look=other", "no"),
            ("look=tls:x.test", "no"),
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

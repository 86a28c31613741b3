//! The DNS server: it listens where it did, and asks the same servers for the same names.

use std::collections::BTreeSet;
use std::path::Path;

use super::foreign::converted;
use super::loaded;
use crate::convert::{Conversion, from_setup};
use crate::damage::shared;
use pointsman_config::dialect::foreign::Foreign;
use pointsman_config::files::{Disk, Files, Memory};
use pointsman_config::load::{Loaded, load};
use pointsman_config::setup::{DnsEnd, NameServer, Setup};
use pointsman_policy::fact::{Fact, Facts, Provenance};
use pointsman_policy::{Domain, Host, Step};

/// Who is asked for a name, each server with the way to it.
fn asked(setup: &Setup, name: &str) -> Vec<String> {
    let what = &setup.dns.as_ref().expect("a DNS server").what;
    let facts = Facts {
        destination: Fact::Known(
            Host::Name(Domain::parse(name).unwrap()),
            Provenance::Request,
        ),
        ..Facts::default()
    };
    let Step::Decided(decision) = what.policy.decide(&facts) else {
        panic!("{name} is not decided");
    };
    let end = usize::try_from(decision.outbound.unwrap().0).unwrap();
    let DnsEnd::Ask(at) = what.ends[end] else {
        return vec![format!("{:?}", what.ends[end])];
    };
    let upstream = &what.upstreams[at];
    let shown = |server: &NameServer| {
        let way = server.via().and_then(|via| setup.outbound(via));
        let way = way.map_or("no way", |way| &way.name);
        format!("{} by {way}, {:?}", server.without_way(), upstream.timeout)
    };
    upstream.servers.iter().map(shown).collect()
}

/// Converts, and compares both servers: where they listen, and whom they ask for each of some names.
fn serves_alike(path: &Path, files: &dyn Files, names: &[&str]) -> (Conversion, BTreeSet<String>) {
    let Loaded {
        setup, problems, ..
    } = load(path, None, None, files);
    let setup = setup.unwrap_or_else(|| panic!("{:?}", problems.0));
    let conversion = from_setup(&setup, "", &problems);
    let native = loaded(&conversion.text, &setup.directory, files);
    let doors = |setup: &Setup| {
        let doors = &setup.dns.as_ref().expect("a DNS server").doors;
        let doors = doors.iter().flat_map(|door| door.listen.clone());
        doors.collect::<Vec<_>>()
    };
    assert_eq!(doors(&native), doors(&setup), "{}", conversion.text);
    let mut answers = BTreeSet::new();
    for name in names {
        let expected = asked(&setup, name);
        assert_eq!(
            asked(&native, name),
            expected,
            "{name}\n{}",
            conversion.text
        );
        answers.extend(expected);
    }
    (conversion, answers)
}

#[test]
fn the_sample_asks_as_before() {
    let Some(path) = shared("samples/reflow") else {
        return;
    };
    let names = [
        "twitter.com",
        "www.reddit.com",
        "com",
        "example.org",
        "printer.local",
        "router",
        "1.0.0.10.in-addr.arpa",
    ];
    let (conversion, answers) = serves_alike(&path, &Disk, &names);
    assert_eq!(answers.len(), 2, "{answers:?}");
    for line in [
        "  listen: \"udp://127.0.0.1:53535\"",
        "    - RULE-SET, secret-sites, by-privacyproxy",
        "    - FALLBACK, directly",
    ] {
        let text = &conversion.text;
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    let summary = conversion.summary.to_string();
    assert!(
        summary.contains("  - the DNS server at `udp://127.0.0.1:53535`\n"),
        "{summary}"
    );
}

/// `forward`, in a configuration with zones within each other, and two ways out.
fn reflow(forward: &str, more: &str) -> Memory {
    let config = format!(
        "egress p=socks5 127.0.0.1:1\negress P=socks5 127.0.0.1:2\ndns {{\n listen=udp 127.0.0.1:53\n forward={{\n{forward}\n }}\n}}\n{more}"
    );
    Memory::new([
        ("c/config", config.as_str()),
        ("c/namezone/wide", "test\norg.wide\n"),
        ("c/namezone/narrow", "test.a.b\n"),
        ("c/namezone/narrower", "test.a.b.c\n"),
    ])
}

#[test]
fn a_name_is_of_its_nearest_zone() {
    let relay = "rule r=any[\n cond domain {\n wide => p\n }\n direct\n]\nrelay {\n rule=r\n listen=socks5 127.0.0.1:1080\n resolver=udp 127.0.0.1:53\n}\n";
    let names = [
        "test",
        "x.test",
        "a.test",
        "b.a.test",
        "x.b.a.test",
        "c.b.a.test",
        "x.c.b.a.test",
        "wide.org",
        "org",
        "x",
        "local",
    ];
    for (forward, different) in [
        ("wide => p|udp 192.0.2.1:53\n else => udp 192.0.2.2:53", 2),
        (
            "wide => p|udp 192.0.2.1:53\n narrower => P|tcp 192.0.2.1:53\n else => tcp 192.0.2.1:53",
            3,
        ),
        (
            "narrow => udp 192.0.2.1:53\n wide => tcp 192.0.2.1:53\n else => udp [2001:db8::1]:5353",
            3,
        ),
        // Several zones may be of one server.
        (
            "narrow => p|udp 192.0.2.1:53\n wide => p|udp 192.0.2.1:53\n else => udp 192.0.2.2:53",
            2,
        ),
        ("else => udp 192.0.2.2:53", 1),
    ] {
        for more in ["", relay] {
            let files = reflow(forward, more);
            let (conversion, answers) = serves_alike(Path::new("c"), &files, &names);
            assert_eq!(answers.len(), different, "{}", conversion.text);
        }
    }
}

#[test]
fn what_differs_is_told() {
    let Loaded {
        setup, problems, ..
    } = load(
        Path::new("c"),
        None,
        None,
        &reflow("else => udp 192.0.2.2:53", ""),
    );
    let conversion = from_setup(&setup.unwrap(), "", &problems);
    let told: Vec<String> = conversion.report.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "config:3: warning: the DNS server itself answers names that mean nothing to the world (`printer.local`, `router`, \
             reverse names of private addresses), unless a rule of `dns.rules` sends them: the original asked its name servers for them"
        ]
    );
    let summary = &conversion.summary;
    assert!(
        summary
            .changed
            .iter()
            .any(|line| line.contains("`printer.local`")),
        "{summary}"
    );
    assert!(
        summary.next.iter().any(|line| line.contains("`dns.rules`")),
        "{summary}"
    );
}

/// A configuration of Clash with these keys of `dns`.
fn clash(dns: &str) -> Conversion {
    let text = format!(
        "mixed-port: 7890\nproxies: []\nhosts: {{ 'ads.test': 0.0.0.0, 'nas.test': 10.0.0.5 }}\ndns:\n  nameserver: [192.0.2.1]\n{dns}rules: ['MATCH,DIRECT']\n"
    );
    converted(Foreign::Clash, &text)
}

#[test]
fn clash_listens_as_before() {
    for (listen, expected) in [
        ("127.0.0.1:1053", "udp://127.0.0.1:1053"),
        ("localhost:1053", "udp://127.0.0.1:1053"),
        ("0.0.0.0:53", "udp://0.0.0.0:53"),
        (":53", "udp://[::]:53"),
        ("[fd00::1]:53", "udp://[fd00::1]:53"),
    ] {
        let done = clash(&format!(
            "  enable: true\n  listen: '{listen}'\n  nameserver-policy: {{ '+.corp.test': 192.0.2.2 }}\n"
        ));
        let setup = loaded(&done.text, Path::new(""), &Memory::default());
        let server = setup
            .dns
            .as_ref()
            .unwrap_or_else(|| panic!("{}", done.text));
        let doors = server.doors.iter().flat_map(|door| &door.listen);
        let doors: Vec<String> = doors.map(|listen| listen.at.to_string()).collect();
        assert_eq!(doors[0], expected);
        for (name, asks) in [
            ("x.test", "udp 192.0.2.1:53"),
            ("corp.test", "udp 192.0.2.2:53"),
            ("a.corp.test", "udp 192.0.2.2:53"),
        ] {
            let asked = asked(&setup, name);
            assert!(
                asked[0].starts_with(asks),
                "{name}: {asked:?}\n{}",
                done.text
            );
        }
        // Flows to such a name are refused; whoever asks for it is told that it is nowhere.
        let hosts = server.what.hosts.iter();
        let hosts: Vec<String> = hosts
            .map(|(name, _, at)| format!("{} {at}", name.as_str()))
            .collect();
        assert_eq!(hosts, ["ads.test 0.0.0.0", "nas.test 10.0.0.5"]);
        let summary = done.summary.to_string();
        let works = format!("  - the DNS server at `{expected}`\n");
        assert!(summary.contains(&works), "{summary}");
        assert_eq!(
            summary.contains("say who may ask"),
            !expected.contains("127.0.0.1")
        );
        assert!(
            summary.contains("`printer.local`") && summary.contains("AAAA"),
            "{summary}"
        );
    }
}

#[test]
fn what_does_not_listen_is_told() {
    for (dns, told) in [
        ("  enable: true\n", false),
        ("  enable: true\n  listen: ''\n", false),
        ("  enable: false\n  listen: 127.0.0.1:53\n", false),
        ("  listen: 127.0.0.1:53\n", false),
        ("  enable: true\n  listen: somewhere\n", true),
        ("  enable: true\n  listen: 'dns.test:53'\n", true),
        // There is the inbound.
        ("  enable: true\n  listen: '127.0.0.1:7890'\n", true),
    ] {
        let done = clash(dns);
        assert!(!done.text.contains("udp://127.0.0.1"), "{}", done.text);
        let summary = done.summary.to_string();
        assert_eq!(
            summary.contains("no DNS server listens"),
            told,
            "{dns}{summary}"
        );
        let lost = done.report.iter().filter(|remark| !remark.equal);
        let lost: Vec<String> = lost.map(ToString::to_string).collect();
        let lost = lost.join("\n");
        assert_eq!(
            lost.contains("clients that ask it get no answer"),
            told,
            "{lost}"
        );
        loaded(&done.text, Path::new(""), &Memory::default());
    }
    // Nobody answers: it does not work as before.
    let done = converted(
        Foreign::Clash,
        "mixed-port: 1\nproxies: []\ndns: { enable: true, listen: '127.0.0.1:53', respect-rules: true, nameserver: [192.0.2.1] }\nrules: ['MATCH,DIRECT']\n",
    );
    let changed = done.summary.changed.join("\n");
    assert!(
        changed.contains("the DNS server at `udp://127.0.0.1:53` has no answer"),
        "{changed}"
    );
}

/// Those who ask the DNS server are served by rule sets, too.
#[test]
fn sets_of_clash_have_their_servers() {
    let done = |policies: &str| {
        let text = format!(
            "mixed-port: 1\nproxies: []\nrule-providers:\n  ads: {{ type: inline, behavior: domain, payload: ['+.ads.test'] }}\n  nets: {{ type: inline, behavior: ipcidr, payload: [10.0.0.0/8] }}\n\
             dns:\n  enable: true\n  listen: 127.0.0.1:53\n  nameserver: [192.0.2.1]\n  nameserver-policy: {{ {policies} }}\nrules: ['MATCH,DIRECT']\n"
        );
        converted(Foreign::Clash, &text)
    };
    for (policies, name, expected, rules) in [
        (
            "'rule-set:ads': 192.0.2.2",
            "x.ads.test",
            "udp 192.0.2.2:53",
            "RULE-SET, ads, policy-1",
        ),
        (
            "'rule-set:nets,ads': 'rcode://name_error'",
            "ads.test",
            "NoName",
            "RULE-SET, nets, nxdomain\n    - RULE-SET, ads, nxdomain",
        ),
        (
            "'rule-set:ads': 'rcode://success'",
            "ads.test",
            "NoData",
            "RULE-SET, ads, nodata",
        ),
        (
            "'rule-set:ads': 'rcode://refused'",
            "ads.test",
            "Refused",
            "RULE-SET, ads, refused",
        ),
        (
            "'rule-set:ads': 192.0.2.2",
            "test",
            "udp 192.0.2.1:53",
            "RULE-SET, ads, policy-1",
        ),
        // It is empty until it is fetched.
        (
            "'geosite:CN': 192.0.2.2",
            "x.test",
            "udp 192.0.2.1:53",
            "RULE-SET, geosite-cn, policy-1",
        ),
    ] {
        let done = done(policies);
        let rules = format!("  rules:\n    - {rules}\n    - FALLBACK, nameserver\n");
        assert!(done.text.contains(&rules), "{rules}\n{}", done.text);
        let setup = loaded(&done.text, Path::new(""), &Memory::default());
        let asked = asked(&setup, name);
        assert!(asked[0].starts_with(expected), "{name}: {asked:?}");
        // What is dialled directly is looked up by another way.
        let changed = done.summary.changed.join("\n");
        assert!(
            changed.contains("holds for those who ask the DNS server"),
            "{changed}"
        );
    }
    for policies in [
        "'rule-set:gone': 192.0.2.2",
        "'rule-set:ads,gone': 192.0.2.2",
        "'geosite:': 192.0.2.2",
    ] {
        let done = done(policies);
        assert!(
            done.text.contains("  rules:\n    - FALLBACK, nameserver\n"),
            "{}",
            done.text
        );
        let changed = done.summary.changed.join("\n");
        assert!(
            changed.contains("is asked for names that went"),
            "{changed}"
        );
    }
    let lost = |policies: &str| {
        let report = done(policies).report;
        let lost = report.iter().map(ToString::to_string);
        lost.collect::<Vec<_>>()
            .join("\n")
            .contains("counts before the rule sets")
    };
    assert!(lost("'rule-set:ads': 192.0.2.2, '+.x.test': 192.0.2.3"));
    assert!(!lost("'+.x.test': 192.0.2.3, 'rule-set:ads': 192.0.2.2"));
}

/// Names that a set sent elsewhere are asked of the usual server: what it learns is no detail.
#[test]
fn names_that_go_astray_are_told() {
    let of_clash = clash("  enable: true\n  nameserver-policy: { 'geosite:cn': 192.0.2.2 }\n");
    let of_sing_box = |server: &str| {
        converted(
            Foreign::SingBox,
            &format!(
                r#"{{"outbounds": [{{"type": "direct", "tag": "d"}}], "inbounds": [{{"type": "mixed", "listen_port": 1}}],
                "dns": {{"servers": [{{"tag": "near", "type": "udp", "server": "192.0.2.1"}}, {{"tag": "away", "type": "udp", "server": "192.0.2.2"}}],
                "rules": [{{"rule_set": "secret", "server": "{server}"}}]}}}}"#
            ),
        )
    };
    let astray = "is asked for names that went to other name servers";
    for (done, rule) in [(of_clash, "`geosite:cn`"), (of_sing_box("away"), "secret")] {
        let Some(line) = done
            .summary
            .changed
            .iter()
            .find(|line| line.contains(astray))
        else {
            panic!("{}", done.summary);
        };
        assert!(line.contains(rule), "{line}");
        let next = done.summary.next.join("\n");
        assert!(
            next.contains("`dns: { listen: \"udp://127.0.0.1:53\", rules: "),
            "{next}"
        );
    }
    let same = of_sing_box("near").summary.to_string();
    assert!(!same.contains(astray), "{same}");
}

//! Corners of Clash's and sing-box's configurations: each says where flows go, and what the report calls
//! not equal.

use std::path::Path;

use super::foreign::{convert, converted};
use super::{loaded, way};
use pointsman_config::dialect::foreign::Foreign;
use pointsman_config::files::Memory;

/// `ways`: flows and where they go. `lost`: a word of each remark that is not equal, in order.
pub(super) fn check(foreign: Foreign, text: &str, ways: &[(&str, &str)], lost: &[&str]) -> String {
    let conversion = converted(foreign, text);
    let setup = loaded(&conversion.text, Path::new(""), &Memory::default());
    for (flow, expected) in ways {
        assert_eq!(way(&setup, flow), *expected, "{flow}\n{}", conversion.text);
    }
    let told: Vec<String> = conversion
        .report
        .iter()
        .filter(|remark| !remark.equal)
        .map(ToString::to_string)
        // Of the proxy `b`; it has a test of its own.
        .filter(|remark| !remark.contains("no UDP goes by"))
        .collect();
    let same = told.len() == lost.len()
        && told
            .iter()
            .zip(lost)
            .all(|(told, word)| told.contains(word));
    assert!(same, "{told:#?}\n{lost:?}\n{}", conversion.text);
    conversion.text
}

pub(super) fn clash(rest: &str, ways: &[(&str, &str)], lost: &[&str]) -> String {
    let text = format!(
        "mixed-port: 7890\nproxies:\n  - {{ name: a, type: socks5, server: 127.0.0.1, port: 1, udp: true }}\n  \
         - {{ name: b, type: http, server: 127.0.0.1, port: 2 }}\n{rest}"
    );
    check(Foreign::Clash, &text, ways, lost)
}

/// Inbounds, outbounds, then what `route` has.
fn sing_box(inbound: &str, route: &str, ways: &[(&str, &str)], lost: &[&str]) -> String {
    let text = format!(
        r#"{{ "inbounds": [ {{ "type": "mixed", "tag": "in", "listen": "127.0.0.1", "listen_port": 7890 {inbound} }} ],
        "outbounds": [ {{ "type": "direct", "tag": "direct" }},
          {{ "type": "socks", "tag": "a", "server": "127.0.0.1", "server_port": 1 }},
          {{ "type": "http", "tag": "b", "server": "127.0.0.1", "server_port": 2 }} ],
        "route": {{ {route} }} }}"#
    );
    check(Foreign::SingBox, &text, ways, lost)
}

#[test]
fn a_set_that_lacks_entries_is_not_negated() {
    clash(
        "rule-providers:\n  s: { type: inline, behavior: classical, payload: ['DOMAIN-SUFFIX,s.test', 'UID,5'] }\n\
         rules:\n  - NOT,((RULE-SET,s)),a\n  - AND,((NETWORK,tcp),(NOT,((OR,((RULE-SET,s),(DST-PORT,1)))))),a\n  \
         - NOT,((NOT,((RULE-SET,s)))),b\n  - RULE-SET,s,a\n  - MATCH,DIRECT\n",
        &[
            ("dst=else.test:443", "direct direct"),
            ("dst=x.s.test:443", "b proxy"),
            ("dst=x.s.test:443 network=udp", "b reject"),
        ],
        &["UID,5", "NOT,((RULE-SET,s)),a", "AND,((NETWORK"],
    );
    sing_box(
        "",
        r#""rule_set": [ { "type": "inline", "tag": "s", "rules": [ { "domain_suffix": "s.test" }, { "wifi_ssid": "x" } ] } ],
           "rules": [ { "rule_set": "s", "invert": true, "outbound": "a" },
             { "type": "logical", "mode": "and", "rules": [ { "rule_set": "s", "invert": true }, { "port": 1 } ], "outbound": "a" },
             { "rule_set": "s", "outbound": "b" } ]"#,
        &[
            ("dst=else.test:1", "direct direct"),
            ("dst=x.s.test:1", "b proxy"),
        ],
        &["wifi_ssid", "invert", "logical"],
    );
}

#[test]
fn a_set_that_is_fetched_is_negated_with_a_warning() {
    clash(
        "rule-providers:\n  s: { type: http, behavior: domain, url: 'https://x.test/s', interval: 60, proxy: DIRECT }\n\
         rules: ['NOT,((RULE-SET,s)),a', 'NOT,((GEOSITE,cn)),a', 'RULE-SET,s,b', 'MATCH,DIRECT']\n",
        &[],
        &[
            "NOT,((RULE-SET,s))",
            "NOT,((GEOSITE,cn))",
            "Clash's database of countries and names is fetched directly",
        ],
    );
}

/// Until a list is there, what is not in it is every flow: none of them leaves directly for that.
#[test]
fn what_is_not_in_a_set_that_is_fetched_does_not_leave_directly_for_that() {
    let why = "it sends directly what is not in a rule set that is fetched";
    let text = "proxy-groups: [{ name: near, type: select, proxies: [own, a] }, { name: own, type: select, proxies: [DIRECT] },\n  \
                { name: far, type: select, proxies: [a, DIRECT] }]\n\
                rule-providers:\n  s: { type: http, behavior: domain, url: 'https://x.test/s', proxy: DIRECT }\n";
    for (out, told, way) in [
        ("DIRECT", why, "a proxy"),
        ("near", why, "a proxy"),
        (
            "far",
            "it takes more flows until the set is there",
            "far proxy",
        ),
        (
            "REJECT",
            "it takes more flows until the set is there",
            "reject reject",
        ),
    ] {
        let rules = format!("{text}rules: ['NOT,((RULE-SET,s)),{out}', 'MATCH,a']\n");
        clash(&rules, &[("dst=x.test:1", way)], &[told]);
    }
    let sets =
        r#""rule_set": [ { "tag": "s", "type": "remote", "url": "https://x.test/s.srs" } ],"#;
    let rule =
        r#""rules": [ { "rule_set": "s", "invert": true, "outbound": "direct" } ], "final": "a""#;
    sing_box(
        "",
        &format!("{sets} {rule}"),
        &[("dst=x.test:1", "a proxy")],
        &[why],
    );
}

/// A chain carries UDP where each of its hops does.
#[test]
fn proxies_behind_proxies_carry_udp_as_far_as_each_does() {
    let text = "proxies:\n  \
                - { name: near, type: socks5, server: 127.0.0.1, port: 1, udp: true }\n  \
                - { name: web, type: http, server: 127.0.0.1, port: 2 }\n  \
                - { name: far, type: socks5, server: 127.0.0.1, port: 3, udp: true, dialer-proxy: near }\n  \
                - { name: none, type: socks5, server: 127.0.0.1, port: 4, udp: true, dialer-proxy: web }\n\
                proxy-groups: [{ name: relay, type: relay, proxies: [near, far] }]\n";
    for (out, way) in [
        ("far", "far proxy"),
        ("none", "none reject"),
        ("relay", "relay proxy"),
    ] {
        let whole = format!("mixed-port: 7890\n{text}rules: ['MATCH,{out}']\n");
        check(
            Foreign::Clash,
            &whole,
            &[("dst=x.test:1 network=udp", way)],
            &[],
        );
    }
}

#[test]
fn values_of_a_wrong_kind_are_not_passed_over() {
    sing_box(
        "",
        r#""rules": [ { "port": [ 80, true ], "invert": true, "outbound": "a" }, { "domain": [ {} ], "port": 1, "outbound": "a" } ]"#,
        &[
            ("dst=x.test:443", "direct direct"),
            ("dst=x.test:1", "direct direct"),
        ],
        &["port", "domain"],
    );
}

#[test]
fn protocols_need_a_look() {
    let rules = r#"{ "protocol": "tls", "outbound": "a" }, { "type": "logical", "mode": "and", "rules": [ { "protocol": "tls", "invert": true }, { "port": 9 } ], "outbound": "b" },
        { "type": "logical", "mode": "or", "rules": [ { "protocol": "bittorrent" }, { "port": 7 } ], "outbound": "b" }"#;
    let text = sing_box(
        "",
        &format!(r#""rules": [ {rules} ]"#),
        &[
            ("dst=x.test:1 protocol=tls", "direct direct"),
            // Turned around, what never holds always does.
            ("dst=x.test:9 protocol=tls", "b proxy"),
            ("dst=x.test:7", "b proxy"),
        ],
        &[],
    );
    assert!(!text.contains("PROTOCOL"), "{text}");
    let sniffed = [
        ("dst=x.test:1 protocol=tls", "a proxy"),
        ("dst=x.test:9 protocol=http", "b proxy"),
        ("dst=x.test:7 protocol=http", "b proxy"),
    ];
    let rules = rules.replace("bittorrent", "ssh");
    sing_box(
        "",
        &format!(r#""rules": [ {{ "action": "sniff" }}, {rules} ]"#),
        &sniffed,
        &[],
    );
    sing_box(
        "",
        &format!(r#""rules": [ {{ "inbound": [ "in" ], "action": "sniff" }}, {rules} ]"#),
        &sniffed,
        &[],
    );
    sing_box(
        r#", "sniff": true"#,
        &format!(r#""rules": [ {rules} ]"#),
        &sniffed,
        &[],
    );
    // Rules before it see nothing.
    sing_box(
        "",
        r#""rules": [ { "protocol": "ssh", "outbound": "a" }, { "port": 53, "action": "sniff" }, { "protocol": "ssh", "outbound": "b" } ]"#,
        &[("dst=x.test:1 protocol=ssh", "b proxy")],
        &["for all flows"],
    );
}

#[test]
fn relays_are_chains() {
    let text = clash(
        "proxy-groups:\n  - { name: r, type: relay, proxies: [a, DIRECT, b] }\n  - { name: none, type: relay, proxies: [DIRECT] }\n  \
         - { name: no, type: relay, proxies: [a, REJECT] }\n\
         rules: ['DOMAIN,r.test,r', 'DOMAIN,none.test,none', 'DOMAIN,no.test,no', 'MATCH,a']\n",
        &[
            ("dst=r.test:1", "r proxy"),
            ("dst=none.test:1", "none direct"),
            ("dst=no.test:1", "no reject"),
            ("dst=r.test:1 network=udp", "r reject"),
        ],
        &[],
    );
    assert!(text.contains("r: { type: chain, hops: [a, b] }"), "{text}");
}

#[test]
fn proxies_behind_proxies_are_chains() {
    let text = check(
        Foreign::Clash,
        "mixed-port: 7890\nproxies:\n  - { name: a, type: socks5, server: 127.0.0.1, port: 1 }\n  \
         - { name: b, type: http, server: 127.0.0.1, port: 2, dialer-proxy: a }\nrules: ['MATCH,b']\n",
        &[("dst=x.test:1", "b proxy")],
        &[],
    );
    assert!(
        text.contains("b: { type: chain, hops: [a, \"b itself\"] }"),
        "{text}"
    );
    let text = check(
        Foreign::SingBox,
        r#"{ "inbounds": [], "outbounds": [ { "type": "socks", "tag": "a", "server": "127.0.0.1", "server_port": 1, "detour": "b" },
             { "type": "http", "tag": "b", "server": "127.0.0.1", "server_port": 2, "detour": "direct" }, { "type": "direct", "tag": "direct" } ], "route": {} }"#,
        &[],
        &[],
    );
    assert!(
        text.contains("a: { type: chain, hops: [b, \"a itself\"] }"),
        "{text}"
    );
}

#[test]
fn passwords_are_told_of() {
    let say = |foreign, text: &str| {
        let report = converted(foreign, text).report;
        report
            .iter()
            .any(|remark| remark.text.contains("holds passwords"))
    };
    let clash = |rest: &str| say(Foreign::Clash, &format!("mixed-port: 1\n{rest}\n"));
    assert!(!clash("rules: ['MATCH,DIRECT']"));
    // Nor what is not in the result, or says nothing.
    assert!(!clash(
        "proxies: [{ name: a, type: ss, server: h, port: 1, password: p }, { name: b, type: socks5, server: h, port: 1, username: '', password: '' }]"
    ));
    assert!(!clash(
        "proxies: [{ name: a, type: socks5, server: '', port: x, username: u, password: p }]"
    ));
    assert!(clash("authentication: ['u:p']"));
    assert!(clash(
        "proxies: [{ name: a, type: http, server: h, port: 1, username: u, password: p }]"
    ));
    let sing_box = |user: &str| {
        let text = format!(
            r#"{{ "inbounds": [ {{ "type": "http", "listen_port": 1 {user} }} ], "outbounds": [], "route": {{}} }}"#
        );
        say(Foreign::SingBox, &text)
    };
    assert!(!sing_box(""));
    assert!(sing_box(
        r#", "users": [ { "username": "u", "password": "p" } ]"#
    ));
}

#[test]
fn what_does_not_load_is_taken_out() {
    clash(
        "proxy-groups: [{ name: g, type: select, proxies: [h] }, { name: h, type: select, proxies: [g] }]\n\
         rule-providers: { s: { type: http, behavior: odd, format: text, url: 'https://x.test/s', proxy: DIRECT }, t: { type: inline, payload: ['DOMAIN,t.test'] } }\n\
         rules: ['DOMAIN,g.test,g', 'RULE-SET,s,a', 'RULE-SET,t,b', 'NOT,((DOMAIN,g.test)),b', 'MATCH,g']\n",
        &[
            ("dst=g.test:1", "g reject"),
            ("dst=t.test:1", "b proxy"),
            ("dst=x.test:1", "b proxy"),
        ],
        &[
            "`g` is not",
            "begins with `g`",
            "`s` of `rule_sets`",
            "RULE-SET,s",
        ],
    );
}

#[test]
fn groups_may_stand_above_their_members() {
    let text = clash(
        "proxy-groups: [{ name: top, type: select, proxies: [low, b] }, { name: low, type: select, proxies: [a] }]\n\
         rules: ['DOMAIN,x.test,top', 'MATCH,DIRECT']\n",
        &[("dst=x.test:1 network=udp", "top proxy")],
        &[],
    );
    assert!(text.contains("- DOMAIN, x.test, top\n"), "{text}");
}

#[test]
fn lists_at_hand_are_looked_at() {
    let text = "mixed-port: 1\nrule-providers:\n  l: { type: file, behavior: classical, path: ./l.yaml }\n  gone: { type: file, behavior: domain, path: gone.yaml }\n\
                rules: ['RULE-SET,l,REJECT', 'AND,((NETWORK,tcp),(NOT,((RULE-SET,l)))),REJECT', 'MATCH,DIRECT']\n";
    let files = Memory::new([
        ("d/l.yaml", "payload:\n  - DOMAIN,l.test\n  - UID,7\n"),
        ("d/gone.yaml", "payload: [x.test]\n"),
    ]);
    let done = convert(Foreign::Clash, text, "d", &files).unwrap();
    let lost: Vec<String> = done
        .report
        .iter()
        .filter(|r| !r.equal)
        .map(ToString::to_string)
        .collect();
    assert!(
        lost.len() == 2 && lost[1].starts_with("l.yaml:3: ") && lost[0].contains("lacks entries"),
        "{lost:?}"
    );
    let setup = loaded(&done.text, Path::new("d"), &files);
    assert_eq!(way(&setup, "dst=l.test:1"), "reject reject");
    assert_eq!(way(&setup, "dst=x.test:1"), "direct direct");
    assert!(
        done.report
            .iter()
            .any(|r| r.equal && r.text.contains("keep the file there"))
    );
    // A list that is not there is no fault of what is written.
    let files = Memory::new([("d/l.yaml", "payload: ['DOMAIN,l.test']\n")]);
    let done = convert(Foreign::Clash, text, "d", &files).unwrap();
    assert!(
        done.report
            .iter()
            .any(|r| !r.equal && r.text.contains("gone.yaml")),
        "{:?}",
        done.report
    );
    assert!(crate::convert::faults(&done.text, Path::new("d"), &files).is_empty());
    assert!(!crate::convert::faults("version: 1\nrules: [x]\n", Path::new("d"), &files).is_empty());
}

#[test]
fn links_families_and_doors() {
    let text = check(
        Foreign::Clash,
        "mixed-port: 1\nipv6: false\ndns: { enable: true, nameserver: [1.1.1.1] }\n\
         authentication: ['u:1', 'v:2']\n\
         proxies: [{ name: w, type: direct, interface-name: eth1, routing-mark: 7 }]\n\
         rules: ['IN-TYPE,HTTP,REJECT', 'IN-TYPE,HTTP/HTTPS,w', 'IP-CIDR,10.0.0.0/8,REJECT,src', 'RULE-SET,x,REJECT,src', 'IN-USER,u/v,REJECT', 'MATCH,DIRECT']\n",
        &[
            ("dst=x.test:1 inbound=http", "w direct"),
            (
                "dst=x.test:1 inbound=socks5 src=10.0.0.1:1",
                "reject reject",
            ),
            ("dst=10.0.0.1:1 inbound=socks5", "direct direct"),
            ("dst=x.test:1 inbound=v@socks5", "reject reject"),
        ],
        &["IN-TYPE,HTTP,REJECT", "of the source cannot be asked"],
    );
    for part in [
        "family: ipv4",
        "w: { type: direct, interface: eth1, mark: 7 }",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn rules_of_older_and_newer_releases() {
    let text = sing_box(
        "",
        r#""rules": [ { "geosite": ["ads"], "domain": "x.test", "outbound": "a" }, { "geoip": ["private", "cn"], "outbound": "b" },
            { "action": "resolve", "strategy": "ipv4_only" }, { "domain_regex": "^A", "outbound": "a" }, { "outbound": "b" }, { "port": 1, "outbound": "a" } ]"#,
        &[
            ("dst=x.test:1", "a proxy"),
            ("dst=10.0.0.1:1", "b proxy"),
            ("dst=a.test:5 resolved=8.8.8.8", "b proxy"),
        ],
        &["several addresses"],
    );
    assert!(
        text.contains("sing-geosite/rule-set/geosite-ads.srs"),
        "{text}"
    );
    assert!(text.contains("sing-geoip/rule-set/geoip-cn.srs"), "{text}");
}

/// What the rules of a set say stands beside the fields of the rule that names it.
#[test]
fn sets_beside_fields() {
    sing_box(
        "",
        r#""rule_set": [ { "type": "inline", "tag": "names", "rules": [ { "domain_suffix": "s.test" } ] },
             { "type": "inline", "tag": "ports", "rules": [ { "domain_suffix": "p.test", "port": 81 } ] },
             { "type": "inline", "tag": "two", "rules": [ { "domain": "t.test" }, { "domain": "u.test" } ] },
             { "type": "inline", "tag": "net", "rules": [ { "domain": "n.test", "network": "udp" } ] },
             { "type": "inline", "tag": "logic", "rules": [ { "domain": "l.test", "invert": true } ] } ],
           "rules": [ { "rule_set": "names", "domain_suffix": "beside.test", "port": [ 1, 2 ], "outbound": "a" },
             { "rule_set": "ports", "port": 82, "outbound": "a" }, { "rule_set": "ports", "domain": "q.test", "outbound": "a" },
             { "rule_set": "logic", "domain": "q.test", "outbound": "a" }, { "rule_set": "ports", "network": "tcp", "outbound": "b" },
             { "rule_set": "two", "domain": "q.test", "outbound": "a" }, { "rule_set": "net", "domain": "q.test", "outbound": "a" },
             { "rule_set": "two", "port": 4, "outbound": "b" }, { "rule_set": "gone", "outbound": "a" } ]"#,
        &[
            ("dst=x.s.test:1", "a proxy"),
            ("dst=x.beside.test:2", "a proxy"),
            ("dst=x.beside.test:3", "direct direct"),
            ("dst=p.test:81", "b proxy"),
            ("dst=p.test:82", "direct direct"),
            ("dst=q.test:1", "direct direct"),
            ("dst=u.test:4", "b proxy"),
            ("dst=u.test:5", "direct direct"),
        ],
        &[
            "ask for more",
            "ask for more",
            "ask for more",
            "ask for more",
            "ask for more",
            "no rule set `gone`",
        ],
    );
}

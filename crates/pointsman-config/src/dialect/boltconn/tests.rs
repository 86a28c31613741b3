//! Faults as data, and damaged samples.

use std::path::Path;

use pointsman_policy::set::Key;

use crate::files::Memory;
use crate::{Dialect, Loaded, damage, load};

/// Rules that every text here gets, so that a case shows only what it is about.
const RULES: &str = "rule_local:\n  - FALLBACK, DIRECT\n";

fn read(text: &str, files: &[(&str, &str)]) -> Loaded {
    let mut memory = Memory::new(files.iter().copied());
    memory.files.insert("c.yml".into(), text.into());
    load(Path::new("c.yml"), Some(Dialect::Boltconn), None, &memory)
}

/// The first lines of problems that are no notes.
fn told(text: &str, files: &[(&str, &str)]) -> String {
    let loaded = read(text, files);
    let all = loaded.problems.0.iter().map(ToString::to_string);
    let first = all.filter_map(|p| p.lines().next().map(str::to_owned));
    let grave: Vec<String> = first.filter(|line| !line.contains(": note[")).collect();
    grave.join("\n")
}

#[test]
fn a_rule_that_yaml_cut_short_is_told_how_to_be_written() {
    let check = |rule: &str, hinted: bool| {
        let text = format!("rule_local:\n  - {rule}\n  - FALLBACK, DIRECT\n");
        let loaded = read(&text, &[]);
        let hints = loaded.problems.0.iter().filter_map(|p| p.hint.as_ref());
        let found = hints.filter(|hint| hint.contains("a comment at ` #`"));
        assert_eq!(found.count(), usize::from(hinted), "{rule}");
    };
    check("PROCESS-NAME, \"a #b\", DIRECT", true);
    check("PROCESS-NAME, \"a b, DIRECT", false);
    check("'PROCESS-NAME, \"a #b\", DIRECT'", false);
    check("PROCESS-NAME, a, DIRECT # b", false);
}

#[test]
fn rules_are_checked() {
    let check = |rules: &[&str], expected: &str| {
        let text: String = rules.iter().map(|rule| format!("  - {rule}\n")).collect();
        let text = format!("rule_local:\n{text}");
        assert_eq!(told(&text, &[]), expected, "{text}");
    };
    check(&["FALLBACK, DIRECT"], "");
    check(&["FALLBACK, direct"], "");
    check(
        &["DOMAIN, a.b, DIRECT"],
        "c.yml:2:5: error[missing-fallback]: the rule list does not end with `FALLBACK`",
    );
    check(
        &["FALLBACK, DIRECT", "DOMAIN, a.b, REJECT"],
        "c.yml:2:5: error[fallback-not-last]: `FALLBACK` is not the last rule of the rule list",
    );
    check(
        &["DOMAIN, a.b, Proxi", "FALLBACK, DIRECT"],
        "c.yml:2:18: error[unknown-outbound]: there is no outbound `Proxi`",
    );
    check(
        &["DOMAN, a.b, DIRECT", "FALLBACK, DIRECT"],
        "c.yml:2:5: error[unknown-rule]: there is no rule type `DOMAN`",
    );
    check(
        &["'DOMAN, a.b, DIRECT'", "FALLBACK, DIRECT"],
        "c.yml:2:6: error[unknown-rule]: there is no rule type `DOMAN`",
    );
    check(
        &["DST-PORT, 80|x, DIRECT", "FALLBACK, DIRECT"],
        "c.yml:2:18: error[bad-rule-content]: `x` is no port",
    );
    check(
        &["GEOIP, US, DIRECT", "FALLBACK, DIRECT"],
        "c.yml:2:12: error[missing-database]: `GEOIP` needs a database",
    );
    check(
        &["DOMAIN, a: b, DIRECT", "FALLBACK, DIRECT"],
        "c.yml:2:5: error[rule-syntax]: this is no rule",
    );
    check(
        &["[DOMAIN, a.b, DIRECT]", "FALLBACK, DIRECT"],
        "c.yml:2:5: error[rule-syntax]: a rule is one line, not a list",
    );
    check(
        &[".LOCAL-RESOLV", "FALLBACK, DIRECT"],
        "c.yml:2:5: error[unknown-action]: there is no action `.LOCAL-RESOLV`",
    );
    check(
        &[
            ".SUB-DISPATCH: { matches: 'NETWORK, udp', subrules: ['DOMAIN, a.b, REJECT'] }",
            "FALLBACK, DIRECT",
        ],
        "c.yml:2:58: error[missing-fallback]: the list of sub-rules does not end with `FALLBACK`",
    );
    check(
        &[
            ".SUB-DISPATCH: { matches: 'NETWORK, udp', subrules: ['FALLBACK, REJECT', 'ALWAYS, DIRECT'] }",
            "FALLBACK, DIRECT",
        ],
        "c.yml:2:58: error[fallback-not-last]: `FALLBACK` is not the last rule of the list of sub-rules",
    );
    check(
        &[
            ".INSTRUMENT: { id: 1, matches: ALWAYS, message: '{process.pth}' }",
            "FALLBACK, DIRECT",
        ],
        "c.yml:2:53: error[bad-template]: there is no variable `process.pth`",
    );
    let ask = |settings: &str, expected: &str| {
        let rule = format!(".REQUEST: {{ id: 200, matches: 'DOMAIN, a.b'{settings} }}");
        check(&[&rule, "FALLBACK, DIRECT"], expected);
    };
    ask("", "");
    ask(
        ", timeout: 30, request-route: CONTINUE, fallback: BLACKHOLE",
        "",
    );
    ask(
        ", timeout: 0",
        "c.yml:2:59: error[invalid-value]: `0`: from 1 s to an hour, in whole seconds",
    );
    ask(
        ", timeout: soon",
        "c.yml:2:59: error[invalid-value]: `soon` is no duration; write a whole number and `ms`, `s`, `m`, `h` or `d`, as in `30s`",
    );
    ask(
        ", fallback: FALLBACK",
        "c.yml:2:60: error[invalid-value]: `fallback`: `FALLBACK` is none of CONTINUE, REJECT, BLACKHOLE",
    );
    ask(
        ", request-route: DIRECT",
        "c.yml:2:65: error[invalid-value]: `request-route`: `DIRECT` is none of CONTINUE, REJECT, BLACKHOLE",
    );
    ask(
        ", fallbak: REJECT",
        "c.yml:2:50: error[unknown-key]: `.REQUEST` has no key `fallbak`",
    );
    check(
        &[".REQUEST: { matches: ALWAYS }", "FALLBACK, DIRECT"],
        "c.yml:2:15: error[missing-key]: `.REQUEST` needs the key `id`",
    );
}

#[test]
fn sections_are_checked() {
    let check = |section: &str, expected: &str| {
        let text = format!("{section}\n{RULES}");
        assert_eq!(
            told(&text, &[("bad.yaml", "payload:\n  - a b\n")]),
            expected,
            "{section}"
        );
    };
    check("interface: auto", "");
    check(
        "intrface: auto",
        "c.yml:1:1: error[unknown-key]: the configuration has no key `intrface`",
    );
    check(
        "proxy_local: { DIRECT: { type: http, server: a.b, port: 1 } }",
        "c.yml:1:16: error[reserved-name]: `DIRECT` is built in and cannot be redefined",
    );
    check(
        "proxy_local: { direct: { type: http, server: a.b, port: 1 } }",
        "c.yml:1:16: error[reserved-name]: `DIRECT` is built in and cannot be redefined",
    );
    check(
        "proxy_local: { a: { type: htp, server: a.b, port: 1 } }",
        "c.yml:1:27: error[invalid-value]: there is no type `htp` of proxies",
    );
    check(
        "proxy_local: { a: { type: http, server: a.b, port: 0 } }",
        "c.yml:1:52: error[wrong-type]: `port` must be a whole number from 1 to 65535",
    );
    check(
        "proxy_group: { g: { proxies: [] } }",
        "c.yml:1:16: warning[empty-group]: the group `g` has no members",
    );
    check(
        "proxy_group: { g: { proxies: [h] }, h: { proxies: [g] } }",
        "c.yml:1:16: error[outbound-cycle]: `g` comes back to itself: `g` -> `h` -> `g`",
    );
    check(
        "proxy_group: { g: { proxies: [c] } }\nproxy_chain: { c: { chains: [DIRECT, g] } }",
        "c.yml:2:16: error[outbound-cycle]: `c` comes back to itself: `c` -> `g` -> `c`",
    );
    check(
        "proxy_group: { g: { providers: [p] } }",
        "c.yml:1:16: warning[empty-group]: the group `g` has no members\nc.yml:1:33: error[unknown-provider]: there is no provider `p`",
    );
    check(
        "proxy_provider: { p: { type: file, path: none.yaml } }",
        "c.yml:1:42: error[missing-file]: `none.yaml` cannot be read: entity not found",
    );
    check(
        "rule_provider: { p: { type: http, url: 'https://a.b', path: none.yaml, interval: 1 } }",
        "c.yml:1:61: warning[not-fetched]: `p` was not fetched yet: it is empty",
    );
    check(
        "rule_provider: { p: { path: bad.yaml, behavior: domain } }",
        "bad.yaml:2:5: warning[invalid-entry]: `a b` is no domain: the name has the character ' ', which no host name carries",
    );
    check(
        "rule_provider: { p: { path: bad.yaml, behavior: domain, strict: true } }",
        "bad.yaml:2:5: error[invalid-entry]: `a b` is no domain: the name has the character ' ', which no host name carries",
    );
    check(
        "dispatching: { geoip_db: bad.yaml }",
        "c.yml:1:26: error[invalid-database]: `bad.yaml`: it is not a database in MaxMind's format",
    );
    check(
        "dispatching: { process_info_depth: forever }",
        "c.yml:1:36: error[wrong-type]: `process_info_depth` (or `unlimited`) must be a whole number from 0 to 1000",
    );
    check("dispatching: { process_info_depth: 3 }", "");
    check("dispatching: { process_info_depth: unlimited }", "");
    check(
        "dns: { nameserver: ['udp, 8.8.8'] }",
        "c.yml:1:21: error[invalid-address]: `8.8.8` is not the address of a server",
    );
    check(
        "dns: { preference: ipv4 }",
        "c.yml:1:20: error[invalid-value]: there is no preference `ipv4`; it is `ipv4-only`, `ipv6-only`, `prefer-ipv4` or `prefer-ipv6`",
    );
    check(
        "inbound: { http: '0.0.0.0:1' }",
        "c.yml:1:18: warning[open-proxy]: anybody who reaches 0.0.0.0:1 may use it",
    );
    check(
        "inbound: { http: [1, 1] }",
        "c.yml:1:22: error[duplicate-listen]: two listeners want 127.0.0.1:1",
    );
}

#[test]
fn inbounds_in_every_form() {
    let check = |section: &str, expected: &[&str]| {
        let loaded = read(&format!("{section}\n{RULES}"), &[]);
        let shown = format!("{section}: {:?}", loaded.problems.0);
        let setup = loaded.setup.unwrap_or_else(|| panic!("{shown}"));
        let got: Vec<String> = setup
            .inbounds
            .iter()
            .map(|i| {
                let users: Vec<String> = i
                    .users
                    .iter()
                    .map(|u| format!("{}/{}", u.name, u.alias.as_deref().unwrap_or("-")))
                    .collect();
                format!("{} {:?} {} {}", i.name, i.kind, i.listen, users.join(","))
            })
            .collect();
        assert_eq!(got, expected, "{section}");
    };
    check("interface: auto", &["mixed-7890 Mixed 127.0.0.1:7890 "]);
    check(
        "inbound: { enable_tun: true, http: }",
        &["mixed-7890 Mixed 127.0.0.1:7890 "],
    );
    check("inbound: { http: 80 }", &["http-80 Http 127.0.0.1:80 "]);
    check(
        "inbound: { socks5: '[::1]:80' }",
        &["socks5-80 Socks5 [::1]:80 "],
    );
    check(
        "inbound: { http: [1, 2], socks5: 2 }",
        &["http-1 Http 127.0.0.1:1 ", "mixed-2 Mixed 127.0.0.1:2 "],
    );
    check(
        "inbound: { http: { host: 127.0.0.2, port: 1, alias: work, auth: { a: x, b: { password: y, alias: z } } } }",
        &["work Http 127.0.0.2:1 a/-,b/z"],
    );
    check(
        "inbound: { http: 0, socks5: 0 }",
        &["http-0 Http 127.0.0.1:0 ", "socks5-0 Socks5 127.0.0.1:0 "],
    );
    check(
        "http-port: 7890\nsocks5-port: 7890",
        &["mixed-7890 Mixed 127.0.0.1:7890 "],
    );
}

#[test]
fn ways_out_are_as_written() {
    let text = "interface: eth0
proxy_local:
  h: { type: http, server: h.test, port: 8080, auth: { username: u, password: w } }
  s: { type: socks5, server: 10.0.0.1, port: 1080, udp: false }
proxy_provider: { p: { type: file, path: p.yaml } }
proxy_chain: { c: { chains: [h, s] } }
proxy_group:
  g: { proxies: [c, direct, c], providers: [{ name: p, filter: '^B' }], interface: tun1 }
  all: { providers: [p] }
  none: { providers: [{ name: p, filter: 'none' }] }
  outer: { proxies: [none, g] }
rule_local: ['FALLBACK, g']
";
    let provider = "proxies:\n  - { name: A, type: http, server: a.test, port: 1 }\n  - { name: B, type: trojan, server: b.test, port: 2, password: x, udp: true }\n  - { name: h, type: http, server: c.test, port: 3 }\n  - { name: V, type: vmess, server: d.test, port: 4, uuid: x }\nother: 1\n";
    let loaded = read(text, &[("p.yaml", provider)]);
    let shown = format!("{:?}", loaded.problems.0);
    let setup = loaded.setup.unwrap_or_else(|| panic!("{shown}"));
    let told: Vec<String> = (0..)
        .zip(&setup.outbounds)
        .map(|(n, outbound)| {
            use crate::setup::{Carrier, Group, How, Kind, Protocol};
            let kind = match &outbound.kind {
                Kind::Carry(Carrier::Direct(uplink)) => format!("direct by {:?}", uplink.interface),
                Kind::Through(hops) => format!("chain {hops:?}"),
                Kind::Choose(Group {
                    members,
                    how: How::Selected { uplink },
                }) => format!("group {members:?} by {:?}", uplink.interface),
                Kind::Carry(Carrier::Upstream(it)) => match &it.protocol {
                    Protocol::HttpConnect(credentials) => format!(
                        "http {} {} by {:?}",
                        it.server,
                        credentials.is_some(),
                        it.uplink.interface
                    ),
                    Protocol::Socks5(_) => format!("socks5 {} {}", it.server, it.carries_udp),
                },
                Kind::NotYet { kind, carries_udp } => format!("later {kind} {carries_udp}"),
                Kind::Refuse(refusal) => format!("{refusal:?}"),
                other => format!("{other:?}"),
            };
            format!("{n} {}: {}", outbound.name, kind.replace("OutboundId", ""))
        })
        .collect();
    let expected = [
        "0 DIRECT: direct by Some(\"eth0\")",
        "1 REJECT: Reject",
        "2 BLACKHOLE: Blackhole",
        "3 RESET: Reset",
        "4 h: http h.test:8080 true by Some(\"eth0\")",
        "5 s: socks5 10.0.0.1:1080 false",
        "6 c: chain [(4), (5)]",
        "7 g: group [(6), (0), (12)] by Some(\"tun1\")",
        "8 all: group [(11), (12), (13)] by None",
        "9 none: Reject",
        "10 outer: group [(7)] by None",
        "11 A: http a.test:1 false by Some(\"eth0\")",
        "12 B: later trojan true",
        "13 h: http c.test:3 false by Some(\"eth0\")",
    ];
    assert_eq!(told, expected);
    let grave = loaded
        .problems
        .0
        .iter()
        .filter(|p| p.severity > crate::Severity::Note);
    let codes: Vec<_> = grave.map(|p| (p.code, p.span.line())).collect();
    assert_eq!(
        codes,
        [
            ("empty-group", 10),
            ("duplicate-outbound", 4),
            ("invalid-value", 5)
        ]
    );
}

#[test]
fn name_servers_are_as_written() {
    let text = format!(
        "dns:\n  preference: prefer-ipv6\n  bootstrap: [1.1.1.1]\n  nameserver: ['udp, 8.8.8.8', 'tcp, [::1]:5353', 'doh, dns.test']\n  hosts: {{ a.test: 10.0.0.1, '*.b.test': '::ffff:10.0.0.2' }}\n  nameserver_policy: {{ '*.test': 'udp, 1.1.1.1, plain', '*.c.test': 'udp, 1.1.1.2', c.test: 'udp, 1.1.1.3' }}\n{RULES}"
    );
    let loaded = read(&text, &[]);
    let setup = loaded.setup.unwrap();
    assert_eq!(setup.server_resolver, Some(crate::setup::ResolverId(0)));
    let resolver = &setup.resolvers[0];
    let shown = format!("{:?}", resolver.servers.list);
    assert_eq!(
        shown,
        "[Udp(Place { address: 8.8.8.8:53, interface: None, via: None }), Tcp(Place { address: [::1]:5353, interface: None, via: None }), Https(Encrypted { server: Server { host: Name(Domain(dns.test)), port: 443 }, addresses: [], name: Name(Domain(dns.test)), authorities: System, path: \"/dns-query\", via: None })]"
    );
    let hosts = format!("{:?}", resolver.hosts);
    assert_eq!(
        hosts,
        "[(Domain(a.test), false, 10.0.0.1), (Domain(b.test), true, 10.0.0.2)]"
    );
    let order: Vec<String> = resolver
        .by_domain
        .iter()
        .map(|(name, below, _)| format!("{name} {below}"))
        .collect();
    assert_eq!(order, ["c.test false", "c.test true", "test true"]);
    assert_eq!(resolver.families, crate::setup::Families::PreferIpv6);
}

#[test]
fn what_no_name_server_is_given_for_is_the_systems() {
    let system = [crate::setup::NameServer::System];
    for dns in [
        "preference: ipv6-only",
        "hosts: { a.test: 10.0.0.1 }",
        "nameserver_policy: { '*.test': 'udp, fe80::1%eth0' }",
    ] {
        let setup = read(&format!("dns: {{ {dns} }}\n{RULES}"), &[])
            .setup
            .unwrap();
        let resolver = &setup.resolvers[setup.server_resolver.unwrap().0];
        assert_eq!(resolver.servers, system, "{dns}");
        let only = resolver.families == crate::setup::Families::Ipv6Only;
        assert_eq!(only, dns.contains("ipv6"), "{dns}");
    }
    let setup = read(&format!("dns: {{ bootstrap: [1.1.1.1] }}\n{RULES}"), &[]);
    assert_eq!(setup.setup.unwrap().server_resolver, None);
    let loaded = read(
        &format!("dns: {{ nameserver: ['udp, fe80::1'] }}\n{RULES}"),
        &[],
    );
    assert!(
        loaded
            .problems
            .0
            .iter()
            .any(|problem| problem.code == "invalid-address")
    );
}

#[test]
fn blind_rules_are_noted() {
    let blind = |text: &str| {
        let loaded = read(text, &[("n", "10.0.0.0/8"), ("d", "a.b")]);
        assert!(loaded.setup.is_some(), "{:?}", loaded.problems.0);
        let all = loaded.problems.0.into_iter();
        let lines: Vec<u32> = all
            .filter(|p| p.code == "never-sees-names")
            .map(|p| p.span.line())
            .collect();
        lines
    };
    let rules = "rule_provider: { n: { path: n, behavior: ipcidr }, d: { path: d, behavior: domain } }\nrule_local:\n  - IP-CIDR, 1.0.0.0/8, REJECT\n  - IP-CIDR, 2.0.0.0/8, REJECT, no-resolve\n  - RULE-SET, n, REJECT\n  - RULE-SET, d, REJECT\n  - SRC-IP-CIDR, 1.0.0.0/8, REJECT\n  - .LOCAL-RESOLVE\n  - IP-CIDR, 3.0.0.0/8, REJECT\n  - FALLBACK, DIRECT\n";
    assert_eq!(blind(rules), [3, 5]);
    assert_eq!(
        blind(&format!(
            "{rules}dispatching: {{ ip_rules_resolve: true }}\n"
        )),
        [0_u32; 0]
    );
}

#[test]
fn providers_that_are_fetched_are_sources() {
    let text = format!(
        "rule_provider:
  names: {{ type: http, url: 'https://a.test/n', path: n.txt, interval: 60, behavior: domain }}
  rules: {{ type: http, url: 'https://a.test/r', path: r.txt }}
  both: {{ type: http, url: 'https://a.test/b', path: b.txt }}
{RULES}"
    );
    let files = [
        ("n.txt", "a.test\n"),
        ("r.txt", "RULE-SET,names\n"),
        ("b.txt", "DOMAIN,b.test\n"),
    ];
    let setup = read(&text, &files).setup.unwrap();
    let sources = setup.sources.iter().map(|source| {
        let around = source.scope.sets.iter();
        let around: Vec<&str> = around.map(|(name, _)| &**name).collect();
        let interval = source.interval.map_or(0, |interval| interval.as_secs());
        format!("{} {interval} {}", source.name, around.join(","))
    });
    // `names` is referred to, so no refresh lets it refer to others; nor can anybody refer to `rules`.
    assert_eq!(
        sources.collect::<Vec<_>>(),
        ["names 60 ", "rules 0 names", "both 0 names"]
    );
    let source = &setup.sources[2];
    let mut fetched = std::io::Cursor::new("RULE-SET,names\nRULE-SET,rules\n");
    let (set, told) = source.compile(&mut fetched, Key::default()).unwrap();
    assert_eq!((set.len(), told.left_out()), (1, 1));
}

#[test]
fn damaged_samples_give_problems_or_load() {
    let Some(directory) = damage::shared("samples/boltconn") else {
        return;
    };
    let mut files = Memory::default();
    for name in [
        "Module/google.yaml",
        "Remote/US.yaml",
        "Rules/Apple",
        "Rules/Telegram",
    ] {
        let bytes = std::fs::read(directory.join(name)).unwrap();
        files.files.insert(name.into(), bytes);
    }
    let sample = std::fs::read(directory.join("config.yml")).unwrap();
    let mut refused = 0;
    for variant in damage::variants(&sample) {
        files.files.insert("c.yml".into(), variant);
        let loaded = load(Path::new("c.yml"), Some(Dialect::Boltconn), None, &files);
        assert_eq!(loaded.setup.is_none(), loaded.problems.has_errors());
        for problem in &loaded.problems.0 {
            assert!(
                problem
                    .span
                    .source
                    .text
                    .get(problem.span.start..problem.span.end)
                    .is_some()
            );
        }
        refused += usize::from(loaded.setup.is_none());
    }
    assert!((100..1000).contains(&refused), "{refused}");
}

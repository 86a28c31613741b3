//! Who may come in, who is asked for names, and names that are given twice: carried over, or refused and
//! told with its line.

use std::path::Path;

use super::corners::check;
use super::foreign::{convert, converted};
use super::loaded;
use pointsman_config::dialect::foreign::Foreign;
use pointsman_config::files::Memory;

/// `parts`: what stands in the result; those with `!` before do not.
fn says(foreign: Foreign, text: &str, parts: &[&str], lost: &[&str]) {
    let text = check(foreign, text, &[], lost);
    for part in parts {
        match part.strip_prefix('!') {
            None => assert!(text.contains(part), "{part}\n{text}"),
            Some(part) => assert!(!text.contains(part), "{part}\n{text}"),
        }
    }
}

fn clash(text: &str, parts: &[&str], lost: &[&str]) {
    says(
        Foreign::Clash,
        &format!("{text}\nrules: ['MATCH,DIRECT']\n"),
        parts,
        lost,
    );
}

fn sing_box(text: &str, parts: &[&str], lost: &[&str]) {
    says(Foreign::SingBox, text, parts, lost);
}

#[test]
fn lists_of_clients_are_carried_over() {
    let of = |lists: &str| format!("mixed-port: 7890\nallow-lan: yes\n{lists}");
    let listen = "listen: \"[::]:7890\"";
    clash(
        &of("lan-allowed-ips: [192.168.0.0/16]"),
        &["allow: [\"192.168.0.0/16\"]", listen],
        &[],
    );
    clash(
        &of("lan-allowed-ips: [192.168.0.0/30]\nlan-disallowed-ips: [192.168.0.3/32]"),
        &["allow: [\"192.168.0.0/31\", \"192.168.0.2/32\"]"],
        &[],
    );
    clash(
        &of("lan-disallowed-ips: [128.0.0.0/1, '::/0']"),
        &["allow: [\"0.0.0.0/1\"]"],
        &[],
    );
    // The usual ones say nothing.
    clash(
        &of("lan-allowed-ips: ['::/0', 0.0.0.0/0]"),
        &[listen, "!allow"],
        &[],
    );
    clash(&of("lan-allowed-ips:"), &[listen, "!allow"], &[]);
    // An empty list lets nobody in; here it would let everybody in.
    clash(
        &of("lan-allowed-ips: []"),
        &["!inbounds"],
        &["c:1: warning: the inbound `mixed` is left out (no client"],
    );
    clash(
        &of("lan-allowed-ips: 10.0.0.0/8"),
        &["!inbounds"],
        &["no client"],
    );
    clash(
        &of("lan-allowed-ips: [x, 10.0.0.0/8]"),
        &["allow: [\"10.0.0.0/8\"]"],
        &["c:3: warning: `x`"],
    );
    clash(
        &of("lan-disallowed-ips: [x]"),
        &["!inbounds"],
        &["`lan-disallowed-ips` cannot be read", "`x`"],
    );
    clash(
        "port: 1\nallow-lan: true\nbind-address: '[fd00::1]'\nlan-allowed-ips: ['fd00::/8']",
        &["http, listen: \"[fd00::1]:1\", allow: [\"fd00::/8\"]"],
        &[],
    );
    clash(
        "port: 1\nbind-address: 10.0.0.1",
        &["listen: \"127.0.0.1:1\""],
        &[],
    );
}

#[test]
fn whoever_asks_for_users_goes_on_asking() {
    let of = |lists: &str| format!("mixed-port: 7890\nallow-lan: true\n{lists}");
    clash(
        &of("authentication: ['a:b:c', 'x:1', 'x:2', bad]"),
        &["users: { a: \"b:c\", x: \"2\" }"],
        &["c:3: warning: this user has no password"],
    );
    clash(&of("authentication: []"), &["!users"], &[]);
    for none in ["[bad]", "a:b", "{ a: b }"] {
        let text = of(&format!("authentication: {none}"));
        let told = ["no user of `authentication`", "this user has no password"];
        clash(
            &text,
            &["!inbounds"],
            if none == "[bad]" { &told } else { &told[..1] },
        );
    }
    clash(
        &of("authentication: ['a:b']\nskip-auth-prefixes: [127.0.0.1/8]"),
        &["users: { a: \"b\" }"],
        &["c:4: warning: `skip-auth-prefixes`"],
    );
    let inbound = |users: &str| {
        format!(
            "{{\"inbounds\": [\n{{\"type\": \"http\", \"listen\": \"::\", \"listen_port\": 1, \"users\": {users}}}],\n\"outbounds\": [], \"route\": {{}}}}"
        )
    };
    sing_box(
        &inbound(
            "[{\"username\": \"a\", \"password\": \"b\"}, {\"username\": \"a\", \"password\": \"c\"}]",
        ),
        &["users: { a: \"b\" }"],
        &["c:2: inbounds[0].users[1]: warning: this user is left out: it is given twice"],
    );
    sing_box(&inbound("[]"), &["http-0", "!users"], &[]);
    sing_box(
        &inbound("[{\"username\": \"a\"}]"),
        &["!inbounds"],
        &[
            "has no name or no password",
            "c:2: inbounds[0]: warning: none of its users",
        ],
    );
    sing_box(
        &inbound("{\"username\": \"a\", \"password\": \"b\"}"),
        &["!inbounds"],
        &["none of its users"],
    );
}

#[test]
fn listeners_are_inbounds() {
    clash(
        "authentication: ['u:p']\nlan-allowed-ips: [10.0.0.0/8]\nlisteners:\n  - { name: own, type: mixed, port: 1, listen: 127.0.0.1, users: [{ username: a, password: b }] }\n  \
         - { name: any, type: socks, port: 2, users: [] }\n  - { name: all, type: http, port: 3 }\n  - { name: led, type: http, port: 4, proxy: DIRECT }\n  \
         - { name: ss, type: shadowsocks, port: 5 }\n  - { name: own, type: http, port: 6 }\nproxy-groups: []",
        &[
            "own: { type: mixed, listen: \"127.0.0.1:1\", users: { a: \"b\" } }",
            "any: { type: socks5, listen: \"0.0.0.0:2\" }",
            "all: { type: http, listen: \"0.0.0.0:3\", users: { u: \"p\" }, allow: [\"10.0.0.0/8\"] }",
            "!led:",
        ],
        &[
            "c:7: warning: the listener `led`",
            "c:8: warning: the listener `ss`",
            "c:9: warning: the name `own` is given twice",
        ],
    );
    let inbound = |more: &str| {
        format!(
            "{{\"inbounds\": [{{\"type\": \"http\", \"tag\": \"in\", \"listen\": \"::\", \"listen_port\": 1, {more}}}], \"outbounds\": [], \"route\": {{}}}}"
        )
    };
    for kept in [
        "\"bind_interface\": \"eth1\"",
        "\"netns\": \"x\"",
        "\"detour\": \"y\"",
    ] {
        sing_box(
            &inbound(kept),
            &["!inbounds"],
            &["of an inbound cannot be carried over"],
        );
    }
}

#[test]
fn of_names_given_twice_the_first_counts() {
    clash(
        "mixed-port: 1\nproxies:\n  - { name: a, type: socks5, server: h, port: 1, udp: true }\n  - { name: a, type: socks5, server: i, port: 2 }\n\
         proxy-groups:\n  - { name: a, type: select, proxies: [DIRECT] }\n  - { name: g, type: select, proxies: [gone, a] }\n  - { name: g, type: select, proxies: [DIRECT] }\n\
         rule-providers:\n  p: { type: inline, behavior: domain, payload: [x.test] }",
        &[
            "a: { type: socks5, server: \"h:1\", udp: true }",
            "g: { type: select, members: [REJECT, a] }",
        ],
        &[
            "c:4: warning: the name `a` is given twice",
            "c:6: warning: the name `a`",
            "c:7: warning: `g` names `gone`",
            "c:8: warning: the name `g` is given twice",
        ],
    );
    sing_box(
        "{\"inbounds\": [{\"type\": \"http\", \"tag\": \"i\", \"listen_port\": 1},\n{\"type\": \"http\", \"tag\": \"i\", \"listen_port\": 2}],\n\"outbounds\": [{\"type\": \"socks\", \"tag\": \"a\", \"server\": \"h\", \"server_port\": 1},\n\
         {\"type\": \"block\", \"tag\": \"a\"}, {\"type\": \"selector\", \"tag\": \"g\", \"outbounds\": [\"gone\", \"a\"]}],\n\"route\": {\"rule_set\": [{\"type\": \"inline\", \"tag\": \"s\", \"rules\": [{\"domain\": \"x\"}]},\n{\"type\": \"inline\", \"tag\": \"s\", \"rules\": []}], \"final\": \"g\"}}",
        &[
            "127.0.0.1:1\"",
            "a: { type: socks5, server: \"h:1\", udp: true }",
            "members: [reject, a]",
            "s: { rules: [\"DOMAIN, x\"] }",
        ],
        &[
            "c:2: inbounds[1]",
            "c:4: outbounds[1]",
            "`g` names `gone`",
            "c:6: route.rule_set[1]",
        ],
    );
}

#[test]
fn keys_of_old_are_read() {
    let text = check(
        Foreign::Clash,
        "port: 7890\nProxy:\n  - { name: a, type: socks5, server: h, port: 1, udp: true }\nProxy Group:\n  - { name: g, type: select, proxies: [a] }\n\
         Rule:\n  - DOMAIN-SUFFIX,x.test,DIRECT\n  - FINAL,,g\n",
        &[
            ("dst=x.test:1", "direct direct"),
            ("dst=y.test:1", "g proxy"),
        ],
        &[],
    );
    assert!(text.contains("FALLBACK, g"), "{text}");
    check(
        Foreign::Clash,
        "redir-port: 1\nproxies: []\nrules: ['MATCH,,REJECT']\n",
        &[("dst=y.test:1", "reject reject")],
        &["c:1: warning: `redir-port`"],
    );
    // Today's key is stronger, as there.
    check(
        Foreign::Clash,
        "port: 1\nproxies: []\nProxy: []\nRule: ['MATCH,DIRECT']\nrules: ['MATCH,REJECT']\n",
        &[("dst=y.test:1", "reject reject")],
        &[],
    );
}

#[test]
fn proxies_of_providers_are_told_with_what_to_do() {
    clash(
        "mixed-port: 1\nproxy-providers:\n  one: { type: http, url: 'https://x.test/s' }\n  two: { type: file, path: x }\n\
         proxies:\n  - { name: hk 1, type: socks5, server: h, port: 1, udp: true }\n  - { name: us 1, type: socks5, server: h, port: 2, udp: true }\n\
         proxy-groups:\n  - { name: g, type: select, use: [one] }\n  - { name: all, type: select, include-all: true, filter: 'hk`jp', exclude-filter: '2' }\n  \
         - { name: odd, type: select, include-all-proxies: true, filter: '(?!x)' }",
        &[
            "g: { type: select, members: [reject] }",
            "all: { type: select, members: [\"hk 1\"] }",
            "odd: { type: select, members: [reject] }",
        ],
        &[
            "c:3: warning: the proxies of the provider `one` are not fetched: fetch its list, put",
            "c:4: warning",
            "c:9: warning: members of `g`",
            "c:9: warning: the group `g` has no members",
            "c:10: warning: members of `all`",
            "c:11: warning: proxies that `odd` includes",
            "c:11: warning: the group `odd` has no members",
        ],
    );
}

#[test]
fn no_condition_is_written_that_adds_nothing() {
    let text = "mixed-port: 1\nproxies:\n  - { name: a, type: socks5, server: h, port: 1 }\n  - { name: b, type: http, server: h, port: 2 }\nrules: ['DOMAIN,x.test,a', 'MATCH,b']\n";
    let conversion = converted(Foreign::Clash, text);
    assert!(
        conversion
            .text
            .ends_with("rules:\n  - DOMAIN, x.test, a\n  - FALLBACK, b\n"),
        "{}",
        conversion.text
    );
    let lost: Vec<_> = conversion
        .report
        .iter()
        .filter(|remark| !remark.equal)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lost,
        [
            "c:3: warning: no UDP goes by `a` and 1 more: a rule that leads there refuses it, in Clash it goes on to the rules below"
        ]
    );
    let setup = loaded(&conversion.text, Path::new(""), &Memory::default());
    assert_eq!(super::way(&setup, "dst=x.test:1 network=udp"), "a reject");
    // By HTTP alone no UDP comes in.
    let only = converted(Foreign::Clash, &text.replace("mixed-port", "port"));
    assert!(only.is_equal(), "{:?}", only.report);
}

#[test]
fn fixed_addresses_are_carried_over() {
    let lost = &[
        "c:5: warning: `*.one.test` of `hosts`: `one.test` itself",
        "c:7: warning: `alias.test` of `hosts` is left out",
        "c:8: warning: `a.*.test` of `hosts` is left out",
    ];
    clash(
        "mixed-port: 1\nhosts:\n  nas.test: 10.0.0.5\n  '+.all.test': ['10.0.0.6', 'fd00::6']\n  '*.one.test': 10.0.0.7\n  ads.test: 0.0.0.0\n  alias.test: x.test\n  'a.*.test': 1.1.1.1\nproxies: []",
        &[
            "  hosts:\n    nas.test: \"10.0.0.5\"\n    \".all.test\": [\"10.0.0.6\", \"fd00::6\"]\n    \".one.test\": \"10.0.0.7\"\n",
            "- DOMAIN, ads.test, REJECT\n",
        ],
        lost,
    );
    clash(
        "mixed-port: 1\nproxies: [{ name: a, type: socks5, server: h, port: 1, udp: true }]\nhosts: { nas.test: 10.0.0.5 }",
        &["nas.test: \"10.0.0.5\""],
        &["c:3: warning: `hosts` is used only for names that are looked up here"],
    );
}

#[test]
fn servers_for_names_are_clashs() {
    let of = |dns: &str| {
        format!(
            "mixed-port: 1\nproxies: [{{ name: far, type: socks5, server: h, port: 1, udp: true }}]\ndns:\n  enable: true\n  ipv6: true\n{dns}"
        )
    };
    clash(
        &of(
            "  nameserver: [1.1.1.1, 'tcp://8.8.8.8#far', '9.9.9.9#gone', '9.9.9.9#RULES', 'dhcp://eth0', '8.8.4.4#DIRECT']",
        ),
        &[
            "nameserver: [\"udp://1.1.1.1\", { address: \"tcp://8.8.8.8\", via: far }, \"udp://8.8.4.4\"]",
        ],
        &[
            "c:6: warning: the name server `9.9.9.9#gone`",
            "9.9.9.9#RULES",
            "dhcp://eth0",
        ],
    );
    // Where none is left the system's is not asked instead.
    for (dns, told) in [
        ("  nameserver: ['dhcp://eth0']", "dhcp"),
        (
            "  respect-rules: true\n  nameserver: [1.1.1.1]",
            "by the outbound that the rules choose",
        ),
    ] {
        clash(
            &of(dns),
            &["nameserver: \"https://not-carried-over.invalid\""],
            &[told, "no name server of `nameserver` can be carried over"],
        );
    }
    clash(
        &of("  listen: 0.0.0.0:53"),
        &["nameserver: \"https://not-carried-over.invalid\""],
        &[
            "no name server of `nameserver` can",
            "the DNS server itself answers",
        ],
    );
    clash(
        &of(
            "  nameserver: [1.1.1.1]\n  proxy-server-nameserver: [9.9.9.9]\n  direct-nameserver: [8.8.8.8]",
        ),
        &[
            "proxy-server-nameserver: \"udp://9.9.9.9\"",
            "resolver: proxy-server-nameserver\n",
            "resolver: nameserver }",
        ],
        &["c:8: warning: `direct-nameserver`"],
    );
    clash(
        &of(
            "  nameserver: [1.1.1.1]\n  nameserver-policy:\n    'a.test,+.b.test': 10.0.0.53\n    .c.test: ['10.0.0.1', '10.0.0.2']\n    'geosite:cn': 8.8.8.8\n    '*.d.test': rcode://refused",
        ),
        &[
            "\"=a.test\": policy-1\n    b.test: policy-1\n    c.test: policy-2\n    d.test: policy-4\n    \"=c.test\": nameserver\n    \"=d.test\": nameserver",
            "policy-2: [\"udp://10.0.0.1\", \"udp://10.0.0.2\"]",
            "policy-4: \"https://not-carried-over.invalid\"",
        ],
        &[
            "c:10: warning: `geosite:cn`",
            "rcode",
            "no name server of `policy-4`",
            "one label below `d.test`",
        ],
    );
    clash(
        &of(
            "  nameserver: [1.1.1.1]\n  fallback: [8.8.8.8]\n  fallback-filter: { geoip: true, domain: ['+.x.test'], geosite: [gfw] }",
        ),
        &["fallback: \"udp://8.8.8.8\"", "x.test: fallback"],
        &[
            "c:7: warning: `fallback` is not carried over",
            "c:8: warning: names of `geosite:gfw`",
        ],
    );
}

#[test]
fn servers_for_names_are_sing_boxes() {
    let of = |dns: &str, route: &str| {
        format!(
            "{{\"inbounds\": [{{\"type\": \"http\", \"tag\": \"i\", \"listen_port\": 1}}],\n\"outbounds\": [{{\"type\": \"direct\", \"tag\": \"d\"}}],\n\"dns\": {{\"servers\": [{{\"tag\": \"fake\", \"type\": \"fakeip\"}},\n\
             {{\"tag\": \"a\", \"type\": \"udp\", \"server\": \"1.1.1.1\"}}, {{\"tag\": \"b\", \"type\": \"local\"}}],\n\"rules\": [{dns}]}},\n\"route\": {{{route}}}}}"
        )
    };
    // What gives clients addresses that stand for names is nobody's to be asked: sing-box passes such rules over, too, where
    // it looks up names itself.
    let rules = "{\"query_type\": [\"A\", \"AAAA\"], \"server\": \"fake\"}, {\"domain_suffix\": \"x.test\", \"server\": \"fake\"}, \
                 {\"domain_suffix\": \"x.test\", \"server\": \"b\"}";
    sing_box(
        &of(rules, "").replacen("\"rules\"", "\"final\": \"a\", \"rules\"", 1),
        &["resolver: a", "x.test: b", "!fake", "!not-carried-over"],
        &[
            "c:3: dns.servers[0]: warning: the name server `fake` (`fakeip`) is not carried over: clients get no addresses",
        ],
    );
    let fake = "c:3: dns.servers[0]: warning: the name server `fake` is not carried over (its type is `fakeip`)";
    // The first one is the last resort, be it one that cannot be said.
    sing_box(
        &of("", ""),
        &[
            "resolver: fake",
            "fake: \"https://not-carried-over.invalid\"",
        ],
        &[fake],
    );
    sing_box(
        &of(
            "{\"domain_suffix\": \"corp.test\", \"server\": \"a\"}, {\"domain\": \"x.corp.test\", \"server\": \"b\"}, {\"domain_suffix\": \".y.test\", \"server\": \"b\"}, {\"domain\": \"ads.test\", \"action\": \"reject\"},\n{\"rule_set\": \"cn\", \"server\": \"b\"}, {\"domain\": \"z.test\", \"server\": \"gone\"}",
            "",
        ),
        &[
            "corp.test: a\n    y.test: b\n    \"=y.test\": fake\n    \"=ads.test\": no-answer\n    \"=z.test\": gone\n",
            "!x.corp.test",
        ],
        &[
            fake,
            "c:6: dns.rules[4]: warning: `{\"rule_set\"",
            "c:6: dns.rules[5]: warning: there is no name server `gone`",
        ],
    );
    sing_box(
        &of("", "\"default_domain_resolver\": \"b\""),
        &["resolver: b\n", "!resolver: fake }"],
        &[fake],
    );
    sing_box(
        &of(
            "",
            "\"default_domain_resolver\": {\"server\": \"b\"}, \"rules\": [{\"action\": \"resolve\"}]",
        ),
        &["resolver: b\n", "resolver: fake }"],
        &[
            fake,
            "c:6: route.default_domain_resolver: warning: names that go direct",
            "`resolve` has no choice",
        ],
    );
    sing_box(
        &of("{\"outbound\": \"any\", \"server\": \"b\"}", ""),
        &["resolver: b\n"],
        &[fake],
    );
}

#[test]
fn what_has_no_tag_has_its_number() {
    // Empty texts say nothing: the first outbound is the last resort, and no way out of its own.
    let text = "{\"inbounds\": [], \"outbounds\": [{\"type\": \"shadowsocks\"}, {\"type\": \"socks\", \"tag\": \"a\", \"server\": \"h\", \"server_port\": 1, \"detour\": \"\"}],\n\"route\": {\"final\": \"\", \"rule_set\": [{\"type\": \"remote\", \"tag\": \"s\", \"url\": \"https://x.test/s.srs\", \"download_detour\": \"\"}], \"rules\": [{\"rule_set\": \"s\", \"outbound\": \"a\"}]}}";
    let text = check(
        Foreign::SingBox,
        text,
        &[("dst=x.test:1", "0 proxy")],
        &["`0` is of type `shadowsocks`, which is not built yet"],
    );
    assert!(
        text.contains("RULE-SET, s, a") && text.contains("via: \"0\""),
        "{text}"
    );
}

#[test]
fn without_ipv6_no_flow_goes_there() {
    let text = "mixed-port: 1\nipv6: false\nproxies: []\nrules: ['MATCH,DIRECT']\n";
    let ways = [
        ("dst=[fd00::1]:1", "reject reject"),
        ("dst=10.0.0.1:1", "direct direct"),
        ("dst=x.test:1", "direct direct"),
    ];
    let text = check(Foreign::Clash, text, &ways, &[]);
    assert!(text.contains("family: ipv4"), "{text}");
}

#[test]
fn links_of_all_are_links_of_each() {
    clash(
        "mixed-port: 1\ninterface-name: eth1\nrouting-mark: 0x10\nproxies: [{ name: a, type: socks5, server: h, port: 1, udp: true }, { name: b, type: direct, interface-name: eth2 }]\n\
         dns: { enable: true, nameserver: [1.1.1.1] }",
        &[
            "direct by link: { type: direct, interface: eth1, mark: 16 }"
                .replace("direct by link", "\"direct by link\"")
                .as_str(),
            "udp: true, interface: eth1, mark: 16 }",
            "b: { type: direct, interface: eth2, mark: 16 }",
            "{ address: \"udp://1.1.1.1\", via: \"direct by link\" }",
            "FALLBACK, direct by link",
        ],
        &["c:2: warning: `DIRECT` leaves by the link"],
    );
    sing_box(
        "{\"inbounds\": [], \"outbounds\": [{\"type\": \"direct\", \"tag\": \"direct\"},\n{\"type\": \"direct\", \"tag\": \"there\", \"override_address\": \"10.0.0.1\"}], \"route\": {\"default_interface\": \"eth1\"}}",
        &[
            "  direct-2: { type: direct, interface: eth1 }",
            "there: { type: select, members: [reject] }",
            "FALLBACK, direct-2",
        ],
        &["c:2: outbounds[1]: warning: `override_address`"],
    );
}

#[test]
fn names_are_written_as_they_are() {
    let text = "mixed-port: 1\nproxies: [{ name: '🇭🇰 港 01', type: socks5, server: h, port: 1, udp: true }]\nproxy-groups: [{ name: '🚀 Ünï', type: select, proxies: ['🇭🇰 港 01'] }]\nrules: ['DOMAIN,x.test,🚀 Ünï', 'MATCH,DIRECT']\n";
    let text = check(
        Foreign::Clash,
        text,
        &[("dst=x.test:1", "🚀 ünï proxy")],
        &[],
    );
    for part in [
        "\"🇭🇰 港 01\": {",
        "members: [\"🇭🇰 港 01\"]",
        "- DOMAIN, x.test, 🚀 Ünï\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn what_a_tag_asks_for_is_not_guessed() {
    let text = "mixed-port: 1\nauthentication: !env USERS\nrules: ['MATCH,DIRECT']\n";
    let refused = convert(Foreign::Clash, text, "", &Memory::default());
    let problems = refused.unwrap_err().0;
    assert!(
        problems[0]
            .to_string()
            .starts_with("c:2:17: error[yaml-tag]"),
        "{problems:?}"
    );
}

//! A value of another type than the other program takes is never passed by in silence.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::foreign::convert;
use crate::convert::Conversion;
use pointsman_config::dialect::foreign::Foreign;
use pointsman_config::files::Memory;
use pointsman_config::problem::Problems;

fn converted(foreign: Foreign, text: &str) -> Result<Conversion, Problems> {
    convert(foreign, text, "", &Memory::default())
}

fn refused(foreign: Foreign, text: &str, expected: &str) {
    let Err(problems) = converted(foreign, text) else {
        panic!("not refused: {text}");
    };
    let first = problems.0[0].to_string();
    assert!(first.contains(expected), "{first}\n{expected}");
}

#[test]
fn sections_of_another_type_are_refused() {
    let clash = [
        (
            "rules:\n  DOMAIN-SUFFIX,secret.test,REJECT",
            "c:3:3: error[wrong-type]: `rules` must be a list, and is a text",
        ),
        (
            "rules: |\n  - DOMAIN,a.test,REJECT",
            "`rules` must be a list",
        ),
        (
            "rules: { a: b }",
            "`rules` must be a list, and is a mapping",
        ),
        ("rules: [{ DOMAIN: a.test }]", "`rules[0]` must be a text"),
        (
            "sub-rules: { s: 'DOMAIN-SUFFIX,a.test,REJECT' }",
            "`sub-rules.s` must be a list",
        ),
        (
            "rule-providers: { p: { type: inline, payload: '+.a.test' } }",
            "`rule-providers.p.payload` must be a list",
        ),
        ("proxies: __PROXIES__", "`proxies` must be a list"),
        (
            "proxy-groups: [{ name: g, proxies: text }]",
            "`proxy-groups[0].proxies` must be a list",
        ),
        (
            "proxy-groups: [{ name: g, proxies: { a: 1 } }]",
            "`proxy-groups[0].proxies` must be a list, and is a mapping",
        ),
        ("listeners: {}", "`listeners` must be a list"),
        ("tunnels: x", "`tunnels` must be a list"),
        (
            "dns: { nameserver-policy: [a] }",
            "`dns.nameserver-policy` must be a mapping, and is a list",
        ),
        ("Rule: text", "`rules` must be a list"),
        (
            "ipv6: [false]",
            "`ipv6` must be `true` or `false`, and is a list",
        ),
    ];
    for (text, expected) in clash {
        refused(
            Foreign::Clash,
            &format!("mixed-port: 1\n{text}\n"),
            expected,
        );
    }
    let sing_box = [
        (
            r#""route": {"rules": {"domain": "a.test", "action": "reject"}}"#,
            "c:1:1: error[wrong-type]: `route.rules` must be a list, and is a mapping",
        ),
        (
            r#""route": {"rule_set": {}}"#,
            "`route.rule_set` must be a list",
        ),
        (r#""inbounds": {}"#, "`inbounds` must be a list"),
        (r#""route": []"#, "`route` must be a mapping, and is a list"),
        (
            r#""route": {"rules": [{"domain": false, "outbound": "d"}]}"#,
            "`route.rules[0].domain` must be a text or a list",
        ),
        (
            r#""route": {"rules": [{"type": "logical", "mode": "or", "rules": [{"invert": "true"}]}]}"#,
            "`route.rules[0].rules[0].invert` must be",
        ),
    ];
    let dns = r#"{"dns": {"rules": [{"wifi_ssid": false, "domain": "a.test", "server": "x"}]}, "outbounds": []}"#;
    refused(
        Foreign::SingBox,
        dns,
        "`dns.rules[0].wifi_ssid` must be a text or a list",
    );
    for (text, expected) in sing_box {
        refused(
            Foreign::SingBox,
            &format!("{{{text}, \"outbounds\": []}}"),
            expected,
        );
    }
}

#[test]
fn versions_by_number_are_not_taken_for_the_usual_one() {
    let text = r#"{"inbounds": [], "outbounds": [{"type": "socks", "tag": "s", "server": "h.test", "server_port": 1, "version": 4}], "route": {}}"#;
    let conversion = converted(Foreign::SingBox, text).unwrap();
    assert!(!conversion.is_equal(), "{}", conversion.text);
}

#[test]
fn one_value_stands_for_a_list_where_sing_box_takes_it() {
    let text = r#"{"outbounds": [], "route": {"rules": [{"domain": "a.test", "port": 1, "network": "tcp", "action": "reject"}]}}"#;
    let conversion = converted(Foreign::SingBox, text).unwrap();
    assert!(conversion.is_equal(), "{:?}", conversion.report);
    let rule = "- AND, [DOMAIN, a.test], [NETWORK, tcp], [DST-PORT, 1], REJECT";
    let parts = ["DOMAIN, a.test", "DST-PORT, 1", "NETWORK, tcp", "REJECT"];
    assert!(
        parts.iter().all(|part| conversion.text.contains(part)),
        "{rule}\n{}",
        conversion.text
    );
}

/// Every key that is read, with a value that serves.
fn whole(foreign: Foreign) -> Value {
    match foreign {
        Foreign::Clash => json!({
            "mixed-port": 1, "port": 2, "socks-port": 3, "redir-port": 4, "tproxy-port": 5,
            "allow-lan": true, "bind-address": "127.0.0.1", "authentication": ["u:p"],
            "lan-allowed-ips": ["10.0.0.0/8"], "lan-disallowed-ips": ["10.1.0.0/16"],
            "skip-auth-prefixes": ["127.0.0.1/8"],
            "mode": "rule", "log-level": "info", "ipv6": true, "interface-name": "eth1", "routing-mark": 7,
            "geox-url": {"geoip": "https://geo.test/a.dat"}, "hosts": {"h.test": ["10.0.0.1"], "i.test": "10.0.0.2"},
            "tun": {"enable": true, "stack": "system"},
            "sniffer": {"enable": true, "override-destination": true, "skip-domain": ["a.test"], "sniff": {"TLS": {"ports": [443]}}},
            "tunnels": ["tcp,127.0.0.1:1,a.test:2,DIRECT"],
            "script": {"code": "x"},
            "listeners": [{"name": "l", "type": "mixed", "port": 9, "listen": "127.0.0.1", "udp": true, "users": [{"username": "a", "password": "b"}]}],
            "proxies": [
                {"name": "p", "type": "socks5", "server": "h.test", "port": 1, "udp": true, "uot": false, "tls": false, "username": "a", "password": "b",
                    "interface-name": "eth2", "routing-mark": 3, "dialer-proxy": "q"},
                {"name": "q", "type": "http", "server": "h.test", "port": 2}],
            "proxy-groups": [{"name": "g", "type": "select", "proxies": ["p", "DIRECT"], "use": ["pp"], "disable-udp": false,
                "include-all": true, "include-all-proxies": true, "include-all-providers": true, "filter": "p", "exclude-filter": "z", "exclude-type": "ss"}],
            "proxy-providers": {"pp": {"type": "http", "url": "https://p.test"}},
            "rule-providers": {
                "in": {"type": "inline", "behavior": "domain", "payload": ["+.a.test"]},
                "web": {"type": "http", "behavior": "domain", "format": "mrs", "url": "https://l.test/a", "path": "./a", "interval": 60, "size-limit": 1000, "proxy": "q"}},
            "sub-rules": {"s": ["DOMAIN,s.test,REJECT"]},
            "dns": {"enable": true, "ipv6": true, "respect-rules": false, "nameserver": ["1.1.1.1"], "direct-nameserver": ["1.1.1.2"],
                "proxy-server-nameserver": ["1.1.1.3"], "fallback": ["1.1.1.4"], "fallback-filter": {"domain": ["f.test"], "geosite": ["gfw"]},
                "nameserver-policy": {"n.test": ["1.1.1.5"], "o.test": "1.1.1.6"}},
            "rules": ["SUB-RULE,(DOMAIN-SUFFIX,test),s", "RULE-SET,in,g", "RULE-SET,web,p", "MATCH,g"],
        }),
        Foreign::SingBox => json!({
            "dns": {"servers": [{"tag": "a", "type": "udp", "server": "1.1.1.1", "server_port": 53, "detour": "s"}, {"tag": "b", "address": "local"}],
                "rules": [{"domain": ["x.test"], "domain_suffix": "y.test", "action": "route", "server": "b"}, {"outbound": ["any"], "server": "b"}],
                "final": "a", "strategy": "prefer_ipv4"},
            "inbounds": [{"type": "mixed", "tag": "in", "listen": "127.0.0.1", "listen_port": 1, "users": [{"username": "u", "password": "p"}],
                "sniff": true, "sniff_override_destination": true, "domain_strategy": "prefer_ipv4", "tls": {"enabled": false}}],
            "endpoints": [{"type": "wireguard", "tag": "w", "detour": "s"}],
            "outbounds": [
                {"type": "direct", "tag": "d", "bind_interface": "eth1", "inet4_bind_address": "10.0.0.1", "routing_mark": 3, "domain_resolver": {"server": "b"}},
                {"type": "socks", "tag": "s", "server": "h.test", "server_port": 2, "version": "5", "username": "u", "password": "p", "network": ["tcp"], "tls": {"enabled": false}, "detour": "d"},
                {"type": "selector", "tag": "g", "outbounds": ["d", "s"], "default": "s"}],
            "route": {"default_domain_resolver": {"server": "b"}, "default_interface": "eth2", "default_mark": 5, "final": "g",
                "rule_set": [{"tag": "i", "type": "inline", "rules": [{"domain": ["r.test"], "invert": false}]},
                    {"tag": "web", "type": "remote", "format": "binary", "url": "https://l.test/a", "update_interval": "1d", "download_detour": "s"},
                    {"tag": "file", "type": "local", "format": "source", "path": "a.json"}],
                "rules": [
                    {"action": "sniff", "sniffer": ["tls"], "inbound": ["in"]},
                    {"domain": ["a.test"], "domain_suffix": "b.test", "domain_keyword": ["c"], "domain_regex": "d", "ip_cidr": ["10.0.0.0/8"], "port": [1], "port_range": ["2:3"],
                        "source_ip_cidr": ["10.0.0.0/8"], "source_port": 1, "source_port_range": ["2:3"], "network": ["tcp"], "protocol": ["tls"], "outbound": "s"},
                    {"rule_set": ["i", "web", "file"], "action": "reject", "method": "drop", "ip_version": 4},
                    {"type": "logical", "mode": "or", "invert": true, "rules": [{"ip_is_private": true}, {"source_ip_is_private": true}], "action": "route", "outbound": "g"}]},
        }),
    }
}

/// Pointers to all values below one.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, v)| (n.to_string(), v))
            .collect(),
        Value::Object(pairs) => pairs.iter().map(|(k, v)| (k.clone(), v)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        let own = format!("{at}/{key}");
        all.push(own.clone());
        pointers(value, &own, all);
    }
}

/// Whether one value and a list are the same there.
fn takes_several(foreign: Foreign, pointer: &str) -> bool {
    let key = pointer.rsplit('/').find(|part| part.parse::<u8>().is_err());
    let key = key.unwrap_or_default();
    match foreign {
        Foreign::Clash => {
            pointer.contains("hosts") || pointer.contains("nameserver") || key == "fallback"
        }
        Foreign::SingBox => {
            let alone = ["action", "method", "mode", "server", "type"].contains(&key)
                || key == "outbound" && !pointer.starts_with("/dns");
            pointer.contains("/rules/") && !alone || key == "network"
        }
    }
}

/// What is told as left out with all that stands in it.
const WHOLE: [&str; 7] = [
    "/dns/direct-nameserver",
    "/proxy-providers/pp/",
    "/script",
    "/sniffer/skip-domain",
    "/sniffer/sniff",
    "/tun/stack",
    "/tunnels/0",
];

#[test]
fn no_damaged_type_is_passed_by() {
    let mut silent = Vec::new();
    for foreign in [Foreign::Clash, Foreign::SingBox] {
        let whole = whole(foreign);
        let text = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        let before = converted(foreign, &text(&whole)).unwrap_or_else(|p| panic!("{:?}", p.0));
        let before: BTreeSet<String> = before.report.iter().map(|r| r.text.clone()).collect();
        let mut all = Vec::new();
        pointers(&whole, "", &mut all);
        for pointer in all {
            if WHOLE.iter().any(|whole| pointer.starts_with(whole)) {
                continue;
            }
            for other in [
                json!({"x": 1}),
                json!(["x"]),
                json!([]),
                json!({}),
                json!("x"),
                json!(true),
            ] {
                let mut damaged = whole.clone();
                let value = damaged.pointer_mut(&pointer).unwrap();
                let nested = |v: &Value| v.is_array() || v.is_object();
                let same = std::mem::discriminant(value) == std::mem::discriminant(&other);
                // A scalar of YAML may be any other, and one value may stand for a list.
                let scalars = !nested(value) && !nested(&other);
                let lists = !value.is_object() && !other.is_object() && other != true;
                if same || scalars || lists && takes_several(foreign, &pointer) {
                    continue;
                }
                let shown = other.to_string();
                *value = other;
                if let Ok(done) = converted(foreign, &text(&damaged))
                    && done
                        .report
                        .iter()
                        .all(|r| r.equal || before.contains(&r.text))
                {
                    silent.push(format!("{} {pointer} = {shown}", foreign.as_str()));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

//! Validation of the dialect: each mistake as the text that `check` prints.

use std::path::Path;

use expect_test::{Expect, expect};
use pointsman_policy::Node;

use crate::damage;
use crate::files::Memory;
use crate::fuzz_checks::survives_damage;
use crate::load::load;
use crate::setup::{Dialect, Setup};

const GOOD: &str = r#"
[defaults]
egress = "vpn"
[egress.vpn]
type = "singbox"
endpoint = "socks5://127.0.0.1:1488"
[egress.direct]
type = "direct"
[rules]
"#;

fn read(text: &str) -> (Option<Setup>, String) {
    let files = Memory::new([("r.toml", text)]);
    let loaded = load(Path::new("r.toml"), None, None, &files);
    assert_eq!(loaded.dialect, Some(Dialect::PolicyRouter));
    let problems: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    (loaded.setup, problems.join("\n"))
}

/// The problems of a text.
fn check(text: &str, expected: Expect) {
    let (_, problems) = read(text);
    expected.assert_eq(&problems);
}

/// The one line problem of an endpoint.
fn endpoint(endpoint: &str, expected: Expect) {
    let text = GOOD.replace("socks5://127.0.0.1:1488", endpoint);
    let (_, problems) = read(&text);
    expected.assert_eq(problems.lines().next().unwrap_or(""));
}

#[test]
fn the_minimum_loads() {
    check(GOOD, expect![[r#""#]]);
    check(&format!("\u{feff}{GOOD}"), expect![[r#""#]]);
}

#[test]
fn what_is_of_later_releases_is_told() {
    let text = GOOD.replace("[rules]", "[[rules]]\negress = \"vpn\"\napp = \"zen.exe\"");
    check(
        &text,
        expect![[r#"
        r.toml:9:1: error[wrong-type]: `[[rules]]`, a list, is of later releases of policy-router, and not read
          | [[rules]]
          | ^^^^^^^^^
          hint: write `[rules.app]` and `[rules.domain]` with `EGRESS = ["pattern"]`, or a native configuration, whose `rules` are a list, too"#]],
    );
}

#[test]
fn an_http_proxy_is_told_where_it_can_be_had() {
    let text = GOOD.replace("socks5://", "http://");
    check(
        &text,
        expect![[r#"
        r.toml:6:12: error[invalid-address]: `http://127.0.0.1:1488`: the scheme `http` is not `socks5`
          | endpoint = "http://127.0.0.1:1488"
          |            ^^^^^^^^^^^^^^^^^^^^^^^
          hint: an endpoint is `socks5://host:port`; by an HTTP proxy flows go in a native configuration (`type: http`)"#]],
    );
}

#[test]
fn v1_an_unknown_egress_in_rules() {
    check(
        &format!("{GOOD}[rules.app]\nvpm = [\"a\"]"),
        expect![[r#"
            r.toml:11:1: error[unknown-outbound]: there is no egress `vpm`
              | vpm = ["a"]
              | ^^^
              hint: did you mean `vpn`?"#]],
    );
    check(
        &format!("{GOOD}[rules.domain]\nq = [\"a\"]"),
        expect![[r#"
            r.toml:11:1: error[unknown-outbound]: there is no egress `q`
              | q = ["a"]
              | ^
              hint: declared: vpn, direct"#]],
    );
}

#[test]
fn v2_an_endpoint_is_missing() {
    check(
        &GOOD.replace("endpoint = \"socks5://127.0.0.1:1488\"", ""),
        expect![[r#"
            r.toml:4:9: error[missing-key]: `egress.vpn` is of type `singbox` and needs an `endpoint`
              | [egress.vpn]
              |         ^^^
              hint: endpoint = "socks5://127.0.0.1:1080""#]],
    );
}

#[test]
fn v3_an_endpoint_has_no_place() {
    let endpoint = "type = \"direct\"\nendpoint = \"socks5://127.0.0.1:1\"";
    check(
        &GOOD.replace("type = \"direct\"", endpoint),
        expect![[r#"
            r.toml:9:1: error[endpoint-forbidden]: `egress.direct` is of type `direct`, which has no endpoint
              | endpoint = "socks5://127.0.0.1:1"
              | ^^^^^^^^"#]],
    );
    let endpoint = "type = \"block\"\nendpoint = \"socks5://127.0.0.1:1\"";
    check(
        &GOOD.replace("type = \"direct\"", endpoint),
        expect![[r#"
            r.toml:9:1: error[endpoint-forbidden]: `egress.direct` is of type `block`, which has no endpoint
              | endpoint = "socks5://127.0.0.1:1"
              | ^^^^^^^^"#]],
    );
}

#[test]
fn v4_endpoints() {
    endpoint(
        "127.0.0.1:1080",
        expect!["r.toml:6:12: error[invalid-address]: `127.0.0.1:1080`: there is no scheme"],
    );
    endpoint(
        "socks5://127.0.0.1",
        expect!["r.toml:6:12: error[invalid-address]: `socks5://127.0.0.1`: there is no port"],
    );
    endpoint(
        "socks5://127.0.0.1:70000",
        expect![
            "r.toml:6:12: error[invalid-address]: `socks5://127.0.0.1:70000`: `70000` is no port from 1 to 65535"
        ],
    );
    endpoint(
        "socks5://127.0.0.1:0",
        expect![
            "r.toml:6:12: error[invalid-address]: `socks5://127.0.0.1:0`: `0` is no port from 1 to 65535"
        ],
    );
    endpoint(
        "socks5://127.0.0.1:+80",
        expect![
            "r.toml:6:12: error[invalid-address]: `socks5://127.0.0.1:+80`: `+80` is no port from 1 to 65535"
        ],
    );
    endpoint(
        "socks5://u:p@127.0.0.1:1080",
        expect![
            "r.toml:6:12: error[invalid-address]: `socks5://***@127.0.0.1:1080`: a login has no place here"
        ],
    );
    endpoint(
        "socks5://127.0.0.1:1080/",
        expect![
            "r.toml:6:12: error[invalid-address]: `socks5://127.0.0.1:1080/`: nothing may follow the port"
        ],
    );
    endpoint(
        "SOCKS5://127.0.0.1:1080",
        expect![
            "r.toml:6:12: error[invalid-address]: `SOCKS5://127.0.0.1:1080`: the scheme `SOCKS5` is not `socks5`"
        ],
    );
    endpoint(
        "http://127.0.0.1:1080",
        expect![
            "r.toml:6:12: error[invalid-address]: `http://127.0.0.1:1080`: the scheme `http` is not `socks5`"
        ],
    );
    endpoint(
        "socks5://::1:1080",
        expect![
            "r.toml:6:12: error[invalid-address]: `socks5://::1:1080`: an IPv6 address stands in brackets"
        ],
    );
    endpoint(
        "socks5://[1.2.3.4]:1080",
        expect![
            "r.toml:6:12: error[invalid-address]: `socks5://[1.2.3.4]:1080`: what stands in brackets is no IPv6 address"
        ],
    );
    endpoint(
        "socks5://:1080",
        expect!["r.toml:6:12: error[invalid-address]: `socks5://:1080`: the name is empty"],
    );
    endpoint(
        "  ",
        expect!["r.toml:6:12: error[invalid-address]: ``: there is no scheme"],
    );
    endpoint("socks5://[::1]:1080", expect![[r#""#]]);
    endpoint("socks5://vpn.example:1080", expect![[r#""#]]);
}

#[test]
fn a_login_is_not_shown() {
    for endpoint in [
        "socks5://u:hunter2@h:1",
        "u:hunter2@h",
        "hunter2://a@h:1",
        "socks5://h:hunter2@",
    ] {
        let (_, problems) = read(&GOOD.replace("socks5://127.0.0.1:1488", endpoint));
        let secret = endpoint.contains("u:hunter2") || endpoint.contains("h:hunter2");
        assert_eq!(problems.contains("hunter2"), !secret, "{problems}");
        assert!(problems.contains("a login has no place here"), "{problems}");
    }
}

#[test]
fn v5_blank_patterns() {
    check(
        &format!("{GOOD}[rules.app]\nvpn = [\" \"]"),
        expect![[r#"
            r.toml:11:8: error[blank-pattern]: the pattern is blank
              | vpn = [" "]
              |        ^^^"#]],
    );
    check(
        &format!("{GOOD}[rules.domain]\nvpn = [\"a.b\", \".\"]"),
        expect![[r#"
            r.toml:11:15: error[blank-pattern]: the pattern is blank
              | vpn = ["a.b", "."]
              |               ^^^"#]],
    );
    check(
        &format!("{GOOD}[rules.domain]\nvpn = [\"*.b\"]"),
        expect![[r#"
            r.toml:11:8: error[invalid-value]: `*.b` is no domain: the name has the character '*', which no host name carries
              | vpn = ["*.b"]
              |        ^^^^^
              hint: a pattern holds for a name and all names below it"#]],
    );
}

#[test]
fn v6_the_default_is_not_declared() {
    check(
        &GOOD.replace("egress = \"vpn\"", "egress = \"VPN\""),
        expect![[r#"
            r.toml:3:10: error[unknown-outbound]: there is no egress `VPN`
              | egress = "VPN"
              |          ^^^^^
              hint: did you mean `vpn`?"#]],
    );
    check(
        &GOOD.replace("egress = \"vpn\"", ""),
        expect![[r#"
        r.toml:2:1: error[missing-key]: `defaults` needs the key `egress`
          | [defaults]
          | ^^^^^^^^^^"#]],
    );
}

#[test]
fn unknown_keys_are_errors() {
    check(
        &format!("{GOOD}[rules.domian]\nvpn = []"),
        expect![[r#"
        r.toml:10:8: error[unknown-key]: `rules` has no key `domian`
          | [rules.domian]
          |        ^^^^^^
          hint: did you mean `domain`?"#]],
    );
    check(
        &format!("{GOOD}[log]\nx = 1"),
        expect![[r#"
            r.toml:10:2: error[unknown-key]: the configuration has no key `log`
              | [log]
              |  ^^^
              hint: there is: defaults, egress, rules"#]],
    );
    check(
        &GOOD.replace("[rules]", "[rules]\n[egress.b]\ntype = \"block\"\nport = 1"),
        expect![[r#"
            r.toml:12:1: error[unknown-key]: `egress.b` has no key `port`
              | port = 1
              | ^^^^
              hint: there is: type, endpoint"#]],
    );
}

#[test]
fn types_are_told() {
    check(
        &GOOD.replace("\"vpn\"", "5"),
        expect![[r#"
        r.toml:3:10: error[wrong-type]: `defaults.egress` must be a text
          | egress = 5
          |          ^"#]],
    );
    check(
        &GOOD.replace("\"singbox\"", "\"Singbox\""),
        expect![[r#"
            r.toml:5:8: error[invalid-value]: there is no egress type `Singbox`
              | type = "Singbox"
              |        ^^^^^^^^^
              hint: did you mean `singbox`?"#]],
    );
    check(
        &format!("{GOOD}[rules.app]\nvpn = \"zen.exe\""),
        expect![[r#"
            r.toml:11:7: error[wrong-type]: `rules.app.vpn` must be a list
              | vpn = "zen.exe"
              |       ^^^^^^^^^
              hint: write `[A, B]`"#]],
    );
    check(
        "egress = [",
        expect![[r#"
        r.toml:1:11: error[toml-syntax]: unclosed array, expected `]`
          | egress = [
          |           ^"#]],
    );
    check(
        "",
        expect![[r#"
        r.toml:1:1: error[missing-key]: the configuration needs the key `defaults`
        r.toml:1:1: error[missing-key]: the configuration needs the key `egress`
        r.toml:1:1: error[missing-key]: the configuration needs the key `rules`"#]],
    );
}

#[test]
fn overlaps_of_one_kind_are_told() {
    let two = "[egress.a]\ntype = \"socks5\"\nendpoint = \"socks5://h:1\"\n[egress.z]\ntype = \"socks5\"\nendpoint = \"socks5://h:2\"\n";
    check(
        &format!("{GOOD}[rules.domain]\na = [\"com\"]\nz = [\"x.example.com\"]\n{two}"),
        expect![[r#"
            r.toml:12:6: warning[ambiguous-overlap]: `x.example.com` of `z` and `com` of `a` overlap
              | z = ["x.example.com"]
              |      ^^^^^^^^^^^^^^^
              r.toml:11:6: overlaps with this
              hint: both are of one kind, so `a` goes first by its name"#]],
    );
    check(
        &format!("{GOOD}[rules.app]\nz = [\"Zen.exe\"]\na = [\"/bin/zen.exe\"]\n{two}"),
        expect![[r#"
            r.toml:12:6: warning[ambiguous-overlap]: `/bin/zen.exe` of `a` and `Zen.exe` of `z` overlap
              | a = ["/bin/zen.exe"]
              |      ^^^^^^^^^^^^^^
              r.toml:11:6: overlaps with this
              hint: both are of one kind, so `a` goes first by its name"#]],
    );
    check(
        &format!("{GOOD}[rules.domain]\nvpn = [\"com\"]\nz = [\"x.example.com\"]\n{two}"),
        expect![""],
    );
}

#[test]
fn rules_stand_in_the_fixed_order() {
    let text = r#"
[defaults]
egress = "d"
[egress]
z = { type = "singbox", endpoint = "socks5://h:1" }
s = { type = "socks5", endpoint = "socks5://h:2" }
d = { type = "direct" }
b = { type = "block" }
a = { type = "singbox", endpoint = "socks5://h:3" }
[rules.app]
d = ["d1"]
a = ["a1"]
b = ["b1"]
[rules.domain]
d = ["рф", ".Lan "]
s = ["s1"]
z = ["z2", "z1"]
b = ["b2"]
a = ["a2"]
"#;
    let setup = read(text).0.unwrap();
    let policy = &setup.policies[0];
    assert_eq!(&*policy.outbound(policy.direct).name, "d");
    let lines: Vec<String> = policy
        .body
        .iter()
        .map(|node| match node {
            Node::Rule(rule) => format!("{} {}", rule.origin.line, rule.origin.text),
            Node::Leaf { origin, .. } => format!("{} {}", origin.line, origin.text),
            other => panic!("{other:?}"),
        })
        .collect();
    expect![[r#"
        13 app b = "b1"
        18 domain b = "b2"
        19 domain a = "a2"
        17 domain z = "z2"
        17 domain z = "z1"
        16 domain s = "s1"
        15 domain d = "рф"
        15 domain d = ".Lan"
        12 app a = "a1"
        11 app d = "d1"
        3 default egress = "d""#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn the_guard_has_its_own_direct() {
    let text = GOOD.replace("[egress.direct]\ntype = \"direct\"", "");
    let setup = read(&text).0.unwrap();
    let policy = &setup.policies[0];
    assert_eq!(&*policy.outbound(policy.direct).name, "direct");
    check(
        &format!("{text}[rules.app]\ndirect = [\"a\"]"),
        expect![[r#"
            r.toml:10:1: error[unknown-outbound]: there is no egress `direct`
              | direct = ["a"]
              | ^^^^^^
              hint: declared: vpn"#]],
    );
}

/// A thousand damaged variants of the sample: problems or a setup, never a panic.
#[test]
fn damage_is_survived() {
    let Some(path) = damage::shared("samples/policy-router/config.toml") else {
        return;
    };
    let sample = std::fs::read_to_string(path).unwrap();
    assert!(read(&sample).0.is_some());
    survives_damage(Dialect::PolicyRouter, "r.toml", &sample);
}

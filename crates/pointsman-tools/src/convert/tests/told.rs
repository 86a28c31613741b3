//! What is told of a conversion: nothing twice, nothing untrue, and in the order of the lines.

use super::foreign::{convert, converted, told_by_shape};
use crate::convert::folded;
use pointsman_config::dialect::foreign::Foreign;
use pointsman_config::files::Memory;

/// Whether each remark of a report is there; `!` before one that must not be.
fn told(foreign: Foreign, text: &str, expected: &[&str]) {
    let report = converted(foreign, text).report;
    let lines: Vec<String> = report.iter().map(ToString::to_string).collect();
    for word in expected {
        let (wanted, word) = word
            .strip_prefix('!')
            .map_or((true, *word), |word| (false, word));
        assert_eq!(
            lines.iter().any(|line| line.contains(word)),
            wanted,
            "{word}\n{lines:#?}"
        );
    }
}

fn clash(text: &str, expected: &[&str]) {
    told(
        Foreign::Clash,
        &format!("mixed-port: 1\n{text}\n"),
        expected,
    );
}

#[test]
fn groups_without_members_are_told() {
    let empty = "c:2: warning: the group `g` has no members: it refuses every flow";
    for members in ["", ", include-all: true", ", use: [p]", ", proxies: []"] {
        clash(
            &format!("proxy-groups: [{{ name: g, type: select{members} }}]"),
            &[empty],
        );
    }
    clash(
        "proxy-groups: [{ name: g, type: select, proxies: [PASS] }]",
        &["`PASS` in `g` hands flows on"],
    );
    let text = r#"{"inbounds": [], "outbounds": [{"type": "selector", "tag": "g", "outbounds": []}], "route": {}}"#;
    told(
        Foreign::SingBox,
        text,
        &["c:1: outbounds[0]: warning: `g` has no members"],
    );
}

#[test]
fn what_is_applied_is_not_told_as_lost() {
    let of = |more: &str| {
        format!(
            "proxies: [{{ name: p, type: direct }}]\nproxy-groups: [{{ name: g, type: select, filter: p, proxies: [DIRECT]{more} }}]"
        )
    };
    clash(&of(", include-all: true"), &["!`filter`"]);
    clash(&of(""), &["note: `filter` of `g` is not carried over"]);
}

#[test]
fn keys_that_change_the_way_are_told() {
    let name = "`override-destination` of `sniffer` is not carried over";
    clash("sniffer: { enable: true }", &[name]);
    clash(
        "sniffer:\n  enable: true\n  override-destination: true\n  skip-domain: [a.test]",
        &[
            "c:4: warning: `override-destination`",
            "`skip-domain` of `sniffer`",
        ],
    );
    clash(
        "sniffer: { enable: true, override-destination: false }",
        &["!override-destination"],
    );
    clash(
        "sniffer: { enable: true, override-destination: false, parse-pure-ip: false, sniff: { TLS: { override-destination: true } } }",
        &[name, "`parse-pure-ip: false`"],
    );
    clash(
        "dns: { enable: true, nameserver: [1.1.1.1], use-hosts: false }",
        &["warning: `use-hosts: false` of `dns`"],
    );
    clash(
        "find-process-mode: off",
        &["warning: `find-process-mode: off`"],
    );
    clash("ebpf: { auto-redir: [eth0] }", &["warning: `ebpf`"]);
}

#[test]
fn keys_of_sing_box_that_are_not_carried_over_are_told() {
    let text = r#"{"log": {"timestamp": true}, "inbounds": [], "outbounds": [{"type": "direct", "tag": "d"}],
        "route": {"geoip": {"path": "x"}, "rules": [{"port": 1, "outbound": "d", "tls_fragment": true}]}}"#;
    let note = "c:2: route.rules[0]: note: `tls_fragment` of the rule is not carried over";
    told(
        Foreign::SingBox,
        text,
        &["note: `timestamp`", "note: `geoip`", note],
    );
}

#[test]
fn reports_are_in_the_order_of_the_lines_and_fold_what_is_equal() {
    let text = "{\"inbounds\": [], \"outbounds\": [\n{\"type\": \"direct\", \"tag\": \"a\", \"exclude\": \"x\"},\n{\"type\": \"direct\", \"tag\": \"b\", \"exclude\": \"x\"},\n{\"type\": \"direct\", \"tag\": \"c\", \"exclude\": \"x\"}],\n\"route\": {}}";
    let report = folded(&converted(Foreign::SingBox, text).report, "c");
    let told = "c:2: outbounds[0].exclude: warning: `exclude` is not carried over (3 times: also lines 3, 4)";
    assert_eq!(report.len(), 1, "{report:#?}");
    assert_eq!(report[0].to_string(), told);
    let text = "rules:\n- UID,1,DIRECT\nmode: global\nproxies:\n- { name: a, type: vmess }\nport: 1\nmixed-port: 1\n";
    let report = converted(Foreign::Clash, text).report;
    let places = report.iter().filter_map(|r| r.place.strip_prefix("c:"));
    let lines: Vec<&str> = places.collect();
    assert!(lines.len() > 2 && lines.is_sorted(), "{report:#?}");
}

#[test]
fn broken_json_is_told_as_json() {
    let text =
        "{\"outbounds\":[{\"type\": \"socks\", \"version\": \"5\", \"default\": \n}],\"route\":{}}";
    assert_eq!(told_by_shape(text), Some(Foreign::SingBox));
    let refused = convert(Foreign::SingBox, text, "", &Memory::default());
    let problem = refused.unwrap_err().0[0].to_string();
    assert!(
        problem.starts_with("c:2:1: error[json-syntax]"),
        "{problem}"
    );
    let native = "{version: 1, \"outbounds\": {}, \"inbounds\": {}}";
    assert_eq!(told_by_shape(native), None);
}

//! Rules, groups and rests that refuse because what they led to is not here: none of them works as before.

use super::foreign::converted;
use super::summary::check;
use pointsman_config::dialect::foreign::Foreign;

#[test]
fn a_member_that_is_not_there_does_not_work_as_before() {
    let text = "mixed-port: 1
proxies:
- { name: near, type: socks5, server: 127.0.0.1, port: 1080 }
proxy-groups:
- { name: miss, type: select, proxies: [gone, near] }
- { name: pass, type: select, proxies: [PASS, near] }
- { name: outer, type: select, proxies: [miss] }
- { name: later, type: select, proxies: [near, gone] }
rules:
- DOMAIN,a.test,miss
- DOMAIN,b.test,outer
- DOMAIN,c.test,later
- DOMAIN,d.test,REJECT
- MATCH,pass
";
    let conversion = converted(Foreign::Clash, text);
    check(
        &conversion.summary,
        &["1 group", "2 of 4 rules", "!REJECT"],
        &[
            "the group `miss` begins with `gone` (does not exist)",
            "the group `pass` begins with `PASS` (not built yet)",
            "the group `outer` begins with `miss`, then `gone` (does not exist)",
            "2 rules lead to what refuses every flow, so what they take is refused: `miss`, `outer`",
            "flows that no rule takes go to `pass`, and are refused",
        ],
        &["`pointsman outbounds select 'miss' 'near'`"],
    );
    let told: Vec<String> = conversion.report.iter().map(ToString::to_string).collect();
    let outer = "c:7: warning: the group begins with `miss`, then `gone` (does not exist): its flows are refused";
    assert!(told.iter().any(|line| line == outer), "{told:#?}");
}

/// A proxy that refuses is a word here.
#[test]
fn a_proxy_of_type_reject_works_as_before() {
    let text = "mixed-port: 1
proxies:
- { name: no, type: reject }
- { name: near, type: socks5, server: 127.0.0.1, port: 1080, udp: true }
proxy-groups:
- { name: all, type: select, proxies: [near], include-all: true }
rules:
- DOMAIN,a.test,no
- MATCH,all
";
    let conversion = converted(Foreign::Clash, text);
    assert!(conversion.is_equal(), "{:?}", conversion.report);
    check(
        &conversion.summary,
        &["1 proxy: `near`", "1 rule"],
        &["!refuse"],
        &[],
    );
    let has = |line: &str| assert!(conversion.text.contains(line), "{}", conversion.text);
    has("- DOMAIN, a.test, REJECT");
    // What a group names is not there twice.
    has("all: { type: select, members: [near, REJECT] }");
}

/// Of groups that begin with what is not built the line is named, in either language.
#[test]
fn a_group_that_begins_with_what_is_not_built_is_told_with_its_line() {
    let told = |foreign, text: &str| -> Vec<String> {
        let report = converted(foreign, text).report;
        let told = report.iter().map(ToString::to_string);
        told.filter(|line| line.contains("the group begins with"))
            .collect()
    };
    let text = "proxies:
- { name: near, type: socks5, server: 127.0.0.1, port: 1080 }
- { name: far, type: ss, server: a.test, port: 1 }
proxy-groups:
- { name: one, type: select, proxies: [far, near] }
- { name: two, type: select, proxies: [near, far] }
- { name: three, type: url-test, proxies: [one, near] }
rules: ['MATCH,one']
";
    let until = "its flows are refused until another member is selected";
    let expected = [
        format!("c:5: warning: the group begins with `far` (shadowsocks, not built yet): {until}"),
        format!(
            "c:7: warning: the group begins with `one`, then `far` (shadowsocks, not built yet): {until}"
        ),
    ];
    assert_eq!(told(Foreign::Clash, text), expected);
    let text = r#"{"inbounds": [], "route": {}, "outbounds": [
        {"type": "selector", "tag": "one", "outbounds": ["near", "far"],
         "default": "far"},
        {"type": "selector", "tag": "two", "outbounds": ["near", "far"]},
        {"type": "socks", "tag": "near", "server": "127.0.0.1", "server_port": 1080},
        {"type": "vmess", "tag": "far", "server": "a.test", "server_port": 1}]}"#;
    let expected = [format!(
        "c:2: outbounds[0]: warning: the group begins with `far` (vmess, not built yet): {until}"
    )];
    assert_eq!(told(Foreign::SingBox, text), expected);
}

/// What answers programs that ask it.
const LISTEN: &str = "let Pointsman be their DNS server: `dns: { listen: \"udp://127.0.0.1:53\", rules: [\"FALLBACK, system\"] }`";

/// Programs' DNS questions are not answered here. They are refused, not let out by the rules below.
#[test]
fn questions_that_were_answered_are_refused() {
    let text = |rule: &str, last: &str| {
        format!(
            r#"{{"inbounds": [], "outbounds": [{{"type": "direct", "tag": "direct"}}, {{"type": "dns", "tag": "answers"}},
            {{"type": "selector", "tag": "g", "outbounds": ["answers", "direct"]}}],
            "route": {{"final": "{last}", "rules": [{{"port": 53, {rule}}}, {{"domain": "a.test", "action": "reject"}}]}}}}"#
        )
    };
    for (rule, name) in [
        (r#""action": "hijack-dns""#, "`hijack-dns`"),
        (r#""outbound": "answers""#, "`answers`"),
        (r#""outbound": "g""#, "`g`"),
    ] {
        let conversion = converted(Foreign::SingBox, &text(rule, "direct"));
        let refused =
            format!("1 rule leads to what refuses every flow, so what it takes is refused: {name}");
        check(
            &conversion.summary,
            &["1 of 2 rules", "flows that no rule takes go to `DIRECT`"],
            &[&refused, "!left out"],
            // A group may be switched to another member.
            if name == "`g`" { &[] } else { &[LISTEN] },
        );
        assert!(!conversion.is_equal());
        let first = conversion
            .text
            .lines()
            .find(|line| line.contains("DST-PORT, 53"));
        assert!(first.is_some_and(|line| line.ends_with("REJECT") || line.ends_with("g")));
    }
    for last in ["answers", "gone"] {
        let told = converted(Foreign::SingBox, &text(r#""outbound": "direct""#, last)).summary;
        check(
            &told,
            &["2 rules", "!flows that no rule takes"],
            &["flows that no rule takes are refused"],
            &[],
        );
    }
    // What was refused there is refused as before.
    let told = converted(
        Foreign::SingBox,
        &text(r#""outbound": "direct""#, "block").replace(
            "\"type\": \"dns\", \"tag\": \"answers\"",
            "\"type\": \"block\", \"tag\": \"block\"",
        ),
    );
    check(
        &told.summary,
        &["flows that no rule takes go to `REJECT`, and are refused"],
        &[],
        &[],
    );
}

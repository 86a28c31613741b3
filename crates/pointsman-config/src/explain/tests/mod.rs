//! Explanations as the control API says them: app and domain rules, groups, transport, the guard.

mod above;
mod asked;
mod dialects;

use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::files::Memory;
use crate::load::load;

/// An app and domain policy in which each step and each kind has something to say.
const POLICY: &str = r#"
[defaults]
egress = "vpn"
[egress.vpn]
type = "singbox"
endpoint = "socks5://127.0.0.1:1488"
[egress.proxy]
type = "socks5"
endpoint = "socks5://127.0.0.1:1080"
[egress.direct]
type = "direct"
[egress.block]
type = "block"
[rules.app]
vpn = ["zen.exe", "twice.exe"]
direct = ["ciadpi.exe", "twice.exe"]
block = ["bad.exe"]
[rules.domain]
vpn = ["twice.example", "both.example"]
proxy = ["youtube.com", "googlevideo.com"]
direct = ["twice.example", "рф", ".lan", "both.example."]
block = ["blocked.example", "both.example."]
"#;

fn setup(text: &str) -> Setup {
    let loaded = load(
        Path::new("r.toml"),
        None,
        None,
        &Memory::new([("r.toml", text)]),
    );
    loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems))
}

/// `outbound action source matcher pattern: reason` of a flow in words.
fn line(text: &str, flow: &str) -> String {
    let query = Query::parse(flow).unwrap();
    let explained = explain(&setup(text), &query, &First, Detail::Folded).unwrap();
    let app_domain = explained.app_domain.unwrap();
    let matcher = app_domain
        .matcher
        .map(|m| format!(" {} {}", m.kind, m.pattern));
    let outbound = explained.decision.outbound.unwrap();
    assert_eq!(outbound, app_domain.rule_egress);
    format!(
        "{outbound} {} {}{}: {}",
        explained.decision.action.as_str(),
        app_domain.source,
        matcher.unwrap_or_default(),
        explained.reason
    )
}

fn check(flow: &str, expected: Expect) {
    expected.assert_eq(&line(POLICY, flow));
}

fn json(flow: &str, detail: Detail, expected: Expect) {
    let query = Query::parse(flow).unwrap();
    let explained = explain(&setup(POLICY), &query, &First, detail).unwrap();
    expected.assert_eq(&serde_json::to_string(&explained).unwrap());
}

#[test]
fn app_and_domain_rules() {
    // A domain rule goes before the app's own.
    check(
        "process=zen.exe domain=youtube.com",
        expect![
            "proxy proxy domain_rule exact youtube.com: domain rule: exact match 'youtube.com' -> egress 'proxy'"
        ],
    );
    check(
        "process=zen.exe domain=unknown.example",
        expect![
            "vpn proxy app_rule exact zen.exe: app rule: exact match 'zen.exe' -> egress 'vpn'"
        ],
    );
    check(
        "process=notepad.exe domain=unknown.example",
        expect!["vpn proxy default: default: egress 'vpn' (no rules matched)"],
    );
    check(
        "process=bad.exe domain=youtube.com",
        expect![
            "block reject block_app exact bad.exe: blocked: app exact match 'bad.exe' -> egress 'block' has highest priority"
        ],
    );
    check(
        "process=zen.exe domain=blocked.example",
        expect![
            "block reject block_domain exact blocked.example: blocked: domain exact match 'blocked.example' -> egress 'block' has highest priority"
        ],
    );
    check(
        "process=bad.exe domain=blocked.example",
        expect![
            "block reject block_app exact bad.exe: blocked: app exact match 'bad.exe' -> egress 'block' has highest priority"
        ],
    );
    check(
        "process=zen.exe domain=r1---sn-x.googlevideo.com",
        expect![
            "proxy proxy domain_rule suffix googlevideo.com: domain rule: suffix match 'googlevideo.com' -> egress 'proxy'"
        ],
    );
    check(
        "process=zen.exe domain=YouTube.COM",
        expect![
            "proxy proxy domain_rule exact youtube.com: domain rule: exact match 'youtube.com' -> egress 'proxy'"
        ],
    );
    check(
        "process=ZEN.EXE domain=unknown.example",
        expect![
            "vpn proxy app_rule exact zen.exe: app rule: exact match 'zen.exe' -> egress 'vpn'"
        ],
    );
    check(
        r#"process="C:\Program Files\Zen\zen.exe" domain=unknown.example"#,
        expect![
            "vpn proxy app_rule exact zen.exe: app rule: exact match 'zen.exe' -> egress 'vpn'"
        ],
    );
    check(
        "process=zen domain=unknown.example",
        expect!["vpn proxy default: default: egress 'vpn' (no rules matched)"],
    );
    check(
        "process=ciadpi.exe domain=unknown.example",
        expect![
            "direct direct app_rule exact ciadpi.exe: app rule: exact match 'ciadpi.exe' -> egress 'direct'"
        ],
    );
    check(
        "process=' ciadpi.exe '",
        expect![
            "direct direct app_rule exact ciadpi.exe: app rule: exact match 'ciadpi.exe' -> egress 'direct'"
        ],
    );
    check(
        "process=twice.exe",
        expect![
            "vpn proxy app_rule exact twice.exe: app rule: exact match 'twice.exe' -> egress 'vpn'"
        ],
    );
    check(
        "domain=twice.example",
        expect![
            "vpn proxy domain_rule exact twice.example: domain rule: exact match 'twice.example' -> egress 'vpn'"
        ],
    );
    check(
        "domain=both.example",
        expect![
            "block reject block_domain exact both.example.: blocked: domain exact match 'both.example.' -> egress 'block' has highest priority"
        ],
    );
    check(
        "domain=lan",
        expect![
            "direct direct domain_rule exact .lan: domain rule: exact match '.lan' -> egress 'direct'"
        ],
    );
    check(
        "domain=printer.lan",
        expect![
            "direct direct domain_rule suffix .lan: domain rule: suffix match '.lan' -> egress 'direct'"
        ],
    );
    check(
        "domain=президент.рф",
        expect![
            "direct direct domain_rule suffix рф: domain rule: suffix match 'рф' -> egress 'direct'"
        ],
    );
    check(
        "domain=xn--d1abbgf6aiiy.xn--p1ai",
        expect![
            "direct direct domain_rule suffix рф: domain rule: suffix match 'рф' -> egress 'direct'"
        ],
    );
    check(
        "",
        expect!["vpn proxy default: default: egress 'vpn' (no rules matched)"],
    );
    // The request's name goes before the one in the first bytes.
    check(
        "dst=youtube.com:443 domain=blocked.example",
        expect![
            "proxy proxy domain_rule exact youtube.com: domain rule: exact match 'youtube.com' -> egress 'proxy'"
        ],
    );
    check(
        "dst=1.2.3.4:443 domain=youtube.com",
        expect![
            "proxy proxy domain_rule exact youtube.com: domain rule: exact match 'youtube.com' -> egress 'proxy'"
        ],
    );
}

#[test]
fn a_blocked_app_is_no_default() {
    let text = POLICY.replace("egress = \"vpn\"", "egress = \"block\"");
    expect!["block reject block_app exact bad.exe: blocked: app exact match 'bad.exe' -> egress 'block' has highest priority"].assert_eq(&line(&text, "process=bad.exe"));
    expect!["block reject default: default: egress 'block' (no rules matched)"]
        .assert_eq(&line(&text, "process=other.exe"));
}

#[test]
fn kinds_and_names_go_before_length() {
    let two = "[egress.a]\ntype = \"singbox\"\nendpoint = \"socks5://h:1\"\n[rules]";
    let text = POLICY
        .replace("[rules.app]", &format!("{two}\n[rules.app]"))
        .replace(
            "proxy = [",
            "a = [\"com\"]\nproxy = [\"video.example.com\", ",
        );
    let text = text.replace(
        "vpn = [\"twice.example\"",
        "vpn = [\"example.com\", \"twice.example\"",
    );
    expect!["a proxy domain_rule suffix com: domain rule: suffix match 'com' -> egress 'a'"]
        .assert_eq(&line(&text, "domain=www.example.com"));
    expect!["a proxy domain_rule suffix com: domain rule: suffix match 'com' -> egress 'a'"]
        .assert_eq(&line(&text, "domain=video.example.com"));
}

#[test]
fn the_loop_guard_turns_a_proxy_into_direct_and_nothing_else() {
    let said = line(POLICY, "process=ciadpi.exe domain=youtube.com serves=proxy");
    assert!(
        said.starts_with(
            "direct direct loop_guard: loop guard: the flow's process serves the outbound `proxy`"
        ),
        "{said}"
    );
    let query = Query::parse("process=ciadpi.exe domain=youtube.com serves=proxy").unwrap();
    let explained = explain(&setup(POLICY), &query, &First, Detail::Folded).unwrap();
    let rule = explained.rule.unwrap();
    assert_eq!(rule.text, "domain proxy = \"youtube.com\"");
    let Some(TraceLine::Visit(last)) = explained.trace.last() else {
        panic!("{:?}", explained.trace);
    };
    assert_eq!((last.text.as_str(), last.line), ("loop guard", 0));
    assert!(
        explained.reason.starts_with("loop guard: "),
        "{}",
        explained.reason
    );
    // A refusal stays one, a direct way is nobody's to override.
    let alone = line(POLICY, "domain=blocked.example");
    assert!(alone.starts_with("block reject block_domain"), "{alone}");
    assert_eq!(line(POLICY, "domain=blocked.example serves=proxy"), alone);
    for unknown in ["nobody", "pointsman"] {
        let query = Query::parse(&format!("serves={unknown}")).unwrap();
        let error = explain(&setup(POLICY), &query, &First, Detail::Folded).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`process.serves`: there is no outbound `{unknown}` (there are: vpn, proxy, direct, block)"
            )
        );
    }
}

#[test]
fn the_whole_answer() {
    json(
        r#"{"id":"a","dst":"r1.googlevideo.com:443","process":{"name":"zen.exe"}}"#,
        Detail::Folded,
        expect![[
            r#"{"id":"a","decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"googlevideo.com\"","file":"r.toml","line":20,"entry":null},"reason":"domain rule: suffix match 'googlevideo.com' -> egress 'proxy'","trace":[{"skipped":6},{"file":"r.toml","line":20,"text":"domain proxy = \"googlevideo.com\"","result":"yes","because":"domain is r1.googlevideo.com (given)"}],"asked":["owner"],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"suffix","pattern":"googlevideo.com"},"flow":{"network":"tcp","dst":"r1.googlevideo.com:443","process":{"name":"zen.exe","pid":null}}}"#
        ]],
    );
    json(
        "process=twice.exe",
        Detail::Folded,
        expect![[
            r#"{"decision":{"outbound":"vpn","action":"proxy","member":null},"rule":{"text":"app vpn = \"twice.exe\"","file":"r.toml","line":15,"entry":null},"reason":"app rule: exact match 'twice.exe' -> egress 'vpn'","trace":[{"skipped":12},{"file":"r.toml","line":15,"text":"app vpn = \"twice.exe\"","result":"yes","because":"process.name is twice.exe (given)"}],"asked":["owner","sniff"],"source":"app_rule","rule_egress":"vpn","matcher":{"type":"exact","pattern":"twice.exe"},"flow":{"network":"tcp","process":{"name":"twice.exe","pid":null}},"hints":["the name was not said, and a rule looks at it: add `domain=NAME`"]}"#
        ]],
    );
    json(
        "",
        Detail::Full,
        expect![[
            r#"{"decision":{"outbound":"vpn","action":"proxy","member":null},"rule":{"text":"default egress = \"vpn\"","file":"r.toml","line":3,"entry":null},"reason":"default: egress 'vpn' (no rules matched)","trace":[{"file":"r.toml","line":17,"text":"app block = \"bad.exe\"","result":"no","because":"there is no process.name"},{"file":"r.toml","line":22,"text":"domain block = \"blocked.example\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":22,"text":"domain block = \"both.example.\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":19,"text":"domain vpn = \"twice.example\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":19,"text":"domain vpn = \"both.example\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":20,"text":"domain proxy = \"youtube.com\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":20,"text":"domain proxy = \"googlevideo.com\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":21,"text":"domain direct = \"twice.example\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":21,"text":"domain direct = \"рф\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":21,"text":"domain direct = \".lan\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":21,"text":"domain direct = \"both.example.\"","result":"no","because":"there is no domain"},{"file":"r.toml","line":15,"text":"app vpn = \"zen.exe\"","result":"no","because":"there is no process.name"},{"file":"r.toml","line":15,"text":"app vpn = \"twice.exe\"","result":"no","because":"there is no process.name"},{"file":"r.toml","line":16,"text":"app direct = \"ciadpi.exe\"","result":"no","because":"there is no process.name"},{"file":"r.toml","line":16,"text":"app direct = \"twice.exe\"","result":"no","because":"there is no process.name"},{"file":"r.toml","line":3,"text":"default egress = \"vpn\"","result":"yes","because":"it always matches"}],"asked":["owner","sniff"],"source":"default","rule_egress":"vpn","matcher":null,"flow":{"network":"tcp"},"hints":["the program was not said, and a rule looks at it: add `process=NAME`","the name was not said, and a rule looks at it: add `domain=NAME`"]}"#
        ]],
    );
}

#[test]
fn an_entry_that_stands_no_more_is_told() {
    const CONFIG: &str = "\
rule_sets:
  ads: { path: ads.txt }
  hosts: { path: hosts.txt }
  rules: { path: rules.yaml }
inbounds: { desk: { type: mixed, listen: 0 } }
rules:
  - RULE-SET, ads, REJECT
  - RULE-SET, hosts, REJECT
  - RULE-SET, rules, REJECT
  - FALLBACK, DIRECT
";
    let mut files = Memory::new([
        ("p.yaml", CONFIG),
        (
            "ads.txt",
            "! x\n||A.test^\n||b.test^$important\n/^re/\n||10.0.0.0/8^",
        ),
        ("hosts.txt", "0.0.0.0 c.test d.test # x\n"),
        (
            "rules.yaml",
            "payload:\n  - 'DOMAIN-KEYWORD,kw'\n  - DOMAIN-SUFFIX,e.test\n",
        ),
    ]);
    let loaded = load(Path::new("p.yaml"), None, None, &files);
    let setup = loaded
        .setup
        .unwrap_or_else(|| panic!("{:?}", loaded.problems));
    let said = |host: &str, files: &Memory| {
        let query = Query::parse(&format!("dst={host}:443")).unwrap();
        let mut explained = explain(&setup, &query, &First, Detail::Folded).unwrap();
        let entry = explained.rule.as_ref().and_then(|rule| rule.entry.as_ref());
        assert!(entry.is_some(), "{host}");
        let before = explained.reason.clone();
        verify(&mut explained, &setup.lists, files);
        explained.reason[before.len()..].to_owned()
    };
    let hosts = [
        "x.a.test", "b.test", "re.test", "10.1.1.1", "c.test", "d.test", "akw.test", "e.test",
    ];
    for host in hosts {
        assert_eq!(said(host, &files), "", "{host}");
    }
    let shifted = b"! x\n! y\n||a.test^\n".to_vec();
    files.files.insert("ads.txt".into(), shifted);
    files.files.remove(Path::new("hosts.txt"));
    let gone = "; `ads.txt` does not say so any more: it changed since it was loaded";
    assert_eq!(said("x.a.test", &files), gone);
    assert_eq!(said("10.1.1.1", &files), gone);
    assert_eq!(said("c.test", &files), gone.replace("ads", "hosts"));
    assert_eq!(said("e.test", &files), "");
}

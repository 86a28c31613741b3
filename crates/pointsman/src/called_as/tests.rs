//! What `policy-routerctl` is asked and answers, as data.

use expect_test::{Expect, expect};
use pointsman_api::Action;
use pointsman_api::explain::{AppDomain, Decision, Matcher};
use pointsman_api::{Error as Refusal, OutboundState};

use super::*;

fn outbound(
    name: &str,
    kind: &str,
    declared: Option<&str>,
    endpoint: Option<&str>,
) -> OutboundState {
    OutboundState {
        name: name.into(),
        aliases: Vec::new(),
        kind: kind.into(),
        declared: declared.map(Into::into),
        endpoint: endpoint.map(Into::into),
        interface: None,
        source: None,
        udp: true,
        members: Vec::new(),
        targets: Vec::new(),
        selected: None,
        failing: vec![],
        flows: 3,
        not_kept: None,
    }
}

fn status(outbounds: Vec<OutboundState>) -> Status {
    Status {
        state: "running".into(),
        version: "0".into(),
        pid: 1,
        uptime_ms: 5,
        config_path: Some("config.toml".into()),
        dialect: "policy-router".into(),
        generation: "1".into(),
        awaiting: None,
        setback: None,
        failing_tests: vec![],
        inbounds: Vec::new(),
        outbounds,
        upstreams: vec![],
        rule_sets: 0,
        lists: Vec::new(),
        lacking: Default::default(),
    }
}

fn egresses() -> Vec<OutboundState> {
    vec![
        outbound("direct", "direct", None, None),
        outbound("vpn", "socks5", Some("singbox"), Some("127.0.0.1:1488")),
        outbound("proxy", "socks5", Some("socks5"), Some("[::1]:1080")),
        outbound("block", "reject", Some("block"), None),
    ]
}

fn check(answer: &Answer, expected: Expect) {
    expected.assert_eq(&format!("{}--\n{}", answer.json(), answer.text(false)));
}

#[test]
fn egresses_are_those_declared_by_id() {
    check(
        &Answer::status(&status(egresses())),
        expect![[r#"
        {
          "type": "ok_status",
          "uptime_ms": 5,
          "config_path": "config.toml",
          "egress": [
            {
              "id": "block",
              "kind": "block",
              "endpoint": null
            },
            {
              "id": "proxy",
              "kind": "socks5",
              "endpoint": "socks5://[::1]:1080"
            },
            {
              "id": "vpn",
              "kind": "singbox",
              "endpoint": "socks5://127.0.0.1:1488"
            }
          ]
        }
        --
        uptime_ms: 5
        config_path: config.toml
        egress:
          - id: block
            kind: block
          - id: proxy
            kind: socks5
            endpoint: socks5://[::1]:1080
          - id: vpn
            kind: singbox
            endpoint: socks5://127.0.0.1:1488
    "#]],
    );
    // Another dialect declares nothing of the kind: then all of them are told.
    let native = status(vec![outbound("a", "http", None, Some("h:1"))]);
    let told = serde_json::to_value(Answer::status(&native)).unwrap();
    let expected = json!([{ "id": "a", "kind": "http", "endpoint": "http://h:1" }]);
    assert_eq!(told["egress"], expected);
}

fn explanation(app_domain: Option<AppDomain>) -> Explanation {
    Explanation {
        id: None,
        decision: Decision {
            outbound: Some("proxy".into()),
            action: Action::Proxy,
            member: None,
            groups: Vec::new(),
        },
        rule: None,
        reason: "domain rule: suffix match 'youtube.com' -> egress 'proxy'".into(),
        trace: Vec::new(),
        hops: Vec::new(),
        look_up: None,
        asked: Vec::new(),
        app_domain,
        generation: None,
        steps: Vec::new(),
        requests: Vec::new(),
        flow: None,
        hints: Vec::new(),
    }
}

#[test]
fn explanations_have_the_fields_of_old() {
    let matcher = Matcher {
        kind: "suffix".into(),
        pattern: "youtube.com".into(),
    };
    let by = |source: &str, matcher| AppDomain {
        source: source.into(),
        rule_egress: "proxy".into(),
        matcher,
    };
    let answer = Answer::explained(&explanation(Some(by("domain_rule", Some(matcher)))));
    check(
        &answer,
        expect![[r#"
        {
          "type": "ok_explain",
          "decision": {
            "egress": "proxy",
            "reason": "domain rule: suffix match 'youtube.com' -> egress 'proxy'",
            "source": "domain_rule",
            "rule_egress": "proxy",
            "matcher": {
              "type": "suffix",
              "pattern": "youtube.com"
            }
          }
        }
        --
        egress: proxy
        source: domain_rule
        rule_egress: proxy
        matcher:
          type: suffix
          pattern: youtube.com
        reason: domain rule: suffix match 'youtube.com' -> egress 'proxy'
    "#]],
    );
    let default = Answer::explained(&explanation(Some(by("default", None))));
    assert!(!default.json().contains("matcher"), "{}", default.json());
    assert!(!default.text(false).contains("matcher"));
    // No rules on apps and domains: said, and no.
    let other = Answer::explained(&explanation(None));
    assert!(other.is_refusal());
    assert!(other.text(true).contains("`pointsman explain`"));
}

#[test]
fn a_refusal_holds_all_that_was_said() {
    let problem = serde_json::from_value(json!({
        "severity": "error", "code": "c", "message": "m", "file": "f", "line": 1, "column": 1,
        "hint": null, "related": null, "text": "config.toml:1:1: error[c]: m",
    }));
    let refusal = Refusal {
        problems: vec![problem.unwrap()],
        ..Refusal::new("reload-refused", "config.toml: not reloaded")
    };
    check(
        &Answer::refused(refusal),
        expect![[r#"
        {
          "type": "err",
          "message": "config.toml: not reloaded\nconfig.toml:1:1: error[c]: m"
        }
        --
        error: config.toml: not reloaded
        config.toml:1:1: error[c]: m
    "#]],
    );
}

#[test]
fn quiet_is_about_what_the_exit_code_says() {
    let said = |answer: &Answer, quiet| answer.text(quiet);
    assert_eq!(said(&Answer::OkReload, false), "reloaded: true\n");
    assert_eq!(said(&Answer::OkStop, false), "stopping: true\n");
    assert_eq!(said(&Answer::OkReload, true), "");
    assert_eq!(said(&Answer::OkStop, true), "");
    assert_eq!(Answer::OkReload.json(), "{\n  \"type\": \"ok_reload\"\n}\n");
}

#[test]
fn what_is_blank_is_not_asked_about() {
    let check = |process, domain, expected| assert_eq!(flow(process, domain), expected);
    check(None, None, json!({}));
    check(Some(" "), Some(""), json!({}));
    check(Some(""), Some("."), json!({}));
    let both = json!({ "process": { "name": "C:\\zen.exe" }, "sniff": { "domain": "a.test" } });
    check(Some(" C:\\zen.exe "), Some(" a.test. "), both);
}

#[test]
fn the_socket_is_found() {
    let check =
        |told: Option<&str>, variables: [Option<&str>; 2], there: &[&str], expected: &str| {
            let [policy_router, pointsman] = variables.map(|value| value.map(OsString::from));
            let around = Around {
                policy_router,
                pointsman,
                directory: Path::new("/run"),
                usual: Path::new("/run/pointsman/pointsman.sock"),
                exists: &|path| there.iter().any(|there| Path::new(there) == path),
            };
            let got = match found(told.map(OsStr::new), &around) {
                Ok(path) => path.display().to_string(),
                Err(why) => format!("error: {why}"),
            };
            assert_eq!(got, expected);
        };
    let (own, usual) = ("/run/policy-routerd.sock", "/run/pointsman/pointsman.sock");
    check(None, [None, None], &[], own);
    check(None, [None, None], &[own, usual], own);
    // A daemon that was moved over, and the scripts were not.
    check(None, [None, None], &[usual], usual);
    check(None, [None, Some("/x")], &[own], "/x");
    check(None, [Some("/p"), Some("/x")], &[own], "/p");
    check(Some("n"), [Some("/p"), Some("/x")], &[own], "/run/n");
    check(Some("./n"), [None, None], &[], "./n");
    let slash =
        "error: `a/b` is no socket's name: a name has no `/`, a path begins with `/` or `./`";
    check(Some("a/b"), [None, None], &[], slash);
}

#[test]
fn the_command_line_is_the_one_of_old() {
    let check = |line: &str, expected: Result<&str, u8>| {
        let words = ["policy-routerctl"].into_iter().chain(line.split(' '));
        let got = match Ctl::try_parse_from(words) {
            Ok(ctl) => Ok(format!("{:?} {:?} {}", ctl.verb, ctl.format, ctl.quiet)),
            Err(error) => Err(if error.use_stderr() { USAGE } else { 0 }),
        };
        assert_eq!(
            got.as_ref().map(String::as_str).map_err(|code| *code),
            expected,
            "{line}"
        );
    };
    check("status", Ok("Status Text false"));
    check("status --format json", Ok("Status Json false"));
    check("--format json reload --quiet", Ok("Reload Json true"));
    check("--fail-fast --socket x stop", Ok("Stop Text false"));
    check("diagnostics --format=text", Ok("Diagnostics Text false"));
    check(
        "explain --process zen.exe --domain youtube.com",
        Ok("Explain { process: Some(\"zen.exe\"), domain: Some(\"youtube.com\") } Text false"),
    );
    check(
        "explain",
        Ok("Explain { process: None, domain: None } Text false"),
    );
    check("flows", Err(USAGE));
    check("status --format yaml", Err(USAGE));
    check("--help", Err(0));
}

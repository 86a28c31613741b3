//! `explain` without a daemon.

use expect_test::expect;

use super::{POLICY, check};
use crate::{Run, directory, run};

#[test]
fn explain_as_text() {
    check(
        &[
            "explain",
            "--config",
            "r.toml",
            "--process",
            "zen.exe",
            "--domain",
            "youtube.com",
        ],
        "",
        expect![[r#"
            0
            egress: proxy
            source: domain_rule
            rule_egress: proxy
            matcher:
              type: exact
              pattern: youtube.com
            reason: domain rule: exact match 'youtube.com' -> egress 'proxy'
            --
        "#]],
    );
    check(
        &["explain", "--config", "r.toml", "process=x"],
        "",
        expect![[r#"
            0
            egress: direct
            source: default
            rule_egress: direct
            reason: default: egress 'direct' (no rules matched)
            --
        "#]],
    );
    check(
        &["explain", "--config", "reflow", "--dst", "a.example:1"],
        "",
        expect![[r#"
            0
            reset (reset)
            rule: reset (config:6)
            reason: nothing else to try: `reset` (config:6)
            trace:
              config:6: reset: yes: it always matches
            --
        "#]],
    );
}

#[test]
fn explain_as_json() {
    let flow = ["--dst", "www.youtube.com:443", "--format", "json"];
    check(
        &[&["explain", "--config", "r.toml"], &flow[..]].concat(),
        "",
        expect![[r#"
            0
            {"decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"youtube.com\"","file":"r.toml","line":14,"entry":null},"reason":"domain rule: suffix match 'youtube.com' -> egress 'proxy'","trace":[{"file":"r.toml","line":14,"text":"domain proxy = \"youtube.com\"","result":"yes","because":"domain is www.youtube.com (given)"}],"asked":[],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"suffix","pattern":"youtube.com"}}
            --
        "#]],
    );
    check(
        &[
            "--format",
            "json",
            "explain",
            "--config",
            "r.toml",
            r#"{"id":7,"process":{"serves":"proxy"}}"#,
        ],
        "",
        expect![[r#"
            0
            {"id":7,"decision":{"outbound":"direct","action":"direct","member":null},"rule":{"text":"default egress = \"direct\"","file":"r.toml","line":2,"entry":null},"reason":"default: egress 'direct' (no rules matched)","trace":[{"skipped":2},{"file":"r.toml","line":2,"text":"default egress = \"direct\"","result":"yes","because":"it always matches"}],"asked":["sniff","owner"],"source":"default","rule_egress":"direct","matcher":null}
            --
        "#]],
    );
}

#[test]
fn explain_answers_flows_in_their_order() {
    let flows = "{\"id\":\"a\",\"dst\":\"youtube.com:1\"}\n\nwhat\n{\"id\":2,\"dst\":\"a b\"}\n{\"dst\":\"x:1\",\"sniff\":{\"sni\":\"x\"}}\n{\"id\":\"z\",\"process\":{\"name\":\"zen.exe\"}}";
    check(
        &["explain", "--config", "r.toml", "--flows", "-"],
        flows,
        expect![[r#"
            1
            {"id":"a","decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"youtube.com\"","file":"r.toml","line":14,"entry":null},"reason":"domain rule: exact match 'youtube.com' -> egress 'proxy'","trace":[{"file":"r.toml","line":14,"text":"domain proxy = \"youtube.com\"","result":"yes","because":"domain is youtube.com (given)"}],"asked":[],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"exact","pattern":"youtube.com"}}
            {"error":"this is no JSON: expected value at line 1 column 1","line":3}
            {"error":"`dst`: `a b`: the name has the character ' ', which no host name carries","line":4,"id":2}
            {"error":"there is no key `sniff.sni`","line":5}
            {"id":"z","decision":{"outbound":"vpn","action":"proxy","member":null},"rule":{"text":"app vpn = \"zen.exe\"","file":"r.toml","line":12,"entry":null},"reason":"app rule: exact match 'zen.exe' -> egress 'vpn'","trace":[{"skipped":1},{"file":"r.toml","line":12,"text":"app vpn = \"zen.exe\"","result":"yes","because":"process.name is zen.exe (given)"}],"asked":["sniff","owner"],"source":"app_rule","rule_egress":"vpn","matcher":{"type":"exact","pattern":"zen.exe"}}
            --
        "#]],
    );
    check(
        &[
            "explain", "--config", "r.toml", "--flows", "flows", "--expect", "proxy", "--format",
            "text",
        ],
        "",
        expect![[r#"
            0
            egress: proxy
            source: domain_rule
            rule_egress: proxy
            matcher:
              type: exact
              pattern: youtube.com
            reason: domain rule: exact match 'youtube.com' -> egress 'proxy'
            --
        "#]],
    );
}

#[test]
fn explain_expects_quietly() {
    for (outbound, answer) in [("proxy", "0\n--\n"), ("vpn", "1\n--\n")] {
        let words = "explain --config r.toml dst=youtube.com:1 --quiet --expect";
        let mut arguments: Vec<&str> = words.split(' ').collect();
        arguments.push(outbound);
        let home = directory(&[("r.toml", POLICY)]);
        let Run {
            code,
            stdout,
            stderr,
        } = run(home.path(), &arguments, "");
        assert_eq!(format!("{code}\n{stdout}--\n{stderr}"), answer);
    }
}

#[test]
fn explain_expects_what_there_is_in_any_spelling_of_built_in_names() {
    let rules = "version: 1\ninbounds: { a: { type: mixed, listen: 0 } }\nrules: ['DOMAIN, a.test, RESET', 'FALLBACK, DIRECT']\n";
    let cases = "dst=a.test:1 => reset\ndst=b.test:1 => Direct\ndst=a.test:1 => rest\n";
    let home = directory(&[("p/p.yaml", rules), ("p/p.case", cases)]);
    let check = |arguments: &str, expected: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let Run { code, stderr, .. } = run(home.path(), &arguments, "");
        assert_eq!(format!("{code} {stderr}"), expected, "{arguments:?}");
    };
    let explain = "explain --config p/p.yaml dst=a.test:1 --expect";
    check(&format!("{explain} reset"), "0 ");
    check(&format!("{explain} Reset"), "0 ");
    let told = "1 expected direct, got RESET: `DOMAIN, a.test, RESET` (p.yaml:3): domain is a.test (given)\n";
    check(&format!("{explain} direct"), told);
    let told = "2 error: there is no outbound `rest` (did you mean `reset`?)\n";
    check(&format!("{explain} rest"), told);
    let run = run(home.path(), &["test", "p/p.yaml"], "");
    let told = "p.case:3: dst=a.test:1: there is no outbound `rest` (did you mean `reset`?)\n";
    assert_eq!((run.code, run.stdout.as_str()), (1, told));
}

#[test]
fn explain_expects() {
    let expects = |outbound| {
        [
            "explain",
            "--config",
            "r.toml",
            "dst=youtube.com:1",
            "--expect",
            outbound,
            "--format",
            "json",
        ]
    };
    check(
        &expects("proxy"),
        "",
        expect![[r#"
        0
        {"decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"youtube.com\"","file":"r.toml","line":14,"entry":null},"reason":"domain rule: exact match 'youtube.com' -> egress 'proxy'","trace":[{"file":"r.toml","line":14,"text":"domain proxy = \"youtube.com\"","result":"yes","because":"domain is youtube.com (given)"}],"asked":[],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"exact","pattern":"youtube.com"}}
        --
    "#]],
    );
    check(
        &expects("vpn"),
        "",
        expect![[r#"
        1
        {"decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"youtube.com\"","file":"r.toml","line":14,"entry":null},"reason":"domain rule: exact match 'youtube.com' -> egress 'proxy'","trace":[{"file":"r.toml","line":14,"text":"domain proxy = \"youtube.com\"","result":"yes","because":"domain is youtube.com (given)"}],"asked":[],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"exact","pattern":"youtube.com"}}
        --
        expected vpn, got proxy: domain rule: exact match 'youtube.com' -> egress 'proxy'
    "#]],
    );
}

#[test]
fn explain_refuses() {
    check(
        &["explain", "--config", "bad.toml", "dst=a:1"],
        "",
        expect![[r#"
            1
            --
            bad.toml:12:1: error[unknown-outbound]: there is no egress `vpm`
              | vpm = ["zen.exe"]
              | ^^^
              hint: did you mean `vpn`?
            error: bad.toml has errors
        "#]],
    );
    check(
        &["explain", "--config", "r.toml", "--dst", "a b:1"],
        "",
        expect![[r#"
            2
            --
            error: `dst`: `a b`: the name has the character ' ', which no host name carries
        "#]],
    );
    check(
        &["explain", "--config", "reflow", "--process", "x"],
        "",
        expect![[r#"
            2
            --
            error: `dst` is missing: where does the flow go?
        "#]],
    );
    check(
        &["explain", "--config", "none.toml", "dst=a:1"],
        "",
        expect![[r#"
            1
            --
            none.toml:1:1: error[unreadable]: cannot be read: No such file or directory (os error 2)
            error: none.toml has errors
        "#]],
    );
    check(
        &["explain", "--config", "r.toml", "--flows", "none"],
        "",
        expect![[r#"
            1
            --
            error: none: No such file or directory (os error 2)
        "#]],
    );
    check(
        &["explain", "--config", "r.toml", "--flows", "-", "dst=a:1"],
        "",
        expect![[r#"
            2
            --
            error: say a flow, `--flows` or `--id`, but one of them
        "#]],
    );
    // Nobody resolves without a daemon.
    check(
        &["explain", "--config", "r.toml", "dst=a:1", "--resolve"],
        "",
        expect![[r#"
            3
            --
            error: no daemon: HOME/nobody.sock: No such file or directory (os error 2)
        "#]],
    );
}

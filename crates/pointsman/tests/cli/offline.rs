//! Verbs that need no daemon.

use expect_test::{Expect, expect};

use crate::{Run, directory, run};

const POLICY: &str = r#"[defaults]
egress = "direct"
[egress.vpn]
type = "singbox"
endpoint = "socks5://127.0.0.1:1488"
[egress.proxy]
type = "socks5"
endpoint = "socks5://127.0.0.1:1080"
[egress.direct]
type = "direct"
[rules.app]
vpn = ["zen.exe"]
[rules.domain]
proxy = ["youtube.com"]
"#;

/// Exit code, stdout, and stderr behind a line `--`, of a run beside `POLICY`.
fn check(arguments: &[&str], stdin: &str, expected: Expect) {
    let home = directory(&[
        ("r.toml", POLICY),
        ("bad.toml", &POLICY.replace("vpn = [\"zen", "vpm = [\"zen")),
        ("warned/w.toml", &warned()),
        (
            "reflow/config",
            "relay {\n rule=r\n listen=socks5 127.0.0.1:1080\n}\nrule r = any [\n  reset\n]\n",
        ),
        ("cases/r.toml", POLICY),
        (
            "cases/good.case",
            "dst=youtube.com:1 => proxy # why\nprocess=zen.exe => vpn\n",
        ),
        ("cases/wrong.case", "\ndst=a.example:1 => vpn\nwhat\n"),
        ("laid.tree", "any [\n  direct\n]\n"),
        ("odd.tree", "any[direct # why\n]"),
        ("broken.tree", "any [ direct"),
        ("flows", "{\"dst\":\"youtube.com:1\"}\n"),
    ]);
    let Run {
        code,
        stdout,
        stderr,
    } = run(home.path(), arguments, stdin);
    let home = home.path().display().to_string();
    expected.assert_eq(&format!("{code}\n{stdout}--\n{stderr}").replace(&home, "HOME"));
}

fn warned() -> String {
    POLICY.replace(
        "[rules.app]",
        "[egress.other]\ntype = \"socks5\"\nendpoint = \"socks5://127.0.0.1:2\"\n[rules.app]\nother = [\"a\"]\nproxy = [\"a\"]",
    )
}

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
            {"id":7,"decision":{"outbound":"direct","action":"direct","member":null},"rule":null,"reason":"loop guard: the flow's process serves the outbound `proxy`, so the flow goes direct","trace":[{"file":"","line":0,"text":"loop guard","result":"yes","because":"loop guard: the flow's process serves the outbound `proxy`, so the flow goes direct"}],"asked":[],"source":"loop_guard","rule_egress":"direct","matcher":null}
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

#[test]
fn check_tells_problems() {
    check(
        &["check", "r.toml"],
        "",
        expect![[r#"
            0
            r.toml:14:1: note[answers-early]: `domain proxy = "youtube.com"` (r.toml:14) may ask for first bytes: then a SOCKS or CONNECT client is told of success before the way out is tried, and a refusal is a reset
              | proxy = ["youtube.com"]
              | ^^^^^^^^^^^^^^^^^^^^^^^
            --
            r.toml: policy-router, 0 errors, 0 warnings
        "#]],
    );
    check(
        &["check", "bad.toml"],
        "",
        expect![[r#"
        1
        bad.toml:12:1: error[unknown-outbound]: there is no egress `vpm`
          | vpm = ["zen.exe"]
          | ^^^
          hint: did you mean `vpn`?
        --
        bad.toml: policy-router, 1 error, 0 warnings
    "#]],
    );
    check(
        &["check", "warned/w.toml", "--quiet"],
        "",
        expect![[r#"
            0
            warned/w.toml:16:10: warning[ambiguous-overlap]: `a` of `proxy` and `a` of `other` overlap
              | proxy = ["a"]
              |          ^^^
              warned/w.toml:15:10: overlaps with this
              hint: both are of one kind, so `other` goes first by its name
            warned/w.toml:19:1: note[answers-early]: `domain proxy = "youtube.com"` (w.toml:19) may ask for first bytes: then a SOCKS or CONNECT client is told of success before the way out is tried, and a refusal is a reset
              | proxy = ["youtube.com"]
              | ^^^^^^^^^^^^^^^^^^^^^^^
            --
        "#]],
    );
    check(
        &[
            "check",
            "warned/w.toml",
            "--deny",
            "warnings",
            "--format=json",
        ],
        "",
        expect![[r#"
            1
            {"dialect":"policy-router","errors":0,"warnings":1,"problems":[{"severity":"warning","code":"ambiguous-overlap","message":"`a` of `proxy` and `a` of `other` overlap","file":"warned/w.toml","line":16,"column":10,"hint":"both are of one kind, so `other` goes first by its name","related":{"message":"overlaps with this","file":"warned/w.toml","line":15,"column":10},"text":"warned/w.toml:16:10: warning[ambiguous-overlap]: `a` of `proxy` and `a` of `other` overlap\n  | proxy = [\"a\"]\n  |          ^^^\n  warned/w.toml:15:10: overlaps with this\n  hint: both are of one kind, so `other` goes first by its name"},{"severity":"note","code":"answers-early","message":"`domain proxy = \"youtube.com\"` (w.toml:19) may ask for first bytes: then a SOCKS or CONNECT client is told of success before the way out is tried, and a refusal is a reset","file":"warned/w.toml","line":19,"column":1,"hint":null,"related":null,"text":"warned/w.toml:19:1: note[answers-early]: `domain proxy = \"youtube.com\"` (w.toml:19) may ask for first bytes: then a SOCKS or CONNECT client is told of success before the way out is tried, and a refusal is a reset\n  | proxy = [\"youtube.com\"]\n  | ^^^^^^^^^^^^^^^^^^^^^^^"}]}
            --
            warned/w.toml: policy-router, 0 errors, 1 warning
        "#]],
    );
    check(
        &["check", "none.toml", "--quiet"],
        "",
        expect![[r#"
        1
        none.toml:1:1: error[unreadable]: cannot be read: No such file or directory (os error 2)
        --
    "#]],
    );
    check(
        &[
            "check",
            "r.toml",
            "--dialect",
            "native",
            "--quiet",
            "--format",
            "json",
        ],
        "",
        expect![[r#"
            1
            {"dialect":"native","errors":1,"warnings":0,"problems":[{"severity":"error","code":"yaml-syntax","message":"did not find expected <document start>","file":"r.toml","line":2,"column":1,"hint":null,"related":null,"text":"r.toml:2:1: error[yaml-syntax]: did not find expected <document start>\n  | egress = \"direct\"\n  | ^"}]}
            --
        "#]],
    );
    check(
        &["--color", "always", "--quiet", "check", "bad.toml"],
        "",
        expect![[r#"
            1
            bad.toml:12:1: [31merror[0m[unknown-outbound]: there is no egress `vpm`
              | vpm = ["zen.exe"]
              | ^^^
              hint: did you mean `vpn`?
            --
        "#]],
    );
}

#[test]
fn test_runs_cases() {
    check(
        &["test", "r.toml"],
        "",
        expect![[r#"
        0
        --
        r.toml: 0 passed, 0 failed
    "#]],
    );
    check(
        &["test", "cases/good.case"],
        "",
        expect![[r#"
        2
        --
        error: cases/good.case holds cases: name the configuration beside it, whose `*.case` files are run
    "#]],
    );
    check(
        &["test", "cases/r.toml"],
        "",
        expect![[r#"
        1
        wrong.case:2: dst=a.example:1 => vpn: got direct: default: egress 'direct' (no rules matched)
        wrong.case:3: what: a case is `FLOW => OUTBOUND`
        --
        cases/r.toml: 2 passed, 2 failed
    "#]],
    );
    check(
        &["test", "cases/r.toml", "--format", "json", "--quiet"],
        "",
        expect![[r#"
            1
            {"passed":2,"failed":2,"failures":[{"file":"wrong.case","line":2,"flow":"dst=a.example:1","expected":"vpn","got":"direct","reason":"default: egress 'direct' (no rules matched)"},{"file":"wrong.case","line":3,"flow":"what","expected":"","got":null,"reason":"a case is `FLOW => OUTBOUND`"}]}
            --
        "#]],
    );
    check(
        &["test", "bad.toml", "--quiet"],
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
}

#[test]
fn policy_prints() {
    check(
        &["policy", "r.toml", "--as", "list"],
        "",
        expect![[r#"
        0
        - DOMAIN-SUFFIX, youtube.com, proxy
        - PROCESS-NAME-APP, zen.exe, vpn
        - FALLBACK, direct
        --
    "#]],
    );
    check(
        &["policy", "r.toml", "--as", "tree"],
        "",
        expect![[r#"
        0
        any [
          cond domain under youtube.com => proxy
          cond app eq "zen.exe" => vpn
          direct
        ]
        --
    "#]],
    );
    check(
        &["policy", "reflow", "--format", "json"],
        "",
        expect![[r#"
            0
            {"as":"tree","text":"reset\n"}
            --
        "#]],
    );
}

#[test]
fn usage_is_two() {
    check(
        &["--quiet", "version"],
        "",
        expect![[r#"
        0
        pointsman 0.1.0
        --
    "#]],
    );
    check(
        &["version", "--format", "json"],
        "",
        expect![[r#"
        0
        {"version":"0.1.0"}
        --
    "#]],
    );
    for arguments in [
        &[][..],
        &["bogus"],
        &["explain", "--dts", "x"],
        &["check"],
        &["explain", "what"],
    ] {
        let home = directory(&[]);
        let Run {
            code,
            stdout,
            stderr,
        } = run(home.path(), arguments, "");
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(!stderr.is_empty());
    }
}

#[test]
fn completions_know_the_verbs() {
    let home = directory(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let Run { code, stdout, .. } = run(home.path(), &["completions", shell], "");
        assert_eq!(code, 0);
        assert!(
            stdout.contains("explain") && stdout.contains("outbounds"),
            "{shell}"
        );
    }
}

#[test]
fn fmt_lays_files_out() {
    check(
        &["fmt", "--check", "laid.tree"],
        "",
        expect![[r#"
        0
        --
    "#]],
    );
    check(
        &["fmt", "--check", "odd.tree"],
        "",
        expect![[r#"
        1
        --
        odd.tree: would be laid out anew
    "#]],
    );
    check(
        &["fmt", "odd.tree", "broken.tree"],
        "",
        expect![[r#"
        1
        --
        odd.tree: laid out
        broken.tree:1:5: error[unclosed]: this `[` is never closed
          | any [ direct
          |     ^
          broken.tree:1:7: the text ends here
        error: broken.tree cannot be read and stays as it is
    "#]],
    );
    check(
        &["fmt", "-"],
        "rule r=any[ direct ]\n",
        expect![[r#"
        0
        rule r = any [
          direct
        ]
        --
    "#]],
    );
    check(
        &["fmt", "--kind", "rules", "--check", "-"],
        "domain,a.test,X\n",
        expect![[r#"
            1
            --
            -: would be laid out anew
        "#]],
    );
}

#[test]
fn fmt_replaces_a_file_and_keeps_its_mode() {
    let home = directory(&[("a.tree", "any[direct\n]")]);
    let path = home.path().join("a.tree");
    let mut mode = std::fs::metadata(&path).unwrap().permissions();
    mode.set_readonly(true);
    std::fs::set_permissions(&path, mode).unwrap();
    let before = std::fs::metadata(&path).unwrap().permissions();
    let done = run(home.path(), &["fmt", "a.tree"], "");
    assert_eq!((done.code, &*done.stdout), (0, ""), "{}", done.stderr);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "any [\n  direct\n]\n"
    );
    assert_eq!(std::fs::metadata(&path).unwrap().permissions(), before);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn policies_in_other_forms() {
    check(
        &["policy", "--as", "list", "reflow"],
        "",
        expect![[r#"
        0
        - FALLBACK, reset
        --
    "#]],
    );
    check(
        &["policy", "--as", "dot", "reflow"],
        "",
        expect![[r##"
        0
        digraph policy {
          rankdir=LR;
          node [shape=box, style="rounded,filled", fillcolor="#f4f5f7", color="#9aa3b2", fontname="monospace", fontsize=11];
          edge [color="#9aa3b2", fontname="monospace", fontsize=10];
          subgraph cluster_0 {
            label="r"; color="#c5cad3"; fontname="sans-serif";
            n0 [label="r", tooltip="", shape=circle, label="", width=0.2, fillcolor="#4a5568"];
            n1 [label="everything else", tooltip="reset (config:6)"];
            n0 -> n1 [label="1"];
            n1 -> t0_72_65_73_65_74 [style=bold];
            t0_72_65_73_65_74 [label="reset", fillcolor="#c53030", color="#c53030", fontcolor=white];
          }
        }
        --
    "##]],
    );
}

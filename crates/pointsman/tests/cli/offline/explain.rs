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
            flow: tcp (youtube.com), by zen.exe
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
            flow: tcp, by x
            hint: the name was not said, and a rule looks at it: add `domain=NAME`
            --
        "#]],
    );
    check(
        &["explain", "--config", "reflow", "--dst", "a.example:1"],
        "",
        expect![[r#"
            0
            flow: tcp a.example:1
            reset (reset)
            rule: reset (config:6)
            reason: no rule comes before it: `reset` (config:6)
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
            {"decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"youtube.com\"","file":"r.toml","line":14,"entry":null},"reason":"domain rule: suffix match 'youtube.com' -> egress 'proxy'","trace":[{"file":"r.toml","line":14,"text":"domain proxy = \"youtube.com\"","result":"yes","because":"domain is www.youtube.com (given)"}],"asked":[],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"suffix","pattern":"youtube.com"},"flow":{"network":"tcp","dst":"www.youtube.com:443"}}
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
            {"id":7,"decision":{"outbound":"direct","action":"direct","member":null},"rule":{"text":"default egress = \"direct\"","file":"r.toml","line":2,"entry":null},"reason":"default: egress 'direct' (no rules matched)","trace":[{"skipped":2},{"file":"r.toml","line":2,"text":"default egress = \"direct\"","result":"yes","because":"it always matches"}],"asked":["sniff","owner"],"source":"default","rule_egress":"direct","matcher":null,"flow":{"network":"tcp"},"hints":["the name was not said, and a rule looks at it: add `domain=NAME`"]}
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
            {"id":"a","decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"youtube.com\"","file":"r.toml","line":14,"entry":null},"reason":"domain rule: exact match 'youtube.com' -> egress 'proxy'","trace":[{"file":"r.toml","line":14,"text":"domain proxy = \"youtube.com\"","result":"yes","because":"domain is youtube.com (given)"}],"asked":[],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"exact","pattern":"youtube.com"},"flow":{"network":"tcp","dst":"youtube.com:1"}}
            {"error":"a flow is a JSON object, as in `{\"dst\":\"a.test:443\"}`","line":3}
            {"error":"`dst`: `a b`: the name has the character ' ', which no host name carries","line":4,"id":2}
            {"error":"there is no key `sniff.sni`","line":5}
            {"id":"z","decision":{"outbound":"vpn","action":"proxy","member":null},"rule":{"text":"app vpn = \"zen.exe\"","file":"r.toml","line":12,"entry":null},"reason":"app rule: exact match 'zen.exe' -> egress 'vpn'","trace":[{"skipped":1},{"file":"r.toml","line":12,"text":"app vpn = \"zen.exe\"","result":"yes","because":"process.name is zen.exe (given)"}],"asked":["sniff","owner"],"source":"app_rule","rule_egress":"vpn","matcher":{"type":"exact","pattern":"zen.exe"},"flow":{"network":"tcp","process":{"name":"zen.exe","pid":null}},"hints":["the name was not said, and a rule looks at it: add `domain=NAME`"]}
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
            flow: tcp youtube.com:1
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
    let told = "p/p.case:3: dst=a.test:1: there is no outbound `rest` (did you mean `reset`?)\n";
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
            {"decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"youtube.com\"","file":"r.toml","line":14,"entry":null},"reason":"domain rule: exact match 'youtube.com' -> egress 'proxy'","trace":[{"file":"r.toml","line":14,"text":"domain proxy = \"youtube.com\"","result":"yes","because":"domain is youtube.com (given)"}],"asked":[],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"exact","pattern":"youtube.com"},"flow":{"network":"tcp","dst":"youtube.com:1"}}
            --
        "#]],
    );
    check(
        &expects("vpn"),
        "",
        expect![[r#"
            1
            {"decision":{"outbound":"proxy","action":"proxy","member":null},"rule":{"text":"domain proxy = \"youtube.com\"","file":"r.toml","line":14,"entry":null},"reason":"domain rule: exact match 'youtube.com' -> egress 'proxy'","trace":[{"file":"r.toml","line":14,"text":"domain proxy = \"youtube.com\"","result":"yes","because":"domain is youtube.com (given)"}],"asked":[],"source":"domain_rule","rule_egress":"proxy","matcher":{"type":"exact","pattern":"youtube.com"},"flow":{"network":"tcp","dst":"youtube.com:1"}}
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
            {"error":"none: No such file or directory (os error 2)","code":"failed"}
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

/// A policy for which it counts who asks.
const ALLOWING: &str = r#"version: 1
inbounds:
  lan: { type: mixed, listen: "127.0.0.1:1080", allow: [10.0.0.0/8] }
outbounds:
  p: { type: socks5, server: "127.0.0.1:2123" }
  inner: { type: select, members: [p, DIRECT] }
  outer: { type: select, members: [inner, DIRECT] }
rules:
  - DST-PORT, 25, RESET
  - FALLBACK, outer
"#;

/// The first lines of an answer about [`ALLOWING`].
fn asked_of_allowing(words: &[&str], expected: expect_test::Expect) {
    let home = directory(&[("c.yaml", ALLOWING)]);
    let Run {
        code,
        stdout,
        stderr,
    } = run(
        home.path(),
        &[&["explain", "--config", "c.yaml"], words].concat(),
        "",
    );
    let lines: Vec<&str> = stdout
        .lines()
        .take_while(|line| *line != "trace:")
        .collect();
    expected.assert_eq(&format!("{code}\n{}\n{stderr}", lines.join("\n")));
}

#[test]
fn a_destination_is_taken_as_it_is_pasted() {
    asked_of_allowing(
        &["src=10.1.2.3", "https://me:secret@a.test/x?y=z"],
        expect![[r#"
            0
            flow: tcp a.test:443 (tls), from 10.1.2.3
            outer › inner › p (proxy)
            rule: FALLBACK, outer (c.yaml:10)
            reason: no earlier rule decided (2 tried): `FALLBACK, outer` (c.yaml:10)
            hint: without a daemon, each group is taken to be its first member: `outer` is `inner`, `inner` is `p`
        "#]],
    );
    asked_of_allowing(
        &["--src", "10.1.2.3:5", "[2001:db8::1]:25"],
        expect![[r#"
        0
        flow: tcp [2001:db8::1]:25, from 10.1.2.3:5
        RESET (reset)
        rule: DST-PORT, 25, RESET (c.yaml:9)
        reason: `DST-PORT, 25, RESET` (c.yaml:9): port is 25 (given)
    "#]],
    );
    asked_of_allowing(
        &["--src", "10.1.2.3", "--dst", "ssh://a.test"],
        expect![[r#"
            0
            flow: tcp a.test:22 (ssh), from 10.1.2.3
            outer › inner › p (proxy)
            rule: FALLBACK, outer (c.yaml:10)
            reason: no earlier rule decided (2 tried): `FALLBACK, outer` (c.yaml:10)
            hint: without a daemon, each group is taken to be its first member: `outer` is `inner`, `inner` is `p`
        "#]],
    );
    asked_of_allowing(
        &["a.test", "443"],
        expect![[r#"
        2

        error: `dst` is given twice: write `a.test:443`
    "#]],
    );
    asked_of_allowing(
        &["a.test:1", "b.test:1"],
        expect![[r#"
        2

        error: `dst` is given twice
    "#]],
    );
}

/// A group is what it holds itself, and not what stands at the end of the way.
#[test]
fn a_groups_first_member_is_its_own() {
    let home = directory(&[(
        "c.yaml",
        "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\noutbounds:\n  \
         p: { type: socks5, server: \"127.0.0.1:2123\" }\n  \
         only: { type: select, members: [p] }\n  \
         top: { type: select, members: [only, DIRECT] }\nrules:\n  - FALLBACK, top\n",
    )]);
    let told = run(
        home.path(),
        &["explain", "--config", "c.yaml", "a.test"],
        "",
    );
    let hint = "hint: without a daemon, group `top` is taken to be its first member, `only`\n";
    assert!(told.stdout.contains(hint), "{}", told.stdout);
}

/// Where no name server that would be asked is built, a flow that needs its answer is told to fail.
#[test]
fn a_look_up_that_nobody_answers_is_told() {
    let home = directory(&[(
        "c.yaml",
        "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\noutbounds:\n  \
         far: { type: socks5, server: \"proxy.test:1080\" }\n  near: { type: socks5, server: \"127.0.0.1:1\" }\n\
         dns: { upstreams: { none: \"quic://1.1.1.1\" }, hosts: { known.test: 10.0.0.1 }, domains: { lan.test: system } }\n\
         rules:\n  - DOMAIN, far.test, far\n  - DOMAIN, near.test, near\n  - FALLBACK, DIRECT\n",
    )]);
    let hints = |flow: &str| {
        let told = run(home.path(), &["explain", "--config", "c.yaml", flow], "");
        let hints = told
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("hint: "));
        hints.map(str::to_owned).collect::<Vec<_>>()
    };
    let why = "can answer (DNS over `quic://` is not built yet)";
    assert_eq!(
        hints("a.test:1"),
        [format!(
            "nobody who would be asked for `a.test` {why}, so the flow fails"
        )]
    );
    assert_eq!(
        hints("far.test:1"),
        [format!(
            "nobody who would be asked for `proxy.test` {why}, so the proxy is not reached"
        )]
    );
    for flow in ["near.test:1", "known.test:1", "x.lan.test:1", "10.1.1.1:1"] {
        let told = hints(flow);
        assert!(
            !told.iter().any(|hint| hint.contains("can answer")),
            "{flow}: {told:?}"
        );
    }
}

#[test]
fn what_was_not_said_and_decides_is_asked_for() {
    asked_of_allowing(
        &["a.test:443"],
        expect![[r#"
        0
        flow: tcp a.test:443
        REJECT (reject)
        rule: not in allow: 10.0.0.0/8 (c.yaml:3)
        reason: `not in allow: 10.0.0.0/8` (c.yaml:3): there is no source
        hint: the client's address was not said, and a rule looks at it (`not in allow: 10.0.0.0/8`): add `src=ADDRESS`
    "#]],
    );
    asked_of_allowing(
        &["a.test", "src=10.1.2.3"],
        expect![[r#"
            0
            flow: tcp a.test, from 10.1.2.3
            outer › inner › p (proxy)
            rule: FALLBACK, outer (c.yaml:10)
            reason: no earlier rule decided (2 tried): `FALLBACK, outer` (c.yaml:10)
            hint: the port was not said, and a rule looks at it: add `dst=HOST:PORT`
            hint: without a daemon, each group is taken to be its first member: `outer` is `inner`, `inner` is `p`
        "#]],
    );
}

#[test]
fn an_outbound_that_is_not_built_is_told() {
    let home = directory(&[(
        "c.yaml",
        "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\noutbounds:\n  \
         ss: { type: shadowsocks, server: \"10.0.0.1:1\" }\n  \
         far: { type: socks5, server: \"10.0.0.2:1\" }\n  \
         both: { type: chain, hops: [far, ss] }\nrules:\n  - DOMAIN, a.test, ss\n  - FALLBACK, both\n",
    )]);
    for name in ["a.test", "b.test"] {
        let told = run(home.path(), &["explain", "--config", "c.yaml", name], "");
        let hint = "hint: `ss` is of type `shadowsocks`, which is not built yet: the flow would be refused";
        assert!(
            told.stdout.contains(hint),
            "{name}: {}{}",
            told.stdout,
            told.stderr
        );
    }
}

#[test]
fn a_chain_is_told_with_its_hops() {
    let home = directory(&[(
        "c.yaml",
        "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\noutbounds:\n  \
         one: { type: socks5, server: \"10.0.0.1:1\" }\n  \
         two: { type: socks5, server: \"10.0.0.2:1\" }\n  \
         both: { type: chain, hops: [one, two] }\nrules:\n  - FALLBACK, both\n",
    )]);
    let told = run(
        home.path(),
        &["explain", "--config", "c.yaml", "a.test:1"],
        "",
    );
    assert!(
        told.stdout.contains("\nchain both: one, then two\n"),
        "{}{}",
        told.stdout,
        told.stderr
    );
}

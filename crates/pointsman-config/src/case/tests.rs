//! Case files: which lines are cases, and what comes of them.

use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::files::Memory;
use crate::load::load;

const POLICY: &str = r#"
[defaults]
egress = "direct"
[egress.proxy]
type = "socks5"
endpoint = "socks5://127.0.0.1:1080"
[egress.direct]
type = "direct"
[rules.domain]
proxy = ["youtube.com"]
"#;

/// What fails of a case file, one failure a line.
fn check(text: &str, expected: Expect) {
    let loaded = load(
        Path::new("r.toml"),
        None,
        None,
        &Memory::new([("r.toml", POLICY)]),
    );
    let (cases, mut failures) = parse("t.case", text);
    failures.extend(run(&loaded.setup.unwrap(), &cases));
    let shown = failures.iter().map(|failure| {
        let Case {
            file,
            line,
            flow,
            expect,
        } = &failure.case;
        let got = failure.outbound().unwrap_or("-");
        format!(
            "{file}:{line}: {flow} => {expect}, got {got}: {}",
            failure.reason()
        )
    });
    let shown: Vec<String> = shown.collect();
    expected.assert_eq(&shown.join("\n"));
}

#[test]
fn what_holds_says_nothing() {
    check(
        "# a comment\n\n  dst=www.youtube.com:443 => proxy # why\ndst=a.example => direct\n",
        expect![[r#""#]],
    );
    check(r#"process="a # b => c" => direct"#, expect![[r#""#]]);
    check(
        r##"{"dst":"youtube.com:1","id":" #1"} => proxy"##,
        expect![[r#""#]],
    );
    check("dst=youtube.com:1 => \"proxy\"\r\n", expect![[r#""#]]);
}

#[test]
fn what_fails_is_told() {
    check(
        "\ndst=youtube.com:1 => direct",
        expect![
            "t.case:2: dst=youtube.com:1 => direct, got proxy: domain rule: exact match 'youtube.com' -> egress 'proxy'"
        ],
    );
    check(
        "dst=youtube.com:1 => none",
        expect![
            "t.case:1: dst=youtube.com:1 => none, got proxy: domain rule: exact match 'youtube.com' -> egress 'proxy'"
        ],
    );
    check(
        "dst=youtube.com:1 => Proxy",
        expect![
            "t.case:1: dst=youtube.com:1 => Proxy, got -: there is no outbound `Proxy` (did you mean `proxy`?)"
        ],
    );
    check(
        "dst=youtube.com:1",
        expect!["t.case:1: dst=youtube.com:1 => , got -: a case is `FLOW => OUTBOUND`"],
    );
    check(
        "dst=youtube.com:1 =>  # proxy",
        expect!["t.case:1: dst=youtube.com:1 => , got -: a case is `FLOW => OUTBOUND`"],
    );
    check(
        "dts=youtube.com:1 => proxy",
        expect!["t.case:1: dts=youtube.com:1 => proxy, got -: there is no key `dts`"],
    );
}

/// The problems of a native configuration with tests and a case file beside it.
#[test]
fn failing_tests_are_told_at_their_places() {
    let text = "version: 1
inbounds: { desk: { type: mixed, listen: 0 } }
policy: |
  any [
    cond domain under ads.example => reset
    direct
  ]
tests:
  - { flow: 'dst=ads.example:443', expect: direct }
  - { flow: 'dst=other.example:443', expect: direct }
  - { flow: 'dst=', expect: direct }
";
    let cases = "# beside\ndst=other.example:1 => reset\ndst=x.ads.example:1 => reset\nno case\n";
    let files = Memory::new([
        ("c/p.yaml", text),
        ("c/own.case", cases),
        ("c/other.txt", "x"),
    ]);
    let mut loaded = load(Path::new("c/p.yaml"), None, None, &files);
    loaded.problems.0.clear();
    assert!(!verify(
        &loaded.setup.unwrap(),
        &files,
        &mut loaded.problems
    ));
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    expect![[r#"
        own.case:2:1: error[test-failed]: `dst=other.example:1`: expected `reset`, got `direct`: no earlier rule decided (1 tried): `direct` (p.yaml:6)
          | dst=other.example:1 => reset
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          p.yaml:6:5: `direct` decides
        own.case:4:1: error[test-failed]: the test `no case` cannot be run: a case is `FLOW => OUTBOUND`
          | no case
          | ^^^^^^^
        p.yaml:9:5: error[test-failed]: `dst=ads.example:443`: expected `direct`, got `reset`: `cond domain under ads.example => reset` (p.yaml:5): domain is ads.example (given)
          |   - { flow: 'dst=ads.example:443', expect: direct }
          |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          p.yaml:5:5: `cond domain under ads.example => reset` decides
        p.yaml:11:5: error[test-failed]: the test `dst=` cannot be run: `dst`: ``: the name is empty
          |   - { flow: 'dst=', expect: direct }
          |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#]].assert_eq(&shown.join("\n"));
}

//! `test`.

use expect_test::expect;

use super::check;

#[test]
fn test_runs_cases() {
    check(
        &["test", "r.toml"],
        "",
        expect![[r#"
        0
        --
        r.toml: 0 passed, 0 failed; there are no tests: write them under `tests:`, or in a `*.case` file beside it
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
        cases/wrong.case:2: dst=a.example:1 => vpn: got direct: default: egress 'direct' (no rules matched)
        cases/wrong.case:3: what: a case is `FLOW => OUTBOUND`
        --
        cases/r.toml: 2 passed, 2 failed
    "#]],
    );
    check(
        &["test", "cases/r.toml", "--format", "json", "--quiet"],
        "",
        expect![[r#"
            1
            {"passed":2,"failed":2,"failures":[{"file":"cases/wrong.case","line":2,"flow":"dst=a.example:1","expected":"vpn","got":"direct","reason":"default: egress 'direct' (no rules matched)"},{"file":"cases/wrong.case","line":3,"flow":"what","expected":"","got":null,"reason":"a case is `FLOW => OUTBOUND`"}]}
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
fn a_test_of_a_list_that_was_never_fetched_is_open() {
    let home = crate::directory(&[(
        "c.yaml",
        "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\n\
         rule_sets: { ads: { url: \"http://127.0.0.1:9/ads.txt\" } }\n\
         rules: [\"DOMAIN, early.test, DIRECT\", \"RULE-SET, ads, REJECT\", \"FALLBACK, DIRECT\"]\n\
         tests:\n  - { flow: \"ads.test:1\", expect: REJECT }\n  - { flow: \"early.test:1\", expect: REJECT }\n",
    )]);
    let told = crate::run(home.path(), &["test", "c.yaml"], "");
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(
        told.stdout
            .starts_with("c.yaml:7: early.test:1 => REJECT: got DIRECT"),
        "{}",
        told.stdout
    );
    assert!(
        told.stderr
            .contains("c.yaml:6: ads.test:1 => REJECT: cannot be told yet: the rule set `ads`"),
        "{}",
        told.stderr
    );
    assert!(
        told.stderr
            .contains("0 passed, 1 failed, 1 cannot be told yet"),
        "{}",
        told.stderr
    );
    let checked = crate::run(home.path(), &["check", "c.yaml"], "");
    assert!(
        checked.stdout.contains("warning[test-open]"),
        "{}",
        checked.stdout
    );
    assert!(
        checked.stdout.contains("error[test-failed]"),
        "{}",
        checked.stdout
    );
    // What did not look into the list is not excused.
    assert!(
        !checked.stdout.contains("`early.test:1`: it cannot"),
        "{}",
        checked.stdout
    );
    let explained = crate::run(
        home.path(),
        &["explain", "--config", "c.yaml", "ads.test:1"],
        "",
    );
    assert!(
        explained
            .stdout
            .contains("hint: the rule set `ads` was not fetched yet"),
        "{}",
        explained.stdout
    );
    // Where it was looked for, and what chooses that.
    let searched = "there is no `kept/rules-ads`: `--state DIR` names the directory";
    for words in [
        &["check", "c.yaml", "--state", "kept"][..],
        &[
            "explain",
            "--config",
            "c.yaml",
            "ads.test:1",
            "--state",
            "kept",
        ],
    ] {
        let told = crate::run(home.path(), words, "").stdout;
        assert!(told.contains(&format!("hint: {searched}")), "{told}");
    }
}

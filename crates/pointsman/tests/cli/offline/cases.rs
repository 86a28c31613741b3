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
            .contains("c.yaml:6: ads.test:1 => REJECT: not known yet: the rule set `ads`"),
        "{}",
        told.stderr
    );
    assert!(
        told.stderr.contains("0 passed, 1 failed, 1 not known yet"),
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

/// In a pipeline without lists: what no list can mend fails, and what one may is let pass unless somebody asks.
#[test]
fn open_tests_fail_where_they_are_denied_and_where_nothing_can_mend_them() {
    let config = |tests: &str| {
        format!(
            "version: 1\ninbounds: {{ a: {{ type: mixed, listen: \"127.0.0.1:1080\" }} }}\n\
             outbounds: {{ vpn: {{ type: socks5, server: \"192.0.2.1:1\" }} }}\n\
             rule_sets: {{ ads: {{ url: \"http://127.0.0.1:9/ads.txt\" }} }}\n\
             rules: [\"RULE-SET, ads, RESET\", \"DOMAIN-SUFFIX, corp.test, DIRECT\", \"FALLBACK, DIRECT\"]\n\
             tests: [\"{tests}\"]\n"
        )
    };
    let vain = config("git.corp.test:443 => vpn");
    let open = config("ads.test:443 => RESET");
    let home = crate::directory(&[("vain/c.yaml", &vain), ("open/c.yaml", &open)]);
    let test = |words: &[&str]| {
        let all = [&["test"], words].concat();
        crate::run(home.path(), &all, "")
    };
    let told = test(&["vain/c.yaml"]);
    assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
    let expected =
        "vain/c.yaml:6: git.corp.test:443 => vpn: got DIRECT: `DOMAIN-SUFFIX, corp.test, DIRECT`";
    assert!(told.stdout.starts_with(expected), "{}", told.stdout);
    let ends = "; whatever the rule set `ads` holds, it gets `RESET` or `DIRECT`\n";
    assert!(told.stdout.ends_with(ends), "{}", told.stdout);
    let told = test(&["vain/c.yaml", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let possible = &json["failures"][0]["possible"];
    assert_eq!(*possible, serde_json::json!(["RESET", "DIRECT"]));

    let told = test(&["open/c.yaml"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let told = test(&["open/c.yaml", "--deny", "open"]);
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert!(
        told.stderr.contains("0 passed, 0 failed, 1 not known yet"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_case_file_that_cannot_be_read_is_named_and_the_others_are_run() {
    let home = crate::directory(&[
        ("r.toml", super::POLICY),
        ("own.case", "a.example:1 => vpn\n"),
    ]);
    std::os::unix::fs::symlink("gone", home.path().join("l.case")).unwrap();
    std::fs::write(home.path().join("m.case"), b"\xff\xfe").unwrap();
    let told = crate::run(home.path(), &["test", "r.toml"], "");
    assert_eq!(told.code, 1);
    assert_eq!(
        told.stderr,
        "error: l.case cannot be read: No such file or directory (os error 2)\n\
         error: m.case cannot be read: invalid utf-8 sequence of 1 bytes from index 0\n\
         r.toml: 0 passed, 1 failed, 2 files cannot be read\n"
    );
    assert!(
        told.stdout
            .starts_with("own.case:1: a.example:1 => vpn: got direct")
    );
    let told = crate::run(home.path(), &["test", "r.toml", "--format", "json"], "");
    let json: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(json["unread"][0]["file"], "l.case");
    let told = crate::run(home.path(), &["check", "r.toml"], "");
    assert_eq!(told.code, 1);
    assert!(
        told.stdout.contains(
            "l.case:1:1: error[unreadable]: the tests in it cannot be read: No such file"
        ),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout.contains("own.case:1:1: error[test-failed]"),
        "{}",
        told.stdout
    );
}

#[test]
fn a_test_by_an_inbound_that_is_not_there_fails() {
    let home = crate::directory(&[(
        "c.yaml",
        "version: 1\ninbounds: { desk: { type: mixed, listen: \"127.0.0.1:1080\" }, guests: { type: http, listen: \"127.0.0.1:8080\", policy: guests } }\n\
         rules: [\"FALLBACK, DIRECT\"]\n\
         policies: { guests: [\"FALLBACK, REJECT\"] }\n\
         tests: [\"example.org:80 inbound=gests => direct\"]\n",
    )]);
    let told = crate::run(home.path(), &["test", "c.yaml"], "");
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert_eq!(
        told.stdout,
        "c.yaml:5: example.org:80 inbound=gests: `inbound`: there is no inbound `gests` (did you mean `guests`? there are: desk, guests)\n"
    );
    let explain = ["explain", "--config", "c.yaml", "x.test:80", "inbound=lna"];
    let told = crate::run(home.path(), &explain, "");
    assert_eq!((told.code, told.stdout.as_str()), (2, ""));
    assert_eq!(
        told.stderr,
        "error: `inbound`: there is no inbound `lna` (there are: desk, guests)\n"
    );
}

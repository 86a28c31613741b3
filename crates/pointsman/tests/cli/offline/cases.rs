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

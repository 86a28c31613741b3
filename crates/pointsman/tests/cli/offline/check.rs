//! `check`.

use expect_test::expect;

use super::check;

#[test]
fn check_tells_problems() {
    check(
        &["check", "r.toml"],
        "",
        expect![[r#"
            0
            r.toml:14:1: note[answers-early]: `domain proxy = "youtube.com"` (r.toml:14) may need the first bytes of a flow. A SOCKS or CONNECT client sends them only after it is told "connected", so it is told that before the outbound is tried: where the outbound then fails or refuses, the client sees a reset and no error
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
            bad.toml: policy-router, 1 error, 0 warnings; the rules are checked further once there are no errors
        "#]],
    );
    check(
        &["check", "warned/w.toml", "--quiet"],
        "",
        expect![[r#"
            0
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
            {"config":"warned/w.toml","dialect":"policy-router","errors":0,"warnings":1,"denied":1,"problems":[{"severity":"warning","code":"ambiguous-overlap","message":"`a` of `proxy` and `a` of `other` overlap","file":"warned/w.toml","line":16,"column":10,"hint":"both are of one kind, so `other` goes first by its name","related":{"message":"overlaps with this","file":"warned/w.toml","line":15,"column":10},"text":"warned/w.toml:16:10: warning[ambiguous-overlap]: `a` of `proxy` and `a` of `other` overlap\n  | proxy = [\"a\"]\n  |          ^^^\n  warned/w.toml:15:10: overlaps with this\n  hint: both are of one kind, so `other` goes first by its name"},{"severity":"note","code":"answers-early","message":"`domain proxy = \"youtube.com\"` (w.toml:19) may need the first bytes of a flow. A SOCKS or CONNECT client sends them only after it is told \"connected\", so it is told that before the outbound is tried: where the outbound then fails or refuses, the client sees a reset and no error","file":"warned/w.toml","line":19,"column":1,"hint":null,"related":null,"text":"warned/w.toml:19:1: note[answers-early]: `domain proxy = \"youtube.com\"` (w.toml:19) may need the first bytes of a flow. A SOCKS or CONNECT client sends them only after it is told \"connected\", so it is told that before the outbound is tried: where the outbound then fails or refuses, the client sees a reset and no error\n  | proxy = [\"youtube.com\"]\n  | ^^^^^^^^^^^^^^^^^^^^^^^"}]}
            --
            warned/w.toml: policy-router, 1 error (1 warning by `--deny warnings`)
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
            {"config":"r.toml","dialect":"native","errors":1,"warnings":0,"denied":1,"problems":[{"severity":"error","code":"yaml-syntax","message":"this line does not belong to what stands before it","file":"r.toml","line":2,"column":1,"hint":"YAML is lines of `KEY: VALUE`, and what belongs to a key is indented below it","related":null,"text":"r.toml:2:1: error[yaml-syntax]: this line does not belong to what stands before it\n  | egress = \"direct\"\n  | ^^^^^^^^^^^^^^^^^\n  hint: YAML is lines of `KEY: VALUE`, and what belongs to a key is indented below it"}]}
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
fn what_is_known_and_accepted_is_allowed() {
    check(
        &[
            "check",
            "warned/w.toml",
            "--deny=warnings",
            "--allow=ambiguous-overlap",
            "--allow=answers-early",
        ],
        "",
        expect![[r#"
            0
            --
            warned/w.toml: policy-router, 0 errors, 0 warnings, 2 allowed
        "#]],
    );
    check(
        &["check", "bad.toml", "--allow=unknown-outbound"],
        "",
        expect![[r#"
            2
            --
            error: `--allow unknown-outbound`: here it is the code of an error, and errors cannot be allowed; without it `check` says where
        "#]],
    );
    check(
        &["check", "r.toml", "--allow=answers-erly"],
        "",
        expect![[r#"
            2
            --
            error: `--allow answers-erly`: there is no such code; did you mean `answers-early`?
        "#]],
    );
    check(
        &["check", "r.toml", "--allow=overlap"],
        "",
        expect![[r#"
            2
            --
            error: `--allow overlap`: there is no such code; did you mean `ambiguous-overlap` or `fake-overlap`?
        "#]],
    );
}

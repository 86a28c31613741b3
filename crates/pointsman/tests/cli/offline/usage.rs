//! What the command line itself answers: usage, version, completions.

use expect_test::expect;

use super::check;
use crate::{Run, directory, run};

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
        &["explain", "process"],
        &["explain", "a.test:1", "b.test:1"],
        &["explain", "a.test:1", "{}"],
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

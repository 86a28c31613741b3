//! `policy`.

use expect_test::expect;

use super::{check, home};
use crate::run;

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
    // What pictures look like is for their own tests; here it counts that the policy's comes out.
    let home = home();
    for (form, begins) in [("dot", "digraph policy {\n"), ("svg", "<svg ")] {
        let drawn = run(home.path(), &["policy", "--as", form, "reflow"], "");
        assert_eq!((drawn.code, drawn.stderr.as_str()), (0, ""), "{form}");
        assert!(drawn.stdout.starts_with(begins), "{}", drawn.stdout);
        assert!(
            drawn.stdout.contains("reset (config:6)"),
            "{}",
            drawn.stdout
        );
    }
}

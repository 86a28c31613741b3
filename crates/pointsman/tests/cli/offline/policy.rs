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

#[test]
fn a_picture_opens_and_a_text_does_not() {
    let home = home();
    let config = "version: 1\ninbounds: { house: { type: mixed, listen: '127.0.0.1:1', allow: [127.0.0.0/8] } }\nrules:\n  \
                  - DST-PORT, 1, REJECT\n  - DST-PORT, 2, REJECT\n  - FALLBACK, DIRECT\n";
    std::fs::write(home.path().join("p.yaml"), config).unwrap();
    let draw = |more: &[&str]| run(home.path(), &[&["policy", "p.yaml"], more].concat(), "");
    let folded = draw(&["--as", "svg"]);
    assert!(folded.stdout.contains("2 \u{d7} port 1, 2<"));
    let open = draw(&["--as", "svg", "--open"]);
    assert_eq!(open.code, 0, "{}", open.stderr);
    for row in [">port eq 1<", ">port eq 2<", "only from 127.0.0.0/8<"] {
        assert!(open.stdout.contains(row), "{row}: {}", open.stdout);
    }
    let text = draw(&["--open"]);
    assert_eq!(text.code, 2);
    assert!(text.stderr.contains("--as svg"), "{}", text.stderr);
    // In text, too, the policy is said once, with what leads to it.
    let list = draw(&["--as", "list"]);
    assert_eq!(
        list.stdout,
        "# main, from house (mixed on 127.0.0.1:1, only from 127.0.0.0/8)\n\
         - DST-PORT, 1, REJECT\n- DST-PORT, 2, REJECT\n- FALLBACK, DIRECT\n"
    );
}

//! `fmt`.

use expect_test::expect;

use super::check;
use crate::{directory, run};

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
            odd.tree: would be reformatted
        "#]],
    );
    check(
        &["fmt", "odd.tree", "broken.tree"],
        "",
        expect![[r#"
            1
            --
            odd.tree: formatted
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
            -: would be reformatted
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

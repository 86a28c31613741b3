//! What the command line itself answers: usage, version, completions.

use expect_test::expect;

use super::{check, home};
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

/// What is read from stdin where a path is `-` is said where the path is described.
#[test]
fn verbs_that_read_stdin_say_so() {
    let policy = "version: 1\npolicy: direct\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1\" } }\n\
                  rule_sets: { s: { domains: [a.test] } }\n";
    let dat = "\n\u{8}\n\u{2}CN\u{12}\u{2}\u{12}\u{0}";
    let list = "a.test\n";
    for (verb, arguments, stdin) in [
        ("check", "-", policy),
        ("convert", "-", policy),
        ("explain", "--config - a.test:1", policy),
        ("fmt", "-", policy),
        ("policy", "-", policy),
        ("rule-set convert", "- --to yaml", list),
        ("rule-set list", "-", dat),
        ("rule-set match", "- a.test", list),
        ("rule-set match", "s a.test --config -", policy),
        ("test", "-", policy),
    ] {
        let home = directory(&[]);
        let words = |more: &'static str| verb.split(' ').chain(more.split(' ')).collect::<Vec<_>>();
        let done = run(home.path(), &words(arguments), stdin);
        assert_eq!(done.code, 0, "{verb}: {}", done.stderr);
        let help = run(home.path(), &words("--help"), "").stdout;
        assert!(help.contains("stdin"), "{verb}: {help}");
    }
    let home = directory(&[]);
    let both = run(home.path(), &["rule-set", "match", "-", "-"], list);
    assert_eq!(both.code, 2, "{}", both.stderr);
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

#[test]
fn there_is_a_man_page_for_each_verb() {
    let home = home();
    let pages = home.path().join("man");
    let made = run(home.path(), &["man", "--output", "man"], "");
    assert_eq!(
        (made.code, made.stdout.as_str(), made.stderr.as_str()),
        (0, "", "")
    );
    let help = run(home.path(), &["--help"], "").stdout;
    let verbs = help.split_once("Commands:\n").unwrap().1;
    let verbs = verbs.lines().take_while(|line| line.starts_with("  "));
    let verbs = verbs.filter_map(|line| line.split_whitespace().next());
    let verbs: Vec<&str> = verbs.filter(|verb| *verb != "help").collect();
    assert!(verbs.len() > 15, "{verbs:?}");
    for verb in verbs {
        let page = pages.join(format!("pointsman-{verb}.1"));
        let page = std::fs::read_to_string(page).unwrap_or_else(|why| panic!("{verb}: {why}"));
        for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "SEE ALSO"] {
            assert!(page.contains(section), "{verb}: {section}");
        }
    }
    let deep = std::fs::read_to_string(pages.join("pointsman-rule-set-match.1")).unwrap();
    assert!(
        deep.contains("SEE ALSO\npointsman\\-rule\\-set(1)"),
        "{deep}"
    );
    let own = run(home.path(), &["man"], "").stdout;
    assert_eq!(
        own,
        std::fs::read_to_string(pages.join("pointsman.1")).unwrap()
    );
}

#[test]
fn the_schema_is_json_for_people_and_for_scripts() {
    let home = home();
    let shown = run(home.path(), &["schema"], "");
    let short = run(home.path(), &["schema", "--format", "json"], "");
    assert_eq!((shown.code, short.code), (0, 0));
    assert!(shown.stdout.lines().count() > 100 && short.stdout.lines().count() == 1);
    let [shown, short]: [serde_json::Value; 2] =
        [shown, short].map(|run| serde_json::from_str(&run.stdout).unwrap());
    assert_eq!(shown, short);
    assert_eq!(shown["$schema"], "http://json-schema.org/draft-07/schema#");
    let direct = &shown["properties"]["watch"];
    assert_eq!(direct["type"], "boolean");
}

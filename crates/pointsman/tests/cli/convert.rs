//! `convert`: the native text, the report, and who may read the file.

use std::os::unix::fs::MetadataExt as _;

use crate::{Run, directory, run};

const APPS: &str =
    "[defaults]\negress = \"out\"\n[egress.out]\ntype = \"direct\"\n[rules.app]\n[rules.domain]\n";

#[test]
fn a_configuration_is_printed_and_reported() {
    let home = directory(&[("c.toml", APPS)]);
    let Run {
        code,
        stdout,
        stderr,
    } = run(home.path(), &["convert", "c.toml", "--strict"], "");
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("policy: |\n"), "{stdout}");
    assert!(stderr.starts_with("\nworks as before:\n  - "), "{stderr}");
    assert!(stderr.ends_with("\n\n0 warnings, 0 notes\n"), "{stderr}");
    let Run { stdout, stderr, .. } = run(
        home.path(),
        &[
            "convert",
            "c.toml",
            "--from",
            "policy-router",
            "--format",
            "json",
        ],
        "",
    );
    let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(answer["config"].as_str().unwrap().contains("version: 1"));
    assert_eq!(answer["report"], serde_json::json!([]));
    assert_eq!(answer["summary"]["changed"], serde_json::json!([]));
    assert_eq!(stderr, "");
}

#[test]
fn a_refusal_is_an_object_where_json_is_asked_for() {
    let wrong = "mixed-port: 1\nproxies: []\nrules: {}\n";
    let lossy = "mixed-port: 1\nproxies: []\nrules: ['UID,1,DIRECT']\n";
    let files = [
        ("native.yaml", "version: 1\nx: 1\n"),
        ("clash.yaml", wrong),
        ("lossy.yaml", lossy),
    ];
    let home = directory(&files);
    for (words, error, code) in [
        (
            &["native.yaml"][..],
            "native.yaml has errors",
            "unknown-key",
        ),
        (
            &["clash.yaml"],
            "clash.yaml cannot be read as Clash",
            "wrong-type",
        ),
        (&["none.yaml"], "none.yaml has errors", "unreadable"),
        (
            &["none.yaml", "--from", "clash"],
            "none.yaml cannot be read",
            "",
        ),
        (
            &["lossy.yaml", "--strict", "-o", "out"],
            "not all works as before",
            "",
        ),
    ] {
        let words = [&["convert", "--format", "json"], words].concat();
        let Run {
            code: exit,
            stdout,
            stderr: _,
        } = run(home.path(), &words, "");
        assert_eq!(exit, 1, "{words:?}");
        let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        assert!(
            answer["error"].as_str().unwrap().starts_with(error),
            "{answer}"
        );
        assert!(answer["code"].is_string(), "{answer}");
        assert!(answer["config"].is_null(), "{answer}");
        if !code.is_empty() {
            assert_eq!(answer["problems"][0]["code"], code, "{answer}");
        }
    }
    assert!(!home.path().join("out").exists());
    // For people the same is on stderr.
    let told = run(home.path(), &["convert", "clash.yaml"], "");
    assert_eq!((told.code, told.stdout.as_str()), (1, ""));
    assert!(
        told.stderr
            .ends_with("error: clash.yaml cannot be read as Clash\n"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_file_is_its_owners_alone() {
    let home = directory(&[("c.toml", APPS), ("out.yaml", "old")]);
    let words = ["convert", "c.toml", "-o", "out.yaml", "--force"];
    let done = run(home.path(), &words, "");
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, ""),
        "{}",
        done.stderr
    );
    let out = home.path().join("out.yaml");
    assert!(
        std::fs::read_to_string(&out)
            .unwrap()
            .starts_with("# Converted")
    );
    let mode = std::fs::metadata(&out).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let checked = run(home.path(), &["check", "out.yaml"], "");
    assert_eq!(checked.code, 0, "{}", checked.stdout);
}

/// Whoever writes over a file in a script says so, whichever verb it is.
#[test]
fn what_is_there_is_not_replaced_unasked() {
    let files = [("c.toml", APPS), ("list.txt", "a.test\n"), ("out", "old")];
    let home = directory(&files);
    std::os::unix::fs::symlink("out", home.path().join("link")).unwrap();
    let out = home.path().join("out");
    let verbs: [&[&str]; 2] = [
        &["convert", "c.toml", "-o"],
        &["rule-set", "convert", "list.txt", "--to", "text", "-o"],
    ];
    for verb in verbs {
        for name in ["out", "link"] {
            std::fs::write(&out, "old").unwrap();
            let done = run(home.path(), &[verb, &[name]].concat(), "");
            let refusal =
                format!("error: {name} exists: name another file, or replace it with `--force`\n");
            assert_eq!((done.code, done.stderr), (2, refusal), "{verb:?}");
            assert_eq!(std::fs::read_to_string(&out).unwrap(), "old");

            let done = run(home.path(), &[verb, &[name, "--force"]].concat(), "");
            assert_eq!(done.code, 0, "{}", done.stderr);
            assert_ne!(std::fs::read_to_string(&out).unwrap(), "old", "{verb:?}");
        }
        assert!(home.path().join("link").is_symlink());
        let fresh = [verb, &["fresh"]].concat();
        assert_eq!(run(home.path(), &fresh, "").code, 0, "{verb:?}");
        std::fs::remove_file(home.path().join("fresh")).unwrap();
        // What is no file is written to as it is.
        let done = run(home.path(), &[verb, &["/dev/stdout"]].concat(), "");
        assert_eq!(done.code, 0, "{verb:?}: {}", done.stderr);
        assert!(!done.stdout.is_empty(), "{verb:?}");
    }
    let left = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(left, files.len() + 1, "nothing is left beside");
}

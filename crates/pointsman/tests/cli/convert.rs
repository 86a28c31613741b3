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
    assert_eq!(stderr, "0 not equal\n");
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
    assert_eq!(stderr, "");
}

#[test]
fn a_file_is_its_owners_alone() {
    let home = directory(&[("c.toml", APPS), ("out.yaml", "old")]);
    let done = run(home.path(), &["convert", "c.toml", "-o", "out.yaml"], "");
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

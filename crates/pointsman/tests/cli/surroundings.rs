//! What the client finds where nothing is said: the configuration, stdin; and readers that leave.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Run, directory, run};

const CONFIG: &str = "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\n\
                      rules: [\"FALLBACK, DIRECT\"]\n";

/// `check` without a path, by a user whose configurations are there.
fn check(own: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    in_home(own, &[&["check"], words].concat())
}

fn in_home(own: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(words)
        .current_dir(own)
        .env("XDG_CONFIG_HOME", own)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[test]
fn check_takes_the_configuration_that_the_daemon_takes() {
    let own = directory(&[("pointsman/pointsman.yaml", "version: 1\nnonsense: 1\n")]);
    let path = own.path().join("pointsman/pointsman.yaml");
    let path = path.to_str().unwrap();
    let (code, stdout, stderr) = check(own.path(), &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.starts_with(&format!("{path}:2:1: error")),
        "{stdout}"
    );
    assert!(stderr.contains(&format!("{path}: native")), "{stderr}");
    let (_, stdout, _) = check(own.path(), &["--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(told["config"], path);
    if Path::new("/etc/pointsman/pointsman.yaml").exists() {
        return;
    }
    // Cases that lie about are not the embedded default's.
    let none = directory(&[("x.case", "dst=a.test:1 => NOWHERE\n")]);
    let (code, stdout, stderr) = check(none.path(), &[]);
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert!(
        stderr.contains("(embedded default): native, 0 errors"),
        "{stderr}"
    );
}

#[test]
fn test_takes_the_configuration_that_the_daemon_takes() {
    let text = "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\nrules: [\"FALLBACK, DIRECT\"]\n";
    let own = directory(&[
        ("pointsman/pointsman.yaml", text),
        ("pointsman/x.case", "dst=a.test:1 => DIRECT\n"),
    ]);
    let (code, _, stderr) = in_home(own.path(), &["test"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("pointsman.yaml: 1 passed, 0 failed"),
        "{stderr}"
    );
}

#[test]
fn who_forgets_to_name_a_configuration_is_told_how() {
    if Path::new("/etc/pointsman/pointsman.yaml").exists() {
        return;
    }
    let none = directory(&[]);
    for verb in ["check", "test"] {
        let (code, _, stderr) = in_home(none.path(), &[verb]);
        let way = format!("to {verb} another one, name it (`pointsman {verb} FILE`)");
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.trim_end().ends_with(&way), "{stderr}");
    }
}

#[test]
fn a_configuration_comes_by_stdin() {
    let home = directory(&[("hosts.txt", "a.test\n")]);
    let listed = "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\n\
                  rule_sets: { ads: { path: hosts.txt } }\nrules: [\"RULE-SET, ads, RESET\", \"FALLBACK, DIRECT\"]\n";
    let check = |words: &[&str], stdin: &str, code: i32, expected: &str| {
        let done: Run = run(home.path(), words, stdin);
        let all = format!("{}{}", done.stdout, done.stderr);
        assert_eq!(done.code, code, "{words:?}: {all}");
        assert!(all.contains(expected), "{words:?}: {all}");
    };
    check(&["check", "-"], CONFIG, 0, "-: native, 0 errors");
    check(
        &["check", "-"],
        "version: 1\nx: 1\n",
        1,
        "-:2:1: error[unknown-key]",
    );
    // `false | pointsman check -` is to fail.
    check(&["check", "-"], "", 1, "nothing came by stdin");
    // Files that it names begin where the client stands.
    check(
        &["explain", "--config", "-", "a.test:1"],
        listed,
        0,
        "hosts.txt:1",
    );
    check(&["convert", "-"], CONFIG, 0, "FALLBACK, DIRECT");
    check(&["test", "-"], CONFIG, 0, "0 failed; there are no tests");
    check(&["policy", "-"], CONFIG, 0, "DIRECT");
    check(
        &["explain", "--config", "-", "--flows", "-"],
        CONFIG,
        2,
        "cannot both come by stdin",
    );
}

#[test]
fn a_failure_is_an_object_too_where_json_is_asked_for() {
    let home = directory(&[("bad.yaml", "version: 1\nx: 1\n"), ("good.yaml", CONFIG)]);
    let check = |words: &[&str], code: i32, kind: &str, problems: usize| {
        let done: Run = run(home.path(), &[words, &["--format", "json"]].concat(), "");
        let answer: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        let told = answer["problems"].as_array().map_or(0, Vec::len);
        assert_eq!(
            (done.code, &answer["code"], told),
            (code, &kind.into(), problems),
            "{words:?}: {answer}"
        );
        let error = answer["error"].as_str().unwrap();
        assert!(done.stderr.contains(error), "{words:?}: {}", done.stderr);
    };
    let invalid = "invalid-configuration";
    check(
        &["explain", "--config", "bad.yaml", "a.test:1"],
        1,
        invalid,
        1,
    );
    check(&["policy", "bad.yaml"], 1, invalid, 1);
    check(&["test", "bad.yaml"], 1, invalid, 1);
    check(&["convert", "bad.yaml"], 1, invalid, 1);
    check(
        &["rule-set", "match", "x", "a.test", "--config", "bad.yaml"],
        2,
        invalid,
        1,
    );
    check(
        &["explain", "--config", "good.yaml", "--dst", "a b"],
        2,
        "usage",
        0,
    );
    check(&["--control", "none.sock", "status"], 3, "no-daemon", 0);
    check(&["replay", "--control", "none.sock"], 3, "no-daemon", 0);
}

/// The exit code where the reader leaves after one line.
fn left(home: &Path, words: &[&str]) -> Option<i32> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(words)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::with_capacity(16, stdout)
        .read_line(&mut first)
        .unwrap();
    assert!(!first.is_empty());
    child.wait().unwrap().code()
}

#[test]
fn a_reader_that_leaves_changes_no_verdict() {
    // More than a pipe holds.
    let many: String = (0..4000)
        .map(|at| format!("  - DOMAIN, a{at}.test, NOWHERE\n"))
        .collect();
    let good = CONFIG.replace("rules: [", "rules: [\"DOMAIN, a.test, DIRECT\", ");
    let bad =
        format!("version: 1\ninbounds: {{ a: {{ type: mixed, listen: 1080 }} }}\nrules:\n{many}");
    let flows = "{\"dst\": \"b.test:1\"}\n".repeat(4000);
    let home = directory(&[("good.yaml", &good), ("bad.yaml", &bad), ("flows", &flows)]);
    assert_eq!(left(home.path(), &["check", "bad.yaml"]), Some(1));
    let explain = ["explain", "--config", "good.yaml", "--flows", "flows"];
    assert_eq!(left(home.path(), &explain), Some(0));
    let expecting = [&explain[..], &["--expect", "REJECT"]].concat();
    assert_eq!(left(home.path(), &expecting), Some(1));
}

/// Both streams on one terminal: problems first, then how many there were.
#[test]
fn the_summary_comes_behind_the_problems() {
    let home = directory(&[(
        "c.yaml",
        "version: 1\ninbounds: { a: { type: mixed, listen: 0.0.0.0:1080 } }\nrules: [\"FALLBACK, DIRECT\"]\n",
    )]);
    let both = |words: &str| {
        let line = format!("\"$0\" check {words} c.yaml 2>&1");
        let done = Command::new("sh")
            .args(["-c", &line, env!("CARGO_BIN_EXE_pointsman")])
            .current_dir(home.path())
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    let said = both("");
    assert!(
        said.ends_with("c.yaml: native, 0 errors, 1 warning\n"),
        "{said}"
    );
    let said = both("--deny warnings");
    let last = "c.yaml: native, 1 error (1 warning by `--deny warnings`)\n";
    assert!(said.ends_with(last), "{said}");
}

/// The embedded default sends everything direct: it stands for no configuration, and not for one that cannot be read.
#[test]
fn a_configuration_that_cannot_be_reached_is_not_left_out() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let own = directory(&[("pointsman/other", "")]);
    let link = own.path().join("pointsman/pointsman.yaml");
    symlink("nowhere", &link).unwrap();
    let (code, stdout, stderr) = check(own.path(), &[]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    let said = format!(
        "{}:1:1: error[unreadable]: cannot be read: ",
        link.display()
    );
    assert!(
        stdout.contains(&said) || stderr.contains(&said),
        "{stdout}{stderr}"
    );
    assert!((stdout + &stderr).contains("a link that leads nowhere"));
    // The directory is such a link.
    let own = directory(&[("other", "")]);
    symlink("nowhere", own.path().join("pointsman")).unwrap();
    assert_eq!(check(own.path(), &[]).0, Some(1));

    let own = directory(&[("pointsman/pointsman.yaml", CONFIG)]);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(own.path(), 0o755);
    mode(&own.path().join("pointsman"), 0o700);
    let done = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups"])
        .arg(env!("CARGO_BIN_EXE_pointsman"))
        .arg("check")
        .current_dir("/")
        .env("XDG_CONFIG_HOME", own.path())
        .output()
        .unwrap();
    let told = String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap();
    if told.contains("setpriv: ") {
        eprintln!(
            "skipped: the tests do not run as root, or others may not enter the target directory"
        );
        return;
    }
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains("may not enter a directory"), "{told}");
}

//! Files that are none, disks that are full, and configurations that have much to say.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Start, client_path, eventually};

/// What a client's verb may take, where something could hold it for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// An inbound, and whatever follows.
fn config(more: &str) -> String {
    format!("version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n{more}\n")
}

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success(), "{path:?}");
}

/// Runs the client in a directory; fails where it does not end by itself.
fn client(directory: &Path, words: &[&str]) -> (Output, Duration) {
    let begun = Instant::now();
    let mut command = Command::new(client_path());
    command.args(words).current_dir(directory);
    command.env("XDG_STATE_HOME", directory);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{words:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    (child.wait_with_output().unwrap(), begun.elapsed())
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_pipe_in_a_configuration_is_a_problem_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    std::fs::create_dir(place.join("parts")).unwrap();
    for name in ["parts/a.yaml", "list.txt", "x.case"] {
        fifo(&place.join(name));
    }
    let more = "include: parts/*.yaml\nrule_sets:\n  l: { path: list.txt, format: domains }\n  \
                z: { path: /dev/zero, format: domains }\nrules:\n  - RULE-SET, l, REJECT\n  - FALLBACK, DIRECT";
    std::fs::write(place.join("a.yaml"), config(more)).unwrap();
    let (output, _) = client(place, &["check", "a.yaml"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let pipe = "cannot be read: it is a pipe, and a regular file is wanted";
    let device = "cannot be read: it is a device, and a regular file is wanted";
    for expected in [
        format!("a.yaml:4:10: error[missing-file]: `parts/a.yaml` {pipe}"),
        format!("a.yaml:6:14: error[missing-file]: `list.txt` {pipe}"),
        format!("a.yaml:7:14: error[missing-file]: `/dev/zero` {device}"),
    ] {
        assert!(text.contains(&expected), "{expected} in:\n{text}");
    }
    // Tests beside a configuration that is whole.
    let plain = config("rules:\n  - FALLBACK, DIRECT");
    std::fs::write(place.join("b.yaml"), plain).unwrap();
    let (output, _) = client(place, &["check", "b.yaml"]);
    let text = said(&output);
    let expected =
        "x.case:1:1: error[unreadable]: the tests in it cannot be read: it is a pipe, and";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_the_command_line_and_secrets_name_may_be_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    for name in ["main", "secret", "list"] {
        fifo(&place.join(name));
    }
    let fill = |name: &str, text: String| {
        let path = place.join(name);
        std::thread::spawn(move || std::fs::write(path, text).unwrap())
    };
    let with_secret = "outbounds:\n  up: { type: socks5, server: \"127.0.0.1:1\", username: u, \
                       password: { from_file: secret } }\nrules:\n  - FALLBACK, up";
    let filled = fill("main", config(with_secret));
    let also = fill("secret", "hush\n".to_owned());
    let (output, _) = client(place, &["check", "main"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    filled.join().unwrap();
    also.join().unwrap();
    let filled = fill("list", "a.test\n".to_owned());
    let (output, _) = client(place, &["rule-set", "match", "list", "a.test"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    filled.join().unwrap();
}

#[test]
fn pipes_that_nobody_fills_are_waited_for_once() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let mut outbounds = String::from("outbounds:\n");
    for number in 0..20 {
        fifo(&place.join(format!("s{number}")));
        outbounds.push_str(&format!(
            "  o{number}: {{ type: socks5, server: \"127.0.0.1:1\", username: u, \
             password: {{ from_file: s{number} }} }}\n"
        ));
    }
    std::fs::write(place.join("a.yaml"), config(&outbounds)).unwrap();
    let (output, took) = client(place, &["check", "a.yaml"]);
    let text = said(&output);
    let expected = "`s0` cannot be read: nothing was written into the pipe within 5s";
    assert!(text.contains(expected), "{text}");
    // Twenty times five seconds are a hundred.
    assert!(took < Duration::from_secs(40), "{took:?}");
    fifo(&place.join("whole"));
    let (output, took) = client(place, &["check", "whole"]);
    let text = said(&output);
    assert!(text.contains("within 5s"), "{text}");
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[test]
fn a_reload_that_meets_a_pipe_changes_nothing() {
    let more = "rule_sets:\n  l: { path: list.txt, format: domains }\nrules:\n  \
                - RULE-SET, l, REJECT\n  - FALLBACK, DIRECT";
    let daemon = Daemon::start(&Start {
        files: vec![
            ("a.yaml", config(&format!("watch: true\n{more}"))),
            ("list.txt", "a.test\n".to_owned()),
        ],
        config: "a.yaml",
        ..Start::default()
    });
    let list = daemon.directory.path().join("list.txt");
    let aside = daemon.directory.path().join("aside");
    fifo(&aside);
    std::fs::rename(aside, &list).unwrap();
    // The watch comes first, or the operator: both are refused, and nothing hangs.
    let output = daemon.client(&["reload"]);
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("it is a pipe, and a regular file is wanted"),
        "{text}"
    );
    let status = daemon.json(&["status"]);
    assert_eq!(status["generation"], "1", "{status}");
    let explained = daemon.client(&["explain", "dst=a.test:80"]);
    assert!(said(&explained).contains("REJECT"), "{}", said(&explained));
}

#[test]
fn a_state_directory_of_pipes_keeps_nobody_from_serving() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    for inner in ["rules", "rule-sets"] {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(state.join(inner)).unwrap();
    }
    let all = [
        "selections.json",
        "selections.json.new",
        "rules/counts.json",
        "rule-sets/key",
    ];
    all.iter().for_each(|name| fifo(&state.join(name)));
    let groups = "outbounds:\n  a: { type: direct }\n  b: { type: direct }\n  \
                  g: { type: select, members: [a, b] }\nrules:\n  - FALLBACK, g";
    let mut daemon = Daemon::start(&Start {
        files: vec![("a.yaml", config(groups))],
        config: "a.yaml",
        args: vec!["--state", state.to_str().unwrap()],
        ..Start::default()
    });
    let output = daemon.client(&["outbounds", "select", "g", "b"]);
    assert!(output.status.success(), "{}", said(&output));
    let log = daemon.log();
    assert!(log.contains("selections.json: it is a pipe"), "{log}");
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
}

/// A daemon whose state directory is a file system of its own, mounted on this directory.
fn in_mount(state: &Path, options: &str) -> Daemon {
    let mount = format!("mount -t tmpfs -o {options} none \"$0\" && exec \"$@\"");
    let state = state.to_str().unwrap();
    let starter = ["unshare", "--mount", "sh", "-c", &mount, state];
    let groups = "outbounds:\n  a: { type: direct }\n  b: { type: direct }\n  \
                  g: { type: select, members: [a, b] }\nrule_sets:\n  l: { path: list.txt, format: domains }\nrules:\n  \
                  - RULE-SET, l, REJECT\n  - FALLBACK, g";
    let names = |number: u32| format!("name-{number}.test\n");
    Daemon::start(&Start {
        files: vec![
            ("a.yaml", config(groups)),
            ("list.txt", (0..20_000).map(names).collect()),
        ],
        config: "a.yaml",
        args: vec!["--state", state],
        starter: starter.map(str::to_owned).to_vec(),
        ..Start::default()
    })
}

#[test]
fn a_disk_that_is_full_or_read_only_is_told_and_served_from() {
    if !Path::new("/proc/self/ns/mnt").exists() || !is_root() {
        eprintln!("skipped: a mount of its own takes root");
        return;
    }
    for options in ["size=4k", "ro"] {
        let state = tempfile::tempdir().unwrap();
        let mut daemon = in_mount(state.path(), options);
        let output = daemon.client(&["outbounds", "select", "g", "b"]);
        assert!(output.status.success(), "{options}: {}", said(&output));
        // It is in force; and who selected it hears that it will not outlive the daemon.
        let told = said(&output);
        assert!(
            told.contains("not kept over a restart: "),
            "{options}: {told}"
        );
        let explained = daemon.client(&["explain", "dst=name-7.test:80"]);
        assert!(said(&explained).contains("REJECT"), "{}", said(&explained));
        daemon.signal("TERM");
        assert!(daemon.wait(Duration::from_secs(30)).success(), "{options}");
        let log = daemon.log();
        let why = ["No space left on device", "Read-only file system"];
        assert!(why.iter().any(|why| log.contains(why)), "{options}: {log}");
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[test]
fn a_log_says_what_many_rules_have_in_common_once() {
    let mut rules = String::from("rules:\n");
    for number in 0..2_000 {
        let (high, low) = (number / 256, number % 256);
        rules.push_str(&format!("  - IP-CIDR, 10.{high}.{low}.0/24, REJECT\n"));
        // Each of these says something of its own.
        rules.push_str(&format!("  - PROCESS-NAME, program, nowhere-{number}\n"));
    }
    rules.push_str("  - FALLBACK, DIRECT");
    let bad = Daemon::try_start(&Start {
        files: vec![("a.yaml", config(&rules))],
        config: "a.yaml",
        ..Start::default()
    });
    let Err((_, log)) = bad else {
        panic!("it has errors");
    };
    assert!(
        log.contains("more problems: `pointsman check` tells all"),
        "{log}"
    );
    assert!(log.len() < 100_000, "{}", log.len());
    let good: String = rules
        .lines()
        .filter(|line| !line.contains("PROCESS"))
        .collect::<Vec<_>>()
        .join("\n");
    let daemon = Daemon::native(&config(&good));
    eventually("what was read is logged", || {
        daemon
            .log()
            .contains("the same on the lines 6 and 7, and of 1997 more")
    });
    assert!(daemon.log().len() < 20_000, "{}", daemon.log().len());
}

#[test]
fn lines_that_a_log_loses_are_told_and_stay_counted() {
    let direct = config("rules:\n  - FALLBACK, DIRECT");
    let logged = format!("{direct}access_log: /dev/full\n");
    let daemon = Daemon::native(&logged);
    let count = || {
        daemon.json(&["diagnostics"])["log_lines_dropped"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(count(), 0);
    for lost in 1..=3 {
        drop(TcpStream::connect(daemon.address("desk")).unwrap());
        eventually("the line is counted", || count() == lost);
    }
    let warnings = daemon.log().matches("an access log are lost").count();
    assert_eq!(warnings, 1, "{}", daemon.log());
    daemon.write("pointsman.yaml", &direct);
    let reloaded = daemon.client(&["reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{reloaded:?}");
    assert_eq!(count(), 3);
}

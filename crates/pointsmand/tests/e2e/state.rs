//! The directory of state: one daemon's alone, by which clients find it, and what it remembers of configurations.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::daemon::{Daemon, Start, client_path, eventually};

const CONFIG: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n\
                      outbounds:\n  wire: { type: direct, interface: lo, source: 127.0.0.1 }\n\
                      rules:\n  - FALLBACK, DIRECT\n";

fn other() -> String {
    CONFIG.replace("FALLBACK, DIRECT", "FALLBACK, REJECT")
}

fn start<'s>(text: &str, state: &'s Path) -> Start<'s> {
    Start {
        files: vec![("pointsman.yaml", text.to_owned())],
        config: "pointsman.yaml",
        args: vec!["--state", state.to_str().unwrap()],
        ..Start::default()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused_until_the_first_is_dead() {
    let state = tempfile::tempdir().unwrap();
    let mut first = Daemon::start(&start(CONFIG, state.path()));
    let Err((status, log)) = Daemon::try_start(&start(CONFIG, state.path())) else {
        panic!("two daemons on one state");
    };
    assert_eq!(status.code(), Some(1), "{log}");
    let who = format!(
        "another daemon (process {}, control socket {})",
        first.pid(),
        first.control().display()
    );
    assert!(log.contains(&who), "{log}");
    // The client finds the daemon by its state, whatever the environment says.
    let found = Command::new(client_path())
        .arg("--state")
        .arg(state.path())
        .args(["--format", "json", "status"])
        .env("POINTSMAN_CONTROL", "/nobody")
        .output()
        .unwrap();
    let status: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(status["pid"], first.pid());
    first.signal("KILL");
    first.wait(Duration::from_secs(5));
    Daemon::start(&start(CONFIG, state.path()));
    let nobody = tempfile::tempdir().unwrap();
    let lost = Command::new(client_path())
        .arg("--state")
        .arg(nobody.path())
        .arg("status")
        .output()
        .unwrap();
    assert_eq!(lost.status.code(), Some(3), "{lost:?}");
}

fn by_state(state: &Path, words: &[&str]) -> Output {
    let mut client = Command::new(client_path());
    client.arg("--state").arg(state).args(words);
    client.output().unwrap()
}

/// Whoever follows a state must never reach another daemon than the one that keeps it.
#[test]
fn a_state_that_nobody_keeps_leads_to_no_daemon() {
    let (mine, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut daemon = Daemon::start(&start(CONFIG, others.path()));
    let control = daemon.control();
    // Its place is taken: it never serves.
    let mut taken = start(CONFIG, mine.path());
    taken.args.extend(["--control", control.to_str().unwrap()]);
    assert!(Daemon::try_start(&taken).is_err());
    let stopped = by_state(mine.path(), &["stop"]);
    assert_eq!(stopped.status.code(), Some(3), "{stopped:?}");
    // One that was killed left its place to another.
    let lock = std::fs::read(others.path().join("daemon.lock")).unwrap();
    std::fs::write(mine.path().join("daemon.lock"), lock).unwrap();
    let stopped = by_state(mine.path(), &["stop"]);
    assert_eq!(stopped.status.code(), Some(3), "{stopped:?}");
    assert_eq!(by_state(others.path(), &["status"]).status.code(), Some(0));
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(20)).code(), Some(0));
    let status = by_state(others.path(), &["status"]);
    assert_eq!(status.status.code(), Some(3), "{status:?}");
}

#[test]
fn what_was_rolled_back_is_said_when_it_is_read_again() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(&start(CONFIG, state.path()));
    assert_eq!(daemon.json(&["status"])["setback"], serde_json::Value::Null);
    daemon.write("pointsman.yaml", "version: 1\nnonsense: 1\n");
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(4));
    let refused = text(&daemon.client(&["status"]));
    assert!(
        refused.contains("the last reload was refused at 2"),
        "{refused}"
    );
    assert!(refused.contains("error[unknown-key]"), "{refused}");
    daemon.write("pointsman.yaml", &other());
    daemon.json(&["reload", "--confirm-within", "300ms"]);
    eventually("it is rolled back", || {
        let told = text(&daemon.client(&["status"]));
        told.contains("rolled back") && told.contains("nobody confirmed generation 2")
    });
    // Whoever asks for it gets it, and is told.
    let again = daemon.json(&["reload"]);
    let notice = again["notice"].as_str().unwrap_or_default();
    assert!(notice.contains("rolled back before"), "{again}");
    assert!(
        daemon
            .log()
            .contains("this configuration was rolled back before")
    );
    let taken = text(&daemon.client(&["status"]));
    assert!(taken.contains("and taken again at"), "{taken}");
    daemon.signal("KILL");
    daemon.wait(Duration::from_secs(5));
    let daemon = Daemon::start(&start(&other(), state.path()));
    // Another directory holds the same text: the file's path is not what was rolled back.
    daemon.write("pointsman.yaml", CONFIG);
    let fresh = daemon.json(&["reload"]);
    assert_eq!(fresh["notice"], serde_json::Value::Null);
    assert_eq!(daemon.json(&["status"])["setback"], serde_json::Value::Null);
}

#[test]
fn a_restart_on_what_was_rolled_back_is_said() {
    let state = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("c.yaml");
    std::fs::write(&config, CONFIG).unwrap();
    let args = || {
        let (state, config) = (state.path().to_str().unwrap(), config.to_str().unwrap());
        Start {
            args: vec!["--state", state, config],
            ..Start::default()
        }
    };
    let mut daemon = Daemon::start(&args());
    std::fs::write(&config, other()).unwrap();
    daemon.json(&["reload", "--confirm-within", "300ms"]);
    eventually("it is rolled back", || {
        daemon.log().contains("was not confirmed")
    });
    daemon.signal("TERM");
    daemon.wait(Duration::from_secs(15));
    let daemon = Daemon::start(&args());
    assert!(
        daemon.log().contains("rolled back before"),
        "{}",
        daemon.log()
    );
    let told = text(&daemon.client(&["status"]));
    assert!(told.contains("and taken again at"), "{told}");
}

#[test]
fn built_in_outbounds_are_listed_once() {
    let state = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&start(CONFIG, state.path()));
    let told = daemon.json(&["status"]);
    let names: Vec<String> = told["outbounds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outbound| outbound["name"].as_str().unwrap().to_lowercase())
        .collect();
    assert_eq!(names, ["direct", "reset", "reject", "blackhole", "wire"]);
    assert_eq!(
        told["outbounds"][0]["aliases"],
        serde_json::json!(["DIRECT"])
    );
    assert_eq!(daemon.json(&["diagnostics"])["outbound_count"], 5);
    let said = text(&daemon.client(&["status"]));
    assert!(
        said.contains("wire: direct by interface lo from 127.0.0.1"),
        "{said}"
    );
}

#[test]
fn a_path_is_a_configuration_however_it_is_named() {
    let state = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("c.yaml");
    std::fs::write(&config, CONFIG).unwrap();
    let (state, config) = (state.path().to_str().unwrap(), config.to_str().unwrap());
    for words in [vec![config], vec!["-c", config], vec!["--config", config]] {
        let args = [vec!["--state", state], words].concat();
        let daemon = Daemon::start(&Start {
            args,
            ..Start::default()
        });
        assert_eq!(daemon.json(&["status"])["config_path"], config);
    }
    for words in [vec!["-"], vec!["-c", "-"], vec!["-c", config, config]] {
        let args = [vec!["--state", state], words].concat();
        let Err((status, log)) = Daemon::try_start(&Start {
            args,
            ..Start::default()
        }) else {
            panic!("it started");
        };
        assert_eq!(status.code(), Some(2), "{log}");
    }
}

#[test]
fn a_daemon_that_ends_during_a_trial_says_so_when_it_is_back() {
    let confirmed = |end: &str, confirm: bool| {
        let state = tempfile::tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("c.yaml");
        std::fs::write(&path, CONFIG).unwrap();
        let on_home = || Start {
            config: path.to_str().unwrap(),
            ..start(CONFIG, state.path())
        };
        let mut daemon = Daemon::start(&on_home());
        std::fs::write(&path, other()).unwrap();
        daemon.json(&["reload", "--confirm-within", "1m"]);
        if confirm {
            assert_eq!(
                daemon.client(&["reload", "--confirm"]).status.code(),
                Some(0)
            );
        }
        daemon.signal(end);
        daemon.wait(Duration::from_secs(20));
        let daemon = Daemon::start(&on_home());
        let told = text(&daemon.client(&["status"]));
        (
            daemon.log().contains("was on trial"),
            told.contains("was on trial"),
        )
    };
    for end in ["TERM", "KILL"] {
        assert_eq!(confirmed(end, false), (true, true), "{end}");
        assert_eq!(confirmed(end, true), (false, false), "{end}");
    }
}

/// A roll-back stays one, whoever sends signals or touches files; whoever asks for it by hand gets it.
#[test]
fn what_was_rolled_back_comes_back_by_no_signal() {
    let state = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&start(CONFIG, state.path()));
    daemon.write("pointsman.yaml", &other());
    daemon.json(&["reload", "--confirm-within", "300ms"]);
    eventually("it is rolled back", || {
        daemon.log().contains("was not confirmed")
    });
    daemon.signal("HUP");
    eventually("the signal is answered", || {
        let log = daemon.log();
        let told = log.lines().find(|line| line.contains("not reloaded"));
        told.is_some_and(|line| line.contains("WARN") && line.contains("`pointsman reload`"))
    });
    assert_eq!(daemon.json(&["status"])["generation"], "3");
    assert_eq!(daemon.json(&["reload"])["generation"], "4");
    // Taken by hand it is as any other.
    daemon.signal("HUP");
    eventually("a signal reloads", || {
        daemon.json(&["status"])["generation"] == "5"
    });
}

#[test]
fn a_signal_opens_the_logs_again_and_reads_nothing() {
    let state = tempfile::tempdir().unwrap();
    let text = format!("{CONFIG}access_log: flows.log\n");
    let mut daemon = Daemon::start(&start(&text, state.path()));
    let origin = crate::origin::Http::start("origin");
    let at = |name: &str| daemon.directory.path().join(name);
    let lines = |name: &str| {
        let text = std::fs::read_to_string(at(name)).unwrap_or_default();
        text.lines().count()
    };
    assert_eq!(crate::tools::fetch(&daemon, &origin.url()), "200");
    eventually("the flow is logged", || lines("flows.log") == 1);
    std::fs::rename(at("flows.log"), at("flows.log.1")).unwrap();
    // Somebody is about to edit it.
    daemon.write("pointsman.yaml", &other());
    daemon.signal("USR1");
    eventually("there is a new log", || at("flows.log").exists());
    assert_eq!(crate::tools::fetch(&daemon, &origin.url()), "200");
    eventually("the flow is logged", || lines("flows.log") == 1);
    assert_eq!(lines("flows.log.1"), 1);
    assert_eq!(daemon.json(&["status"])["generation"], "1");
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(15)).success());
}

#[test]
fn what_root_writes_into_the_directory_of_another_is_that_ones() {
    use std::os::unix::fs::MetadataExt as _;
    const OTHER: u32 = 65534;
    fn all(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all(&path, found);
            }
            found.push(path);
        }
    }
    let state = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(state.path(), Some(OTHER), Some(OTHER)).unwrap();
    let text = CONFIG.replace(
        "outbounds:\n",
        "rule_sets:\n  l: { path: l.txt, format: domains }\noutbounds:\n  g: { type: select, members: [DIRECT, REJECT] }\n",
    );
    let text = text.replace("rules:\n", "rules:\n  - RULE-SET, l, g\n");
    let list: String = (0..100_000)
        .map(|number| format!("n{number}.test\n"))
        .collect();
    let mut start = start(&text, state.path());
    start.files.push(("l.txt", list));
    let mut daemon = Daemon::start(&start);
    daemon.json(&["outbounds", "select", "g", "REJECT"]);
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(15)).success());
    let mut found = Vec::new();
    all(state.path(), &mut found);
    let named = |name: &str| found.iter().any(|path| path.ends_with(name));
    for name in ["selections.json", "daemon.lock", "rule-sets"] {
        assert!(named(name), "{name}: {found:?}");
    }
    for path in &found {
        let meta = std::fs::metadata(path).unwrap();
        assert_eq!(
            (meta.uid(), meta.gid()),
            (OTHER, OTHER),
            "{}",
            path.display()
        );
    }
}

/// Root's hand left it so; the service's user has no right to it.
#[test]
fn a_copy_that_may_not_be_read_is_left_out() {
    let state = tempfile::tempdir().unwrap();
    let copy = state.path().join("rules-ads");
    std::fs::write(&copy, "ads.test\n").unwrap();
    std::os::unix::fs::chown(&copy, Some(65534), Some(65534)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&copy, mode).unwrap();
    let text = format!(
        "{CONFIG}rule_sets:\n  ads: {{ url: \"http://{}/\", format: domains }}\n",
        crate::origin::nobody()
    );
    let without = "setpriv --bounding-set=-dac_read_search,-dac_override";
    let daemon = Daemon::start(&Start {
        starter: without.split(' ').map(str::to_owned).collect(),
        ..start(&text, state.path())
    });
    let log = daemon.log();
    let told = log.lines().find(|line| line.contains("rules-ads"));
    let told = told.unwrap_or_else(|| panic!("{log}"));
    assert!(
        told.contains("WARN") && told.contains("Permission denied"),
        "{told}"
    );
}

/// A group went from `reset` to its first member without a word.
#[test]
fn a_saved_selection_that_there_is_nothing_for_is_told() {
    let config = CONFIG.replace(
        "rules:",
        "  way: { type: select, members: [wire, RESET] }\nrules:",
    );
    let state = tempfile::tempdir().unwrap();
    let keep = |text: &str| std::fs::write(state.path().join("selections.json"), text).unwrap();
    // One bit of each is another.
    keep(r#"{ "way": "RESEU" }"#);
    let daemon = Daemon::start(&start(&config, state.path()));
    let log = daemon.log();
    let told = "WARN pointsmand::app::lost: the saved selection `RESEU` of group `way` is ignored: it is no member, and its flows go to `wire`";
    assert!(log.contains(told), "{log}");
    drop(daemon);
    keep(r#"{ "wax": "RESET" }"#);
    let daemon = Daemon::start(&start(&config, state.path()));
    let log = daemon.log();
    let told = "WARN pointsmand::app::lost: the saved selection `RESET` of group `wax` is ignored: there is no such group";
    assert!(log.contains(told), "{log}");
    drop(daemon);
    keep(r#"{ "way": "RESET" }"#);
    let daemon = Daemon::start(&start(&config, state.path()));
    assert!(
        !daemon.log().contains("saved selection"),
        "{}",
        daemon.log()
    );
}

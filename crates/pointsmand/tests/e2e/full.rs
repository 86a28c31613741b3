//! A directory of state that cannot be written, for the disk is full or read-only, or that there is none.

use std::path::{Path, PathBuf};

use crate::daemon::{Daemon, Start, eventually};
use crate::lists::{Lists, code, config, generation, list};
use crate::origin::Http;

/// A full tmpfs stands where the state is.
const FULL: &str = "mount -t tmpfs -o size=64k,nr_inodes=64 none \"$0\"
    head -c 200000 /dev/zero > \"$0/filler\" 2> /dev/null
    exec \"$@\"";

/// One that nobody may write.
const READ_ONLY: &str = "mount -t tmpfs -o ro none \"$0\"
    exec \"$@\"";

/// A daemon that finds that mounted on `state`.
pub(crate) fn start(config: String, state: &Path, mount: &str) -> Daemon {
    let state = state.to_str().unwrap();
    let starter = ["unshare", "--mount", "sh", "-c", mount, state];
    Daemon::start(&Start {
        files: vec![("pointsman.yaml", config)],
        config: "pointsman.yaml",
        args: vec!["--state", state],
        starter: starter.map(str::to_owned).into(),
        ..Start::default()
    })
}

/// That path, as the daemon sees it.
pub(crate) fn seen(daemon: &Daemon, path: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), path.display()))
}

fn unwritten(daemon: &Daemon) -> String {
    list(daemon)["unwritten"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// It stayed empty, and what it refuses went through.
#[test]
fn a_list_that_cannot_be_written_serves_from_memory() {
    for (mount, why) in [
        (FULL, "No space left"),
        (READ_ONLY, "Read-only file system"),
    ] {
        let lists = Lists::serve("ads.test\n", "v1");
        let origin = Http::start("origin");
        let url = format!("http://{}/", lists.address);
        let state = tempfile::tempdir().unwrap();
        let text = config(&url, ", interval: 1s").replace("watch: true\n", "");
        let daemon = start(text, state.path(), mount);
        let refuses = |name: &str| code(&daemon, &origin, name) == "403";
        eventually("the list is in force", || refuses("ads.test"));
        eventually("it is told", || unwritten(&daemon).contains(why));
        let log = daemon.log();
        let told = "it serves from memory, and is gone when the daemon ends";
        assert!(log.contains(why) && log.contains(told), "{log}");
        assert_eq!(log.matches(told).count(), 1, "{log}");
        let status = daemon.client(&["status"]);
        let status = String::from_utf8(status.stdout).unwrap();
        assert!(
            status.contains("in memory until the daemon ends"),
            "{status}"
        );
        // What it says of entries it finds there, too.
        let why = daemon.json(&["explain", "--dst", "ads.test:1"]);
        assert_eq!(why["rule"]["entry"]["text"], "ads.test", "{why}");

        lists.change("other.test\n", "v2");
        eventually("the newer list is in force", || refuses("other.test"));
        // The server is gone, so whatever is in force comes from memory.
        lists.change("", "v3");
        let before = lists.asked();
        eventually("the server refuses", || lists.asked() > before);
        assert!(refuses("other.test") && !refuses("ads.test"));
        daemon.json(&["reload"]);
        assert_eq!(generation(&daemon), "2");
        assert!(refuses("other.test"));
        daemon.json(&["reload", "--confirm-within", "300ms"]);
        assert!(refuses("other.test"));
        eventually("it is rolled back", || generation(&daemon) == "4");
        assert!(refuses("other.test"));
        daemon.json(&["reload", "--confirm-within", "1m"]);
        daemon.client(&["reload", "--confirm"]);
        assert!(refuses("other.test"));
        daemon.json(&["reload"]);
        assert!(refuses("other.test"));
        assert!(!unwritten(&daemon).is_empty());
        assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    }
}

/// It stayed empty over all reloads, and was never asked for.
#[test]
fn without_a_directory_of_state_lists_serve_from_memory() {
    let lists = Lists::serve("ads.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/", lists.address);
    let text = config(&url, ", interval: 1s").replace("watch: true\n", "");
    let daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", text)],
        config: "pointsman.yaml",
        stateless: true,
        ..Start::default()
    });
    let refuses = |name: &str| code(&daemon, &origin, name) == "403";
    eventually("the list is in force", || refuses("ads.test"));
    let why = "there is no directory to keep it in; `--state` names one";
    eventually("it is told", || unwritten(&daemon) == why);
    let told = format!("its copy is not kept: {why}; it serves from memory");
    assert_eq!(daemon.log().matches(&told).count(), 1, "{}", daemon.log());
    lists.change("other.test\n", "v2");
    eventually("the newer list is in force", || refuses("other.test"));
    // The server is gone, so whatever is in force comes from memory.
    lists.change("", "v3");
    daemon.json(&["reload"]);
    assert_eq!(generation(&daemon), "2");
    assert!(refuses("other.test") && !refuses("ads.test"));
    let told = format!("{}{}", daemon.log(), daemon.json(&["status"]));
    assert!(!told.contains("/dev/"), "a place that is none: {told}");
}

#[test]
fn a_list_is_written_when_there_is_room_again() {
    let lists = Lists::serve("ads.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/", lists.address);
    let state = tempfile::tempdir().unwrap();
    let daemon = start(config(&url, ", interval: 1s"), state.path(), FULL);
    eventually("it is told", || !unwritten(&daemon).is_empty());
    let at = |name: &str| seen(&daemon, &state.path().join(name));
    std::fs::remove_file(at("filler")).unwrap();
    eventually("it is written", || {
        unwritten(&daemon).is_empty() && at("rules-ads.fetched").exists()
    });
    assert_eq!(std::fs::read(at("rules-ads")).unwrap(), b"ads.test\n");
    assert_eq!(code(&daemon, &origin, "ads.test"), "403");
    // It is the same list: nothing else came into force.
    assert_eq!(generation(&daemon), "1.1");
    assert!(
        daemon.log().contains("its copy is written to"),
        "{}",
        daemon.log()
    );
}

/// The answer had neither problems nor warnings, and the next daemon knew of no trial.
#[test]
fn a_trial_that_the_next_daemon_would_not_know_of_is_told() {
    let state = tempfile::tempdir().unwrap();
    let text = config("http://127.0.0.1:9/", "").replace("watch: true\n", "");
    for (mount, why) in [
        (FULL, "No space left"),
        (READ_ONLY, "Read-only file system"),
    ] {
        let daemon = start(text.clone(), state.path(), mount);
        let told = daemon.json(&["reload", "--confirm-within", "1m"]);
        let warning = told["warnings"][0].as_str().unwrap_or_default();
        assert!(warning.contains("is on trial cannot be kept"), "{told}");
        assert!(
            warning.contains(why) && warning.contains("rolled-back.json"),
            "{told}"
        );
        assert!(told["awaiting"].is_object(), "{told}");
        let confirmed = daemon.json(&["reload", "--confirm"]);
        assert!(
            confirmed["warnings"].is_null(),
            "nothing was written: {confirmed}"
        );
        let said = daemon.client(&["reload", "--confirm-within", "300ms"]);
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(
            said.contains("warning: that this configuration is on trial"),
            "{said}"
        );
        eventually("it is rolled back", || generation(&daemon) == "4");
    }
    let daemon = Daemon::native(&text);
    let told = daemon.json(&["reload", "--confirm-within", "1m"]);
    assert!(told["warnings"].is_null(), "{told}");
}

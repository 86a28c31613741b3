//! `watch: true`: what a configuration was read from, and what may become a part of it, reloads by itself.

use std::fs;
use std::path::PathBuf;

use crate::curl;
use crate::daemon::{Daemon, Start, eventually};
use crate::origin::Http;

const MAIN: &str = "version: 1\nwatch: true\ninclude: [\"rules/*.yaml\"]\n\
     inbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\nrules:\n  - FALLBACK, DIRECT\n";

fn rule(name: &str) -> String {
    format!("rules:\n  - DOMAIN, {name}, REJECT\n")
}

fn generation(daemon: &Daemon) -> String {
    let status = daemon.json(&["status"]);
    status["generation"].as_str().unwrap().to_owned()
}

/// Where a flow to that name would go.
fn way(daemon: &Daemon, name: &str) -> String {
    let told = daemon.json(&["explain", "--dst", &format!("{name}:1")]);
    told["decision"]["outbound"].as_str().unwrap().to_owned()
}

fn goes(daemon: &Daemon, name: &str, outbound: &str) {
    eventually(&format!("{name} goes {outbound}"), || {
        way(daemon, name) == outbound
    });
}

fn refused(daemon: &Daemon) -> u64 {
    daemon.json(&["diagnostics"])["reload_err"]
        .as_u64()
        .unwrap()
}

fn at(daemon: &Daemon, name: &str) -> PathBuf {
    daemon.directory.path().join(name)
}

fn started(files: &[(&'static str, String)]) -> Daemon {
    Daemon::start(&Start {
        files: files.to_vec(),
        config: "c/pointsman.yaml",
        ..Start::default()
    })
}

#[test]
fn files_that_begin_to_match_an_include_are_seen() {
    let daemon = started(&[("c/pointsman.yaml", MAIN.to_owned())]);
    // The folder comes, with a file in it.
    fs::create_dir(at(&daemon, "c/rules")).unwrap();
    fs::write(at(&daemon, "c/rules/a.yaml"), rule("a.test")).unwrap();
    goes(&daemon, "a.test", "REJECT");
    // A second one, moved there; an edit; one goes.
    daemon.write("b.yaml", &rule("b.test"));
    fs::rename(at(&daemon, "b.yaml"), at(&daemon, "c/rules/b.yaml")).unwrap();
    goes(&daemon, "b.test", "REJECT");
    fs::write(at(&daemon, "c/rules/b.yaml"), rule("c.test")).unwrap();
    goes(&daemon, "c.test", "REJECT");
    assert_eq!(way(&daemon, "b.test"), "DIRECT");
    fs::remove_file(at(&daemon, "c/rules/b.yaml")).unwrap();
    goes(&daemon, "c.test", "DIRECT");
    // The folder goes and comes anew: it is another one.
    fs::rename(at(&daemon, "c/rules"), at(&daemon, "c/old")).unwrap();
    goes(&daemon, "a.test", "DIRECT");
    fs::create_dir(at(&daemon, "c/rules")).unwrap();
    fs::write(at(&daemon, "c/rules/d.yaml"), rule("d.test")).unwrap();
    goes(&daemon, "d.test", "REJECT");
    fs::write(at(&daemon, "c/rules/d.yaml"), rule("e.test")).unwrap();
    goes(&daemon, "e.test", "REJECT");
    // What no pattern means changes nothing.
    let before = generation(&daemon);
    for name in [
        "c/rules/.d.yaml.swp",
        "c/rules/d.yaml~",
        "c/notes.txt",
        "c/old/a.yaml",
    ] {
        fs::write(at(&daemon, name), rule("x.test")).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(generation(&daemon), before);
    assert_eq!(refused(&daemon), 0);
}

#[test]
fn what_a_refused_reload_lacked_is_waited_for() {
    let daemon = started(&[("c/pointsman.yaml", MAIN.to_owned())]);
    // A file that is named and not there.
    let more = MAIN.replace("\"rules/*.yaml\"", "deep/er/late.yaml");
    fs::write(at(&daemon, "c/pointsman.yaml"), more).unwrap();
    eventually("it is refused", || refused(&daemon) == 1);
    fs::create_dir_all(at(&daemon, "c/deep/er")).unwrap();
    fs::write(at(&daemon, "c/deep/er/late.yaml"), rule("a.test")).unwrap();
    goes(&daemon, "a.test", "REJECT");
    // A test that fails, and is mended where it stands.
    fs::write(at(&daemon, "c/p.case"), "dst=a.test:1 => DIRECT\n").unwrap();
    let before = generation(&daemon);
    let then = refused(&daemon);
    fs::write(
        at(&daemon, "c/deep/er/late.yaml"),
        rule("b.test") + "  - DOMAIN, a.test, REJECT\n",
    )
    .unwrap();
    eventually("it is refused again", || refused(&daemon) > then);
    assert_eq!(generation(&daemon), before);
    fs::write(at(&daemon, "c/p.case"), "dst=a.test:1 => REJECT\n").unwrap();
    goes(&daemon, "b.test", "REJECT");
}

#[test]
fn a_log_beside_the_configuration_holds_nothing_up() {
    let text = |last: &str| {
        MAIN.replace("watch: true\n", "watch: true\naccess_log: access.log\n")
            .replace("include: [\"rules/*.yaml\"]\n", "")
            .replace("DIRECT", last)
    };
    let daemon = started(&[("c/pointsman.yaml", text("DIRECT"))]);
    assert!(at(&daemon, "c/access.log").exists());
    let origin = Http::start("origin");
    let proxy = format!("http://{}", daemon.address("desk"));
    let (written, ended) = (
        at(&daemon, "c/pointsman.yaml"),
        std::sync::atomic::AtomicBool::new(false),
    );
    std::thread::scope(|scope| {
        // A line every few milliseconds.
        let busy = scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let _refused_later =
                    curl(&["--proxy", &proxy, "--output", "/dev/null", &origin.url()]);
            }
        });
        fs::write(written, text("REJECT")).unwrap();
        goes(&daemon, "a.test", "REJECT");
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        busy.join().unwrap();
    });
    assert_eq!(generation(&daemon), "2");
}

#[test]
fn watching_begins_with_a_reload() {
    let off = MAIN.replace("watch: true", "watch: false");
    let daemon = started(&[("c/pointsman.yaml", off.clone())]);
    fs::write(at(&daemon, "c/pointsman.yaml"), MAIN).unwrap();
    daemon.signal("HUP");
    eventually("it is reloaded", || generation(&daemon) == "2");
    fs::create_dir(at(&daemon, "c/rules")).unwrap();
    fs::write(at(&daemon, "c/rules/a.yaml"), rule("a.test")).unwrap();
    goes(&daemon, "a.test", "REJECT");
    // And ends with one.
    let before = generation(&daemon);
    fs::write(at(&daemon, "c/pointsman.yaml"), off).unwrap();
    eventually("it is off", || generation(&daemon) != before);
    let before = generation(&daemon);
    fs::write(at(&daemon, "c/rules/a.yaml"), rule("z.test")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(generation(&daemon), before);
}

#[test]
fn a_file_behind_a_link_is_seen() {
    let daemon = started(&[
        ("one/pointsman.yaml", MAIN.to_owned()),
        ("c/pointsman.yaml", MAIN.to_owned()),
    ]);
    // As orchestrators mount files: a link to a link to a directory of this version.
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, at(&daemon, "c/new")).unwrap();
        fs::rename(at(&daemon, "c/new"), at(&daemon, name)).unwrap();
    };
    link("../one", "c/data");
    link("data/pointsman.yaml", "c/pointsman.yaml");
    eventually("the link is seen", || generation(&daemon) == "2");
    let rejecting = MAIN.replace("DIRECT", "REJECT");
    fs::write(at(&daemon, "one/pointsman.yaml"), &rejecting).unwrap();
    goes(&daemon, "a.test", "REJECT");
    fs::create_dir(at(&daemon, "two")).unwrap();
    fs::write(at(&daemon, "two/pointsman.yaml"), MAIN).unwrap();
    link("../two", "c/data");
    fs::remove_dir_all(at(&daemon, "one")).unwrap();
    goes(&daemon, "a.test", "DIRECT");
}

#[test]
fn a_change_during_a_trial_is_read_after_it() {
    let daemon = started(&[
        ("c/pointsman.yaml", MAIN.to_owned()),
        ("c/rules/z.yaml", rule("z.test")),
    ]);
    let tried = daemon.client(&["reload", "--confirm-within", "60s"]);
    assert!(tried.status.success(), "{tried:?}");
    fs::write(at(&daemon, "c/rules/a.yaml"), rule("a.test")).unwrap();
    eventually("it is refused", || refused(&daemon) > 0);
    assert_eq!(way(&daemon, "a.test"), "DIRECT");
    assert!(daemon.client(&["reload", "--confirm"]).status.success());
    goes(&daemon, "a.test", "REJECT");
}

#[test]
fn what_was_watched_before_a_trial_is_watched_after_its_roll_back() {
    let begun = || {
        let daemon = started(&[
            ("c/pointsman.yaml", MAIN.to_owned()),
            ("c/rules/a.yaml", rule("a.test")),
        ]);
        // A trial that watches nothing and reads one file.
        let trial = MAIN.replace("include: [\"rules/*.yaml\"]\n", "");
        let trial = trial.replace("watch: true\n", "");
        fs::write(at(&daemon, "c/pointsman.yaml"), trial).unwrap();
        let tried = daemon.json(&["reload", "--confirm-within", "1s"]);
        // Else the change was heard of, and in force, before it was asked for.
        (tried["awaiting"]["earlier"] == "1").then_some(daemon)
    };
    let daemon = (0..10)
        .find_map(|_| begun())
        .expect("a trial of the change");
    eventually("it is rolled back", || {
        daemon.log().contains("was not confirmed")
    });
    goes(&daemon, "a.test", "REJECT");
    fs::write(at(&daemon, "c/pointsman.yaml"), MAIN).unwrap();
    fs::write(at(&daemon, "c/rules/a.yaml"), rule("z.test")).unwrap();
    goes(&daemon, "z.test", "REJECT");
}

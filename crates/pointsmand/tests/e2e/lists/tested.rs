//! Fetched lists, and tests of the policy that look into them.

use super::*;

#[test]
fn a_test_of_a_list_does_not_keep_the_daemon_from_fetching_it() {
    let lists = Lists::serve("ads.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/ads.txt", lists.address);
    let tests = "tests:\n  - { flow: \"ads.test:1\", expect: REJECT }\n";
    let daemon = Daemon::native(&(config(&url, "") + tests));
    eventually("the list is in force", || {
        code(&daemon, &origin, "ads.test") == "403"
    });
    // Now it is told, and a policy that fails it is refused with the test's place.
    daemon.write(
        "pointsman.yaml",
        &(config(&url, "")
            + &tests
                .replace("REJECT", "DIRECT")
                .replace("ads.test", "x.ads.test")),
    );
    let refused = daemon.client(&["reload", "--format", "json"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let refused: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(refused["problems"][0]["code"], "test-failed", "{refused}");
}

/// The flow of the test is refused as long as the list names it.
fn tested(url: &str, more: &str) -> String {
    config(url, more) + "tests:\n  - { flow: \"ads.test:1\", expect: REJECT }\n"
}

fn failing(daemon: &Daemon) -> usize {
    let status = daemon.json(&["status"]);
    status["failing_tests"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_list_that_breaks_a_test_goes_in_and_is_told_until_it_is_mended() {
    let lists = Lists::serve("ads.test\n", "v1");
    let origin = Http::start("origin");
    let url = format!("http://{}/ads.txt", lists.address);
    let daemon = Daemon::native(&tested(&url, ", interval: 1s"));
    eventually("the list is in force", || {
        code(&daemon, &origin, "ads.test") == "403"
    });
    assert_eq!(failing(&daemon), 0);

    lists.change("other.test\n", "v2");
    eventually("the test fails", || failing(&daemon) == 1);
    assert_eq!(daemon.json(&["diagnostics"])["tests_failing"], 1);
    assert_eq!(
        code(&daemon, &origin, "other.test"),
        "403",
        "it is in force"
    );
    let test = daemon.json(&["status"])["failing_tests"][0].clone();
    assert_eq!(
        (&test["flow"], &test["got"], &test["lists"][0]),
        (&"ads.test:1".into(), &"DIRECT".into(), &"ads".into())
    );
    let told = daemon.client(&["status"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.contains("warning: the policy's own test `ads.test:1 => REJECT` (pointsman.yaml:"),
        "{told}"
    );
    let log = daemon.log();
    assert!(
        log.contains("WARN") && log.contains("the policy's own test `ads.test:1 => REJECT`"),
        "{log}"
    );

    // A reload makes nothing worse by what fails already; by anything else it is refused.
    let reload = daemon.json(&["reload"]);
    assert_eq!(reload["problems"][0]["code"], "test-unmet", "{reload}");
    assert_eq!(failing(&daemon), 1);
    let worse = "  - { flow: \"x.other.test:1\", expect: DIRECT }\n";
    daemon.write("pointsman.yaml", &(tested(&url, ", interval: 1s") + worse));
    let refused = daemon.client(&["reload"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    daemon.write("pointsman.yaml", &tested(&url, ", interval: 1s"));

    lists.change("ads.test\n", "v3");
    eventually("the test comes out again", || failing(&daemon) == 0);
    daemon.json(&["reload"]);
    assert_eq!(failing(&daemon), 0);
}

#[test]
fn a_test_that_looked_into_no_fetched_list_refuses_the_start() {
    let url = "http://127.0.0.1:9/";
    let text = config(url, "").replace("rules:\n", "rules:\n  - DOMAIN, early.test, DIRECT\n")
        + "tests:\n  - { flow: \"early.test:1\", expect: REJECT }\n";
    let refused = Daemon::try_start(&Start {
        files: vec![("pointsman.yaml", text)],
        config: "pointsman.yaml",
        ..Start::default()
    });
    let Err((status, log)) = refused else {
        panic!("it started")
    };
    assert_eq!(status.code(), Some(78), "{log}");
}

#[test]
fn a_bad_copy_keeps_no_daemon_from_starting_and_is_fetched_again_at_once() {
    let lists = Lists::serve("other.test\n", "v2");
    let origin = Http::start("origin");
    let url = format!("http://{}/ads.txt", lists.address);
    let state = tempfile::tempdir().unwrap();
    let start = || {
        Daemon::start(&Start {
            // A day is not over.
            files: vec![("pointsman.yaml", tested(&url, ", interval: 1d"))],
            config: "pointsman.yaml",
            args: vec!["--state", state.path().to_str().unwrap()],
            ..Start::default()
        })
    };
    let mut daemon = start();
    eventually("the list is in force", || failing(&daemon) == 1);
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());

    let daemon = start();
    let log = daemon.log();
    assert!(
        log.contains("test-unmet") && log.contains("as it was fetched at 20"),
        "{log}"
    );
    eventually("it is asked again", || lists.asked() == 2);
    assert_eq!(failing(&daemon), 1);
    // The server mends it; a reload asks for it.
    lists.change("ads.test\n", "v3");
    daemon.json(&["reload"]);
    eventually("it is mended", || failing(&daemon) == 0);
    assert_eq!(code(&daemon, &origin, "ads.test"), "403");
}

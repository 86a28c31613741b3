//! ICMP errors that nobody had cause to send: only one that fits a flow ends it, and that one alone.

use super::*;
use crate::daemon::Start;
use crate::namespace::Namespace;

#[test]
fn an_error_ends_the_flow_that_it_fits_and_no_other() {
    let home = Namespace::new("forged");
    let daemon = Daemon::start(&Start {
        files: vec![(
            "pointsman.yaml",
            format!("{MIXED}access_log: flows.log\nrules:\n  - FALLBACK, DIRECT\n"),
        )],
        config: "pointsman.yaml",
        namespace: Some(&home.name),
        ..Start::default()
    });
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let desk = daemon.address("desk").port().to_string();
    let output = home
        .command("python3")
        .arg(here.join("tests/e2e/datagrams/forged.py"))
        .arg(desk)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said,
        "ready\n\
         no flow goes there: [True, True]\n\
         another port of its server: [True, True]\n\
         where the other's flow goes: [True, True]\n\
         by the other's socket: [True, True]\n\
         to the client, who is there: [True, True]\n\
         of a socket that is not ours: [True, True]\n\
         too long for the path: [True, True]\n\
         a detour's end: [True, True]\n\
         cut short: [True, True]\n\
         the answered flow's own: [False, True]\n",
        "{output:?}"
    );
    let log = daemon.directory.path().join("flows.log");
    let ended = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines = text.lines().filter_map(|it| serde_json::from_str(it).ok());
        lines
            .filter(|it: &serde_json::Value| it["network"] == "udp")
            .collect()
    };
    eventually("all have ended", || ended().len() == 3);
    let mut failed = ended();
    failed.retain(|it| it["ended"] == "failed");
    assert_eq!(failed.len(), 1, "{failed:?}");
    let why = failed[0]["error"].as_str().unwrap();
    assert!(why.contains("nobody listens there (ICMP)"), "{why}");
    // All that was said by the first flow, before the error that fits it, went by it.
    assert_eq!(failed[0]["bytes_sent"], 5 * 10, "{failed:?}");
}

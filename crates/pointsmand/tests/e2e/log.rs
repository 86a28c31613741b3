//! The daemon's log: where somebody looks first when something fails.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::client::connect;
use crate::curl;
use crate::daemon::{Daemon, Start, eventually};
use crate::origin::{Http, nobody};
use crate::upstream::scripted;

const PASSWORD: &str = "hunter2-secret";

/// A daemon whose `dead` is a proxy at which nobody listens, with these arguments and lines of configuration.
fn daemon(dead: SocketAddr, args: Vec<&str>, more: &str) -> Daemon {
    let text = format!(
        "version: 1\n{more}inbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
         outbounds:\n  dead: {{ type: http, server: \"{dead}\", username: bob, password: {PASSWORD} }}\n\
         dns: {{ upstreams: {{ none: \"udp://127.0.0.1:9\" }} }}\n\
         rules:\n  - DOMAIN, dead.test, dead\n  - DOMAIN, refused.test, REJECT\n  - FALLBACK, DIRECT\n"
    );
    Daemon::start(&Start {
        files: vec![("pointsman.yaml", text)],
        config: "pointsman.yaml",
        args,
        ..Start::default()
    })
}

fn get(daemon: &Daemon, url: &str) {
    let proxy = format!("http://{}", daemon.address("desk"));
    curl(&["--proxy", &proxy, url]);
}

/// The first line that has all of these, once there is one.
fn line(daemon: &Daemon, words: &[&str]) -> String {
    let mut found = String::new();
    eventually(&format!("a line with {words:?}"), || {
        let log = daemon.log();
        let line = log
            .lines()
            .find(|line| words.iter().all(|word| line.contains(word)));
        found = line.unwrap_or_default().to_owned();
        line.is_some()
    });
    found
}

/// The objects of a log in JSON that have `key`.
fn objects(log: &str, key: &str) -> Vec<Value> {
    let all = log.lines().map(|line| {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        read
    });
    all.filter(|it| !it["fields"][key].is_null()).collect()
}

#[test]
fn a_flow_that_fails_is_a_line_that_says_which_where_and_why() {
    let dead = nobody();
    let told = daemon(dead, Vec::new(), "");
    get(&told, "http://dead.test/");
    let failed = line(&told, &["WARN", "flow failed", "flow=1 "]);
    let why = format!("could not connect: {dead}: Connection refused");
    for word in [
        "inbound=\"desk\"",
        "destination=\"dead.test:80\"",
        "outbound=\"dead\"",
        "reason=\"connection-refused\"",
        &why,
    ] {
        assert!(failed.contains(word), "{word}: {failed}");
    }
    // A name that nobody resolves, and a target that resets.
    get(&told, "http://nowhere.test/");
    line(
        &told,
        &["WARN", "nowhere.test:80", "reason=\"not-resolved\""],
    );
    let resets = scripted(&[]);
    let mut client = connect(told.address("desk"));
    let head = format!("CONNECT {resets} HTTP/1.1\r\nHost: {resets}\r\n\r\n");
    client.write_all(head.as_bytes()).unwrap();
    let _ends = client.read(&mut [0; 100]);
    // Refusals are told to those who want them.
    get(&told, "http://refused.test/");
    line(&told, &["WARN", "nowhere.test"]);
    assert!(!told.log().contains("refused.test"), "{}", told.log());
    assert!(!told.log().contains(PASSWORD), "{}", told.log());
}

#[test]
fn refusals_are_told_where_debug_is_asked_for() {
    let wanted = daemon(nobody(), vec!["--log-level", "debug"], "");
    get(&wanted, "http://refused.test/");
    let refused = line(&wanted, &["DEBUG", "flow refused", "refused.test:80"]);
    for word in ["reason=\"rule\"", "outbound=\"REJECT\"", "pointsman.yaml:"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    let mut client = connect(wanted.address("desk"));
    client.write_all(b"\x05\x01\x02").unwrap();
    drop(client);
}

#[test]
fn a_flood_is_ten_lines_and_a_count() {
    let told = daemon(nobody(), Vec::new(), "");
    for _ in 0..3 {
        // One curl, ten requests: all within a second.
        let urls = ["http://dead.test/"; 10];
        let proxy = format!("http://{}", told.address("desk"));
        curl(&[&["--proxy", proxy.as_str()][..], &urls].concat());
    }
    get(&told, "http://nowhere.test/");
    line(&told, &["nowhere.test"]);
    let counted = line(
        &told,
        &["WARN", "more flows failed alike", "outbound=\"dead\""],
    );
    let log = told.log();
    let told_one_by_one = log
        .lines()
        .filter(|line| line.contains("dead.test"))
        .count();
    let counts = log.lines().filter_map(|line| line.split("count=").nth(1));
    let counts = counts.map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(
        told_one_by_one + counts.sum::<usize>(),
        30,
        "{counted}\n{log}"
    );
    assert!((10..=20).contains(&told_one_by_one), "{log}");
}

#[test]
fn a_redacted_log_names_no_destination() {
    let dead = nobody();
    let redacts = daemon(
        dead,
        vec!["--log-level", "debug"],
        "history: { redact: true }\n",
    );
    get(&redacts, "http://dead.test/");
    get(&redacts, "http://nowhere.test/");
    get(&redacts, "http://refused.test/");
    line(&redacts, &["flow failed", "connection-refused"]);
    line(&redacts, &["flow failed", "not-resolved"]);
    line(&redacts, &["flow refused", "rule"]);
    let log = redacts.log();
    let flows = log.lines().filter(|line| line.contains("pointsman::flow"));
    for line in flows {
        // The rule is named, and with it what it says; what the flow brought is not.
        let line = line.split("rule=\"").next().unwrap();
        for word in [".test", "127.0.0.1", &dead.to_string()] {
            assert!(!line.contains(word), "{word}: {line}");
        }
    }
}

#[test]
fn programs_get_the_parts_as_fields() {
    let dead = nobody();
    let json = daemon(dead, Vec::new(), "log: { format: json }\n");
    get(&json, "http://dead.test/");
    let mut flows = Vec::new();
    eventually("the flow is told", || {
        flows = objects(&json.log(), "flow");
        !flows.is_empty()
    });
    let flow = &flows[0];
    assert_eq!(flow["level"], "WARN");
    let fields = &flow["fields"];
    assert_eq!(fields["flow"], 1);
    assert_eq!(fields["destination"], "dead.test:80");
    assert_eq!(fields["outbound"], "dead");
    assert_eq!(fields["reason"], "connection-refused");
    // A reload that is refused, and one with a warning that takes.
    let path = json.directory.path().join("pointsman.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    json.write("pointsman.yaml", &format!("{good}nonsense: 1\n"));
    json.signal("HUP");
    eventually("the reload is refused", || {
        json.log().contains("nothing changed")
    });
    let problems = objects(&json.log(), "code");
    let unknown = problems
        .iter()
        .find(|it| it["fields"]["code"] == "unknown-key");
    let unknown = &unknown.unwrap_or_else(|| panic!("{problems:?}"))["fields"];
    let lines = good.lines().count() + 1;
    assert_eq!(
        (&unknown["line"], &unknown["column"]),
        (&lines.into(), &1.into())
    );
    assert_eq!(unknown["file"], "pointsman.yaml");
    json.write("pointsman.yaml", &good);
    json.signal("HUP");
    eventually("the reload takes, and its warning is told", || {
        let log = json.log();
        let after = log.split_once("\"reloaded\"").map(|(_, after)| after);
        after.is_some_and(|log| log.contains("guard-by-endpoint"))
    });
}

#[test]
fn a_start_that_fails_is_told_to_programs_too() {
    let start = |args, config: &str| {
        Daemon::try_start(&Start {
            files: vec![("pointsman.yaml", config.to_owned())],
            config: "pointsman.yaml",
            args,
            ..Start::default()
        })
    };
    let Err((status, log)) = start(vec!["--log-format", "json"], "version: 1\nnonsense: 1\n")
    else {
        panic!("it started");
    };
    assert_eq!(status.code(), Some(78));
    let problems = objects(&log, "code");
    assert_eq!(problems[0]["level"], "ERROR");
    assert_eq!(problems[0]["fields"]["line"], 2);
    // An address in use.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let config = format!(
        "version: 1\ninbounds: {{ desk: {{ type: mixed, listen: \"{at}\" }} }}\npolicy: |\n  direct\n"
    );
    let Err((status, log)) = start(vec!["--log-format", "json"], &config) else {
        panic!("it started");
    };
    assert_eq!(status.code(), Some(1));
    let errors = objects(&log, "message");
    let error = errors.iter().find(|it| it["level"] == "ERROR").unwrap();
    let message = error["fields"]["message"].as_str().unwrap();
    assert!(message.contains(&at.to_string()), "{message}");
    assert!(
        message.contains("another program listens there"),
        "{message}"
    );
}

/// A full disk, or a reader that is gone: nothing but lines is lost.
#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let config = |outbound: &str| {
        format!(
            "version: 1\nlog: {{ level: debug }}\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
             rules:\n  - DOMAIN, a.test, {outbound}\n  - FALLBACK, DIRECT\n"
        )
    };
    let starter = ["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"].map(str::to_owned);
    let mut daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", config("REJECT"))],
        config: "pointsman.yaml",
        starter: starter.to_vec(),
        ..Start::default()
    });
    let path = daemon.directory.path().join("pointsman.yaml");
    std::fs::write(path, config("RESET")).unwrap();
    let reloaded = daemon.client(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}");
    let explained = daemon.json(&["explain", "a.test:80"]);
    assert_eq!(explained["decision"]["outbound"], "RESET", "{explained}");
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(20)).code(), Some(0));
}

/// Messages of rules are lines that a client makes, with its words in them.
#[test]
fn messages_of_rules_are_limited_and_hidden_like_all_else() {
    for redact in [false, true] {
        let daemon = Daemon::native(&format!(
            "version: 1\nhistory: {{ redact: {redact} }}\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
             rules:\n  - .INSTRUMENT: {{ id: 7, matches: ALWAYS, message: 'to {{addr.dst}}' }}\n  - FALLBACK, RESET\n"
        ));
        for _ in 0..60 {
            get(&daemon, "http://secret.test/");
        }
        eventually("the rest is counted", || {
            daemon
                .log()
                .contains("more messages of rules are not listed")
        });
        let log = daemon.log();
        let lines = log.lines().filter(|line| line.contains(" id=7"));
        // Ten a second, of a few seconds at most, and their counts.
        let listed = lines.filter(|line| !line.contains("count=")).count();
        assert!((10..=50).contains(&listed), "{listed}: {log}");
        assert_eq!(log.contains("secret.test"), !redact, "{log}");
    }
}

/// A forward that serves by its second target: people look into the log to learn that the first is dead.
#[test]
fn a_target_that_fails_before_another_serves_is_a_line() {
    let (dead, alive) = (nobody(), Http::start("alive"));
    let daemon = Daemon::native(&format!(
        "version: 1\nforwards:\n  web:\n    listen: \"tcp://127.0.0.1:0\"\n    balance: failover\n    targets:\n      \
         - {{ name: first, address: \"tcp://{dead}\" }}\n      - {{ name: second, address: \"tcp://{}\" }}\n",
        alive.address
    ));
    let url = format!("http://{}/", daemon.address("web"));
    assert_eq!(curl(&[&url]).1, 0);
    eventually("the first target is told of", || {
        let log = daemon.log();
        let line = log.lines().find(|line| line.contains("target failed"));
        line.is_some_and(|line| {
            line.contains(" WARN ")
                && line.contains("outbound=\"web\" member=\"first\" reason=\"connection-refused\"")
        })
    });
}

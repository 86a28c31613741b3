//! What another configuration would do, and the way back from one: replay, plan, confirmation.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::curl;
use crate::daemon::{Daemon, Running, Start, client_path, eventually};
use crate::origin::{Http, echo};

/// One inbound and these rules; names ending in `.test` are the origin's.
pub(crate) fn rules(rules: &str) -> String {
    let lines: String = rules
        .lines()
        .map(|line| format!("  - {}\n", line.trim()))
        .collect();
    format!(
        "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
         outbounds:\n  other: {{ type: direct }}\nrules:\n{lines}"
    )
}

/// Asks for a plain URL by the daemon; the status.
pub(crate) fn fetch(daemon: &Daemon, url: &str) -> String {
    let proxy = format!("http://{}", daemon.address("desk"));
    let words = [
        "--proxy",
        &proxy,
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        url,
    ];
    curl(&words).0
}

/// Waits until so many flows have ended.
pub(crate) fn ended(daemon: &Daemon, count: usize) {
    eventually("flows end", || {
        let list = daemon.json(&["flows", "list", "--recent"]);
        let flows = list["flows"].as_array().unwrap();
        flows
            .iter()
            .filter(|flow| flow["ended"].is_string())
            .count()
            == count
    });
}

/// A tunnel by CONNECT.
pub(crate) fn connect(daemon: &Daemon, to: &str) -> TcpStream {
    let mut client = crate::client::connect(daemon.address("desk"));
    write!(client, "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    let count = client.read(&mut answer).unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
    client
}

/// A reader of a stream, whose words go to a file.
pub(crate) struct Reader {
    _running: Running,
    file: PathBuf,
}

impl Reader {
    /// By curl, from the control socket; returns once it listens.
    pub(crate) fn curl(daemon: &Daemon, path: &str) -> Self {
        let mut command = Command::new("curl");
        command.args(["--silent", "--no-buffer", "--unix-socket"]);
        command.arg(daemon.control());
        command.arg(format!("http://daemon{path}"));
        let reader = Self::start(daemon, command);
        eventually("the stream begins", || {
            reader.text().contains(": listening")
        });
        reader
    }

    /// By the client, whose first words cannot be waited for.
    pub(crate) fn client(daemon: &Daemon, words: &[&str]) -> Self {
        let mut command = Command::new(client_path());
        command.arg("--control").arg(daemon.control()).args(words);
        Self::start(daemon, command)
    }

    fn start(daemon: &Daemon, command: Command) -> Self {
        let (file, _) = tempfile::NamedTempFile::new_in(daemon.directory.path())
            .unwrap()
            .keep()
            .map(|(_, path)| (path, ()))
            .unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "out=$1; shift; exec \"$@\" > \"$out\"", "sh"]);
        shell.arg(&file).arg(command.get_program());
        shell.args(command.get_args());
        Self {
            _running: Running::start(shell),
            file,
        }
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    /// Waits for these words.
    pub(crate) fn hears(&self, words: &str) {
        eventually(words, || self.text().contains(words));
    }
}

#[test]
fn a_candidate_is_tried_with_the_flows_of_lately() {
    let before = "DST-PORT, 1, REJECT\nFALLBACK, DIRECT";
    let daemon = Daemon::native(&rules(before));
    let (one, two) = (Http::start("one"), Http::start("two"));
    for url in [one.url(), one.url(), two.url()] {
        assert_eq!(fetch(&daemon, &url), "200");
    }
    ended(&daemon, 3);
    let moved = rules(&format!(
        "DST-PORT, {}, other\nDST-PORT, 1, REJECT\nFALLBACK, DIRECT",
        one.address.port()
    ));
    daemon.write("candidate.yaml", &moved);
    let candidate = daemon.directory.path().join("candidate.yaml");
    let candidate = candidate.to_str().unwrap();
    let replay =
        |words: &[&str]| daemon.json(&[&["replay", "--config", candidate], words].concat());
    let told = replay(&[]);
    let numbers = |told: &Value| {
        ["flows", "same", "by_another_rule", "moved"].map(|key| told[key].as_u64().unwrap())
    };
    assert_eq!(numbers(&told), [3, 1, 0, 2], "{told}");
    let group = &told["groups"][0];
    assert_eq!(group["flows"], 2);
    assert_eq!(group["from"]["outbound"], "DIRECT");
    assert_eq!(group["to"]["outbound"], "other");
    assert_eq!(group["old_rule"]["text"], "FALLBACK, DIRECT");
    assert_eq!(group["new_rule"]["line"], 7);
    let new_reason = group["new_reason"].as_str().unwrap();
    assert!(
        new_reason.contains(&one.address.port().to_string()),
        "{told}"
    );
    assert_eq!(group["examples"][0]["id"], 1);
    assert_eq!(group["examples"][0]["destination"], one.address.to_string());
    assert_eq!(numbers(&replay(&["--last", "1"])), [1, 1, 0, 0]);
    // Without names and addresses where asked.
    let redacted = replay(&["--redact"]);
    assert_eq!(
        redacted["groups"][0]["examples"][0]["destination"],
        Value::Null
    );
    let text = redacted.to_string();
    assert!(!text.contains("127.0.0.1"), "{text}");
    // What was never learned is counted, not guessed.
    daemon.write(
        "candidate.yaml",
        &rules("PROCESS-NAME, curl, other\nFALLBACK, DIRECT"),
    );
    let told = replay(&[]);
    assert_eq!(told["untold"][0]["fact"], "owner", "{told}");
    assert_eq!(told["untold"][0]["flows"], 3);
    // An inbound that would be gone.
    daemon.write("candidate.yaml", &moved.replace("desk:", "table:"));
    assert_eq!(replay(&[])["gone"][0]["inbound"], "desk");
    let output = daemon.client(&["replay", "--config", candidate]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("3 flows came in by `desk`"));
    // A candidate with errors.
    daemon.write("candidate.yaml", &rules("FALLBACK, NOWHERE"));
    let refused = daemon.client(&["replay", "--config", candidate]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("candidate.yaml:7:"));
    assert_eq!(daemon.json(&["status"])["generation"], "1");
}

#[test]
fn flows_of_forwards_and_trees_are_replayed() {
    let echo = echo();
    let text = |target: &str, tree: &str| {
        format!(
            "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
             forwards:\n  gate: {{ listen: [\"tcp://127.0.0.1:0\"], targets: [{{ name: {target}, address: \"tcp://{echo}\" }}] }}\n\
             policy: |\n  any [\n    {tree}\n    direct\n  ]\n"
        )
    };
    let daemon = Daemon::native(&text("old", "cond port eq 1 => reset"));
    let mut gate = crate::client::connect(daemon.address("gate"));
    assert!(crate::client::echoes(&mut gate, "there"));
    drop(gate);
    drop(connect(&daemon, &echo.to_string()));
    ended(&daemon, 2);
    let tree = format!("cond port eq {} => reset", echo.port());
    daemon.write("pointsman.yaml", &text("new", &tree));
    let told = daemon.json(&["reload", "--plan"]);
    let groups = told["plan"]["groups"].as_array().unwrap();
    let ways = |group: &Value| {
        let way = |end: &str| {
            let way = &group[end];
            format!("{} {}", way["outbound"], way["member"]).replace('"', "")
        };
        (way("from"), way("to"))
    };
    let moved: Vec<(String, String)> = groups.iter().map(ways).collect();
    let expected = [("gate old", "gate new"), ("direct null", "reset null")];
    let expected = expected.map(|(from, to)| (from.to_owned(), to.to_owned()));
    assert_eq!(moved, expected, "{told}");
}

#[test]
fn another_server_of_the_same_name_is_another_way() {
    let text = |office: &str, link: &str| {
        rules("DST-PORT, 1, office\nDST-PORT, 2, both\nDST-PORT, 3, pick\nFALLBACK, DIRECT").replace(
            "  other: { type: direct }",
            &format!(
                "  office: {{ type: {office} }}\n  both: {{ type: chain, hops: [near, office] }}\n\
                 \x20 near: {{ type: direct{link} }}\n  pick: {{ type: select, members: [office, DIRECT] }}"
            ),
        )
    };
    let proxy = |kind: &str, port: u16, password: &str| {
        format!("{kind}, server: \"127.0.0.1:{port}\", username: me, password: {password}")
    };
    let before = text(&proxy("socks5", 9, "hunter2"), "");
    let daemon = Daemon::native(&before);
    for port in [1, 2, 3, 4] {
        // Nobody is there, which is no matter: each was decided.
        fetch(&daemon, &format!("http://127.0.0.1:{port}/"));
    }
    ended(&daemon, 4);
    let told = |candidate: &str, words: &[&str]| {
        daemon.write("pointsman.yaml", candidate);
        let told = daemon.json(&[&["reload", "--plan"], words].concat());
        let text = told.to_string();
        assert!(
            !text.contains("hunter") && !text.contains("sesame"),
            "{text}"
        );
        let groups = told["plan"]["groups"].as_array().unwrap().clone();
        let group = |group: &Value| {
            let other = &group["other_server"];
            format!(
                "{} {}: {} -> {}",
                group["to"]["outbound"], group["to"]["member"], other["from"], other["to"]
            ) + if other["other_login"] == true {
                ", login"
            } else {
                ""
            }
        };
        let mut groups: Vec<String> = groups.iter().map(group).collect();
        groups.sort();
        groups.join("\n").replace('"', "")
    };
    assert_eq!(told(&before, &[]), "");
    assert_eq!(
        told(&text(&proxy("http", 8, "hunter2"), ""), &[]),
        "both null: direct > socks5 127.0.0.1:9 -> direct > http 127.0.0.1:8\n\
         office null: socks5 127.0.0.1:9 -> http 127.0.0.1:8\n\
         pick office: socks5 127.0.0.1:9 -> http 127.0.0.1:8"
    );
    let said = daemon.client(&["reload", "--plan"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("same outbound, other server: socks5 127.0.0.1:9 -> http 127.0.0.1:8"),
        "{said}"
    );
    assert_eq!(
        told(&text(&proxy("socks5", 9, "hunter2"), ", mark: 7"), &[]),
        "both null: direct > socks5 127.0.0.1:9 -> direct with mark 7 > socks5 127.0.0.1:9"
    );
    let login = text(&proxy("socks5", 9, "sesame"), "");
    assert_eq!(
        told(&login, &[]).lines().nth(1).unwrap(),
        "office null: socks5 127.0.0.1:9 -> socks5 127.0.0.1:9, login"
    );
    assert_eq!(
        told(&login, &["--redact"]).lines().nth(1).unwrap(),
        "office null: null -> null, login"
    );
    let said = daemon.client(&["reload", "--plan", "--redact"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("same outbound, other login\n"), "{said}");
}

#[test]
fn a_plan_changes_nothing() {
    let daemon = Daemon::native(&rules("FALLBACK, DIRECT"));
    let origin = Http::start("origin");
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 1);
    daemon.write("pointsman.yaml", &rules("FALLBACK, REJECT"));
    let told = daemon.json(&["reload", "--plan"]);
    assert_eq!(
        (&told["applied"], &told["generation"]),
        (&false.into(), &"1".into())
    );
    assert_eq!(
        told["plan"]["groups"][0]["to"]["action"], "reject",
        "{told}"
    );
    let said = daemon.client(&["reload", "--plan"]);
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("1 flow: DIRECT -> REJECT"), "{said}");
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    daemon.write("pointsman.yaml", &rules("FALLBACK, NOWHERE"));
    assert_eq!(daemon.client(&["reload", "--plan"]).status.code(), Some(4));
    // The configuration may say that nobody hears where flows went.
    daemon.write(
        "pointsman.yaml",
        &(rules("FALLBACK, REJECT") + "history: { keep: 1, redact: true }\n"),
    );
    let told = daemon.json(&["reload", "--plan"]);
    assert_eq!(told["plan"]["redacted"], true);
    // And how many are kept.
    assert!(daemon.client(&["reload"]).status.success());
    let kept = daemon.json(&["flows", "list", "--recent"]);
    assert_eq!(kept["flows"].as_array().unwrap().len(), 1);
}

#[test]
fn what_nobody_confirms_is_rolled_back() {
    let daemon = Daemon::native(&rules("FALLBACK, DIRECT"));
    let origin = Http::start("origin");
    let events = Reader::curl(&daemon, "/v1/events");
    assert_eq!(
        daemon.client(&["reload", "--confirm"]).status.code(),
        Some(4)
    );
    // The new one listens elsewhere, too.
    let side = "inbounds:\n  side: { type: mixed, listen: \"127.0.0.1:0\" }\n";
    let next = rules("FALLBACK, REJECT").replace("inbounds:\n", side);
    daemon.write("pointsman.yaml", &next);
    let told = daemon.json(&["reload", "--confirm-within", "1500ms"]);
    assert_eq!(told["awaiting"]["earlier"], "1", "{told}");
    let status = daemon.json(&["status"]);
    assert_eq!(status["inbounds"].as_array().unwrap().len(), 2, "{status}");
    let until = status["awaiting"]["until"].as_str().unwrap();
    let shown = daemon.client(&["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains(&format!("awaiting confirmation until {until}")),
        "{shown}"
    );
    assert_eq!(fetch(&daemon, &origin.url()), "403");
    // In between nothing else comes into force.
    let refused = daemon.client(&["reload"]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("awaiting confirmation until"));
    eventually("it is rolled back", || {
        daemon.json(&["status"])["awaiting"].is_null()
    });
    let status = daemon.json(&["status"]);
    assert_eq!(status["generation"], "3");
    assert_eq!(status["inbounds"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    for what in ["awaiting-confirmation", "refused", "rolled-back"] {
        events.hears(&format!("\"what\":\"{what}\""));
    }
    // Confirmed in time it stays.
    assert!(
        daemon
            .client(&["reload", "--confirm-within", "1s"])
            .status
            .success()
    );
    assert!(daemon.client(&["reload", "--confirm"]).status.success());
    events.hears("\"what\":\"confirmed\"");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert_eq!(daemon.json(&["status"])["generation"], "4");
    assert_eq!(fetch(&daemon, &origin.url()), "403");
    // And then the next one is welcome.
    daemon.write("pointsman.yaml", &rules("FALLBACK, DIRECT"));
    assert!(daemon.client(&["reload"]).status.success());
    assert_eq!(fetch(&daemon, &origin.url()), "200");
}

#[test]
fn what_waits_is_taken_back_at_once() {
    let daemon = Daemon::native(&rules("FALLBACK, DIRECT"));
    let origin = Http::start("origin");
    let events = Reader::curl(&daemon, "/v1/events");
    let nothing_waits = || {
        let refused = daemon.client(&["reload", "--roll-back"]);
        assert_eq!(refused.status.code(), Some(4));
        String::from_utf8_lossy(&refused.stderr).contains("no reload waits for confirmation")
    };
    assert!(nothing_waits());
    daemon.write("pointsman.yaml", &rules("FALLBACK, REJECT"));
    daemon.json(&["reload", "--confirm-within", "24h"]);
    assert_eq!(fetch(&daemon, &origin.url()), "403");
    let told = daemon.client(&["reload", "--roll-back"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told, "generation 1 is back, as generation 3\n");
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    events.hears("\"what\":\"rolled-back\"");
    let status = daemon.json(&["status"]);
    assert!(status["awaiting"].is_null(), "{status}");
    assert_eq!(status["setback"]["what"], "rolled-back", "{status}");
    let why = "somebody asked to roll generation 2 back";
    assert_eq!(status["setback"]["why"], why, "{status}");
    assert!(nothing_waits());
    // What was confirmed stays.
    daemon.json(&["reload", "--confirm-within", "24h"]);
    daemon.json(&["reload", "--confirm"]);
    assert!(nothing_waits());
    assert_eq!(fetch(&daemon, &origin.url()), "403");
}

#[test]
fn the_end_rolls_nothing_back() {
    let mut daemon = Daemon::native(&rules("FALLBACK, DIRECT"));
    let next = rules("FALLBACK, REJECT");
    daemon.write("pointsman.yaml", &next);
    for bad in ["0s", "25h", "soon"] {
        let refused = daemon.client(&["reload", "--confirm-within", bad]);
        assert!(!refused.status.success(), "{bad}");
    }
    assert_eq!(daemon.json(&["status"])["generation"], "1");
    assert!(
        daemon
            .client(&["reload", "--confirm-within", "60s"])
            .status
            .success()
    );
    // A reload by signal is refused as any other.
    daemon.signal("HUP");
    eventually("it is refused", || {
        daemon.json(&["diagnostics"])["reload_err"] == 1
    });
    assert!(
        daemon.log().contains("awaiting confirmation"),
        "{}",
        daemon.log()
    );
    assert!(daemon.client(&["stop"]).status.success());
    let ended = daemon.wait(std::time::Duration::from_secs(5));
    assert_eq!(ended.code(), Some(0));
    let file = daemon.directory.path().join("pointsman.yaml");
    assert_eq!(std::fs::read_to_string(file).unwrap(), next);
}

#[test]
fn what_is_refused_is_told_by_its_errors() {
    let bad = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n  house: { type: tun }\n\
               rules:\n  - IP-CIDR, 10.0.0.0/8, DIRECT\n  - IP-CIDR, 10.1.0.0/16, RESET\n  - FALLBACK, DIRECTT\n";
    let daemon = Daemon::native(&rules("FALLBACK, DIRECT"));
    daemon.write("pointsman.yaml", bad);
    let refused = daemon.client(&["reload"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    let heads: Vec<&str> = told
        .lines()
        .filter(|line| !line.starts_with("  "))
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    let others = "3 notes refuse nothing";
    let ours = ["pointsman.yaml:8:15", others, "error[reload-refused]"];
    assert_eq!(heads, ours, "{told}");
    // Programs have all of it, the errors first, and what many rules have once.
    let refused = daemon.client(&["--format", "json", "reload"]);
    let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
    let problems = told["problems"].as_array().unwrap().iter();
    let problems: Vec<_> = problems
        .map(|it| {
            (
                it["code"].as_str().unwrap(),
                it["count"].as_u64().unwrap_or(1),
            )
        })
        .collect();
    let all = [
        ("unknown-outbound", 1),
        ("not-yet", 1),
        ("never-sees-names", 2),
    ];
    assert_eq!(problems, all, "{told}");
    // Of very many the number is told.
    let many: String = (0..120)
        .map(|at| format!("DOMAIN, a.test, X{at}\n"))
        .collect();
    daemon.write("pointsman.yaml", &rules(&(many + "FALLBACK, DIRECT")));
    let refused = daemon.client(&["reload"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("has 120 errors, of which the first 100 are told"),
        "{told}"
    );
    // So at the start.
    let started = Daemon::try_start(&Start {
        files: vec![("pointsman.yaml", bad.to_owned())],
        config: "pointsman.yaml",
        ..Start::default()
    });
    let Err((_, told)) = started else {
        panic!("it started")
    };
    assert!(told.starts_with("pointsman.yaml:8:15: error"), "{told}");
    assert!(
        told.ends_with("3 notes refuse nothing: `pointsman check` tells them\n"),
        "{told}"
    );
}

#[test]
fn a_port_that_another_took_does_not_come_back() {
    // The earlier one listens on a port of its own, which somebody else gets in between.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let earlier = rules("FALLBACK, DIRECT").replace("127.0.0.1:0", &port.to_string());
    let daemon = Daemon::native(&earlier);
    let events = Reader::curl(&daemon, "/v1/events");
    daemon.write("pointsman.yaml", &rules("FALLBACK, REJECT"));
    assert!(
        daemon
            .client(&["reload", "--confirm-within", "2s"])
            .status
            .success()
    );
    let _taken = std::net::TcpListener::bind(port).unwrap();
    // Who asks for it is told, and it goes on waiting.
    let refused = daemon.client(&["reload", "--roll-back"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{told}");
    assert!(told.contains("not rolled back, nothing changed"), "{told}");
    // What is in force stays, whole, and all are told.
    events.hears("\"what\":\"rollback-failed\"");
    let status = daemon.json(&["status"]);
    assert_eq!(
        (&status["generation"], &status["awaiting"]),
        (&"2".into(), &Value::Null)
    );
}

#[test]
fn a_selection_that_goes_with_a_reload_is_told() {
    let with = |members: &str| {
        let group = format!("outbounds:\n  g: {{ type: select, members: [{members}] }}\n");
        rules("FALLBACK, g").replace("outbounds:\n", &group)
    };
    let daemon = Daemon::native(&with("DIRECT, REJECT"));
    daemon.json(&["outbounds", "select", "g", "REJECT"]);
    daemon.write("pointsman.yaml", &with("DIRECT, RESET"));
    let gone = "group `g`: its selected member `REJECT` is gone, and its flows go to `DIRECT`";
    let planned = daemon.json(&["reload", "--plan"]);
    assert_eq!(
        planned["plan"]["warnings"],
        serde_json::json!([gone]),
        "{planned}"
    );
    assert!(!daemon.log().contains(gone));
    let told = daemon.client(&["reload"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(&format!("warning: {gone}")), "{told}");
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains(gone));
    assert!(line.is_some_and(|line| line.contains("WARN")), "{log}");
    // It is told once, and comes back with its configuration.
    assert!(daemon.json(&["reload"])["warnings"].is_null());
    daemon.write("pointsman.yaml", &with("DIRECT, REJECT"));
    let back = daemon.json(&["reload", "--confirm-within", "300ms"]);
    assert!(back["warnings"].is_null(), "{back}");
    eventually("it is rolled back", || {
        daemon.log().matches(gone).count() == 2
    });
    // The whole group.
    daemon.write("pointsman.yaml", &with("DIRECT, REJECT"));
    daemon.json(&["reload"]);
    daemon.write("pointsman.yaml", &rules("FALLBACK, DIRECT"));
    let told = daemon.json(&["reload"]);
    let gone = "group `g` is gone, and with it that `REJECT` was selected";
    assert_eq!(told["warnings"], serde_json::json!([gone]), "{told}");
}

//! The tools for a daemon at work: plan, replay, confirmation, rules, explanations of live flows, events at once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::curl;
use crate::daemon::{Daemon, Running, client_path, eventually};
use crate::origin::{Http, echo, nobody};

/// One inbound and these rules; names ending in `.test` are the origin's.
fn rules(rules: &str) -> String {
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
fn fetch(daemon: &Daemon, url: &str) -> String {
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
fn ended(daemon: &Daemon, count: usize) {
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

/// A reader of a stream, whose words go to a file.
struct Reader {
    _running: Running,
    file: PathBuf,
}

impl Reader {
    /// By curl, from the control socket; returns once it listens.
    fn curl(daemon: &Daemon, path: &str) -> Self {
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
    fn client(daemon: &Daemon, words: &[&str]) -> Self {
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

    fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    /// Waits for these words.
    fn hears(&self, words: &str) {
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
            .client(&["reload", "--confirm-within", "500ms"])
            .status
            .success()
    );
    let _taken = std::net::TcpListener::bind(port).unwrap();
    // What is in force stays, whole, and all are told.
    events.hears("\"what\":\"rollback-failed\"");
    let status = daemon.json(&["status"]);
    assert_eq!(
        (&status["generation"], &status["awaiting"]),
        (&"2".into(), &Value::Null)
    );
}

#[test]
fn rules_count_what_they_decide() {
    let origin = Http::start("origin");
    let port = origin.address.port();
    let text = |first: &str| {
        // Who admits not everybody has a copy of the policy, with the same rules.
        let rules = rules(&format!(
            "{first}DST-PORT,  {port}, DIRECT\nIP-CIDR, 127.0.0.0/8, other\nDST-PORT, 1, REJECT\nFALLBACK, REJECT"
        ));
        rules.replace("0\" }", "0\", allow: [127.0.0.0/8] }")
    };
    let daemon = Daemon::native(&text(""));
    for _ in 0..2 {
        assert_eq!(fetch(&daemon, &origin.url()), "200");
    }
    ended(&daemon, 2);
    let found = |list: &Value, words: &str| {
        let rules = list["rules"].as_array().unwrap().clone();
        let fits = |rule: &&Value| rule["text"].as_str().unwrap().contains(words);
        rules.iter().find(fits).cloned().unwrap_or_default()
    };
    let list = daemon.json(&["rules"]);
    assert_eq!(list["rules"].as_array().unwrap().len(), 5, "{list}");
    let rule = found(&list, &port.to_string());
    assert_eq!(
        (&rule["hits"], &rule["line"]),
        (&2.into(), &7.into()),
        "{rule}"
    );
    assert!(rule["bytes_received"].as_u64().unwrap() > 0, "{rule}");
    assert!(rule["last_hit"].as_u64().unwrap() > 0, "{rule}");
    let unused = daemon.json(&["rules", "--unused"]);
    let unused: Vec<&Value> = unused["rules"].as_array().unwrap().iter().collect();
    let texts: Vec<&str> = unused.iter().map(|r| r["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        [
            "IP-CIDR, 127.0.0.0/8, other",
            "DST-PORT, 1, REJECT",
            "allow: 127.0.0.0/8"
        ]
    );
    // What the first one takes from the second.
    let shadowed = daemon.json(&["rules", "--shadowed"]);
    assert_eq!(shadowed["replayed"], 2);
    assert_eq!(shadowed["rules"].as_array().unwrap().len(), 1, "{shadowed}");
    let shadow = &shadowed["rules"][0]["shadowed_by"][0];
    assert_eq!(
        (&shadow["flows"], &shadow["elsewhere"]),
        (&2.into(), &2.into())
    );
    assert_eq!(shadow["line"], 7);
    // Moved and spaced otherwise, and a reload later, it is the same rule.
    daemon.write(
        "pointsman.yaml",
        &text("DST-PORT, 2, REJECT\n").replace(",  ", ", "),
    );
    assert!(daemon.client(&["reload"]).status.success());
    let rule = found(&daemon.json(&["rules", "--by-hits"]), &port.to_string());
    assert_eq!(
        (&rule["hits"], &rule["line"]),
        (&2.into(), &8.into()),
        "{rule}"
    );
    // Flows that live count already.
    let echo = echo();
    let mut client = connect(&daemon, &echo.to_string());
    eventually("a live flow counts", || {
        found(&daemon.json(&["rules"]), "IP-CIDR")["hits"] == 1
    });
    client.write_all(b"bytes").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    eventually("its bytes, too", || {
        found(&daemon.json(&["rules"]), "IP-CIDR")["bytes_sent"] == 5
    });
    let text = daemon.client(&["rules", "--by-hits"]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(
        text.lines().next().unwrap().contains(": 2 flows, "),
        "{text}"
    );
}

/// A tunnel by CONNECT.
fn connect(daemon: &Daemon, to: &str) -> TcpStream {
    let mut client = crate::client::connect(daemon.address("desk"));
    write!(client, "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    let count = client.read(&mut answer).unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200"));
    client
}

#[test]
fn a_flow_says_what_it_went_through() {
    let daemon = Daemon::native(&rules(
        "DOMAIN-SUFFIX, sniffed.test, REJECT\nPROCESS-NAME, nobody, REJECT\nFALLBACK, DIRECT",
    ));
    let origin = Http::start("origin");
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 1);
    let explained = daemon.json(&["explain", "--id", "1"]);
    let steps = explained["steps"].as_array().unwrap();
    let words: Vec<&str> = steps.iter().map(|s| s["step"].as_str().unwrap()).collect();
    assert_eq!(words, ["sniff", "owner", "dial"], "{explained}");
    assert!(
        steps[0]["outcome"].as_str().unwrap().starts_with("http"),
        "{explained}"
    );
    assert!(
        steps[1]["outcome"].as_str().unwrap().starts_with("curl ("),
        "{explained}"
    );
    assert_eq!(steps[2]["outcome"], "open");
    assert!(steps[1]["ms"].as_f64().unwrap() > 0.0, "{explained}");
    let flow = daemon.last_flow();
    assert!(flow["took_us"]["dial"].as_u64().unwrap() > 0, "{flow}");
    // One that cannot be reached.
    assert_eq!(fetch(&daemon, &format!("http://{}/", nobody())), "502");
    ended(&daemon, 2);
    let text = daemon.client(&["explain", "--id", "2"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("steps:") && text.contains("ms: failed: "),
        "{text}"
    );
}

#[test]
fn decisions_can_be_followed() {
    let daemon = Daemon::native(&rules("DST-PORT, 1, REJECT\nFALLBACK, DIRECT"));
    let origin = Http::start("origin");
    let all = Reader::curl(&daemon, "/v1/explain/follow");
    let other = Reader::curl(&daemon, "/v1/explain/follow?contains=reject");
    let client = Reader::client(
        &daemon,
        &[
            "--format",
            "json",
            "explain",
            "--follow",
            "--dst",
            "127.0.0.1",
        ],
    );
    eventually("the client follows", || {
        fetch(&daemon, &origin.url());
        !client.text().is_empty()
    });
    let line = client.text();
    let explained: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!(explained["decision"]["outbound"], "DIRECT");
    assert_eq!(explained["generation"], "1");
    // While the flow lives.
    let echo = echo();
    let _tunnel = connect(&daemon, &echo.to_string());
    let live = daemon.json(&["flows", "list"])["flows"][0]["id"].clone();
    all.hears(&format!("event: decision\ndata: {{\"id\":{live},"));
    assert_eq!(fetch(&daemon, "http://192.0.2.1:1/"), "403");
    other.hears("REJECT");
    assert_eq!(other.text().matches("event: decision").count(), 1);
    assert!(!client.text().contains("REJECT"), "{}", client.text());
    for bad in ["flow=dts%3Dx", "flow=resolved%3D1.2.3.4"] {
        let socket = daemon.control();
        let url = format!("http://daemon/v1/explain/follow?{bad}");
        let words = [
            "--unix-socket",
            socket.to_str().unwrap(),
            "--write-out",
            "%{http_code}",
            &url,
        ];
        assert!(curl(&words).0.ends_with("400"), "{bad}");
    }
}

#[test]
fn what_rules_say_is_heard_at_once() {
    let text = rules("DST-PORT, 1, REJECT\nFALLBACK, DIRECT").replace(
        "  - FALLBACK",
        "  - .INSTRUMENT: { id: 7, matches: ALWAYS, message: 'to {addr.dst} by {process.name}' }\n  \
           - .INSTRUMENT: { id: 8, matches: ALWAYS, message: 'tag {process.tag}' }\n  - FALLBACK",
    );
    let daemon = Daemon::native(&text);
    let events = Reader::curl(&daemon, "/v1/events");
    let tail = Reader::client(&daemon, &["flows", "tail"]);
    let echo = echo();
    let tunnel = connect(&daemon, &echo.to_string());
    // Its flow lives, and each is heard once although facts were asked for in between.
    events.hears("\"id\":8,\"text\":\"tag N/A\"");
    let heard = events.text();
    let first = format!("event: message\ndata: {{\"flow\":1,\"id\":7,\"text\":\"to {echo} by ");
    assert_eq!(heard.matches("event: message").count(), 2, "{heard}");
    assert!(heard.contains(&first), "{heard}");
    assert!(!heard.contains("event: end"), "{heard}");
    drop(tunnel);
    events.hears("event: end");
    assert_eq!(events.text().matches("event: message").count(), 2);
    drop(tail);
    // With the flow they stay.
    let flow = daemon.last_flow();
    assert_eq!(flow["messages"].as_array().unwrap().len(), 2, "{flow}");
}

#[test]
fn a_reload_takes_level_and_access_log() {
    let text = rules("FALLBACK, DIRECT");
    let daemon = Daemon::native(&(text.clone() + "log: { level: error }\n"));
    let origin = Http::start("origin");
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 1);
    let log = daemon.directory.path().join("flows.log");
    assert!(!log.exists());
    daemon.write(
        "pointsman.yaml",
        &(text.clone() + "log: { level: info }\naccess_log: flows.log\n"),
    );
    assert!(daemon.client(&["reload"]).status.success());
    assert!(daemon.log().contains("reloaded"), "{}", daemon.log());
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    eventually("the flow is logged", || {
        std::fs::read_to_string(&log).unwrap().lines().count() == 1
    });
    // A log that cannot be had changes nothing.
    daemon.write(
        "pointsman.yaml",
        &(text.clone() + "access_log: pointsman.yaml/flows.log\n"),
    );
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(4));
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    eventually("it is still logged there", || {
        std::fs::read_to_string(&log).unwrap().lines().count() == 2
    });
    daemon.write("pointsman.yaml", &text);
    assert!(daemon.client(&["reload"]).status.success());
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    ended(&daemon, 4);
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 2);
}

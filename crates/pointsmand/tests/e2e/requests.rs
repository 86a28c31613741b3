//! Flows that wait for somebody's word: curl behind the daemon, the client as the one who is asked.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::connect;
use crate::daemon::{Daemon, Running, client_path, eventually};
use crate::origin::Http;
use crate::tools::{Reader, fetch, rules};

/// All that goes to the origin is asked of 200.
fn asking(origin: &Http, settings: &str) -> String {
    let port = origin.address.port();
    let request = format!(".REQUEST: {{ id: 200, matches: 'DST-PORT, {port}'{settings} }}");
    rules(&format!("{request}\nFALLBACK, DIRECT"))
}

/// The client that is asked, its words as JSON.
fn subscriber(daemon: &Daemon) -> Reader {
    let reader = Reader::client(daemon, &["--format", "json", "approve", "--id", "200,201"]);
    reader.hears("subscribed");
    reader
}

/// What was heard under this name.
fn events(reader: &Reader, name: &str) -> Vec<Value> {
    let text = reader.text();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let named = lines.filter(|event: &Value| event["event"] == name);
    named.map(|mut event| event["data"].take()).collect()
}

/// The next request, behind `seen` others.
fn next(reader: &Reader, seen: usize) -> Value {
    eventually("somebody is asked", || {
        events(reader, "request").len() > seen
    });
    events(reader, "request").swap_remove(seen)
}

fn answer(daemon: &Daemon, request: &Value, sub_id: &str, route: &str) -> (i32, String) {
    let number = request["request_id"].to_string();
    let words = ["approve", "--answer", &number, route, "--sub-id", sub_id];
    let output = daemon.client(&words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), said)
}

/// The status that curl gets, while `then` is done with the request.
fn asked(daemon: &Daemon, origin: &Http, reader: &Reader, then: impl FnOnce(&Value)) -> String {
    let seen = events(reader, "request").len();
    std::thread::scope(|scope| {
        let status = scope.spawn(|| fetch(daemon, &origin.url()));
        then(&next(reader, seen));
        status.join().unwrap()
    })
}

fn why(daemon: &Daemon) -> String {
    daemon.last_flow()["reason"].as_str().unwrap().to_owned()
}

#[test]
fn whoever_subscribes_decides() {
    let origin = Http::start("origin");
    let daemon = Daemon::native(&asking(&origin, ""));
    assert_eq!(fetch(&daemon, &origin.url()), "403");
    let said = why(&daemon);
    assert!(said.contains("nobody subscribes to 200"), "{said}");

    let reader = subscriber(&daemon);
    let own = events(&reader, "subscribed")[0]["sub_id"].to_string();
    let second = daemon.client(&["approve", "--id", "199,200"]);
    assert_eq!(second.status.code(), Some(4), "{second:?}");

    // A stranger's word is nobody's; the flow goes on waiting.
    let status = asked(&daemon, &origin, &reader, |request| {
        assert_eq!(request["id"], 200);
        assert_eq!(request["suggested_route"], "CONTINUE");
        assert_eq!(request["fallback"], "REJECT");
        assert_eq!(request["destination"]["port"], origin.address.port());
        assert_eq!(request["inbound"]["type"], "http");
        assert_eq!(request["process"]["name"], "curl");
        assert!(
            request["process"]["cmdline"]
                .as_str()
                .unwrap()
                .contains("--proxy")
        );
        assert!(request["time_ms"].as_u64().unwrap() > 1_600_000_000_000);
        let (code, said) = answer(&daemon, request, "999", "REJECT");
        assert_eq!(code, 4, "{said}");
        assert!(said.contains("not-yours"), "{said}");
        assert_eq!(answer(&daemon, request, &own, "CONTINUE").0, 0);
        // It was answered.
        assert_eq!(answer(&daemon, request, &own, "REJECT").0, 4);
    });
    assert_eq!(status, "200");
    let id = daemon.last_flow()["id"].to_string();
    let explained = daemon.json(&["explain", "--id", &id]);
    let steps = explained["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["step"] == "verdict").unwrap();
    assert_eq!(step["outcome"], "CONTINUE", "{explained}");
    assert!(step["ms"].as_f64().unwrap() > 0.0, "{explained}");
    assert!(
        explained["trace"]
            .to_string()
            .contains("CONTINUE by subscriber 200 (answered)")
    );

    for (route, code, expected) in [
        ("REJECT", 0, "subscriber 200 answered REJECT"),
        ("FALLBACK", 0, "subscriber 200 answered FALLBACK"),
        ("DIRECT", 4, "subscriber 200 answered with no route"),
    ] {
        let status = asked(&daemon, &origin, &reader, |request| {
            assert_eq!(answer(&daemon, request, &own, route).0, code, "{route}");
        });
        assert_eq!(status, "403", "{route}");
        let said = why(&daemon);
        assert!(said.contains(expected), "{said}");
    }

    // Who is asked goes away.
    let seen = events(&reader, "request").len();
    std::thread::scope(|scope| {
        let status = scope.spawn(|| fetch(&daemon, &origin.url()));
        next(&reader, seen);
        drop(reader);
        assert_eq!(status.join().unwrap(), "403");
    });
    let said = why(&daemon);
    assert!(said.contains("subscriber 200 went away"), "{said}");
}

#[test]
fn nobody_waits_longer_than_said() {
    let origin = Http::start("origin");
    let daemon = Daemon::native(&asking(&origin, ", timeout: 1, fallback: CONTINUE"));
    let reader = subscriber(&daemon);
    assert_eq!(fetch(&daemon, &origin.url()), "200");
    let id = daemon.last_flow()["id"].to_string();
    let explained = daemon.json(&["explain", "--id", &id]).to_string();
    assert!(
        explained.contains("did not answer within 1 s"),
        "{explained}"
    );
    eventually("it waits no longer", || events(&reader, "over").len() == 1);
    let request = &events(&reader, "request")[0];
    let sub_id = request["sub_id"].to_string();
    let (code, said) = answer(&daemon, request, &sub_id, "REJECT");
    assert_eq!(
        (code, said.contains("unknown-request")),
        (4, true),
        "{said}"
    );
}

#[test]
fn a_client_that_hangs_up_is_not_waited_for() {
    let origin = Http::start("origin");
    let daemon = Daemon::native(&asking(&origin, ""));
    let reader = subscriber(&daemon);
    let to = origin.address;
    for request in [
        format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\nahead"),
        format!("GET http://{to}/ HTTP/1.1\r\nHost: {to}\r\n\r\n"),
    ] {
        let seen = events(&reader, "request").len();
        let mut client = connect(daemon.address("desk"));
        client.write_all(request.as_bytes()).unwrap();
        next(&reader, seen);
        drop(client);
        eventually("it waits no longer", || {
            events(&reader, "over").len() == seen + 1
        });
        assert_eq!(daemon.last_flow()["ended"], "client-gone", "{request}");
    }
}

#[test]
fn a_reload_leaves_what_waits_alone_and_an_end_does_not_wait() {
    let origin = Http::start("origin");
    let mut daemon = Daemon::native(&asking(&origin, ""));
    let reader = subscriber(&daemon);
    let own = events(&reader, "subscribed")[0]["sub_id"].to_string();
    let status = asked(&daemon, &origin, &reader, |request| {
        daemon.write("pointsman.yaml", &rules("FALLBACK, REJECT"));
        assert!(daemon.client(&["reload"]).status.success());
        assert_eq!(answer(&daemon, request, &own, "CONTINUE").0, 0);
    });
    // By the rules that it met.
    assert_eq!(status, "200");
    assert_eq!(fetch(&daemon, &origin.url()), "403");

    daemon.write("pointsman.yaml", &asking(&origin, ""));
    assert!(daemon.client(&["reload"]).status.success());
    let mut client = connect(daemon.address("desk"));
    let to = origin.address;
    let seen = events(&reader, "request").len();
    write!(client, "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").unwrap();
    next(&reader, seen);
    let begun = Instant::now();
    daemon.signal("TERM");
    let mut answered = [0; 12];
    client.read_exact(&mut answered).unwrap();
    assert_eq!(&answered, b"HTTP/1.1 403");
    drop(client);
    assert!(daemon.wait(Duration::from_secs(10)).success());
    assert!(begun.elapsed() < Duration::from_secs(9));
}

#[test]
fn answers_are_typed_or_given_beforehand() {
    let origin = Http::start("origin");
    let daemon = Daemon::native(&asking(&origin, ""));
    let typed = |lines: &str| {
        let mut command = Command::new(client_path());
        command.arg("--control").arg(daemon.control());
        command.args(["approve", "--id", "200"]);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut asked = Running(pipes.stderr(Stdio::piped()).spawn().unwrap());
        let mut stdout = asked.0.stdout.take().unwrap();
        let mut stderr = asked.0.stderr.take().unwrap();
        // It says that it is asked from here on.
        stderr.read_exact(&mut [0; 1]).unwrap();
        std::thread::scope(|scope| {
            let status = scope.spawn(|| fetch(&daemon, &origin.url()));
            stdout.read_exact(&mut [0; 1]).unwrap();
            let stdin = asked.0.stdin.as_mut().unwrap();
            stdin.write_all(lines.as_bytes()).unwrap();
            status.join().unwrap()
        })
    };
    let gone = || {
        eventually("the place is free", || {
            fetch(&daemon, &origin.url());
            why(&daemon).contains("nobody subscribes")
        });
    };
    assert_eq!(typed("x\n99 c\n\nc\n"), "200");
    gone();
    assert_eq!(typed("Rej\n"), "403");
    gone();
    let always = ["approve", "--id", "200", "--always", "continue"];
    let reader = Reader::client(&daemon, &always);
    eventually("all go on", || fetch(&daemon, &origin.url()) == "200");
    reader.hears("asks 200 for tcp 127.0.0.1:");
}

#[test]
fn answers_are_replayed_to_the_same_question_alone() {
    let origin = Http::start("origin");
    let port = origin.address.port();
    let step = |id: u32, settings: &str| {
        format!(".REQUEST: {{ id: {id}, matches: 'DST-PORT, {port}'{settings} }}\n")
    };
    let text = |steps: &str| rules(&format!("{steps}FALLBACK, DIRECT"));
    let mine = step(200, "");
    let daemon = Daemon::native(&text(&mine));
    let reader = subscriber(&daemon);
    let own = events(&reader, "subscribed")[0]["sub_id"].to_string();
    let status = asked(&daemon, &origin, &reader, |request| {
        assert_eq!(answer(&daemon, request, &own, "REJECT").0, 0);
    });
    assert_eq!(status, "403");
    let check = |steps: &str, expected: [u64; 3]| {
        daemon.write("candidate.yaml", &text(steps));
        let told = {
            let path = daemon.directory.path().join("candidate.yaml");
            daemon.json(&["replay", "--config", path.to_str().unwrap()])
        };
        let untold = told["untold"][0]["flows"].as_u64().unwrap_or(0);
        let numbers = [
            told["same"].as_u64().unwrap(),
            told["moved"].as_u64().unwrap(),
            untold,
        ];
        assert_eq!(numbers, expected, "{steps}: {told}");
        if untold > 0 {
            assert_eq!(told["untold"][0]["fact"], "verdict", "{told}");
        }
    };
    check(&mine, [1, 0, 0]);
    check(&format!("DST-PORT, 1, DIRECT\n{mine}"), [1, 0, 0]);
    check(&format!("DST-PORT, {port}, DIRECT\n{mine}"), [0, 1, 0]);
    // Another question was never answered.
    check(&format!("{}{mine}", step(300, "")), [0, 0, 1]);
    check(&step(300, ""), [0, 0, 1]);
    check(&step(200, ", timeout: 5"), [0, 0, 1]);
    check(&step(200, ", fallback: CONTINUE"), [0, 0, 1]);
    check(&step(200, ", request-route: REJECT"), [0, 0, 1]);
    // One that does not come to this flow changes nothing.
    let other = format!(".REQUEST: {{ id: 300, matches: 'DST-PORT, 1' }}\n{mine}");
    check(&other, [1, 0, 0]);
    // What decides the flow is what is told of it, by the rules of then.
    let id = daemon.last_flow()["id"].to_string();
    daemon.write("pointsman.yaml", &text(&other));
    assert!(daemon.client(&["reload"]).status.success());
    let explained = daemon.json(&["explain", "--id", &id]);
    let said = explained["reason"].as_str().unwrap();
    assert!(
        said.contains("subscriber 200 answered REJECT"),
        "{explained}"
    );
}

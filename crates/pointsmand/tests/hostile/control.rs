//! Clients of the control socket that mean no good: slow, silent, many, and in no language.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Start, eventually};

const DIRECT: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n\
     outbounds:\n  g: { type: select, members: [DIRECT] }\nrules:\n  - FALLBACK, DIRECT\n";

/// Longer than the daemon's own limits on requests.
const LIMIT: Duration = Duration::from_secs(25);

fn connect(daemon: &Daemon) -> UnixStream {
    let stream = UnixStream::connect(daemon.control()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// What was answered: status, head, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The code of an error, which is JSON.
    fn code(&self) -> String {
        assert!(
            self.head.contains("content-type: application/json"),
            "{}\n{}",
            self.head,
            self.body
        );
        let error: serde_json::Value = serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.body));
        assert!(
            error["error"].as_str().is_some_and(|text| !text.is_empty()),
            "{error}"
        );
        error["code"].as_str().unwrap().to_owned()
    }
}

fn read(stream: &mut UnixStream) -> Answer {
    let mut text = Vec::new();
    if let Err(error) = stream.read_to_end(&mut text) {
        // It hung up while we still sent; what it said before is there.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

fn ask(daemon: &Daemon, request: &[u8]) -> Answer {
    let mut stream = connect(daemon);
    // It may answer, and hang up, before it has read all.
    let _hung_up = stream.write_all(request);
    read(&mut stream)
}

fn request(line: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{line} HTTP/1.1\r\nHost: d\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into()
}

#[test]
fn errors_are_json_whoever_finds_them() {
    let daemon = Daemon::native(DIRECT);
    let json = "Content-Type: application/json\r\n";
    let select = "PUT /v1/outbounds/g/member";
    let long = format!("GET /v1/status?{}", "x".repeat(100_000));
    let many = "X: y\r\n".repeat(150);
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (request("GET /v2", "", ""), 404, "unknown-route"),
        (request("GET /v1/flows/abc", "", ""), 400, "bad-request"),
        (request("GET /v1/flows/%ff", "", ""), 400, "bad-request"),
        (request("GET /v1/flows/77", "", ""), 404, "unknown-flow"),
        (
            request("GET /v1/flows?recent=maybe", "", ""),
            400,
            "bad-request",
        ),
        (
            request("GET /v1/flows?resent=true", "", ""),
            400,
            "bad-request",
        ),
        (
            request("GET /v1/rules?shadow=1", "", ""),
            400,
            "bad-request",
        ),
        (request("GET /v1/policy?is=x", "", ""), 400, "bad-request"),
        (
            request("GET /v1/requests?id=x", "", ""),
            400,
            "bad-subscriber",
        ),
        (
            request("GET /v1/explain/follow?full=x", "", ""),
            400,
            "bad-request",
        ),
        (request("DELETE /v1/status", "", ""), 405, "wrong-method"),
        (
            request(select, "", "{\"member\":\"DIRECT\"}"),
            415,
            "wrong-content-type",
        ),
        (request(select, json, "{bad"), 400, "bad-request"),
        (request(select, json, "{}"), 422, "bad-request"),
        (request("POST /v1/reload", "", "{bad"), 400, "bad-request"),
        (
            request("POST /v1/reload", "", "{\"plam\":1}"),
            400,
            "bad-request",
        ),
        (request("POST /v1/explain", "", ""), 400, "bad-flow"),
        (
            request("POST /v1/requests/1", json, "{\"sub_id\":-1}"),
            422,
            "bad-request",
        ),
        (
            [&request("POST /v1/reload", "", "  ")[..], b""].concat(),
            200,
            "",
        ),
        (
            b"POST /v1/reload HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n\xff\xff".to_vec(),
            400,
            "bad-request",
        ),
        (
            request("POST /v1/explain", "", &"x".repeat((1 << 20) + 1)),
            413,
            "body-too-large",
        ),
        (request(&long, "", ""), 431, "head-too-large"),
        (request("GET /v1/status", &many, ""), 431, "head-too-large"),
        (
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n".to_vec(),
            400,
            "bad-request",
        ),
        (b"GET\r\n\r\n".to_vec(), 400, "bad-request"),
        (
            b"POST /v1/stop HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            400,
            "bad-request",
        ),
    ];
    for (asked, status, code) in cases {
        let shown = String::from_utf8_lossy(&asked[..asked.len().min(80)]).into_owned();
        let answer = ask(&daemon, &asked);
        assert_eq!(answer.status, status, "{shown}: {}", answer.body);
        if status != 200 {
            assert_eq!(answer.code(), code, "{shown}");
        }
        if status == 405 {
            assert!(answer.head.contains("allow: get"), "{}", answer.head);
        }
    }
    // What is wrong with a number is said in our words, and not in a library's.
    let route = r#"{"sub_id":1,"route":"REJECT"}"#;
    for (asked, said) in [
        (
            request("GET /v1/flows/-1", "", ""),
            "`-1` is no number of a flow",
        ),
        (
            request("POST /v1/requests/-1", json, route),
            "`-1` is no number of a request",
        ),
    ] {
        let answer = ask(&daemon, &asked);
        assert_eq!(
            (answer.status, answer.code()),
            (400, "bad-request".to_owned())
        );
        assert!(answer.body.contains(said), "{}", answer.body);
    }
    let head = ask(&daemon, &request("HEAD /v1/nothing", "", ""));
    assert_eq!((head.status, &*head.body), (404, ""));
}

#[test]
fn who_sends_no_whole_request_makes_room_for_who_does() {
    let daemon = Daemon::native(DIRECT);
    let before = daemon.descriptors_at_rest();
    let mut idle: Vec<UnixStream> = Vec::new();
    for index in 0..1000 {
        let mut stream = connect(&daemon);
        // Nothing, half a head, half a body, half closed.
        let _made_room = match index % 4 {
            0 => Ok(()),
            1 => stream.write_all(b"GET /v1/status HT"),
            2 => stream.write_all(b"POST /v1/reload HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"),
            _ => stream.shutdown(Shutdown::Write),
        };
        idle.push(stream);
    }
    // At once, and not when the limits of those before have passed.
    let begun = Instant::now();
    assert_eq!(daemon.json(&["status"])["state"], "running");
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8));
    // The first had to go, and was told so.
    let told = read(&mut idle[0]);
    assert_eq!((told.status, &*told.code()), (503, "too-many-clients"));
    // Those that were left are gone after their limits, though their clients hold on.
    let until = Instant::now() + LIMIT;
    while daemon.descriptors() > before {
        assert!(Instant::now() < until, "{} left", daemon.descriptors());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_request_that_never_ends_is_ended() {
    let daemon = Daemon::native(DIRECT);
    let mut silent = connect(&daemon);
    let mut drips = connect(&daemon);
    drips.write_all(b"GET /v1/sta").unwrap();
    let mut body = connect(&daemon);
    body.write_all(b"POST /v1/explain HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
        .unwrap();
    let mut chunked = connect(&daemon);
    chunked
        .write_all(b"GET /v1/status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        .unwrap();
    let begun = Instant::now();
    let mut byte = 0;
    // A byte now and then gains no time.
    while begun.elapsed() < Duration::from_secs(8) {
        std::thread::sleep(Duration::from_millis(500));
        drips
            .write_all(&b"tus HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaa"[byte..=byte])
            .unwrap();
        body.write_all(b" ").unwrap();
        byte += 1;
    }
    for stream in [&mut silent, &mut drips, &mut body, &mut chunked] {
        let answer = read(stream);
        assert_eq!((answer.status, &*answer.code()), (408, "too-slow"));
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn followers_take_no_place_of_those_who_ask() {
    let daemon = Daemon::native(DIRECT);
    let follow = |path: &str| {
        let mut stream = connect(&daemon);
        stream.write_all(&request(path, "", "")).unwrap();
        stream
    };
    let mut followers = Vec::new();
    for index in 0..64 {
        let mut stream = follow(match index % 3 {
            0 => "GET /v1/events",
            1 => "GET /v1/explain/follow",
            _ => "GET /v1/events?",
        });
        // Its place is taken once it is answered.
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        followers.push(stream);
    }
    let answer = read(&mut follow("GET /v1/events"));
    assert_eq!((answer.status, &*answer.code()), (503, "too-many-clients"));
    assert_eq!(daemon.json(&["status"])["state"], "running");
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(0));
    // A place that is given up is there for another.
    followers.truncate(63);
    eventually("the place is free again", || {
        let mut first = [0; 12];
        follow("GET /v1/events").read_exact(&mut first).unwrap();
        &first == b"HTTP/1.1 200"
    });
    assert_eq!(daemon.client(&["stop"]).status.code(), Some(0));
}

#[test]
fn flows_never_take_the_last_descriptors() {
    let logged = format!("{DIRECT}access_log: flows.log\n");
    let daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", logged.clone())],
        config: "pointsman.yaml",
        relative: true,
        starter: vec!["prlimit".into(), "--nofile=400:400".into()],
        ..Start::default()
    });
    let sink = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = sink.local_addr().unwrap().port();
    // Each asks for a way out, too, and holds on.
    let ask = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n");
    let inbound = daemon.address("desk");
    let clients: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut client = TcpStream::connect(inbound).unwrap();
            let _refused = client.write_all(ask.as_bytes());
            client
        })
        .collect();
    let refused = || {
        daemon.json(&["diagnostics"])["accept_refused"]
            .as_u64()
            .unwrap()
    };
    eventually("all were accepted or refused", || refused() > 200);
    // A quarter is left: for the control socket, for a listener more, for files and the log.
    assert!(daemon.descriptors() <= 320, "{}", daemon.descriptors());
    assert_eq!(daemon.json(&["status"])["state"], "running");
    let more = logged.replace(
        "inbounds:\n",
        "inbounds:\n  more: { type: mixed, listen: \"127.0.0.1:0\" }\n",
    );
    let log = daemon.directory.path().join("flows.log");
    std::fs::rename(&log, daemon.directory.path().join("flows.old")).unwrap();
    daemon.write("pointsman.yaml", &more);
    let before = refused();
    let reloaded = daemon.client(&["reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{reloaded:?}");
    assert_eq!(daemon.json(&["status"])["inbounds"][1]["name"], "desk");
    assert!(refused() >= before, "a reload made a counter fall");
    daemon.signal("HUP");
    eventually("the log is opened again", || log.exists());
    // Those who go make room for others.
    drop(clients);
    eventually("a client is served again", || {
        let mut client = TcpStream::connect(inbound).unwrap();
        let mut first = [0; 12];
        let asked = client.write_all(ask.as_bytes());
        asked.and_then(|()| client.read_exact(&mut first)).is_ok() && &first == b"HTTP/1.1 200"
    });
    assert_eq!(daemon.client(&["stop"]).status.code(), Some(0));
}

#[test]
fn bytes_of_live_flows_count_and_never_fall() {
    let daemon = Daemon::native(DIRECT);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let mut client = TcpStream::connect(daemon.address("desk")).unwrap();
    let ask = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(ask.as_bytes()).unwrap();
    let (mut origin, _) = server.accept().unwrap();
    let mut reply = [0; 4];
    client.read_exact(&mut reply).unwrap();
    client.write_all(&[7; 5000]).unwrap();
    origin.read_exact(&mut [0; 5000]).unwrap();
    let told = || {
        let told = daemon.json(&["diagnostics"]);
        ["bytes_sent", "flows_total", "flows_live"].map(|key| told[key].as_u64().unwrap())
    };
    eventually("bytes of a live flow are told", || told() == [5000, 1, 1]);
    drop((client, origin));
    eventually("the flow ends", || {
        let [sent, total, live] = told();
        assert_eq!((sent, total), (5000, 1));
        live == 0
    });
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(0));
    assert_eq!(told(), [5000, 1, 0]);
}

#[test]
fn a_replay_quotes_no_file_that_it_was_not_sent() {
    let daemon = Daemon::native(DIRECT);
    let marker = "marker-of-a-foreign-file";
    daemon.write("shadow", &format!("root:{marker}:1\n{marker}\n"));
    daemon.write("shadow.case", &format!("dst={marker} => {marker}\n"));
    let at = |name: &str| daemon.directory.path().join(name).display().to_string();
    let sent = |text: &str| Some(format!("version: 1\n{text}"));
    let cases = [
        (at("shadow"), None, None),
        (at("shadow"), None, Some("reflow")),
        (at("shadow"), None, Some("policy-router")),
        (at("shadow"), None, Some("bitflow")),
        (at("shadow"), None, Some("boltconn")),
        (
            at("nothing.yaml"),
            sent("include: [shadow]\nrules:\n  - FALLBACK, DIRECT\n"),
            None,
        ),
        (
            at("nothing.yaml"),
            sent(
                "rule_sets: { x: { path: shadow, format: cidr } }\nrules:\n  - FALLBACK, NOWHERE\n",
            ),
            None,
        ),
    ];
    for (config, text, dialect) in cases {
        let body = serde_json::json!({ "config": config, "text": text, "dialect": dialect });
        let answer = ask(&daemon, &request("POST /v1/replay", "", &body.to_string()));
        assert_eq!(answer.status, 409, "{body}: {}", answer.body);
        assert_eq!(answer.code(), "reload-refused");
        assert!(!answer.body.contains(marker), "{body}: {}", answer.body);
        assert!(answer.body.contains("\"line\":"), "{body}: {}", answer.body);
    }
    std::fs::remove_file(at("shadow.case")).unwrap();
    // What was sent may be quoted, and the client shows the place with a caret.
    let wrong = "version: 1\nrules:\n  - FALLBACK, NOWHERE\n";
    daemon.write("mine.yaml", wrong);
    let body = serde_json::json!({ "config": at("mine.yaml"), "text": wrong });
    let answer = ask(&daemon, &request("POST /v1/replay", "", &body.to_string()));
    assert!(answer.body.contains("FALLBACK, NOWHERE"), "{}", answer.body);
    let told = daemon.client(&["replay", "--config", &at("mine.yaml")]);
    let told = (told.status.code(), String::from_utf8(told.stderr).unwrap());
    assert_eq!(told.0, Some(4), "{}", told.1);
    assert!(
        told.1.contains("mine.yaml:3:") && told.1.contains('^'),
        "{}",
        told.1
    );
    // The text counts, and not what the disk says.
    let body = serde_json::json!({ "config": at("mine.yaml"), "text": DIRECT });
    let answer = ask(&daemon, &request("POST /v1/replay", "", &body.to_string()));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let relative = serde_json::json!({ "config": "pointsman.yaml" }).to_string();
    let answer = ask(&daemon, &request("POST /v1/replay", "", &relative));
    assert_eq!((answer.status, &*answer.code()), (400, "bad-request"));
}

#[test]
fn flows_are_paged_and_chosen() {
    let daemon = Daemon::native(DIRECT);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let mut live = Vec::new();
    for index in 0..7 {
        let mut client = TcpStream::connect(daemon.address("desk")).unwrap();
        let host = if index == 3 { "localhost" } else { "127.0.0.1" };
        let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.write_all(ask.as_bytes()).unwrap();
        let mut reply = [0; 12];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"HTTP/1.1 200");
        live.push((client, server.accept().unwrap()));
    }
    // One that ended stands where its number is.
    live.remove(1);
    eventually("the second has ended", || {
        daemon.json(&["diagnostics"])["flows_live"] == 6
    });
    let get = |query: &str| {
        let answer = ask(&daemon, &request(&format!("GET /v1/flows?{query}"), "", ""));
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let list: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let flows = list["flows"].as_array().unwrap().iter();
        let ids: Vec<u64> = flows.map(|flow| flow["id"].as_u64().unwrap()).collect();
        (ids, list["next"].as_u64())
    };
    assert_eq!(get(""), ((1..=7).collect(), None));
    assert_eq!(get("recent=false&limit=2"), (vec![1, 3], Some(3)));
    assert_eq!(get("recent=false&limit=2&after=3"), (vec![4, 5], Some(5)));
    assert_eq!(get("limit=2&after=5"), (vec![6, 7], None));
    assert_eq!(get("after=18446744073709551615"), (vec![], None));
    assert_eq!(get("flow=dst%3Dlocalhost"), (vec![4], None));
    assert_eq!(get("contains=LOCAL&after=4"), (vec![], None));
    assert_eq!(
        get(&format!("flow=dst%3D127.0.0.1:{port}&limit=1&after=3")),
        (vec![5], Some(5))
    );
    for (query, code) in [
        ("limit=0", "bad-request"),
        ("limit=1001", "bad-request"),
        ("after=-1", "bad-request"),
        ("flow=nonsense%3D1", "bad-flow"),
        ("flow=resolved%3D1.2.3.4", "bad-flow"),
    ] {
        let answer = ask(&daemon, &request(&format!("GET /v1/flows?{query}"), "", ""));
        assert_eq!((answer.status, &*answer.code()), (400, code), "{query}");
    }
    let words = ["flows", "list", "--recent", "dst=localhost"];
    assert_eq!(daemon.json(&words)["flows"][0]["id"], 4);
    let words = ["flows", "list", "--limit", "2", "--after", "3"];
    assert_eq!(daemon.json(&words)["flows"].as_array().unwrap().len(), 2);
    assert_eq!(
        daemon.client(&["flows", "list", "--dst", ""]).status.code(),
        Some(2)
    );
}

/// One that follows a stream.
struct Follower(BufReader<UnixStream>);

impl Follower {
    fn start(daemon: &Daemon, path: &str, last: Option<&str>) -> Self {
        let mut stream = connect(daemon);
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n"));
        let fields = last.unwrap_or_default();
        stream
            .write_all(&request(&format!("GET {path}"), &fields, ""))
            .unwrap();
        let mut follower = Self(BufReader::new(stream));
        while follower.line() != ": listening" {}
        follower
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
        line.trim_end().to_owned()
    }

    /// The next event: its id, its name, its data.
    fn next(&mut self) -> (String, String, serde_json::Value) {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => return (id, name, serde_json::from_str(value).unwrap()),
                _ => {}
            }
        }
    }
}

#[test]
fn who_follows_goes_on_where_it_was_or_is_told() {
    let daemon = Daemon::native(DIRECT);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let flow = |host: &str| {
        let mut client = TcpStream::connect(daemon.address("desk")).unwrap();
        let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.write_all(ask.as_bytes()).unwrap();
        client.read_exact(&mut [0; 12]).unwrap();
        drop((client, server.accept().unwrap()));
    };
    let (events, follow) = ("/v1/events", "/v1/explain/follow?flow=dst%3Dlocalhost");
    let mut first = Follower::start(&daemon, events, None);
    let mut decided = Follower::start(&daemon, follow, None);
    flow("localhost");
    let (id, name, data) = first.next();
    assert_eq!((&*name, &data["id"]), ("end", &1.into()));
    let (decided_id, name, data) = decided.next();
    assert_eq!((&*name, &data["id"]), ("decision", &1.into()));
    drop((first, decided));
    // Nobody reads meanwhile.
    flow("127.0.0.1");
    flow("localhost");
    assert_eq!(daemon.client(&["reload"]).status.code(), Some(0));
    eventually("all have ended", || {
        let told = daemon.json(&["diagnostics"]);
        (&told["flows_total"], &told["flows_live"]) == (&3.into(), &0.into())
    });
    let mut again = Follower::start(&daemon, events, Some(&id));
    let told: Vec<(String, String)> = (0..3)
        .map(|_| {
            let (id, name, _) = again.next();
            (id, name)
        })
        .collect();
    let mut names: Vec<&str> = told.iter().map(|(_, name)| &**name).collect();
    names.sort_unstable();
    assert_eq!(names, ["end", "end", "generation"], "{told:?}");
    assert!(told.iter().all(|(other, _)| *other != id));
    let mut again = Follower::start(&daemon, follow, Some(&decided_id));
    let (_, name, data) = again.next();
    assert_eq!((&*name, &data["id"]), ("decision", &3.into()));
    // What is not known, or never was, is no place to go on.
    for path in [events, follow] {
        for last in ["1-1", "nonsense"] {
            let (_, name, data) = Follower::start(&daemon, path, Some(last)).next();
            assert_eq!((&*name, &data["after"]), ("reset", &last.into()), "{path}");
        }
    }
    let mut asked = Follower::start(&daemon, "/v1/requests?id=7", Some("1-1"));
    let (first, second) = (asked.next(), asked.next());
    assert_eq!((&*first.1, &*second.1), ("subscribed", "reset"));
    assert_ne!(first.0, second.0);
}

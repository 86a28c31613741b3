//! Clients of the control socket that mean no good: slow, silent, many, and in no language.

use std::io::{ErrorKind, Read as _, Write as _};
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

//! Operators without luck: who hang up, ask twice, end what has just begun, and move addresses under load.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Running, client_path, eventually};

/// No step of a test takes longer, also on a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// A name server that says nothing before it is told to.
struct Silent(UdpSocket);

/// The queries that came before it was asked.
type Queries = Vec<(Vec<u8>, SocketAddr)>;

impl Silent {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// Waits until somebody asks.
    fn is_asked(&self) -> Queries {
        let mut query = [0; 512];
        let (length, client) = self.0.recv_from(&mut query).expect("a query");
        vec![(query[..length].to_vec(), client)]
    }

    /// Answers those, and whatever comes until `over`: A is 127.0.0.1, AAAA is nothing.
    fn answer_all(&self, queries: Queries, mut over: impl FnMut() -> bool) {
        let answer = |query: &[u8], client: SocketAddr| {
            let question = &query[12..];
            let end = question.iter().position(|octet| *octet == 0).unwrap() + 5;
            let is_a = question[end - 3] == 1;
            let mut answer = [
                &query[..2],
                &[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0],
            ]
            .concat();
            answer.extend(&question[..end]);
            if is_a {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            self.0.send_to(&answer, client).unwrap();
        };
        for (query, client) in queries {
            answer(&query, client);
        }
        let short = Some(Duration::from_millis(20));
        self.0.set_read_timeout(short).unwrap();
        let until = Instant::now() + PATIENCE;
        while !over() {
            assert!(Instant::now() < until, "it is not over in time");
            let mut query = [0; 512];
            if let Ok((length, client)) = self.0.recv_from(&mut query) {
                answer(&query[..length], client);
            }
        }
    }

    /// A configuration with these inbounds, and a forward that listens on a name that this server is asked for.
    fn config(&self, inbounds: &str) -> String {
        format!(
            "version: 1\ndns: {{ upstreams: {{ own: \"udp://{}\" }} }}\ninbounds:\n{inbounds}forwards:\n\
             \x20 slow: {{ listen: [\"tcp://slow.test:0\"], targets: [{{ name: o, address: \"tcp://127.0.0.1:9\" }}] }}\n\
             rules:\n  - FALLBACK, REJECT\n",
            self.0.local_addr().unwrap()
        )
    }
}

const STAYS: &str = "  stays: { type: mixed, listen: \"127.0.0.1:0\" }\n";

/// A daemon with two inbounds, of which the next configuration has one.
fn two_inbounds() -> Daemon {
    Daemon::native(&format!(
        "version: 1\ninbounds:\n{STAYS}  goes: {{ type: mixed, listen: \"127.0.0.2:0\" }}\nrules:\n  - FALLBACK, REJECT\n"
    ))
}

fn status(daemon: &Daemon) -> (String, Vec<String>, bool) {
    let status = daemon.json(&["status"]);
    let inbounds = status["inbounds"].as_array().unwrap().iter();
    (
        status["generation"].as_str().unwrap().to_owned(),
        inbounds
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect(),
        status["awaiting"].is_object(),
    )
}

fn serves(daemon: &Daemon, name: &str) -> bool {
    TcpStream::connect(daemon.address(name)).is_ok()
}

#[test]
fn who_hangs_up_during_a_reload_leaves_it_whole_and_its_roll_back_armed() {
    let server = Silent::start();
    let daemon = two_inbounds();
    daemon.write("pointsman.yaml", &server.config(STAYS));
    let mut client = UnixStream::connect(daemon.control()).unwrap();
    let body = "{\"confirm_within_ms\":4000}";
    let head = format!(
        "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
    let queries = server.is_asked();
    // It is under way, and shows nothing.
    drop(client);
    let both = ["stays", "goes"].map(str::to_owned).to_vec();
    assert_eq!(status(&daemon), ("1".into(), both.clone(), false));
    assert!(serves(&daemon, "goes"));
    let mut last = None;
    server.answer_all(queries, || {
        let now = status(&daemon);
        let over = now.0 == "2";
        last = Some(now);
        over
    });
    let one = ["stays", "slow"].map(str::to_owned).to_vec();
    assert_eq!(last.unwrap(), ("2".into(), one, true));
    eventually("the port that is gone is closed", || {
        !serves(&daemon, "goes")
    });
    eventually("nobody confirmed: both are back", || {
        status(&daemon) == ("3".into(), both.clone(), false)
    });
    assert!(serves(&daemon, "stays"));
    // The next number is one that nobody had.
    daemon.write("pointsman.yaml", "version: 1\npolicy: direct\n");
    assert!(daemon.client(&["reload"]).status.success());
    assert_eq!(status(&daemon).0, "4");
}

#[test]
fn an_end_waits_for_no_reload() {
    let server = Silent::start();
    let mut daemon = two_inbounds();
    daemon.write("pointsman.yaml", &server.config(STAYS));
    daemon.signal("HUP");
    let _unanswered = server.is_asked();
    let begun = Instant::now();
    daemon.signal("TERM");
    let ended = daemon.wait(PATIENCE);
    assert!(ended.success(), "{ended}");
    // The look-up that the reload waits for takes longer.
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    let log = daemon.log();
    assert!(log.contains("draining"), "{log}");
    assert!(
        log.contains("nothing changed: the daemon is stopping"),
        "{log}"
    );
}

#[test]
fn a_stop_waits_for_no_reload_and_the_client_of_that_is_told() {
    let server = Silent::start();
    let mut daemon = two_inbounds();
    daemon.write("pointsman.yaml", &server.config(STAYS));
    let reload = Command::new(client_path())
        .arg("--control")
        .arg(daemon.control())
        .arg("reload")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _unanswered = server.is_asked();
    assert!(daemon.client(&["stop"]).status.success());
    assert!(daemon.wait(PATIENCE).success());
    let output = reload.wait_with_output().unwrap();
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn a_storm_of_signals_ends_in_the_last_configuration() {
    let mut daemon = two_inbounds();
    let at = daemon.address("stays");
    let (over, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (ends, counts) = (Arc::clone(&over), Arc::clone(&served));
    let client = std::thread::spawn(move || {
        while !ends.load(Ordering::Relaxed) {
            let mut client = TcpStream::connect(at).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client
                .write_all(b"GET http://127.0.0.1:9/ HTTP/1.0\r\n\r\n")
                .unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 403"), "{answer:?}");
            counts.fetch_add(1, Ordering::Relaxed);
        }
    });
    for number in 0..100 {
        daemon.write(
            "pointsman.yaml",
            &format!(
                "version: 1\ninbounds:\n{STAYS}  now-{number}: {{ type: mixed, listen: \"127.0.0.2:0\" }}\n\
                 rules:\n  - FALLBACK, REJECT\n"
            ),
        );
        daemon.signal("HUP");
    }
    let last = ["stays", "now-99"].map(str::to_owned).to_vec();
    eventually("the last configuration is in force", || {
        status(&daemon).1 == last
    });
    let before = served.load(Ordering::Relaxed);
    eventually("clients are served", || {
        served.load(Ordering::Relaxed) > before + 3
    });
    over.store(true, Ordering::Relaxed);
    client.join().expect("no client was lost");
    daemon.signal("HUP");
    daemon.signal("TERM");
    assert!(daemon.wait(PATIENCE).success());
}

/// Whether a process has a handler for SIGHUP (proc_pid_status(5)).
fn catches_hangups(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 != 0))
}

#[test]
fn a_hangup_before_the_first_configuration_is_read_is_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pointsman.yaml");
    // The reading goes on until somebody writes into the pipe.
    let pipe = directory.path().join("secret");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let text = format!(
        "version: 1\ninbounds:\n{STAYS}outbounds:\n  up: {{ type: http, server: \"127.0.0.1:9\", username: u, \
         password: {{ from_file: secret }}, served_by: {{ user: nobody }} }}\nrules:\n  - FALLBACK, REJECT\n"
    );
    std::fs::write(&path, text).unwrap();
    let control = directory.path().join("control.sock");
    let log = directory.path().join("log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsmand"));
    command
        .arg("--config")
        .arg(&path)
        .arg("--control")
        .arg(&control);
    command.arg("--state").arg(directory.path().join("state"));
    command
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut daemon = Running(command.spawn().unwrap());
    let pid = daemon.0.id();
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args(["-s", name, &pid.to_string()])
            .status();
        assert!(sent.unwrap().success());
    };
    // Opened for writing once it is opened for reading: the daemon is in the middle of the configuration.
    let mut first = std::fs::File::options().write(true).open(&pipe).unwrap();
    assert!(catches_hangups(pid));
    signal("HUP");
    first.write_all(b"one\n").unwrap();
    drop(first);
    eventually("the configuration is read", || {
        let log = std::fs::read_to_string(&log).unwrap();
        log.contains("configuration read")
    });
    // The reload reads it again.
    let mut second = std::fs::File::options().write(true).open(&pipe).unwrap();
    let so_far = std::fs::read_to_string(&log).unwrap();
    assert!(!so_far.contains("reloaded"), "{so_far}");
    second.write_all(b"two\n").unwrap();
    drop(second);
    eventually("it is reloaded", || {
        std::fs::read_to_string(&log).unwrap().contains("reloaded")
    });
    let all = std::fs::read_to_string(&log).unwrap();
    assert_eq!(all.matches("reloaded").count(), 1, "{all}");
    signal("TERM");
    assert!(daemon.0.wait().unwrap().success());
}

#[test]
fn an_end_that_is_asked_for_before_the_first_configuration_is_in_force_is_one() {
    let server = Silent::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pointsman.yaml");
    std::fs::write(&path, server.config(STAYS)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsmand"));
    command
        .arg("--config")
        .arg(&path)
        .arg("--control")
        .arg(directory.path().join("control.sock"));
    command.arg("--state").arg(directory.path().join("state"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut daemon = Running(command.spawn().unwrap());
    let _unanswered = server.is_asked();
    let begun = Instant::now();
    let killed = Command::new("kill")
        .args(["-s", "TERM", &daemon.0.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    assert!(daemon.0.wait().unwrap().success());
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn an_address_becomes_every_address_of_both_families_and_narrow_again() {
    let inbound = |listen: &str| {
        format!(
            "version: 1\ninbounds: {{ m: {{ type: mixed, listen: \"{listen}\", users: {{ a: b }} }} }}\n\
             rules:\n  - FALLBACK, REJECT\n"
        )
    };
    let forward = |listen: &str| {
        format!(
            "version: 1\nforwards:\n  m: {{ listen: [\"tcp://{listen}\"], targets: [{{ name: o, address: \"tcp://127.0.0.1:9\" }}] }}\n"
        )
    };
    let forms: [&dyn Fn(&str) -> String; 2] = [&inbound, &forward];
    for form in forms {
        let daemon = Daemon::native(&form("127.0.0.1:0"));
        let port = daemon.address("m").port();
        for (listen, four, six) in [
            (format!("[::]:{port}"), true, true),
            (format!("127.0.0.1:{port}"), true, false),
            (format!("0.0.0.0:{port}"), true, false),
            (format!("[::1]:{port}"), false, true),
            (format!("[::]:{port}"), true, true),
        ] {
            daemon.write("pointsman.yaml", &form(&listen));
            let reloaded = daemon.client(&["reload"]);
            assert!(reloaded.status.success(), "{listen}: {reloaded:?}");
            let connects = |host: &str| TcpStream::connect(format!("{host}:{port}")).is_ok();
            assert_eq!(
                (connects("127.0.0.1"), connects("[::1]")),
                (four, six),
                "{listen}"
            );
        }
    }
}

#[test]
fn every_address_of_other_programs_is_of_both_families() {
    let clash =
        "mixed-port: 17890\nallow-lan: true\nbind-address: \"*\"\nrules:\n  - MATCH,DIRECT\n";
    let sing_box = "{ \"inbounds\": [ { \"type\": \"mixed\", \"tag\": \"in\", \"listen\": \"::\", \"listen_port\": 17890 } ],\
         \"outbounds\": [ { \"type\": \"direct\", \"tag\": \"direct\" } ], \"route\": { \"final\": \"direct\" } }";
    for (name, text) in [("clash.yaml", clash), ("sing-box.json", sing_box)] {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (
            directory.path().join(name),
            directory.path().join("to.yaml"),
        );
        std::fs::write(&from, text).unwrap();
        let converted = Command::new(client_path())
            .arg("convert")
            .arg(&from)
            .arg("-o")
            .arg(&to)
            .output();
        let converted = converted.unwrap();
        assert!(to.exists(), "{converted:?}");
        let text = std::fs::read_to_string(&to).unwrap();
        // Any free port in the place of theirs.
        let daemon = Daemon::native(&text.replace("17890", "0"));
        let port = daemon
            .ready
            .values()
            .map(|(_, address)| address.rsplit(':').next().unwrap());
        let port = port.max().unwrap().to_owned();
        for host in ["127.0.0.1", "[::1]"] {
            let connected = TcpStream::connect(format!("{host}:{port}"));
            assert!(connected.is_ok(), "{name} by {host}: {connected:?}\n{text}");
        }
    }
}

//! L4 forwards between real clients and servers: HAProxy behind the PROXY protocol, Unix sockets at both
//! ends, balancing, limits, outbounds, reloads.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::client::{connect, echoes};
use crate::curl;
use crate::daemon::{Daemon, Running, Start, eventually};
use crate::origin::{Http, echo, nobody};

/// An HAProxy that tells its origin whom it takes for the client.
struct HaProxy {
    /// Where it wants the PROXY header first.
    told: SocketAddr,
    /// Where it wants none.
    plain: PathBuf,
    origin: Http,
    _running: Running,
    _directory: tempfile::TempDir,
}

impl HaProxy {
    fn start() -> Self {
        let origin = Http::start("origin");
        let directory = tempfile::tempdir().unwrap();
        let (told, plain) = (nobody(), directory.path().join("plain.sock"));
        let text = format!(
            "defaults\n  mode http\n  timeout client 10s\n  timeout connect 10s\n  timeout server 10s\n\
             frontend told\n  bind {told} accept-proxy\n  default_backend origin\n\
             frontend plain\n  bind unix@{}\n  default_backend origin\n\
             backend origin\n  http-request set-header X-Source %[src]\n  server origin {}\n",
            plain.display(),
            origin.address
        );
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        let running = Running::start(command);
        eventually("HAProxy listens", || TcpStream::connect(told).is_ok());
        Self {
            told,
            plain,
            origin,
            _running: running,
            _directory: directory,
        }
    }

    /// Whom it took for the client of the last request.
    fn source(&self) -> String {
        let heads = self.origin.heads.lock().unwrap();
        let head = heads.last().unwrap();
        let line = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("x-source: ")
                .map(str::to_owned)
        });
        line.unwrap_or_else(|| panic!("no source in {head}"))
    }
}

fn native(forwards: &str) -> String {
    format!("version: 1\nforwards:\n{forwards}")
}

/// The name that the server at the other end of a forward answers with; empty where it did not.
fn answered_by(address: SocketAddr) -> String {
    let (text, _code) = curl(&[&format!("http://{address}/")]);
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn the_target_is_told_who_the_client_is() {
    let haproxy = HaProxy::start();
    let told = haproxy.told;
    let natively = Daemon::native(&native(&format!(
        "  four: {{ listen: [\"tcp://127.0.0.1:0\"], proxy_header: true, targets: [{{ name: h, address: \"tcp://{told}\" }}] }}\n\
         \x20 six: {{ listen: [\"tcp://[::1]:0\"], proxy_header: true, targets: [{{ name: h, address: \"tcp://{told}\" }}] }}\n\
         \x20 silent: {{ listen: [\"tcp://127.0.0.1:0\"], targets: [{{ name: h, address: \"tcp://{told}\" }}] }}\n"
    )));
    let proxy = |name: &str, listen: &str| {
        format!(
            "    - name: {name}\n      listener: {{ address: \"{listen}\" }}\n      target: {{ address: \"{told}\" }}\n\
             \x20     options: {{ enable_proxy_header: true }}\n"
        )
    };
    let as_bitflow = Daemon::start(&Start {
        files: vec![(
            "config.yaml",
            format!(
                "server:\n  proxies:\n{}{}",
                proxy("four", "127.0.0.1:0"),
                proxy("six", "[::1]:0")
            ),
        )],
        config: "config.yaml",
        ..Start::default()
    });
    for daemon in [&natively, &as_bitflow] {
        for (name, source) in [("four", "127.0.0.7"), ("four", "127.0.0.8"), ("six", "::1")] {
            let url = format!("http://{}/", daemon.address(name));
            let (text, code) = curl(&["--interface", source, &url]);
            assert_eq!(code, 0, "{name}");
            assert!(text.starts_with("origin GET / "), "{text}");
            assert_eq!(haproxy.source(), source, "{name}");
        }
    }
    // HAProxy insists on the header: what is not switched on is not sent.
    let url = format!("http://{}/", natively.address("silent"));
    assert_ne!(curl(&[&url]).1, 0);
}

#[test]
fn the_header_tells_families_apart() {
    let haproxy = HaProxy::start();
    let (told, port) = (haproxy.told, nobody().port());
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("in.sock");
    let _daemon = Daemon::native(&native(&format!(
        "  all: {{ listen: [\"tcp://[::]:{port}\", \"unix://{}\"], proxy_header: true, targets: [{{ name: h, address: \"tcp://{told}\" }}] }}\n",
        socket.display()
    )));
    let seen = |words: &[&str]| {
        let (text, code) = curl(words);
        assert!(
            code == 0 && text.starts_with("origin GET / "),
            "{words:?}: {code} {text}"
        );
        haproxy.source()
    };
    // Whoever came over IPv4 has an IPv4 address, whatever the socket's family is.
    let (four, six) = (
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::1]:{port}/"),
    );
    assert_eq!(seen(&["--interface", "127.0.0.7", &four]), "127.0.0.7");
    assert_eq!(seen(&["--interface", "::1", &six]), "::1");
    // A client without an address is unknown: HAProxy sees the forward itself.
    let socket = socket.to_str().unwrap();
    assert_eq!(
        seen(&["--unix-socket", socket, "http://a.test/"]),
        "127.0.0.1"
    );
}

#[test]
fn unix_sockets_at_either_end() {
    let haproxy = HaProxy::start();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("in.sock");
    let (listen, plain) = (socket.display(), haproxy.plain.display());
    let mut daemon = Daemon::native(&native(&format!(
        "  inward: {{ listen: [\"unix://{listen}\"], targets: [{{ name: t, address: \"tcp://{}\" }}] }}\n\
         \x20 outward: {{ listen: [\"tcp://127.0.0.1:0\"], targets: [{{ name: u, address: \"unix://{plain}\" }}] }}\n",
        haproxy.origin.address
    )));
    assert_eq!(daemon.ready["inward"].1, format!("unix:{listen}"));
    let (text, _) = curl(&[
        "--unix-socket",
        socket.to_str().unwrap(),
        "http://a.test/in",
    ]);
    assert_eq!(text, "origin GET /in host=a.test body=0\n");
    let flow = daemon.last_flow();
    assert_eq!(flow["inbound"]["type"], "forward", "{flow}");
    assert_eq!(flow["inbound"]["name"], "inward", "{flow}");
    assert_eq!(flow["member"], "t", "{flow}");
    let url = format!("http://{}/out", daemon.address("outward"));
    let (text, _) = curl(&[&url]);
    assert!(text.starts_with("origin GET /out "), "{text}");
    assert_eq!(daemon.last_flow()["member"], "u");
    // The socket file goes with the daemon.
    assert!(socket.exists());
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(15)).success());
    assert!(!socket.exists());
}

#[test]
fn targets_are_chosen_by_balance() {
    let (a, b, dead) = (Http::start("A"), Http::start("B"), nobody());
    let target = |name: &str, address: SocketAddr| {
        format!("{{ name: {name}, address: \"tcp://{address}\" }}")
    };
    let forward = |name: &str, balance: &str, targets: [String; 2]| {
        format!(
            "  {name}: {{ listen: [\"tcp://127.0.0.1:0\"], balance: {balance}, targets: [{}] }}\n",
            targets.join(", ")
        )
    };
    let daemon = Daemon::native(&native(
        &[
            forward(
                "turns",
                "round-robin",
                [target("a", a.address), target("b", b.address)],
            ),
            forward(
                "spare",
                "failover",
                [target("gone", dead), target("b", b.address)],
            ),
            forward(
                "first",
                "none",
                [target("gone", dead), target("b", b.address)],
            ),
            forward(
                "broken",
                "failover",
                [target("one", dead), target("two", dead)],
            ),
        ]
        .concat(),
    ));
    let turns: Vec<String> = (0..5)
        .map(|_| answered_by(daemon.address("turns")))
        .collect();
    assert_eq!(turns, ["A", "B", "A", "B", "A"]);
    for (name, expected, member) in [
        ("spare", "B", "b"),
        ("first", "", "gone"),
        ("broken", "", "two"),
    ] {
        assert_eq!(answered_by(daemon.address(name)), expected, "{name}");
        let flow = daemon.last_flow();
        assert_eq!(flow["inbound"]["name"], name, "{flow}");
        assert_eq!(flow["member"], member, "{flow}");
        let ended = if expected.is_empty() {
            "failed"
        } else {
            "closed"
        };
        assert_eq!(flow["ended"], ended, "{flow}");
    }
    // Status shows which targets are passed by.
    let outbounds = daemon.json(&["outbounds", "list"]);
    let failing = |name: &str| {
        let all = outbounds["outbounds"].as_array().unwrap();
        let found = all.iter().find(|it| it["name"] == name).unwrap();
        let failing = found["failing"].as_array().cloned().unwrap_or_default();
        let names = failing
            .iter()
            .map(|it| it["target"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(failing("turns"), [""; 0]);
    assert_eq!(failing("spare"), ["gone"]);
    assert_eq!(failing("broken"), ["one", "two"]);
    // A failure names each that was tried.
    let error = daemon.last_flow()["error"].to_string();
    assert!(
        error.contains("one: ") && error.contains("two: "),
        "{error}"
    );
}

#[test]
fn connections_above_the_limit_are_closed_and_recorded() {
    let daemon = Daemon::native(&native(&format!(
        "  narrow: {{ listen: [\"tcp://127.0.0.1:0\"], connection_limit: 1, targets: [{{ name: e, address: \"tcp://{}\" }}] }}\n",
        echo()
    )));
    let mut first = connect(daemon.address("narrow"));
    assert!(echoes(&mut first, "first"));
    let mut second = connect(daemon.address("narrow"));
    let mut said = Vec::new();
    let ended = second.read_to_end(&mut said);
    let waits = matches!(&ended, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!waits && said.is_empty(), "{ended:?} {said:?}");
    let flow = daemon.last_flow();
    assert_eq!(flow["id"], 2, "{flow}");
    let why = flow.to_string();
    assert!(why.contains("`connection_limit` allows (1)"), "{why}");
    // It went to no target, and every view of it says so.
    assert_eq!(
        (&flow["action"], &flow["member"]),
        (&"reject".into(), &serde_json::Value::Null),
        "{flow}"
    );
    let explained = daemon.json(&["explain", "--id", "2"]);
    assert_eq!(explained["decision"]["action"], "reject", "{explained}");
    assert_eq!(
        explained["decision"]["member"],
        serde_json::Value::Null,
        "{explained}"
    );
    assert_eq!(explained["flow"]["ended"], "refused", "{explained}");
    for words in [
        &["flows", "list", "--recent"][..],
        &["explain", "--id", "2"],
    ] {
        let shown = String::from_utf8(daemon.client(words).stdout).unwrap();
        assert!(
            shown.contains("refused") && shown.contains("`connection_limit` allows (1)"),
            "{shown}"
        );
    }
    assert_eq!(explained["reason"], flow["error"], "{explained}");
    let log = daemon.log();
    let told = log
        .lines()
        .find(|line| line.contains("WARN") && line.contains("reason=\"full\""));
    let told = told.unwrap_or_else(|| panic!("{log}"));
    for words in [
        "flow refused",
        "outbound=\"narrow\"",
        "`connection_limit` allows (1)",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert!(echoes(&mut first, "still here"));
    drop(first);
    // Whoever leaves makes room.
    eventually("the next one is served", || {
        echoes(&mut connect(daemon.address("narrow")), "third")
    });
}

#[test]
fn a_target_is_reached_by_way_of_an_outbound() {
    let origin = Http::start("origin");
    let proxy = Daemon::native(
        "version: 1\ninbounds:\n  desk: { type: socks5, listen: \"127.0.0.1:0\" }\nrules:\n  - FALLBACK, DIRECT\n",
    );
    let daemon = Daemon::native(&format!(
        "version: 1\noutbounds:\n  far: {{ type: socks5, server: \"{}\" }}\nforwards:\n\
         \x20 web: {{ listen: [\"tcp://127.0.0.1:0\"], targets: [{{ name: o, address: \"tcp://{}\", via: far }}] }}\n",
        proxy.address("desk"),
        origin.address
    ));
    assert_eq!(answered_by(daemon.address("web")), "origin");
    let flow = daemon.last_flow();
    assert_eq!(
        (&flow["member"], &flow["action"]),
        (&"o".into(), &"proxy".into()),
        "{flow}"
    );
    let flow = proxy.last_flow();
    assert_eq!(flow["inbound"]["name"], "desk", "{flow}");
    assert_eq!(flow["destination"]["port"], origin.address.port(), "{flow}");
}

#[test]
fn a_reload_keeps_listeners_and_flows_of_forwards() {
    let (echo, origin) = (echo(), Http::start("origin"));
    let forward = |name: &str, to: SocketAddr| {
        format!(
            "  {name}: {{ listen: [\"tcp://127.0.0.1:0\"], targets: [{{ name: t-{name}, address: \"tcp://{to}\" }}] }}\n"
        )
    };
    // Another port than 0, for two that ask for port 0 are alike.
    let fixed = |name: &str, at: SocketAddr| {
        forward(name, origin.address).replace("127.0.0.1:0", &at.to_string())
    };
    let (old, new) = (nobody(), nobody());
    let daemon = Daemon::native(&native(&(forward("kept", echo) + &fixed("old", old))));
    let kept = daemon.address("kept");
    let mut flow = connect(kept);
    assert!(echoes(&mut flow, "before"));
    assert_eq!(answered_by(old), "origin");
    daemon.write(
        "pointsman.yaml",
        &native(&(forward("kept", echo) + &fixed("new", new))),
    );
    let output = daemon.client(&["reload"]);
    assert!(output.status.success(), "{output:?}");
    assert!(echoes(&mut flow, "after"));
    assert!(echoes(&mut connect(kept), "another"));
    assert_eq!(answered_by(new), "origin");
    assert!(TcpStream::connect(old).is_err());
    let status = daemon.json(&["status"]);
    let names: Vec<&str> = status["inbounds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["kept", "new"]);
    let explained = daemon.json(&["explain", "--inbound", "forward:new"]);
    assert_eq!(explained["decision"]["outbound"], "new", "{explained}");
    assert_eq!(explained["decision"]["member"], "t-new", "{explained}");
}

#[test]
fn socket_files_come_and_go_with_their_forwards() {
    let (origin, directory) = (Http::start("origin"), tempfile::tempdir().unwrap());
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let forward = |name: &str| {
        let (listen, to) = (path(name), origin.address);
        native(&format!(
            "  {name}: {{ listen: [\"unix://{listen}\"], targets: [{{ name: o, address: \"tcp://{to}\" }}] }}\n"
        ))
    };
    let serves = |name: &str| {
        let words = ["--unix-socket", &path(name), "http://a.test/"];
        curl(&words).0.starts_with("origin ")
    };
    let mut daemon = Daemon::native(&forward("one"));
    assert!(serves("one"));
    daemon.write("pointsman.yaml", &forward("two"));
    assert!(daemon.client(&["reload"]).status.success());
    assert!(serves("two"));
    eventually("the removed forward's file is gone", || {
        !Path::new(&path("one")).exists()
    });
    // What a dead daemon left is replaced; what a living one serves is not.
    daemon.signal("KILL");
    daemon.wait(Duration::from_secs(5));
    assert!(Path::new(&path("two")).exists());
    let second = Daemon::native(&forward("two"));
    assert!(serves("two"));
    let third = Daemon::try_start(&Start {
        files: vec![("pointsman.yaml", forward("two"))],
        config: "pointsman.yaml",
        ..Start::default()
    });
    let Err((status, log)) = third else {
        panic!("two daemons serve one socket")
    };
    assert!(!status.success() && log.contains(&path("two")), "{log}");
    assert!(serves("two"));
    drop(second);
}

//! QUIC by a real client and server (aioquic) through SOCKS5: directly, by proxies, by chains; its name decides.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::daemon::{Daemon, Start, eventually};
use crate::upstream::{NAME, PASSWORD, SingBox, USER};

const MIXED: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n\
                     sniff: { timeout: 10s }\n";

/// The script that is both ends, in the Python that `cargo xtask test` equips.
fn script(words: &[&str]) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(here.join("../../target/python/bin/python"));
    command.arg(here.join("tests/e2e/quic.py")).args(words);
    command
}

/// A server of QUIC that answers each stream in reverse; ends with the test.
struct Server {
    child: Child,
    /// Whose end it waits for.
    input: Option<ChildStdin>,
    port: u16,
    certificate: PathBuf,
}

impl Server {
    fn start(words: &[&str]) -> Self {
        let mut child = script(&[&["server"], words].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("aioquic is installed (./test installs what the tests need)");
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let (port, certificate) = line.trim().split_once(' ').unwrap();
        Self {
            port: port.parse().unwrap(),
            certificate: certificate.into(),
            input: child.stdin.take(),
            child,
        }
    }

    /// What comes of a client's 100 kB to that name, at that host.
    fn asked(&self, daemon: &Daemon, host: &str, name: &str, words: &[&str]) -> Value {
        let proxy = daemon.address("desk").to_string();
        let target = format!("{host}:{}", self.port);
        let certificate = self.certificate.to_str().unwrap();
        let words = [&["client", &proxy, &target, certificate, name], words].concat();
        let output = script(&words).output().unwrap();
        let said = serde_json::from_slice(&output.stdout);
        said.unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _reaped = self.child.wait();
    }
}

/// The record of the flow over UDP that comes next in the access log; `seen` have been there.
fn logged(daemon: &Daemon, seen: &mut usize) -> Value {
    let path = daemon.directory.path().join("flows.log");
    let mut next = None;
    eventually("the flow is in the access log", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines = text.lines().filter_map(|it| serde_json::from_str(it).ok());
        let mut udp = lines.filter(|it: &Value| it["network"] == "udp");
        next = udp.nth(*seen);
        next.is_some()
    });
    *seen += 1;
    next.unwrap()
}

#[test]
fn the_name_decides_and_stands_in_the_record() {
    let daemon = Daemon::native(&format!(
        "{MIXED}access_log: flows.log\n\
         rules:\n  - DOMAIN, secret.test, DIRECT\n  - FALLBACK, REJECT\n"
    ));
    let mut seen = 0;
    for (address, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let server = Server::start(&[address]);
        for words in [&[][..], &["large"], &["large", "reordered"]] {
            let told = server.asked(&daemon, host, "secret.test", words);
            assert_eq!(told["answered"], true, "{words:?}: {told}");
            let sent = told["sent"].as_array().unwrap().len();
            assert_eq!(sent > 1, words.contains(&"large"), "{told}");
            let record = logged(&daemon, &mut seen);
            assert_eq!(record["protocol"], "quic", "{record}");
            assert_eq!(record["domain"], "secret.test", "{record}");
            assert_eq!(record["sniff"]["quic_version"], "1", "{record}");
            assert_eq!(record["rule"]["text"], "DOMAIN, secret.test, DIRECT");
            for direction in ["bytes_sent", "bytes_received"] {
                assert!(record[direction].as_u64() > Some(100_000), "{record}");
            }
        }
        // The server would serve it; the rules do not.
        let told = server.asked(&daemon, host, "other.test", &[]);
        assert_eq!(told["error"], "nothing came in time", "{told}");
        let record = logged(&daemon, &mut seen);
        assert_eq!(record["ended"], "refused", "{record}");
        assert_eq!(record["domain"], "other.test", "{record}");
        assert_eq!(record["bytes_received"], 0, "{record}");
    }
}

#[test]
fn a_retry_goes_on_in_the_same_flow() {
    let daemon = Daemon::native(&format!(
        "{MIXED}access_log: flows.log\n\
         rules:\n  - DOMAIN, secret.test, DIRECT\n  - FALLBACK, REJECT\n"
    ));
    let mut seen = 0;
    let server = Server::start(&["127.0.0.1", "retry"]);
    for words in [&[][..], &["large"]] {
        let told = server.asked(&daemon, "127.0.0.1", "secret.test", words);
        assert_eq!(told["answered"], true, "{told}");
        assert_eq!(told["retried"], true, "{told}");
        let record = logged(&daemon, &mut seen);
        assert_eq!(record["domain"], "secret.test", "{record}");
        assert!(record["bytes_sent"].as_u64() > Some(100_000), "{record}");
    }
}

#[test]
fn proxies_and_chains_carry_it() {
    let server = Server::start(&["127.0.0.1"]);
    let sing_box = SingBox::start();
    let socks = sing_box.socks;
    let login = format!("username: {USER}, password: \"{PASSWORD}\"");
    let hop = || Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let (first, second) = (hop(), hop());
    let (one, two) = (first.address("desk"), second.address("desk"));
    let daemon = Daemon::start(&Start {
        files: vec![(
            "pointsman.yaml",
            format!(
                "{MIXED}access_log: flows.log\n\
                 outbounds:\n\
                 \x20 p: {{ type: socks5, server: \"{socks}\", udp: true, {login} }}\n\
                 \x20 one: {{ type: socks5, server: \"{one}\", udp: true }}\n\
                 \x20 two: {{ type: socks5, server: \"{two}\", udp: true }}\n\
                 \x20 both: {{ type: chain, hops: [one, two] }}\n\
                 rules:\n\
                 \x20 - DOMAIN, secret.test, p\n\
                 \x20 - DOMAIN, other.test, both\n\
                 \x20 - DOMAIN, {NAME}, p\n\
                 \x20 - FALLBACK, REJECT\n"
            ),
        )],
        config: "pointsman.yaml",
        ..Start::default()
    });
    let mut seen = 0;
    let mut check = |host: &str, name: &str, words: &[&str], outbound: &str| {
        let told = server.asked(&daemon, host, name, words);
        assert_eq!(told["answered"], true, "{name}: {told}");
        let record = logged(&daemon, &mut seen);
        assert_eq!(record["outbound"], outbound, "{record}");
    };
    check("127.0.0.1", "secret.test", &["large", "reordered"], "p");
    // The client's word for the place is what the proxy hears and what the answers name.
    check(NAME, "secret.test", &[], "p");
    check("127.0.0.1", "other.test", &["large"], "both");
    let log = sing_box.log();
    let place = |host: &str| format!("packet connection to {host}:{}", server.port);
    assert!(log.contains(&place("127.0.0.1")), "{log}");
    assert!(log.contains(&place(NAME)), "{log}");
    for hop in [first, second] {
        eventually("its flow has ended", || {
            let flows = hop.json(&["flows", "list", "network=udp", "--recent"]);
            flows["flows"]
                .as_array()
                .is_some_and(|all| all.len() == 1 && !all[0]["ended"].is_null())
        });
    }
}

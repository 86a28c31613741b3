//! What a short connection costs in system calls, counted by strace: a budget that is not to be overdrawn.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::client::{connect, socks};
use crate::daemon::{Daemon, Start, eventually};

/// For a connection with one question and one answer; waits are not counted.
const FORWARDED: usize = 19;
const BY_SOCKS5: usize = 23;

#[test]
fn a_short_connection_costs_few_system_calls() {
    if !can_trace() {
        eprintln!("skipped: strace may not trace here, so that system calls are not counted");
        return;
    }
    let server = answering();
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let config = format!(
        "inbounds:\n  proxy: {{ type: socks5, listen: 127.0.0.1:0 }}\n\
         forwards:\n  forward:\n    listen: [\"tcp://127.0.0.1:0\"]\n    \
         targets: [{{ name: server, address: \"tcp://{server}\" }}]\n\
         rules:\n  - FALLBACK, DIRECT\n"
    );
    let words = ["strace", "-D", "-ff", "-qq", "-o"].map(str::to_owned);
    let daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", config)],
        config: "pointsman.yaml",
        args: vec!["--workers", "1"],
        starter: [&words[..], &[trace.to_str().unwrap().to_owned()]].concat(),
        ..Start::default()
    });
    let calls = |connection: &dyn Fn() -> TcpStream| {
        let before = connections(directory.path()).len();
        for _ in 0..TIMES {
            asks(connection());
        }
        // The last one's end is seen where the next begins.
        asks(connection());
        eventually("the trace is written", || {
            connections(directory.path()).len() > before + TIMES
        });
        let all = connections(directory.path());
        all[before..before + TIMES].to_vec()
    };
    let forward = calls(&|| connect(daemon.address("forward")));
    let proxy = calls(&|| {
        socks(daemon.address("proxy"), "127.0.0.1", server.port())
            .unwrap()
            .1
    });
    for (what, budget, traced) in [
        ("forwarded", FORWARDED, forward),
        ("by SOCKS5", BY_SOCKS5, proxy),
    ] {
        // Bytes that come a moment later cost a look in vain: the cheapest shows what all of them need.
        let cheapest = traced.iter().min_by_key(|calls| calls.len()).unwrap();
        eprintln!("{what}: {} calls", cheapest.len());
        assert!(
            cheapest.len() <= budget,
            "a connection {what} costs {} system calls, the budget is {budget}:\n{}",
            cheapest.len(),
            cheapest.join("\n")
        );
    }
}

/// So many connections of each sort.
const TIMES: usize = 20;

fn can_trace() -> bool {
    let mut tried = Command::new("strace");
    tried.args(["-qq", "-o", "/dev/null", "true"]);
    tried.status().is_ok_and(|status| status.success())
}

/// One question and one answer, then the ends of both sides.
fn asks(mut connection: TcpStream) {
    connection.write_all(b"question").unwrap();
    let mut answer = [0; 6];
    connection.read_exact(&mut answer).unwrap();
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).unwrap();
    assert_eq!((&answer, rest.len()), (b"answer", 0));
}

/// Answers each question, and ends when its client does.
fn answering() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut question = [0; 8];
            while client.read_exact(&mut question).is_ok() {
                client.write_all(b"answer").unwrap();
            }
        }
    });
    address
}

/// The calls from each accepted connection to the next, waits left out.
fn connections(directory: &Path) -> Vec<Vec<String>> {
    let traces = std::fs::read_dir(directory).unwrap();
    let traces = traces.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let mut connections: Vec<Vec<String>> = Vec::new();
    // A file for each thread; one is the only worker's.
    let is_accepted = |line: &str| line.starts_with("accept4(") && line.contains("sin_port");
    let worker = traces.filter(|text| text.lines().any(is_accepted)).last();
    for line in worker.unwrap_or_default().lines() {
        if is_accepted(line) {
            connections.push(Vec::new());
        }
        // A debug build's standard library looks at each descriptor before it closes it.
        let ignored = ["epoll_wait(", "futex(", "fcntl("];
        let counts = !ignored.iter().any(|call| line.starts_with(call));
        if let Some(last) = connections.last_mut().filter(|_| counts) {
            last.push(line.to_owned());
        }
    }
    connections
}

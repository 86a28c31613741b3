//! Clients that mean no good, and the servers that they have to themselves.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Start, eventually};
use crate::origin::{Http, echo};

/// No step of a test takes longer, also on a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);

const OPEN: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\nrules:\n  - FALLBACK, DIRECT\n";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes until the end, which must come; a reset is one.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        let ended = matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        );
        assert!(ended, "no end: {error}");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends bytes, all of which need not be taken, and hears the answer to its end.
fn told(daemon: &Daemon, bytes: &[u8]) -> String {
    let mut client = connect(daemon.address("desk"));
    let _refused_midway = client.write_all(bytes);
    rest(&mut client)
}

fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut one = [0];
        stream.read_exact(&mut one).unwrap();
        bytes.extend(one);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_server_that_switches_unasked_gets_nobodys_next_request() {
    let evil = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = evil.local_addr().unwrap();
    let daemon = Daemon::native(OPEN);
    for offer in ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n"] {
        let mut client = connect(daemon.address("desk"));
        let request = format!("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n{offer}\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let (mut server, _) = evil.accept().unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        head(&mut server);
        server
            .write_all(b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: tap\r\n\r\n")
            .unwrap();
        let answer = head(&mut client);
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        let next = "GET http://bank.test/ HTTP/1.1\r\nHost: bank.test\r\nCookie: session=1\r\n\r\n";
        let _closed_already = client.write_all(next.as_bytes());
        rest(&mut client);
        assert_eq!(rest(&mut server), "", "after {offer:?}");
    }
}

#[test]
fn a_client_that_expects_and_is_refused_is_not_misread() {
    let evil = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = evil.local_addr().unwrap();
    let daemon = Daemon::native(OPEN);
    let mut client = connect(daemon.address("desk"));
    let expecting =
        format!("POST http://{at}/ HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n");
    client.write_all(expecting.as_bytes()).unwrap();
    let (mut server, _) = evil.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    head(&mut server);
    let refusal = b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n";
    server.write_all(refusal).unwrap();
    let answer = head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    // It never sends its body: what comes next is a request, and nobody may take it for the body.
    let next = "GET http://bank.test/ HTTP/1.1\r\nCookie: session=1\r\n\r\n";
    let _closed_already = client.write_all(next.as_bytes());
    rest(&mut client);
    assert_eq!(rest(&mut server), "");
}

#[test]
fn clients_that_leave_a_silent_server_leave_nothing_behind() {
    const CLIENTS: usize = 200;
    let tarpit = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = tarpit.local_addr().unwrap();
    let daemon = Daemon::native(OPEN);
    let before = daemon.descriptors_at_rest();
    let request = format!("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = connect(daemon.address("desk"));
        client.write_all(request.as_bytes()).unwrap();
        held.push((client, tarpit.accept().unwrap().0));
    }
    assert!(daemon.descriptors() >= before + 2 * CLIENTS);
    let servers: Vec<TcpStream> = held.into_iter().map(|(_client, server)| server).collect();
    eventually("each connection is closed", || {
        daemon.descriptors() <= before
    });
    drop(servers);
}

#[test]
fn what_two_readers_could_read_differently_goes_nowhere() {
    let origin = Http::start("origin");
    let (at, daemon) = (origin.address, Daemon::native(OPEN));
    let smuggled = format!("GET http://{at}/smuggled HTTP/1.1\r\nHost: {at}\r\n\r\n");
    let length = smuggled.len();
    let fields = [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: 0, {length}\r\n"),
        format!("Content-Length: +{length}\r\n"),
        format!("Content-Length: 0x{length:x}\r\n"),
        format!("Content-Length: {length} \x0b\r\n"),
        "Content-Length: 18446744073709551616\r\n".into(),
        "Transfer-Encoding: chunked, identity\r\n".into(),
        "Transfer-Encoding: chunked, chunked\r\n".into(),
        "Transfer-Encoding: xchunked\r\n".into(),
        "Transfer-Encoding: gzip, chunked\r\n".into(),
        "Transfer-Encoding: \"chunked\"\r\n".into(),
        "Transfer-Encoding:\r\n".into(),
        "Transfer-Encoding : chunked\r\n".into(),
        "Transfer-Encoding:\r\n chunked\r\n".into(),
        "Transfer-Encoding: chunked\rX: y\r\n".into(),
        format!("X: y\nContent-Length: {length}\r\n"),
        "X: y\0z\r\n".into(),
        " X: y\r\n".into(),
        "Host: other.test\r\n".into(),
    ];
    for field in fields {
        let request = format!("POST http://{at}/ HTTP/1.1\r\nHost: {at}\r\n{field}\r\n{smuggled}");
        let answer = told(&daemon, request.as_bytes());
        let refused = answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 501 ");
        assert!(refused, "{field:?}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{field:?}: {answer}"
        );
    }
    let old = format!(
        "POST http://{at}/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
    );
    assert!(told(&daemon, old.as_bytes()).starts_with("HTTP/1.1 400 "));
    assert_eq!(*origin.heads.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn heads_that_drip_end_in_time_and_hold_nobody_up() {
    let origin = Http::start("origin");
    let daemon = Daemon::native(&format!("{OPEN}timeouts: {{ handshake: 1s }}\n"));
    let before = daemon.descriptors_at_rest();
    let mut slow: Vec<TcpStream> = Vec::new();
    for first in [
        "GET http://x.test/ HTTP/1.1\r\nX: ",
        "\x05",
        "\x04\x01",
        "CONNECT x",
    ] {
        for _ in 0..25 {
            let mut client = connect(daemon.address("desk"));
            client.write_all(first.as_bytes()).unwrap();
            client.set_nonblocking(true).unwrap();
            slow.push(client);
        }
    }
    let request = format!(
        "GET {}/ HTTP/1.1\r\nConnection: close\r\n\r\n",
        origin.url()
    );
    assert!(told(&daemon, request.as_bytes()).starts_with("HTTP/1.1 200 "));
    let until = Instant::now() + PATIENCE;
    while !slow.is_empty() {
        assert!(Instant::now() < until, "{} still drip", slow.len());
        std::thread::sleep(Duration::from_millis(50));
        slow.retain_mut(|client| {
            // What no head holds, so that none of them is ever whole or wrong.
            let _closed_already = client.write(b"a");
            let read = client.read(&mut [0; 512]);
            read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
    }
    eventually("their descriptors are free", || {
        daemon.descriptors() <= before
    });
}

#[test]
fn giant_heads_are_told_the_limits_and_cost_no_memory() {
    let daemon = Daemon::native(OPEN);
    let line = format!(
        "GET http://x.test/{} HTTP/1.1\r\n\r\n",
        "a".repeat(100 << 10)
    );
    let field = format!(
        "GET http://x.test/ HTTP/1.1\r\nX: {}\r\n\r\n",
        "a".repeat(100 << 10)
    );
    let many = format!(
        "GET http://x.test/ HTTP/1.1\r\n{}\r\n",
        "X: y\r\n".repeat(201)
    );
    for giant in [&line, &field, &many] {
        let answer = told(&daemon, giant.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let flow = daemon.last_flow();
        assert_eq!(flow["ended"], "denied", "{flow}");
    }
    let answer = told(&daemon, many.as_bytes());
    assert!(
        answer.contains("64 KiB") && answer.contains("200 fields"),
        "{answer}"
    );
    let before = daemon.resident();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let mut client = connect(daemon.address("desk"));
                let _refused_midway = client.write_all(field.as_bytes());
                let _refused_midway = client.write_all(&vec![b'a'; 3 << 20]);
                rest(&mut client);
            });
        }
    });
    let grown = daemon.resident().saturating_sub(before);
    assert!(grown < 40 * 1024, "{grown} kB for 40 heads");
}

/// A SOCKS5 login: whether it was right, and how long that took to say.
fn logs_in(inbound: SocketAddr, password: &str) -> (bool, Duration) {
    let mut client = connect(inbound);
    client.write_all(&[5, 1, 2]).unwrap();
    let mut method = [0; 2];
    client.read_exact(&mut method).unwrap();
    assert_eq!(method, [5, 2]);
    let length = u8::try_from(password.len()).unwrap();
    let login = [b"\x01\x05alice", &[length][..], password.as_bytes()].concat();
    let begun = Instant::now();
    client.write_all(&login).unwrap();
    let mut status = [0; 2];
    client.read_exact(&mut status).unwrap();
    (status == [1, 0], begun.elapsed())
}

#[test]
fn a_flood_of_wrong_passwords_is_slow_and_slows_no_right_one() {
    let daemon = Daemon::native(
        "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\", users: { alice: right } }\n\
         rules:\n  - FALLBACK, DIRECT\n",
    );
    let inbound = daemon.address("desk");
    let (sender, told) = mpsc::channel();
    let begun = Instant::now();
    let mut right = Vec::new();
    std::thread::scope(|scope| {
        for guesser in 0..8 {
            let sender = sender.clone();
            scope.spawn(move || {
                for guess in 0..4 {
                    let (admitted, _) = logs_in(inbound, &format!("guess {guesser} {guess}"));
                    assert!(!admitted);
                }
                sender.send(begun.elapsed()).unwrap();
            });
        }
        for _ in 0..20 {
            let (admitted, took) = logs_in(inbound, "right");
            assert!(admitted);
            right.push(took);
        }
    });
    // Of 32 guesses ten are free, so that one of the eight had to wait three times.
    let slowest = told.try_iter().max().unwrap();
    assert!(slowest >= Duration::from_secs(3), "{slowest:?}");
    right.sort();
    assert!(right[10] < Duration::from_secs(1), "{right:?}");
}

/// With 400 descriptors, of which 300 are for flows: one client's connections that say nothing are not to keep out another.
#[test]
fn a_client_that_waits_with_all_descriptors_gives_way_to_others() {
    let text = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n  other: { type: mixed, listen: \"[::1]:0\" }\nrules:\n  - FALLBACK, DIRECT\n";
    let daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", text.to_owned())],
        config: "pointsman.yaml",
        starter: vec!["prlimit".into(), "--nofile=400:400".into()],
        ..Start::default()
    });
    let target = echo();
    let visit = |at: &str| {
        let mut client = connect(daemon.address(at));
        let connect = format!("CONNECT {target} HTTP/1.1\r\n\r\n");
        let begun = client.write_all(connect.as_bytes());
        let mut answer = [0; 12];
        let is_granted = begun.and_then(|()| client.read_exact(&mut answer)).is_ok();
        (is_granted && answer.ends_with(b" 200")).then_some(client)
    };
    let at_work: Vec<TcpStream> = (0..8).map(|_| visit("desk").unwrap()).collect();
    let mut silent = Vec::new();
    for round in 0..4 {
        for _ in 0..300 {
            silent.push(connect(daemon.address("desk")));
        }
        let before = Instant::now();
        eventually("another client is served", || visit("other").is_some());
        assert!(
            before.elapsed() < Duration::from_secs(3),
            "round {round}: {:?}",
            before.elapsed()
        );
    }
    // What carries bytes is nobody's to give.
    for mut client in at_work {
        let mut heard = [0; 5];
        head(&mut client);
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }
    let log = daemon.log();
    let told = "few descriptors are left, and 127.0.0.1 has most of the connections that carry nothing yet";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    let flows = daemon.json(&["flows", "list", "--recent"]);
    assert!(
        flows.to_string().contains("it gave way to other clients"),
        "{flows}"
    );
}

//! First bytes that decide: real TLS and HTTP to bare addresses, slow hellos, servers that speak first.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::socks;
use crate::curl;
use crate::daemon::{Daemon, Running, Start};
use crate::namespace::Namespace;
use crate::origin::Http;

/// What is named decides; a bare address alone goes nowhere.
const BY_NAME: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n\
     sniff: { timeout: 10s }\n\
     rules:\n  - DOMAIN-SUFFIX, open.test, DIRECT\n  - DOMAIN-SUFFIX, closed.test, REJECT\n  - FALLBACK, RESET\n";

/// A TLS server that answers each GET, in OpenSSL's words.
fn tls_server() -> (Running, SocketAddr) {
    let directory = tempfile::tempdir().unwrap();
    let (key, certificate) = (directory.path().join("k"), directory.path().join("c"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
        .args(["-subj", "/CN=t", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    assert!(made.unwrap().status.success());
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-www", "-accept", "127.0.0.1:0", "-cert"])
        .arg(&certificate)
        .arg("-key")
        .arg(&key)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.ok()?.strip_prefix("ACCEPT ")?.parse().ok());
    // Read on, so that it never stands before a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (Running(child), address.unwrap())
}

#[test]
fn the_name_in_tls_decides_where_the_request_has_an_address() {
    let (_server, address) = tls_server();
    let daemon = Daemon::native(BY_NAME);
    let inbound = daemon.address("desk");
    let port = address.port();
    for scheme in ["socks5", "http"] {
        // Both ask for the address and name the host in TLS alone.
        let ask = |name: &str| {
            let (proxy, url) = (
                format!("{scheme}://{inbound}"),
                format!("https://{name}:{port}/"),
            );
            let at = match scheme {
                "socks5" => ["--resolve".to_owned(), format!("{name}:{port}:127.0.0.1")],
                _ => [
                    "--connect-to".to_owned(),
                    format!("{name}:{port}:127.0.0.1:{port}"),
                ],
            };
            curl(&["--insecure", "--proxy", &proxy, &at[0], &at[1], &url])
        };
        let (text, code) = ask("a.open.test");
        assert_eq!((text.contains("s_server"), code), (true, 0), "{scheme}");
        let flow = daemon.last_flow();
        assert_eq!(flow["destination"]["host"], "127.0.0.1", "{flow}");
        assert_eq!(flow["domain"], "a.open.test");
        assert_eq!(
            (&flow["protocol"], &flow["outbound"], &flow["action"]),
            (&"tls".into(), &"DIRECT".into(), &"direct".into())
        );
        assert_eq!(flow["answered_early"], true);
        // Success was said already, so a refusal is a reset: 35, within the TLS handshake.
        let (_, code) = ask("a.closed.test");
        assert_eq!(code, 35, "{scheme}");
        let flow = daemon.last_flow();
        assert_eq!(
            (&flow["domain"], &flow["action"]),
            (&"a.closed.test".into(), &"reject".into())
        );
        assert_eq!(
            (&flow["answered_early"], &flow["ended"]),
            (&true.into(), &"refused".into())
        );
    }
    // OpenSSL's own client, by CONNECT.
    let ask = |name: &str| {
        let output = Command::new("openssl")
            .args(["s_client", "-proxy", &inbound.to_string()])
            .args(["-connect", &address.to_string(), "-servername", name])
            .stdin(Stdio::null())
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).contains("BEGIN CERTIFICATE")
    };
    assert_eq!((ask("b.open.test"), ask("b.closed.test")), (true, false));
    // The request's name comes first: nobody looks, and the answer waits for the dial.
    let (proxy, url) = (
        format!("socks5h://{inbound}"),
        format!("https://c.closed.test:{port}/"),
    );
    assert_eq!(curl(&["--insecure", "--proxy", &proxy, &url]).1, 97);
    let flow = daemon.last_flow();
    assert_eq!(
        (&flow["answered_early"], &flow["protocol"]),
        (&false.into(), &serde_json::Value::Null)
    );
}

/// What a client says of itself: the newest version that it speaks, and how its packets are marked.
#[test]
fn versions_and_marks_decide() {
    let (_server, address) = tls_server();
    let origin = Http::start("origin");
    let daemon = Daemon::native(
        "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n\
         policy: |\n  any [\n    cond dscp in 40-46 => reject\n    \
         cond tls.version in 1.0-1.2 => reject\n    direct\n  ]\n",
    );
    let inbound = daemon.address("desk");
    let ask = |newest: &str| {
        let proxy = format!("socks5://{inbound}");
        let url = format!("https://{address}/");
        let newest = ["--tls-max", newest];
        curl(&[&["--insecure", "--proxy", &proxy], &newest[..], &[&url]].concat()).1
    };
    // Success was said before the first bytes came: a refusal is a reset.
    assert_eq!((ask("1.3"), ask("1.2")), (0, 35));
    assert_eq!(daemon.last_flow()["action"], "reject");
    let code = "import socket,sys\n\
        s=socket.socket()\n\
        s.setsockopt(socket.IPPROTO_IP,socket.IP_TOS,int(sys.argv[2])<<2)\n\
        s.connect(('127.0.0.1',int(sys.argv[1])))\n\
        s.sendall(b'GET http://'+sys.argv[3].encode()+b'/ HTTP/1.0\\r\\n\\r\\n')\n\
        print(s.recv(100).split()[1].decode())";
    let marked = |dscp: &str| {
        let output = Command::new("python3")
            .args(["-c", code, &inbound.port().to_string(), dscp])
            .arg(origin.address.to_string())
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(["0", "46", "47"].map(marked), ["200\n", "403\n", "200\n"]);
}

#[test]
fn the_host_in_http_decides_where_the_request_has_an_address() {
    let origin = Http::start("origin");
    let daemon = Daemon::native(BY_NAME);
    let port = origin.address.port();
    let proxy = format!("socks5://{}", daemon.address("desk"));
    let ask = |name: &str| {
        let at = format!("{name}:{port}:127.0.0.1");
        let url = format!("http://{name}:{port}/x");
        curl(&["--proxy", &proxy, "--resolve", &at, &url])
    };
    let expected = format!("origin GET /x host=a.open.test:{port} body=0\n");
    assert_eq!(ask("a.open.test"), (expected, 0));
    let flow = daemon.last_flow();
    assert_eq!(
        (&flow["protocol"], &flow["domain"]),
        (&"http".into(), &"a.open.test".into())
    );
    // 56: the connection was reset while the answer was awaited.
    assert_eq!(ask("a.closed.test").1, 56);
    assert_eq!(daemon.last_flow()["action"], "reject");
    assert_eq!(origin.heads.lock().unwrap().len(), 1);
}

/// What OpenSSL says first to a server of this name.
fn client_hello(name: &str) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address, "-servername", name]);
    let _client = Running::start(command);
    let (mut stream, _) = listener.accept().unwrap();
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello).unwrap();
    let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
    hello.resize(5 + length, 0);
    stream.read_exact(&mut hello[5..]).unwrap();
    hello
}

#[test]
fn a_dripped_hello_decides_and_costs_little() {
    const CLIENTS: usize = 20;
    let hello = client_hello("drip.open.test");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let (sender, arrived) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut bytes = Vec::new();
            let _reset = stream.read_to_end(&mut bytes);
            let _test_over = sender.send(bytes);
        }
    });
    let daemon = Daemon::native(BY_NAME);
    let inbound = daemon.address("desk");
    // Whatever is done once is done.
    assert!(drip(inbound, server, &hello, Duration::ZERO));
    assert_eq!(
        arrived.recv_timeout(Duration::from_secs(10)).as_ref(),
        Ok(&hello)
    );
    let before = daemon.processor_time();
    let all_granted = std::thread::scope(|scope| {
        let drips: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| drip(inbound, server, &hello, Duration::from_millis(1))))
            .collect();
        drips.into_iter().all(|one| one.join().unwrap())
    });
    assert!(all_granted);
    for _ in 0..CLIENTS {
        // Whole, and nothing else: looking took nothing away.
        assert_eq!(
            arrived.recv_timeout(Duration::from_secs(10)).as_ref(),
            Ok(&hello)
        );
    }
    let spent = daemon.processor_time() - before;
    eprintln!(
        "{CLIENTS} hellos of {} bytes, one by one: {spent:?}",
        hello.len()
    );
    assert!(spent < Duration::from_millis(50), "{spent:?}");
    assert_eq!(daemon.last_flow()["domain"], "drip.open.test");
}

/// Says the hello byte by byte, and ends.
fn drip(inbound: SocketAddr, server: SocketAddr, hello: &[u8], pause: Duration) -> bool {
    let (code, mut stream) = socks(inbound, &server.ip().to_string(), server.port()).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in hello {
        stream.write_all(&[*byte]).unwrap();
        // The pace is what is tested.
        std::thread::sleep(pause);
    }
    code == 0
}

#[test]
fn servers_that_speak_first_are_not_kept_waiting() {
    // 25 is mail's port, so this has a network of its own.
    let namespace = Namespace::new("banner");
    let _server = namespace.inet(&["banner", "127.0.0.1", "25", "5025"]);
    let _daemon = Daemon::start(&Start {
        files: vec![(
            "pointsman.yaml",
            "version: 1\ninbounds:\n  desk: { type: socks5, listen: \"127.0.0.1:1080\" }\n\
             rules:\n  - DOMAIN-SUFFIX, closed.test, REJECT\n  - FALLBACK, DIRECT\n"
                .to_owned(),
        )],
        config: "pointsman.yaml",
        namespace: Some(&namespace.name),
        ..Start::default()
    });
    let banner = |port: &str| {
        let begun = Instant::now();
        let mut command = namespace.command("nc");
        command.args(["-X", "5", "-x", "127.0.0.1:1080", "127.0.0.1", port]);
        // Its input stays open: a client that has ended is waited for no longer.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut running = Running(child.unwrap());
        let mut line = String::new();
        let mut said = BufReader::new(running.0.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "220 ready\r\n", "{port}");
        begun.elapsed()
    };
    // The best of a few: a busy machine may delay any one of them.
    let best = |port| (0..5).map(|_| banner(port)).min().unwrap();
    let (known, unknown) = (best("25"), best("5025"));
    eprintln!("port 25: {known:?}, port 5025: {unknown:?}");
    assert!(known < Duration::from_millis(200), "{known:?}");
    // Where nobody knows who speaks first the look takes its 300 ms, and then the banner comes.
    assert!(unknown >= Duration::from_millis(300), "{unknown:?}");
    assert!(unknown < Duration::from_millis(600), "{unknown:?}");
}

/// A server that says that to each client, before or after it hears of it.
fn greets(greeting: &'static [u8], first: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut word = [0; 5];
            if !first {
                client.read_exact(&mut word).unwrap();
            }
            client.write_all(greeting).unwrap();
            if first {
                client.read_exact(&mut word).unwrap();
            }
        }
    });
    address
}

#[test]
fn what_a_server_says_of_itself_stands_in_the_record() {
    let daemon = Daemon::native(
        "version: 1\ninbounds:\n  desk: { type: socks5, listen: \"127.0.0.1:0\" }\npolicy: direct\n",
    );
    let recorded = |greeting: &'static [u8], first: bool| {
        let server = greets(greeting, first);
        let to = (server.ip().to_string(), server.port());
        let (code, mut stream) = socks(daemon.address("desk"), &to.0, to.1).unwrap();
        assert_eq!(code, 0);
        let mut heard = vec![0; greeting.len()];
        if first {
            stream.read_exact(&mut heard).unwrap();
            stream.write_all(b"hello").unwrap();
        } else {
            stream.write_all(b"hello").unwrap();
            stream.read_exact(&mut heard).unwrap();
        }
        assert_eq!(heard, greeting);
        drop(stream);
        daemon.last_flow()["server"].clone()
    };
    assert_eq!(
        recorded(b"220 mail.test ESMTP ready\r\n", true),
        json!({"protocol": "smtp", "software": null})
    );
    assert_eq!(
        recorded(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", true),
        json!({"protocol": "ssh", "software": "OpenSSH_9.2p1"})
    );
    // Whoever answers a client may say anything.
    let answered = recorded(b"220 mail.test ESMTP ready\r\n", false);
    assert_eq!(answered, serde_json::Value::Null);
    let unknown = recorded(b"welcome\r\n", true);
    assert_eq!(unknown, serde_json::Value::Null);
}

//! The DNS server whose upstreams are asked within TLS: who hears of which name, what proves who they are, and what is
//! told where they do not.

use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Start};
use crate::nameserver::{Mood, NameServer};
use crate::tls_server::{A_MOMENT, Authority, Manner, TlsServer};

/// Free for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let stream = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = stream.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A DNS server with these keys of `dns`, asked by dig.
struct World {
    daemon: Daemon,
    port: u16,
}

impl World {
    fn new(authority: &Authority, dns: &str) -> Self {
        let port = free_port();
        let text = format!(
            "version: 1\npolicy: direct\ndns:\n  listen: \"udp://127.0.0.1:{port}\"\n{dns}"
        );
        let daemon = Daemon::start(&Start {
            files: vec![("c.yaml", text), ("ca.pem", authority.pem())],
            config: "c.yaml",
            ..Start::default()
        });
        Self { daemon, port }
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new("dig");
        command.args(["+tries=1", "+time=6", "@127.0.0.1", "-p"]);
        command.arg(self.port.to_string()).args(words.split(' '));
        command
    }

    fn dig(&self, words: &str) -> String {
        let output = self.command(words).output();
        let output = output.expect("dig is installed (./test installs what the tests need)");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Asks for so many names at once, each once; all are answered.
    fn check_many(&self, count: usize) {
        let names: String = (0..count).map(|n| format!("n{n}.test\n")).collect();
        let mut sockets = Vec::new();
        for name in names.lines() {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(("127.0.0.1", self.port)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let mut query = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
            for label in name.split('.') {
                query.push(u8::try_from(label.len()).unwrap());
                query.extend(label.bytes());
            }
            query.extend([0, 0, 1, 0, 1]);
            socket.send(&query).unwrap();
            sockets.push(socket);
        }
        for socket in sockets {
            let mut reply = [0; 512];
            let length = socket.recv(&mut reply).unwrap();
            assert!(
                reply[..length].ends_with(&[10, 1, 1, 1]),
                "{:?}",
                &reply[..length]
            );
        }
    }

    fn check(&self, name: &str) {
        let reply = self.dig(name);
        assert!(
            reply.contains("status: NOERROR") && reply.contains("10.1.1.1"),
            "{reply}"
        );
    }

    /// SERVFAIL, with that number and these words.
    fn check_failure(&self, name: &str, ede: u16, words: &str) {
        let reply = self.dig(name);
        assert!(reply.contains("status: SERVFAIL"), "{reply}");
        assert!(
            reply.contains(&format!("EDE: {ede} ")) && reply.contains(words),
            "{words}: {reply}"
        );
    }
}

/// D19: one connection for all, a new one where it was closed, and nobody else in the stead of who is not who it should be.
#[test]
fn a_server_over_tls_is_who_it_proves_to_be_and_nobody_is_asked_in_its_stead() {
    let authority = Authority::new();
    let server = TlsServer::dot(&authority, "dns.far.example");
    let bootstrap = NameServer::start(Mood::Plain, &[("dns.far.example", [127, 0, 0, 1])]);
    let other = NameServer::start(Mood::Plain, &[]);
    let world = World::new(
        &authority,
        &format!(
            "  bootstrap: \"udp://{}\"\n  upstreams:\n    far: {{ address: \"tls://dns.far.example:{}\", tls: {{ authorities: ca.pem }}, timeout: 2s }}\n    \
             other: \"udp://{}\"\n",
            bootstrap.address,
            server.address.port(),
            other.address
        ),
    );
    world.check_many(100);
    assert_eq!((server.connections(), server.asked().len()), (1, 100));
    server.close_all();
    std::thread::sleep(A_MOMENT);
    let begun = Instant::now();
    world.check("later.test");
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((server.connections(), server.asked().len()), (2, 101));

    server.become_another(&authority, "dns.other.example", false);
    server.close_all();
    std::thread::sleep(A_MOMENT);
    world.check_failure("a.test", 22, "its certificate is for another name");
    world.check_failure("b.test", 22, "tls dns.far.example:");
    server.become_another(&authority, "dns.far.example", true);
    std::thread::sleep(Duration::from_secs(1));
    world.check_failure("c.test", 22, "its certificate has expired");
    server.become_another(&Authority::new(), "dns.far.example", false);
    std::thread::sleep(Duration::from_secs(1));
    world.check_failure(
        "d.test",
        22,
        "of an authority that this host does not trust",
    );
    server.behave(Manner::Stall);
    std::thread::sleep(Duration::from_secs(1));
    world.check_failure("e.test", 22, "no answer within 2.0s");
    assert_eq!(server.asked().len(), 101);

    server.behave(Manner::Usual);
    server.become_another(&authority, "dns.far.example", false);
    std::thread::sleep(Duration::from_secs(2));
    world.check("f.test");
    server.behave(Manner::CloseAfterEach);
    server.close_all();
    std::thread::sleep(A_MOMENT);
    world.check_many(30);
    // Both families of one name, and nothing else.
    assert!(
        (1..=2).contains(&bootstrap.asked().0),
        "{:?}",
        bootstrap.asked()
    );
    assert_eq!(other.asked(), (0, 0));
    assert!(
        !world.daemon.log().contains(".test"),
        "{}",
        world.daemon.log()
    );
}

/// By HTTP/2 all at once by one connection; by HTTP/1.1 where there is nothing else. What is no answer is told.
#[test]
fn a_server_over_https_answers_by_either_version_and_what_is_no_dns_is_told() {
    let authority = Authority::new();
    let server = TlsServer::doh(&authority, "127.0.0.1", &["h2", "http/1.1"]);
    let old = TlsServer::doh(&authority, "dns.old.example", &["http/1.1"]);
    let world = World::new(
        &authority,
        &format!(
            "  upstreams:\n    far: {{ address: \"https://{}/q\", tls: {{ authorities: ca.pem }} }}\n    \
             old: {{ address: \"https://dns.old.example:{}/q\", addresses: [127.0.0.1], tls: {{ authorities: ca.pem }} }}\n  \
             rules: [\"DOMAIN-SUFFIX, old.test, old\", \"FALLBACK, far\"]\n",
            server.address,
            old.address.port(),
        ),
    );
    world.check_many(100);
    assert_eq!((server.connections(), server.asked().len()), (1, 100));
    assert!(server.asked().iter().all(|it| it.starts_with("h2 ")));
    // A cache on the way had it for 50 s.
    let reply = world.dig("n0.test");
    assert!(
        reply.contains("\t10\tIN\tA") || reply.contains("\t9\tIN\tA"),
        "{reply}"
    );
    server.close_all();
    std::thread::sleep(A_MOMENT);
    world.check("later.test");
    assert_eq!(server.connections(), 2);
    for n in 0..3 {
        world.check(&format!("n{n}.old.test"));
    }
    assert_eq!(old.connections(), 1);
    assert!(
        old.asked().iter().all(|it| it.starts_with("h1 ")),
        "{:?}",
        old.asked()
    );
    for (manner, words) in [
        (
            Manner::Http(404, "text/html", 9),
            "the server answered HTTP 404 Not Found",
        ),
        (
            Manner::Http(302, "text/html", 9),
            "the server answered HTTP 302 Found",
        ),
        (
            Manner::Http(200, "text/html", 9),
            "the server sent `text/html`, which is no DNS",
        ),
        (
            Manner::Http(200, "application/dns-message", 70_000),
            "more than a message may have",
        ),
        (
            Manner::Http(200, "application/dns-message", 65_535),
            "an answer to another question",
        ),
        (
            Manner::Http(200, "application/dns-message", 0),
            "an answer to another question",
        ),
    ] {
        server.behave(manner.clone());
        old.behave(manner);
        for suffix in ["test", "old.test"] {
            let name = format!("{}.{suffix}", words.len());
            world.check_failure(&format!("x{name}"), 23, words);
        }
    }
}

/// In a race nobody waits for a silent one; in order it is passed by, and asked last for a while.
#[test]
fn of_several_servers_one_that_is_silent_holds_nobody_up() {
    let authority = Authority::new();
    let silent = TlsServer::dot(&authority, "127.0.0.1");
    silent.behave(Manner::Stall);
    let server = TlsServer::dot(&authority, "127.0.0.1");
    let both = format!(
        "[\"tls://{}\", \"tls://{}\"]",
        silent.address, server.address
    );
    let world = World::new(
        &authority,
        &format!(
            "  upstreams:\n    row: {{ order: {both}, tls: {{ authorities: ca.pem }} }}\n    \
             all: {{ race: {both}, tls: {{ authorities: ca.pem }} }}\n    \
             one: {{ fastest: {both}, tls: {{ authorities: ca.pem }} }}\n  \
             rules: [\"DOMAIN-SUFFIX, all.test, all\", \"DOMAIN-SUFFIX, one.test, one\", \"FALLBACK, row\"]\n"
        ),
    );
    let took = |name: &str| {
        let begun = Instant::now();
        world.check(name);
        begun.elapsed().as_millis()
    };
    let race = [took("a.all.test"), took("a.one.test"), took("b.one.test")];
    assert!(race.iter().all(|took| *took < 390), "{race:?}");
    let order = [took("a.row.test"), took("b.row.test")];
    assert!(
        (400..1500).contains(&order[0]) && order[1] < 390,
        "{order:?}"
    );
    assert_eq!(silent.asked().len(), 0);
}

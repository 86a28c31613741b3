//! UDP through SOCKS5: by real proxies, by chains of them, and by what carries none.

mod abuse;
mod descriptors;
mod forged;
mod limits;
mod members;
mod programs;
mod told;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::connect;
use crate::daemon::{Daemon, eventually};
use crate::upstream::{NAME, PASSWORD, SingBox, USER};

const MIXED: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n";

/// A client of SOCKS5 that had its datagrams relayed.
struct Client {
    control: TcpStream,
    relay: SocketAddr,
    socket: UdpSocket,
}

impl Client {
    fn new(daemon: &Daemon) -> Self {
        let mut control = connect(daemon.address("desk"));
        control.write_all(&[5, 1, 0]).unwrap();
        let mut method = [0; 2];
        control.read_exact(&mut method).unwrap();
        assert_eq!(method, [5, 0]);
        control.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        let mut reply = [0; 10];
        control.read_exact(&mut reply).unwrap();
        assert_eq!(reply[..4], [5, 0, 0, 1]);
        let address: [u8; 4] = reply[4..8].try_into().unwrap();
        let port = u16::from_be_bytes([reply[8], reply[9]]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        Self {
            control,
            relay: (Ipv4Addr::from(address), port).into(),
            socket,
        }
    }

    fn send(&self, head: &[u8], payload: &[u8]) {
        self.socket
            .send_to(&[head, payload].concat(), self.relay)
            .unwrap();
    }

    /// The next datagram, with its header.
    fn receive(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 65_535];
        let length = self.socket.recv(&mut bytes).ok()?;
        bytes.truncate(length);
        Some(bytes)
    }

    /// Whether a datagram to that place is answered from there, spelled as it was.
    fn echoes(&self, head: &[u8], payload: &[u8]) -> bool {
        self.send(head, payload);
        let expected = [head, &reversed(payload)].concat();
        self.receive() == Some(expected)
    }

    /// Nothing comes for a while.
    fn hears_nothing(&self) -> bool {
        self.socket
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let nothing = self.receive().is_none();
        self.socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        nothing
    }
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// The header of a datagram to an address.
fn to(address: SocketAddr) -> Vec<u8> {
    let mut head = vec![0, 0, 0];
    match address.ip() {
        IpAddr::V4(address) => {
            head.push(1);
            head.extend(address.octets());
        }
        IpAddr::V6(address) => {
            head.push(4);
            head.extend(address.octets());
        }
    }
    head.extend(address.port().to_be_bytes());
    head
}

/// The header of a datagram to a name.
fn to_name(name: &str, port: u16) -> Vec<u8> {
    let mut head = vec![0, 0, 0, 3, u8::try_from(name.len()).unwrap()];
    head.extend(name.as_bytes());
    head.extend(port.to_be_bytes());
    head
}

/// Answers each datagram with its bytes in reverse; ends with the test.
fn echo(at: &str) -> SocketAddr {
    let socket = UdpSocket::bind(at).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = vec![0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(&reversed(&bytes[..length]), from);
        }
    });
    address
}

/// The records of flows over UDP, oldest first.
fn records(daemon: &Daemon) -> Vec<serde_json::Value> {
    let flows = daemon.json(&["flows", "list", "--recent"]);
    let flows = flows["flows"].as_array().unwrap().clone();
    let udp = |flow: &serde_json::Value| flow["network"] == "udp";
    flows.into_iter().filter(udp).collect()
}

/// Those that ended.
fn ended(daemon: &Daemon) -> Vec<serde_json::Value> {
    let mut all = records(daemon);
    all.retain(|it| !it["ended"].is_null());
    all
}

fn host(record: &serde_json::Value) -> &str {
    record["destination"]["host"].as_str().unwrap()
}

#[test]
fn answers_name_the_place_as_the_client_did() {
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let (v4, v6) = (echo("127.0.0.1:0"), echo("[::1]:0"));
    let client = Client::new(&daemon);
    let by_name = to_name("localhost", v4.port());
    for head in [to(v4), to(v6), by_name.clone(), to(v4), by_name] {
        assert!(client.echoes(&head, b"hello"), "{head:?}");
    }
    let large = vec![7; 60_000];
    assert!(client.echoes(&to(v4), &large));
    assert!(client.echoes(&to(v4), b""), "an empty datagram is one");
    let mut fragment = to(v4);
    fragment[2] = 1;
    client.send(&fragment, b"a part");
    assert!(client.hears_nothing());
    // Another socket of the same host is not the client.
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other
        .send_to(&[&to(v4), &b"who?"[..]].concat(), client.relay)
        .unwrap();
    assert!(client.hears_nothing());
    let Client {
        control,
        relay,
        socket,
    } = client;
    let ended = Instant::now();
    drop(control);
    eventually("the relay's port is closed", || {
        UdpSocket::bind(relay).is_ok()
    });
    assert!(ended.elapsed() < Duration::from_secs(1));
    let records = records(&daemon);
    let told: Vec<_> = records
        .iter()
        .map(|it| (host(it), it["ended"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("127.0.0.1", "closed"),
            ("::1", "closed"),
            ("localhost", "closed")
        ]
    );
    assert_eq!(records[0]["bytes_sent"], 60_010);
    assert_eq!(records[0]["bytes_received"], 60_010);
    assert_eq!(
        records[0]["source"],
        socket.local_addr().unwrap().to_string()
    );
}

#[test]
fn each_flow_goes_its_own_way_and_what_carries_none_refuses() {
    let (one, two, three) = (
        echo("127.0.0.1:0"),
        echo("127.0.0.1:0"),
        echo("127.0.0.1:0"),
    );
    let sing_box = SingBox::start();
    let (socks, http) = (sing_box.socks, sing_box.http);
    let login = format!("username: {USER}, password: \"{PASSWORD}\"");
    let daemon = Daemon::native(&format!(
        "{MIXED}outbounds:\n\
         \x20 p: {{ type: socks5, server: \"{socks}\", udp: true, {login} }}\n\
         \x20 web: {{ type: http, server: \"{http}\", {login} }}\n\
         rules:\n\
         \x20 - DST-PORT, {}, DIRECT\n\
         \x20 - DST-PORT, {}, web\n\
         \x20 - FALLBACK, p\n",
        one.port(),
        three.port()
    ));
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(one), b"direct"));
    assert!(client.echoes(&to(two), b"by the proxy"));
    assert!(client.echoes(&to_name(NAME, two.port()), b"a name that it alone knows"));
    client.send(&to(three), b"nowhere");
    client.send(&to(three), b"nowhere, again");
    assert!(client.hears_nothing());
    let log = sing_box.log();
    assert!(
        log.contains(&format!("packet connection to {two}")),
        "{log}"
    );
    assert!(!log.contains(&one.port().to_string()), "{log}");
    assert!(!log.contains(&three.port().to_string()), "{log}");
    drop(client);
    eventually("all have ended", || records(&daemon).len() == 4);
    let records = records(&daemon);
    let refused = records.iter().find(|it| it["ended"] == "refused").unwrap();
    assert_eq!(refused["action"], "reject");
    let why = refused["reason"].as_str().unwrap();
    assert!(
        why.contains("`web` carries no UDP: `http` proxies carry no UDP"),
        "{refused}"
    );
}

#[test]
fn chains_carry_datagrams_through_every_hop() {
    let place = echo("127.0.0.1:0");
    let sing_box = SingBox::start();
    let socks = sing_box.socks;
    let login = format!("username: {USER}, password: \"{PASSWORD}\"");
    let first = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let second = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let (one, two) = (first.address("desk"), second.address("desk"));
    let daemon = Daemon::native(&format!(
        "{MIXED}outbounds:\n\
         \x20 one: {{ type: socks5, server: \"{one}\", udp: true }}\n\
         \x20 two: {{ type: socks5, server: \"{two}\", udp: true }}\n\
         \x20 three: {{ type: socks5, server: \"{socks}\", udp: true, {login} }}\n\
         \x20 pick: {{ type: select, members: [two] }}\n\
         \x20 all: {{ type: chain, hops: [one, pick, three] }}\n\
         rules:\n  - FALLBACK, all\n"
    ));
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(place), b"through three"));
    assert!(client.echoes(
        &to_name(NAME, place.port()),
        b"a name that the last one knows"
    ));
    // Asked through each other, and carrying datagrams to each other's relays.
    let to_next = |daemon: &Daemon| {
        let udp = records(daemon);
        assert_eq!(udp.len(), 2, "{udp:?}");
    };
    drop(client);
    eventually("the first has ended them", || records(&first).len() == 2);
    eventually("the second has ended them", || records(&second).len() == 2);
    to_next(&first);
    to_next(&second);
}

#[test]
fn a_port_where_nobody_listens_ends_its_flow_at_once() {
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let nobody = {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let other = echo("127.0.0.1:0");
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(other), b"before"));
    client.send(&to(nobody), b"hello?");
    eventually("the flow ends", || {
        records(&daemon).iter().any(|it| it["ended"] == "failed")
    });
    assert!(client.echoes(&to(other), b"after"));
    let records = records(&daemon);
    let failed = records.iter().find(|it| it["ended"] == "failed").unwrap();
    assert_eq!(failed["destination"]["port"], nobody.port());
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains("nobody listens there (ICMP)"),
        "{failed}"
    );
}

#[test]
fn a_proxy_that_ends_its_association_ends_the_flows_by_it() {
    let place = echo("127.0.0.1:0");
    let mut sing_box = SingBox::start();
    let socks = sing_box.socks;
    let login = format!("username: {USER}, password: \"{PASSWORD}\"");
    let daemon = Daemon::native(&format!(
        "{MIXED}outbounds:\n\
         \x20 p: {{ type: socks5, server: \"{socks}\", udp: true, {login} }}\n\
         rules:\n  - FALLBACK, p\n"
    ));
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(place), b"hello"));
    sing_box.kill();
    eventually("the flow ends", || {
        records(&daemon).iter().any(|it| it["ended"] == "failed")
    });
    let records = records(&daemon);
    let why = records[0]["error"].as_str().unwrap();
    assert!(why.contains("the proxy"), "{why}");
}

#[test]
fn what_was_refused_is_decided_anew_by_other_rules() {
    let place = echo("127.0.0.1:0");
    let with = |fallback: &str| format!("{MIXED}rules:\n  - FALLBACK, {fallback}\n");
    let daemon = Daemon::native(&with("REJECT"));
    let client = Client::new(&daemon);
    let other = echo("127.0.0.1:0");
    client.send(&to(place), b"hello?");
    client.send(&to(other), b"and you?");
    assert!(client.hears_nothing());
    daemon.write("pointsman.yaml", &with("DIRECT"));
    assert!(daemon.client(&["reload"]).status.success());
    // The second, too: that another one was decided by the new rules changes nothing for it.
    assert!(client.echoes(&to(place), b"hello"));
    assert!(client.echoes(&to(other), b"and you"));
}

#[test]
fn an_operator_closes_a_flow_and_an_association() {
    let place = echo("127.0.0.1:0");
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let client = Client::new(&daemon);
    assert!(client.echoes(&to(place), b"hello"));
    let live = daemon.json(&["flows", "list"]);
    let live = live["flows"].as_array().unwrap();
    let id = |network: &str| {
        let flow = live.iter().find(|it| it["network"] == network).unwrap();
        flow["id"].to_string()
    };
    assert!(
        daemon
            .client(&["flows", "close", &id("udp")])
            .status
            .success()
    );
    eventually("it ends", || {
        records(&daemon).iter().any(|it| it["ended"] == "stopped")
    });
    assert!(client.echoes(&to(place), b"a new flow"));
    assert!(
        daemon
            .client(&["flows", "close", &id("tcp")])
            .status
            .success()
    );
    eventually("the association ends", || {
        UdpSocket::bind(client.relay).is_ok()
    });
}

/// The datagrams of a captured hello: each behind its length in two bytes.
fn captured(name: &str) -> Vec<Vec<u8>> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/datagrams");
    let bytes = std::fs::read(format!("{corpus}/{name}")).unwrap();
    let (mut datagrams, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        datagrams.push(behind[..length].to_vec());
        rest = &behind[length..];
    }
    datagrams
}

#[test]
fn the_name_in_a_quic_hello_decides_and_its_datagrams_are_held_until_then() {
    let place = echo("127.0.0.1:0");
    let daemon = Daemon::native(&format!(
        "{MIXED}sniff: {{ timeout: 10s }}\n\
         rules:\n  - AND, [PROTOCOL, quic], [DOMAIN-SUFFIX, secret.test], DIRECT\n  - FALLBACK, REJECT\n"
    ));
    for name in ["aioquic-v1", "aioquic-v2", "aioquic-two-initials-reordered"] {
        let client = Client::new(&daemon);
        let datagrams = captured(name);
        for datagram in &datagrams {
            client.send(&to(place), datagram);
        }
        for datagram in &datagrams {
            let expected = [to(place), reversed(datagram)].concat();
            assert_eq!(client.receive(), Some(expected), "{name}");
        }
        drop(client);
        eventually("it has ended", || {
            records(&daemon)
                .last()
                .is_some_and(|it| it["ended"] == "closed")
        });
        let records = records(&daemon);
        let record = records.last().unwrap();
        assert_eq!(record["protocol"], "quic", "{name}");
        assert_eq!(
            record["bytes_sent"],
            datagrams.iter().map(Vec::len).sum::<usize>()
        );
    }
    let client = Client::new(&daemon);
    client.send(&to(place), b"no hello at all");
    assert!(client.hears_nothing());
}

/// Sends a datagram of that traffic class to a place, through a daemon, and says whether it was answered.
const WITH_CLASS: &str = "\
import socket, sys
desk, place, tos = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
control = socket.create_connection(('127.0.0.1', desk))
control.sendall(bytes([5, 1, 0])); control.recv(2)
control.sendall(bytes([5, 3, 0, 1, 0, 0, 0, 0, 0, 0]))
reply = control.recv(10)
relay = ('127.0.0.1', int.from_bytes(reply[8:10], 'big'))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
client.settimeout(0.5)
client.sendto(bytes([0, 0, 0, 1, 127, 0, 0, 1]) + place.to_bytes(2, 'big') + b'hello', relay)
try: print('answered' if client.recv(100).endswith(b'olleh') else 'otherwise')
except TimeoutError: print('silence')
";

#[test]
fn rules_see_the_code_point_of_datagrams() {
    let place = echo("127.0.0.1:0").port().to_string();
    let daemon = Daemon::native(&format!(
        "{MIXED}rules:\n  - DSCP, 46, DIRECT\n  - FALLBACK, REJECT\n"
    ));
    let desk = daemon.address("desk").port().to_string();
    let check = |class: &str, expected: &str| {
        let mut python = Command::new("python3");
        let output = python
            .args(["-c", WITH_CLASS, &desk, &place, class])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.trim(), expected, "{output:?}");
    };
    check("184", "answered");
    // The bits that tell of congestion are no part of it.
    check("185", "answered");
    check("0", "silence");
}

#[test]
fn no_flow_is_taken_to_where_an_association_takes_datagrams() {
    let place = echo("127.0.0.1:0");
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let (victim, other) = (Client::new(&daemon), Client::new(&daemon));
    // The victim has not sent anything yet: whoever is first there would be taken for it.
    let within = [to(place), b"hello".to_vec()].concat();
    other.send(&to(victim.relay), &within);
    assert!(other.hears_nothing());
    assert!(victim.echoes(&to(place), b"mine"));
    let records = records(&daemon);
    let refused = records.iter().find(|it| it["ended"] == "refused").unwrap();
    assert!(
        refused["reason"].as_str().unwrap().contains("own listener"),
        "{refused}"
    );
}

#[test]
fn to_no_address_in_particular_is_to_this_host() {
    let place = echo("127.0.0.1:0");
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let client = Client::new(&daemon);
    let head = to(SocketAddr::from(([0, 0, 0, 0], place.port())));
    assert!(client.echoes(&head, b"hello"));
}

#[test]
fn who_says_much_on_the_connection_of_an_association_holds_up_nobody() {
    let place = echo("127.0.0.1:0");
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let mut loud: Vec<_> = (0..4).map(|_| Client::new(&daemon).control).collect();
    for control in &mut loud {
        let mut control = control.try_clone().unwrap();
        std::thread::spawn(move || while control.write_all(&[0; 65_536]).is_ok() {});
    }
    let client = Client::new(&daemon);
    for _ in 0..20 {
        assert!(client.echoes(&to(place), b"hello"));
    }
    for control in loud {
        control.shutdown(std::net::Shutdown::Both).unwrap();
    }
}

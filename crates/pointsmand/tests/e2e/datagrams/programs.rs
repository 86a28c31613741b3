//! Real programs through an association: `dig`, by a socket that puts the header on; and clients of IPv6.

use std::net::Ipv6Addr;

use super::*;
use crate::nameserver::{Mood, NameServer};

/// A client whose connection and socket are of IPv6.
fn of_ipv6(daemon: &Daemon) -> Client {
    let mut control = connect(daemon.address("desk"));
    control.write_all(&[5, 1, 0]).unwrap();
    control.read_exact(&mut [0; 2]).unwrap();
    let asks = [&[5, 3, 0, 4][..], &[0; 18]].concat();
    control.write_all(&asks).unwrap();
    let mut reply = [0; 22];
    control.read_exact(&mut reply).unwrap();
    assert_eq!(reply[..4], [5, 0, 0, 4], "it is told an address of IPv6");
    let address: [u8; 16] = reply[4..20].try_into().unwrap();
    assert_eq!(Ipv6Addr::from(address), Ipv6Addr::LOCALHOST);
    let port = u16::from_be_bytes([reply[20], reply[21]]);
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    Client {
        control,
        relay: (Ipv6Addr::from(address), port).into(),
        socket,
    }
}

#[test]
fn a_client_of_ipv6_has_datagrams_of_both_families() {
    for listen in ["[::1]:0", "[::]:0"] {
        let daemon = Daemon::native(&format!(
            "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"{listen}\", allow: [\"::1\"] }}\n\
             rules:\n  - SRC-IP-CIDR, ::1/128, DIRECT\n  - FALLBACK, REJECT\n"
        ));
        let (v4, v6) = (echo("127.0.0.1:0"), echo("[::1]:0"));
        let client = of_ipv6(&daemon);
        for head in [to(v6), to(v4), to_name("localhost", v4.port()), to(v6)] {
            assert!(client.echoes(&head, b"hello"), "{listen}: {head:?}");
        }
        // Who sends from IPv4 is not the client.
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let relay = SocketAddr::from(([127, 0, 0, 1], client.relay.port()));
        let _nobody_there = other.send_to(&[&to(v4), &b"who?"[..]].concat(), relay);
        assert!(client.hears_nothing(), "{listen}");
        let all = records(&daemon);
        let source = client.socket.local_addr().unwrap().to_string();
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all.iter().all(|it| it["source"] == source), "{all:?}");
    }
}

#[test]
fn dig_is_answered_through_an_association() {
    let server = NameServer::start(Mood::Plain, &[("nas.test", [192, 0, 2, 7])]);
    let daemon = Daemon::native(&format!(
        "{MIXED}rules:\n  - AND, [PROTOCOL, dns], [DOMAIN, nas.test], DIRECT\n  - PROTOCOL, dns, DIRECT\n  - FALLBACK, REJECT\n"
    ));
    let client = Client::new(&daemon);
    // What programs for SOCKS do for those that know nothing of it.
    let before = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = before.local_addr().unwrap();
    let head = to(server.address);
    let wrapping = std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        let (length, from) = before.recv_from(&mut bytes).unwrap();
        client.send(&head, &bytes[..length]);
        let answer = client.receive().unwrap();
        before.send_to(&answer[head.len()..], from).unwrap();
    });
    let output = Command::new("dig")
        .args(["+notcp", "+short", "+tries=1", "+timeout=5"])
        .args(["-p", &at.port().to_string(), "@127.0.0.1", "nas.test", "A"])
        .output()
        .expect("dig is installed (./test installs what the tests need)");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(said, "192.0.2.7", "{output:?}");
    wrapping.join().unwrap();
    eventually("it has ended with its association", || {
        ended(&daemon).len() == 1
    });
    let record = ended(&daemon).remove(0);
    assert_eq!(record["protocol"], "dns", "{record}");
    assert_eq!(
        record["destination"]["port"],
        server.address.port(),
        "{record}"
    );
    assert_eq!(server.asked().0, 1);
    let told = &daemon.json(&["diagnostics"])["udp_offload"];
    assert_eq!(*told, serde_json::json!({"default": 1}));
}

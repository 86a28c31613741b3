//! Forwards of UDP where there are few descriptors: each flow has one.

use super::*;
use crate::daemon::Start;

/// Forwards to a target that answers and to one that says nothing, and an inbound, with 400 descriptors: 300 are for
/// flows, and of these 150 for forwards.
fn few(target: SocketAddr, silent: SocketAddr) -> Daemon {
    let forward = |name: &str, to: SocketAddr| {
        format!(
            "  {name}: {{ listen: \"udp://127.0.0.1:0\", targets: [{{ name: t, address: \"udp://{to}\" }}] }}\n"
        )
    };
    let text = format!(
        "{MIXED}forwards:\n{}{}rules:\n  - FALLBACK, DIRECT\n",
        forward("games", target),
        forward("silent", silent)
    );
    Daemon::start(&Start {
        files: vec![("pointsman.yaml", text)],
        config: "pointsman.yaml",
        starter: vec!["prlimit".into(), "--nofile=400:400".into()],
        ..Start::default()
    })
}

fn forward(daemon: &Daemon, name: &str) -> SocketAddr {
    let (_, at) = &daemon.ready[name];
    at.strip_prefix("udp://").unwrap().parse().unwrap()
}

/// One datagram of each of so many senders.
fn flood(to: SocketAddr, senders: u16) {
    for sender in 0..senders {
        let [high, low] = sender.to_be_bytes();
        let forged = UdpSocket::bind((Ipv4Addr::new(127, 8, high, low), 0)).unwrap();
        let _full = forged.send_to(b"forged", to);
    }
}

#[test]
fn a_flood_leaves_descriptors_for_connections_and_it_is_told_once() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let daemon = few(echo("127.0.0.1:0"), silent.local_addr().unwrap());
    let games = forward(&daemon, "games");
    let player = UdpSocket::bind("127.0.0.1:0").unwrap();
    player
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let plays = || {
        player.send_to(b"move", games).unwrap();
        player.recv(&mut [0; 16]).is_ok()
    };
    assert!(plays());
    for _ in 0..3 {
        flood(games, 500);
        flood(forward(&daemon, "silent"), 500);
        assert!(plays());
        let client = Client::new(&daemon);
        assert!(client.echoes(&to(echo("127.0.0.1:0")), b"hello"));
    }
    assert!(daemon.descriptors() < 250, "{}", daemon.descriptors());
    let log = daemon.log();
    let told = "forwards of UDP have 150 flows at most, and not the 20000 of `udp.flows`";
    assert_eq!(log.matches(told).count(), 1, "{log}");
}

#[test]
fn where_no_descriptor_is_left_a_flow_that_nobody_answers_gives_way_to_a_new_one() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let daemon = few(echo("127.0.0.1:0"), silent.local_addr().unwrap());
    let at = forward(&daemon, "silent");
    flood(at, 20);
    let heard = |times: u32| (0..times).all(|_| silent.recv(&mut [0; 16]).is_ok());
    assert!(heard(20));
    // All that are left.
    let refused = || {
        daemon.json(&["diagnostics"])["accept_refused"]
            .as_u64()
            .unwrap()
    };
    let mut connections = Vec::new();
    while refused() == 0 {
        connections.extend((0..20).map(|_| connect(daemon.address("desk"))));
    }
    for number in 0..20 {
        let new = UdpSocket::bind("127.0.0.1:0").unwrap();
        new.send_to(b"new", at).unwrap();
        assert!(heard(1), "{number}: {}", daemon.log());
    }
    assert!(
        records(&daemon)
            .iter()
            .any(|it| it.to_string().contains("gave way"))
    );
}

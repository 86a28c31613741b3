//! Clients and proxies that take without end: they are bounded, on record, and cost nobody else anything.

use std::net::TcpListener;

use super::*;
use crate::daemon::Start;
use crate::namespace::Namespace;

/// Asks for an association, and says what the answer is: 0, it was granted.
fn asks(daemon: &Daemon) -> (TcpStream, u8) {
    let mut control = connect(daemon.address("desk"));
    control.write_all(&[5, 1, 0]).unwrap();
    control.read_exact(&mut [0; 2]).unwrap();
    control.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut reply = [0; 10];
    control.read_exact(&mut reply).unwrap();
    (control, reply[1])
}

/// Whether the daemon closes that connection.
fn is_closed(control: &mut TcpStream, within: Duration) -> bool {
    control.set_read_timeout(Some(within)).unwrap();
    !matches!(control.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn an_association_without_flows_ends_when_it_was_idle_for_too_long() {
    let place = echo("127.0.0.1:0");
    let daemon = Daemon::native(&format!(
        "{MIXED}timeouts: {{ idle: 2s }}\nrules:\n  - FALLBACK, DIRECT\n"
    ));
    let mut client = Client::new(&daemon);
    let (mut idle, _) = asks(&daemon);
    assert!(client.echoes(&to(place), b"hello"));
    assert!(is_closed(&mut idle, Duration::from_secs(10)));
    let flows = daemon.json(&["flows", "list", "--recent"]);
    let mut flows = flows["flows"].as_array().unwrap().iter();
    assert!(flows.any(|it| it["ended"] == "timeout" && it["ended_by"] == "idle"));
    // One that has a flow lives as long as that.
    assert!(!is_closed(&mut client.control, Duration::from_secs(1)));
    assert!(client.echoes(&to(place), b"still there"));
}

#[test]
fn associations_without_flows_give_way_to_others_and_are_no_more_than_flows() {
    let place = echo("127.0.0.1:0");
    let daemon = Daemon::native(&format!(
        "{MIXED}udp: {{ flows_by_client: 3 }}\nrules:\n  - FALLBACK, DIRECT\n"
    ));
    let mut idle: Vec<_> = (0..20).map(|_| asks(&daemon)).collect();
    assert!(idle.iter().all(|(_, answer)| *answer == 0));
    for (control, _) in &mut idle[..17] {
        assert!(is_closed(control, Duration::from_secs(5)));
    }
    let clients: Vec<_> = (0..3).map(|_| Client::new(&daemon)).collect();
    for client in &clients {
        assert!(client.echoes(&to(place), b"hello"));
    }
    let (_control, answer) = asks(&daemon);
    assert_eq!(answer, 1, "all of them carry something");
    let flows = daemon.json(&["flows", "list", "--recent"]);
    let refused = flows["flows"].as_array().unwrap().iter();
    let mut refused = refused.filter(|it| it["ended"] == "refused");
    let why = refused.next().unwrap()["reason"].to_string();
    assert!(why.contains("`udp.flows_by_client` is 3"), "{why}");
    assert!(why.contains("associations"), "{why}");
    let lost = &daemon.json(&["diagnostics"])["udp_lost"];
    assert_eq!(
        (&lost["associations"], &lost["gave-way"]),
        (&1.into(), &20.into())
    );
    drop(clients);
    eventually("there is room again", || asks(&daemon).1 == 0);
}

/// A proxy that grants every association, and carries nothing.
fn granting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            std::thread::spawn(move || {
                let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
                client.read_exact(&mut [0; 3]).unwrap();
                client.write_all(&[5, 0]).unwrap();
                client.read_exact(&mut [0; 10]).unwrap();
                let [high, low] = relay.local_addr().unwrap().port().to_be_bytes();
                client
                    .write_all(&[5, 0, 0, 1, 127, 0, 0, 1, high, low])
                    .unwrap();
                let _closed = client.read(&mut [0]);
            });
        }
    });
    at
}

#[test]
fn flows_to_names_by_proxies_have_a_limit_and_leave_nothing_behind() {
    let proxy = granting();
    let daemon = Daemon::native(&format!(
        "{MIXED}udp: {{ flows_by_client: 32 }}\noutbounds:\n\
         \x20 p: {{ type: socks5, server: \"{proxy}\", udp: true, served_by: {{ program: /usr/bin/true }} }}\nrules:\n  - FALLBACK, p\n"
    ));
    // What the daemon opens once, for itself, is open from then on.
    let warming = Client::new(&daemon);
    warming.send(&to_name("n.test", 443), b"hello");
    eventually("it is carried", || records(&daemon).len() == 1);
    drop(warming);
    eventually("it has ended", || ended(&daemon).len() == 1);
    let before = daemon.descriptors_at_rest();
    let clients = [Client::new(&daemon), Client::new(&daemon)];
    for number in 0..6_u16 {
        for client in &clients {
            client.send(&to_name(&format!("n{number}.test"), 443), b"hello");
        }
    }
    let refused = || {
        let mut all = ended(&daemon);
        all.retain(|it| it["ended"] == "refused");
        all
    };
    eventually("what is too much is refused", || refused().len() == 8);
    let why = refused()[0]["reason"].to_string();
    assert!(why.contains("`udp.flows_by_client` is 32"), "{why}");
    assert!(why.contains("names by proxies"), "{why}");
    // Addresses share one association with the proxy.
    for port in 1..6 {
        clients[0].send(&to(([192, 0, 2, 1], port).into()), b"hello");
    }
    let live = || {
        let mut all = records(&daemon);
        all.retain(|it| it["ended"].is_null());
        all.len()
    };
    eventually("flows to addresses are carried", || live() == 4 + 5);
    // Two for each association here, and two for each at the proxy; some are the daemon's own.
    let opened = daemon.descriptors_at_rest() - before;
    assert!(opened <= 4 + 2 * (4 + 1) + 4, "{opened}");
    assert_eq!(daemon.json(&["diagnostics"])["udp_lost"]["names"], 8);
    drop(clients);
    eventually("all is given back", || {
        live() == 0 && daemon.descriptors_at_rest() <= before + 4
    });
    let again = Client::new(&daemon);
    again.send(&to_name("n9.test", 443), b"hello");
    eventually("others get a place", || live() == 1);
}

#[test]
fn a_resolver_does_not_ask_a_forward_of_our_own() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    drop(taken);
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let to = target.local_addr().unwrap();
    let daemon = Daemon::native(&format!(
        "{MIXED}dns: {{ upstreams: {{ round: \"udp://{at}\" }} }}\nforwards:\n\
         \x20 ask: {{ listen: \"udp://{at}\", targets: [{{ name: t, address: \"udp://{to}\" }}] }}\n\
         rules:\n  - FALLBACK, DIRECT\n"
    ));
    let client = Client::new(&daemon);
    client.send(&to_name("somewhere.test", 443), b"hello");
    eventually("the look-up fails", || ended(&daemon).len() == 1);
    let why = ended(&daemon)[0]["error"].to_string();
    assert!(why.contains("own listener"), "{why}");
    assert!(target.recv(&mut [0; 64]).is_err(), "nothing went round");
}

/// Two datagrams by an association, from a link-local address.
const LINK_LOCAL: &str = "
import socket, sys
port, place = int(sys.argv[1]), int(sys.argv[2])
at = socket.getaddrinfo('fe80::1%lo', port, socket.AF_INET6, socket.SOCK_STREAM)[0][4]
control = socket.socket(socket.AF_INET6)
control.connect(at)
control.sendall(bytes([5, 1, 0])); control.recv(2)
control.sendall(bytes([5, 3, 0, 1, 0, 0, 0, 0, 0, 0]))
reply = control.recv(22)
print('reply', reply[1])
relay = (at[0], int.from_bytes(reply[-2:], 'big'), 0, at[3])
client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
client.bind((at[0], 0, 0, at[3]))
client.settimeout(5)
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(('::1', place)); server.settimeout(5)
for word in (b'one', b'two'):
    client.sendto(bytes([0, 0, 0, 4]) + bytes(15) + b'\\x01' + place.to_bytes(2, 'big') + word, relay)
    said, who = server.recvfrom(100)
    server.sendto(said[::-1], who)
    print(client.recv(100)[22:].decode())
";

#[test]
fn a_client_with_a_link_local_address_has_datagrams() {
    let home = Namespace::new("link");
    home.ip(&["-6", "address", "add", "fe80::1/64", "dev", "lo"]);
    let daemon = Daemon::start(&Start {
        files: vec![(
            "pointsman.yaml",
            "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"[::]:7890\", allow: [\"::/0\"] }\n\
             rules:\n  - FALLBACK, DIRECT\n"
                .to_owned(),
        )],
        config: "pointsman.yaml",
        namespace: Some(&home.name),
        ..Start::default()
    });
    let output = home
        .command("python3")
        .args(["-c", LINK_LOCAL, "7890", "5353"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "reply 0\neno\nowt\n", "{output:?} {}", daemon.log());
}

/// Joins a group on the loopback where it is to hear itself, and sends to it by an association with the daemon there.
const GROUP: &str = r#"
import socket, struct, sys, time
daemon, hears_itself = sys.argv[1], sys.argv[2] == "hears"
group, port = "239.1.2.3", 5353
hears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
hears.settimeout(5)
if hears_itself:
    hears.bind((group, port))
    here = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
    hears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, here)
control = socket.create_connection((daemon, 7890))
control.sendall(b"\5\1\0")
control.recv(2)
control.sendall(b"\5\3\0\1" + bytes(6))
answer = control.recv(10)
relay = (socket.inet_ntoa(answer[4:8]), struct.unpack("!H", answer[8:])[0])
says = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for host in (b"\1" + socket.inet_aton(group), b"\3\x0agroup.test"):
    says.sendto(bytes(3) + host + struct.pack("!H", port) + b"one", relay)
    if hears_itself:
        print(hears.recv(16).decode())
# The association ends with this connection, and what is not decided by then with it.
if not hears_itself:
    time.sleep(3)
"#;

/// By programs of this host, as if they had sent it themselves, and by nobody else; by address and by name.
#[test]
fn groups_of_hosts_are_reached_from_this_host() {
    let home = Namespace::new("group");
    let far = Namespace::new("far");
    home.join(("eth0", "10.1.0.1/24"), &far, ("wan", "10.1.0.2/24"));
    home.ip(&["route", "add", "239.0.0.0/8", "dev", "lo"]);
    let daemon = Daemon::start(&Start {
        files: vec![(
            "pointsman.yaml",
            "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"0.0.0.0:7890\", allow: [10.0.0.0/8, 127.0.0.0/8] }\n\
             dns: { upstreams: { none: \"udp://127.0.0.1:1\" }, hosts: { group.test: 239.1.2.3 } }\n\
             rules:\n  - FALLBACK, DIRECT\n"
                .to_owned(),
        )],
        config: "pointsman.yaml",
        namespace: Some(&home.name),
        ..Start::default()
    });
    let run = |namespace: &Namespace, words: [&str; 2]| {
        let mut python = namespace.command("python3");
        let output = python.args(["-c", GROUP]).args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?} {}", daemon.log());
        said
    };
    assert_eq!(run(&home, ["127.0.0.1", "hears"]), "one\none\n");
    run(&far, ["10.1.0.1", "deaf"]);
    eventually("two refusals", || {
        let refused = records(&daemon)
            .iter()
            .filter(|it| {
                it.to_string()
                    .contains("no destination: 239.1.2.3 is a multicast")
            })
            .count();
        refused == 2
    });
}

/// Takes what is sent to any address of the loopback, and says nothing.
fn silent() -> u16 {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || while socket.recv(&mut [0; 16]).is_ok() {});
    port
}

fn live(daemon: &Daemon) -> u64 {
    daemon.json(&["diagnostics"])["flows_live"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_client_of_a_hundred_thousand_flows_starves_itself_alone() {
    const FLOWS: u32 = 100_000;
    let port = silent();
    let daemon = Daemon::native(&format!(
        "{MIXED}udp: {{ idle: 5s, flows_by_client: 1000 }}\nrules:\n  - FALLBACK, DIRECT\n"
    ));
    let place = to(echo("127.0.0.1:0"));
    let old = Client::new(&daemon);
    assert!(old.echoes(&place, b"before"));
    let (descriptors, memory) = (daemon.descriptors_at_rest(), daemon.resident());
    let hostile = Client::new(&daemon);
    for number in 0..FLOWS {
        let [_, high, middle, low] = number.to_be_bytes();
        let head = to(([127, high + 1, middle, low], port).into());
        hostile.send(&head, b"flood");
        if number % 10_000 == 0 {
            assert!(old.echoes(&place, b"as ever"), "{number}");
            // The first datagram of a flow may be lost while the other's flows end, as on any way that is full.
            let new = Client::new(&daemon);
            let place = to(echo("127.0.0.1:0"));
            let tries = (0..10).any(|_| new.echoes(&place, b"new"));
            assert!(tries, "{number}: {}", daemon.json(&["diagnostics"]));
        }
    }
    assert!(live(&daemon) <= 1000 + 64 + 30);
    let lost = &daemon.json(&["diagnostics"])["udp_lost"];
    let count = |word: &str| lost[word].as_u64().unwrap();
    // Many more are lost on the way to us, as on any link.
    assert!(
        count("gave-way") > 0 && count("gave-way") + count("flows-by-client") > 1000,
        "{lost}"
    );
    drop(hostile);
    eventually("its flows have ended", || live(&daemon) < 10);
    assert!(old.echoes(&place, b"after"));
    let more = daemon.descriptors_at_rest().saturating_sub(descriptors);
    assert!(more <= 4, "{more} descriptors more than before");
    // What the allocator keeps, and a thousand records.
    let more = daemon.resident().saturating_sub(memory);
    assert!(more < 48 << 10, "{more} kB more than before");
}

#[test]
fn ten_thousand_forged_sources_leave_room_for_who_connects() {
    // It answers: nothing tells a forged source from a client.
    let target = echo("127.0.0.1:0");
    let daemon = Daemon::native(&format!(
        "{MIXED}udp: {{ flows: 500, idle: 3s }}\nforwards:\n\
         \x20 games: {{ listen: \"udp://127.0.0.1:0\", targets: [{{ name: t, address: \"udp://{target}\" }}] }}\n\
         rules:\n  - FALLBACK, DIRECT\n"
    ));
    let (_, games) = &daemon.ready["games"];
    let games: SocketAddr = games.strip_prefix("udp://").unwrap().parse().unwrap();
    let descriptors = daemon.descriptors_at_rest();
    let player = UdpSocket::bind("127.0.0.1:0").unwrap();
    player
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let plays = || {
        player.send_to(b"move", games).unwrap();
        player.recv(&mut [0; 16]).is_ok()
    };
    assert!(plays());
    for number in 0..10_000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let forged = UdpSocket::bind((Ipv4Addr::new(127, 8, high, low), 0)).unwrap();
        let _full = forged.send_to(b"forged", games);
        if number % 1000 == 999 {
            assert!(plays(), "{number}: who was there stays");
            let client = Client::new(&daemon);
            let place = to(echo("127.0.0.1:0"));
            let tries = (0..10).any(|_| client.echoes(&place, b"new"));
            assert!(tries, "{number}: {}", daemon.json(&["diagnostics"]));
        }
    }
    assert!(live(&daemon) <= 500 + 64 + 30);
    eventually("all have ended", || live(&daemon) == 0);
    let more = daemon.descriptors_at_rest().saturating_sub(descriptors);
    assert!(more <= 4, "{more} descriptors more than before");
}

#[test]
fn an_answer_that_fits_no_datagram_with_its_header_is_dropped_alone() {
    let daemon = Daemon::native(&format!("{MIXED}rules:\n  - FALLBACK, DIRECT\n"));
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let head = to(server.local_addr().unwrap());
    let client = Client::new(&daemon);
    client.send(&head, b"hello");
    let (_, outer) = server.recv_from(&mut [0; 16]).unwrap();
    // The longest that UDP carries.
    server.send_to(&vec![7; 65_507], outer).unwrap();
    server.send_to(b"short", outer).unwrap();
    assert_eq!(client.receive(), Some([&head, &b"short"[..]].concat()));
    client.send(&head, &vec![7; 65_507 - head.len()]);
    let (length, _) = server.recv_from(&mut vec![0; 65_535]).unwrap();
    assert_eq!(length, 65_507 - head.len());
    let flows = records(&daemon);
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!(flows[0]["bytes_received"], 5);
    assert_eq!(daemon.json(&["diagnostics"])["udp_lost"]["unsent"], 1);
}

//! Paths that are narrow, full or dead, and what is left behind, in processes and namespaces of their own.

use std::process::Command;
use std::time::{Duration, Instant};

use super::super::*;
use super::carried::{LOOPBACKS, bound, mapping, plain, receive};

/// Says to a run of one of these tests that it is within.
const WITHIN: &str = "POINTSMAN_TEST_WITHIN";

/// Runs `test`, which is the test of that name, behind a command of the shell and in a network of its own.
fn within(setup: &str, name: &str, test: impl FnOnce()) {
    if std::env::var_os(WITHIN).is_some() {
        return test();
    }
    let program = std::env::current_exe().unwrap();
    let unshare = |command: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--net", "--mount", "sh", "-c", command]);
        unshare.arg(&program).env(WITHIN, "yes").output()
    };
    if !unshare(setup).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no network of its own can be made here");
        return;
    }
    let name = format!("datagram::tests::narrow::{name}");
    let output = unshare(&format!("{setup} && exec \"$0\" --exact {name}")).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let done = output.status.success() && said.contains("1 passed");
    assert!(done, "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_narrow_path_is_told_and_segments_stay_on() {
    let setup = "ip link set lo mtu 1300 up";
    within(setup, "a_narrow_path_is_told_and_segments_stay_on", narrow);
}

fn narrow() {
    let whole = Options {
        whole: true,
        tell_errors: true,
        ..Options::default()
    };
    for address in LOOPBACKS {
        let (listening, to) = bound(address, Options::default());
        let (bytes, offload) = ([7; 3 * 1290], Offload::new());
        let (parts, long) = ([IoSlice::new(&bytes)], [IoSlice::new(&bytes[..1290])]);
        let segments = |segment| Outgoing {
            segment: Some(segment),
            ..plain(to, &parts)
        };
        let come = |expected: &[usize]| {
            let mut lengths = Vec::new();
            receive(&mut Inbox::new(8, 2000), &listening, |datagram| {
                lengths.push(datagram.payload.len());
                lengths.len() == expected.len()
            });
            assert_eq!(lengths, expected, "{address}");
        };
        let send = |options, message| {
            let socket = mapping(to, options);
            let sent = Outbox::new().send(&socket, &offload, &[message], Place::default());
            (sent.stopped, errors(&socket))
        };
        // Cut for the path, one by one.
        let (stopped, _) = send(Options::default(), segments(1290));
        assert!(stopped.is_none(), "{stopped:?}");
        come(&[1290; 3]);
        // Never cut.
        for message in [plain(to, &long), segments(1290)] {
            let (stopped, told) = send(whole, message);
            assert!(matches!(stopped, Some(Stop::Refused(_))), "{stopped:?}");
            // The system leaves the port out, for v4.
            let port = if to.is_ipv4() { 0 } else { to.port() };
            let to = SocketAddr::new(to.ip(), port);
            let what = Fault::TooBig { mtu: 1300 };
            let from_network = false;
            let expected = Failure {
                to,
                what,
                from_network,
            };
            assert!(
                !told.is_empty() && told.iter().all(|it| *it == expected),
                "{told:?}"
            );
        }
        assert!(offload.allows(1200), "the device is not to blame");
        let (stopped, told) = send(whole, segments(1200));
        assert!(stopped.is_none() && told.is_empty(), "{stopped:?} {told:?}");
        come(&[1200, 1200, 1200, 270]);
    }
}

#[test]
fn nothing_is_left_behind_and_room_costs_what_was_used() {
    let name = "nothing_is_left_behind_and_room_costs_what_was_used";
    within("ip link set lo up", name, || {
        let (open, resident) = (descriptors(), resident_pages());
        for round in 0..200 {
            let (listening, to) = bound("127.0.0.1:0", Options::default());
            assert!(first_listener(to, true, &Options::default()).is_err());
            let nowhere = crate::socket::Uplink {
                interface: Some("nosuch0"),
                ..crate::socket::Uplink::default()
            };
            assert!(mapping_socket(to, nowhere, &Options::default()).is_err());
            // 4 MiB, of which a datagram touches little.
            let mut inbox = Inbox::new(64, 65_535);
            let (socket, parts) = (mapping(to, Options::default()), [IoSlice::new(b"?")]);
            let message = [plain(to, &parts)];
            let sent = Outbox::new().send(&socket, &Offload::new(), &message, Place::default());
            assert!(sent.stopped.is_none());
            receive(&mut inbox, &listening, |_| true);
            let more = resident_pages() - resident;
            assert!(more < 256, "{more} pages more, in round {round}");
        }
        assert_eq!(descriptors(), open);
    });
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_pages() -> i64 {
    let counts = std::fs::read_to_string("/proc/self/statm").unwrap();
    counts.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Nobody answers for an address of the link: what is sent waits, then fails.
const NOBODY: &str = "ip link add va type veth peer name vb && ip addr add 10.9.0.1/24 dev va && \
     ip link set va up && ip link set vb up && ip link set lo up";

#[test]
fn a_full_socket_and_a_dead_neighbour_are_told() {
    within(NOBODY, "a_full_socket_and_a_dead_neighbour_are_told", full);
}

fn full() {
    let to: SocketAddr = "10.9.0.2:9".parse().unwrap();
    let options = Options {
        tell_errors: true,
        ..Options::default()
    };
    let socket = mapping(to, options);
    // The system makes the least of it that it has.
    socket2::SockRef::from(&socket)
        .set_send_buffer_size(1)
        .unwrap();
    let parts = [IoSlice::new(&[7; 500])];
    let (offload, messages) = (Offload::new(), [plain(to, &parts); 40]);
    let mut outbox = Outbox::new();
    let sent = outbox.send(&socket, &offload, &messages, Place::default());
    assert!(matches!(sent.stopped, Some(Stop::Full)), "{sent:?}");
    assert!((1..40).contains(&sent.until.message), "{sent:?}");
    // It stays full, and nothing more goes.
    let again = outbox.send(&socket, &offload, &messages, sent.until);
    assert!(matches!(again.stopped, Some(Stop::Full)), "{again:?}");
    assert_eq!(again.until, sent.until);
    // Three questions for the neighbour, a second apart.
    let until = Instant::now() + Duration::from_secs(20);
    let mut told = Vec::new();
    while told.len() < sent.until.message {
        assert!(Instant::now() < until, "{told:?} of {sent:?}");
        std::thread::sleep(Duration::from_millis(20));
        told.extend(errors(&socket));
    }
    assert!(
        told.iter()
            .all(|it| (it.to, it.what) == (to, Fault::HostUnreachable)),
        "{told:?}"
    );
    assert_eq!(told.len(), sent.until.message, "each went once");
    let on = outbox.send(&socket, &offload, &messages, sent.until);
    assert!(on.until.message > sent.until.message, "{on:?}");
}

/// `r` routes between this network and a link with an MTU of 1300, at whose end is `s`; it refuses two others.
const ROUTER: &str = "set -e; mount -t tmpfs tmpfs /run; ip netns add r; ip netns add s; ip link set lo up; \
     ip link add c1 type veth peer name r1 netns r; \
     ip -n r link add r2 mtu 1300 type veth peer name s1 mtu 1300 netns s; \
     ip addr add 10.9.1.1/24 dev c1; ip addr add fd09:1::1/64 dev c1 nodad; ip link set c1 up; \
     ip netns exec r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'; \
     ip -n r addr add 10.9.1.2/24 dev r1; ip -n r addr add fd09:1::2/64 dev r1 nodad; ip -n r link set r1 up; \
     ip -n r addr add 10.9.2.1/24 dev r2; ip -n r addr add fd09:2::1/64 dev r2 nodad; ip -n r link set r2 up; \
     ip -n s addr add 10.9.2.2/24 dev s1; ip -n s addr add fd09:2::2/64 dev s1 nodad; ip -n s link set s1 up; \
     ip route add default via 10.9.1.2; ip route add default via fd09:1::2; \
     ip -n s route add default via 10.9.2.1; ip -n s route add default via fd09:2::1; \
     ip -n r route add prohibit 10.9.3.0/24; ip -n r route add prohibit fd09:3::/64; \
     ip -n r route add unreachable 10.9.4.0/24; ip -n r route add unreachable fd09:4::/64; true";

#[test]
fn what_a_router_says_is_told() {
    within(ROUTER, "what_a_router_says_is_told", routed);
}

fn routed() {
    let whole = Options {
        whole: true,
        tell_errors: true,
        ..Options::default()
    };
    let mtu = 1300;
    for (to, length, what) in [
        ("10.9.2.2:9", 100, Fault::PortUnreachable),
        ("10.9.2.2:9", 1400, Fault::TooBig { mtu }),
        ("10.9.3.1:9", 100, Fault::Prohibited),
        ("10.9.4.1:9", 100, Fault::HostUnreachable),
        ("[fd09:2::2]:9", 100, Fault::PortUnreachable),
        ("[fd09:2::2]:9", 1400, Fault::TooBig { mtu }),
        ("[fd09:3::1]:9", 100, Fault::Prohibited),
        ("[fd09:4::1]:9", 100, Fault::NetUnreachable),
    ] {
        let to: SocketAddr = to.parse().unwrap();
        let socket = mapping(to, whole);
        let bytes = vec![7; length];
        let parts = [IoSlice::new(&bytes)];
        let (offload, message) = (Offload::new(), [plain(to, &parts)]);
        let sent = Outbox::new().send(&socket, &offload, &message, Place::default());
        assert!(sent.stopped.is_none(), "{to} {sent:?}");
        let until = Instant::now() + Duration::from_secs(5);
        let error = loop {
            let error = Inbox::new(1, 9).receive(&socket).unwrap_err();
            if error.kind() != io::ErrorKind::WouldBlock {
                break error;
            }
            assert!(Instant::now() < until, "{to}: nothing is told");
            std::thread::sleep(Duration::from_millis(1));
        };
        assert!(is_told(&error), "{to} {error:?}");
        let from_network = true;
        let expected = Failure {
            to,
            what,
            from_network,
        };
        assert_eq!(errors(&socket), [expected]);
    }
}

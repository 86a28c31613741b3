//! What is sent arrives as it was sent, and is told truly.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::super::*;
use crate::socket::Uplink;

pub(super) const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

pub(super) fn bound(address: &str, options: Options) -> (UdpSocket, SocketAddr) {
    let socket = listener(address.parse().unwrap(), false, &options).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

pub(super) fn mapping(to: SocketAddr, options: Options) -> UdpSocket {
    mapping_socket(to, Uplink::default(), &options).unwrap()
}

pub(super) fn plain<'a>(to: SocketAddr, parts: &'a [IoSlice<'a>]) -> Outgoing<'a> {
    Outgoing {
        to,
        from: None,
        class: None,
        hops: None,
        segment: None,
        parts,
    }
}

pub(super) fn send(socket: &UdpSocket, offload: &Offload, messages: &[Outgoing<'_>]) {
    let sent = Outbox::new().send(socket, offload, messages, Place::default());
    assert!(sent.stopped.is_none(), "{sent:?}");
    assert_eq!(sent.until.message, messages.len());
}

/// Receives until `enough`, for a second at most; the loopback may need a moment.
pub(super) fn receive(
    inbox: &mut Inbox,
    socket: &UdpSocket,
    mut each: impl FnMut(Datagram<'_>) -> bool,
) {
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        match inbox.receive(socket) {
            Ok(received) => {
                let mut done = false;
                received.iter().for_each(|datagram| done |= each(datagram));
                if done {
                    return;
                }
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        assert!(Instant::now() < until, "nothing comes");
        std::thread::yield_now();
    }
}

fn one<T>(socket: &UdpSocket, each: impl Fn(Datagram<'_>) -> T) -> T {
    let mut found = None;
    receive(&mut Inbox::new(1, 65_535), socket, |datagram| {
        found = Some(each(datagram));
        true
    });
    found.unwrap()
}

#[test]
fn parts_of_all_lengths_arrive_as_one() {
    for address in LOOPBACKS {
        let (listening, to) = bound(address, Options::default());
        let socket = mapping(to, Options::default());
        for length in [0, 1, 1200, 65_507] {
            let bytes: Vec<u8> = (0..length).map(|it| it as u8).collect();
            let (head, tail) = bytes.split_at(length.min(10));
            let parts = [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(tail)];
            send(&socket, &Offload::new(), &[plain(to, &parts)]);
            one(&listening, |datagram| {
                assert_eq!(datagram.payload, bytes);
                assert_eq!(datagram.from.port(), socket.local_addr().unwrap().port());
                assert_eq!((datagram.segment, datagram.truncated), (length, false));
                assert_eq!((datagram.to, datagram.class), (None, None));
                assert_eq!(datagram.each().collect::<Vec<_>>(), [&bytes]);
            });
        }
    }
}

/// Linux alone is offered little room first.
#[test]
fn a_socket_that_has_more_is_given_more_room() {
    let mut inbox = Inbox::new(32, 100);
    let (listening, to) = bound("127.0.0.1:0", Options::default());
    let socket = mapping(to, Options::default());
    let bytes: Vec<[u8; 1]> = (0..30).map(|it| [it]).collect();
    let parts: Vec<[IoSlice<'_>; 1]> = bytes.iter().map(|it| [IoSlice::new(it)]).collect();
    let messages: Vec<Outgoing<'_>> = parts.iter().map(|it| plain(to, it)).collect();
    let mut batches = Vec::new();
    for _ in 0..2 {
        send(&socket, &Offload::off(), &messages);
        let mut read = Vec::new();
        loop {
            let received = inbox.receive(&listening).unwrap();
            let before = read.len();
            read.extend(received.iter().map(|it| it.payload[0]));
            batches.push(read.len() - before);
            if received.is_all() {
                break;
            }
        }
        assert_eq!(read, bytes.concat());
    }
    assert_eq!(batches, [8, 22, 30]);
}

#[test]
fn a_batch_goes_to_several_and_is_told_whole_or_not() {
    let mut inbox = Inbox::new(4, 100);
    let there = LOOPBACKS.map(|_| bound("127.0.0.1:0", Options::default()));
    let socket = mapping(there[0].1, Options::default());
    let bytes: Vec<[u8; 1]> = (0..14).map(|it| [it]).collect();
    let parts: Vec<[IoSlice<'_>; 1]> = bytes.iter().map(|it| [IoSlice::new(it)]).collect();
    let messages: Vec<Outgoing<'_>> = (0..14)
        .map(|it| plain(there[it % 2].1, &parts[it]))
        .collect();
    send(&socket, &Offload::new(), &messages);
    for (at, (socket, _)) in there.iter().enumerate() {
        let mut read = Vec::new();
        let received = inbox.receive(socket).unwrap();
        read.extend(received.iter().map(|it| it.payload.to_vec()));
        assert!(!received.is_all());
        let received = inbox.receive(socket).unwrap();
        read.extend(received.iter().map(|it| it.payload.to_vec()));
        assert!(received.is_all());
        let expected: Vec<_> = bytes
            .iter()
            .skip(at)
            .step_by(2)
            .map(|it| it.to_vec())
            .collect();
        assert_eq!(read, expected);
        let nothing = inbox.receive(socket).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn what_is_too_long_for_its_room_is_told() {
    let (listening, to) = bound("127.0.0.1:0", Options::default());
    let parts = [IoSlice::new(&[1, 2, 3])];
    send(
        &mapping(to, Options::default()),
        &Offload::new(),
        &[plain(to, &parts)],
    );
    receive(&mut Inbox::new(1, 2), &listening, |datagram| {
        assert_eq!((datagram.payload, datagram.truncated), (&[1, 2][..], true));
        true
    });
}

#[test]
fn segments_arrive_put_together_or_each_by_itself() {
    for address in LOOPBACKS {
        for coalesce in [true, false] {
            let options = Options {
                coalesce,
                ..Options::default()
            };
            let (listening, to) = bound(address, options);
            let bytes: Vec<u8> = (0..6500).map(|it| (it / 1000) as u8).collect();
            let parts: Vec<IoSlice<'_>> = bytes.chunks(170).map(IoSlice::new).collect();
            let message = Outgoing {
                segment: Some(1000),
                ..plain(to, &parts)
            };
            for offload in [Offload::new(), Offload::off()] {
                send(&mapping(to, Options::default()), &offload, &[message]);
                let mut read: Vec<Vec<u8>> = Vec::new();
                let mut calls = 0;
                receive(&mut Inbox::new(8, 65_535), &listening, |datagram| {
                    read.extend(datagram.each().map(<[u8]>::to_vec));
                    calls += 1;
                    read.len() == 7
                });
                let expected: Vec<_> = bytes.chunks(1000).map(<[u8]>::to_vec).collect();
                assert_eq!(read, expected);
                let together = if coalesce && offload.is_on() { 1 } else { 7 };
                assert_eq!(calls, together, "{address} {coalesce} {offload:?}");
            }
        }
    }
}

#[test]
fn the_traffic_class_is_set_and_told() {
    let options = Options {
        tell_class: true,
        ..Options::default()
    };
    for address in LOOPBACKS {
        let (listening, to) = bound(address, options);
        let socket = mapping(to, Options::default());
        let parts = [IoSlice::new(b"x")];
        // Code point 46 with ECT(0); nothing asked for is nothing.
        for class in [Some(46 << 2 | 2), None] {
            let message = Outgoing {
                class,
                ..plain(to, &parts)
            };
            send(&socket, &Offload::new(), &[message]);
            let told = one(&listening, |datagram| datagram.class);
            assert_eq!(told, Some(class.unwrap_or(0)), "{address}");
        }
    }
}

#[test]
fn the_hops_that_are_left_are_set_and_told() {
    let options = Options {
        tell_hops: true,
        ..Options::default()
    };
    for address in LOOPBACKS {
        let (listening, to) = bound(address, options);
        let socket = mapping(to, Options::default());
        let parts = [IoSlice::new(b"x")];
        for hops in [Some(7), Some(255), None] {
            let message = Outgoing {
                hops,
                ..plain(to, &parts)
            };
            send(&socket, &Offload::new(), &[message]);
            let told = one(&listening, |datagram| datagram.hops);
            assert_eq!(told, Some(hops.unwrap_or(64)), "{address}");
        }
    }
}

#[test]
fn who_listens_on_all_addresses_answers_from_the_one_asked() {
    let options = Options {
        tell_address: true,
        ..Options::default()
    };
    // A v6 loopback has one address alone.
    for (all, asked) in [("0.0.0.0:0", "127.0.0.7"), ("[::]:0", "::1")] {
        let (listening, all) = bound(all, options);
        let asked: IpAddr = asked.parse().unwrap();
        let to = SocketAddr::new(asked, all.port());
        let client = mapping(to, Options::default());
        let parts = [IoSlice::new(b"?")];
        send(&client, &Offload::new(), &[plain(to, &parts)]);
        let (told, from) = one(&listening, |datagram| (datagram.to, datagram.from));
        assert_eq!(told, Some(asked));
        let answer = Outgoing {
            from: told,
            ..plain(from, &parts)
        };
        send(&listening, &Offload::new(), &[answer]);
        assert_eq!(one(&client, |datagram| datagram.from), to);
    }
}

#[test]
fn a_source_that_is_not_ours_is_refused_and_segments_are_not_to_blame() {
    let (_listening, to) = bound("127.0.0.1:0", Options::default());
    let (offload, parts) = (Offload::new(), [IoSlice::new(&[0; 30])]);
    let message = Outgoing {
        from: Some("192.0.2.1".parse().unwrap()),
        segment: Some(10),
        ..plain(to, &parts)
    };
    let socket = mapping(to, Options::default());
    let sent = Outbox::new().send(&socket, &offload, &[message], Place::default());
    assert!(matches!(sent.stopped, Some(Stop::Refused(_))), "{sent:?}");
    assert!(offload.is_on());
}

#[test]
fn a_kernel_that_refuses_segments_is_asked_once() {
    let (listening, to) = bound("127.0.0.1:0", Options::default());
    let (offload, parts) = (Offload::new(), [IoSlice::new(&[5; 30])]);
    let message = Outgoing {
        segment: Some(10),
        ..plain(to, &parts)
    };
    let socket = mapping(to, Options::default());
    // Without checksums the kernel does not cut (EINVAL), and sends single datagrams all the same.
    imp::datagram::without_checksums(&socket).unwrap();
    send(&socket, &offload, &[message, message]);
    assert!(!offload.is_on());
    let mut lengths = Vec::new();
    receive(&mut Inbox::new(8, 100), &listening, |datagram| {
        lengths.push(datagram.payload.len());
        lengths.len() == 6
    });
    assert_eq!(lengths, [10; 6]);
    let nothing = Inbox::new(1, 9).receive(&listening).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn strangers_are_refused_and_our_own_share() {
    for address in LOOPBACKS {
        let options = Options::default();
        let shared = crate::socket::CAN_SHARE_PORTS;
        let first = first_listener(address.parse().unwrap(), shared, &options).unwrap();
        let address = first.local_addr().unwrap();
        listener(address, shared, &options).unwrap();
        let error = first_listener(address, shared, &options).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

#[test]
fn buffers_are_only_enlarged() {
    let size = |receive_buffer| {
        let options = Options {
            receive_buffer,
            ..Options::default()
        };
        let (socket, _) = bound("127.0.0.1:0", options);
        socket2::SockRef::from(&socket).recv_buffer_size().unwrap()
    };
    let usual = size(0);
    assert_eq!(size(1), usual);
    assert!(size(usual + 1) > usual);
}

//! What is told of datagrams that did not arrive, and who wakes by it.

use std::future::Future;
use std::net::UdpSocket;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::io::Interest;

use super::super::*;
use super::carried::{LOOPBACKS, bound, mapping, plain};

const TOLD: Options = Options {
    coalesce: false,
    tell_address: false,
    tell_class: false,
    tell_hops: false,
    tell_errors: true,
    whole: false,
    receive_buffer: 0,
    send_buffer: 0,
};

/// An address where nobody listens.
fn closed(address: &str) -> SocketAddr {
    bound(address, Options::default()).1
}

fn say(socket: &impl AsSocket, to: SocketAddr) {
    let parts = [IoSlice::new(b"?")];
    let offload = Offload::new();
    let sent = Outbox::new().send(socket, &offload, &[plain(to, &parts)], Place::default());
    assert!(sent.stopped.is_none(), "{sent:?}");
}

fn refused(to: SocketAddr) -> Failure {
    Failure {
        to,
        what: Fault::PortUnreachable,
        from_network: true,
    }
}

#[test]
fn a_closed_port_is_told_with_its_destination_and_others_go_on() {
    for address in LOOPBACKS {
        let (listening, open) = bound(address, Options::default());
        let (first, second) = (closed(address), closed(address));
        let socket = mapping(open, TOLD);
        for to in [first, second, open, first, open] {
            say(&socket, to);
        }
        assert_eq!(
            errors(&socket),
            [refused(first), refused(second), refused(first)]
        );
        assert_eq!(errors(&socket), []);
        let mut inbox = Inbox::new(8, 100);
        let received = inbox.receive(&listening).unwrap();
        assert_eq!(
            received.iter().count(),
            2,
            "nothing was lost, nothing twice"
        );
    }
}

#[test]
fn an_error_that_was_told_costs_no_datagram() {
    let (peer, to) = bound("127.0.0.1:0", Options::default());
    let socket = mapping(to, TOLD);
    say(&peer, socket_address(&socket));
    say(&socket, closed("127.0.0.1:0"));
    let mut inbox = Inbox::new(2, 100);
    let error = inbox.receive(&socket).unwrap_err();
    assert!(is_told(&error), "{error:?}");
    assert_eq!(inbox.receive(&socket).unwrap().iter().count(), 1);
    assert!(!is_told(&inbox.receive(&socket).unwrap_err()));
}

/// The loopback is every interface's; a mapping is bound to all addresses.
fn socket_address(socket: &UdpSocket) -> SocketAddr {
    SocketAddr::new(
        "127.0.0.1".parse().unwrap(),
        socket.local_addr().unwrap().port(),
    )
}

#[test]
fn without_the_wish_nothing_is_told() {
    let to = closed("127.0.0.1:0");
    let socket = mapping(to, Options::default());
    say(&socket, to);
    say(&socket, to);
    assert_eq!(errors(&socket), []);
    let nothing = Inbox::new(1, 9).receive(&socket).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}

fn of_runtime(socket: UdpSocket) -> tokio::net::UdpSocket {
    tokio::net::UdpSocket::from_std(socket).unwrap()
}

fn is_pending(waiting: impl Future) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(pin!(waiting).poll(&mut cx), Poll::Pending)
}

/// Clears what the runtime assumes of a new socket.
async fn settle(socket: &tokio::net::UdpSocket) {
    let mut inbox = Inbox::new(1, 9);
    while !is_pending(ready(socket)) {
        let _ = inbox.try_receive(socket);
        try_errors(socket);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_told_wakes_who_waits_on_a_quiet_socket() {
    for address in LOOPBACKS {
        let to = closed(address);
        let socket = of_runtime(mapping(to, TOLD));
        settle(&socket).await;
        let (woken, ()) = tokio::join!(ready(&socket), async { say(&socket, to) });
        let woken = woken.unwrap();
        assert!(woken.is_error() && !woken.is_readable(), "{woken:?}");
        assert_eq!(try_errors(&socket), [refused(to)]);
        assert!(is_pending(ready(&socket)), "it was cleared");
        // And again: clearing lost nothing.
        let (woken, ()) = tokio::join!(ready(&socket), async { say(&socket, to) });
        assert!(woken.unwrap().is_error());
        assert_eq!(try_errors(&socket), [refused(to)]);
    }
}

#[tokio::test]
async fn a_batch_that_was_not_full_clears_what_the_runtime_knows() {
    let (socket, to) = bound("127.0.0.1:0", Options::default());
    let (socket, peer) = (of_runtime(socket), mapping(to, Options::default()));
    settle(&socket).await;
    let mut inbox = Inbox::new(2, 100);
    for round in 0..3 {
        for _ in 0..3 {
            say(&peer, to);
        }
        assert!(ready(&socket).await.unwrap().is_readable());
        assert_eq!(inbox.try_receive(&socket).unwrap().iter().count(), 2);
        assert!(!is_pending(ready(&socket)), "more wait, in round {round}");
        assert_eq!(inbox.try_receive(&socket).unwrap().iter().count(), 1);
        assert!(
            is_pending(ready(&socket)),
            "it was cleared, in round {round}"
        );
        let nothing = inbox.try_receive(&socket).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }
}

/// Not what we want, but what the text on waiting says: when tokio changes this, it is to be read again.
#[tokio::test]
async fn the_runtime_takes_what_is_told_for_an_end_of_writing() {
    let to = closed("127.0.0.1:0");
    let socket = of_runtime(mapping(to, TOLD));
    settle(&socket).await;
    say(&socket, to);
    ready(&socket).await.unwrap();
    try_errors(&socket);
    for _ in 0..3 {
        let writable = socket.ready(Interest::WRITABLE).await.unwrap();
        assert!(writable.is_write_closed());
        let full = || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock));
        let _ = socket.try_io(Interest::WRITABLE, full);
    }
}

#[test]
fn a_batch_of_many_errors_is_read_in_turns() {
    let to = closed("127.0.0.1:0");
    let options = Options {
        receive_buffer: 1 << 20,
        ..TOLD
    };
    let socket = mapping(to, options);
    for _ in 0..70 {
        say(&socket, to);
    }
    assert_eq!(errors(&socket).len(), MOST_MESSAGES);
    assert_eq!(errors(&socket).len(), 6);
}

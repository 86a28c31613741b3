//! Listeners share, hand out, are kept, and close without losing anybody.

#![allow(
    clippy::disallowed_methods,
    reason = "the other side of these tests is not ours"
)]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A handler that tells the worker and then answers `text` by closing.
fn telling(text: &'static str) -> (Handler, mpsc::Receiver<(usize, &'static str)>) {
    let (tell, told) = mpsc::channel();
    let handler: Handler =
        Arc::new(move |accepted: Accepted| tell.send((accepted.worker, text)).unwrap());
    (handler, told)
}

fn any_port() -> Endpoint {
    Endpoint::Tcp("127.0.0.1:0".parse().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "the client in a test")]
fn connect(address: SocketAddr) -> std::net::TcpStream {
    std::net::TcpStream::connect(address).unwrap()
}

#[test]
fn all_workers_accept() {
    let workers = Workers::start(3).unwrap();
    let (handler, told) = telling("a");
    let listener = Listener::bind(any_port(), &workers, handler).unwrap();
    let mut seen = HashSet::new();
    for _ in 0..500 {
        let _client = connect(listener.address().unwrap());
        seen.insert(told.recv_timeout(PATIENCE).unwrap().0);
        if seen.len() == workers.len() {
            return;
        }
    }
    panic!("only workers {seen:?} accepted");
}

#[test]
fn a_worker_that_has_clearly_more_to_do_hands_over() {
    let workers = Workers::start(2).unwrap();
    let (handler, told) = telling("a");
    let listener = Listener::bind(any_port(), &workers, handler).unwrap();
    for _ in 0..2 * UNEVEN {
        workers.spawn_on(0, std::future::pending());
    }
    for _ in 0..20 {
        let _client = connect(listener.address().unwrap());
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), (1, "a"));
    }
}

#[test]
fn inherited_and_local_listeners_hand_out_in_turn() {
    let directory = tempfile::tempdir().unwrap();
    let workers = Workers::start(2).unwrap();

    let (handler, told) = telling("tcp");
    let inherited = StdTcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = Listener::bind(Endpoint::InheritedTcp(inherited), &workers, handler).unwrap();
    let _clients = [
        connect(tcp.address().unwrap()),
        connect(tcp.address().unwrap()),
    ];
    let seen: HashSet<_> = (0..2)
        .map(|_| told.recv_timeout(PATIENCE).unwrap().0)
        .collect();
    assert_eq!(seen.len(), 2);

    let (handler, told) = telling("unix");
    let path = directory.path().join("in.sock");
    let unix = Listener::bind(
        Endpoint::Unix {
            path: path.clone(),
            mode: 0o600,
        },
        &workers,
        handler,
    )
    .unwrap();
    let connect = || std::os::unix::net::UnixStream::connect(&path).unwrap();
    let _clients = [connect(), connect()];
    let seen: HashSet<_> = (0..2)
        .map(|_| told.recv_timeout(PATIENCE).unwrap().0)
        .collect();
    assert_eq!(seen.len(), 2);
    drop(unix);
    assert!(!path.exists());
}

#[test]
fn an_address_in_use_is_refused() {
    let workers = Workers::start(2).unwrap();
    let listener = Listener::bind(any_port(), &workers, telling("a").0).unwrap();
    let again = Listener::bind(
        Endpoint::Tcp(listener.address().unwrap()),
        &workers,
        telling("b").0,
    );
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn close_serves_who_waits_and_then_refuses() {
    let workers = Workers::start(1).unwrap();
    let answer: Handler = Arc::new(|accepted: Accepted| {
        let Socket::Tcp(socket) = accepted.socket else {
            return;
        };
        let mut socket = socket.into_std().unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.write_all(b"served").unwrap();
    });
    let listener = Listener::bind(any_port(), &workers, answer).unwrap();
    let address = listener.address().unwrap();
    // The only worker is busy: these clients wait in the kernel's queue while the close is asked for.
    let (release, released) = mpsc::channel::<()>();
    let (busy, is_busy) = mpsc::channel();
    workers.spawn_on(0, async move {
        busy.send(()).unwrap();
        released.recv().unwrap();
    });
    is_busy.recv().unwrap();
    let clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
    listener.tasks.ask_to_stop();
    release.send(()).unwrap();
    workers.run_on(0, listener.close()).unwrap();
    for mut client in clients {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "served");
        let _ = client.shutdown(Shutdown::Both);
    }
    #[expect(clippy::disallowed_methods, reason = "the client in a test")]
    let refused = std::net::TcpStream::connect(address);
    assert_eq!(
        refused.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
}

#[test]
fn what_is_bound_beside_ours_takes_no_client_before_it_listens() {
    let wide = os::tcp_listener(SocketAddr::from(([0, 0, 0, 0], 0)), true).unwrap();
    let narrow = SocketAddr::from(([127, 0, 0, 1], wide.local_addr().unwrap().port()));
    let bound = Bound::new(Endpoint::Tcp(narrow), 2, Beside::Ours).unwrap();
    let Listening::Tcp(sockets) = &bound.listening else {
        panic!("{bound:?}")
    };
    let taker = || {
        let by = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < by {
            if wide.accept().is_ok() {
                return "wide";
            }
            if sockets.iter().any(|socket| socket.accept().is_ok()) {
                return "narrow";
            }
        }
        "nobody"
    };
    let _first = connect(narrow);
    assert_eq!(taker(), "wide");
    bound.listen().unwrap();
    let _second = connect(narrow);
    assert_eq!(taker(), "narrow");
}

//! What a datagram costs by each way, on Linux: `cargo run --release -p pointsman-os --example datagram_costs`.
//!
//! Prints, and judges nothing. One thread sends and receives over the loopback; what counts is the processor time that it
//! spent, so that others on the machine count little.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring device that ends at the first surprise"
)]

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use pointsman_os::datagram::{
    Inbox, Offload, Options, Outbox, Outgoing, Place, listener, mapping_socket,
};
use pointsman_os::socket::Uplink;
use rustix::time::{ClockId, clock_gettime};

/// Few enough that a socket of the usual size holds them.
const BATCH: usize = 32;
const ROUNDS: usize = 1000;
const TRIES: usize = 5;

fn main() {
    println!("nanoseconds for a datagram, the best of {TRIES} tries");
    for address in ["127.0.0.1:0", "[::1]:0"] {
        for bytes in [64, 200, 1200] {
            measure(address.parse().unwrap(), bytes);
        }
    }
}

fn measure(address: SocketAddr, bytes: usize) {
    let usual = Options::default();
    let told = Options {
        tell_class: true,
        tell_address: true,
        ..usual
    };
    let coalesce = Options {
        coalesce: true,
        ..usual
    };
    let payload = vec![7; bytes];
    for (way, nanos) in [
        ("one by one", one_by_one(address, &payload)),
        ("a batch of one", alone(address, &payload)),
        ("batches", batched(address, &payload, &usual, 1, None)),
        (
            "batches, with class and address",
            batched(address, &payload, &told, 1, Some(0x28)),
        ),
        (
            "16 segments, each received",
            batched(address, &payload, &usual, 16, None),
        ),
        (
            "16 segments, put together",
            batched(address, &payload, &coalesce, 16, None),
        ),
    ] {
        println!("{} {bytes:5} B {way:32} {nanos:5}", address.ip());
    }
}

fn one_by_one(address: SocketAddr, payload: &[u8]) -> u128 {
    let (listening, socket, to) = pair(address, &Options::default());
    let mut room = vec![0; 65_535];
    best(|| {
        for _ in 0..BATCH {
            socket.send_to(payload, to).unwrap();
            listening.recv_from(&mut room).unwrap();
            // How a socket of a runtime learns that there is no more.
            listening.recv_from(&mut room).unwrap_err();
        }
    })
}

/// What an empty room for many costs.
fn alone(address: SocketAddr, payload: &[u8]) -> u128 {
    let (listening, socket, to) = pair(address, &Options::default());
    let (mut inbox, mut outbox) = (Inbox::new(BATCH, 65_535), Outbox::new());
    let parts = [IoSlice::new(payload)];
    let message = Outgoing {
        to,
        from: None,
        class: None,
        hops: None,
        segment: None,
        parts: &parts,
    };
    let offload = Offload::new();
    best(|| {
        for _ in 0..BATCH {
            let sent = outbox.send(&socket, &offload, &[message], Place::default());
            assert!(sent.stopped.is_none(), "{sent:?}");
            assert_eq!(inbox.receive(&listening).unwrap().iter().count(), 1);
        }
    })
}

fn batched(
    address: SocketAddr,
    payload: &[u8],
    options: &Options,
    segments: usize,
    class: Option<u8>,
) -> u128 {
    let (listening, socket, to) = pair(address, options);
    let (mut inbox, mut outbox) = (Inbox::new(BATCH, 65_535), Outbox::new());
    let parts = vec![IoSlice::new(payload); segments];
    let message = Outgoing {
        to,
        from: None,
        class,
        hops: None,
        segment: u16::try_from(payload.len()).ok().filter(|_| segments > 1),
        parts: &parts,
    };
    let messages = vec![message; BATCH / segments];
    let offload = Offload::new();
    best(|| {
        let sent = outbox.send(&socket, &offload, &messages, Place::default());
        assert!(sent.stopped.is_none(), "{sent:?}");
        let mut count = 0;
        while count < BATCH {
            let received = inbox.receive(&listening).unwrap();
            count += received.iter().map(|it| it.each().count()).sum::<usize>();
        }
    })
}

fn pair(address: SocketAddr, options: &Options) -> (UdpSocket, UdpSocket, SocketAddr) {
    let listening = listener(address, false, options).unwrap();
    let to = listening.local_addr().unwrap();
    let socket = mapping_socket(to, Uplink::default(), &Options::default()).unwrap();
    (listening, socket, to)
}

fn best(mut round: impl FnMut()) -> u128 {
    let spent = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let tries = (0..TRIES).map(|_| {
        let begun = spent();
        (0..ROUNDS).for_each(|_| round());
        (spent() - begun).as_nanos() / (ROUNDS * BATCH) as u128
    });
    tries.min().unwrap()
}

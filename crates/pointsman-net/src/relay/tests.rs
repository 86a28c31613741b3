//! Relays between real sockets: ends, resets, limits, and who carried the bytes.
//!
//! The counters of the process are shared by all tests here, so a test asserts on its own [`Outcome`].

#![allow(
    clippy::disallowed_methods,
    reason = "the other side of these tests is not ours"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};
use std::thread;

use pointsman_os::descriptors;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

mod late;
mod limits;

use super::*;
use crate::tasks::Tasks;

const PATIENCE: Duration = Duration::from_secs(30);

/// Two programs, blocking, and the two streams that we relay between.
struct Ends {
    client: StdStream,
    server: StdStream,
    near_client: Stream,
    near_server: Stream,
}

fn tcp_pair() -> (StdStream, Stream) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    #[expect(clippy::disallowed_methods, reason = "the peer in a test")]
    let far = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (far, Stream::from(TcpStream::from_std(near).unwrap()))
}

impl Ends {
    fn new() -> Self {
        let (client, near_client) = tcp_pair();
        let (server, near_server) = tcp_pair();
        Self {
            client,
            server,
            near_client,
            near_server,
        }
    }
}

fn start(
    near_client: Stream,
    near_server: Stream,
    limits: Limits,
    pool: &PipePool,
) -> (Relay<FlowBytes>, Arc<FlowBytes>) {
    let flow = Arc::new(FlowBytes::default());
    (relay(near_client, near_server, &limits, &flow, pool), flow)
}

/// Runs the relay of fresh `Ends` while `programs` act on another thread; answers what both said.
async fn run<R: Send + 'static>(
    limits: Limits,
    pool: &PipePool,
    programs: impl FnOnce(StdStream, StdStream) -> R + Send + 'static,
) -> (Outcome, R) {
    let ends = Ends::new();
    let (relay, _) = start(ends.near_client, ends.near_server, limits, pool);
    let acting = thread::spawn(move || programs(ends.client, ends.server));
    let outcome = tokio::time::timeout(PATIENCE, relay).await.unwrap();
    let said = tokio::task::spawn_blocking(|| acting.join().unwrap())
        .await
        .unwrap();
    (outcome, said)
}

fn rest(mut stream: &StdStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn next_byte(mut stream: &StdStream) -> io::Result<Option<u8>> {
    let mut byte = [0];
    Ok((stream.read(&mut byte)? == 1).then_some(byte[0]))
}

fn reset(stream: StdStream) {
    os::reset_on_close(&stream).unwrap();
}

/// Bytes that are wrong when one is lost, doubled or moved.
fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8)
        .collect()
}

fn send_pattern(mut to: &StdStream, total: usize) {
    for from in (0..total).step_by(1 << 16) {
        to.write_all(&pattern(from, (1 << 16).min(total - from)))
            .unwrap();
    }
    to.shutdown(Shutdown::Write).unwrap();
}

fn expect_pattern(mut from: &StdStream, total: usize, pause: Duration) {
    let mut buf = vec![0; 1 << 16];
    let mut at = 0;
    while at < total {
        let read = from.read(&mut buf).unwrap();
        assert_ne!(read, 0, "ended after {at} of {total} bytes");
        assert_eq!(buf[..read], pattern(at, read), "after {at} bytes");
        at += read;
        thread::sleep(pause);
    }
    assert_eq!(from.read(&mut buf).unwrap(), 0, "more than {total} bytes");
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    for client_first in [true, false] {
        let (outcome, ()) = run(
            Limits::default(),
            &PipePool::default(),
            move |client, server| {
                let (mut first, mut second) = if client_first {
                    (client, server)
                } else {
                    (server, client)
                };
                first.write_all(b"question").unwrap();
                first.shutdown(Shutdown::Write).unwrap();
                assert_eq!(rest(&second), "question");
                second.write_all(b"answer").unwrap();
                second.shutdown(Shutdown::Write).unwrap();
                assert_eq!(rest(&first), "answer");
            },
        )
        .await;
        assert_eq!(
            outcome,
            Outcome {
                ended: Ended::Done,
                spliced: 0,
                copied: 14
            }
        );
    }
}

#[tokio::test]
async fn resets_travel_as_resets() {
    let (outcome, seen) = run(Limits::default(), &PipePool::default(), |client, server| {
        reset(client);
        next_byte(&server).unwrap_err().kind()
    })
    .await;
    assert_eq!(
        (outcome.ended, seen),
        (Ended::ClientReset, io::ErrorKind::ConnectionReset)
    );

    let (outcome, seen) = run(Limits::default(), &PipePool::default(), |client, server| {
        reset(server);
        next_byte(&client).unwrap_err().kind()
    })
    .await;
    assert_eq!(
        (outcome.ended, seen),
        (Ended::ServerReset, io::ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn a_reset_after_the_end_of_one_direction_is_seen() {
    let (outcome, seen) = run(Limits::default(), &PipePool::default(), |client, server| {
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(next_byte(&server).unwrap(), None);
        // Nobody reads from the client any more, and nobody writes to it.
        reset(client);
        (0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            os::hung_up(&server).unwrap()
        })
    })
    .await;
    assert_eq!(outcome.ended, Ended::ClientReset);
    assert!(seen);
}

#[tokio::test]
async fn a_reset_while_the_other_side_is_stuck_is_seen() {
    let (outcome, ()) = run(Limits::default(), &PipePool::default(), |client, server| {
        client.set_nonblocking(true).unwrap();
        let block = vec![0; 1 << 20];
        let mut idle = 0;
        // The server reads nothing: when nothing fits for 100 ms the relay holds bytes that it cannot send.
        while idle < 10 {
            match (&client).write(&block) {
                Ok(written) => idle = usize::from(written == 0),
                Err(_) => {
                    idle += 1;
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
        reset(client);
        // The server lives until the relay has told it.
        while next_byte(&server).is_ok_and(|byte| byte.is_some()) {}
    })
    .await;
    assert_eq!(outcome.ended, Ended::ClientReset);
}

#[tokio::test]
async fn what_a_server_said_before_it_broke_is_delivered() {
    let (client, near_client) = tcp_pair();
    let (server, near_server) = tcp_pair();
    (&client).write_all(b"a long body").unwrap();
    let mut near_server = near_server;
    near_server.write_all(b"unread").await.unwrap();
    (&server).write_all(b"413 too large").unwrap();
    // Unread bytes make this close a reset; the relay finds it when it writes.
    assert_eq!(server.peek(&mut [0]).unwrap(), 1);
    drop(server);
    let (relay, _) = start(
        near_client,
        near_server,
        Limits::default(),
        &PipePool::default(),
    );
    assert_eq!(relay.await.ended, Ended::ServerReset);
    let mut said = Vec::new();
    let _ = (&client).read_to_end(&mut said);
    assert_eq!(said, b"413 too large");
}

#[tokio::test]
async fn prefixes_are_delivered_first() {
    let ends = Ends::new();
    let (mut near_client, mut near_server) = (ends.near_client, ends.near_server);
    near_client.unread(b"GET ".to_vec());
    near_server.unread(b"220 ".to_vec());
    let (relay, flow) = start(
        near_client,
        near_server,
        Limits::default(),
        &PipePool::default(),
    );
    let acting = thread::spawn(move || {
        (&ends.client).write_all(b"/").unwrap();
        (&ends.server).write_all(b"ready").unwrap();
        ends.client.shutdown(Shutdown::Write).unwrap();
        ends.server.shutdown(Shutdown::Write).unwrap();
        (rest(&ends.server), rest(&ends.client))
    });
    assert_eq!(relay.await.ended, Ended::Done);
    assert_eq!((flow.up(), flow.down()), (5, 9));
    assert_eq!(
        acting.join().unwrap(),
        ("GET /".to_owned(), "220 ready".to_owned())
    );
}

/// 64 MB one way; answers the outcome.
async fn carry(
    pool: &PipePool,
    total: usize,
    pause: Duration,
    end_with_bytes_in_flight: bool,
) -> Outcome {
    let (outcome, ()) = run(Limits::default(), pool, move |client, server| {
        let sender = thread::spawn(move || {
            send_pattern(&client, total);
            assert_eq!(next_byte(&client).unwrap(), None);
        });
        if end_with_bytes_in_flight {
            // The sender has ended before the receiver reads its first byte: the end waits behind bytes in the pipe.
            thread::sleep(Duration::from_millis(200));
        }
        expect_pattern(&server, total, pause);
        server.shutdown(Shutdown::Write).unwrap();
        sender.join().unwrap();
    })
    .await;
    assert_eq!(outcome.ended, Ended::Done);
    assert_eq!(outcome.spliced + outcome.copied, total as u64);
    outcome
}

#[tokio::test]
async fn much_is_spliced() {
    let total = 64 << 20;
    let before = counters();
    let outcome = carry(&PipePool::default(), total, Duration::ZERO, false).await;
    assert!(outcome.copied < total as u64 / 4, "{outcome:?}");
    assert!(counters().spliced - before.spliced >= outcome.spliced);
}

#[tokio::test]
async fn without_a_budget_much_is_copied() {
    let outcome = carry(&PipePool::new(0), 16 << 20, Duration::ZERO, false).await;
    assert_eq!(outcome.spliced, 0);
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte() {
    // Small buffers, so that pipe and socket are full most of the time.
    let outcome = carry(
        &PipePool::default(),
        8 << 20,
        Duration::from_micros(300),
        false,
    )
    .await;
    assert!(outcome.spliced > 0, "{outcome:?}");
}

#[tokio::test]
async fn the_end_waits_for_the_bytes_in_the_pipe() {
    carry(&PipePool::default(), 6 << 20, Duration::ZERO, true).await;
}

#[tokio::test]
async fn local_streams_are_relayed_too() {
    let (mut client, near_client) = std::os::unix::net::UnixStream::pair().unwrap();
    near_client.set_nonblocking(true).unwrap();
    let (server, near_server) = tcp_pair();
    let near_client = Stream::from(UnixStream::from_std(near_client).unwrap());
    let (relay, flow) = start(
        near_client,
        near_server,
        Limits::default(),
        &PipePool::default(),
    );
    let total = 4 << 20;
    let acting = thread::spawn(move || {
        let sender = thread::spawn(move || {
            client.write_all(&pattern(0, total)).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        });
        expect_pattern(&server, total, Duration::ZERO);
        (&server).write_all(b"thanks").unwrap();
        drop(server);
        sender.join().unwrap()
    });
    let outcome = relay.await;
    assert_eq!(outcome.ended, Ended::Done);
    assert_eq!((flow.up(), flow.down()), (total as u64, 6));
    assert_eq!(acting.join().unwrap(), "thanks");
}

#[tokio::test]
async fn pipes_are_returned() {
    let pool = PipePool::new(4);
    let tasks = Tasks::new();
    let mut acting = Vec::new();
    // Half of them broken with bytes in the pipe: those pipes must not come back with a residue.
    for index in 0..16 {
        let ends = Ends::new();
        let (relay, _) = start(ends.near_client, ends.near_server, Limits::default(), &pool);
        tasks.spawn(async move { _ = relay.await });
        acting.push(thread::spawn(move || {
            let (client, server) = (ends.client, ends.server);
            if index % 2 == 0 {
                client
                    .set_write_timeout(Some(Duration::from_millis(100)))
                    .unwrap();
                let _ = (&client).write_all(&vec![1; 16 << 20]);
                reset(client);
                drop(server);
                return;
            }
            let sender = thread::spawn(move || send_pattern(&client, 4 << 20));
            expect_pattern(&server, 4 << 20, Duration::ZERO);
            sender.join().unwrap();
        }));
    }
    tokio::time::timeout(PATIENCE, tasks.idle()).await.unwrap();
    for acting in acting {
        acting.join().unwrap();
    }
    assert!(pool.existing() <= 4, "{}", pool.existing());
    carry(&pool, 4 << 20, Duration::ZERO, false).await;
}

#[test]
fn no_descriptor_is_leaked() {
    let Ok(before) = descriptors::count() else {
        eprintln!("skipped: this system does not count descriptors");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pool = PipePool::default();
    runtime.block_on(async {
        let tasks = Tasks::new();
        for index in 0..200 {
            let ends = Ends::new();
            let (relay, _) = start(ends.near_client, ends.near_server, Limits::default(), &pool);
            tasks.spawn(async move { _ = relay.await });
            (&ends.client).write_all(&vec![7; 1 << 17]).unwrap();
            match index % 3 {
                0 => reset(ends.client),
                1 => reset(ends.server),
                _ => {}
            }
        }
        tokio::time::timeout(PATIENCE, tasks.idle()).await.unwrap();
    });
    drop(runtime);
    drop(pool);
    // Other tests run meanwhile: a leak of this one would be 400 and more.
    let after = descriptors::count().unwrap();
    assert!(
        after < before + 300,
        "{before} descriptors before, {after} after"
    );
}

#[test]
fn an_idle_relay_is_small() {
    assert!(
        size_of::<Relay<FlowBytes>>() <= 184,
        "{} bytes",
        size_of::<Relay<FlowBytes>>()
    );
    assert!(size_of::<Clock>() <= 160, "{} bytes", size_of::<Clock>());
}

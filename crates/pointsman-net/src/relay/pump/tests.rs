//! The pump between simulated streams: they take and give as they like, and break where they are told to.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::record::Limit;
use crate::relay::{Closed, Conn, Ended, FlowBytes, Limits, Outcome, PipePool, Woven, carry};

/// What a simulated stream is to do, and what was done to it.
#[derive(Debug, Default)]
struct Script {
    /// What it says, then its end (or, where it `breaks`, an error).
    says: Vec<u8>,
    said: usize,
    breaks: bool,
    /// It says its end only once it has heard one.
    waits_for_the_end: bool,
    /// It breaks when it has taken so much.
    takes: Option<usize>,
    /// From which follows how much it does at once; 0: all.
    moods: u64,
    heard: Vec<u8>,
    flushed: usize,
    ends_heard: usize,
    broken: bool,
}

#[derive(Clone, Debug)]
struct Simulated(Arc<Mutex<Script>>);

impl Simulated {
    fn new(script: Script) -> Self {
        Self(Arc::new(Mutex::new(script)))
    }

    fn conn(&self) -> Conn {
        Conn::Woven(Box::new(self.clone()))
    }

    /// How much now; `Pending` wakes at once, as a system that changed its mind.
    fn mood(script: &mut Script, cx: &mut Context<'_>) -> Poll<usize> {
        if script.moods == 0 {
            return Poll::Ready(usize::MAX);
        }
        // Xorshift: a row that repeats soon could say "not now" to the same call for ever.
        script.moods ^= script.moods << 13;
        script.moods ^= script.moods >> 7;
        script.moods ^= script.moods << 17;
        match script.moods % 8 {
            0 | 1 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            some @ 2..4 => Poll::Ready(usize::try_from(some).unwrap()),
            _ => Poll::Ready(4000),
        }
    }
}

impl Woven for Simulated {
    fn break_on_drop(&mut self) {
        self.0.lock().unwrap().broken = true;
    }
}

impl AsyncRead for Simulated {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut script = self.0.lock().unwrap();
        let most = std::task::ready!(Self::mood(&mut script, cx));
        let left = script.says.len() - script.said;
        if left == 0 && script.breaks {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if left == 0 && script.waits_for_the_end && script.ends_heard == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = left.min(most).min(room.remaining());
        let from = script.said;
        room.put_slice(&script.says[from..from + count]);
        script.said += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Simulated {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut script = self.0.lock().unwrap();
        assert_eq!(script.ends_heard, 0, "nothing is said after the end");
        let most = std::task::ready!(Self::mood(&mut script, cx));
        if script.takes.is_some_and(|most| script.heard.len() >= most) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(most);
        script.heard.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut script = self.0.lock().unwrap();
        std::task::ready!(Self::mood(&mut script, cx));
        script.flushed = script.heard.len();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut script = self.0.lock().unwrap();
        std::task::ready!(Self::mood(&mut script, cx));
        script.flushed = script.heard.len();
        script.ends_heard += 1;
        Poll::Ready(Ok(()))
    }
}

struct Played {
    outcome: Outcome,
    client: Script,
    server: Script,
    flow: Arc<FlowBytes>,
}

async fn play_within(client: Script, server: Script, limits: Limits) -> Played {
    let (client, server) = (Simulated::new(client), Simulated::new(server));
    let (flow, pool) = (Arc::new(FlowBytes::default()), PipePool::default());
    let outcome = carry(client.conn(), server.conn(), &limits, &flow, &pool).await;
    let taken = |end: Simulated| std::mem::take(&mut *end.0.lock().unwrap());
    Played {
        outcome,
        client: taken(client),
        server: taken(server),
        flow,
    }
}

fn play(client: Script, server: Script) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(play_within(client, server, Limits::default()))
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (0_usize..70_000).prop_map(|len| (0..len).map(|at| (at % 251) as u8).collect()),
    ]
}

fn speaker() -> impl Strategy<Value = Script> {
    (words(), any::<u64>(), any::<bool>()).prop_map(|(says, moods, waits_for_the_end)| Script {
        says,
        moods,
        waits_for_the_end,
        ..Script::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn all_bytes_arrive_and_then_one_end(client in speaker(), mut server in speaker()) {
        // Two that wait for each other would wait for ever.
        server.waits_for_the_end &= !client.waits_for_the_end;
        let (up, down) = (client.says.clone(), server.says.clone());
        let played = play(client, server);
        prop_assert_eq!(played.outcome.ended, Ended::Done);
        prop_assert_eq!(played.outcome.copied, (up.len() + down.len()) as u64);
        prop_assert_eq!((played.flow.up(), played.flow.down()), (up.len() as u64, down.len() as u64));
        for (end, expected) in [(played.server, up), (played.client, down)] {
            prop_assert_eq!(&end.heard, &expected);
            prop_assert_eq!((end.flushed, end.ends_heard, end.broken), (expected.len(), 1, false));
        }
    }

    #[test]
    fn a_source_that_breaks_is_no_end_for_the_other(mut client in speaker(), mut server in speaker()) {
        client.breaks = true;
        // It would end otherwise, and all be done before the break is seen.
        server.waits_for_the_end = true;
        let up = client.says.clone();
        let played = play(client, server);
        prop_assert_eq!(played.outcome.ended, Ended::ClientReset);
        prop_assert!(up.starts_with(&played.server.heard));
        prop_assert_eq!(played.server.ends_heard, 0);
        prop_assert!(played.server.broken);
    }

    #[test]
    fn what_a_target_said_before_it_broke_is_delivered(
        mut client in speaker(), mut server in speaker(), takes in 0_usize..200,
    ) {
        client.says.resize(takes + 70_000, 1);
        client.waits_for_the_end = true;
        server.takes = Some(takes);
        server.waits_for_the_end = false;
        let down = server.says.clone();
        let played = play(client, server);
        prop_assert_eq!(played.outcome.ended, Ended::ServerReset);
        prop_assert_eq!(&played.client.heard, &down);
        prop_assert!(played.client.broken, "an end would say that the server took all");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_end_a_pump_that_stands_still() {
    let second = Duration::from_secs(1);
    let stuck = || Script {
        says: vec![7; 100_000],
        waits_for_the_end: true,
        ..Script::default()
    };
    // Never takes, never says, and wakes nobody.
    #[derive(Debug)]
    struct Still;
    impl Woven for Still {
        fn break_on_drop(&mut self) {}
    }
    impl AsyncRead for Still {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }
    impl AsyncWrite for Still {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }
    let still = || Conn::Woven(Box::new(Still));
    let check = async |limits: Limits, client: Conn, expected: Ended| {
        let (flow, pool) = (Arc::new(FlowBytes::default()), PipePool::default());
        let carrying = carry(client, still(), &limits, &flow, &pool);
        let outcome = tokio::time::timeout(60 * second, carrying).await;
        assert_eq!(outcome.unwrap().ended, expected);
    };
    let idle = Limits {
        idle: Some(second),
        ..Limits::default()
    };
    check(idle, still(), Ended::TimedOut(Limit::Idle)).await;
    let stalled = Limits {
        stalled_server: Some(second),
        ..Limits::default()
    };
    let mut script = stuck();
    script.waits_for_the_end = false;
    let speaks = Simulated::new(script).conn();
    check(stalled, speaks, Ended::TimedOut(Limit::TargetWrite)).await;
    let lifetime = Limits {
        lifetime: Some(second),
        ..Limits::default()
    };
    check(lifetime, still(), Ended::TimedOut(Limit::Lifetime)).await;
}

#[tokio::test]
async fn a_pump_is_closed_from_outside_and_cuts() {
    let quiet = Script {
        waits_for_the_end: true,
        ..Script::default()
    };
    let (client, server) = (Simulated::new(quiet), Simulated::new(Script::default()));
    let (flow, pool) = (Arc::new(FlowBytes::default()), PipePool::default());
    flow.close(Closed::Operator);
    let outcome = carry(
        client.conn(),
        server.conn(),
        &Limits::default(),
        &flow,
        &pool,
    )
    .await;
    assert_eq!(outcome.ended, Ended::Closed(Closed::Operator));
    assert!(client.0.lock().unwrap().broken && server.0.lock().unwrap().broken);
    // Dropped before its end it cuts, too.
    let server = Simulated::new(Script::default());
    drop(carry(
        still_open().conn(),
        server.conn(),
        &Limits::default(),
        &flow,
        &pool,
    ));
    assert!(server.0.lock().unwrap().broken);
}

fn still_open() -> Simulated {
    Simulated::new(Script::default())
}

/// One side a real socket: its prefix comes first, and a break is a reset.
#[tokio::test]
async fn a_socket_on_one_side_is_pumped_too() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    #[expect(clippy::disallowed_methods, reason = "the peer in a test")]
    let mut far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    let near = tokio::net::TcpStream::from_std(near).unwrap();
    let mut near = crate::stream::Stream::from(near);
    near.unread(b"first ".to_vec());
    let server = Simulated::new(Script {
        says: b"answer".to_vec(),
        waits_for_the_end: true,
        ..Script::default()
    });
    let peer = std::thread::Builder::new().spawn(move || {
        far.write_all(b"then").unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        far.read_to_string(&mut answer).unwrap();
        answer
    });
    let peer = peer.unwrap();
    let (flow, pool) = (Arc::new(FlowBytes::default()), PipePool::default());
    let outcome = carry(near.into(), server.conn(), &Limits::default(), &flow, &pool).await;
    assert_eq!(outcome.ended, Ended::Done);
    assert_eq!(server.0.lock().unwrap().heard, b"first then");
    let answer = tokio::task::spawn_blocking(|| peer.join().unwrap()).await;
    assert_eq!(answer.unwrap(), "answer");
}

//! Whose fault it is that nothing moves: a side that is not read from, because the other takes nothing, is not late.

use super::*;
use crate::record::Limit;

const SHORT: Duration = Duration::from_millis(150);

fn read_limits() -> Limits {
    Limits {
        idle_client: Some(SHORT),
        idle_server: Some(SHORT),
        ..Limits::default()
    }
}

/// Writes to the client's socket until nothing fits any more; answers how much did.
///
/// The last of it waits in that socket, so that nobody can say later that the client was silent: a thread that has to
/// be woken to go on writing may be late itself.
fn fill(mut client: &StdStream) -> usize {
    client.set_nonblocking(true).unwrap();
    let (mut sent, mut full) = (0, 0);
    while full < 10 {
        match client.write(&pattern(sent, 1 << 16)) {
            Ok(written) => (sent, full) = (sent + written, 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                full += 1;
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
    }
    client.set_nonblocking(false).unwrap();
    sent
}

/// A relay whose client has filled everything up to the server, which took nothing for several times the limits. The
/// clock stands still while a blocking task runs, and goes where the test moves it.
async fn stuck() -> (
    tokio::task::JoinHandle<Outcome>,
    StdStream,
    StdStream,
    usize,
) {
    let limits = Limits {
        idle_server: None,
        ..read_limits()
    };
    let ends = Ends::new();
    let (relay, _) = start(
        ends.near_client,
        ends.near_server,
        limits,
        &PipePool::default(),
    );
    let relay = tokio::spawn(relay);
    let client = ends.client;
    let filling = tokio::task::spawn_blocking(move || {
        let sent = fill(&client);
        (client, sent)
    });
    let (client, sent) = filling.await.unwrap();
    for _ in 0..8 {
        tokio::time::advance(SHORT / 2).await;
    }
    assert!(!relay.is_finished());
    (relay, client, ends.server, sent)
}

#[tokio::test(start_paused = true)]
async fn a_source_waits_for_a_slow_target_without_being_late() {
    let (relay, client, server, sent) = stuck().await;
    let reading = tokio::task::spawn_blocking(move || {
        client.shutdown(Shutdown::Write).unwrap();
        expect_pattern(&server, sent, Duration::ZERO);
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(next_byte(&client).unwrap(), None);
    });
    reading.await.unwrap();
    assert_eq!(relay.await.unwrap().ended, Ended::Done);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_read_from_again_has_its_whole_time() {
    let (relay, _client, server, sent) = stuck().await;
    let reading = tokio::task::spawn_blocking(move || {
        let mut left = vec![0; sent];
        (&server).read_exact(&mut left).unwrap();
        server
    });
    let server = reading.await.unwrap();
    let begun = Instant::now();
    // Silence now is the client's own.
    assert_eq!(relay.await.unwrap().ended, Ended::TimedOut(Limit::Read));
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
    assert!(next_byte(&server).is_err());
}

/// A stream in memory, of a bounded size.
#[derive(Debug)]
struct InMemory(tokio::io::DuplexStream);

impl Woven for InMemory {
    fn break_on_drop(&mut self) {}
}

impl tokio::io::AsyncRead for InMemory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, room)
    }
}

impl tokio::io::AsyncWrite for InMemory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_when_the_limit_was_over_was_not_late() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut client, near_client) = tokio::io::duplex(64);
    let (mut server, near_server) = tokio::io::duplex(64);
    let (flow, pool) = (Arc::new(FlowBytes::default()), PipePool::default());
    let conn = |stream| Conn::Woven(Box::new(InMemory(stream)));
    let limits = Limits {
        idle_client: None,
        ..read_limits()
    };
    let carrying = crate::relay::carry(conn(near_client), conn(near_server), &limits, &flow, &pool);
    let carrying = tokio::spawn(carrying);
    // At the very moment, and so after whoever looks at the clock first: as on a machine under load, where a worker
    // that did not run for a while hears of the time before it hears of what came meanwhile.
    for _ in 0..8 {
        tokio::time::sleep(SHORT).await;
        tokio::task::yield_now().await;
        server.write_all(b"x").await.unwrap();
    }
    let mut heard = [0; 8];
    client.read_exact(&mut heard).await.unwrap();
    // From now on it is silent.
    let outcome = carrying.await.unwrap();
    assert_eq!(outcome.ended, Ended::TimedOut(Limit::TargetRead));
}

#[tokio::test(start_paused = true)]
async fn a_woven_source_is_not_late_either() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut client, near_client) = tokio::io::duplex(64);
    let (mut server, near_server) = tokio::io::duplex(64);
    let (flow, pool) = (Arc::new(FlowBytes::default()), PipePool::default());
    let conn = |stream| Conn::Woven(Box::new(InMemory(stream)));
    let limits = read_limits();
    let carrying = crate::relay::carry(conn(near_client), conn(near_server), &limits, &flow, &pool);
    let carrying = tokio::spawn(carrying);
    // The server speaks all the while: it is not late.
    let speaking = tokio::spawn(async move {
        let begun = Instant::now();
        let mut heard = vec![0; 1000];
        for _ in 0..8 {
            tokio::time::sleep(SHORT / 2).await;
            server.write_all(b"x").await.unwrap();
        }
        server.read_exact(&mut heard).await.unwrap();
        loop {
            tokio::time::sleep(SHORT / 2).await;
            if server.write_all(b"x").await.is_err() {
                return begun.elapsed();
            }
        }
    });
    client.write_all(&[7; 1000]).await.unwrap();
    let mut said = [0; 8];
    client.read_exact(&mut said).await.unwrap();
    // Now it is read from, and says nothing.
    let outcome = carrying.await.unwrap();
    assert_eq!(outcome.ended, Ended::TimedOut(Limit::Read));
    assert!(speaking.await.unwrap() >= SHORT * 5);
}

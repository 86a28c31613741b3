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

#[tokio::test]
async fn a_source_waits_for_a_slow_target_without_being_late() {
    // More than the buffers of both sockets hold.
    const SIZE: usize = 24 << 20;
    let limits = Limits {
        idle_server: None,
        ..read_limits()
    };
    let (outcome, ()) = run(limits, &PipePool::default(), |client, server| {
        let reader = thread::spawn(move || {
            thread::sleep(SHORT * 4);
            expect_pattern(&server, SIZE, Duration::ZERO);
        });
        send_pattern(&client, SIZE);
        reader.join().unwrap();
    })
    .await;
    assert_eq!(outcome.ended, Ended::Done);
}

#[tokio::test]
async fn a_source_that_is_read_from_again_has_its_whole_time() {
    const SIZE: usize = 24 << 20;
    let limits = Limits {
        idle_server: None,
        ..read_limits()
    };
    let (outcome, quiet) = run(limits, &PipePool::default(), |client, server| {
        let sender = thread::spawn(move || {
            for from in (0..SIZE).step_by(1 << 16) {
                (&client).write_all(&pattern(from, 1 << 16)).unwrap();
            }
            client
        });
        thread::sleep(SHORT * 3);
        let mut left = vec![0; SIZE];
        (&server).read_exact(&mut left).unwrap();
        let begun = std::time::Instant::now();
        // Silence now is the client's own.
        assert!(next_byte(&server).is_err());
        let _client = sender.join().unwrap();
        begun.elapsed()
    })
    .await;
    assert_eq!(outcome.ended, Ended::TimedOut(Limit::Read));
    assert!(quiet >= SHORT / 2, "{quiet:?}");
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

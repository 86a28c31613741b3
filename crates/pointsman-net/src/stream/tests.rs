//! Prefix, looks, and what a given-up look leaves behind.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

async fn pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "the peer in a test")]
    let peer = TcpStream::connect(listener.local_addr().unwrap());
    let (accepted, peer) = tokio::join!(listener.accept(), peer);
    (Stream::from(accepted.unwrap().0), peer.unwrap())
}

async fn text(stream: &mut Stream, max: usize) -> String {
    let mut buf = Vec::new();
    stream.read_some(&mut buf, max).await.unwrap();
    String::from_utf8(buf).unwrap()
}

#[tokio::test]
async fn prefix_comes_first() {
    let (mut stream, mut peer) = pair().await;
    peer.write_all(b"wire").await.unwrap();
    stream.unread(b"b".to_vec());
    stream.unread(b"a".to_vec());
    assert_eq!(text(&mut stream, 1).await, "a");
    assert_eq!(text(&mut stream, 16).await, "b");
    assert_eq!(text(&mut stream, 16).await, "wire");
    drop(peer);
    assert_eq!(text(&mut stream, 16).await, "");
}

#[tokio::test]
async fn a_look_sees_prefix_and_socket_and_takes_nothing() {
    let (mut stream, mut peer) = pair().await;
    stream.unread(b"ab".to_vec());
    peer.write_all(b"cd").await.unwrap();
    let mut buf = [0; 16];
    assert_eq!(stream.peek_more(&mut buf, 2, 4).await.unwrap(), 4);
    assert_eq!(&buf[..4], b"abcd");
    stream.consume(3).await.unwrap();
    assert_eq!(text(&mut stream, 16).await, "d");
}

#[tokio::test]
async fn a_look_waits_for_growth_and_ends_at_the_end() {
    let (mut stream, mut peer) = pair().await;
    let mut buf = [0; 16];
    peer.write_all(b"a").await.unwrap();
    assert_eq!(stream.peek(&mut buf).await.unwrap(), 1);
    let (seen, ()) = tokio::join!(stream.peek_more(&mut buf, 1, 3), async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        peer.write_all(b"bc").await.unwrap();
    });
    assert_eq!(seen.unwrap(), 3);
    let (seen, ()) = tokio::join!(stream.peek_more(&mut buf, 3, 9), async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        peer.shutdown().await.unwrap();
    });
    assert_eq!(seen.unwrap(), 3);
    assert_eq!(text(&mut stream, 16).await, "abc");
}

#[tokio::test]
async fn a_look_given_up_loses_nothing() {
    let (local, far) = LocalStream::pair().unwrap();
    let (stream, peer) = pair().await;
    check(Stream::from(local), far).await;
    check(stream, peer).await;

    async fn check(mut stream: Stream, mut peer: impl AsyncWrite + Unpin) {
        let mut buf = [0; 16];
        peer.write_all(b"ab").await.unwrap();
        let look =
            tokio::time::timeout(Duration::from_millis(20), stream.peek_more(&mut buf, 2, 9)).await;
        assert!(look.is_err());
        // Nothing new arrives: the bytes must be found all the same.
        let mut read = [0; 2];
        tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut read))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&read, b"ab");
    }
}

/// More than any look or step of an exchange takes at once must hide no end, and be lost by none.
#[tokio::test]
async fn an_end_is_seen_behind_much_that_is_unread() {
    const MUCH: usize = 60_000;
    let limit = Duration::from_secs(20);
    let (mut stream, mut peer) = pair().await;
    peer.write_all(&[b'x'; MUCH]).await.unwrap();
    let mut first = [0; 16];
    assert_eq!(stream.peek(&mut first).await.unwrap(), 16);
    peer.shutdown().await.unwrap();
    let both = async {
        stream.hung_up(true).await;
        stream.socket.ended_by_peer().await;
    };
    tokio::time::timeout(limit, both).await.unwrap();
    let mut all = Vec::new();
    let read = tokio::time::timeout(limit, stream.read_to_end(&mut all)).await;
    assert_eq!(read.unwrap().unwrap(), MUCH);
}

#[tokio::test]
async fn reset_is_seen_as_one() {
    let (stream, mut peer) = pair().await;
    stream.reset();
    assert_eq!(
        peer.read(&mut [0; 1]).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

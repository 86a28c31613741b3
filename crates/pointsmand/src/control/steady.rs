//! A connection whose reader may be slow, but not for ever, and on which nothing but our own words are errors.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::lobby::Client;

/// How long a client may leave an answer unread.
const UNREAD: Duration = Duration::from_secs(30);
/// How long a follower may leave events unread: a pager may stand still for a while.
const UNREAD_EVENTS: Duration = Duration::from_secs(600);

/// The stream, with what it knows of its writes.
pub(super) struct Steady<S> {
    stream: S,
    client: Arc<Client>,
    /// Runs while a write waits for its reader.
    waits: Option<Pin<Box<Sleep>>>,
    /// The HTTP library's answer to what is no request: held back, for it has no words.
    refused: Option<StatusCode>,
    /// Something was answered.
    answered: bool,
}

impl<S> Steady<S> {
    pub(super) fn new(stream: S, client: Arc<Client>) -> Self {
        Self {
            stream,
            client,
            waits: None,
            refused: None,
            answered: false,
        }
    }

    /// With which status the HTTP library refused what was sent, where nothing was answered.
    pub(super) fn refused(&self) -> Option<StatusCode> {
        self.refused.filter(|_| !self.answered)
    }

    pub(super) fn answered(&self) -> bool {
        self.answered
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.waits = None;
            return done;
        }
        let limit = if self.client.follows() {
            UNREAD_EVENTS
        } else {
            UNREAD
        };
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waits.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The status of an answer that has no body: none of ours.
fn wordless(bytes: &[u8]) -> Option<StatusCode> {
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    let line = head.strip_prefix(b"HTTP/1.1 ")?;
    let bare = head
        .split(|byte| *byte == b'\n')
        .any(|line| line.trim_ascii().eq_ignore_ascii_case(b"content-length: 0"));
    let status = StatusCode::from_bytes(line.get(..3)?).ok()?;
    (bare && status.is_client_error()).then_some(status)
}

impl<S: AsyncRead + Unpin> AsyncRead for Steady<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Steady<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(status) = wordless(buf) {
            self.refused = Some(status);
            return Poll::Ready(Ok(buf.len()));
        }
        self.answered = true;
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.in_time(cx, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, done)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_hung_up_on() {
        let (ours, theirs) = tokio::io::duplex(4);
        let mut steady = Steady::new(ours, Arc::default());
        let begun = Instant::now();
        steady.write_all(b"1234").await.unwrap();
        let error = steady.write_all(b"5678").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), UNREAD);
        drop(theirs);
    }

    #[test]
    fn our_own_answers_are_never_taken_for_the_librarys() {
        let bare = b"HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            wordless(bare),
            Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        );
        for ours in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 20\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n{}",
            b"HTTP/1.1 4",
            b"",
        ] {
            assert_eq!(wordless(ours), None);
        }
    }
}

//! What queries over a connection come by: the socket itself, or TLS over it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::stream::Stream;

/// Read at once, in bytes: queries are short.
const STEP: usize = 4096;

/// How long it may take to say that no more will come.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection that queries come by.
#[derive(Debug)]
pub(super) enum Carrier {
    Plain(Stream),
    Tls(Box<TlsStream<Stream>>),
}

impl Carrier {
    /// Whether nobody can read on the way.
    pub(super) fn is_private(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Appends what comes to `buf`, waiting for the first byte; 0 is the end. While it waits there is no buffer.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn read_some(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let stream = match self {
            Self::Plain(stream) => return stream.read_some(buf, STEP).await,
            Self::Tls(stream) => stream,
        };
        poll_fn(|cx| {
            let mut room = [0; STEP];
            let mut room = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut **stream).poll_read(cx, &mut room))?;
            buf.extend_from_slice(room.filled());
            Ok(room.filled().len()).into()
        })
        .await
    }

    /// Writes all of `bytes`.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Says that no more will come, where that has to be said.
    pub(super) async fn part(&mut self) {
        if let Self::Tls(stream) = self {
            let _late = timeout(FAREWELL, stream.shutdown()).await;
        }
    }
}

//! Streams as the data plane sees them: bytes already read, and a socket.
//!
//! Invariant: what was read from the socket and not yet used stands in `prefix`, and the other side gets it first.
//! Looking ([`Stream::peek_more`]) consumes nothing. Every reader tries the socket before it waits, for a look that was
//! given up may have left bytes in the socket that will not be announced again.
//! Absent: TLS, buffers for writing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pointsman_os::local::LocalStream;
use pointsman_os::socket as os;
pub use pointsman_os::stream::Socket;
use pointsman_policy::{Fact, Provenance};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::guard::Token;

/// A connection in use: bytes that were read ahead, then the socket.
#[derive(Debug)]
pub struct Stream {
    /// Read from the socket already; whoever reads this stream gets them first.
    pub prefix: Vec<u8>,
    /// Where all further bytes come from.
    pub socket: Socket,
    /// It is a connection of our own that might arrive at us.
    token: Option<Token>,
    /// Probes for a silent peer that are not set yet.
    probes: Option<Probes>,
}

/// Probes for a silent peer that a connection gets once it is old: three system calls that a short one is spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probes {
    /// Silence before the first, in seconds.
    pub(crate) time: u16,
    /// Between two of them, in seconds.
    pub(crate) interval: u16,
}

impl Probes {
    /// A socket on which this fails is dead already.
    pub(crate) fn set(self, socket: &Socket) {
        let keepalive = os::Keepalive {
            time: Duration::from_secs(self.time.into()),
            interval: Duration::from_secs(self.interval.into()),
        };
        let _ = os::set_keepalive(socket, &keepalive);
    }
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self::new(Socket::Tcp(socket))
    }
}

impl From<LocalStream> for Stream {
    fn from(socket: LocalStream) -> Self {
        Self::new(Socket::Local(socket))
    }
}

impl Stream {
    /// A stream of which nothing was read yet.
    pub fn new(socket: Socket) -> Self {
        Self {
            prefix: Vec::new(),
            socket,
            token: None,
            probes: None,
        }
    }

    /// The same stream, to be probed once it is old.
    pub(crate) fn probed_by(self, probes: Option<Probes>) -> Self {
        Self { probes, ..self }
    }

    /// The probes that are not set yet, for whoever sets them while the socket goes elsewhere.
    pub(crate) fn take_probes(&mut self) -> Option<Probes> {
        self.probes.take()
    }

    /// The same stream, known as our own until its end.
    pub(crate) fn known_by(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    /// What it is known by, for whoever keeps it while the socket goes elsewhere.
    pub(crate) fn take_token(&mut self) -> Option<Token> {
        self.token.take()
    }

    /// The code point of the packets that opened the connection; absent where no packets are.
    pub fn dscp(&self) -> Fact<u8> {
        match &self.socket {
            Socket::Tcp(socket) => match os::dscp(socket) {
                Ok(dscp) => Fact::from_option(dscp, Provenance::System),
                Err(error) => Fact::Failed(error.to_string().into()),
            },
            Socket::Local(_) => Fact::Absent,
        }
    }

    /// Appends at most `max` bytes to `buf`, waiting for the first; 0 is the end of the stream.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn read_some(&mut self, buf: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        if !self.prefix.is_empty() {
            let taken = self.prefix.len().min(max);
            if buf.is_empty() && taken == self.prefix.len() {
                std::mem::swap(buf, &mut self.prefix);
            } else {
                buf.extend(self.prefix.drain(..taken));
            }
            return Ok(taken);
        }
        if buf.capacity() == 0 {
            // Room that is there already.
            std::mem::swap(buf, &mut self.prefix);
        }
        let start = buf.len();
        buf.resize(start + max, 0);
        let read = loop {
            match self.socket.attempt(Interest::READABLE, || {
                os::receive(&self.socket, &mut buf[start..])
            }) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Kept out of the wait: an idle connection holds no buffer.
                    buf.truncate(start);
                    self.socket.ready(Interest::READABLE).await?;
                    buf.resize(start + max, 0);
                }
                done => break done,
            }
        };
        buf.truncate(start + read.as_ref().map_or(0, |read| *read));
        read
    }

    /// Looks at what the stream will give next, without consuming; waits for the first byte; 0 is the end.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.peek_more(buf, 0, 1).await
    }

    /// Looks again, waiting until more than `seen` bytes are there (prefix included) or none will come: then at most
    /// `seen` are returned.
    ///
    /// `wanted` bytes in all are enough for the caller; the kernel is asked not to wake us before (0 or 1: any growth).
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn peek_more(
        &mut self,
        buf: &mut [u8],
        seen: usize,
        wanted: usize,
    ) -> io::Result<usize> {
        let ahead = self.prefix.len().min(buf.len());
        buf[..ahead].copy_from_slice(&self.prefix[..ahead]);
        if ahead > seen || ahead == buf.len() {
            return Ok(ahead);
        }
        let low_water = wanted.min(buf.len()).saturating_sub(self.prefix.len());
        let _patience = (low_water > 1).then(|| Patience::set(&self.socket, low_water));
        let mut ended = false;
        loop {
            let mut there = ahead;
            let look = self.socket.attempt(Interest::READABLE, || {
                let more = os::peek(&self.socket, &mut buf[ahead..])?;
                there = ahead + more;
                if more == 0 || there > seen || there == buf.len() {
                    Ok(())
                } else {
                    Err(io::ErrorKind::WouldBlock.into())
                }
            });
            match look {
                Ok(()) => return Ok(there),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && ended => {
                    return Ok(there);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            // The end is announced once and for all: one more look after it is the last.
            ended = self
                .socket
                .ready(Interest::READABLE)
                .await?
                .is_read_closed();
        }
    }

    /// Ends when the peer is gone: it broke the connection or, where `ends`, it ended its direction. A local peer that
    /// closed without `ends` is gone once there is nothing of it to read: of TCP, that is an end and no break. Consumes
    /// nothing.
    ///
    /// Dropping the future loses nothing.
    pub async fn hung_up(&self, ends: bool) {
        let mut interest = Interest::WRITABLE | Interest::ERROR;
        if ends {
            interest |= Interest::READABLE;
        }
        loop {
            let Ok(ready) = self.socket.ready(interest).await else {
                return;
            };
            if ready.is_error() || (ends && ready.is_read_closed()) {
                return;
            }
            if ready.is_write_closed() {
                if ends || !self.left_words() {
                    return;
                }
                // That it closed is announced for ever: only a break is still news.
                interest = Interest::ERROR;
                continue;
            }
            // Bytes, or room for them: both are tried by whoever comes next. What the runtime forgets here it is told
            // again by the next event, which a hang-up always brings.
            let forgotten = if ends {
                &[Interest::WRITABLE, Interest::READABLE][..]
            } else {
                &[Interest::WRITABLE]
            };
            for seen in forgotten {
                let _: io::Result<()> = self
                    .socket
                    .try_io(*seen, || Err(io::ErrorKind::WouldBlock.into()));
            }
        }
    }

    /// Whether a local peer left something to read; one of TCP that hung up broke the connection, and all with it.
    fn left_words(&self) -> bool {
        let unread = || matches!(os::peek(&self.socket, &mut [0]), Ok(1..));
        matches!(self.socket, Socket::Local(_)) && (!self.prefix.is_empty() || unread())
    }

    /// Ends when the peer broke the connection, or ended its direction without a byte that nobody has read.
    pub async fn left_without_a_word(&mut self) {
        let mut first = [0];
        self.hung_up(true).await;
        if matches!(self.peek(&mut first).await, Ok(1..)) {
            self.hung_up(false).await;
        }
    }

    /// Puts bytes back: they will be read first, before what was put back earlier.
    pub fn unread(&mut self, mut bytes: Vec<u8>) {
        bytes.append(&mut self.prefix);
        self.prefix = bytes;
    }

    /// The room that reads have left, where nothing is in it.
    pub(crate) fn take_room(&mut self) -> Vec<u8> {
        match self.prefix.is_empty() {
            true => std::mem::take(&mut self.prefix),
            false => Vec::new(),
        }
    }

    /// Drops the first `count` bytes of the stream, which must have been seen by a look before.
    ///
    /// # Errors
    /// Those of the socket; `UnexpectedEof` when fewer bytes were there.
    pub async fn consume(&mut self, mut count: usize) -> io::Result<()> {
        let mut scratch = Vec::new();
        while count > 0 {
            scratch.clear();
            match self.read_some(&mut scratch, count.min(16 * 1024)).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => count -= read,
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Those of the socket; some of the bytes may have been sent.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self
                .socket
                .attempt(Interest::WRITABLE, || os::send(&self.socket, bytes))
            {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.ready(Interest::WRITABLE).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says "no more bytes from us"; reading goes on.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn shutdown_write(&self) -> io::Result<()> {
        os::shutdown_write(&self.socket)
    }

    /// Closes the connection so that the peer sees a reset, not an orderly end.
    pub fn reset(self) {
        self.socket.reset();
    }

    /// The peer's address; none for a local stream.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Our own address on this connection; none for a local stream.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let taken = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix[..taken]);
            self.prefix.drain(..taken);
            return Poll::Ready(Ok(()));
        }
        loop {
            let room = buf.initialize_unfilled();
            match self
                .socket
                .attempt(Interest::READABLE, || os::receive(&self.socket, room))
            {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_read_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self
                .socket
                .attempt(Interest::WRITABLE, || os::send(&self.socket, bytes))
            {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_write_ready(cx))?;
                }
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}

/// Asks the kernel to wake nobody before so many bytes are there; takes it back when dropped, even in mid-wait, for a
/// relay that inherited it would stall.
struct Patience<'a>(&'a Socket);

impl<'a> Patience<'a> {
    fn set(socket: &'a Socket, bytes: usize) -> Self {
        // Where it is not supported (local streams) the look wakes more often, no more.
        let _ = os::set_receive_low_water(socket, bytes);
        Self(socket)
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        let _ = os::set_receive_low_water(self.0, 1);
    }
}

#[cfg(test)]
mod tests;

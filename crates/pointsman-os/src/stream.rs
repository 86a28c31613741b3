//! A connected socket, of either kind, as the runtime knows it.
//!
//! Invariant: whoever tries it and finds nothing clears what the runtime knows of it, so that a wait after that waits for
//! something new. Absent: bytes that were read ahead, time-outs.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;

use crate::local::LocalStream;
use crate::socket;

/// A connected socket that the kernel carries bytes for, fit for `splice`.
#[derive(Debug)]
pub enum Socket {
    /// TCP, either family.
    Tcp(TcpStream),
    /// A local stream.
    Local(LocalStream),
}

impl Socket {
    /// Closes so that the peer sees a reset; a local peer sees an ordinary end.
    pub fn reset(self) {
        self.reset_when_closed();
    }

    /// Whoever closes it resets it; a local peer sees an ordinary end.
    pub fn reset_when_closed(&self) {
        if matches!(self, Self::Tcp(_)) {
            // A failure leaves an orderly close, which is the best then possible.
            let _ = socket::reset_on_close(self);
        }
    }

    /// Takes at most `max` bytes, waiting for the first; none is the end.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn receive_some(&self, max: usize) -> io::Result<Vec<u8>> {
        loop {
            let received = self.attempt(Interest::READABLE, || {
                let mut bytes = vec![0; max];
                let read = socket::receive(self, &mut bytes)?;
                bytes.truncate(read);
                Ok(bytes)
            });
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready(Interest::READABLE).await?;
                }
                done => return done,
            }
        }
    }

    /// Sends some of `bytes`, at least one, and says how many.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send_some(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.attempt(Interest::WRITABLE, || socket::send(self, bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready(Interest::WRITABLE).await?;
                }
                done => return done,
            }
        }
    }

    /// Ends when the peer has ended its side or the connection broke, whatever of its bytes is still unread.
    ///
    /// Consumes nothing; dropping the future loses nothing.
    pub async fn ended_by_peer(&self) {
        while let Ok(ready) = self.ready(Interest::READABLE).await
            && !ready.is_read_closed()
        {
            // That there is something to read is no end: the next word is to be a new one.
            let wait = || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock));
            let _ = self.try_io(Interest::READABLE, wait);
        }
    }

    /// Whether the peer has neither said anything that is unread nor ended its side.
    pub fn is_quiet(&self) -> bool {
        let look = self.attempt(Interest::READABLE, || socket::peek(self, &mut [0]));
        look.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The peer's address; none for a local stream.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.peer_addr().ok(),
            Self::Local(_) => None,
        }
    }

    /// Our own address on this connection; none for a local stream.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Local(_) => None,
        }
    }

    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// When the runtime is going away.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Local(socket) => socket.poll_read_ready(cx),
        }
    }

    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// When the runtime is going away.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_write_ready(cx),
            Self::Local(socket) => socket.poll_write_ready(cx),
        }
    }

    /// Runs `work` if the socket is known to be ready; its `WouldBlock` clears that knowledge.
    ///
    /// # Errors
    /// Those of `work`, and `WouldBlock` when not ready.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        work: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        match self {
            Self::Tcp(socket) => socket.try_io(interest, work),
            Self::Local(socket) => socket.try_io(interest, work),
        }
    }

    /// Runs `work` at least once, whatever is known of the socket's readiness.
    ///
    /// On `WouldBlock` the knowledge is cleared, so that waiting for [`Self::ready`] waits for something new: what comes
    /// after `work` asked the system is announced by a later event, which the clearing does not undo.
    ///
    /// # Errors
    /// Those of `work`, except an interruption, which is tried again.
    pub fn attempt<R>(
        &self,
        interest: Interest,
        mut work: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let mut retrying = || {
            loop {
                match work() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    done => return done,
                }
            }
        };
        let mut tried = false;
        let done = self.try_io(interest, || {
            tried = true;
            retrying()
        });
        if tried { done } else { retrying() }
    }

    /// As tokio's method of the same name.
    ///
    /// # Errors
    /// When the runtime is going away.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(socket) => socket.ready(interest).await,
            Self::Local(socket) => socket.ready(interest).await,
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Local(socket) => socket.as_fd(),
        }
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Socket {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        match self {
            Self::Tcp(socket) => socket.as_socket(),
            Self::Local(socket) => socket.as_socket(),
        }
    }
}

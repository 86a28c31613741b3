//! Waiting for datagrams, and for what is told of those that were sent, with tokio.
//!
//! The loop of a socket's owner:
//!
//! ```text
//! loop {
//!     let ready = datagram::ready(&socket).await?;
//!     if ready.is_error() { for failure in datagram::try_errors(&socket) { .. } }
//!     if ready.is_readable() { match inbox.try_receive(&socket) { .. } }
//! }
//! ```
//!
//! What is told of a datagram makes a socket neither readable nor does it wake who polls for that
//! (`poll_recv_ready`, `readable`, `recv_from`): [`ready`] it must be. Who polls many sockets from one task asks
//! [`errors`] for them now and then, a call each. And it makes the runtime believe, for good, that
//! the socket is closed for writing: who waits for `writable` of a socket with `tell_errors` waits for nothing and spins.
//! Who meets [`Stop::Full`](super::Stop::Full) drops, as a router does, or tries again a little later.

use std::io;

use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;

use super::{Failure, Inbox, MOST_MESSAGES, Received, errors};

/// Waits until something came or was told. Dropping the future loses nothing.
///
/// # Errors
/// When the runtime is going away.
pub async fn ready(socket: &UdpSocket) -> io::Result<Ready> {
    socket.ready(Interest::READABLE | Interest::ERROR).await
}

/// As [`errors`], if there are any; the next [`ready`] waits for others, unless more wait already.
pub fn try_errors(socket: &UdpSocket) -> Vec<Failure> {
    let mut found = Vec::new();
    // What it answers is for the runtime: whether it has to be told anew.
    let _ = socket.try_io(Interest::ERROR, || {
        found = errors(socket);
        all_or(found.len() == MOST_MESSAGES)
    });
    found
}

impl Inbox {
    /// As [`Inbox::receive`], if something came; the next [`ready`] waits for others, unless more wait already. No call is
    /// made to find out.
    ///
    /// # Errors
    /// As [`Inbox::receive`].
    pub fn try_receive(&mut self, socket: &UdpSocket) -> io::Result<Received<'_>> {
        let mut came = None;
        let done = socket.try_io(Interest::READABLE, || {
            let count = self.0.fill(socket)?;
            came = Some(count);
            all_or(count == self.0.offered())
        });
        match (came, done) {
            (Some(count), _) => Ok(self.received(count)),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// The runtime takes the answer for "there is nothing". What comes after the call that the work made is announced by a
/// later event, which clears nothing.
fn all_or(more: bool) -> io::Result<()> {
    if more {
        Ok(())
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

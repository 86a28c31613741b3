//! Datagrams one by one: no segments, nothing told beside them, no source that is chosen for each.

use std::io;
use std::net::SocketAddr;

use socket2::{SockRef, Socket};

use crate::datagram::{Batch, Blame, Datagram, Failure, Options};
use crate::socket::AsSocket;

#[derive(Debug)]
pub(crate) struct Inbox {
    each: usize,
    bytes: Box<[u8]>,
    told: Vec<(usize, Option<SocketAddr>)>,
    messages: usize,
}

impl Inbox {
    pub(crate) fn new(messages: usize, each: usize) -> Self {
        Self {
            each,
            bytes: vec![0; messages * each].into_boxed_slice(),
            told: Vec::with_capacity(messages),
            messages,
        }
    }

    pub(crate) fn offered(&self) -> usize {
        self.messages
    }

    /// The socket is one that never blocks. An error behind the first datagram ends the batch.
    pub(crate) fn fill(&mut self, socket: &impl AsSocket) -> io::Result<usize> {
        self.told.clear();
        for bytes in self.bytes.chunks_exact_mut(self.each) {
            let flags = rustix::net::RecvFlags::empty();
            match rustix::net::recvfrom(socket, bytes, flags) {
                Ok((length, _, from)) => {
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                    self.told.push((length, from));
                }
                Err(error) if self.told.is_empty() => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(self.told.len())
    }

    pub(crate) fn datagram(&self, index: usize) -> Option<Datagram<'_>> {
        let (length, from) = *self.told.get(index)?;
        let bytes = self.bytes.chunks_exact(self.each).nth(index)?;
        Some(Datagram {
            payload: bytes.get(..length)?,
            from: from?,
            segment: length,
            to: None,
            class: None,
            hops: None,
            truncated: false,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Outbox;

impl Outbox {
    pub(crate) fn new() -> Self {
        Self
    }

    /// Sends the first of a batch. Segments are told to be refused; a wish for a source is an error, for the answer would
    /// come from elsewhere; one for a traffic class is not heeded, as by many a router.
    pub(crate) fn transmit(
        &mut self,
        socket: &impl AsSocket,
        batch: &Batch<'_>,
    ) -> io::Result<usize> {
        let piece = batch.piece(0);
        if piece.segment.is_some() || piece.message.from.is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let to = piece.message.to.into();
        SockRef::from(socket).send_to_vectored(piece.parts, &to)?;
        Ok(1)
    }
}

/// What an error of sending says. What was told of others cannot be told apart here.
pub(crate) fn blame(error: &io::Error) -> Blame {
    match error.kind() {
        io::ErrorKind::WouldBlock => Blame::Full,
        io::ErrorKind::Interrupted => Blame::Interrupted,
        io::ErrorKind::Unsupported => Blame::Segments,
        _ => Blame::Other,
    }
}

/// No socket is bound to an interface here.
pub(crate) fn is_unbound(_: &impl AsSocket, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Asks for what all systems have: nothing. Who needs to know the address that a datagram was sent to cannot go without.
pub(crate) fn set(_: &Socket, _: bool, options: &Options) -> io::Result<()> {
    if options.tell_address {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "telling the address that a datagram was sent to is not built for this system",
        ));
    }
    if options.whole {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "forbidding fragments is not built for this system",
        ));
    }
    Ok(())
}

/// Nothing is told.
pub(crate) fn errors(_: &impl AsSocket) -> Vec<Failure> {
    Vec::new()
}

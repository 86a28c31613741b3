//! Moving bytes between sockets without touching them.
//!
//! Invariant: a [`Pipe`] knows its true size, for an unprivileged process silently gets small ones when it holds many.
//! Absent: the pool, the budget and the decision when splicing pays: the relay's.

use std::io;

use crate::imp;
use crate::socket::AsSocket;

/// A pair of descriptors, non-blocking and closed on exec.
#[derive(Debug)]
pub struct Pipe(imp::splice::Pipe);

impl Pipe {
    /// A pipe of `wanted` bytes if the system grants them; look at [`Pipe::size`].
    ///
    /// # Errors
    /// Those of `pipe`, and `Unsupported` where there is no splice.
    pub fn new(wanted: usize) -> io::Result<Self> {
        imp::splice::Pipe::new(wanted).map(Self)
    }

    /// Bytes that the pipe really holds at most.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// From a socket into the pipe, at most 1 GiB; 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock`: the socket is empty *or* the pipe is full. `InvalidInput`: this socket cannot be spliced.
    pub fn splice_in(&self, from: &impl AsSocket, len: usize) -> io::Result<usize> {
        self.0.splice_in(from, len)
    }

    /// From the pipe to a socket, at most 1 GiB.
    ///
    /// # Errors
    /// `WouldBlock`: the socket takes nothing now *or* the pipe is empty.
    pub fn splice_out(&self, to: &impl AsSocket, len: usize) -> io::Result<usize> {
        self.0.splice_out(to, len)
    }
}

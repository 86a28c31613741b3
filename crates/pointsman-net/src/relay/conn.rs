//! A connection that need not be a socket.
//!
//! Invariant: whatever it is, it can be read and written, shut down in its own way, and broken.

use std::fmt;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::stream::Stream;

/// A stream that is woven around something: TLS, a channel of a tunnel. Its `poll_shutdown` says "no more bytes from us"
/// in the stream's own way (TLS: `close_notify`), and reading goes on.
pub trait Woven: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {
    /// From now on, dropping it breaks the connection: the peer must not take it for an orderly end.
    fn break_on_drop(&mut self);
}

/// A connection in use.
#[derive(Debug)]
pub enum Conn {
    /// A socket, and what was read of it already.
    Plain(Stream),
    /// More than a socket.
    Woven(Box<dyn Woven>),
}

impl From<Stream> for Conn {
    fn from(stream: Stream) -> Self {
        Self::Plain(stream)
    }
}

impl Conn {
    /// As [`Woven::break_on_drop`], whatever it is.
    pub(super) fn break_on_drop(&mut self) {
        match self {
            Self::Plain(stream) => stream.socket.reset_when_closed(),
            Self::Woven(woven) => woven.break_on_drop(),
        }
    }

    /// As something that can be read and written.
    pub(super) fn io(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Woven(woven) => Pin::new(woven),
        }
    }
}

/// Both directions as one trait, for `dyn` takes one.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin + ?Sized> Duplex for T {}

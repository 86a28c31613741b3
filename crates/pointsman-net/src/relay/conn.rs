//! A connection that need not be a socket, and which way its bytes are carried.
//!
//! Invariant: two sockets are spliced; whatever else there is on one side, bytes are pumped. The caller does not choose.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::pump::Pump;
use super::{FlowBytes, Limits, Outcome, PipePool, Relay, relay};
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

/// Carries bytes between two connections until the end; see [`Carrying`].
///
/// As [`relay`] in all else.
pub fn carry(
    client: Conn,
    server: Conn,
    limits: &Limits,
    flow: &Arc<FlowBytes>,
    pool: &PipePool,
) -> Carrying {
    match (client, server) {
        (Conn::Plain(client), Conn::Plain(server)) => {
            Carrying::Spliced(relay(client, server, limits, flow, pool))
        }
        (client, server) => Carrying::Pumped(Box::new(Pump::new(client, server, limits, flow))),
    }
}

/// Bytes under way, by the best way that there is.
#[derive(Debug)]
#[must_use = "nothing is carried unless it is polled"]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are spliced, and are to have no box more"
)]
pub enum Carrying {
    /// Between two sockets.
    Spliced(Relay),
    /// Where one side is more than a socket.
    Pumped(Box<Pump>),
}

impl Future for Carrying {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.get_mut() {
            Self::Spliced(relay) => Pin::new(relay).poll(cx),
            Self::Pumped(pump) => Pin::new(pump).poll(cx),
        }
    }
}

//! Which way the bytes between two connections are carried.
//!
//! Invariant: two sockets are spliced; whatever else there is on one side, bytes are pumped. The caller does not choose.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::conn::Conn;
use super::pump::Pump;
use super::{Counts, Limits, Outcome, PipePool, Relay, relay};

/// Carries bytes between two connections until the end; see [`Carrying`].
///
/// As [`relay`] in all else.
pub fn carry<F: Counts>(
    client: Conn,
    server: Conn,
    limits: &Limits,
    flow: &Arc<F>,
    pool: &PipePool,
) -> Carrying<F> {
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
pub enum Carrying<F> {
    /// Between two sockets.
    Spliced(Relay<F>),
    /// Where one side is more than a socket.
    Pumped(Box<Pump<F>>),
}

impl<F: Counts> Future for Carrying<F> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.get_mut() {
            Self::Spliced(relay) => Pin::new(relay).poll(cx),
            Self::Pumped(pump) => Pin::new(pump).poll(cx),
        }
    }
}

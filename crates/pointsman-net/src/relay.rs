//! Carrying bytes between two sockets until both have ended, or something ends them.
//!
//! Invariants:
//! - An idle relay owns two sockets and some hundred bytes: no buffer, no pipe, no task but the one that polls it.
//! - Nothing more is read in a direction while bytes of that direction are unsent.
//! - An end travels as an end (half-close) when all bytes before it were delivered; a reset travels as a reset.
//! - What is cut ends with a reset towards whoever has not been told an end: an orderly end means that all bytes came.
//! - Every living socket always has a waker registered in some interest, so that no death goes unseen.
//!
//! Spawn it as a task of its own, or box what came before it: a future that contains the handshake keeps its size; and
//! make it where it is awaited, `relay(..).await`: an `async` block keeps room for a captured future and again for the
//! awaited one.
//! Absent: TLS, limits of speed, datagrams.

mod account;
mod carry;
mod clock;
mod conn;
mod half;
mod pool;
mod pump;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pointsman_os::socket as os;
use tokio::io::Interest;

pub use account::{Closed, Counters, Counts, FlowBytes, counters};
pub use carry::{Carrying, carry};
pub use conn::{Conn, Woven};
pub use pool::PipePool;
pub use pump::Pump;

use crate::record::Limit;
use crate::stream::{Probes, Socket, Stream};
use clock::Clock;
use half::{Half, Progress, Wait};

/// When a relay ends although neither side ended it; `None` is "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// No byte moved in either direction for so long.
    pub idle: Option<Duration>,
    /// No byte came from the client for so long, while the client has not ended its direction.
    pub idle_client: Option<Duration>,
    /// No byte came from the server for so long, while the server has not ended its direction.
    pub idle_server: Option<Duration>,
    /// The client took no byte for so long while there were bytes for it.
    pub stalled_client: Option<Duration>,
    /// The server took no byte for so long while there were bytes for it.
    pub stalled_server: Option<Duration>,
    /// Since the relay began; the caller adds the jitter.
    pub lifetime: Option<Duration>,
}

/// Why a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Both directions ended in order.
    Done,
    /// The client broke the connection.
    ClientReset,
    /// The server broke the connection.
    ServerReset,
    /// The connection to the client failed in another way (a silent peer, a route that went away).
    ClientFailed(io::ErrorKind),
    /// The connection to the server failed in another way.
    ServerFailed(io::ErrorKind),
    /// One of the limits.
    TimedOut(Limit),
    /// Somebody asked for it by [`FlowBytes::close`].
    Closed(Closed),
}

/// What became of a relay. The bytes of each direction stand in its [`FlowBytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub ended: Ended,
    /// Bytes of both directions that never left the kernel.
    pub spliced: u64,
    /// Bytes of both directions that were copied (prefixes included), and those that were counted before the relay.
    pub copied: u64,
}

impl Outcome {
    fn of(ended: Ended, bytes: &FlowBytes) -> Self {
        let spliced = bytes.spliced();
        let all = bytes.up().wrapping_add(bytes.down());
        Self {
            ended,
            spliced,
            copied: all.wrapping_sub(spliced),
        }
    }
}

/// Relays until the end; see [`Relay`].
///
/// Both sockets must belong to the runtime that polls the future. Prefixes are delivered first. Dropping the future
/// closes both sockets; before the end, as what is cut.
pub fn relay<F: Counts>(
    client: Stream,
    mut server: Stream,
    limits: &Limits,
    flow: &Arc<F>,
    pool: &PipePool,
) -> Relay<F> {
    Relay {
        probes: server.take_probes(),
        up: Half::new(client.prefix),
        down: Half::new(server.prefix),
        client: Side::new(client.socket),
        server: Side::new(server.socket),
        clock: limits.any().then(|| Box::new(Clock::new(limits))),
        flow: Arc::clone(flow),
        pool: pool.clone(),
        fault: None,
        over: false,
    }
}

/// A running relay: one future that polls both directions.
#[derive(Debug)]
#[must_use = "a relay does nothing unless polled"]
pub struct Relay<F> {
    client: Side,
    server: Side,
    up: Half,
    down: Half,
    clock: Option<Box<Clock>>,
    flow: Arc<F>,
    pool: PipePool,
    /// For the server, once the flow is old.
    probes: Option<Probes>,
    /// A write that failed: the other direction may still deliver what the failed side had sent before.
    fault: Option<Ended>,
    /// It has ended, and its sockets are set to say how.
    over: bool,
}

/// One of the two sockets, and what we know of the runtime's knowledge of it.
#[derive(Debug)]
struct Side {
    socket: Socket,
    /// The runtime may not know that the socket is readable: a look before us may have cleared it.
    doubt_read: bool,
    /// The runtime may not know that the socket is writable: we cleared it to hear of a hang-up.
    doubt_write: bool,
    /// Hearing of hang-ups works here; given up when it woke us for nothing.
    watch: bool,
}

impl Side {
    fn new(socket: Socket) -> Self {
        let watch = matches!(socket, Socket::Tcp(_));
        Self {
            socket,
            doubt_read: true,
            doubt_write: true,
            watch,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client,
    Server,
}

/// The rules of polling:
/// 1. A direction is pumped until it waits for its source to be readable, waits for its target to be writable (then,
///    and only then, it holds unsent bytes), has had its share (then it wakes itself), or is done.
/// 2. "Waits" means that the poll that registered our waker answered `Pending` *after* a system call answered
///    `WouldBlock`; so whatever comes later wakes us.
/// 3. A socket on which no direction waits is watched for hang-ups: its writability is cleared, and its next writable
///    event, which a hang-up always brings, wakes us. Such a socket is `doubt_write`: the next write is tried without
///    asking the runtime.
/// 4. After `Ready` it is not polled again.
impl<F: Counts> Future for Relay<F> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        if let Some(reason) = this.flow.bytes().closed_or_wake(cx.waker()) {
            return Poll::Ready(this.end(Ended::Closed(reason)));
        }
        if this.probes.is_some()
            && this.flow.bytes().is_old()
            && let Some(probes) = this.probes.take()
        {
            probes.set(&this.server.socket);
        }
        let up = this.pump(Who::Client, cx);
        let down = this.pump(Who::Server, cx);
        let (up, down) = match (up, down) {
            (Ok(up), Ok(down)) => (up, down),
            (Err(ended), _) | (_, Err(ended)) => return Poll::Ready(this.end(ended)),
        };
        if up == Wait::Done && down == Wait::Done {
            let ended = this.fault.unwrap_or(Ended::Done);
            return Poll::Ready(this.end(ended));
        }
        if let Some(ended) = this.watch_for_hang_ups(up, down, cx) {
            return Poll::Ready(this.end(ended));
        }
        // A side that nobody reads from, because the other takes nothing, is not the one that is late.
        let (client_reads, server_reads) = (up == Wait::Readable, down == Wait::Readable);
        let clock = this.clock.as_mut();
        match clock.and_then(|clock| clock.poll_limits(client_reads, server_reads, cx)) {
            Some(ended) => Poll::Ready(this.end(ended)),
            None => Poll::Pending,
        }
    }
}

impl<F: Counts> Relay<F> {
    fn pump(&mut self, source: Who, cx: &mut Context<'_>) -> Result<Wait, Ended> {
        let (half, back, from, to, target) = match source {
            Who::Client => (
                &mut self.up,
                &self.down,
                &mut self.client,
                &mut self.server,
                Who::Server,
            ),
            Who::Server => (
                &mut self.down,
                &self.up,
                &mut self.server,
                &mut self.client,
                Who::Client,
            ),
        };
        let mut progress = Progress::default();
        let hears = account::hears_first(&*self.flow, source);
        let waits = half.pump(from, to, &self.pool, hears, &mut progress, cx);
        let blocked = matches!(waits, Ok(Wait::Writable));
        if let Some(clock) = &mut self.clock {
            clock.note_target(target, blocked, progress.sent() > 0);
        }
        if progress.any() {
            account::moved(progress.spliced, progress.copied);
            self.flow.bytes().add_spliced(progress.spliced);
            match source {
                Who::Client => self.flow.bytes().add_up(progress.sent()),
                Who::Server => self.flow.bytes().add_down(progress.sent()),
            }
            if let Some(clock) = &mut self.clock {
                clock.note(source, progress.received > 0);
            }
        }
        match waits {
            Ok(Wait::Ended) => {
                // When both are done the sockets are closed at once, which says the same; nothing is unread then.
                if self.fault.is_none() && !back.is_done() {
                    self.flow.bytes().set_half_closed();
                    // A target that died meanwhile is told of by its own direction.
                    let _ = os::shutdown_write(&to.socket);
                }
                Ok(Wait::Done)
            }
            Ok(wait) => Ok(wait),
            Err(half::Fault::Source(error)) => {
                Err(self.fault.unwrap_or_else(|| ended_by(source, &error)))
            }
            Err(half::Fault::Target(error)) => {
                // What the broken side sent before it broke is still to be delivered; its next read ends the relay.
                self.fault.get_or_insert_with(|| ended_by(target, &error));
                Ok(Wait::Done)
            }
        }
    }

    fn watch_for_hang_ups(&mut self, up: Wait, down: Wait, cx: &mut Context<'_>) -> Option<Ended> {
        for who in [Who::Client, Who::Server] {
            let (side, reading, writing) = match who {
                Who::Client => (&mut self.client, up, down),
                Who::Server => (&mut self.server, down, up),
            };
            let heard = reading == Wait::Readable || writing == Wait::Writable;
            if !heard && side.watch && side.poll_hang_up(cx) {
                let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                return Some(self.fault.unwrap_or_else(|| ended_by(who, &reset)));
            }
        }
        None
    }

    /// The last act: sockets are closed when the future is dropped.
    fn end(&mut self, ended: Ended) -> Outcome {
        match ended {
            Ended::Done => {}
            Ended::ClientReset | Ended::ClientFailed(_) => self.server.reset_on_close(),
            Ended::ServerReset | Ended::ServerFailed(_) => self.client.reset_on_close(),
            Ended::TimedOut(_) | Ended::Closed(_) => self.cut(),
        }
        self.over = true;
        Outcome::of(ended, self.flow.bytes())
    }
}

impl<F> Relay<F> {
    /// Whoever has not heard an end from us hears a reset.
    fn cut(&self) {
        // A direction that was given up is done, and yet never said its end.
        let in_order = self.fault.is_none();
        if !(in_order && self.down.is_done()) {
            self.client.reset_on_close();
        }
        if !(in_order && self.up.is_done()) {
            self.server.reset_on_close();
        }
    }
}

impl<F> Drop for Relay<F> {
    fn drop(&mut self) {
        if !self.over {
            self.cut();
        }
    }
}

impl Side {
    /// The peer will see a reset; a local one has no such thing and sees an ordinary end.
    fn reset_on_close(&self) {
        if matches!(self.socket, Socket::Tcp(_)) {
            // A socket on which this fails is dead already.
            let _ = os::reset_on_close(&self.socket);
        }
    }

    /// Whether the connection is dead; otherwise the waker hears of its death.
    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..2 {
            let cleared: io::Result<()> = self
                .socket
                .try_io(Interest::WRITABLE, || Err(io::ErrorKind::WouldBlock.into()));
            debug_assert!(cleared.is_err(), "the closure only ever fails");
            self.doubt_write = true;
            if self.socket.poll_write_ready(cx).is_pending() {
                return false;
            }
            if os::hung_up(&self.socket).unwrap_or(false) {
                return true;
            }
        }
        // Ready twice and yet alive: whatever the runtime means by it, it would wake us without end.
        self.watch = false;
        false
    }
}

fn ended_by(who: Who, error: &io::Error) -> Ended {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    let reset = matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
    );
    match who {
        Who::Client if reset => Ended::ClientReset,
        Who::Server if reset => Ended::ServerReset,
        Who::Client => Ended::ClientFailed(error.kind()),
        Who::Server => Ended::ServerFailed(error.kind()),
    }
}

#[cfg(test)]
mod aging;
#[cfg(test)]
mod tests;

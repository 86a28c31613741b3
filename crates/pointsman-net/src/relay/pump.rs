//! Carrying bytes where one side is more than a socket: by reading and writing.
//!
//! Invariants: those of the relay between sockets, but for two. Bytes are copied, through the thread's own buffer; and
//! that a side broke is seen when it is read or written, so while its bytes cannot be delivered only a limit ends it.
//! A direction's end is told after all its bytes were written and flushed, and once.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::conn::Conn;
use super::half::Progress;
use super::{Clock, Counts, Ended, Limits, Outcome, Who, account, ended_by};

/// A running pump: one future that polls both directions.
#[derive(Debug)]
pub struct Pump<F> {
    client: Conn,
    server: Conn,
    up: Direction,
    down: Direction,
    clock: Option<Clock>,
    flow: Arc<F>,
    /// A write that failed: the other direction may still deliver what the failed side had sent before.
    fault: Option<Ended>,
    /// It has ended, and its sides know how.
    over: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Direction {
    /// What the target did not take yet; empty while it takes all.
    unsent: Vec<u8>,
    sent: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Reading,
    /// The same, and the target may keep bytes back that were written.
    Unflushed,
    /// The source has ended; what is held is still to be sent, then the end.
    Ending,
    Done,
}

/// What a direction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Source,
    Target,
    Turn,
    /// Said once.
    Ended,
    Done,
}

enum Fault {
    Source(io::Error),
    Target(io::Error),
}

/// Read at once; a record of TLS holds as much.
const ROOM: usize = 16 << 10;
/// After so much the other direction, and other flows, have their turn.
const SHARE: u64 = 1 << 20;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; ROOM].into_boxed_slice());
}

impl<F: Counts> Pump<F> {
    pub(super) fn new(client: Conn, server: Conn, limits: &Limits, flow: &Arc<F>) -> Self {
        let mut pump = Self {
            client,
            server,
            up: Direction::default(),
            down: Direction::default(),
            clock: limits.any().then(|| Clock::new(limits)),
            flow: Arc::clone(flow),
            fault: None,
            over: false,
        };
        // A pump is dear enough for three more system calls.
        if let Conn::Plain(server) = &mut pump.server
            && let Some(probes) = server.take_probes()
        {
            probes.set(&server.socket);
        }
        pump
    }

    fn turn(&mut self, source: Who, cx: &mut Context<'_>) -> Result<Wait, Ended> {
        let (direction, from, to, target) = match source {
            Who::Client => (
                &mut self.up,
                &mut self.client,
                &mut self.server,
                Who::Server,
            ),
            Who::Server => (
                &mut self.down,
                &mut self.server,
                &mut self.client,
                Who::Client,
            ),
        };
        let mut progress = Progress::default();
        let hears = account::hears_first(&*self.flow, source);
        let waits = direction.turn(from, to, hears, &mut progress, cx);
        if let Some(clock) = &mut self.clock {
            let blocked = matches!(waits, Ok(Wait::Target));
            clock.note_target(target, blocked, progress.sent() > 0);
            if progress.any() {
                clock.note(source, progress.received > 0);
            }
        }
        if progress.any() {
            account::moved(0, progress.copied);
            match source {
                Who::Client => self.flow.bytes().add_up(progress.sent()),
                Who::Server => self.flow.bytes().add_down(progress.sent()),
            }
        }
        match waits {
            Ok(Wait::Ended) => {
                self.flow.bytes().set_half_closed();
                Ok(Wait::Done)
            }
            Ok(wait) => Ok(wait),
            Err(Fault::Source(error)) => {
                Err(self.fault.unwrap_or_else(|| ended_by(source, &error)))
            }
            Err(Fault::Target(error)) => {
                // What the broken side sent before it broke is still to be delivered; its next read ends all.
                self.fault.get_or_insert_with(|| ended_by(target, &error));
                Ok(Wait::Done)
            }
        }
    }

    /// The last act: both sides are closed when the future is dropped.
    fn end(&mut self, ended: Ended) -> Outcome {
        if ended != Ended::Done {
            self.cut();
        }
        self.over = true;
        Outcome::of(ended, self.flow.bytes())
    }
}

impl<F> Pump<F> {
    /// Whoever has not been told an end is told that there is none.
    fn cut(&mut self) {
        let in_order = self.fault.is_none();
        if !(in_order && self.down.stage == Stage::Done) {
            self.client.break_on_drop();
        }
        if !(in_order && self.up.stage == Stage::Done) {
            self.server.break_on_drop();
        }
    }
}

impl<F: Counts> Future for Pump<F> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.get_mut();
        if let Some(reason) = this.flow.bytes().closed_or_wake(cx.waker()) {
            return Poll::Ready(this.end(Ended::Closed(reason)));
        }
        let up = this.turn(Who::Client, cx);
        let down = this.turn(Who::Server, cx);
        match (up, down) {
            (Err(ended), _) | (_, Err(ended)) => return Poll::Ready(this.end(ended)),
            (Ok(Wait::Done), Ok(Wait::Done)) => {
                let ended = this.fault.unwrap_or(Ended::Done);
                return Poll::Ready(this.end(ended));
            }
            (Ok(_), Ok(_)) => {}
        }
        // As the spliced relay: who is not read from is not late.
        let reads = |wait| matches!(wait, Ok(Wait::Source));
        let (client_reads, server_reads) = (reads(up), reads(down));
        let clock = this.clock.as_mut();
        match clock.and_then(|clock| clock.poll_limits(client_reads, server_reads, cx)) {
            Some(ended) => Poll::Ready(this.end(ended)),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for Pump<F> {
    fn drop(&mut self) {
        if !self.over {
            self.cut();
        }
    }
}

impl Direction {
    /// Moves what can be moved now. After a fault of the target this direction is done.
    fn turn(
        &mut self,
        from: &mut Conn,
        to: &mut Conn,
        hears: Option<&dyn Counts>,
        progress: &mut Progress,
        cx: &mut Context<'_>,
    ) -> Result<Wait, Fault> {
        loop {
            if self.stage == Stage::Done {
                return Ok(Wait::Done);
            }
            match self.deliver(to, progress, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.stage = Stage::Done;
                    self.unsent = Vec::new();
                    return Err(Fault::Target(error));
                }
                Poll::Pending => return Ok(Wait::Target),
            }
            if self.stage == Stage::Ending {
                self.stage = Stage::Done;
                return Ok(Wait::Ended);
            }
            if progress.received >= SHARE {
                cx.waker().wake_by_ref();
                return Ok(Wait::Turn);
            }
            let hears = hears.filter(|_| progress.received == 0);
            match SCRATCH
                .with_borrow_mut(|scratch| self.receive(scratch, from, to, hears, progress, cx))
            {
                Poll::Ready(Ok(0)) => self.stage = Stage::Ending,
                Poll::Ready(Ok(read)) => progress.received += read as u64,
                Poll::Ready(Err(fault)) => {
                    if matches!(fault, Fault::Target(_)) {
                        self.stage = Stage::Done;
                    }
                    return Err(fault);
                }
                Poll::Pending if self.stage == Stage::Unflushed => {
                    // Nothing more for now: what the target keeps back goes out.
                    match to.io().poll_flush(cx) {
                        Poll::Ready(Ok(())) => self.stage = Stage::Reading,
                        Poll::Ready(Err(error)) => {
                            self.stage = Stage::Done;
                            return Err(Fault::Target(error));
                        }
                        Poll::Pending => {}
                    }
                    return Ok(Wait::Source);
                }
                Poll::Pending => return Ok(Wait::Source),
            }
        }
    }

    /// Sends what is held and, at the end, the end.
    fn deliver(
        &mut self,
        to: &mut Conn,
        progress: &mut Progress,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(left) = self.unsent.get(self.sent..).filter(|left| !left.is_empty()) {
            let sent = ready!(write(to, left, cx))?;
            self.sent += sent;
            progress.copied += sent as u64;
        }
        self.unsent = Vec::new();
        self.sent = 0;
        match self.stage {
            // Shutting down flushes first.
            Stage::Ending => to.io().poll_shutdown(cx),
            Stage::Reading | Stage::Unflushed | Stage::Done => Poll::Ready(Ok(())),
        }
    }

    /// Reads once and writes at once what can be written; 0 is the end.
    fn receive(
        &mut self,
        scratch: &mut [u8],
        from: &mut Conn,
        to: &mut Conn,
        hears: Option<&dyn Counts>,
        progress: &mut Progress,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Fault>> {
        let mut room = ReadBuf::new(scratch);
        if let Err(error) = ready!(from.io().poll_read(cx, &mut room)) {
            return Poll::Ready(Err(Fault::Source(error)));
        }
        let read = room.filled();
        if let Some(flow) = hears {
            flow.server_spoke_first(read);
        }
        let mut sent = 0;
        while let Some(left) = read.get(sent..).filter(|left| !left.is_empty()) {
            self.stage = Stage::Unflushed;
            match write(to, left, cx) {
                Poll::Ready(Ok(now)) => sent += now,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::Target(error))),
                Poll::Pending => {
                    self.unsent = left.to_vec();
                    break;
                }
            }
        }
        progress.copied += sent as u64;
        Poll::Ready(Ok(read.len()))
    }
}

/// Writes some; a target that takes nothing and does not say why would be asked without end.
fn write(to: &mut Conn, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    match ready!(to.io().poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        done => Poll::Ready(done),
    }
}

#[cfg(test)]
mod tests;

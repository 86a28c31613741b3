//! Queries over a connection: one behind the other, answered in the order in which the answers are there (RFC 7766 §6.2.1.1).
//!
//! Invariant: a connection that brings no whole query, or takes no replies, ends within the limit; one client's pipeline
//! holds up nobody but itself, and what it does not read is not written.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use pointsman_wire::Parse;
use pointsman_wire::dns::{frame, write_frame};
use tokio::time::{Instant, sleep_until, timeout};

use super::answering::Outcome;
use super::carrier::Carrier;
use super::visit::Visit;

/// Queries of a connection that wait for answers: more are read when one is answered.
const PIPELINE: usize = 32;

/// Replies in bytes that wait to be written, one more at most: queries behind them wait, too. A reply may be two thousand
/// times as long as its query.
const UNWRITTEN: usize = 1 << 16;

type Waiting = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

/// A connection, and the queries on it.
pub(super) struct Line {
    visit: Visit,
    carrier: Carrier,
    read: Vec<u8>,
    waiting: Vec<Waiting>,
}

/// What happened on a line.
enum Event {
    Read(usize),
    Reply(Vec<u8>),
}

impl Line {
    pub(super) fn new(visit: Visit, carrier: Carrier) -> Self {
        Self {
            visit,
            carrier,
            read: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Answers, until it is over.
    pub(super) async fn serve(mut self) {
        let _over = self.answer().await;
        self.carrier.part().await;
    }

    /// `None`: it is over.
    async fn answer(&mut self) -> Option<()> {
        let (mut open, mut idle_since) = (true, Instant::now());
        loop {
            let idle = self.visit.limits.stream_idle;
            let has_room = open && self.waiting.len() < PIPELINE;
            if !open && self.waiting.is_empty() {
                return None;
            }
            let is_idle = self.waiting.is_empty();
            self.visit.place.is_idle(is_idle);
            let event = tokio::select! {
                biased;
                // What was asked is answered; a client's next query finds another server sooner where this one ends.
                () = self.visit.tasks.stopping(), if open => Event::Read(0),
                reply = first(&mut self.waiting), if !is_idle => Event::Reply(reply),
                count = self.carrier.read_some(&mut self.read), if has_room => {
                    Event::Read(count.ok()?)
                }
                () = sleep_until(idle_since + idle), if is_idle => return None,
            };
            let mut out = Vec::new();
            match event {
                // The client has no more queries; it may wait for replies.
                Event::Read(0) => open = false,
                Event::Read(_) => {}
                Event::Reply(reply) => out = reply,
            }
            // Some bytes of a query are none: whoever brings them one by one holds nothing for longer.
            while self.take_some(&mut out)? || !out.is_empty() {
                self.visit.place.is_idle(false);
                let written = timeout(idle, self.carrier.write_all(&out)).await;
                written.ok()?.ok()?;
                out.clear();
                idle_since = Instant::now();
            }
        }
    }

    /// Takes the queries that are there whole, as many as may wait, and as their replies may; whether there were any.
    fn take_some(&mut self, out: &mut Vec<u8>) -> Option<bool> {
        let service = self.visit.service()?;
        if !self.carrier.is_private() && begins_like_tls(&self.read) {
            service.tell_of_tls();
            return None;
        }
        let (mut at, mut reply) = (0, Vec::new());
        while self.waiting.len() < PIPELINE && out.len() < UNWRITTEN {
            let (message, used) = match frame(self.read.get(at..).unwrap_or(&[])) {
                Parse::Done(message, used) => (message, used),
                Parse::NeedMore => break,
                Parse::Not(_) => return None,
            };
            at += used;
            reply.clear();
            match service.take(message, self.visit.asker, &mut reply) {
                Outcome::Replied => framed(&reply, out),
                Outcome::Silent => {}
                Outcome::Asking(asking) => self.waiting.push(Box::pin(async move {
                    let (mut reply, mut out) = (Vec::new(), Vec::new());
                    asking.finish(&mut reply).await;
                    if !reply.is_empty() {
                        framed(&reply, &mut out);
                    }
                    out
                })),
            }
        }
        self.read.drain(..at);
        Some(at > 0)
    }
}

/// The first reply that is there.
async fn first(waiting: &mut Vec<Waiting>) -> Vec<u8> {
    poll_fn(|cx| {
        for at in 0..waiting.len() {
            if let Poll::Ready(reply) = waiting[at].as_mut().poll(cx) {
                drop(waiting.swap_remove(at));
                return Poll::Ready(reply);
            }
        }
        Poll::Pending
    })
    .await
}

/// A hello of TLS, where a length should stand: no query is as long as that would be.
fn begins_like_tls(read: &[u8]) -> bool {
    matches!(read, [0x16, 3, 0..=4, ..])
}

fn framed(reply: &[u8], out: &mut Vec<u8>) {
    // No reply is longer than a frame may be.
    let _ = write_frame(out, reply);
}

//! Queries over a connection: one behind the other, answered in the order in which the answers are there (RFC 7766 §6.2.1.1).
//!
//! Invariant: a connection that brings no whole query, or takes no replies, ends within the limit; one client's pipeline
//! holds up nobody but itself, and what it does not read is not written.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use pointsman_policy::fact::Network;
use pointsman_spec::dns::DnsLimits;
use pointsman_wire::Parse;
use pointsman_wire::dns::{frame, write_frame};
use tokio::time::{Instant, sleep_until, timeout};

use super::answering::{Asker, LOCAL_STREAMS, Outcome, Service};
use super::streams::StreamPlace;
use crate::ends::{ClientAddr, Ends, LocalAddr};
use crate::generation::Generation;
use crate::shared::Shared;
use crate::spec::listening::ListenerId;
use crate::stream::Stream;
use crate::tasks::Tasks;

/// Queries of a connection that wait for answers: more are read when one is answered.
const PIPELINE: usize = 32;

/// Read at once, in bytes: queries are short.
const STEP: usize = 4096;

/// Replies in bytes that wait to be written, one more at most: queries behind them wait, too. A reply may be two thousand
/// times as long as its query.
const UNWRITTEN: usize = 1 << 16;

type Waiting = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

/// Answers the queries of a connection, until the client has no more.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    listener: ListenerId,
    stream: Stream,
    ends: Ends,
    tasks: Tasks,
) {
    let Some(service) = Service::new(&shared, &generation, listener) else {
        return;
    };
    let limits = service.server().limits;
    let client = ends.counted().unwrap_or(LOCAL_STREAMS);
    let Some(place) = shared.dns_streams.place(client, &limits) else {
        return;
    };
    let asker = Asker {
        client: ends.client.map(ClientAddr::get),
        here: ends.local.map(LocalAddr::get),
        network: Network::Tcp,
    };
    let mut line = Line {
        shared,
        generation,
        listener,
        stream,
        asker,
        place: Arc::clone(&place),
        read: Vec::new(),
        waiting: Vec::new(),
    };
    tokio::select! {
        _over = line.serve(&limits, &tasks) => {}
        () = place.given_to_another() => {}
    }
}

/// A connection, and the queries on it.
struct Line {
    shared: Arc<Shared>,
    /// The last one that knew the listener.
    generation: Arc<Generation>,
    listener: ListenerId,
    stream: Stream,
    asker: Asker,
    place: Arc<StreamPlace>,
    read: Vec<u8>,
    waiting: Vec<Waiting>,
}

/// What happened on a line.
enum Event {
    Read(usize),
    Reply(Vec<u8>),
}

impl Line {
    /// `None`: it is over.
    async fn serve(&mut self, limits: &DnsLimits, tasks: &Tasks) -> Option<()> {
        let (mut open, mut idle_since) = (true, Instant::now());
        loop {
            let has_room = open && self.waiting.len() < PIPELINE;
            if !open && self.waiting.is_empty() {
                return None;
            }
            let is_idle = self.waiting.is_empty();
            self.place.is_idle(is_idle);
            let event = tokio::select! {
                biased;
                // What was asked is answered; a client's next query finds another server sooner where this one ends.
                () = tasks.stopping(), if open => Event::Read(0),
                reply = first(&mut self.waiting), if !is_idle => Event::Reply(reply),
                count = self.stream.read_some(&mut self.read, STEP), if has_room => {
                    Event::Read(count.ok()?)
                }
                () = sleep_until(idle_since + limits.stream_idle), if is_idle => return None,
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
                self.place.is_idle(false);
                let written = timeout(limits.stream_idle, self.stream.write_all(&out)).await;
                written.ok()?.ok()?;
                out.clear();
                idle_since = Instant::now();
            }
        }
    }

    /// Takes the queries that are there whole, as many as may wait, and as their replies may; whether there were any.
    fn take_some(&mut self, out: &mut Vec<u8>) -> Option<bool> {
        let now = self.shared.generation();
        if let Some(now) = now.filter(|now| now.door(self.listener).is_some()) {
            self.generation = now;
        }
        let service = Service::new(&self.shared, &self.generation, self.listener)?;
        let (mut at, mut reply) = (0, Vec::new());
        while self.waiting.len() < PIPELINE && out.len() < UNWRITTEN {
            let (message, used) = match frame(self.read.get(at..).unwrap_or(&[])) {
                Parse::Done(message, used) => (message, used),
                Parse::NeedMore => break,
                Parse::Not(_) => return None,
            };
            at += used;
            reply.clear();
            match service.take(message, self.asker, &mut reply) {
                Outcome::Replied => framed(&reply, out),
                Outcome::Silent => {}
                Outcome::Asking(asking) => self.waiting.push(Box::pin(async move {
                    let (mut reply, mut out) = (Vec::new(), Vec::new());
                    asking.finish(&mut reply).await;
                    framed(&reply, &mut out);
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

fn framed(reply: &[u8], out: &mut Vec<u8>) {
    // No reply is longer than a frame may be.
    let _ = write_frame(out, reply);
}

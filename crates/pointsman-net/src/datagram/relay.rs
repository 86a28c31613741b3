//! The datagrams of one association, or of one socket of a forward, both ways: one task for all flows and sockets of them.
//!
//! Invariants: a flow is decided once, by [`super::decide`], and from then on is an entry of the table ([`super::nat`]);
//! whatever ends the relay ends its flows, each with its record; a turn takes a bounded number of datagrams of each
//! socket.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pointsman_os::datagram::Offload;
use pointsman_spec::limits::DatagramLimits;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use super::client_side::ClientSide;
use super::entries::{COOL_DOWN, Ending, FlowId, MappingId, NatTable, Opening, Settled};
use super::nat::{Client, Seconds};
use super::quota::{Full, Owner, Seat};
use super::relays::RelayGuard;
use super::scratch::{Batch, Scratch};
use super::unanswered::Unanswered;
use super::wakers::WakerSet;
use crate::ends::LocalAddr;
use crate::generation::Generation;
use crate::ledger::Ticket;
use crate::record::{By, End, Limit};
use crate::relay::Closed;
use crate::shared::Shared;
use crate::spec::listening::ListenerId;
use crate::stream::Stream;
use crate::tasks::Tasks;

/// Where a relay stands, and for whom.
pub(super) struct Stand {
    pub(super) shared: Arc<Shared>,
    pub(super) tasks: Tasks,
    /// That of new flows.
    pub(super) generation: Arc<Generation>,
    pub(super) listener: ListenerId,
    pub(super) client_side: ClientSide,
    /// With what it ends.
    pub(super) control: Ending,
    /// The place of an association's connection among the live flows.
    pub(super) ticket: Option<Ticket>,
    pub(super) socket: UdpSocket,
    pub(super) local: LocalAddr,
    /// Of an association: from before its client is answered.
    pub(super) _taken: Option<RelayGuard>,
    pub(super) wakers: Arc<WakerSet>,
    /// Its flows' places.
    pub(super) seat: Arc<Seat>,
}

impl Stand {
    /// A place for the flows of a relay, and its wakers.
    ///
    /// # Errors
    /// [`Full`]: the client has too many associations.
    pub(super) fn sit(
        shared: &Shared,
        owner: Owner,
        limits: &DatagramLimits,
    ) -> Result<(Arc<WakerSet>, Arc<Seat>), Full> {
        let wakers = Arc::<WakerSet>::default();
        let seat = shared
            .datagrams
            .join(owner, wakers.waker(GIVES_WAY), limits)?;
        Ok((wakers, seat))
    }
}

/// The datagrams of one association, or of one socket of a forward.
pub(crate) struct Relay {
    pub(super) at: Stand,
    /// Why it ends at the next turn.
    pub(super) ending: Option<End>,
    /// The daemon's end has begun.
    stopping: Ending,
    pub(super) stops: bool,
    pub(super) offload: Arc<Offload>,
    pub(super) nat: NatTable,
    /// Ways that are being opened, by whose they will be.
    pub(super) openings: HashMap<Client, Vec<Opening>>,
    pub(super) next_opening: u64,
    pub(super) tell: mpsc::Sender<Settled>,
    pub(super) told: mpsc::Receiver<Settled>,
    pub(super) heard: Vec<u32>,
    pub(super) closing: Waker,
    rare: Rare,
    pub(super) sleep: Pin<Box<Sleep>>,
    /// What [`Self::sleep`] waits for.
    pub(super) due: Option<Seconds>,
    /// When this turn began.
    pub(super) now: Seconds,
    /// Flows whose targets are to answer.
    pub(super) silent: Unanswered,
    /// When it was last recorded that there is no room.
    pub(super) full: Option<Seconds>,
    /// Since when an association has no flows.
    idle_since: Option<Seconds>,
}

/// What happens once in many turns, and is looked at where its waker was woken: to ask each of them in each turn would cost
/// more than to sort the datagrams.
#[derive(Debug)]
struct Rare {
    ended: Waker,
    settled: Waker,
    due: Waker,
}

/// Which waker says that somebody closed a flow.
pub(super) const CLOSED: u32 = u32::MAX;
/// That something came from the connection that the association lives as long as, or that it was closed.
const ENDED: u32 = u32::MAX - 1;
/// That a task came to a result.
const SETTLED: u32 = u32::MAX - 2;
/// That a flow may have been idle for too long.
const DUE: u32 = u32::MAX - 3;
/// That flows have to give way to others'.
const GIVES_WAY: u32 = u32::MAX - 4;
/// Results that wait for the task; those that make them wait then, too. Few: in a flood of new flows the socket is emptied
/// sooner than they are opened, and it is new ones that are lost, in [`super::eviction`], and no datagram of those that are
/// carried, in the system's queue.
const RESULTS: usize = 16;

impl Relay {
    pub(super) fn new(at: Stand) -> Self {
        let (tell, told) = mpsc::channel(RESULTS);
        // Asked for the first time by the first turn.
        for rare in [ENDED, SETTLED] {
            at.wakers.ring(rare);
        }
        let limits = &at.generation.spec().datagrams;
        let filtering = at.client_side.filtering(limits.filtering);
        // Towards the client: its link is nobody else's.
        let offload = match limits.offload {
            true => Offload::new(),
            false => Offload::off(),
        };
        Self {
            ending: None,
            stopping: Box::pin(at.tasks.stopping()),
            stops: false,
            nat: NatTable::new(filtering),
            closing: at.wakers.waker(CLOSED),
            rare: Rare {
                ended: at.wakers.waker(ENDED),
                settled: at.wakers.waker(SETTLED),
                due: at.wakers.waker(DUE),
            },
            offload: Arc::new(offload),
            openings: HashMap::new(),
            next_opening: 0,
            heard: Vec::new(),
            sleep: Box::pin(sleep_until(Instant::now())),
            due: None,
            now: 0,
            silent: Unanswered::default(),
            full: None,
            idle_since: None,
            tell,
            told,
            at,
        }
    }

    /// One turn; ready: the relay has ended.
    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<End> {
        self.now = now();
        let mut heard = std::mem::take(&mut self.heard);
        self.at.wakers.heard(cx.waker(), &mut heard);
        // The rare ones first: they have the highest numbers.
        heard.sort_unstable_by(|a, b| b.cmp(a));
        heard.dedup();
        for rare in heard.iter().take_while(|place| **place >= GIVES_WAY) {
            match *rare {
                ENDED => {
                    if let Some(end) = self.ended() {
                        return Poll::Ready(end);
                    }
                }
                SETTLED => self.settle(&mut scratch.batch),
                CLOSED => self.end_closed(),
                DUE => self.due = None,
                _ => self.give_way(),
            }
        }
        self.take_from_client(cx, scratch);
        for place in heard.drain(..) {
            if let Some(mapping) = self.nat.mapping_at(place) {
                self.take_from_peers(mapping, scratch);
            }
        }
        self.heard = heard;
        self.end_idle();
        // As a kept connection between two requests, one without flows does not wait for the end of others.
        if self.stops && self.nat.is_empty() {
            return Poll::Ready(End::Stopped(By::Shutdown));
        }
        match self.ending.take() {
            Some(end) => Poll::Ready(end),
            None => Poll::Pending,
        }
    }

    /// Whether the association has ended, and how.
    fn ended(&mut self) -> Option<End> {
        let waker = &self.rare.ended;
        let mut cx = Context::from_waker(waker);
        if self.at.control.as_mut().poll(&mut cx).is_ready() {
            return Some(self.over_with());
        }
        // What a forward ends with is told by its listener.
        let is_association = self.at.ticket.is_some();
        if is_association && !self.stops && self.stopping.as_mut().poll(&mut cx).is_ready() {
            self.stops = true;
        }
        let live = self.at.ticket.as_ref().map(Ticket::live);
        let by = live.and_then(|live| live.bytes.closed_or_wake(waker));
        by.map(stopped)
    }

    /// Takes what tasks came to.
    fn settle(&mut self, batch: &mut Batch) {
        let waker = self.rare.settled.clone();
        let mut cx = Context::from_waker(&waker);
        while let Poll::Ready(Some(settled)) = self.told.poll_recv(&mut cx) {
            match settled {
                Settled::Decided(flow, Some(decided)) => self.decided(flow, decided, batch),
                Settled::Decided(flow, None) => self.cool_down(flow, COOL_DOWN),
                Settled::Linked(of, took_us, link) => self.linked(of, took_us, link, batch),
            }
        }
        // Those that waited were left alone.
        self.give_way();
    }

    /// How flows end that end with what the relay ends with.
    fn over_with(&self) -> End {
        match (
            &self.at.client_side,
            self.at.shared.stopped.load(Ordering::Relaxed),
        ) {
            (ClientSide::Association(..), _) => End::Closed,
            (ClientSide::Forward, false) => End::Stopped(By::Reload),
            (ClientSide::Forward, true) => End::Stopped(By::Shutdown),
        }
    }

    /// Another turn is due for that mapping.
    pub(super) fn ring(&self, mapping: MappingId) {
        self.at.wakers.ring(mapping.place());
    }

    pub(super) fn end(&mut self, flow: FlowId, end: End) {
        let Some(ended) = self.nat.end(flow) else {
            return;
        };
        if let Some(held) = &ended.flow.held {
            // Who closed its association did not wait for what was being decided.
            held.end(match &end {
                End::Closed => End::ClientGone,
                end => end.clone(),
            });
        }
        if let Some(carried) = ended.flow.carried {
            carried.ticket.end(end);
        }
    }

    /// Ends the flows that somebody closed. Whoever rang for something else, as for the age of a flow, took the waker down:
    /// it is hung up again.
    fn end_closed(&mut self) {
        let closed = |flow: FlowId| {
            let kept = &self.nat.flow(flow)?.kept;
            let live = kept.carried.as_ref()?.ticket.live();
            let by = live.bytes.closed_or_wake(&self.closing)?;
            Some((flow, by))
        };
        let all: Vec<_> = self.nat.flows().filter_map(closed).collect();
        for (flow, by) in all {
            self.end(flow, stopped(by));
        }
    }

    /// Ends what was idle for too long, and sleeps until the next may be.
    fn end_idle(&mut self) {
        while let Some(flow) = self.nat.overdue(self.now) {
            let carried = self.nat.flow(flow).and_then(|it| it.kept.carried.as_ref());
            let limit = carried.map_or(Limit::UdpIdle, |carried| carried.idle_by);
            self.end(flow, End::TimedOut(limit));
        }
        self.look_at_silent(self.now);
        let due = self.nat.next_due().into_iter();
        let due = due.chain(self.silent.next_due());
        let due = due.chain(self.due_without_flows()).min();
        let Some(at) = due.filter(|_| self.due != due) else {
            return;
        };
        // Seconds are cut off, so that it is never too early; where the clock of the machine and that of the runtime differ
        // it sleeps once more.
        let wait = Duration::from_secs(at.saturating_sub(self.now).max(1));
        self.sleep.as_mut().reset(Instant::now() + wait);
        self.due = due;
        let mut cx = Context::from_waker(&self.rare.due);
        if self.sleep.as_mut().poll(&mut cx).is_ready() {
            self.rare.due.wake_by_ref();
        }
    }

    /// When an association is over that has no flows: nothing else would end it where its client forgot it.
    fn due_without_flows(&mut self) -> Option<Seconds> {
        if self.at.ticket.is_none() || !self.nat.is_empty() {
            self.idle_since = None;
            return None;
        }
        let since = *self.idle_since.get_or_insert(self.now);
        let limit = self.at.generation.spec().timeouts.idle?;
        let due = since + limit.as_secs().max(1);
        if due <= self.now {
            self.ending = Some(End::TimedOut(Limit::Idle));
        }
        Some(due)
    }

    /// The end of all flows.
    fn over(&mut self, end: &End) {
        let flows: Vec<_> = self.nat.flows().collect();
        for flow in flows {
            self.end(flow, end.clone());
        }
        for opening in self.openings.drain().flat_map(|(_, openings)| openings) {
            for (_, decided) in opening.waiting {
                decided.ticket.end(end.clone());
            }
        }
        self.told.close();
        while let Ok(settled) = self.told.try_recv() {
            if let Settled::Decided(_, Some(decided)) = settled {
                decided.ticket.end(end.clone());
            }
        }
        if let Some(ticket) = self.at.ticket.take() {
            ticket.end(end.clone());
        }
    }
}

impl Future for Relay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = Scratch::take();
        let turn = self.turn(cx, &mut scratch);
        scratch.give_back();
        turn.map(|end| self.over(&end))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Aborted, else there is nothing left.
        self.over(&End::Stopped(By::Shutdown));
    }
}

/// Reads over what comes, until nothing more does.
pub(super) async fn ended(mut control: Stream) {
    let mut scratch = Vec::new();
    while matches!(control.read_some(&mut scratch, 512).await, Ok(1..)) {
        scratch.clear();
        // Nobody has to say anything there: who does so without end is not to hold up others.
        tokio::task::yield_now().await;
    }
}

fn stopped(by: Closed) -> End {
    match by {
        Closed::Operator => End::Stopped(By::Operator),
        Closed::Shutdown => End::Stopped(By::Shutdown),
        Closed::Idle => End::TimedOut(Limit::Idle),
        Closed::HalfClosed => End::TimedOut(Limit::HalfClosed),
    }
}

fn now() -> Seconds {
    pointsman_os::clock::boottime() / 1000
}

#[cfg(test)]
mod tests;

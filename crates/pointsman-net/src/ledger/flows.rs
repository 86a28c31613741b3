//! Flows that live, and the last ones that ended.
//!
//! Invariant: a flow has one [`Ticket`] from accept to end, and whatever ends it (also a task that
//! is aborted) the ticket's drop files its record, once.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use pointsman_policy::Facts;

use super::brief::Kinds;
use super::lacking::Lack;
use super::live::LiveFlow;
use super::news::{News, Readers};
use super::ranked::{self, Rank, Ranked};
use super::tallies::Rules;
use super::trouble::{FLOW_LOG, Gravity, Trouble, Troubles};
use crate::record::line::Line;
use crate::record::log::AccessLog;
use crate::record::{By, End, Fault, FlowRecord, Limit};
use crate::relay::Closed;
use crate::spec::{Number, Records};

/// What records of flows that ended may take, in bytes: a record is some 700 bytes, ten times that with long command lines.
const RECENT_BYTES: usize = 16 << 20;
/// Locks over the live flows, so that workers rarely meet at one.
const SHARDS: usize = 16;

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flows that began.
    pub begun: u64,
    /// Flows that ended, however.
    pub ended: u64,
    /// Of those: refused by the policy, or by no rule at all.
    pub refused: u64,
    /// Of those: no way out could be opened, or what it led to broke or did not answer: those that the log tells as
    /// failed.
    pub failed: u64,
    /// Of those: not understood or not admitted.
    pub denied: u64,
    /// Payload bytes from clients, those of live flows too.
    pub bytes_sent: u64,
    /// Payload bytes to clients, those of live flows too.
    pub bytes_received: u64,
    /// Connections closed at once because no descriptor was left.
    pub accept_refused: u64,
}

/// Flows that live, and the last ones that ended.
#[derive(Debug)]
pub(crate) struct Flows {
    clock: fn() -> u64,
    next: AtomicU64,
    live: [Ranked<HashMap<u64, Arc<LiveFlow>>>; SHARDS],
    kinds: Kinds,
    ended: Ranked<Ended>,
    readers: Readers,
    troubles: Troubles,
    keep: AtomicUsize,
    log: ArcSwapOption<AccessLog>,
}

#[derive(Debug, Default)]
struct Ended {
    /// Each with about what it takes.
    recent: VecDeque<(Arc<LiveFlow>, usize)>,
    /// What all of those take.
    weight: usize,
    counters: Counters,
    /// Bytes that were told last, sent and received: they never fall.
    told: [u64; 2],
}

impl Flows {
    /// Logs none until it is told where.
    /// Milliseconds since 1970 (UTC).
    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    pub(crate) fn new(clock: fn() -> u64) -> Self {
        Self {
            clock,
            next: AtomicU64::new(1),
            live: std::array::from_fn(|_| Ranked::new(Rank::Live, HashMap::new())),
            kinds: Kinds::default(),
            ended: Ranked::new(Rank::Ended, Ended::default()),
            readers: Readers::default(),
            troubles: Troubles::default(),
            keep: AtomicUsize::new(Records::default().keep),
            log: ArcSwapOption::empty(),
        }
    }

    fn shard(&self, id: u64) -> ranked::Guard<'_, HashMap<u64, Arc<LiveFlow>>> {
        let shard = usize::try_from(id).unwrap_or(0) % SHARDS;
        self.live[shard].lock()
    }

    fn ended(&self) -> ranked::Guard<'_, Ended> {
        self.ended.lock()
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<LiveFlow>> {
        self.shard(id).get(&id).cloned()
    }

    /// Looks at all live flows for those that are quiet for too long.
    pub(crate) fn look(&self) {
        for shard in &self.live {
            for flow in shard.lock().values() {
                flow.look();
            }
        }
        self.kinds.forget_unused();
    }

    pub(crate) fn live(&self) -> Vec<Arc<LiveFlow>> {
        let shards = self.live.iter();
        let flows = shards.flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>());
        let mut all: Vec<_> = flows.collect();
        all.sort_by_key(|flow| flow.id);
        all
    }

    pub(crate) fn recent(&self) -> Vec<Arc<FlowRecord>> {
        let ended = self.ended();
        let flows: Vec<_> = ended
            .recent
            .iter()
            .map(|(flow, _)| Arc::clone(flow))
            .collect();
        drop(ended);
        flows.iter().map(|flow| Arc::new(flow.record())).collect()
    }

    pub(crate) fn record(&self, id: u64) -> Option<Arc<FlowRecord>> {
        let flow = self.find(id).or_else(|| {
            let ended = self.ended();
            let recent = ended.recent.iter().rev();
            let mut recent = recent.map(|(flow, _)| flow);
            recent.find(|flow| flow.id == id).cloned()
        })?;
        Some(Arc::new(flow.record()))
    }

    pub(crate) fn keep_recent(&self, count: usize) {
        self.keep.store(count, Ordering::Relaxed);
        self.ended().shrink(count);
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.readers
    }

    pub(crate) fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// How many facts that rules asked for were not found, in the order of [`Lack::ALL`].
    pub(crate) fn lacking(&self) -> [u64; Lack::ALL.len()] {
        self.troubles.lacking()
    }

    pub(crate) fn log(&self) -> Option<Arc<AccessLog>> {
        self.log.load_full()
    }

    pub(crate) fn log_path(&self) -> Option<PathBuf> {
        self.log().map(|log| log.path().to_owned())
    }

    pub(crate) fn log_to(&self, log: Option<Arc<AccessLog>>) -> Option<Arc<AccessLog>> {
        self.log.swap(log)
    }

    pub(crate) fn counters(&self) -> Counters {
        // Those that ended first: a flow that ends in between is missed, and never counted twice.
        let counters = self.ended().counters;
        let (mut sent, mut received) = (counters.bytes_sent, counters.bytes_received);
        for shard in &self.live {
            let shard = shard.lock();
            for flow in shard.values() {
                sent += flow.bytes.up();
                received += flow.bytes.down();
            }
        }
        // What was missed makes nothing fall.
        let mut ended = self.ended();
        let [told_sent, told_received] = ended.told;
        ended.told = [sent.max(told_sent), received.max(told_received)];
        let [bytes_sent, bytes_received] = ended.told;
        drop(ended);
        Counters {
            begun: self.next.load(Ordering::Relaxed) - 1,
            bytes_sent,
            bytes_received,
            ..counters
        }
    }

    fn file(&self, flow: &Arc<LiveFlow>) {
        let (weight, end) = {
            let known = flow.so_far();
            let weight = size_of::<LiveFlow>() + known.weight();
            (weight, known.ended().cloned())
        };
        let mut ended = self.ended();
        let counters = &mut ended.counters;
        counters.ended += 1;
        counters.bytes_sent += flow.bytes.up();
        counters.bytes_received += flow.bytes.down();
        match &end {
            Some(End::Refused) => counters.refused += 1,
            Some(End::Denied(_) | End::TimedOut(Limit::Handshake)) => counters.denied += 1,
            // As the log tells them.
            Some(end) => {
                let trouble = Trouble::of_end(end, flow.bytes.down());
                let failed = trouble.is_some_and(|it| it.gravity() == Gravity::Failed);
                counters.failed += u64::from(failed);
            }
            None => {}
        }
        let may_be_trouble = end.as_ref().is_some_and(Trouble::may_be);
        ended.weight += weight;
        ended.recent.push_back((Arc::clone(flow), weight));
        ended.shrink(self.keep.load(Ordering::Relaxed));
        // With the lock held: who does not find it among the live ones finds it here, and nobody counts it twice.
        self.shard(flow.id).remove(&flow.id);
        drop(ended);
        let log: Guard<_> = self.log.load();
        if let Some(log) = &*log {
            log.write(Arc::new(flow.record()));
        }
        if may_be_trouble {
            let record = Arc::new(flow.record());
            self.troubles.file(&record, |gravity| match gravity {
                Gravity::Failed | Gravity::Guessed | Gravity::Limited => true,
                Gravity::Refused => tracing::enabled!(target: FLOW_LOG, tracing::Level::DEBUG),
            });
        }
        self.readers.tell(|| News::Ended(Arc::new(flow.record())));
    }
}

impl Ended {
    /// Forgets the oldest as long as there are too many.
    fn shrink(&mut self, keep: usize) {
        while self.recent.len() > keep || self.weight > RECENT_BYTES {
            let Some((_, weight)) = self.recent.pop_front() else {
                return;
            };
            self.weight = self.weight.saturating_sub(weight);
        }
    }
}

/// A flow's place among the live ones.
#[derive(Debug)]
pub(crate) struct Ticket {
    flows: Arc<Flows>,
    live: Arc<LiveFlow>,
    /// The line in its forward's own log.
    line: Option<Box<Line>>,
}

impl Ticket {
    /// A flow begins.
    pub(crate) fn take(
        flows: &Arc<Flows>,
        generation: Number,
        listener: Arc<str>,
        policy: usize,
        facts: Facts,
    ) -> Self {
        let id = flows.next.fetch_add(1, Ordering::Relaxed);
        let record = FlowRecord {
            id,
            generation,
            started_ms: (flows.clock)(),
            listener,
            policy,
            facts,
            ..FlowRecord::default()
        };
        let live = Arc::new(LiveFlow::new(id, record));
        flows.shard(id).insert(id, Arc::clone(&live));
        Self {
            flows: Arc::clone(flows),
            live,
            line: None,
        }
    }

    pub(crate) fn live(&self) -> &Arc<LiveFlow> {
        &self.live
    }

    /// What time it is, in RFC 3339 with milliseconds.
    pub(crate) fn time(&self) -> String {
        crate::record::rfc3339((self.flows.clock)())
    }

    /// Its forward has a log of its own.
    pub(crate) fn keep_line(&mut self, line: Option<Box<Line>>) {
        self.line = line;
    }

    /// The line in its forward's own log.
    pub(crate) fn line(&mut self) -> Option<&mut Line> {
        self.line.as_deref_mut()
    }

    /// Writes down what was found out.
    pub(crate) fn note(&self, write: impl FnOnce(&mut FlowRecord)) {
        self.live.note(write);
    }

    /// Nothing more is found out: the flow relays.
    pub(crate) fn relays(&self) {
        self.live.shorten(&self.flows.kinds);
    }

    /// The flow was decided, or no rule does: its rule counts it, and those who wait for decisions hear of it.
    pub(crate) fn decided(&self, rules: &Rules) {
        self.live.count_by(rules);
        self.flows.readers.decided(|| self.live.record());
    }

    /// A forward's target was not reached, and the same or another is tried next.
    pub(crate) fn tried(
        &self,
        forward: &Arc<str>,
        target: &Arc<str>,
        fault: Fault,
        error: &dyn std::error::Error,
    ) {
        let troubles = self.flows.troubles();
        troubles.tried(self.live.id, (forward, target), fault, error);
    }

    /// A fact that a rule, or the loop guard, asked for was not found.
    pub(crate) fn lacks(&self, lack: Lack, why: &Arc<str>) {
        self.flows.troubles().lacks(self.live.id, lack, why);
    }

    /// A rule says something of it.
    pub(crate) fn say(&self, id: u32, text: &Arc<str>) {
        let flow = self.live.id;
        // Messages are of the level `info`.
        if tracing::enabled!(target: FLOW_LOG, tracing::Level::INFO) {
            self.flows.troubles().say(flow, id, text);
        }
        self.flows.readers.tell(|| News::Said {
            flow,
            id,
            text: Arc::clone(text),
        });
    }

    /// The flow has ended.
    pub(crate) fn end(mut self, end: End) {
        self.file(end);
    }

    fn file(&mut self, end: End) {
        if !self.live.end(end) {
            return;
        }
        if let Some(tally) = self.live.tally() {
            let started_ms = self.live.so_far().started_ms();
            tally.add(&self.live.bytes, started_ms);
        }
        if let Some(line) = self.line.take() {
            line.write(Arc::new(self.live.record()));
        }
        self.flows.file(&self.live);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // A task that was aborted says nothing: who closed the flow did, or the end of the daemon.
        if self.live.gave_way() {
            return self.file(End::gave_way());
        }
        let by = match self.live.bytes.closed() {
            Some(Closed::Operator) => By::Operator,
            Some(Closed::HalfClosed | Closed::Idle | Closed::Shutdown) | None => By::Shutdown,
        };
        self.file(End::Stopped(by));
    }
}

#[cfg(test)]
mod tests;

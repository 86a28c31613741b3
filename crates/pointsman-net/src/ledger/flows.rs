//! Flows that live, and the last ones that ended.
//!
//! Invariant: a flow has one [`Ticket`] from accept to end, and whatever ends it (also a task that
//! is aborted) the ticket's drop files its record, once.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use pointsman_policy::Facts;
use tokio::time::Instant;

use super::brief::{Brief, Kinds};
use super::lacking::Lack;
use super::news::{News, Readers};
use super::tallies::{Rules, Tally};
use super::trouble::{FLOW_LOG, Gravity, Trouble, Troubles};
use crate::record::line::Line;
use crate::record::log::AccessLog;
use crate::record::{By, End, Fault, FlowRecord, Limit};
use crate::relay::{Closed, Counts, FlowBytes};
use crate::spec::Number;

/// Records that are kept of flows that ended, unless somebody asks for another number.
const RECENT: usize = 1000;
/// What those records may take, in bytes: a record is some 700 bytes, ten times that with long command lines.
const RECENT_BYTES: usize = 16 << 20;
/// Locks over the live flows, so that workers rarely meet at one.
const SHARDS: usize = 16;
/// A connection that lives so long gets probes for a silent peer at the next look.
const OLD: Duration = Duration::from_secs(30);

/// A flow that lives.
#[derive(Debug)]
pub struct LiveFlow {
    /// Its number.
    pub id: u64,
    begun: Instant,
    known: Mutex<Known>,
    pub(crate) bytes: FlowBytes,
    quiet: Quiet,
    /// Of the rule that decided.
    tally: OnceLock<Arc<Tally>>,
}

/// What is known so far: the one place where it stands.
#[derive(Debug)]
enum Known {
    /// Until it relays. Whoever reads takes a share and lets the lock go; whoever writes copies only what somebody
    /// still reads.
    Whole(Arc<FlowRecord>),
    /// From then on, for it may rest for long.
    Brief(Brief),
}

impl Known {
    fn record(&self, id: u64) -> Arc<FlowRecord> {
        match self {
            Self::Whole(record) => Arc::clone(record),
            Self::Brief(brief) => Arc::new(brief.whole(id)),
        }
    }

    /// When it was accepted, in milliseconds since 1970 (UTC).
    fn started_ms(&self) -> u64 {
        match self {
            Self::Whole(record) => record.started_ms,
            Self::Brief(brief) => brief.started_ms(),
        }
    }

    fn ended(&self) -> Option<&End> {
        match self {
            Self::Whole(record) => record.ended.as_ref(),
            Self::Brief(brief) => brief.ended.as_ref().map(|(end, _)| end),
        }
    }

    /// About how many bytes it takes, without what it shares with others.
    fn weight(&self) -> usize {
        match self {
            Self::Whole(record) => record.weight(),
            Self::Brief(brief) => brief.weight(),
        }
    }

    /// What it has in common with others, at least.
    fn like(&self) -> &FlowRecord {
        match self {
            Self::Whole(record) => record,
            Self::Brief(brief) => brief.like(),
        }
    }
}

/// How long a relaying flow has been quiet, told by looking at its bytes now and then: a timer of its
/// own for each of ten thousand idle flows would cost more than all that is known of them.
#[derive(Debug, Default)]
struct Quiet {
    /// In milliseconds; 0: not relaying, or for ever.
    limit: AtomicU64,
    /// The same, once one direction has ended.
    half_closed: AtomicU64,
    /// Bytes at the last look, twice; one more once a direction has ended.
    moved: AtomicU64,
    /// When they last were others, in milliseconds since the flow began.
    since: AtomicU64,
}

impl LiveFlow {
    /// What is known so far, bytes and time included.
    #[must_use]
    pub fn record(&self) -> FlowRecord {
        let mut record = FlowRecord::clone(&self.known());
        if record.ended.is_none() {
            record.lasted = self.begun.elapsed();
        }
        record.bytes_sent = self.bytes.up();
        record.bytes_received = self.bytes.down();
        record
    }

    /// The outbound that it was sent to; `None` where it is not decided.
    #[must_use]
    pub fn outbound(&self) -> Option<Arc<str>> {
        self.so_far().like().outbound.clone()
    }

    /// Of the rule that decided it; `None` where none did so far.
    #[must_use]
    pub fn tally(&self) -> Option<&Arc<Tally>> {
        self.tally.get()
    }

    /// What is known so far, but for bytes and time.
    pub(crate) fn known(&self) -> Arc<FlowRecord> {
        self.so_far().record(self.id)
    }

    /// Ends it; its record will say that it was stopped.
    pub fn close(&self, by: Closed) {
        self.bytes.close(by);
    }

    /// Ends when somebody closes the flow; one waits for that at a time, and a relay by itself.
    pub(crate) async fn stopped(&self) {
        poll_fn(|cx| match self.bytes.closed_or_wake(cx.waker()) {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        })
        .await;
    }

    /// It relays from now on, and is ended once no byte moved for `limit`, or for `half_closed` after one
    /// direction has ended; `None` is "never".
    pub(crate) fn may_be_quiet_for(&self, limit: Option<Duration>, half_closed: Option<Duration>) {
        let stored = |limit: Option<Duration>| limit.map_or(0, |limit| millis(limit).max(1));
        let now = millis(self.begun.elapsed());
        self.quiet.since.store(now, Ordering::Relaxed);
        self.quiet
            .half_closed
            .store(stored(half_closed), Ordering::Relaxed);
        self.quiet.limit.store(stored(limit), Ordering::Relaxed);
    }

    /// A look at it: lets it grow old, and ends it where it has been quiet for too long.
    fn look(&self) {
        if self.begun.elapsed() >= OLD {
            self.bytes.grow_old();
        }
        let Quiet {
            limit,
            half_closed,
            moved,
            since,
        } = &self.quiet;
        let is_half_closed = self.bytes.half_closed();
        let half = half_closed
            .load(Ordering::Relaxed)
            .saturating_mul(u64::from(is_half_closed));
        let limits = [
            (limit.load(Ordering::Relaxed), Closed::Idle),
            (half, Closed::HalfClosed),
        ];
        let set = limits.into_iter().filter(|(limit, _)| *limit > 0);
        let Some((limit, by)) = set.min_by_key(|(limit, _)| *limit) else {
            return;
        };
        let now = millis(self.begun.elapsed());
        let bytes = self.bytes.up().wrapping_add(self.bytes.down());
        // The end of a direction is news, too: what was quiet before it has its time from there.
        let news = bytes
            .wrapping_mul(2)
            .wrapping_add(u64::from(is_half_closed));
        if moved.swap(news, Ordering::Relaxed) != news {
            since.store(now, Ordering::Relaxed);
        } else if now.saturating_sub(since.load(Ordering::Relaxed)) >= limit {
            self.close(by);
        }
    }

    fn so_far(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down how it ended; `false`: that was done before.
    fn end(&self, end: End) -> bool {
        let lasted = self.begun.elapsed();
        match &mut *self.so_far() {
            Known::Whole(record) if record.ended.is_none() => {
                let record = Arc::make_mut(record);
                record.lasted = lasted;
                record.ended = Some(end);
                true
            }
            Known::Brief(brief) if brief.ended.is_none() => {
                brief.ended = Some((end, lasted));
                true
            }
            Known::Whole(_) | Known::Brief(_) => false,
        }
    }
}

impl Counts for LiveFlow {
    fn bytes(&self) -> &FlowBytes {
        &self.bytes
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flows that began.
    pub begun: u64,
    /// Flows that ended, however.
    pub ended: u64,
    /// Of those: refused by the policy, or by no rule at all.
    pub refused: u64,
    /// Of those: no way out could be opened, or it broke.
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
    live: [Mutex<HashMap<u64, Arc<LiveFlow>>>; SHARDS],
    kinds: Kinds,
    ended: Mutex<Ended>,
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
    pub(crate) fn new(clock: fn() -> u64, log: Option<Arc<AccessLog>>) -> Self {
        Self {
            clock,
            next: AtomicU64::new(1),
            live: std::array::from_fn(|_| Mutex::default()),
            kinds: Kinds::default(),
            ended: Mutex::default(),
            readers: Readers::default(),
            troubles: Troubles::default(),
            keep: AtomicUsize::new(RECENT),
            log: ArcSwapOption::from(log),
        }
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Arc<LiveFlow>>> {
        let shard = usize::try_from(id).unwrap_or(0) % SHARDS;
        self.live[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<LiveFlow>> {
        self.shard(id).get(&id).cloned()
    }

    /// Looks at all live flows for those that are quiet for too long.
    pub(crate) fn look(&self) {
        for shard in &self.live {
            for flow in shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
            {
                flow.look();
            }
        }
        self.kinds.forget_unused();
    }

    pub(crate) fn live(&self) -> Vec<Arc<LiveFlow>> {
        let shards = self.live.iter();
        let locked = shards.map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all: Vec<_> = locked
            .flat_map(|shard| shard.values().cloned().collect::<Vec<_>>())
            .collect();
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
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
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
        let known = flow.so_far();
        let weight = size_of::<LiveFlow>() + known.weight();
        let mut ended = self.ended();
        let counters = &mut ended.counters;
        counters.ended += 1;
        counters.bytes_sent += flow.bytes.up();
        counters.bytes_received += flow.bytes.down();
        match known.ended() {
            Some(End::Refused) => counters.refused += 1,
            Some(End::Failed(..)) => counters.failed += 1,
            Some(End::Denied(_) | End::TimedOut(Limit::Handshake)) => counters.denied += 1,
            _ => {}
        }
        let may_be_trouble = known.ended().is_some_and(Trouble::may_be);
        drop(known);
        ended.weight += weight;
        ended.recent.push_back((Arc::clone(flow), weight));
        ended.shrink(self.keep.load(Ordering::Relaxed));
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
        let live = Arc::new(LiveFlow {
            id,
            begun: Instant::now(),
            known: Mutex::new(Known::Whole(Arc::new(record))),
            bytes: FlowBytes::default(),
            quiet: Quiet::default(),
            tally: OnceLock::new(),
        });
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
        let mut known = self.live.so_far();
        match &mut *known {
            Known::Whole(record) => write(Arc::make_mut(record)),
            Known::Brief(brief) => {
                let mut record = brief.whole(self.live.id);
                write(&mut record);
                *known = Known::Whole(Arc::new(record));
            }
        }
    }

    /// Nothing more is found out: the flow relays.
    pub(crate) fn relays(&self) {
        let mut known = self.live.so_far();
        // One that somebody reads just now stays as it is.
        if let Known::Whole(shared) = &mut *known
            && let Some(record) = Arc::get_mut(shared)
        {
            match Brief::of(std::mem::take(record), &self.flows.kinds) {
                Ok(brief) => *known = Known::Brief(brief),
                Err(whole) => *record = whole,
            }
        }
    }

    /// The flow was decided, or no rule does: its rule counts it, and those who wait for decisions hear of it.
    pub(crate) fn decided(&self, rules: &Rules) {
        let known = self.live.so_far();
        if let Some(tally) = known.like().rule().and_then(|rule| rules.tally(rule)) {
            // Decided once.
            let _ = self.live.tally.set(Arc::clone(tally));
        }
        drop(known);
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
        self.flows.shard(self.live.id).remove(&self.live.id);
        if let Some(tally) = self.live.tally.get() {
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
        let by = match self.live.bytes.closed() {
            Some(Closed::Operator) => By::Operator,
            Some(Closed::HalfClosed | Closed::Idle | Closed::Shutdown) | None => By::Shutdown,
        };
        self.file(End::Stopped(by));
    }
}

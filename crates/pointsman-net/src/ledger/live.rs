//! A flow that lives, as those see it who watch it or end it.
//!
//! Invariant: what is known of it stands in one place, whole until it relays and brief from then on.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use pointsman_wire::Parse;
use pointsman_wire::sniff::banner;
use tokio::time::Instant;

use super::brief::{Brief, Kinds};
use super::ranked::{Guard, Rank, Ranked};
use super::tallies::{Rules, Tally};
use crate::record::{End, FlowRecord};
use crate::relay::{Closed, Counts, FlowBytes};

/// A connection that lives so long gets probes for a silent peer at the next look.
const OLD: Duration = Duration::from_secs(30);

/// A flow that lives.
#[derive(Debug)]
pub struct LiveFlow {
    /// Its number.
    pub id: u64,
    begun: Instant,
    known: Ranked<RecordState>,
    pub(crate) bytes: FlowBytes,
    quiet: Quiet,
    /// Of the rule that decided.
    tally: OnceLock<Arc<Tally>>,
    /// One of [`WAITS`], [`CARRIES`], [`GAVE_WAY`].
    stage: AtomicU8,
}

/// Nothing is carried yet: it may be ended for others.
const WAITS: u8 = 0;
const CARRIES: u8 = 1;
const GAVE_WAY: u8 = 2;

/// What is known so far: the one place where it stands.
#[derive(Debug)]
pub(super) enum RecordState {
    /// Until it relays. Whoever reads takes a share and lets the lock go; whoever writes copies only what somebody
    /// still reads.
    Whole(Arc<FlowRecord>),
    /// From then on, for it may rest for long.
    Brief(Brief),
}

impl RecordState {
    fn record(&self, id: u64) -> Arc<FlowRecord> {
        match self {
            Self::Whole(record) => Arc::clone(record),
            Self::Brief(brief) => Arc::new(brief.whole(id)),
        }
    }

    /// When it was accepted, in milliseconds since 1970 (UTC).
    pub(super) fn started_ms(&self) -> u64 {
        match self {
            Self::Whole(record) => record.started_ms,
            Self::Brief(brief) => brief.started_ms(),
        }
    }

    pub(super) fn ended(&self) -> Option<&End> {
        match self {
            Self::Whole(record) => record.ended.as_ref(),
            Self::Brief(brief) => brief.ended.as_ref().map(|(end, _)| end),
        }
    }

    /// About how many bytes it takes, without what it shares with others.
    pub(super) fn weight(&self) -> usize {
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
    /// One that begins now.
    pub(super) fn new(id: u64, record: FlowRecord) -> Self {
        Self {
            id,
            begun: Instant::now(),
            known: Ranked::new(Rank::Known, RecordState::Whole(Arc::new(record))),
            bytes: FlowBytes::default(),
            quiet: Quiet::default(),
            tally: OnceLock::new(),
            stage: AtomicU8::new(WAITS),
        }
    }

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

    /// Whether it carries nothing yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == WAITS
    }

    /// It carries from now on; `false`: it gave way to others and is over.
    pub(crate) fn carries(&self) -> bool {
        self.leave(CARRIES) || !self.gave_way()
    }

    /// Ends it for others, if it still waits.
    pub(crate) fn give_way(&self) -> bool {
        let gives = self.leave(GAVE_WAY);
        if gives {
            self.close(Closed::Operator);
        }
        gives
    }

    /// Whether it was ended for others.
    pub(super) fn gave_way(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == GAVE_WAY
    }

    fn leave(&self, to: u8) -> bool {
        let (from, order) = (WAITS, Ordering::Relaxed);
        self.stage.compare_exchange(from, to, order, order).is_ok()
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
    pub(super) fn look(&self) {
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

    pub(super) fn so_far(&self) -> Guard<'_, RecordState> {
        self.known.lock()
    }

    /// Writes down what was found out.
    pub(super) fn note(&self, write: impl FnOnce(&mut FlowRecord)) {
        let mut known = self.so_far();
        match &mut *known {
            RecordState::Whole(record) => write(Arc::make_mut(record)),
            RecordState::Brief(brief) => {
                let mut record = brief.whole(self.id);
                write(&mut record);
                *known = RecordState::Whole(Arc::new(record));
            }
        }
    }

    /// Nothing more is found out: what is known is kept in little room.
    pub(super) fn shorten(&self, kinds: &Kinds) {
        let mut known = self.so_far();
        // One that somebody reads just now stays as it is.
        if let RecordState::Whole(shared) = &mut *known
            && let Some(record) = Arc::get_mut(shared)
        {
            match Brief::of(std::mem::take(record), kinds) {
                Ok(brief) => *known = RecordState::Brief(brief),
                Err(whole) => *record = whole,
            }
        }
    }

    /// The rule that decided it counts it.
    pub(super) fn count_by(&self, rules: &Rules) {
        if let Some(tally) = self
            .so_far()
            .like()
            .rule()
            .and_then(|rule| rules.tally(rule))
        {
            // Decided once.
            let _ = self.tally.set(Arc::clone(tally));
        }
    }

    /// Writes down how it ended; `false`: that was done before.
    pub(super) fn end(&self, end: End) -> bool {
        let lasted = self.begun.elapsed();
        match &mut *self.so_far() {
            RecordState::Whole(record) if record.ended.is_none() => {
                let record = Arc::make_mut(record);
                record.lasted = lasted;
                record.ended = Some(end);
                true
            }
            RecordState::Brief(brief) if brief.ended.is_none() => {
                brief.ended = Some((end, lasted));
                true
            }
            RecordState::Whole(_) | RecordState::Brief(_) => false,
        }
    }
}

impl Counts for LiveFlow {
    fn bytes(&self) -> &FlowBytes {
        &self.bytes
    }

    fn server_spoke_first(&self, bytes: &[u8]) {
        let Parse::Done(banner, _) = banner(bytes) else {
            return;
        };
        let mut known = self.so_far();
        let incidents = match &mut *known {
            RecordState::Whole(record) => &mut Arc::make_mut(record).incidents,
            RecordState::Brief(brief) => brief.incidents(),
        };
        incidents.to_mut().banner = Some(banner);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

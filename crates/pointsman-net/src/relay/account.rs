//! What is counted of relays: for each flow while it runs, and for the whole process.
//!
//! Invariant: counters only grow (gauges excepted), and are added to once for each time a direction was pumped.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use super::Who;
use super::pool::{PIPES_CREATED, PIPES_IN_USE};

/// The bytes of a flow, visible while it runs, and the handle to end it.
#[derive(Debug, Default)]
pub struct FlowBytes {
    up: AtomicU64,
    down: AtomicU64,
    /// Of both.
    spliced: AtomicU64,
    closed: AtomicU8,
    half_closed: AtomicBool,
    old: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Something that a flow's bytes stand in.
pub trait Counts: fmt::Debug + Send + Sync {
    /// Those bytes.
    fn bytes(&self) -> &FlowBytes;

    /// The server spoke before its client did: what came of it at first. Told again where the client took none of it.
    fn server_spoke_first(&self, _bytes: &[u8]) {}
}

/// Who hears what is read now: the server's first bytes, where nothing was delivered to either side before.
pub(super) fn hears_first<F: Counts>(flow: &F, source: Who) -> Option<&dyn Counts> {
    let is_first = source == Who::Server && flow.bytes().up() == 0 && flow.bytes().down() == 0;
    is_first.then_some(flow)
}

impl Counts for FlowBytes {
    fn bytes(&self) -> &FlowBytes {
        self
    }
}

/// Who asked for the end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A user.
    Operator,
    /// Nobody: one side had ended, and no byte moved for too long.
    HalfClosed,
    /// Nobody: no byte moved for too long.
    Idle,
    /// The daemon, that is ending.
    Shutdown,
}

impl FlowBytes {
    /// Bytes delivered to the server so far.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Bytes delivered to the client so far.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }

    /// Bytes of both directions that never left the kernel.
    pub fn spliced(&self) -> u64 {
        self.spliced.load(Ordering::Relaxed)
    }

    pub(super) fn add_spliced(&self, bytes: u64) {
        if bytes > 0 {
            self.spliced.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Counts bytes delivered to the server by others than the relay.
    pub fn add_up(&self, bytes: u64) {
        self.up.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes delivered to the client by others than the relay.
    pub fn add_down(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether one direction has ended, its end told to the other side.
    pub fn half_closed(&self) -> bool {
        self.half_closed.load(Ordering::Relaxed)
    }

    /// One direction has ended. Costs once, at that end; what watches for silence looks at it.
    pub(super) fn set_half_closed(&self) {
        self.half_closed.store(true, Ordering::Relaxed);
    }

    /// Ends the relay from any thread, also one that has not begun; the first reason stays.
    pub fn close(&self, reason: Closed) {
        let code = match reason {
            Closed::Operator => 1,
            Closed::Shutdown => 2,
            Closed::Idle => 3,
            Closed::HalfClosed => 4,
        };
        if self
            .closed
            .compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
        {
            self.wake();
        }
    }

    fn wake(&self) {
        let kept = self.waker.lock();
        if let Some(waker) = kept.unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    /// It has lived for a while: its relay sets, from now on, what a short one does without. From any thread.
    pub fn grow_old(&self) {
        if !self.old.swap(true, Ordering::SeqCst) {
            self.wake();
        }
    }

    pub(super) fn is_old(&self) -> bool {
        self.old.load(Ordering::SeqCst)
    }

    /// Whether the flow was asked to end.
    pub fn closed(&self) -> Option<Closed> {
        match self.closed.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Closed::Operator),
            2 => Some(Closed::Shutdown),
            3 => Some(Closed::Idle),
            _ => Some(Closed::HalfClosed),
        }
    }

    /// Whether it was asked to end; else that waker, and no other, hears of it.
    pub(crate) fn closed_or_wake(&self, waker: &Waker) -> Option<Closed> {
        let mut kept = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
        drop(kept);
        // After the waker is in place: a close from now on finds it.
        self.closed()
    }
}

/// Counts of the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes delivered without leaving the kernel.
    pub spliced: u64,
    /// Bytes delivered by copying.
    pub copied: u64,
    /// Pipes made since the start.
    pub pipes_created: u64,
    /// Pipes that hold bytes now.
    pub pipes_in_use: u64,
}

/// Counts of all relays of this process.
pub fn counters() -> Counters {
    Counters {
        spliced: SPLICED.load(Ordering::Relaxed),
        copied: COPIED.load(Ordering::Relaxed),
        pipes_created: PIPES_CREATED.load(Ordering::Relaxed),
        pipes_in_use: PIPES_IN_USE.load(Ordering::Relaxed),
    }
}

pub(super) fn moved(spliced: u64, copied: u64) {
    if spliced > 0 {
        SPLICED.fetch_add(spliced, Ordering::Relaxed);
    }
    if copied > 0 {
        COPIED.fetch_add(copied, Ordering::Relaxed);
    }
}

static SPLICED: AtomicU64 = AtomicU64::new(0);
static COPIED: AtomicU64 = AtomicU64::new(0);

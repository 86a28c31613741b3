//! How many descriptors this process holds, one kept in reserve, and the last ones, which no flow gets.
//!
//! Invariants: a [`Reserve`] is either held or says that it is not; nothing here waits. A process is given the lowest
//! number that is free (POSIX, 2.6): a flow's descriptor of a high number says that all below are taken, and is given up.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::imp;
use crate::socket::AsSocket;

/// The most descriptors that are kept back: some two hundred clients of the control socket, and the files of a reload.
const KEPT_BACK: u64 = 256;

/// The first number that no flow gets. The limit is the process's, and so is this.
static FIRST_KEPT_BACK: AtomicU32 = AtomicU32::new(u32::MAX);

/// Keeps the last descriptors back from flows where there may be `limit` at once: a quarter, 256 at most. Answers how
/// many.
pub fn keep_back(limit: u64) -> u64 {
    let kept = (limit / 4).min(KEPT_BACK);
    let first = u32::try_from(limit - kept).unwrap_or(u32::MAX);
    FIRST_KEPT_BACK.store(first, Ordering::Relaxed);
    kept
}

/// How many descriptors flows may have, where some are kept back.
pub fn of_flows() -> Option<usize> {
    let first = FIRST_KEPT_BACK.load(Ordering::Relaxed);
    let is_told = first != u32::MAX;
    is_told.then(|| usize::try_from(first).unwrap_or(usize::MAX))
}

/// A flow's descriptor, unless it is one of those that are kept back: then it is closed.
///
/// # Errors
/// As where the process has none left; [`exhausted`] knows it.
pub fn for_a_flow<S: AsSocket>(socket: S) -> io::Result<S> {
    if imp::descriptors::number(&socket) < FIRST_KEPT_BACK.load(Ordering::Relaxed) {
        Ok(socket)
    } else {
        Err(imp::descriptors::none_left())
    }
}

/// Whether a flow's descriptor says that of those that flows may have seven of eight are taken.
pub fn is_scarce(socket: &impl AsSocket) -> bool {
    let first = FIRST_KEPT_BACK.load(Ordering::Relaxed);
    imp::descriptors::number(socket) >= first - first / 8
}

/// Descriptors that this process has open now, for diagnostics and leak tests.
///
/// # Errors
/// Those of reading the process's own table; `Unsupported` where there is none.
pub fn count() -> io::Result<usize> {
    imp::descriptors::count()
}

/// Whether `error` says that this process or this host has no descriptor left.
pub fn exhausted(error: &io::Error) -> bool {
    imp::descriptors::exhausted(error)
}

/// A descriptor held for the moment when there is no other: given up for one `accept`, so that a queue of waiting
/// clients can be told "no" instead of being left to time out.
#[derive(Debug)]
pub struct Reserve(Option<File>);

impl Reserve {
    /// Takes one; when there is none left the reserve is empty.
    pub fn take() -> Self {
        Self(imp::descriptors::any().ok())
    }

    /// Runs `work` with the reserve given up, and takes it again afterwards.
    pub fn lend<R>(&mut self, work: impl FnOnce() -> R) -> R {
        self.0 = None;
        let result = work();
        self.0 = imp::descriptors::any().ok();
        result
    }
}

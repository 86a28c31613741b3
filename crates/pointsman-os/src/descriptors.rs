//! How many descriptors this process holds, and one kept in reserve.
//!
//! Invariant: a [`Reserve`] is either held or says that it is not; nothing here waits.

use std::fs::File;
use std::io;

use crate::imp;

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

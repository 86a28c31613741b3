//! Pipes for splicing, lent while bytes are in flight.
//!
//! Invariants: no more than the budget exist at once; a pipe in the pool is empty; a pipe is at least [`LEAST`] large,
//! for a smaller one costs more calls than a copy. When no pipe can be had, nobody waits: the relay copies.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_os::splice::Pipe;

use crate::stream::Socket;

/// Pipes of all pools that were made since the start, and those that hold bytes now.
pub(super) static PIPES_CREATED: AtomicU64 = AtomicU64::new(0);
pub(super) static PIPES_IN_USE: AtomicU64 = AtomicU64::new(0);

/// A pool of pipes; clones are the same pool.
#[derive(Clone, Debug)]
pub struct PipePool(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    budget: usize,
    existing: AtomicUsize,
    /// The system refused a pipe, or gave a small one: no more are asked for until one comes back.
    refused: AtomicBool,
    free: Mutex<Vec<PooledPipe>>,
}

/// What is wanted: one burst of a fast sender. The system may give less (and does, to users with many pipes).
const WANTED: usize = 1 << 20;
/// Under this a copy through the scratch is as good.
const LEAST: usize = 64 << 10;
/// Idle pipes kept for the next burst: each costs two descriptors and some kB of kernel memory.
const KEPT: usize = 32;

impl Default for PipePool {
    /// Room for 256 bursts at once, 512 descriptors: more relays than that are rarely in mid-burst.
    fn default() -> Self {
        Self::new(256)
    }
}

impl PipePool {
    /// A pool of at most `budget` pipes; 0 means that everything is copied.
    pub fn new(budget: usize) -> Self {
        Self(Arc::new(Pool {
            budget,
            existing: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
            free: Mutex::default(),
        }))
    }

    /// A pipe that is empty, or none.
    pub(super) fn take(&self) -> Option<PooledPipe> {
        let free = self.0.free().pop();
        let mut lent = match free {
            Some(free) => free,
            None => PooledPipe(Some(Box::new(Filled::from(self.make()?)))),
        };
        lent.0.as_mut()?.pool = Some(self.clone());
        PIPES_IN_USE.fetch_add(1, Ordering::Relaxed);
        Some(lent)
    }

    /// Pipes that exist now, in use or kept.
    pub fn existing(&self) -> usize {
        self.0.existing.load(Ordering::Relaxed)
    }

    fn make(&self) -> Option<Pipe> {
        let pool = &self.0;
        if pool.refused.load(Ordering::Relaxed) {
            return None;
        }
        if pool.existing.fetch_add(1, Ordering::Relaxed) >= pool.budget {
            pool.existing.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        match Pipe::new(WANTED) {
            Ok(pipe) if pipe.size() >= LEAST => {
                PIPES_CREATED.fetch_add(1, Ordering::Relaxed);
                Some(pipe)
            }
            _ => {
                // With no pipe of ours in the world nothing would come back to lift the ban.
                let others = pool.existing.fetch_sub(1, Ordering::Relaxed) > 1;
                pool.refused.store(others, Ordering::Relaxed);
                None
            }
        }
    }
}

impl Pool {
    /// A use has ended; `closed`: and the pipe with it.
    fn ended(&self, closed: bool) {
        PIPES_IN_USE.fetch_sub(1, Ordering::Relaxed);
        self.refused.store(false, Ordering::Relaxed);
        if closed {
            self.existing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<PooledPipe>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe, and what is in it. On the heap for as long as there is the pipe: who borrows it is to be small.
#[derive(Debug)]
struct Filled {
    pipe: Pipe,
    /// Bytes in it.
    held: usize,
    /// Where it goes back to; none while it is there.
    pool: Option<PipePool>,
}

impl From<Pipe> for Filled {
    fn from(pipe: Pipe) -> Self {
        Self {
            pipe,
            held: 0,
            pool: None,
        }
    }
}

/// A pipe in use, or in its pool. Dropped, it is closed with what it holds; [`PooledPipe::give_back`] is for an empty one.
#[derive(Debug)]
pub(super) struct PooledPipe(
    /// None only while it is being given back.
    Option<Box<Filled>>,
);

impl PooledPipe {
    /// Bytes in it.
    pub(super) fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |filled| filled.held)
    }

    /// Fills it, while it is empty, from a socket; 0 is the end of the stream.
    pub(super) fn fill(&mut self, from: &Socket) -> io::Result<usize> {
        let Some(filled) = &mut self.0 else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let read = filled.pipe.splice_in(from, filled.pipe.size())?;
        filled.held = read;
        Ok(read)
    }

    /// Sends some of what it holds.
    pub(super) fn drain(&mut self, to: &Socket) -> io::Result<usize> {
        let Some(filled) = &mut self.0 else {
            return Err(io::ErrorKind::WriteZero.into());
        };
        match filled.pipe.splice_out(to, filled.held)? {
            // A pipe that holds bytes always has some to give: 0 would be a loop without end.
            0 => Err(io::ErrorKind::WriteZero.into()),
            sent => {
                filled.held = filled.held.saturating_sub(sent);
                Ok(sent)
            }
        }
    }

    /// Lets the next one use it.
    pub(super) fn give_back(mut self) {
        let Some(mut filled) = self.0.take() else {
            return;
        };
        let Some(pool) = filled.pool.take() else {
            return;
        };
        let mut free = pool.0.free();
        let kept = free.len() < KEPT;
        if kept {
            free.push(Self(Some(filled)));
        }
        drop(free);
        pool.0.ended(!kept);
    }
}

impl Drop for PooledPipe {
    fn drop(&mut self) {
        if let Some(pool) = self.0.as_mut().and_then(|filled| filled.pool.take()) {
            pool.0.ended(true);
        }
    }
}

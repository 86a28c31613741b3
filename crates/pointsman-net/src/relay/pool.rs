//! Pipes for splicing, lent while bytes are in flight.
//!
//! Invariants: no more than the budget exist at once; a pipe in the pool is empty; a pipe is at least [`LEAST`] large,
//! for a smaller one costs more calls than a copy. When no pipe can be had, nobody waits: the relay copies.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_os::splice::Pipe;

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
    free: Mutex<Vec<Pipe>>,
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
    pub(super) fn take(&self) -> Option<Lent> {
        let free = self.0.free().pop();
        let pipe = match free {
            Some(pipe) => pipe,
            None => self.make()?,
        };
        PIPES_IN_USE.fetch_add(1, Ordering::Relaxed);
        Some(Lent {
            pipe: Some(pipe),
            pool: self.clone(),
        })
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
    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Pipe>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe in use. Dropped, it is closed with what it holds; [`Lent::give_back`] is for an empty one.
#[derive(Debug)]
pub(super) struct Lent {
    /// None only while it is being given back.
    pipe: Option<Pipe>,
    pool: PipePool,
}

impl Lent {
    pub(super) fn pipe(&self) -> Option<&Pipe> {
        self.pipe.as_ref()
    }

    pub(super) fn give_back(mut self) {
        let mut free = self.pool.0.free();
        if free.len() < KEPT
            && let Some(pipe) = self.pipe.take()
        {
            free.push(pipe);
        }
        drop(free);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        PIPES_IN_USE.fetch_sub(1, Ordering::Relaxed);
        self.pool.0.refused.store(false, Ordering::Relaxed);
        if self.pipe.is_some() {
            self.pool.0.existing.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

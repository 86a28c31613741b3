//! What is going on at a connection of HTTP, so that one at which nothing does can be ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::dns::streams::StreamPlace;

/// What is going on at a connection.
#[derive(Debug)]
pub(super) struct Activity {
    place: Arc<StreamPlace>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Queries that wait for somebody who is asked.
    asking: usize,
    /// Replies in bytes that the client has not read.
    unread: usize,
    /// When a query came last, or a reply was taken.
    since: Instant,
}

/// A query that waits for its answer.
#[derive(Debug)]
pub(super) struct Underway(Arc<Activity>);

/// A reply until the client has read it.
#[derive(Debug)]
pub(super) struct Unread(Arc<Activity>, usize);

impl Activity {
    pub(super) fn new(place: Arc<StreamPlace>, now: Instant) -> Self {
        let state = State {
            asking: 0,
            unread: 0,
            since: now,
        };
        Self {
            place,
            state: Mutex::new(state),
        }
    }

    /// When something went on last; while something does, some moment before now.
    pub(super) fn since(&self) -> Instant {
        let state = self.state();
        match state.asking {
            0 => state.since,
            _ => Instant::now(),
        }
    }

    /// Whether nothing has gone on for so long. What is written and not taken is nothing.
    pub(super) fn is_over(&self, now: Instant, idle: Duration) -> bool {
        let state = self.state();
        state.asking == 0 && now.saturating_duration_since(state.since) >= idle
    }

    /// A query begins to wait.
    pub(super) fn begin(self: &Arc<Self>) -> Underway {
        self.state().asking += 1;
        self.place.is_idle(false);
        Underway(Arc::clone(self))
    }

    /// A reply of so many bytes is to be written; `None` where more than `most` would wait for their reader.
    pub(super) fn reply(self: &Arc<Self>, length: usize, most: usize) -> Option<Unread> {
        let mut state = self.state();
        if state.unread + length > most {
            return None;
        }
        state.unread += length;
        Some(Unread(Arc::clone(self), length))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.asking -= 1;
        state.since = Instant::now();
        let is_idle = state.asking == 0;
        drop(state);
        self.0.place.is_idle(is_idle);
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.unread -= self.1;
        state.since = Instant::now();
    }
}

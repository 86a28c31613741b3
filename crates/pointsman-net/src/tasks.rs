//! Who owns a task: every one is spawned into a group, counted, told to stop, and in the end aborted.
//!
//! Invariants: a group that was stopped runs nothing any more; a group's count includes its children; a finished task
//! leaves nothing behind. Absent: results and panics of tasks (a panic ends its task alone).

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A group of tasks; clones are the same group.
#[derive(Clone, Debug)]
pub struct Tasks(Arc<Group>);

#[derive(Debug)]
struct Group {
    next: AtomicU64,
    stopping: watch::Sender<bool>,
    ended: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` between the reservation of a key and the spawn.
    running: HashMap<u64, Option<AbortHandle>>,
    children: Vec<Weak<Group>>,
    closed: bool,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// An empty group.
    pub fn new() -> Self {
        Self(Arc::new(Group {
            next: AtomicU64::new(0),
            stopping: watch::Sender::new(false),
            ended: Notify::new(),
            state: Mutex::default(),
        }))
    }

    /// A group that is stopped together with this one, or alone.
    pub fn child(&self) -> Self {
        let child = Self::new();
        let mut state = self.0.state();
        state.children.retain(|old| old.strong_count() > 0);
        state.children.push(Arc::downgrade(&child.0));
        let closed = state.closed;
        drop(state);
        if closed {
            child.close();
        } else if *self.0.stopping.borrow() {
            child.0.stopping.send_replace(true);
        }
        child
    }

    /// Runs `future` on the current runtime; after [`Self::stop`] has ended it is dropped instead.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_on(&Handle::current(), future);
    }

    /// Runs `future` on the given runtime.
    pub fn spawn_on(&self, runtime: &Handle, future: impl Future<Output = ()> + Send + 'static) {
        let boxed: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
        self.own(runtime, boxed);
    }

    /// As [`Self::spawn`], for a future that is small and keeps what is large on the heap itself: no second box.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn_small(&self, future: impl Future<Output = ()> + Send + Unpin + 'static) {
        self.own(&Handle::current(), future);
    }

    fn own(&self, runtime: &Handle, future: impl Future<Output = ()> + Send + Unpin + 'static) {
        let key = self.0.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut state = self.0.state();
            if state.closed {
                return;
            }
            state.running.insert(key, None);
        }
        let leaving = Leaving {
            group: Arc::clone(&self.0),
            key,
        };
        // The lock is free here: a runtime that has shut down drops the future, and `Leaving` with it, at once.
        #[allow(clippy::disallowed_methods, reason = "this is the owner")]
        let task = runtime.spawn(Owned {
            future,
            _leaving: leaving,
        });
        let mut state = self.0.state();
        if state.closed {
            drop(state);
            task.abort();
        } else if let Some(slot) = state.running.get_mut(&key) {
            *slot = Some(task.abort_handle());
        }
    }

    /// Tasks that run now, in this group and its children.
    pub fn count(&self) -> usize {
        let state = self.0.state();
        let own = state.running.len();
        let children: Vec<_> = state.children.iter().filter_map(Weak::upgrade).collect();
        drop(state);
        own + children
            .into_iter()
            .map(|child| Self(child).count())
            .sum::<usize>()
    }

    /// Whether the tasks were asked to stop.
    pub fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Ends when the tasks are asked to stop; for the tasks themselves, that they may end in order.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut asked = self.0.stopping.subscribe();
        let group = Arc::clone(&self.0);
        async move {
            // The sender lives in `group`, so that the only end of the wait is the value.
            let _ = asked.wait_for(|stopping| *stopping).await;
            drop(group);
        }
    }

    /// Asks all tasks to stop without waiting for them.
    pub fn ask_to_stop(&self) {
        self.0.stopping.send_replace(true);
        for child in self.children() {
            child.ask_to_stop();
        }
    }

    /// Asks all tasks to stop, waits up to `grace` for them, then aborts the rest; true when all ended by themselves.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.ask_to_stop();
        let deadline = Instant::now() + grace;
        let by_themselves = tokio::time::timeout_at(deadline, self.idle()).await.is_ok();
        self.close();
        if !by_themselves {
            // An aborted task is dropped by its runtime at its next turn.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.idle()).await;
        }
        by_themselves
    }

    /// Waits until no task runs.
    pub async fn idle(&self) {
        loop {
            let Some(busy) = self.busy_group() else {
                return;
            };
            let mut ended = std::pin::pin!(busy.0.ended.notified());
            ended.as_mut().enable();
            if !busy.0.state().running.is_empty() {
                ended.await;
            }
        }
    }

    fn busy_group(&self) -> Option<Self> {
        if !self.0.state().running.is_empty() {
            return Some(self.clone());
        }
        self.children()
            .into_iter()
            .find_map(|child| child.busy_group())
    }

    fn close(&self) {
        self.0.stopping.send_replace(true);
        let mut state = self.0.state();
        state.closed = true;
        let handles: Vec<_> = state.running.values().flatten().cloned().collect();
        drop(state);
        for handle in handles {
            handle.abort();
        }
        for child in self.children() {
            child.close();
        }
    }

    fn children(&self) -> Vec<Self> {
        self.0
            .state()
            .children
            .iter()
            .filter_map(Weak::upgrade)
            .map(Self)
            .collect()
    }
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be left half-done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's future. By hand, for an `async` block around a future keeps room for it twice.
struct Owned<F> {
    future: F,
    _leaving: Leaving,
}

impl<F: Future<Output = ()> + Unpin> Future for Owned<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.future).poll(cx)
    }
}

/// Part of the task: tells the group when the task ends, is aborted, or panics.
struct Leaving {
    group: Arc<Group>,
    key: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut state = self.group.state();
        state.running.remove(&self.key);
        let last = state.running.is_empty();
        drop(state);
        if last {
            self.group.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;

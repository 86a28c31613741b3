//! Which of many sockets woke the one task that serves them all.
//!
//! Invariant: a waker that was woken is told of once, to whoever asks next; a task that asked is woken by the first that
//! is woken afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// All wakers of a task, by number.
#[derive(Debug, Default)]
pub(super) struct WakerSet(Mutex<Woken>);

#[derive(Debug, Default)]
struct Woken {
    /// Numbers of wakers; one that is woken twice before it is told of stands there twice.
    places: Vec<u32>,
    task: Option<Waker>,
}

/// One of them.
#[derive(Debug)]
struct NumberedWaker {
    wakers: Arc<WakerSet>,
    place: u32,
}

impl WakerSet {
    /// A waker of that number.
    pub(super) fn waker(self: &Arc<Self>, place: u32) -> Waker {
        Waker::from(Arc::new(NumberedWaker {
            wakers: Arc::clone(self),
            place,
        }))
    }

    /// Those that were woken since it was asked last; `task` is woken by the next.
    pub(super) fn heard(&self, task: &Waker, heard: &mut Vec<u32>) {
        let mut woken = self.woken();
        if !woken.task.as_ref().is_some_and(|old| old.will_wake(task)) {
            woken.task = Some(task.clone());
        }
        heard.append(&mut woken.places);
    }

    /// Wakes that number for the task itself, which finds it at its next turn.
    pub(super) fn ring(&self, place: u32) {
        let mut woken = self.woken();
        woken.places.push(place);
        if let Some(task) = &woken.task {
            task.wake_by_ref();
        }
    }

    fn woken(&self) -> MutexGuard<'_, Woken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for NumberedWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakers.ring(self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_that_rang_is_heard_once_and_wakes_the_task() {
        let wakers = Arc::new(WakerSet::default());
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let (three, five) = (wakers.waker(3), wakers.waker(5));
        three.wake_by_ref();
        let mut heard = Vec::new();
        wakers.heard(&waker, &mut heard);
        assert_eq!(heard, [3]);
        five.wake();
        wakers.ring(7);
        assert_eq!(task.0.load(Ordering::Relaxed), 2);
        heard.clear();
        wakers.heard(&waker, &mut heard);
        assert_eq!(heard, [5, 7]);
        heard.clear();
        wakers.heard(&waker, &mut heard);
        assert!(heard.is_empty());
    }
}

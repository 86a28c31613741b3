//! Which of many sockets woke the one task that serves them all.
//!
//! Invariant: a bell that rang is heard once, by whoever asks next; a task that asked is woken by the first that rings
//! afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// All bells of a task.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<Rung>);

#[derive(Debug, Default)]
struct Rung {
    /// Numbers of bells; one that rings twice before it is heard stands there twice.
    places: Vec<u32>,
    task: Option<Waker>,
}

/// One of them.
#[derive(Debug)]
struct Bell {
    bells: Arc<Bells>,
    place: u32,
}

impl Bells {
    /// A waker that rings as that number.
    pub(super) fn bell(self: &Arc<Self>, place: u32) -> Waker {
        Waker::from(Arc::new(Bell {
            bells: Arc::clone(self),
            place,
        }))
    }

    /// Those that rang since it was asked last; `task` is woken by the next.
    pub(super) fn heard(&self, task: &Waker, heard: &mut Vec<u32>) {
        let mut rung = self.rung();
        if !rung.task.as_ref().is_some_and(|old| old.will_wake(task)) {
            rung.task = Some(task.clone());
        }
        heard.append(&mut rung.places);
    }

    /// Rings, for the task itself: it will hear that number at its next turn.
    pub(super) fn ring(&self, place: u32) {
        let mut rung = self.rung();
        rung.places.push(place);
        if let Some(task) = &rung.task {
            task.wake_by_ref();
        }
    }

    fn rung(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.bells.ring(self.place);
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
        let bells = Arc::new(Bells::default());
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let (three, five) = (bells.bell(3), bells.bell(5));
        three.wake_by_ref();
        let mut heard = Vec::new();
        bells.heard(&waker, &mut heard);
        assert_eq!(heard, [3]);
        five.wake();
        bells.ring(7);
        assert_eq!(task.0.load(Ordering::Relaxed), 2);
        heard.clear();
        bells.heard(&waker, &mut heard);
        assert_eq!(heard, [5, 7]);
        heard.clear();
        bells.heard(&waker, &mut heard);
        assert!(heard.is_empty());
    }
}

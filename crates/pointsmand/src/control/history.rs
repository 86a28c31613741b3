//! What was told lately, with numbers, so that a reader that lost its connection goes on where it was.
//!
//! Invariants: a reader holds a place and no events, so that slow ones cost nothing; what is kept is bounded in number,
//! and in time once nobody reads. A number belongs to a run of collecting: whoever comes with another run's is told that
//! it cannot go on there, and who was too slow, how much it missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// Events that are kept: so far a slow reader may lag behind.
const KEPT: usize = 1024;
/// How long is collected for readers that may come back.
const LINGER: Duration = Duration::from_secs(60);

/// Where events come from.
pub(super) trait Feed<T>: Send + 'static {
    /// The next one.
    fn next(&mut self) -> impl Future<Output = Result<T, RecvError>> + Send;
}

/// The events of lately.
#[derive(Debug)]
pub(super) struct History<T> {
    state: Mutex<State<T>>,
    /// The number of the next event.
    next: watch::Sender<u64>,
}

#[derive(Debug)]
struct State<T> {
    /// Since when is collected, in milliseconds since 1970; no two are the same.
    run: u64,
    collecting: bool,
    readers: usize,
    /// When the last reader left.
    left: Instant,
    /// The number of the next event, from 1.
    next: u64,
    /// The last ones before that.
    kept: VecDeque<Delivery<T>>,
}

/// What a reader is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Delivery<T> {
    /// An event.
    News(T),
    /// So many are lost.
    Missed(u64),
    /// It cannot go on where it was: nobody knows what it missed.
    Reset,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                run: 0,
                collecting: false,
                readers: 0,
                left: Instant::now(),
                next: 1,
                kept: VecDeque::new(),
            }),
            next: watch::Sender::new(1),
        }
    }
}

impl<T: Clone + Send + 'static> History<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader from now on, or from behind the event of the id `last`; and whether somebody has to [`collect`] for it,
    /// as a run that begins at `now`.
    ///
    /// [`collect`]: Self::collect
    pub(super) fn read(self: &Arc<Self>, last: Option<&str>, now: u64) -> (Reader<T>, bool) {
        let mut state = self.state();
        let begins = !state.collecting;
        if begins {
            state.run = now.max(state.run + 1);
            state.collecting = true;
            state.next = 1;
            state.kept.clear();
            self.next.send_replace(1);
        }
        state.readers += 1;
        let known = last.and_then(|id| {
            let (run, number) = id.split_once('-')?;
            let number: u64 = number.parse().ok()?;
            (run.parse() == Ok(state.run) && number < state.next).then_some(number)
        });
        let reader = Reader {
            run: state.run,
            at: known.map_or(state.next, |number| number + 1),
            reset: last.is_some() && known.is_none(),
            next: self.next.subscribe(),
            history: Arc::clone(self),
        };
        (reader, begins)
    }

    /// Collects until nobody has read for a while.
    pub(super) async fn collect(self: Arc<Self>, mut feed: impl Feed<T>) {
        loop {
            let told = match timeout(LINGER / 4, feed.next()).await {
                Ok(Ok(news)) => Some(Delivery::News(news)),
                Ok(Err(RecvError::Lagged(missed))) => Some(Delivery::Missed(missed)),
                Ok(Err(RecvError::Closed)) => return,
                Err(_quiet) => None,
            };
            if !self.push(told) {
                return;
            }
        }
    }

    /// Keeps an event; `false` where nobody has read for a while, and nothing is kept any more.
    fn push(&self, told: Option<Delivery<T>>) -> bool {
        let mut state = self.state();
        if state.readers == 0 && state.left.elapsed() >= LINGER {
            state.collecting = false;
            state.kept = VecDeque::new();
            return false;
        }
        if let Some(told) = told {
            if state.kept.len() == KEPT {
                state.kept.pop_front();
            }
            state.kept.push_back(told);
            state.next += 1;
            self.next.send_replace(state.next);
        }
        true
    }
}

/// One who reads.
#[derive(Debug)]
pub(super) struct Reader<T: Clone + Send + 'static> {
    history: Arc<History<T>>,
    run: u64,
    /// The number that it reads next.
    at: u64,
    reset: bool,
    next: watch::Receiver<u64>,
}

impl<T: Clone + Send + 'static> Reader<T> {
    /// By which it goes on behind what it has read so far.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.run, self.at - 1)
    }

    /// What comes next; dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Delivery<T> {
        if std::mem::take(&mut self.reset) {
            return Delivery::Reset;
        }
        loop {
            if let Some(told) = self.there() {
                return told;
            }
            let at = self.at;
            if self.next.wait_for(|next| *next > at).await.is_err() {
                // The sender lives as long as the history, which we hold.
                std::future::pending::<()>().await;
            }
        }
    }

    fn there(&mut self) -> Option<Delivery<T>> {
        let state = self.history.state();
        let oldest = state.next - state.kept.len() as u64;
        let missed = oldest.saturating_sub(self.at);
        if missed > 0 {
            self.at = oldest;
            return Some(Delivery::Missed(missed));
        }
        let index = usize::try_from(self.at - oldest).ok()?;
        let told = state.kept.get(index)?.clone();
        self.at += 1;
        Some(told)
    }
}

impl<T: Clone + Send + 'static> Drop for Reader<T> {
    fn drop(&mut self) {
        let mut state = self.history.state();
        state.readers -= 1;
        state.left = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reader: &mut Reader<u64>) -> Vec<Delivery<u64>> {
        let mut all = Vec::new();
        if std::mem::take(&mut reader.reset) {
            all.push(Delivery::Reset);
        }
        all.extend(std::iter::from_fn(|| reader.there()));
        all
    }

    #[tokio::test(start_paused = true)]
    async fn readers_go_on_where_they_were() {
        let history = Arc::new(History::default());
        let push = |number| history.push(Some(Delivery::News(number)));
        let (mut reader, begins) = history.read(None, 1000);
        assert!(begins);
        assert!(push(1) && push(2));
        assert_eq!(reader.next().await, Delivery::News(1));
        let id = reader.id();
        assert_eq!(id, "1000-1");
        drop(reader);
        assert!(push(3));
        let (mut again, begins) = history.read(Some(&id), 2000);
        assert!(!begins);
        assert_eq!(told(&mut again), [Delivery::News(2), Delivery::News(3)]);
        // Ids of another run, of the future, of nothing.
        for id in ["999-1", "1000-9", "x", "", "1000-", "-1"] {
            let (mut reader, _) = history.read(Some(id), 2000);
            assert_eq!(told(&mut reader), [Delivery::Reset], "{id}");
        }
        // Too slow: how much was missed, and then what is kept.
        for number in 4..=KEPT as u64 + 5 {
            assert!(push(number));
        }
        let missed = told(&mut again);
        assert_eq!((&missed[0], missed.len()), (&Delivery::Missed(2), KEPT + 1));
        assert_eq!(missed[1], Delivery::News(6));
        // Nobody reads for a while: nothing is kept, and its ids are of another run.
        let id = again.id();
        drop(again);
        tokio::time::advance(LINGER).await;
        assert!(!push(7));
        assert!(history.state().kept.is_empty());
        let (mut late, begins) = history.read(Some(&id), 1000);
        assert!(begins);
        assert_eq!(told(&mut late), [Delivery::Reset]);
        assert_eq!(late.id(), "1001-0");
    }
}

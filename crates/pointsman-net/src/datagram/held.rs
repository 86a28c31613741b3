//! Datagrams that wait while their flow is decided, and the guest that they are to whoever decides.
//!
//! Invariant: no more are held than the limits allow; the rest is dropped, as on any way that is full.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_policy::fact::{Fact, Look};
use pointsman_spec::limits::SniffLimits;
use tokio::sync::Notify;

use crate::guest::{Gone, Guest};

/// Datagrams of one flow.
const MOST: usize = 4;
/// Bytes of all flows together.
const ALL: usize = 4 << 20;

/// How many bytes are held for all flows.
#[derive(Debug, Default)]
pub(crate) struct Holding(AtomicUsize);

/// The first datagrams of a flow.
#[derive(Debug)]
pub(super) struct Held {
    state: Mutex<State>,
    changed: Notify,
    most: usize,
    holding: Arc<Holding>,
}

#[derive(Debug, Default)]
struct State {
    datagrams: Vec<Box<[u8]>>,
    bytes: usize,
    gone: bool,
}

impl Held {
    pub(super) fn new(most: usize, holding: &Arc<Holding>) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            most,
            holding: Arc::clone(holding),
        }
    }

    /// One more; `false`: there is no room for it.
    pub(super) fn push(&self, datagram: &[u8]) -> bool {
        let mut state = self.state();
        let bytes = state.bytes + datagram.len();
        if state.datagrams.len() == MOST || bytes > self.most {
            return false;
        }
        let all = self.holding.0.fetch_add(datagram.len(), Ordering::Relaxed);
        if all + datagram.len() > ALL {
            self.holding.0.fetch_sub(datagram.len(), Ordering::Relaxed);
            return false;
        }
        state.datagrams.push(datagram.into());
        state.bytes = bytes;
        drop(state);
        self.changed.notify_one();
        true
    }

    /// The flow goes on: what was held goes first.
    pub(super) fn take(&self) -> Vec<Box<[u8]>> {
        let mut state = self.state();
        self.holding.0.fetch_sub(state.bytes, Ordering::Relaxed);
        state.bytes = 0;
        std::mem::take(&mut state.datagrams)
    }

    /// The client left.
    pub(super) fn leave(&self) {
        self.state().gone = true;
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.take();
    }
}

/// The client of a flow over UDP, as long as the flow is decided.
#[derive(Debug)]
pub(super) struct Sender(pub(super) Arc<Held>);

impl Guest for Sender {
    async fn look(&mut self, _: SniffLimits, _: u16) -> Result<Fact<Look>, Gone> {
        if self.0.state().gone {
            return Err(Gone);
        }
        Ok(Fact::Absent)
    }

    async fn gone(&self) {
        while !self.0.state().gone {
            self.0.changed.notified().await;
        }
        // Whoever else waits hears of it, too.
        self.0.changed.notify_one();
    }

    fn answered_early(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_held_than_fits_and_all_of_it_is_given_back() {
        let holding = Arc::new(Holding::default());
        let held = Held::new(10, &holding);
        assert!(held.push(b"12345"));
        assert!(!held.push(b"123456"), "more than ten bytes");
        assert!(held.push(b"1") && held.push(b"2") && held.push(b"3"));
        assert!(!held.push(b"4"), "a fifth datagram");
        assert_eq!(holding.0.load(Ordering::Relaxed), 8);
        let datagrams = held.take();
        assert_eq!(datagrams.concat(), b"12345123");
        assert_eq!(holding.0.load(Ordering::Relaxed), 0);
        assert!(held.push(b"again"));
        drop(held);
        assert_eq!(holding.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_all_flows_hold_has_a_bound() {
        let holding = Arc::new(Holding::default());
        let large = vec![0; ALL / 2];
        let of = || Held::new(usize::MAX, &holding);
        let (one, two, three) = (of(), of(), of());
        assert!(one.push(&large) && two.push(&large));
        assert!(!three.push(b"1"));
        drop(one);
        assert!(three.push(b"1"));
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_noticed_by_all_who_wait() {
        let holding = Arc::new(Holding::default());
        let held = Arc::new(Held::new(10, &holding));
        let guests = [Sender(Arc::clone(&held)), Sender(Arc::clone(&held))];
        let waiting = async { tokio::join!(guests[0].gone(), guests[1].gone()) };
        let leaving = async {
            tokio::task::yield_now().await;
            held.leave();
        };
        tokio::join!(waiting, leaving);
    }
}

//! Datagrams that wait while their flow is decided, and the guest that they are to whoever decides.
//!
//! Invariant: no more are held than the limits allow; the rest is dropped, as on any way that is full.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_policy::fact::{Fact, Look, Protocol};
use pointsman_spec::limits::SniffLimits;
use pointsman_wire::Parse;
use pointsman_wire::sniff::{FirstDatagrams, Glance};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::marks::Marks;
use super::quota::Seat;
use crate::facts;
use crate::guest::{Gone, Guest};
use crate::record::End;

/// Datagrams of one flow.
const MOST: usize = 4;

/// The first datagrams of a flow.
#[derive(Debug)]
pub(super) struct HoldQueue {
    state: Mutex<State>,
    changed: Notify,
    most: usize,
    seat: Arc<Seat>,
}

#[derive(Debug, Default)]
struct State {
    datagrams: Vec<(Box<[u8]>, Marks)>,
    bytes: usize,
    /// What ended the flow.
    gone: Option<End>,
}

impl HoldQueue {
    pub(super) fn new(most: usize, seat: &Arc<Seat>) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            most,
            seat: Arc::clone(seat),
        }
    }

    /// One more; `false`: there is no room for it.
    pub(super) fn push(&self, datagram: &[u8], marks: Marks) -> bool {
        let mut state = self.state();
        let bytes = state.bytes + datagram.len();
        // The first is all that there is of most flows, and no longer than a datagram may be.
        let fits = bytes <= self.most || state.datagrams.is_empty();
        if state.datagrams.len() == MOST || !fits {
            return false;
        }
        if !self.seat.hold(datagram.len()) {
            return false;
        }
        state.datagrams.push((datagram.into(), marks));
        state.bytes = bytes;
        drop(state);
        self.changed.notify_one();
        true
    }

    /// The flow goes on: what was held goes first.
    pub(super) fn take(&self) -> Vec<(Box<[u8]>, Marks)> {
        let mut state = self.state();
        self.seat.let_go(state.bytes);
        state.bytes = 0;
        std::mem::take(&mut state.datagrams)
    }

    /// Looks at those that were not seen before; `None`: more have to be waited for.
    fn look(&self, first: &mut FirstDatagrams, seen: &mut usize) -> Option<Option<Glance>> {
        let state = self.state();
        let unseen = state.datagrams.get(*seen..).unwrap_or_default();
        *seen = state.datagrams.len();
        for (datagram, _) in unseen {
            match first.push(datagram) {
                Parse::Done(glance, _) => return Some(Some(glance)),
                Parse::Not(_) => return Some(None),
                Parse::NeedMore => {}
            }
        }
        None
    }

    /// What the first datagram is by its header: for whoever asks for nothing else, no key is made.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        let state = self.state();
        let (first, _) = state.datagrams.first()?;
        facts::header_of(first)
    }

    /// The flow ends, whatever is decided on it.
    pub(super) fn end(&self, end: End) {
        self.state().gone = Some(end);
        self.changed.notify_one();
    }

    /// What ended the flow; nobody is left where nothing did.
    pub(super) fn ended(&self) -> End {
        self.state().gone.clone().unwrap_or(End::ClientGone)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HoldQueue {
    fn drop(&mut self) {
        self.take();
    }
}

/// The client of a flow over UDP, as long as the flow is decided.
#[derive(Debug)]
pub(super) struct Sender(pub(super) Arc<HoldQueue>);

impl Guest for Sender {
    /// Waits for more where the first tells that more have to come (a hello of QUIC), and for nothing else.
    async fn look(&mut self, limits: SniffLimits, _: u16) -> Result<Fact<Look>, Gone> {
        let deadline = Instant::now() + limits.timeout;
        let mut first = FirstDatagrams::default();
        let mut seen = 0;
        loop {
            if self.0.state().gone.is_some() {
                return Err(Gone);
            }
            if let Some(told) = self.0.look(&mut first, &mut seen) {
                return Ok(facts::told_in(told));
            }
            if timeout_at(deadline, self.0.changed.notified())
                .await
                .is_err()
            {
                return Ok(facts::told_in(first.so_far()));
            }
        }
    }

    async fn gone(&self) {
        while self.0.state().gone.is_none() {
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
    use std::task::Waker;

    use pointsman_spec::limits::DatagramLimits;

    use super::super::quota::{FlowQuota, Owner};
    use super::*;

    fn seat(room: &Arc<FlowQuota>, client: [u8; 4]) -> Arc<Seat> {
        let limits = DatagramLimits::default();
        let owner = Owner::Client(client.into());
        room.join(owner, Waker::noop().clone(), &limits).unwrap()
    }

    #[test]
    fn no_more_is_held_than_fits_and_all_of_it_is_given_back() {
        let room = Arc::<FlowQuota>::default();
        let held = HoldQueue::new(10, &seat(&room, [192, 0, 2, 1]));
        assert!(held.push(b"12345", Marks::default()));
        assert!(
            !held.push(b"123456", Marks::default()),
            "more than ten bytes"
        );
        assert!(
            held.push(b"1", Marks::default())
                && held.push(b"2", Marks::default())
                && held.push(b"3", Marks::default())
        );
        assert!(!held.push(b"4", Marks::default()), "a fifth datagram");
        assert_eq!(room.held(), 8);
        let datagrams = held.take();
        let bytes: Vec<_> = datagrams
            .iter()
            .flat_map(|(bytes, _)| bytes.to_vec())
            .collect();
        assert_eq!(bytes, b"12345123");
        assert_eq!(room.held(), 0);
        assert!(held.push(b"the first, however long it is", Marks::default()));
        drop(held);
        assert_eq!(room.held(), 0);
    }

    #[test]
    fn what_all_flows_hold_has_a_bound() {
        let room = Arc::<FlowQuota>::default();
        let large = vec![0; 64 << 10];
        // As many clients as it takes.
        let all: Vec<_> = (0..=255)
            .map(|last| HoldQueue::new(usize::MAX, &seat(&room, [192, 0, 2, last])))
            .collect();
        let fitted = all
            .iter()
            .filter(|held| held.push(&large, Marks::default()))
            .count();
        assert!((60..=64).contains(&fitted), "{fitted}");
        drop(all);
        assert_eq!(room.held(), 0);
        let held = HoldQueue::new(usize::MAX, &seat(&room, [192, 0, 2, 1]));
        assert!(held.push(&large, Marks::default()));
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_noticed_by_all_who_wait() {
        let room = Arc::<FlowQuota>::default();
        let held = Arc::new(HoldQueue::new(10, &seat(&room, [192, 0, 2, 1])));
        let guests = [Sender(Arc::clone(&held)), Sender(Arc::clone(&held))];
        let waiting = async { tokio::join!(guests[0].gone(), guests[1].gone()) };
        let leaving = async {
            tokio::task::yield_now().await;
            held.end(End::ClientGone);
        };
        tokio::join!(waiting, leaving);
    }
}

//! Connections whose request is not whole yet: the oldest makes room for the newest.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Connections at once whose request is not whole yet. Each may hold a body, of the size that `door` allows.
const WAITING: usize = 64;

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) lobby: Arc<Lobby>,
    /// It has to make room, unless it is inside by now.
    pub(super) displaced: Notify,
    /// Its request was whole before it had to: written under the lobby's lock.
    inside: AtomicBool,
    /// It follows a stream, and may be slow.
    follows: AtomicBool,
    /// That of its request, as long as the answer is not read.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Client {
    pub(super) fn follows(&self) -> bool {
        self.follows.load(Ordering::Relaxed)
    }

    /// Its request has a place, and keeps it until the answer is read.
    pub(super) fn take(&self, place: OwnedSemaphorePermit, follows: bool) {
        self.follows.store(follows, Ordering::Relaxed);
        let mut kept = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(place);
    }
}

/// Connections whose request is not whole yet, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Lobby(Mutex<VecDeque<Arc<Client>>>);

impl Lobby {
    pub(super) fn waiting(&self) -> MutexGuard<'_, VecDeque<Arc<Client>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another one comes in; the oldest has to go where there are too many.
    pub(super) fn enter(self: &Arc<Self>) -> Arc<Client> {
        let client = Arc::new(Client {
            lobby: Arc::clone(self),
            ..Client::default()
        });
        let mut waiting = self.waiting();
        waiting.push_back(Arc::clone(&client));
        if waiting.len() > WAITING
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.displaced.notify_one();
        }
        client
    }

    /// It waits no longer.
    pub(super) fn leave(&self, client: &Arc<Client>) {
        self.waiting().retain(|other| !Arc::ptr_eq(other, client));
    }

    /// Its request is whole: it has to make room for nobody any more.
    pub(super) fn admit(&self, client: &Arc<Client>) {
        let mut waiting = self.waiting();
        waiting.retain(|other| !Arc::ptr_eq(other, client));
        client.inside.store(true, Ordering::Relaxed);
    }

    /// Whether its request is being answered.
    pub(super) fn is_inside(&self, client: &Client) -> bool {
        let _waiting = self.waiting();
        client.inside.load(Ordering::Relaxed)
    }

    /// The oldest has to go.
    pub(super) fn make_room(&self) {
        if let Some(oldest) = self.waiting().pop_front() {
            oldest.displaced.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_those_who_wait_makes_room() {
        let lobby = Arc::new(Lobby::default());
        let clients: Vec<_> = (0..WAITING + 2).map(|_| lobby.enter()).collect();
        let waits = |client: &Arc<Client>| lobby.waiting().iter().any(|it| Arc::ptr_eq(it, client));
        assert!(!waits(&clients[0]) && !waits(&clients[1]) && waits(&clients[2]));
        lobby.make_room();
        assert!(!waits(&clients[2]) && waits(&clients[3]));
        lobby.leave(&clients[4]);
        assert_eq!(lobby.waiting().len(), WAITING - 2);
    }
}

//! How many sockets questions to name servers may have at once: in all, and by the look-ups of one client.
//!
//! Invariants: whoever waits is served in order; a client takes at most half, however many names it has looked up, several of
//! them less than all, and what one waits for keeps nobody else. A question that another one stands on, to find its way to a server, waits for
//! nothing: it would wait for that one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pointsman_os::descriptors;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// That part of the descriptors of flows: each name that is looked up is of a flow that has one or more itself.
const OF_DESCRIPTORS: usize = 4;
/// Where nobody said how many descriptors there may be.
const USUALLY: usize = 4096;
/// Some names at least, whatever there is.
const LEAST: usize = 16;
/// A client has one of so many parts for itself ...
const PARTS: usize = 8;
/// ... and so many are shared: with all of them it has half, and it takes five clients to take all there are.
const SHARED: usize = 3;
/// There are no more ports to ask from.
const MOST: usize = 1 << 16;

/// The sockets of all questions.
#[derive(Debug)]
pub(super) struct Sockets {
    all: Arc<Semaphore>,
    most: usize,
    /// For clients that need more than their own, whoever comes first.
    shared: Arc<Semaphore>,
    clients: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// What a question may have: a socket for each of its servers, and more where there is plenty.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    sockets: &'a Sockets,
    /// None, where it is not counted.
    _taken: Option<OwnedSemaphorePermit>,
}

/// One socket more.
pub(super) type More = OwnedSemaphorePermit;

/// A client's look-up, as long as it is there.
pub(super) type Place = OwnedSemaphorePermit;

impl Default for Sockets {
    fn default() -> Self {
        let most = descriptors::of_flows().map_or(USUALLY, |all| all / OF_DESCRIPTORS);
        Self::new(most.clamp(LEAST, MOST))
    }
}

impl Sockets {
    pub(super) fn new(most: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most)),
            most,
            shared: Arc::new(Semaphore::new(most / PARTS * SHARED)),
            clients: Mutex::default(),
        }
    }

    /// A look-up of that client begins, by questions that take so many sockets.
    ///
    /// # Errors
    /// Its other look-ups left no room until then.
    pub(super) async fn enter(
        &self,
        client: IpAddr,
        sockets: usize,
        until: Instant,
    ) -> Result<Place, &'static str> {
        let own = self.client(client);
        let count = number(sockets, self.of_client());
        let place = async {
            tokio::select! {
                biased;
                place = own.acquire_many_owned(count) => place,
                place = Arc::clone(&self.shared).acquire_many_owned(count) => place,
            }
        };
        match timeout_at(until, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err("too many look-ups of the same client are under way"),
        }
    }

    /// A question begins that asks so many servers.
    ///
    /// # Errors
    /// There was no room until then.
    pub(super) async fn seat(
        &self,
        servers: usize,
        until: Instant,
    ) -> Result<Seat<'_>, &'static str> {
        let taken = Arc::clone(&self.all).acquire_many_owned(number(servers, self.most));
        match timeout_at(until, taken).await {
            Ok(Ok(taken)) => Ok(Seat {
                sockets: self,
                _taken: Some(taken),
            }),
            _ => Err("too many look-ups are under way"),
        }
    }

    /// A question begins that another one stands on. There are no more such than servers of proxies.
    pub(super) fn within_another(&self) -> Seat<'_> {
        Seat {
            sockets: self,
            _taken: None,
        }
    }

    /// How many questions may go on for nobody: not so many that they are in anybody's way.
    pub(super) fn late(&self) -> usize {
        self.most / 4
    }

    /// Each client's own, whatever others take.
    fn of_client(&self) -> usize {
        self.most / PARTS
    }

    fn client(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut table = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.get(&client).and_then(Weak::upgrade) {
            return known;
        }
        if table.len() == table.capacity() {
            table.retain(|_, own| own.strong_count() > 0);
        }
        let own = Arc::new(Semaphore::new(self.of_client()));
        table.insert(client, Arc::downgrade(&own));
        own
    }
}

impl Seat<'_> {
    /// Whether another question stands on the one that has it.
    pub(super) fn is_within_another(&self) -> bool {
        self._taken.is_none()
    }

    /// A socket more than one for each server, where half of all are free: what is sent again is worth less than what
    /// somebody else asks.
    pub(super) fn more(&self) -> Option<More> {
        let Sockets { all, most, .. } = self.sockets;
        let is_plenty = all.available_permits() > most / 2;
        let more = is_plenty.then(|| Arc::clone(all).try_acquire_owned());
        more?.ok()
    }
}

fn number(sockets: usize, most: usize) -> u32 {
    u32::try_from(sockets.clamp(1, most)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

//! Who may wait for answers, by client and in all.
//!
//! Invariants: what was taken is given back, whatever ends the wait; senders who may be forged, and were never answered,
//! leave most places to those who were.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_spec::dns::DnsLimits;
use quick_cache::sync::Cache;

/// That part of all places is for clients who may be forged: nobody of them was answered before.
const OF_STRANGERS: usize = 4;

/// Clients that are remembered as answered; those that ask again and again stay.
const KNOWN: usize = 16_384;

/// Queries that wait for answers.
#[derive(Debug)]
pub(crate) struct Waits {
    table: Mutex<Table>,
    /// Clients by datagram that were answered.
    known: Cache<IpAddr, ()>,
}

#[derive(Debug, Default)]
struct Table {
    all: usize,
    /// Of clients who may be forged.
    strangers: usize,
    /// Of those who have any.
    by_client: HashMap<IpAddr, usize>,
}

/// Whether a client is who it seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// It is connected, or of this host.
    Sure,
    /// Anybody may have written its address.
    Claimed,
}

/// The place of a query that waits.
#[derive(Debug)]
pub(super) struct WaitPlace {
    waits: Arc<Waits>,
    client: IpAddr,
    sender: Sender,
    is_stranger: bool,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            table: Mutex::default(),
            known: Cache::new(KNOWN),
        }
    }
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The client has as many as it may have.
    Client,
}

impl Full {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "too many queries wait for answers",
            Self::Client => "too many of your queries wait for answers",
        }
    }
}

impl Waits {
    /// A place for a query of a client, as it is counted ([`crate::ends::counted`]).
    pub(super) fn place(
        self: &Arc<Self>,
        (client, sender): (IpAddr, Sender),
        limits: &DnsLimits,
    ) -> Result<WaitPlace, Full> {
        let is_stranger = sender == Sender::Claimed && self.known.get(&client).is_none();
        let mut table = self.table();
        let of_strangers = limits.waiting.div_ceil(OF_STRANGERS);
        if table.all >= limits.waiting || is_stranger && table.strangers >= of_strangers {
            return Err(Full::All);
        }
        let own = table.by_client.entry(client).or_default();
        if *own >= limits.client_waiting {
            return Err(Full::Client);
        }
        *own += 1;
        table.all += 1;
        table.strangers += usize::from(is_stranger);
        drop(table);
        Ok(WaitPlace {
            waits: Arc::clone(self),
            client,
            sender,
            is_stranger,
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitPlace {
    /// The client is answered.
    pub(super) fn answered(&self) {
        if self.sender == Sender::Claimed {
            self.waits.known.insert(self.client, ());
        }
    }
}

impl Drop for WaitPlace {
    fn drop(&mut self) {
        let mut table = self.waits.table();
        table.all -= 1;
        table.strangers -= usize::from(self.is_stranger);
        if let Some(own) = table.by_client.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                table.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_leaves_places_for_others_and_gives_its_own_back() {
        let waits = Arc::<Waits>::default();
        let limits = DnsLimits {
            waiting: 3,
            client_waiting: 2,
            ..DnsLimits::default()
        };
        let client = |last| (IpAddr::from([192, 0, 2, last]), Sender::Sure);
        let taken: Vec<_> = (0..2).map(|_| waits.place(client(1), &limits)).collect();
        assert!(taken.iter().all(Result::is_ok));
        assert_eq!(waits.place(client(1), &limits).err(), Some(Full::Client));
        let other = waits.place(client(2), &limits);
        assert!(other.is_ok());
        assert_eq!(waits.place(client(3), &limits).err(), Some(Full::All));
        drop((taken, other));
        assert!(waits.table().by_client.is_empty());
        assert_eq!(waits.table().all, 0);
    }

    #[test]
    fn forged_senders_leave_places_for_clients_that_were_answered() {
        let waits = Arc::<Waits>::default();
        let limits = DnsLimits {
            waiting: 8,
            ..DnsLimits::default()
        };
        let client = |last| (IpAddr::from([192, 0, 2, last]), Sender::Claimed);
        let regular = waits.place(client(1), &limits);
        regular.as_ref().unwrap().answered();
        drop(regular);
        let flood: Vec<_> = (10..200).map(|n| waits.place(client(n), &limits)).collect();
        assert_eq!(flood.iter().filter(|it| it.is_ok()).count(), 2);
        let regular: Vec<_> = (0..6).map(|_| waits.place(client(1), &limits)).collect();
        assert!(regular.iter().all(Result::is_ok));
        assert_eq!(waits.place(client(1), &limits).err(), Some(Full::All));
        drop(regular);
        // A connection is nobody else's.
        let sure = (client(3).0, Sender::Sure);
        assert!(waits.place(sure, &limits).is_ok());
        drop(flood);
        let table = waits.table();
        assert_eq!((table.all, table.strangers), (0, 0));
    }
}

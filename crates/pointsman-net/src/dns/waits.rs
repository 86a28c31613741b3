//! Who may wait for answers, by client and in all.
//!
//! Invariant: what was taken is given back, whatever ends the wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_spec::dns::DnsLimits;

/// Queries that wait for answers.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    all: usize,
    /// Of those who have any.
    by_client: HashMap<IpAddr, usize>,
}

/// The place of a query that waits.
#[derive(Debug)]
pub(super) struct WaitPlace {
    waits: Arc<Waits>,
    client: IpAddr,
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
        client: IpAddr,
        limits: &DnsLimits,
    ) -> Result<WaitPlace, Full> {
        let mut table = self.table();
        if table.all >= limits.waiting {
            return Err(Full::All);
        }
        let own = table.by_client.entry(client).or_default();
        if *own >= limits.client_waiting {
            return Err(Full::Client);
        }
        *own += 1;
        table.all += 1;
        drop(table);
        Ok(WaitPlace {
            waits: Arc::clone(self),
            client,
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitPlace {
    fn drop(&mut self) {
        let mut table = self.waits.table();
        table.all -= 1;
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
        let client = |last| IpAddr::from([192, 0, 2, last]);
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
}

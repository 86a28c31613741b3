//! How many flows over UDP there may be, in all and of one client.
//!
//! Invariant: a place that was taken is given back with its [`Place`], however the flow ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_policy::refused::{Refused, Refuser};
use pointsman_spec::limits::DatagramLimits;

/// The places of all flows over UDP.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// A flow's place.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    client: IpAddr,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// `udp.flows` are there.
    All,
    /// `udp.flows_by_client` of that client are there.
    Client,
}

impl Full {
    pub(super) fn why(self, limits: &DatagramLimits) -> Refused {
        let (key, most) = match self {
            Self::All => ("udp.flows", limits.flows),
            Self::Client => ("udp.flows_by_client", limits.flows_by_client),
        };
        Refused::new(Refuser::FlowLimit, format_args!("`{key}` is {most}"))
    }
}

impl Room {
    /// A place for one more flow of that client.
    ///
    /// # Errors
    /// [`Full`].
    pub(super) fn enter(
        self: &Arc<Self>,
        client: IpAddr,
        limits: &DatagramLimits,
    ) -> Result<Place, Full> {
        let mut taken = self.taken();
        let of_client = taken.by_client.get(&client).copied().unwrap_or(0);
        if of_client >= limits.flows_by_client {
            return Err(Full::Client);
        }
        if taken.all >= limits.flows {
            return Err(Full::All);
        }
        taken.all += 1;
        taken.by_client.insert(client, of_client + 1);
        Ok(Place {
            room: Arc::clone(self),
            client,
        })
    }

    /// Places that are taken, and clients that have some.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        let taken = self.taken();
        (taken.all, taken.by_client.len())
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.all -= 1;
        if let Some(count) = taken.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_and_all_have_theirs() {
        let room = Arc::new(Room::default());
        let limits = DatagramLimits {
            flows: 3,
            flows_by_client: 2,
            ..DatagramLimits::default()
        };
        let client = |last| IpAddr::from([192, 0, 2, last]);
        let mut places = vec![
            room.enter(client(1), &limits).unwrap(),
            room.enter(client(1), &limits).unwrap(),
        ];
        assert_eq!(room.enter(client(1), &limits).err(), Some(Full::Client));
        places.push(room.enter(client(2), &limits).unwrap());
        assert_eq!(room.enter(client(3), &limits).err(), Some(Full::All));
        assert_eq!(
            Full::All.why(&limits).to_string(),
            "limit: `udp.flows` is 3",
            "what is to be changed is named"
        );
        places.remove(0);
        assert!(room.enter(client(3), &limits).is_ok());
        drop(places);
        assert_eq!(room.count(), (0, 0));
    }
}

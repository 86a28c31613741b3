//! How many flows over UDP there may be, in all and of one client, and who gives way where all places are taken.
//!
//! Invariants: a place that was taken is given back with its [`Place`], however the flow ends; who has more than another
//! takes nothing from it, and whoever has less takes a place from who has most, in whatever relay that flow is.

mod shares;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use pointsman_policy::refused::{Refused, Refuser};
use pointsman_spec::limits::DatagramLimits;

pub(super) use self::shares::Owner;
use self::shares::{Number, Shares};

/// The places of all flows over UDP.
#[derive(Debug, Default)]
pub(crate) struct Room(Mutex<Shares>);

/// A relay, as far as its flows take places. The relay and each of the places have it.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    owner: Owner,
    number: Number,
    /// Flows that it is to end: their places are others' already.
    owed: Arc<AtomicUsize>,
}

/// A flow's place.
#[derive(Debug)]
pub(super) struct Place {
    seat: Arc<Seat>,
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
    /// A relay begins, whose flows are `owner`'s; the bell rings where it is to end some of them ([`Seat::owes`]).
    pub(super) fn join(self: &Arc<Self>, owner: Owner, bell: Waker) -> Arc<Seat> {
        let (number, owed) = self.shares().join(owner, bell);
        Arc::new(Seat {
            room: Arc::clone(self),
            owner,
            number,
            owed,
        })
    }

    /// Places that are taken, and those whose flows they are.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        self.shares().count()
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A place for one more flow of that client, as it is counted ([`counted`]).
    ///
    /// # Errors
    /// [`Full`]: all are taken, and nobody has so many more that it has to give way.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: IpAddr,
        limits: &DatagramLimits,
    ) -> Result<Place, Full> {
        let asked = self.room.shares().enter(self.number, client, limits)?;
        if let Some(bell) = asked {
            bell.wake();
        }
        Ok(Place {
            seat: Arc::clone(self),
            client,
        })
    }

    /// Why a flow of this relay is to end whose place is another's already; `None`: none is.
    pub(super) fn owes(&self) -> Option<Full> {
        if self.owed.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.room.shares().owes(self.number)
    }

    /// Whether those who send there have each no more than an address that may be forged.
    pub(super) fn is_forward(&self) -> bool {
        matches!(self.owner, Owner::Forward(_))
    }

    /// Looks how many flows clients have here.
    pub(super) fn with_counts<T>(&self, look: impl FnOnce(&dyn Fn(IpAddr) -> usize) -> T) -> T {
        let shares = self.room.shares();
        look(&|client| shares.of(self.owner, client))
    }
}

impl Place {
    /// Whose it is, as that is counted.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let seat = &self.seat;
        seat.room.shares().give_back(seat.number, self.client);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.shares().leave(self.number);
    }
}

/// By what a client is counted that talks to an address of this host: a host gets a /64 of IPv6, and may take any address
/// in it. Those of the same link share one, and are told apart, as are programs of this host.
pub(super) fn counted(client: IpAddr, here: IpAddr) -> IpAddr {
    let IpAddr::V6(address) = client.to_canonical() else {
        return client.to_canonical();
    };
    let network = |address: Ipv6Addr| u128::from(address) >> 64;
    let is_near = matches!(here, IpAddr::V6(here) if network(here) == network(address));
    if is_near || address.is_loopback() || address.is_unicast_link_local() {
        return address.into();
    }
    Ipv6Addr::from(network(address) << 64).into()
}

#[cfg(test)]
mod tests;

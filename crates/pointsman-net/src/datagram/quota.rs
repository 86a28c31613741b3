//! How many flows over UDP there may be, in all and of one client, and who gives way where all places are taken.
//!
//! Invariants: a place that was taken is given back with its [`FlowPermit`], however the flow ends; who has more than another
//! takes nothing from it, and whoever has less takes a place from who has most, in whatever relay that flow is.

mod shares;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use pointsman_os::descriptors;
use pointsman_policy::refused::{Refused, Refuser};
use pointsman_spec::limits::DatagramLimits;

pub(super) use self::shares::Owner;
use self::shares::{Number, Shares};
use super::losses::{Loss, Losses};
use super::nat::Client;
pub(super) use crate::ends::counted;

/// That part of all flows may be of one forward and not answered: what a flood of forged senders fills. What answered
/// flows have is not for it; a flow is answered within the second or so that it takes a large flood to go once round.
const OF_UNANSWERED: usize = 4;
/// And so many of each relay: clients that come at once are no flood.
const LEAST_UNANSWERED: usize = 16;

/// The places of all flows over UDP.
#[derive(Debug)]
pub(crate) struct FlowQuota {
    shares: Mutex<Shares>,
    losses: Losses,
    /// Whether it was told that descriptors allow forwards fewer flows than the configuration.
    told: AtomicBool,
}

impl Default for FlowQuota {
    /// As many flows of forwards as descriptors allow: half of those that flows may have, for each has one, and
    /// connections need as many.
    fn default() -> Self {
        Self::new(descriptors::of_flows().map_or(usize::MAX, |all| (all / 2).max(1)))
    }
}

/// A relay, as far as its flows take places. The relay and each of the places have it.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<FlowQuota>,
    owner: Owner,
    number: Number,
    asked: Arc<EvictionRequest>,
}

/// What a relay is asked for.
#[derive(Debug, Default)]
struct EvictionRequest {
    /// Flows that it is to end: their places are others' already.
    owed: AtomicUsize,
    /// To end, if it has none.
    leave: AtomicBool,
}

/// What a way by servers takes besides the place of a flow.
#[derive(Debug)]
pub(super) struct WayPermit {
    seat: Arc<Seat>,
    /// It takes one of the places of ways that one flow has for itself.
    is_own: bool,
    /// Descriptors besides its socket: one for each server.
    servers: usize,
}

/// A flow's place.
#[derive(Debug)]
pub(super) struct FlowPermit {
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
    /// Forwards have as many flows as descriptors allow.
    Descriptors,
    /// Of a forward's flows too many were not answered, or are decided.
    Unanswered,
    /// That client has as many associations, and all of them have flows.
    Associations,
    /// Of all flows too many go to names by proxies.
    Names,
    /// Of that client's.
    NamesOfClient,
}

impl Full {
    /// As it is counted.
    pub(super) fn loss(self) -> Loss {
        match self {
            Self::All => Loss::Flows,
            Self::Client => Loss::FlowsByClient,
            Self::Descriptors => Loss::Descriptors,
            Self::Unanswered => Loss::Unanswered,
            Self::Associations => Loss::Associations,
            Self::Names | Self::NamesOfClient => Loss::Names,
        }
    }

    pub(super) fn why(self, limits: &DatagramLimits) -> Refused {
        if self == Self::Descriptors {
            let why = format_args!("all descriptors that are for forwards of UDP are taken");
            return Refused::new(Refuser::FlowLimit, why);
        }
        let (key, most) = match self {
            Self::All | Self::Names | Self::Unanswered => ("udp.flows", limits.flows),
            _ => ("udp.flows_by_client", limits.flows_by_client),
        };
        let more = match self {
            Self::All | Self::Client | Self::Descriptors => "",
            Self::Unanswered => ", of which a forward may have a quarter that nobody answered",
            Self::Associations => ", and the client has as many associations, all with flows",
            Self::Names | Self::NamesOfClient => ", of which an eighth may go to names by proxies",
        };
        Refused::new(Refuser::FlowLimit, format_args!("`{key}` is {most}{more}"))
    }
}

impl FlowQuota {
    /// `most_of_forwards`: so many flows forwards may have.
    fn new(most_of_forwards: usize) -> Self {
        Self {
            shares: Mutex::new(Shares::new(most_of_forwards)),
            losses: Losses::default(),
            told: AtomicBool::new(false),
        }
    }

    /// A relay begins, whose flows are `owner`'s; the waker is woken where it is to end some of them ([`Seat::owes`]), or to
    /// end by itself ([`Seat::is_to_leave`]).
    ///
    /// # Errors
    /// [`Full::Associations`].
    pub(super) fn join(
        self: &Arc<Self>,
        owner: Owner,
        waker: Waker,
        limits: &DatagramLimits,
    ) -> Result<Arc<Seat>, Full> {
        let most = self.shares().most_of_forwards();
        let is_less = matches!(owner, Owner::Forward(_)) && most < limits.flows;
        if is_less && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "forwards of UDP have {most} flows at most, and not the {} of `udp.flows`: each needs a descriptor, and half \
                 of those that flows may have are for connections; raise the limit of open files",
                limits.flows
            );
        }
        let joined = self.shares().join(owner.clone(), waker, limits);
        let (number, asked, who_leaves) =
            joined.inspect_err(|full| self.losses.add(full.loss(), 1))?;
        if let Some(waker) = who_leaves {
            waker.wake();
        }
        Ok(Arc::new(Seat {
            room: Arc::clone(self),
            owner,
            number,
            asked,
        }))
    }

    /// What was lost so far.
    pub(crate) fn lost(&self, loss: Loss) -> u64 {
        self.losses.count(loss)
    }

    /// How much is held of flows that are decided.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.shares().held()
    }

    /// Places that are taken, and those whose flows they are.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        self.shares().count()
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
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
    ) -> Result<FlowPermit, Full> {
        let asked = self.room.shares().enter(self.number, client, limits)?;
        if let Some(waker) = asked {
            waker.wake();
        }
        Ok(FlowPermit {
            seat: Arc::clone(self),
            client,
        })
    }

    /// Why a flow of this relay is to end whose place is another's already; `None`: none is.
    pub(super) fn owes(&self) -> Option<Full> {
        if self.asked.owed.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.room.shares().owes(self.number)
    }

    /// Whether it is to end where it has no flows, for another association.
    pub(super) fn is_to_leave(&self) -> bool {
        self.asked.leave.load(Ordering::Relaxed)
    }

    /// How many flows of this relay may be without an answer, where each of its senders may be forged. Its forward's
    /// relays share them equally: none is starved by a flood at another's address.
    pub(super) fn most_unanswered(&self, limits: &DatagramLimits) -> usize {
        if !self.is_forward() {
            return usize::MAX;
        }
        let shares = self.room.shares();
        let most = limits.flows.min(shares.most_of_forwards());
        let relays = shares.relays(&self.owner);
        (most / OF_UNANSWERED / relays.max(1)).max(LEAST_UNANSWERED)
    }

    /// Has the forward that has most end a flow, for there is no descriptor left.
    pub(super) fn take_descriptor(&self, limits: &DatagramLimits) {
        if let Ok(waker) = self.room.shares().take_descriptor(limits) {
            waker.wake();
        }
    }

    /// One more way by so many servers; `is_own`: a flow has it for itself.
    ///
    /// # Errors
    /// [`Full`]: there are too many of those.
    pub(super) fn way(
        self: &Arc<Self>,
        is_own: bool,
        servers: usize,
        limits: &DatagramLimits,
    ) -> Result<WayPermit, Full> {
        let mut shares = self.room.shares();
        if is_own {
            let own = shares.own_way(self.number, limits);
            own.inspect_err(|full| self.lost(full.loss(), 1))?;
        }
        shares.begin_servers(&self.owner, servers);
        drop(shares);
        Ok(WayPermit {
            seat: Arc::clone(self),
            is_own,
            servers,
        })
    }

    /// So many bytes of a datagram are held from now on; `false`: there is no room for them.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        let fits = self.room.shares().hold(self.number, bytes);
        if !fits {
            self.lost(Loss::Held, 1);
        }
        fits
    }

    /// So many are not any more.
    pub(super) fn let_go(&self, bytes: usize) {
        if bytes > 0 {
            self.room.shares().let_go(self.number, bytes);
        }
    }

    /// Something was lost.
    pub(super) fn lost(&self, loss: Loss, count: usize) {
        self.room.losses.add(loss, count);
    }

    /// A datagram was dropped whose sender the forward does not allow.
    pub(super) fn not_allowed(&self, sender: Client) {
        if let Owner::Forward(name) = &self.owner {
            self.room.losses.not_allowed(name, sender);
        }
    }

    /// A datagram was dropped that had no hop left.
    pub(super) fn no_hop(&self, sender: Client) {
        if let Owner::Forward(name) = &self.owner {
            self.room.losses.no_hop(name, sender);
        }
    }

    /// Whether those who send there have each no more than an address that may be forged.
    pub(super) fn is_forward(&self) -> bool {
        matches!(self.owner, Owner::Forward(_))
    }

    /// Looks how many flows clients have here.
    pub(super) fn with_counts<T>(&self, look: impl FnOnce(&dyn Fn(IpAddr) -> usize) -> T) -> T {
        let shares = self.room.shares();
        look(&|client| shares.of(&self.owner, client))
    }
}

impl FlowPermit {
    /// Whose it is, as that is counted.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }
}

impl Drop for FlowPermit {
    fn drop(&mut self) {
        let seat = &self.seat;
        seat.room.shares().give_back(seat.number, self.client);
    }
}

impl Drop for WayPermit {
    fn drop(&mut self) {
        let owner = &self.seat.owner;
        let mut shares = self.seat.room.shares();
        if self.is_own {
            shares.end_own_way(owner);
        }
        shares.end_servers(owner, self.servers);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.shares().relay_ended(self.number);
    }
}

#[cfg(test)]
mod tests;

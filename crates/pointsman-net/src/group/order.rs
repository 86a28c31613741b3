//! The members of a group that a connection may try, in their order.
//!
//! Absent: who failed, and is tried after the others ([`Failures`](super::failures::Failures)).

use std::cmp::Reverse;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use pointsman_spec::address::{Endpoint, Server};
use pointsman_spec::outbound::{Balance, Balancing, Carrier, Kind, Outbound};

/// A member of a group; it keeps its past over a reload as long as it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(super) name: Arc<str>,
    pub(super) address: Endpoint,
    /// The outbound that it is reached by, and the server of that: reached another way it has another past.
    pub(super) via: Option<(Arc<str>, Option<Server>)>,
}

impl Member {
    pub(crate) fn new(name: &Arc<str>, address: &Endpoint, via: Option<&Outbound>) -> Self {
        let server = |outbound: &Outbound| match &outbound.kind {
            Kind::Carry(Carrier::Upstream(it)) => Some(it.server.clone()),
            _ => None,
        };
        Self {
            name: Arc::clone(name),
            address: address.clone(),
            via: via.map(|outbound| (Arc::clone(&outbound.name), server(outbound))),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }
}

/// The members that a connection has yet to try, in their order.
#[derive(Debug)]
pub(crate) struct Untried {
    /// The order begins here, goes on to the last one, and around.
    first: usize,
    count: usize,
    /// The order, where it is another.
    order: Box<[usize]>,
    /// Those before the last one that was tried: most connections try one, and keep no list.
    gone: Vec<usize>,
    last: Option<usize>,
    pub(super) tries: usize,
}

impl Untried {
    /// Of those members; `turn` is whose turn it is.
    pub(crate) fn new(
        how: &Balancing,
        members: &[Member],
        turn: usize,
        client: Option<IpAddr>,
    ) -> Self {
        let all = members.len();
        let (first, count) = match how.balance {
            Balance::None => (0, all.min(1)),
            Balance::Failover | Balance::Source => (0, all),
            Balance::RoundRobin => (turn % all.max(1), all),
        };
        let most = how.retry.targets.map_or(count, NonZeroUsize::get);
        let tries = most.min(count);
        Self {
            first,
            count,
            order: match how.balance {
                Balance::Source => by_source(members, client),
                Balance::Failover | Balance::None | Balance::RoundRobin => Box::default(),
            },
            gone: Vec::new(),
            last: None,
            tries,
        }
    }

    pub(super) fn in_order(&self) -> impl Iterator<Item = usize> {
        let nth = |place: usize| (self.first + place) % self.count;
        (0..self.count)
            .map(move |place| self.order.get(place).copied().unwrap_or_else(|| nth(place)))
            .filter(|index| self.last != Some(*index) && !self.gone.contains(index))
    }

    pub(super) fn take(&mut self, index: usize) {
        self.gone.extend(self.last.replace(index));
    }

    /// Whether there is one to try.
    pub(crate) fn any(&self) -> bool {
        self.tries > 0
    }
}

/// The members in the order of that client (rendezvous hashing): each client has an order of its own, and where a member
/// goes, only its clients go elsewhere. Members are told apart by their names, which are the operator's to keep.
fn by_source(members: &[Member], client: Option<IpAddr>) -> Box<[usize]> {
    let octets = match client.map(|client| client.to_canonical()) {
        Some(IpAddr::V4(client)) => client.to_ipv6_mapped().octets(),
        Some(IpAddr::V6(client)) => client.octets(),
        None => [0; 16],
    };
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_cached_key(|index| {
        let name = members[*index].name.as_bytes();
        (Reverse(weight(&octets, name)), *index)
    });
    order.into()
}

/// How much a client is a member's: the same in each process and version, for several daemons may share clients. FNV-1a,
/// whose bits are then mixed as splitmix64 does.
fn weight(client: &[u8], name: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = name.iter().chain(client);
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325, step);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

//! Who has how many places, and from whom one is taken. No flow is known here: of a relay that is to end some of its flows
//! it is known how many.
//!
//! Invariants: all counts are of places as they are promised; where a flow's place was given to another, it is owed until
//! a flow of that relay ends, and what is owed has a bound. All costs grow with the logarithm of how many relays there are.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use pointsman_spec::limits::DatagramLimits;

use super::{EvictionRequest, Full};

/// The number of a relay.
pub(super) type Number = u64;

/// Whose flows they are, where all together are too many.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::datagram) enum Owner {
    /// A client's that connected: its address is its own.
    Client(IpAddr),
    /// Of all together who send to the forward of that name, wherever it listens: an address that a datagram comes from
    /// proves nothing.
    Forward(Arc<str>),
}

/// Flows that one relay may be asked at once to end: what begins meanwhile is so many more than the limits say.
const OWED: usize = 64;

/// Bytes of datagrams that wait while their flows are decided: a hundred flows that begin at once, each with a long hello,
/// are a tenth of it.
pub(super) const MOST_HELD: usize = 4 << 20;

/// Of all flows, and of a client's, that part may go to names by proxies.
const OF_NAMES: usize = 8;

/// Its number, what it is asked for, and the waker of another that is to end.
pub(super) type Joined = (Number, Arc<EvictionRequest>, Option<Waker>);

/// All who have places.
#[derive(Debug)]
pub(super) struct Shares {
    all: usize,
    /// Of all relays.
    owed: usize,
    parts: HashMap<Number, Part>,
    owners: HashMap<Owner, Share>,
    /// Those of `owners`, by how many places they have.
    most: BTreeSet<(usize, Owner)>,
    /// The forwards among them.
    forwards: BTreeSet<(usize, Owner)>,
    /// Descriptors of forwards: one for each flow, and for each server on its way.
    of_forwards: usize,
    /// The most of them.
    most_of_forwards: usize,
    /// Bytes of datagrams that wait.
    held: usize,
    own_ways: usize,
    next: Number,
}

/// What an owner has.
#[derive(Debug, Default)]
struct Share {
    flows: usize,
    held: usize,
    own_ways: usize,
    /// Of a forward: its clients' flows.
    senders: HashMap<IpAddr, usize>,
    /// Its relays, also those that count no more and have not left yet.
    relays: usize,
    /// Those that count, by how many places they have.
    parts: BTreeSet<(usize, Number)>,
}

/// What a relay has.
#[derive(Debug)]
struct Part {
    owner: Owner,
    flows: usize,
    held: usize,
    asked: Arc<EvictionRequest>,
    /// Why it was last asked to end one.
    full: Full,
    waker: Waker,
}

impl Shares {
    /// `most_of_forwards`: so many descriptors forwards may have.
    pub(super) fn new(most_of_forwards: usize) -> Self {
        Self {
            all: 0,
            owed: 0,
            parts: HashMap::new(),
            owners: HashMap::new(),
            most: BTreeSet::new(),
            forwards: BTreeSet::new(),
            of_forwards: 0,
            most_of_forwards,
            held: 0,
            own_ways: 0,
            next: 0,
        }
    }

    /// How many descriptors forwards may have.
    pub(super) fn most_of_forwards(&self) -> usize {
        self.most_of_forwards
    }

    /// One relay more; the waker of another that is to end for it, if it has no flows.
    pub(super) fn join(
        &mut self,
        owner: Owner,
        waker: Waker,
        limits: &DatagramLimits,
    ) -> Result<Joined, Full> {
        let share = self.owners.entry(owner.clone()).or_default();
        let mut who_leaves = None;
        if matches!(owner, Owner::Client(_)) && share.parts.len() >= limits.flows_by_client {
            // The one that came first.
            let empty = share
                .parts
                .first()
                .copied()
                .filter(|(flows, _)| *flows == 0);
            let empty = empty.ok_or(Full::Associations)?;
            if let Some(part) = self.parts.get(&empty.1) {
                part.asked.leave.store(true, Ordering::Relaxed);
                who_leaves = Some(part.waker.clone());
            }
            // It counts no more, unless a flow begins there first.
            share.parts.remove(&empty);
        }
        let number = self.next;
        self.next += 1;
        let asked = Arc::<EvictionRequest>::default();
        self.parts.insert(
            number,
            Part {
                owner: owner.clone(),
                flows: 0,
                held: 0,
                asked: Arc::clone(&asked),
                full: Full::All,
                waker,
            },
        );
        share.parts.insert((0, number));
        share.relays += 1;
        let flows = share.flows;
        self.rank(owner, flows);
        Ok((number, asked, who_leaves))
    }

    /// A relay ended, after all of its flows.
    pub(super) fn relay_ended(&mut self, number: Number) {
        let Some(part) = self.parts.remove(&number) else {
            return;
        };
        let Some(share) = self.owners.get_mut(&part.owner) else {
            return;
        };
        share.parts.remove(&(part.flows, number));
        share.relays -= 1;
        if share.relays == 0 {
            let flows = share.flows;
            self.owners.remove(&part.owner);
            self.rank_no_more(&part.owner, flows);
        }
    }

    fn rank(&mut self, owner: Owner, flows: usize) {
        if matches!(owner, Owner::Forward(_)) {
            self.forwards.insert((flows, owner.clone()));
        }
        self.most.insert((flows, owner));
    }

    fn rank_no_more(&mut self, owner: &Owner, flows: usize) {
        let ranked = (flows, owner.clone());
        self.most.remove(&ranked);
        self.forwards.remove(&ranked);
    }

    /// One place more for a client of that relay; whose waker is to be woken, where a flow of another has to end for it.
    pub(super) fn enter(
        &mut self,
        number: Number,
        client: IpAddr,
        limits: &DatagramLimits,
    ) -> Result<Option<Waker>, Full> {
        let owner = self.parts.get(&number).ok_or(Full::All)?.owner.clone();
        let full = if self.of(&owner, client) >= limits.flows_by_client {
            Some(Full::Client)
        } else if self.all >= limits.flows {
            Some(Full::All)
        } else if matches!(owner, Owner::Forward(_)) && self.of_forwards >= self.most_of_forwards {
            Some(Full::Descriptors)
        } else {
            None
        };
        let waker = match full {
            Some(full) => Some(self.take_for(number, &owner, full, limits)?),
            None => None,
        };
        self.change(number, 1);
        if let (Owner::Forward(_), Some(share)) = (&owner, self.owners.get_mut(&owner)) {
            *share.senders.entry(client).or_default() += 1;
        }
        Ok(waker)
    }

    /// Takes a place from who has most, where that is more than who asks will have.
    fn take_for(
        &mut self,
        number: Number,
        owner: &Owner,
        full: Full,
        limits: &DatagramLimits,
    ) -> Result<Waker, Full> {
        let flows_of = |owner: &Owner| self.owners.get(owner).map_or(0, |share| share.flows);
        let ranked = match full {
            Full::All => &self.most,
            _ => &self.forwards,
        };
        let other = ranked.last().map(|(_, other)| other.clone());
        let is_of_all = matches!(full, Full::All | Full::Descriptors);
        let other = other.filter(|other| is_of_all && flows_of(other) > flows_of(owner) + 1);
        let from = match (other, owner) {
            (Some(other), _) => other,
            (None, owner) => owner.clone(),
        };
        let mine = self.parts.get(&number).map_or(0, |part| part.flows);
        let largest = self.owners.get(&from).and_then(|share| share.parts.last());
        let (flows, other) = *largest.ok_or(full)?;
        let is_enough = match owner {
            _ if from != *owner => true,
            Owner::Client(_) => flows > mine + 1,
            // Its relays at one address have about the same, for the system spreads who sends there. One at an address
            // that is flooded leaves another some.
            Owner::Forward(_) => is_of_all && flows > 2 * (mine + 1),
        };
        if !is_enough {
            return Err(full);
        }
        self.take_from(other, full, limits)
    }

    /// Asks for a descriptor: the forward that has most ends a flow, whose place nobody gets.
    pub(super) fn take_descriptor(&mut self, limits: &DatagramLimits) -> Result<Waker, Full> {
        let full = Full::Descriptors;
        let (_, from) = self.forwards.last().ok_or(full)?;
        let share = self.owners.get(from).ok_or(full)?;
        let (flows, other) = *share.parts.last().ok_or(full)?;
        match flows {
            0 => Err(full),
            _ => self.take_from(other, full, limits),
        }
    }

    fn take_from(
        &mut self,
        other: Number,
        full: Full,
        limits: &DatagramLimits,
    ) -> Result<Waker, Full> {
        let most_owed = limits.flows / 8 + OWED;
        let part = self.parts.get_mut(&other).ok_or(full)?;
        if part.asked.owed.load(Ordering::Relaxed) >= OWED || self.owed >= most_owed {
            return Err(full);
        }
        part.asked.owed.fetch_add(1, Ordering::Relaxed);
        part.full = full;
        let waker = part.waker.clone();
        self.owed += 1;
        self.change(other, -1);
        Ok(waker)
    }

    /// A flow ended.
    pub(super) fn give_back(&mut self, number: Number, client: IpAddr) {
        let Some(part) = self.parts.get(&number) else {
            return;
        };
        if let Some(share) = self.owners.get_mut(&part.owner)
            && let Some(count) = share.senders.get_mut(&client)
        {
            *count -= 1;
            if *count == 0 {
                share.senders.remove(&client);
            }
        }
        if part.asked.owed.load(Ordering::Relaxed) > 0 {
            part.asked.owed.fetch_sub(1, Ordering::Relaxed);
            self.owed -= 1;
        } else {
            self.change(number, -1);
        }
    }

    /// Why that relay is to end a flow, if it is.
    pub(super) fn owes(&self, number: Number) -> Option<Full> {
        let part = self.parts.get(&number)?;
        (part.asked.owed.load(Ordering::Relaxed) > 0).then_some(part.full)
    }

    /// How many relays an owner has.
    pub(super) fn relays(&self, owner: &Owner) -> usize {
        self.owners.get(owner).map_or(0, |share| share.relays)
    }

    /// How many flows count for that client, where they are that owner's.
    pub(super) fn of(&self, owner: &Owner, client: IpAddr) -> usize {
        match owner {
            Owner::Client(_) => self.owners.get(owner).map_or(0, |share| share.flows),
            Owner::Forward(_) => {
                let share = self.owners.get(owner);
                let count = share.and_then(|share| share.senders.get(&client));
                count.copied().unwrap_or(0)
            }
        }
    }

    /// One more way that a flow of that relay has for itself.
    pub(super) fn own_way(&mut self, number: Number, limits: &DatagramLimits) -> Result<(), Full> {
        let owner = &self.parts.get(&number).ok_or(Full::Names)?.owner;
        let share = self.owners.get_mut(owner).ok_or(Full::Names)?;
        let most = |flows: usize| (flows / OF_NAMES).max(1);
        let is_client = matches!(owner, Owner::Client(_));
        if is_client && share.own_ways >= most(limits.flows_by_client) {
            return Err(Full::NamesOfClient);
        }
        if self.own_ways >= most(limits.flows) {
            return Err(Full::Names);
        }
        share.own_ways += 1;
        self.own_ways += 1;
        Ok(())
    }

    /// So many servers more are on the way of a flow. They count for the next flow: this one has its place.
    pub(super) fn begin_servers(&mut self, owner: &Owner, servers: usize) {
        if matches!(owner, Owner::Forward(_)) {
            self.of_forwards += servers;
        }
    }

    pub(super) fn end_servers(&mut self, owner: &Owner, servers: usize) {
        if matches!(owner, Owner::Forward(_)) {
            self.of_forwards -= servers;
        }
    }

    pub(super) fn end_own_way(&mut self, owner: &Owner) {
        self.own_ways -= 1;
        if let Some(share) = self.owners.get_mut(owner) {
            share.own_ways -= 1;
        }
    }

    /// So many bytes more, unless that is too many. Whoever has much leaves as much for others: an owner has at most as
    /// much as is free, and a relay what its owner leaves of that. So one owner has half at most, two have a third each.
    pub(super) fn hold(&mut self, number: Number, bytes: usize) -> bool {
        let Some(part) = self.parts.get_mut(&number) else {
            return false;
        };
        let Some(share) = self.owners.get_mut(&part.owner) else {
            return false;
        };
        let free = MOST_HELD.saturating_sub(self.held);
        let fits = |held: usize, most: usize| held.saturating_add(bytes) <= most;
        let fits = fits(share.held, free) && fits(part.held, free.saturating_sub(share.held));
        if fits {
            part.held += bytes;
            share.held += bytes;
            self.held += bytes;
        }
        fits
    }

    /// So many are not held any more.
    pub(super) fn let_go(&mut self, number: Number, bytes: usize) {
        let Some(part) = self.parts.get_mut(&number) else {
            return;
        };
        part.held -= bytes;
        self.held -= bytes;
        if let Some(share) = self.owners.get_mut(&part.owner) {
            share.held -= bytes;
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn change(&mut self, number: Number, by: isize) {
        let Some(part) = self.parts.get_mut(&number) else {
            return;
        };
        let Some(share) = self.owners.get_mut(&part.owner) else {
            return;
        };
        part.asked.leave.store(false, Ordering::Relaxed);
        let (owner, before) = (part.owner.clone(), share.flows);
        share.parts.remove(&(part.flows, number));
        part.flows = part.flows.saturating_add_signed(by);
        share.flows = share.flows.saturating_add_signed(by);
        share.parts.insert((part.flows, number));
        let flows = share.flows;
        self.all = self.all.saturating_add_signed(by);
        if matches!(owner, Owner::Forward(_)) {
            self.of_forwards = self.of_forwards.saturating_add_signed(by);
        }
        self.rank_no_more(&owner, before);
        self.rank(owner, flows);
    }

    /// Places that are taken, and those whose flows they are.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        assert_eq!(self.most.len(), self.owners.len());
        (self.all + self.owed, self.owners.len())
    }
}

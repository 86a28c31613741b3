//! The table of flows over UDP, and of the mappings that carry them. No I/O, no clock: time comes in, in seconds.
//!
//! A *flow* is one client's datagrams to one place, and is decided once. A *mapping* is one client's way out, and owns
//! one socket: its flows leave by one address, whatever place they go to (RFC 4787, REQ-1).
//!
//! Invariants: a flow that is carried has a mapping that lives, and a mapping that lives has a flow; what came from a
//! place where no flow of the mapping goes passes by [`Filtering`] alone; a flow ends when neither side said anything for
//! as long as it may be idle.
//! Absent: what is said in datagrams, sockets, and who counts flows over all tables.

mod flow;
mod sparing;

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use pointsman_spec::limits::Filtering;

pub(super) use self::flow::Flow;
use self::flow::{Answer, State};
use super::slab::{self, Slab};

/// Seconds of a clock that also runs while the machine sleeps.
pub(super) type Seconds = u64;

/// Which client it is: the address that its datagrams come from.
pub(super) type Client = SocketAddr;

pub(super) type FlowKey<F> = slab::Key<Flow<F>>;
pub(super) type MappingKey<W, M> = slab::Key<Mapping<W, M>>;

/// The flows and mappings of some clients. `F` is what is kept of a flow, `W` tells ways out apart, `M` is what is kept
/// of a mapping.
#[derive(Debug)]
pub(super) struct Nat<F, W, M> {
    flows: Slab<Flow<F>>,
    mappings: Slab<Mapping<W, M>>,
    clients: HashMap<Client, ClientFlows<F, W, M>>,
    /// The flow of which the last datagram of a client was: the next one is of the same for the most part.
    latest: Option<FlowKey<F>>,
    /// When flows are looked at next; the entry that counts is the one of the flow's own `due`.
    due: BinaryHeap<Reverse<(Seconds, u32)>>,
    /// Flows in the order in which they stopped waiting, those that were answered left out as they are met.
    unanswered: VecDeque<FlowKey<F>>,
    /// How many flows are to be answered, and were not, with those that wait.
    awaited: usize,
    /// From which place on [`Self::some`] looks next.
    looked: usize,
    filtering: Filtering,
}

/// What is known of a client.
#[derive(Debug)]
struct ClientFlows<F, W, M> {
    /// By the place, as its datagrams spell it.
    flows: HashMap<Box<[u8]>, FlowKey<F>>,
    /// Few: one for each way out and family of addresses.
    mappings: Vec<MappingKey<W, M>>,
}

/// One client's way out.
#[derive(Debug)]
pub(super) struct Mapping<W, M> {
    pub(super) kept: M,
    way: W,
    client: Client,
    flows: usize,
    /// The place of the flow that was answered last.
    latest: u32,
    /// Where its flows go.
    peers: HashMap<SocketAddr, Peer>,
    /// How many of those places are at an address.
    hosts: HashMap<IpAddr, u32>,
}

/// A place that flows of one mapping go to.
#[derive(Debug)]
struct Peer {
    /// Of several flows, whose client spells the place in several ways, the one that said something last.
    flow: u32,
    others: u32,
}

/// What becomes of a client's datagram.
#[derive(Debug)]
pub(super) enum Towards<F> {
    /// It goes out by its flow's mapping.
    Carried(FlowKey<F>),
    /// It is the first of a flow.
    New,
    /// It goes nowhere: its flow is refused.
    Refused(FlowKey<F>),
    /// It waits with its flow.
    Waiting(FlowKey<F>),
}

/// What becomes of a datagram that came to a mapping.
#[derive(Debug)]
pub(super) enum Back<F> {
    /// No flow goes where it comes from, and it does not pass.
    Filtered,
    /// It belongs to that flow.
    Flow(FlowKey<F>),
    /// No flow goes where it comes from, and it passes.
    Stranger,
}

/// What a flow leaves behind.
#[derive(Debug)]
pub(super) struct Ended<F, M> {
    pub(super) flow: F,
    /// Its mapping, where it was the last one there: closed by being dropped.
    pub(super) _mapping: Option<M>,
}

impl<F, W: PartialEq, M> Nat<F, W, M> {
    pub(super) fn new(filtering: Filtering) -> Self {
        Self {
            flows: Slab::default(),
            mappings: Slab::default(),
            clients: HashMap::new(),
            latest: None,
            due: BinaryHeap::new(),
            unanswered: VecDeque::new(),
            awaited: 0,
            looked: 0,
            filtering,
        }
    }

    /// A datagram of that client to that place.
    pub(super) fn sent(&mut self, client: Client, place: &[u8], now: Seconds) -> Towards<F> {
        let Some(key) = self.find(client, place) else {
            return Towards::New;
        };
        self.latest = Some(key);
        let Some(flow) = self.flows.get_mut(key) else {
            return Towards::New;
        };
        match flow.state {
            State::Waiting => Towards::Waiting(key),
            State::Refused => Towards::Refused(key),
            State::Carried { mapping, to } => {
                flow.last = now;
                if flow.answer == Answer::Came {
                    flow.answer = Answer::Followed;
                }
                if flow.shares {
                    self.answer_to(key, mapping, to);
                }
                Towards::Carried(key)
            }
        }
    }

    /// The flow of that client to that place: nothing is hashed where it is the latest.
    fn find(&self, client: Client, place: &[u8]) -> Option<FlowKey<F>> {
        let is_it = |flow: &Flow<F>| flow.client == client && *flow.place == *place;
        if let Some(key) = self.latest
            && self.flows.get(key).is_some_and(is_it)
        {
            return Some(key);
        }
        self.clients.get(&client)?.flows.get(place).copied()
    }

    /// A flow begins; until it is decided it may wait for so long.
    pub(super) fn begin(
        &mut self,
        client: Client,
        place: &[u8],
        kept: F,
        patience: Seconds,
        now: Seconds,
    ) -> FlowKey<F> {
        let key = self.flows.insert(Flow {
            kept,
            client,
            place: place.into(),
            state: State::Waiting,
            last: now,
            idle: patience,
            due: now + patience,
            answer: Answer::Awaited,
            shares: false,
        });
        self.due.push(Reverse((now + patience, key.place())));
        if self.due.len() > 2 * self.flows.len() + 64 {
            let flows = &self.flows;
            let counts = |at: Seconds, place: u32| {
                let flow = flows.at(place).and_then(|key| flows.get(key));
                flow.is_some_and(|flow| flow.due == at)
            };
            self.due.retain(|Reverse((at, place))| counts(*at, *place));
        }
        self.awaited += 1;
        let known = self.clients.entry(client).or_insert_with(|| ClientFlows {
            flows: HashMap::new(),
            mappings: Vec::new(),
        });
        known.flows.insert(place.into(), key);
        key
    }

    /// Answers from that place belong to this flow from now on.
    fn answer_to(&mut self, flow: FlowKey<F>, mapping: u32, to: SocketAddr) {
        let by = self.mappings.at(mapping);
        let by = by.and_then(|key| self.mappings.get_mut(key));
        if let Some(peer) = by.and_then(|by| by.peers.get_mut(&to)) {
            peer.flow = flow.place();
        }
    }

    /// The mapping by which that client leaves that way.
    pub(super) fn mapping(&self, client: Client, way: &W) -> Option<MappingKey<W, M>> {
        let known = self.clients.get(&client)?;
        let mut keys = known.mappings.iter().copied();
        keys.find(|key| self.mappings.get(*key).is_some_and(|it| it.way == *way))
    }

    /// A mapping for that flow's client; it ends with the last flow that is carried by it.
    pub(super) fn map(&mut self, flow: FlowKey<F>, way: W, kept: M) -> Option<MappingKey<W, M>> {
        let client = self.flows.get(flow)?.client;
        let key = self.mappings.insert(Mapping {
            kept,
            way,
            client,
            flows: 0,
            latest: flow.place(),
            peers: HashMap::new(),
            hosts: HashMap::new(),
        });
        if let Some(known) = self.clients.get_mut(&client) {
            known.mappings.push(key);
        }
        Some(key)
    }

    /// A flow that waited is carried from now on, until no datagram went either way for `idle`.
    pub(super) fn carry(
        &mut self,
        flow: FlowKey<F>,
        mapping: MappingKey<W, M>,
        to: SocketAddr,
        idle: Seconds,
        now: Seconds,
    ) -> bool {
        let (Some(entry), Some(by)) = (self.flows.get_mut(flow), self.mappings.get_mut(mapping))
        else {
            return false;
        };
        if entry.state != State::Waiting {
            return false;
        }
        entry.state = State::Carried {
            mapping: mapping.place(),
            to,
        };
        (entry.last, entry.idle) = (now, idle);
        by.flows += 1;
        let place = flow.place();
        *by.hosts.entry(to.ip()).or_default() += 1;
        match by.peers.entry(to) {
            Entry::Vacant(entry) => {
                entry.insert(Peer {
                    flow: place,
                    others: 0,
                });
            }
            Entry::Occupied(mut entry) => {
                let peer = entry.get_mut();
                let other = std::mem::replace(&mut peer.flow, place);
                peer.others += 1;
                for place in [place, other] {
                    let key = self.flows.at(place);
                    if let Some(flow) = key.and_then(|key| self.flows.get_mut(key)) {
                        flow.shares = true;
                    }
                }
            }
        }
        self.look_by(flow, now + idle + 1);
        self.may_give_way(flow);
        true
    }

    /// A flow is refused: its datagrams go nowhere for so long, then it is decided anew. `true`: it waited.
    pub(super) fn refuse(&mut self, flow: FlowKey<F>, cool_down: Seconds, now: Seconds) -> bool {
        let Some(entry) = self.flows.get_mut(flow) else {
            return false;
        };
        if entry.state != State::Waiting {
            return false;
        }
        entry.state = State::Refused;
        (entry.last, entry.idle) = (now, cool_down);
        self.look_by(flow, now + cool_down);
        self.may_give_way(flow);
        true
    }

    /// A flow that was carried goes nowhere for so long; what its mapping leaves behind, where it was the last one there.
    pub(super) fn cool_down(
        &mut self,
        flow: FlowKey<F>,
        cool_down: Seconds,
        now: Seconds,
    ) -> Option<M> {
        let entry = self.flows.get_mut(flow)?;
        let State::Carried { mapping, to } = entry.state else {
            return None;
        };
        entry.state = State::Refused;
        (entry.last, entry.idle) = (now, cool_down);
        self.look_by(flow, now + cool_down);
        // Whatever it was before, its place is of no use to anybody now.
        self.answer(flow, Answer::Awaited);
        self.may_give_way(flow);
        self.leave_mapping(mapping, to, flow.place())
    }

    /// The one place that a mapping's flow goes to, where it has but one.
    pub(super) fn only_peer(&self, mapping: MappingKey<W, M>) -> Option<SocketAddr> {
        let mut peers = self.mappings.get(mapping)?.peers.keys();
        peers.next().copied()
    }

    /// A flow is looked at then at the latest.
    fn look_by(&mut self, key: FlowKey<F>, at: Seconds) {
        if let Some(flow) = self.flows.get_mut(key)
            && at < flow.due
        {
            flow.due = at;
            self.due.push(Reverse((at, key.place())));
        }
    }

    /// A datagram came to a mapping from there.
    pub(super) fn came(
        &mut self,
        mapping: MappingKey<W, M>,
        from: SocketAddr,
        now: Seconds,
    ) -> Back<F> {
        let Some(by) = self.mappings.get_mut(mapping) else {
            return Back::Filtered;
        };
        let carried = State::Carried {
            mapping: mapping.place(),
            to: from,
        };
        // Nothing is hashed where it is from where the last one was.
        let is_it = |flow: &Flow<F>| flow.state == carried && !flow.shares;
        let latest = self.flows.at(by.latest);
        let latest = latest.filter(|key| self.flows.get(*key).is_some_and(is_it));
        let key = latest.or_else(|| self.flows.at(by.peers.get(&from)?.flow));
        if let Some((key, flow)) = key.and_then(|key| Some((key, self.flows.get_mut(key)?))) {
            by.latest = key.place();
            flow.last = now;
            if matches!(flow.answer, Answer::Awaited | Answer::Never) {
                self.answer(key, Answer::Came);
            }
            return Back::Flow(key);
        }
        let passes = match self.filtering {
            Filtering::Port => false,
            Filtering::Address => by.hosts.contains_key(&from.ip()),
            Filtering::FullCone => true,
        };
        match passes {
            true => Back::Stranger,
            false => Back::Filtered,
        }
    }

    /// A flow of that mapping that goes there.
    pub(super) fn towards(&self, mapping: MappingKey<W, M>, to: SocketAddr) -> Option<FlowKey<F>> {
        let peer = self.mappings.get(mapping)?.peers.get(&to)?;
        self.flows.at(peer.flow)
    }

    /// A flow ends.
    pub(super) fn end(&mut self, key: FlowKey<F>) -> Option<Ended<F, M>> {
        self.answer(key, Answer::Came);
        let flow = self.flows.remove(key)?;
        let mut mapping = None;
        if let State::Carried { mapping: at, to } = flow.state {
            mapping = self.leave_mapping(at, to, key.place());
        }
        if let Some(known) = self.clients.get_mut(&flow.client) {
            known.flows.remove(&flow.place);
            if known.flows.is_empty() && known.mappings.is_empty() {
                self.clients.remove(&flow.client);
            }
        }
        Some(Ended {
            flow: flow.kept,
            _mapping: mapping,
        })
    }

    /// A flow left a mapping, which ends with its last one.
    fn leave_mapping(&mut self, at: u32, to: SocketAddr, place: u32) -> Option<M> {
        let key = self.mappings.at(at)?;
        let by = self.mappings.get_mut(key)?;
        by.flows -= 1;
        if let Some(count) = by.hosts.get_mut(&to.ip()) {
            *count -= 1;
            if *count == 0 {
                by.hosts.remove(&to.ip());
            }
        }
        match by.peers.get_mut(&to) {
            Some(peer) if peer.others > 0 => {
                peer.others -= 1;
                if peer.flow == place {
                    let flows = &self.flows;
                    let same = |flow: &Flow<F>| flow.state == State::Carried { mapping: at, to };
                    let of_client = self.clients.get(&by.client).into_iter();
                    let mut keys = of_client.flat_map(|known| known.flows.values().copied());
                    let other = keys.find(|key| flows.get(*key).is_some_and(same));
                    peer.flow = other.map_or(place, slab::Key::place);
                }
            }
            Some(_) => {
                by.peers.remove(&to);
            }
            None => {}
        }
        if by.flows > 0 {
            return None;
        }
        self.unmap(key)
    }

    /// A mapping ends that carries nothing.
    pub(super) fn unmap(&mut self, key: MappingKey<W, M>) -> Option<M> {
        let mapping = self.mappings.remove(key)?;
        if let Some(known) = self.clients.get_mut(&mapping.client) {
            known.mappings.retain(|other| *other != key);
            if known.flows.is_empty() && known.mappings.is_empty() {
                self.clients.remove(&mapping.client);
            }
        }
        Some(mapping.kept)
    }

    /// All flows that a mapping carries.
    pub(super) fn carried_by(&self, mapping: MappingKey<W, M>) -> Vec<FlowKey<F>> {
        let at = mapping.place();
        let is_by =
            |flow: &Flow<F>| matches!(flow.state, State::Carried { mapping, .. } if mapping == at);
        let client = self.mappings.get(mapping).map(|by| by.client);
        let of_client = client.and_then(|client| self.clients.get(&client));
        let keys = of_client.into_iter().flat_map(|known| known.flows.values());
        let keys = keys.copied();
        keys.filter(|key| self.flows.get(*key).is_some_and(is_by))
            .collect()
    }

    /// A flow that was idle for too long; asked again until there is none.
    pub(super) fn overdue(&mut self, now: Seconds) -> Option<FlowKey<F>> {
        while let Some(Reverse((at, place))) = self.due.peek().copied() {
            if at > now {
                return None;
            }
            self.due.pop();
            let Some(key) = self.flows.at(place) else {
                continue;
            };
            let Some(flow) = self.flows.get_mut(key).filter(|flow| flow.due == at) else {
                continue;
            };
            let end = flow.end();
            flow.due = end.max(now + 1);
            self.due.push(Reverse((flow.due, place)));
            if end <= now {
                return Some(key);
            }
        }
        None
    }

    /// When [`Self::overdue`] is to be asked next.
    pub(super) fn next_due(&self) -> Option<Seconds> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn flow(&self, key: FlowKey<F>) -> Option<&Flow<F>> {
        self.flows.get(key)
    }

    pub(super) fn flow_mut(&mut self, key: FlowKey<F>) -> Option<&mut Flow<F>> {
        self.flows.get_mut(key)
    }

    pub(super) fn mapping_of(&self, key: MappingKey<W, M>) -> Option<&Mapping<W, M>> {
        self.mappings.get(key)
    }

    pub(super) fn mapping_of_mut(&mut self, key: MappingKey<W, M>) -> Option<&mut Mapping<W, M>> {
        self.mappings.get_mut(key)
    }

    pub(super) fn mapping_at(&self, place: u32) -> Option<MappingKey<W, M>> {
        self.mappings.at(place)
    }

    pub(super) fn flows(&self) -> impl Iterator<Item = FlowKey<F>> + '_ {
        self.flows.keys()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flows.len() == 0
    }

    /// From whom mappings take datagrams from now on.
    pub(super) fn filter_by(&mut self, filtering: Filtering) {
        self.filtering = filtering;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }
}

#[cfg(test)]
#[path = "nat/tests.rs"]
mod tests;

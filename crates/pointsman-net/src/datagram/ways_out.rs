//! Flows that were decided: their ways out, and the mappings that carry them.

use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_os::datagram;
use pointsman_policy::Action;
use pointsman_wire::RequestHost;
use tokio::time::Instant;

use super::client_side;
use super::decide::{self, DecidedFlow};
use super::entries::{
    COOL_DOWN, Carried, Ending, FlowId, Linked, MappingEntry, MappingId, Opening, Settled,
};
use super::nat::{Client, Seconds};
use super::quota::{Full, WayPermit};
use super::readiness::Readiness;
use super::relay::{CLOSED, Relay, ended};
use super::scratch::Batch;
use crate::case::micros;
use crate::group::Watch;
use crate::outbound::{Destination, DialError};
use crate::record::{End, Fault, Limit};

/// Flows that end for the descriptor of a new one: some of them had none, for they failed before.
const TRIES: usize = 8;

impl Relay {
    /// A flow was decided, and is to be carried.
    pub(super) fn decided(&mut self, flow: FlowId, decided: Box<DecidedFlow>, batch: &mut Batch) {
        let Some(entry) = self.nat.flow(flow) else {
            return decided.ended();
        };
        let (client, counted) = (entry.client(), entry.kept.place.client());
        if let Some(mapping) = self.nat.mapping(client, &decided.way) {
            return self.carry(flow, mapping, *decided, batch);
        }
        let openings = self.openings.get_mut(&client);
        let mut openings = openings.into_iter().flatten();
        if let Some(opening) = openings.find(|opening| opening.way == decided.way) {
            return opening.waiting.push((flow, decided));
        }
        if decided.way.is_direct() {
            let mut linked = decided.ways.link_directly(&decided.way, decided.to);
            for _ in 0..TRIES {
                if !linked.as_ref().is_err_and(is_exhausted) || !self.frees_descriptor(counted) {
                    break;
                }
                linked = decided.ways.link_directly(&decided.way, decided.to);
            }
            return match linked {
                Ok(link) => self.open(flow, decided, (Box::new(link), None), batch),
                Err(error) => {
                    self.not_linked(flow, decided.watch, &error);
                    decide::fail(decided.ticket, &error);
                }
            };
        }
        let permit = match self.way_permit(&decided) {
            Ok(permit) => permit,
            Err(full) => return self.no_way(flow, decided, full),
        };
        let number = self.next_opening;
        self.next_opening += 1;
        let (ways, way, tell) = (decided.ways.clone(), decided.way.clone(), self.tell.clone());
        self.openings.entry(client).or_default().push(Opening {
            way: way.clone(),
            number,
            waiting: vec![(flow, decided)],
        });
        self.at.tasks.spawn(async move {
            let begun = Instant::now();
            let linked = Box::pin(ways.link(&way)).await;
            let took_us = micros(begun);
            let linked = linked.map(|link| (Box::new(link), Some(permit)));
            let linked = linked.map_err(Arc::new);
            // Nobody is left to be told: the association ended meanwhile.
            let _ = tell
                .send(Settled::Linked((client, number), took_us, linked))
                .await;
        });
    }

    /// A way was opened, or was not.
    pub(super) fn linked(
        &mut self,
        (client, number): (Client, u64),
        took_us: u64,
        link: Result<Linked, Arc<DialError>>,
        batch: &mut Batch,
    ) {
        let Some(openings) = self.openings.get_mut(&client) else {
            return;
        };
        let mut numbers = openings.iter().map(|opening| opening.number);
        let Some(index) = numbers.position(|other| other == number) else {
            return;
        };
        let waiting = openings.swap_remove(index).waiting;
        if openings.is_empty() {
            self.openings.remove(&client);
        }
        for (_, decided) in &waiting {
            decided.ticket.note(|record| record.took.dial_us = took_us);
        }
        match link {
            Ok(link) => {
                // The first that is still there opens it for the others.
                let mut link = Some(link);
                for (flow, decided) in waiting {
                    let is_there = self.nat.flow(flow).is_some();
                    match link.take_if(|_| is_there) {
                        Some(link) => self.open(flow, decided, link, batch),
                        None => self.decided(flow, decided, batch),
                    }
                }
            }
            Err(error) => {
                if is_exhausted(&error) {
                    self.at
                        .seat
                        .take_descriptor(&self.at.generation.spec().datagrams);
                }
                for (flow, decided) in waiting {
                    if self.nat.flow(flow).is_none() {
                        decided.ended();
                        continue;
                    }
                    self.not_linked(flow, decided.watch, &error);
                    decide::fail(decided.ticket, &error);
                }
            }
        }
    }

    /// What a way by servers takes.
    fn way_permit(&self, decided: &DecidedFlow) -> Result<WayPermit, Full> {
        let limits = &self.at.generation.spec().datagrams;
        let way = &decided.way;
        self.at.seat.way(way.is_own(), way.servers(), limits)
    }

    /// There are too many such ways: refused, on record.
    fn no_way(&mut self, flow: FlowId, decided: Box<DecidedFlow>, full: Full) {
        let why = full.why(&self.at.generation.spec().datagrams);
        decided.ticket.note(|record| {
            record.note = why.into();
            record.action = Some(Action::Reject);
        });
        decided.ticket.end(End::Refused);
        self.cool_down(flow, COOL_DOWN);
    }

    /// A mapping for that flow.
    fn open(
        &mut self,
        flow: FlowId,
        decided: Box<DecidedFlow>,
        (mut link, place): Linked,
        batch: &mut Batch,
    ) {
        let limits = &self.at.generation.spec().datagrams;
        let offload = self.at.shared.offload(decided.way.uplink(), limits);
        let one_way = decided.watch.as_ref().is_some_and(Watch::is_one_way);
        if one_way {
            // It is dropped as it comes. Where the system keeps more of it until then, that is all that happens.
            let _kept = datagram::keep_little(&link.socket);
        }
        let controls = link.controls.drain(..);
        let controls = controls.map(|mut control| -> Ending {
            // Nothing else tells that a proxy is gone which says no more.
            if let Some(probes) = control.take_probes() {
                probes.set(&control.socket);
            }
            Box::pin(ended(control))
        });
        let controls = controls.collect();
        let out = MappingEntry {
            waker: self.closing.clone(),
            offload,
            is_own: decided.way.is_own(),
            _place: place,
            one_way,
            readiness: Readiness::new(&link.socket),
            link: *link,
            controls,
        };
        let Some(mapping) = self.nat.map(flow, decided.way.clone(), out) else {
            return decided.ended();
        };
        let waker = self.at.wakers.waker(mapping.place());
        if let Some(entry) = self.nat.mapping_of_mut(mapping) {
            entry.kept.waker = waker;
        }
        // Readiness is asked for by the first look.
        self.ring(mapping);
        self.carry(flow, mapping, *decided, batch);
    }

    fn carry(&mut self, flow: FlowId, mapping: MappingId, decided: DecidedFlow, batch: &mut Batch) {
        let Some(out) = self.nat.mapping_of(mapping).map(|mapping| &mapping.kept) else {
            return decided.ended();
        };
        let mut lead = Vec::new();
        let to = match decided.to {
            Some(to) => to,
            None => {
                lead.extend_from_slice(&out.link.before);
                let host = decided.destination.on_the_wire();
                if !client_side::write_head(&mut lead, &host, decided.destination.port) {
                    self.cool_down(flow, COOL_DOWN);
                    let why = "a name that SOCKS5 cannot carry".into();
                    return decided.ticket.end(End::Failed(Fault::Proxy, why));
                }
                answered_from(&decided.destination)
            }
        };
        let limits = &self.at.generation.spec().datagrams;
        let by_protocol = limits.idle_by_protocol.iter();
        let of_protocol = by_protocol
            .filter(|(protocol, _)| Some(*protocol) == decided.protocol)
            .map(|(_, idle)| *idle)
            .next();
        let (idle, idle_by) = match (decided.idle, of_protocol) {
            (Some(of_door), _) => (of_door, Limit::Idle),
            (None, Some(of_protocol)) => (of_protocol, Limit::UdpIdleByProtocol),
            (None, None) => (limits.idle, Limit::UdpIdle),
        };
        if !self
            .nat
            .carry(flow, mapping, to, idle.as_secs().max(1), self.now)
        {
            return decided.ended();
        }
        let Some(entry) = self.nat.flow_mut(flow) else {
            return decided.ended();
        };
        decided.ticket.relays();
        let one_way = decided.watch.as_ref().is_some_and(Watch::is_one_way);
        let is_given = decided.watch.is_some();
        let closed = decided.ticket.live().bytes.closed_or_wake(&self.closing);
        let head = self.at.client_side.head(entry.spelled());
        let from = self.at.client_side.answers_from(entry.spelled());
        entry.kept.carried = Some(Carried {
            ticket: decided.ticket,
            head,
            from,
            lead: lead.into(),
            _stay: decided.stay,
            idle_by,
            watch: decided.watch,
        });
        let held = entry.kept.held.take();
        if one_way {
            self.nat.is_never_answered(flow);
        }
        if is_given {
            self.asks(flow);
        }
        if closed.is_some() {
            self.at.wakers.ring(CLOSED);
            return;
        }
        for (datagram, marks) in held.iter().flat_map(|held| held.take()) {
            self.send_one(flow, &datagram, marks, batch);
        }
    }

    /// A flow ended before it was carried, or cannot be: its datagrams go nowhere for a while.
    pub(super) fn cool_down(&mut self, flow: FlowId, cool_down: Seconds) {
        self.nat.refuse(flow, cool_down, self.now);
        if let Some(entry) = self.nat.flow_mut(flow) {
            entry.kept.held = None;
        }
    }

    /// A flow failed: the same, for so long, with its record filed.
    pub(super) fn fail(&mut self, flow: FlowId, fault: Fault, why: &str, cool_down: Seconds) {
        if self.target_fails(flow) {
            // Its client's next datagram goes to another.
            return self.end(flow, End::Failed(fault, why.into()));
        }
        let Some(entry) = self.nat.flow_mut(flow) else {
            return;
        };
        if let Some(carried) = entry.kept.carried.take() {
            carried.ticket.end(End::Failed(fault, why.into()));
        }
        self.nat.cool_down(flow, cool_down, self.now);
    }
}

/// Whether this process lacks something, and nobody else.
fn is_exhausted(error: &DialError) -> bool {
    error.fault() == Fault::Exhausted
}

/// From where the answers of a place come, as far as it is an address.
fn answered_from(destination: &Destination) -> SocketAddr {
    let address = match destination.on_the_wire() {
        RequestHost::Address(address) => address,
        // Its mapping has no other flow.
        RequestHost::Name(_) => [0, 0, 0, 0].into(),
    };
    (address, destination.port).into()
}

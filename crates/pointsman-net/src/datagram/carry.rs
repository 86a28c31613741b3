//! Batches of datagrams, from the client's socket to those of its mappings and back.
//!
//! Invariants: what came is sent at most once, in the order of its coming for each flow; what cannot be sent now is
//! dropped, as on any link that is full; no allocation for a datagram of a flow that is carried.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use pointsman_os::datagram::{self, Datagram, Failure, Offload, Outgoing, Received};
use pointsman_wire::RequestHost;

use super::client_side;
use super::entries::{
    COOL_DOWN, Carried, Ending, FlowId, MappingEntry, MappingId, SHORT_COOL_DOWN,
};
use super::losses::Loss;
use super::marks::Marks;
use super::nat::{Back, Seconds, Towards};
use super::relay::Relay;
use super::scratch::{Batch, Fate, Move, Scratch};
use crate::outbound::of_the_system;
use crate::record::Fault;

/// Batches of one socket in one turn; then it is the others'.
const TURNS: usize = 4;

/// What hosts usually begin with (RFC 1340): what came with more goes round no longer.
const MOST_HOPS: u8 = 64;

impl Relay {
    /// What the client said meanwhile.
    pub(super) fn take_from_client(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) {
        for _ in 0..TURNS {
            if self.at.socket.poll_recv_ready(cx).is_pending() {
                return;
            }
            let Scratch { inbox, batch } = scratch;
            if let Ok(received) = inbox.try_receive(&self.at.socket) {
                self.outward(received, batch);
            }
        }
        cx.waker().wake_by_ref();
    }

    /// What came to a mapping meanwhile.
    pub(super) fn take_from_peers(&mut self, key: MappingId, scratch: &mut Scratch) {
        for _ in 0..TURNS {
            let Some(MappingEntry {
                link,
                waker,
                controls,
                readiness,
                one_way,
                ..
            }) = self.nat.mapping_of_mut(key).map(|it| &mut it.kept)
            else {
                return;
            };
            let mut cx = Context::from_waker(waker);
            let ended = |control: &mut Ending| control.as_mut().poll(&mut cx).is_ready();
            if controls.iter_mut().any(ended) {
                return self.unlinked(key);
            }
            let mut cx = Context::from_waker(waker);
            let Poll::Ready(Ok(ready)) = readiness.poll(&mut cx) else {
                return;
            };
            let (socket, one_way) = (Arc::clone(&link.socket), *one_way);
            if ready.is_error() {
                for failure in datagram::try_errors(&socket) {
                    self.told(key, failure);
                }
            }
            let Scratch { inbox, batch } = scratch;
            // What nobody wants is taken, too: a socket that is full of it hears of no error any more.
            if let Ok(received) = inbox.try_receive(&socket)
                && !one_way
            {
                self.inward(key, received, batch);
            }
        }
        self.ring(key);
    }

    /// A datagram that was held.
    pub(super) fn send_one(
        &mut self,
        flow: FlowId,
        payload: &[u8],
        marks: Marks,
        batch: &mut Batch,
    ) {
        let moves = [Move {
            flow: Some(flow),
            head: 0..0,
            payload,
            marks,
        }];
        self.send(&moves, batch);
    }

    fn outward(&mut self, received: Received<'_>, batch: &mut Batch) {
        let now = self.now;
        let mut moves = batch.moves();
        for datagram in received.iter().filter(|datagram| !datagram.truncated) {
            let Some(marks) = self.go_on(&datagram) else {
                continue;
            };
            for bytes in datagram.each() {
                let Some(said) = self.at.client_side.hear(datagram.from, datagram.to, bytes) else {
                    continue;
                };
                let payload = &bytes[said.skip..];
                match self.nat.sent(said.client, &said.place, now) {
                    Towards::Carried(flow) => {
                        self.asks(flow);
                        moves.push(Move {
                            flow: Some(flow),
                            head: 0..0,
                            payload,
                            marks,
                        });
                    }
                    Towards::New => {
                        self.begin(said.client, &said.place, payload, marks);
                    }
                    Towards::Refused(flow) => {
                        self.again(flow, said, payload, marks);
                    }
                    Towards::Waiting(flow) => self.hold(flow, payload, marks),
                }
            }
        }
        self.send(&moves, batch);
        batch.keep_moves(moves);
    }

    /// With what marks a client's datagram goes on; `None`: it goes nowhere. One to a forward may go a hop less, as by a
    /// router: else it would go round for ever where two forwards lead to each other.
    fn go_on(&self, datagram: &Datagram<'_>) -> Option<Marks> {
        let hops = match datagram.hops {
            Some(0 | 1) => {
                self.at.seat.no_hop(datagram.from);
                return None;
            }
            Some(hops) => Some((hops - 1).min(MOST_HOPS)),
            None => None,
        };
        Some(Marks {
            class: datagram.class,
            hops,
        })
    }

    /// Sends what belongs to flows that are carried, each by its mapping.
    fn send(&mut self, mut moves: &[Move<'_>], batch: &mut Batch) {
        let by = |relay: &Self, it: &Move<'_>| {
            let (mapping, _) = relay.nat.flow(it.flow?)?.way()?;
            Some(mapping)
        };
        while let Some(first) = moves.first() {
            let mapping = by(self, first);
            let same = moves.iter().take_while(|it| by(self, it) == mapping);
            let (run, rest) = moves.split_at(same.count());
            if let Some(key) = mapping.and_then(|mapping| self.nat.mapping_at(mapping)) {
                let failed = self.send_by(key, run, batch);
                for (flow, error) in failed {
                    match self.is_unbound(key, &error) {
                        // No other datagram leaves by it either, whatever its flow.
                        true => {
                            let (fault, why) = (of_the_system(&error), error.to_string());
                            self.end_all_of(key, fault, &why);
                        }
                        false => {
                            self.fail(flow, of_the_system(&error), &error.to_string(), COOL_DOWN);
                        }
                    }
                }
            }
            moves = rest;
        }
    }

    /// Sends by one mapping; those that failed for good, and why.
    fn send_by(
        &self,
        key: MappingId,
        moves: &[Move<'_>],
        batch: &mut Batch,
    ) -> Vec<(FlowId, io::Error)> {
        let Some(MappingEntry { link, offload, .. }) = self.nat.mapping_of(key).map(|it| &it.kept)
        else {
            return Vec::new();
        };
        let (mut slices, mut messages) = batch.lists();
        let carried = |it: &Move<'_>| {
            let flow = self.nat.flow(it.flow?)?;
            let (_, to) = flow.way()?;
            Some((flow.kept.carried.as_ref()?, link.relay.unwrap_or(to)))
        };
        for it in moves {
            let lead = carried(it).map_or(&[][..], |(carried, _)| &carried.lead);
            slices.extend([IoSlice::new(lead), IoSlice::new(it.payload)]);
        }
        gather(moves, &slices, offload, &mut messages, |it| {
            carried(it).map(|(_, to)| (to, None))
        });
        let mut failed = Vec::new();
        let socket = &link.socket;
        let mut dropped = moves.len();
        // The datagrams of a message are of one flow.
        batch.send(socket, offload, &messages, |fate| match fate {
            Fate::Sent(at, which) => {
                let sent = &of_message(moves, &slices, &messages[at])[which];
                dropped -= sent.len();
                if let Some((carried, _)) = sent.first().and_then(carried) {
                    carried.ticket.live().bytes.add_up(bytes_of(sent));
                }
            }
            Fate::Refused(at, error) => {
                let first = of_message(moves, &slices, &messages[at]).first();
                let flow = first.and_then(|it| it.flow);
                let stays = |error| !is_passing(error) || datagram::is_unbound(&**socket, error);
                if let Some(flow) = flow.filter(|_| stays(&error)) {
                    failed.push((flow, error));
                }
            }
        });
        if dropped > 0 {
            self.at.seat.lost(Loss::Unsent, dropped);
        }
        batch.keep_messages(messages);
        batch.keep_slices(slices);
        failed
    }

    fn inward(&mut self, key: MappingId, received: Received<'_>, batch: &mut Batch) {
        let now = self.now;
        let mut moves = batch.moves();
        batch.heads.clear();
        for datagram in received.iter().filter(|datagram| !datagram.truncated) {
            for bytes in datagram.each() {
                let Some((from, payload)) = self.unwrap(key, datagram.from, bytes) else {
                    continue;
                };
                let (flow, head) = match self.nat.came(key, from, now) {
                    Back::Filtered => continue,
                    Back::Flow(flow) => {
                        self.hears(flow, now);
                        (Some(flow), 0..0)
                    }
                    Back::Stranger => {
                        let start = batch.heads.len();
                        let host = RequestHost::Address(from.ip());
                        client_side::write_head(&mut batch.heads, &host, from.port());
                        (None, start..batch.heads.len())
                    }
                };
                moves.push(Move {
                    flow,
                    head,
                    payload,
                    marks: Marks {
                        class: datagram.class,
                        hops: None,
                    },
                });
            }
        }
        self.answer(&moves, batch);
        batch.keep_moves(moves);
    }

    /// A target that answers is there.
    fn hears(&mut self, flow: FlowId, now: Seconds) {
        let carried = self.nat.flow_mut(flow).map(|flow| &mut flow.kept.carried);
        if let Some(Some(Carried {
            watch: Some(watch), ..
        })) = carried
        {
            watch.heard(now);
        }
    }

    /// What a datagram says behind the headers of proxies, and where it comes from.
    fn unwrap<'a>(
        &self,
        key: MappingId,
        from: SocketAddr,
        mut bytes: &'a [u8],
    ) -> Option<(SocketAddr, &'a [u8])> {
        let MappingEntry { link, is_own, .. } = &self.nat.mapping_of(key)?.kept;
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Some(relay) = link.relay else {
            return Some((from, bytes));
        };
        if from != relay {
            return None;
        }
        for between in &link.between {
            let (from, used) = client_side::relayed(bytes)?;
            // A relay that says where it is by a name, or not at all, is believed.
            if from.is_some_and(|from| from != *between && !from.ip().is_unspecified()) {
                return None;
            }
            bytes = &bytes[used..];
        }
        let (from, used) = client_side::relayed(bytes)?;
        let from = match is_own {
            true => self.nat.only_peer(key)?,
            false => from?,
        };
        Some((from, &bytes[used..]))
    }

    /// Sends to the client.
    fn answer(&self, moves: &[Move<'_>], batch: &mut Batch) {
        let heads = std::mem::take(&mut batch.heads);
        let (mut slices, mut messages) = batch.lists();
        let carried = |it: &Move<'_>| self.nat.flow(it.flow?)?.kept.carried.as_ref();
        for it in moves {
            let head = match carried(it) {
                Some(carried) => &*carried.head,
                None => heads.get(it.head.clone()).unwrap_or(&[]),
            };
            slices.extend([IoSlice::new(head), IoSlice::new(it.payload)]);
        }
        // Whom no flow brought hears nothing but an association's client.
        let only = self.at.client_side.client().map(|client| (client, None));
        let to = |it: &Move<'_>| match self.nat.flow(it.flow?) {
            Some(flow) => Some((flow.client(), flow.kept.carried.as_ref()?.from)),
            None => None,
        };
        gather(moves, &slices, &self.offload, &mut messages, |it| {
            to(it).or(only)
        });
        let mut dropped = moves.len();
        batch.send(&self.at.socket, &self.offload, &messages, |fate| {
            // Whoever left says so by its connection.
            let Fate::Sent(at, which) = fate else {
                return;
            };
            let sent = &of_message(moves, &slices, &messages[at])[which];
            dropped -= sent.len();
            if let Some(carried) = sent.first().and_then(carried) {
                carried.ticket.live().bytes.add_down(bytes_of(sent));
            }
        });
        if dropped > 0 {
            self.at.seat.lost(Loss::Unsent, dropped);
        }
        batch.keep_messages(messages);
        batch.keep_slices(slices);
        batch.heads = heads;
    }

    /// A datagram did not arrive, as its destination's host or a router says. Where that says that none does, its flow
    /// ends at once: the next one is another's.
    fn told(&mut self, key: MappingId, failure: Failure) {
        use datagram::Fault as What;
        let (fault, why) = match failure.what {
            What::PortUnreachable => (Fault::ConnectionRefused, "nobody listens there"),
            What::HostUnreachable => (Fault::HostUnreachable, "the host is not reached"),
            What::NetUnreachable => (Fault::NetworkUnreachable, "no way leads there"),
            What::Prohibited => (Fault::HostUnreachable, "a router or firewall forbids it"),
            // The system cuts what follows to that length; what a detour lost may arrive the next time.
            What::TooBig { .. } | What::TimeExceeded | What::Other(_) => return,
        };
        let Some(link) = self.nat.mapping_of(key).map(|it| &it.kept.link) else {
            return;
        };
        let to = SocketAddr::new(failure.to.ip().to_canonical(), failure.to.port());
        let (flows, whose) = match link.relay {
            Some(relay) if relay == to => (self.nat.carried_by(key), "the proxy's relay "),
            Some(_) => return,
            None => (self.nat.towards(key, to).into_iter().collect(), ""),
        };
        for flow in flows {
            let why = format!("{whose}{to}: {why} (ICMP)");
            self.fail(flow, fault, &why, SHORT_COOL_DOWN);
        }
    }

    /// Whether what a mapping's socket was bound to is gone, as an error says.
    fn is_unbound(&self, key: MappingId, error: &io::Error) -> bool {
        let link = self.nat.mapping_of(key).map(|it| &it.kept.link);
        link.is_some_and(|link| datagram::is_unbound(&*link.socket, error))
    }

    /// The proxy ended an association.
    fn unlinked(&mut self, key: MappingId) {
        self.end_all_of(key, Fault::Proxy, "the proxy ended the association");
    }

    /// A mapping carries nothing any more: all of its flows end with it, and the next one has another.
    fn end_all_of(&mut self, key: MappingId, fault: Fault, why: &str) {
        for flow in self.nat.carried_by(key) {
            self.fail(flow, fault, why, SHORT_COOL_DOWN);
        }
    }
}

/// One message for each datagram, or for several in a row that the kernel may cut; two slices are of one datagram.
fn gather<'a>(
    moves: &[Move<'a>],
    slices: &'a [IoSlice<'a>],
    offload: &Offload,
    messages: &mut Vec<Outgoing<'a>>,
    to: impl Fn(&Move<'a>) -> Option<(SocketAddr, Option<IpAddr>)>,
) {
    let length = |index: usize| {
        let parts = slices.get(2 * index..2 * index + 2);
        parts.map_or(0, |parts| {
            parts.iter().map(|part| part.len()).sum::<usize>()
        })
    };
    let mut at = 0;
    while let Some(first) = moves.get(at) {
        let Some((address, from)) = to(first) else {
            at += 1;
            continue;
        };
        let like = |it: &&Move<'a>| it.flow == first.flow && it.marks == first.marks;
        let alike = moves[at..].iter().take_while(like).count();
        let run = offload
            .run(address.ip(), (at..at + alike).map(length))
            .max(1);
        let segment = (run > 1).then(|| u16::try_from(length(at)).ok()).flatten();
        messages.push(Outgoing {
            to: address,
            from,
            class: first.marks.class.filter(|class| *class != 0),
            hops: first.marks.hops,
            segment,
            parts: &slices[2 * at..2 * (at + run)],
        });
        at += run;
    }
}

/// What a message was made of, which is a part of `slices`: two of them are of one datagram.
fn of_message<'m, 'a>(
    moves: &'m [Move<'a>],
    slices: &[IoSlice<'a>],
    message: &Outgoing<'_>,
) -> &'m [Move<'a>] {
    let before = message.parts.as_ptr().addr() - slices.as_ptr().addr();
    let first = before / size_of::<IoSlice<'_>>() / 2;
    &moves[first..first + message.parts.len() / 2]
}

fn bytes_of(moves: &[Move<'_>]) -> u64 {
    let bytes = moves.iter().map(|it| it.payload.len()).sum::<usize>();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Whether a datagram that was refused says nothing of the next one: it was too long for the path, or there was no memory.
fn is_passing(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::InvalidInput
    )
}

//! The first datagrams of flows, and what is in the way of more.

use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_policy::fact::{Fact, Facts, Network, Provenance};
use pointsman_policy::{Host, Step};
use pointsman_spec::door::DoorSpec;
use pointsman_spec::outbound::Kind;

use super::client_side::{ClientDatagram, ClientSide};
use super::decide;
use super::entries::{FlowEntry, FlowId, Settled};
use super::hold_queue::{HoldQueue, Sender};
use super::marks::Marks;
use super::nat::{Client, Seconds};
use super::quota::counted;
use super::relay::Relay;
use crate::case::Case;
use crate::door::Door;
use crate::ends::{ClientAddr, Ends};
use crate::outbound::Ways;
use crate::record::End;

/// How long a flow may be decided on, and its way be opened. Whoever does that has limits of its own (a question to a
/// subscriber may take an hour), and always tells what it came to: this is the fence around them.
const PATIENCE: Seconds = 2 * 3600;

impl Relay {
    /// The first datagram of a flow.
    pub(super) fn begin(&mut self, client: Client, spelled: &[u8], payload: &[u8], marks: Marks) {
        let now = self.now;
        self.renew();
        if self.stops || self.ending.is_some() {
            return;
        }
        let Some(door) = self.at.generation.door(self.at.listener).map(Arc::clone) else {
            return;
        };
        let Some((host, port)) = self.at.client_side.place(spelled, self.at.local) else {
            return;
        };
        let facts = self.facts(client, (host, port), &door);
        if matches!(self.at.client_side, ClientSide::Forward) && self.is_refused(&facts, &door) {
            return self.at.seat.not_allowed(client);
        }
        let by = counted(
            client.ip(),
            self.at.client_side.asked(spelled, self.at.local).get().ip(),
        );
        let place = match self.place(by) {
            Ok(place) => place,
            Err(full) => {
                self.at.seat.lost(full.loss(), 1);
                // A record for each datagram would be the next flood: one a second tells.
                if self.full.replace(now) != Some(now) {
                    let case = self.case(client, spelled, facts, door);
                    self.no_room(full, case);
                }
                return;
            }
        };
        let most = self.at.generation.spec().datagrams.held;
        let held = Arc::new(HoldQueue::new(most, &self.at.seat));
        held.push(payload, marks);
        let case = self.case(client, spelled, facts, door);
        self.note_class(&case, marks.class);
        let kept = FlowEntry {
            held: Some(Arc::clone(&held)),
            carried: None,
            generation: self.at.generation.number(),
            place,
        };
        let flow = self.nat.begin(client, spelled, kept, PATIENCE, now);
        let tell = self.tell.clone();
        self.at.tasks.spawn(async move {
            let decided = decide::decide(case, Sender(held)).await;
            if let Err(unheard) = tell.send(Settled::Decided(flow, decided)).await
                && let Settled::Decided(_, Some(decided)) = unheard.0
            {
                decided.ended();
            }
        });
    }

    /// One more of a flow that is refused; what was refused by rules that are not in force any more is decided anew.
    pub(super) fn again(
        &mut self,
        flow: FlowId,
        said: ClientDatagram<'_>,
        payload: &[u8],
        marks: Marks,
    ) {
        self.renew();
        let by = self.nat.flow(flow).map(|it| it.kept.generation);
        if by != Some(self.at.generation.number()) {
            self.end(flow, End::Refused);
            self.begin(said.client, &said.place, payload, marks);
        }
    }

    /// One more of a flow that is decided.
    pub(super) fn hold(&self, flow: FlowId, payload: &[u8], marks: Marks) {
        let held = self.nat.flow(flow).and_then(|it| it.kept.held.as_ref());
        if let Some(held) = held {
            held.push(payload, marks);
        }
    }

    /// New flows belong to the generation in force. Where that would not admit the client any more, the association ends,
    /// as a kept connection does before its next request.
    fn renew(&mut self) {
        let Some(now) = self.at.shared.generation() else {
            return;
        };
        if now.number() == self.at.generation.number() {
            return;
        }
        let heir = match &self.at.client_side {
            ClientSide::Forward => Some(self.at.listener),
            // Its own listener may be gone while its client's way in is not.
            ClientSide::Association(_, inbound) => {
                let at = |port| SocketAddr::new(self.at.local.get().ip(), port);
                now.heir(self.at.listener, inbound.port.map(at))
            }
        };
        let door = heir.and_then(|heir| now.door(heir));
        let is_admitted = match (
            &self.at.client_side,
            (self.at.generation.door(self.at.listener), door),
        ) {
            // A forward whose listener is gone hears of that by itself, and has no others to admit.
            (ClientSide::Forward, (_, None)) => return,
            (ClientSide::Forward, (_, Some(_))) => true,
            (ClientSide::Association(client, inbound), (Some(was), Some(door))) => is_admitted(
                inbound.user.as_deref(),
                client.client(),
                &was.spec,
                &door.spec,
            ),
            (ClientSide::Association(..), _) => false,
        };
        if !is_admitted {
            let why = "the configuration in force does not admit its client";
            self.ending = Some(End::Denied(why.into()));
            return;
        }
        let filtering = self
            .at
            .client_side
            .filtering(now.spec().datagrams.filtering);
        self.nat.filter_by(filtering);
        self.at.listener = heir.unwrap_or(self.at.listener);
        self.at.generation = now;
    }

    /// What the client asks of the network, where a rule looks at it.
    fn note_class(&self, case: &Case, class: Option<u8>) {
        if !self.at.generation.reads_dscp(case.door.spec.policy) {
            return;
        }
        // The two lowest bits tell of congestion (RFC 3168).
        let dscp = Fact::from_option(class.map(|class| class >> 2), Provenance::System);
        case.note(|record| record.facts.sought.to_mut().dscp = dscp);
    }

    /// Whether what is known of a flow at the door is enough to refuse it. Of a forward that is who may send there: nobody
    /// else gets a place, for an address in a datagram costs nothing.
    fn is_refused(&self, facts: &Facts, door: &Door) -> bool {
        let policy = self.at.generation.spec().policies.get(door.spec.policy.0);
        let Some(Step::Decided(decision)) = policy.map(|policy| policy.decide(facts)) else {
            return false;
        };
        let to = decision
            .outbound
            .and_then(|to| self.at.generation.outbound(to));
        to.is_some_and(|to| matches!(to.kind, Kind::Refuse(_)))
    }

    /// What is known of a flow at the door.
    fn facts(&self, client: Client, (host, port): (Host, u16), door: &Door) -> Facts {
        let inbound = self.at.client_side.inbound(&door.spec, self.at.local);
        Facts {
            network: Network::Udp,
            inbound: Fact::Known(inbound, Provenance::Inbound),
            // As those of connections: without the link that an address is on.
            source: Fact::Known(ClientAddr::new(client).get(), Provenance::Inbound),
            destination: Fact::Known(host, Provenance::Request),
            port: Fact::Known(port, Provenance::Request),
            ..Facts::default()
        }
    }

    fn case(&self, client: Client, spelled: &[u8], facts: Facts, door: Arc<Door>) -> Case {
        let ticket = door.ticket(&self.at.shared.flows, self.at.generation.number(), facts);
        let ends = Ends {
            client: Some(ClientAddr::new(client)),
            local: Some(self.at.client_side.asked(spelled, self.at.local)),
            original: None,
        };
        let ways = Ways::new(Arc::clone(&self.at.shared), Arc::clone(&self.at.generation));
        let ways = ways.of(&ends);
        Case::new(ways, door, ends, ticket)
    }
}

/// Whether who came in by a door would come in by what it is now: with the login that was right then.
fn is_admitted(
    user: Option<&str>,
    client: Option<Client>,
    was: &DoorSpec,
    door: &DoorSpec,
) -> bool {
    let login = |door: &DoorSpec, name: &str| {
        let users = &door.admits.users;
        users.iter().find(|user| *user.name == *name).cloned()
    };
    let knows = match user {
        Some(name) => login(was, name).is_some() && login(was, name) == login(door, name),
        None => door.admits.users.is_empty(),
    };
    knows && door.speaks == was.speaks && (client.is_none() || door.admits.allows(client))
}

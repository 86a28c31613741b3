//! The first datagrams of flows, and what is in the way of more.

use std::sync::Arc;

use pointsman_policy::fact::{Fact, Facts, Network, Provenance};
use pointsman_policy::{Action, Host};

use super::front::Said;
use super::held::{Held, Sender};
use super::kept::{FlowId, Kept, Settled};
use super::nat::Client;
use super::relay::Relay;
use super::room::{Full, Place};
use super::story;
use crate::case::Case;
use crate::door::Door;
use crate::ends::{ClientAddr, Ends};
use crate::ledger::Ticket;
use crate::outbound::Ways;
use crate::record::line::Line;
use crate::record::{End, Fault};

impl Relay {
    /// The first datagram of a flow.
    pub(super) fn begin(
        &mut self,
        client: Client,
        spelled: &[u8],
        payload: &[u8],
        class: Option<u8>,
    ) {
        let now = self.now;
        self.renew();
        let Some(door) = self.generation.door(self.listener).map(Arc::clone) else {
            return;
        };
        let Some((host, port)) = self.front.place(spelled, self.local) else {
            return;
        };
        let limits = &self.generation.spec().datagrams;
        let place = match self.shared.datagrams.enter(client.ip(), limits) {
            Ok(place) => place,
            Err(full) => match self.make_room(client, full) {
                Some(place) => place,
                None => {
                    // A record for each datagram would be the next flood: one a second tells.
                    if self.full.replace(now) != Some(now) {
                        let case = self.case(client, spelled, (host, port), door);
                        self.no_room(full, case);
                    }
                    return;
                }
            },
        };
        let most = self.generation.spec().datagrams.held;
        let held = Arc::new(Held::new(most, &self.shared.holding));
        held.push(payload);
        let case = self.case(client, spelled, (host, port), door);
        self.note_class(&case, class);
        let patience = case.ways.patience() + self.generation.spec().sniff.timeout;
        let kept = Kept {
            held: Some(Arc::clone(&held)),
            carried: None,
            generation: self.generation.number(),
            _place: place,
        };
        // Those who decide and open have limits of their own; this is the fence around them.
        let patience = patience.as_secs().max(1) * 2;
        let flow = self.nat.begin(client, spelled, kept, patience, now);
        let tell = self.tell.clone();
        self.tasks.spawn(async move {
            let leaves = story::decide(case, Sender(held)).await;
            if let Err(unheard) = tell.send(Settled::Decided(flow, leaves)).await
                && let Settled::Decided(_, Some(leaves)) = unheard.0
            {
                leaves.ticket.end(End::ClientGone);
            }
        });
    }

    /// One more of a flow that is refused; what was refused by rules that are not in force any more is decided anew.
    pub(super) fn again(
        &mut self,
        flow: FlowId,
        said: Said<'_>,
        payload: &[u8],
        class: Option<u8>,
    ) {
        let by = self.nat.flow(flow).map(|it| it.kept.generation);
        let now = self.shared.generation().map(|now| now.number());
        if by != now {
            self.end(flow, End::Refused);
            self.begin(said.client, &said.place, payload, class);
        }
    }

    /// One more of a flow that is decided.
    pub(super) fn hold(&self, flow: FlowId, payload: &[u8]) {
        let held = self.nat.flow(flow).and_then(|it| it.kept.held.as_ref());
        if let Some(held) = held {
            held.push(payload);
        }
    }

    /// New flows belong to the generation in force, where that has the door.
    fn renew(&mut self) {
        let Some(now) = self.shared.generation() else {
            return;
        };
        if now.number() != self.generation.number() && now.door(self.listener).is_some() {
            self.generation = now;
        }
    }

    /// What the client asks of the network, where a rule looks at it.
    fn note_class(&self, case: &Case, class: Option<u8>) {
        if !self.generation.reads_dscp(case.door.spec.policy) {
            return;
        }
        // The two lowest bits tell of congestion (RFC 3168).
        let dscp = Fact::from_option(class.map(|class| class >> 2), Provenance::System);
        case.note(|record| record.facts.sought.to_mut().dscp = dscp);
    }

    fn case(
        &self,
        client: Client,
        spelled: &[u8],
        (host, port): (Host, u16),
        door: Arc<Door>,
    ) -> Case {
        let inbound = self.front.inbound(&door.spec, self.local);
        let facts = Facts {
            network: Network::Udp,
            inbound: Fact::Known(inbound, Provenance::Inbound),
            source: Fact::Known(client, Provenance::Inbound),
            destination: Fact::Known(host, Provenance::Request),
            port: Fact::Known(port, Provenance::Request),
            ..Facts::default()
        };
        let mut ticket = Ticket::take(
            &self.shared.flows,
            self.generation.number(),
            Arc::clone(&door.spec.name),
            door.spec.policy.0,
            facts,
        );
        ticket.keep_line(door.log.as_ref().map(Line::new));
        let ends = Ends {
            client: Some(ClientAddr::new(client)),
            local: Some(self.front.asked(spelled, self.local)),
            original: None,
        };
        let ways = Ways::new(Arc::clone(&self.shared), Arc::clone(&self.generation));
        Case::new(ways.asking(door.spec.resolver), door, ends, ticket)
    }

    /// A flow for which nothing came back gives way to a new one.
    fn make_room(&mut self, client: Client, full: Full) -> Option<Place> {
        let of = match full {
            Full::All => None,
            // Nobody makes room for what another has too much of.
            Full::Client => Some(client.ip()),
        };
        let flow = self.nat.oldest_unanswered(of)?;
        let limits = &self.generation.spec().datagrams;
        let why = format!("{}: it gave way to a new one", full.why(limits));
        self.end(flow, End::Failed(Fault::Exhausted, why.into()));
        let limits = &self.generation.spec().datagrams;
        self.shared.datagrams.enter(client.ip(), limits).ok()
    }

    fn no_room(&self, full: Full, case: Case) {
        let why = full.why(&self.generation.spec().datagrams);
        case.note(|record| {
            record.note = why.into();
            record.action = Some(Action::Reject);
        });
        case.end(End::Refused);
    }
}

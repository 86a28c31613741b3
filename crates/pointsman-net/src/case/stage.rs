//! What tests of cases and flows play on: all that flows share, a generation, and one door.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::model::{DomainOrder, OnUnknown, OutboundInfo, OutboundKind};
use pointsman_policy::{Domain, Facts, Node, OutboundId, Policy};
use pointsman_spec::address::Uplink;
use pointsman_spec::asks::AskSpec;
use pointsman_spec::door::{Admission, DoorLimits, DoorSpec, Speaks};
use pointsman_spec::ids::PolicyId;
use pointsman_spec::limits::{DatagramLimits, SniffLimits, Timeouts};
use pointsman_spec::outbound::{Carrier, Kind, Outbound, Refusal};
use tokio::task::yield_now;

use super::Case;
use crate::dial::Dialer;
use crate::door::Door;
use crate::ends::Ends;
use crate::generation::Generation;
use crate::group::Groups;
use crate::ledger::{Rules, Ticket};
use crate::lookup::{Addresses, Answer, Asking, LookingUp, Question, Resolve, Transport};
use crate::outbound::Ways;
use crate::record::FlowRecord;
use crate::resolver::Resolver;
use crate::shared::Shared;
use crate::spec::listening::ListenerId;
use crate::spec::{Bootstrap, Number, Records, Spec};

pub(crate) const DIRECT: OutboundId = OutboundId(0);
pub(crate) const REJECT: OutboundId = OutboundId(1);
pub(crate) const BLACKHOLE: OutboundId = OutboundId(2);

/// Every name has one address, found after so many waits.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) waits: usize,
    pub(crate) address: IpAddr,
}

impl Resolve for Slow {
    fn ask<'a>(&'a self, _: &'a Question, _: &'a dyn Transport) -> Asking<'a> {
        Box::pin(std::future::ready(Answer::Failed("not asked here".into())))
    }

    fn addresses<'a>(&'a self, _: &'a Domain, _: &'a dyn Transport) -> LookingUp<'a> {
        Box::pin(async {
            for _ in 0..self.waits {
                yield_now().await;
            }
            Ok(Addresses::fixed(vec![self.address]))
        })
    }
}

/// What there is besides a flow.
pub(crate) struct Stage {
    pub(crate) shared: Arc<Shared>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) door: Arc<Door>,
}

impl Stage {
    /// A policy of these rules, and who finds names.
    pub(crate) fn of(body: Vec<Node>, names: Slow) -> Self {
        Self::led_to_by(&[], body, names)
    }

    /// The same, where listeners lead to the door.
    pub(crate) fn led_to_by(listeners: &[ListenerId], body: Vec<Node>, names: Slow) -> Self {
        let kinds = [
            ("DIRECT", Kind::Carry(Carrier::Direct(Uplink::default()))),
            ("REJECT", Kind::Refuse(Refusal::Reject)),
            ("BLACKHOLE", Kind::Refuse(Refusal::Blackhole)),
        ];
        let outbounds = kinds.map(|(name, kind)| Outbound {
            name: name.into(),
            kind,
        });
        Self::made(listeners, outbounds.into(), body, names)
    }

    /// The same with these outbounds; the first is the direct one.
    pub(crate) fn with(outbounds: Vec<Outbound>, body: Vec<Node>, names: Slow) -> Self {
        Self::made(&[], outbounds, body, names)
    }

    fn made(
        listeners: &[ListenerId],
        outbounds: Vec<Outbound>,
        body: Vec<Node>,
        names: Slow,
    ) -> Self {
        let infos = outbounds.iter().map(|outbound| OutboundInfo {
            name: Arc::clone(&outbound.name),
            kind: match outbound.kind.action() {
                Some(action) => OutboundKind::Plain(action),
                None => OutboundKind::Group(outbound.kind.members().to_vec()),
            },
            udp: outbound.kind.udp(),
        });
        let policy = Policy {
            name: "main".into(),
            outbounds: infos.collect(),
            direct: DIRECT,
            body: body.into(),
            sets: [].into(),
            zones: Arc::default(),
            databases: Arc::default(),
            domain_order: DomainOrder::Native,
            on_unknown: OnUnknown::Skip,
        };
        let spec = Spec {
            number: Number::default(),
            policies: vec![Arc::new(policy)],
            outbounds,
            inbounds: Vec::new(),
            resolvers: Vec::new(),
            bootstrap: Bootstrap {
                resolver: Arc::new(Resolver::system(&Arc::default())),
                for_outbounds: false,
            },
            server_resolver: Arc::new(names),
            asks: AskSpec::default(),
            sniff: SniffLimits::default(),
            guards: Vec::new(),
            dns: None,
            timeouts: Timeouts {
                blackhole: Duration::from_millis(50),
                ..Timeouts::default()
            },
            datagrams: DatagramLimits::default(),
            records: Records::default(),
        };
        let door = DoorSpec {
            name: "door".into(),
            alias: None,
            listen: Vec::new(),
            policy: PolicyId(0),
            resolver: None,
            admits: Admission::default(),
            speaks: Speaks::Mixed,
            tls: None,
            web_path: None,
            same_family: false,
            limits: DoorLimits::default(),
            access_log: None,
        };
        let door = Arc::new(Door {
            spec: door,
            tls: None,
            log: None,
        });
        let shared = Shared::new(Dialer::default(), || 0);
        let doors = listeners.iter().map(|id| (*id, Arc::clone(&door)));
        let generation = Generation::new(
            spec,
            doors.collect(),
            Groups::default(),
            Rules::default(),
            Vec::new(),
        );
        Self {
            shared: Arc::new(shared),
            generation: Arc::new(generation),
            door,
        }
    }

    pub(crate) fn case(&self, facts: Facts, ends: Ends) -> Case {
        let name = Arc::clone(&self.door.spec.name);
        let ticket = Ticket::take(&self.shared.flows, Number::default(), name, 0, facts);
        let ways = Ways::new(Arc::clone(&self.shared), Arc::clone(&self.generation));
        Case::new(ways, Arc::clone(&self.door), ends, ticket)
    }

    /// The record of the flow that ended last.
    pub(crate) fn last(&self) -> Arc<FlowRecord> {
        self.shared.flows.recent().pop().unwrap()
    }
}

//! How a flow over UDP is decided, and its way out opened: the story of [`crate::flow`] without a connection. What comes
//! after is the [`super::relay`]'s: no task, no timer and no buffer for each flow.
//!
//! Invariant: whatever ends a flow before it is carried, its record says why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Action;
use pointsman_policy::fact::{Network, Protocol};
use pointsman_policy::nowhere::Nowhere;
use pointsman_spec::door::Speaks;
use tokio::time::Instant;

use super::hold_queue::{HoldQueue, Sender};
use crate::case::{Case, Choice, micros};
use crate::group::Watch;
use crate::guest::{Gone, while_here};
use crate::ledger::Ticket;
use crate::outbound::{DatagramTarget, DatagramWay, Destination, DialError, Stay, Ways};
use crate::record::{End, chain};

/// A flow that is to be carried.
#[derive(Debug)]
pub(super) struct DecidedFlow {
    pub(super) ticket: Ticket,
    /// What its client said so far.
    pub(super) held: Arc<HoldQueue>,
    pub(super) ways: Ways,
    pub(super) way: DatagramWay,
    /// Where it goes, as proxies are told.
    pub(super) destination: Destination,
    /// Where it goes from here, with no proxy between.
    pub(super) to: Option<SocketAddr>,
    /// What its first datagrams are.
    pub(super) protocol: Option<Protocol>,
    /// What it occupies.
    pub(super) stay: Stay,
    /// The target that it was given, of a forward.
    pub(super) watch: Option<Watch>,
    /// For how long nothing may go either way, where its door says so.
    pub(super) idle: Option<Duration>,
}

impl DecidedFlow {
    /// The flow ended meanwhile.
    pub(super) fn ended(self) {
        let end = self.held.ended();
        self.ticket.end(end);
    }
}

/// Decides a flow; `None`: it has ended, and its record is filed.
pub(super) async fn decide(mut case: Case, mut guest: Sender) -> Option<Box<DecidedFlow>> {
    let live = Arc::clone(case.ticket.live());
    tokio::select! {
        led = Box::pin(lead(&mut case, &mut guest)) => match led {
            Ok(led) => Some(Box::new(led.with(case, &guest))),
            Err(Over::Gone) => {
                case.end(guest.0.ended());
                None
            }
            Err(Over::Refused) => {
                case.end(End::Refused);
                None
            }
            Err(Over::Failed(error)) => {
                fail(case.ticket, &error);
                None
            }
        },
        () = live.stopped() => None,
    }
}

/// The flow cannot be carried; its record says why.
pub(super) fn fail(ticket: Ticket, error: &DialError) {
    let Some(refused) = error.refused() else {
        return ticket.end(End::Failed(error.fault(), chain(error).into()));
    };
    ticket.note(|record| {
        record.note = refused.into();
        record.action = Some(Action::Reject);
    });
    ticket.end(End::Refused);
}

enum Over {
    Failed(DialError),
    Gone,
    Refused,
}

impl From<Gone> for Over {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<DialError> for Over {
    fn from(error: DialError) -> Self {
        Self::Failed(error)
    }
}

/// Where a decision leads.
struct Led {
    way: DatagramWay,
    destination: Destination,
    to: Option<SocketAddr>,
    stay: Stay,
    watch: Option<Watch>,
}

impl Led {
    fn with(self, mut case: Case, guest: &Sender) -> DecidedFlow {
        let doubt = case.take_doubt();
        let known = case.known();
        let look = known.facts.sought.look.known();
        let protocol = look.map(|look| look.protocol);
        drop(known);
        let Case {
            ways, ticket, door, ..
        } = case;
        let limits = &ways.generation().spec().datagrams;
        let matters = !limits.idle_by_protocol.is_empty();
        // Looked at where a rule asked for it, else where it says how long the flow may be idle.
        let protocol = protocol.or_else(|| matters.then(|| guest.0.protocol()).flatten());
        DecidedFlow {
            ticket,
            held: Arc::clone(&guest.0),
            ways,
            way: self.way,
            destination: self.destination,
            to: self.to,
            protocol,
            stay: self.stay.in_doubt(doubt),
            watch: self.watch,
            idle: door.spec.limits.idle,
        }
    }
}

async fn lead(case: &mut Case, guest: &mut Sender) -> Result<Led, Over> {
    if let Err(refused) = case.note_name() {
        case.undecided(refused.into());
        return Err(Over::Refused);
    }
    let pick = match case.decide(guest).await? {
        Choice::Open(pick) => pick,
        Choice::Refuse(_, why) => {
            case.undecided(why.into());
            return Err(Over::Refused);
        }
    };
    let begun = Instant::now();
    if case.door.spec.speaks == Speaks::Nothing {
        let same_family = case.door.spec.same_family;
        let giving = case
            .ways
            .datagram_target(&pick, &case.ends, same_family, &mut case.ticket);
        let DatagramTarget {
            way,
            destination,
            to,
            stay,
            watch,
        } = while_here(guest, giving).await??;
        let took = micros(begun);
        case.note(|record| record.took.dial_us = took);
        return Ok(Led {
            way,
            destination,
            to,
            stay,
            watch: Some(watch),
        });
    }
    let way = case.ways.datagram_way(&pick)?;
    let destination = case.destination(&pick);
    if !way.is_direct() {
        case.ways.refuse_like_address(&destination)?;
        return Ok(Led {
            way: way.to(&destination, None),
            destination,
            to: None,
            stay: Stay::default(),
            watch: None,
        });
    }
    let to = loop {
        let lent = case.lent();
        let found = while_here(
            guest,
            case.ways
                .datagram_address(&destination, &lent, way.uplink()),
        )
        .await?;
        // Only now that it matters it is asked who the client is, and what the rules name.
        if let Err(DialError::LocalAddress { address }) = &found
            && case.lends(*address)
        {
            continue;
        }
        break found?;
    };
    let nowhere = Nowhere::of(Some(to.ip()), Some(to.port()));
    if let Some(nowhere) =
        nowhere.filter(|it| it.concerns(Network::Udp, || case.is_of_a_stranger()))
    {
        return Err(DialError::Nowhere(nowhere).into());
    }
    let took = micros(begun);
    case.note(|record| record.took.dial_us = took);
    Ok(Led {
        way: way.to(&destination, Some(to)),
        destination,
        to: Some(to),
        stay: Stay::default(),
        watch: None,
    })
}

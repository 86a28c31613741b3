//! What is kept of flows and mappings, and what tasks tell of them that decide and open.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;

use pointsman_os::datagram::Offload;

use super::decide::DecidedFlow;
use super::hold_queue::HoldQueue;
use super::nat::{Client, FlowKey, MappingKey, Nat, Seconds};
use super::quota::{FlowPermit, WayPermit};
use super::readiness::Readiness;
use crate::group::Watch;
use crate::ledger::Ticket;
use crate::outbound::{DatagramWay, DialError, Link, Stay};
use crate::record::Limit;
use crate::spec::Number;

/// How long a flow that was refused, or that failed, goes nowhere before it is decided anew. Long enough that a client
/// that repeats itself does not fill the records; short enough for one who changed the rules.
pub(super) const COOL_DOWN: Seconds = 10;
/// The same where something is broken on its way, or nobody is there: it may be mended by the time that the client asks
/// again.
pub(super) const SHORT_COOL_DOWN: Seconds = 1;

pub(super) type NatTable = Nat<FlowEntry, DatagramWay, MappingEntry>;
pub(super) type FlowId = FlowKey<FlowEntry>;
pub(super) type MappingId = MappingKey<DatagramWay, MappingEntry>;

/// What is kept of a flow.
#[derive(Debug)]
pub(super) struct FlowEntry {
    /// While it is decided.
    pub(super) held: Option<Arc<HoldQueue>>,
    /// From then on; none of one that is refused.
    pub(super) carried: Option<Carried>,
    /// By whose rules it was decided.
    pub(super) generation: Number,
    pub(super) place: FlowPermit,
}

/// What is kept of a flow that is carried.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) ticket: Ticket,
    /// Goes before its answers.
    pub(super) head: Box<[u8]>,
    /// The address of this host that they come from; `None`: the socket's.
    pub(super) from: Option<IpAddr>,
    /// Goes before its datagrams.
    pub(super) lead: Box<[u8]>,
    pub(super) _stay: Stay,
    /// What says for how long it may be idle.
    pub(super) idle_by: Limit,
    /// The target that it was given, as long as it is a forward's.
    pub(super) watch: Option<Watch>,
}

/// What is kept of a mapping.
pub(super) struct MappingEntry {
    pub(super) link: Link,
    pub(super) waker: Waker,
    pub(super) offload: Arc<Offload>,
    /// The flow that has it for itself is answered from wherever the answer comes.
    pub(super) is_own: bool,
    /// What it takes, where it is by servers.
    pub(super) _place: Option<WayPermit>,
    /// What comes back goes to nobody.
    pub(super) one_way: bool,
    /// Connections that the way lives as long as.
    pub(super) controls: Vec<Ending>,
    pub(super) readiness: Readiness,
}

/// Done when a connection has ended.
pub(super) type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A way that is being opened, with the flows that wait for it.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) way: DatagramWay,
    pub(super) number: u64,
    pub(super) waiting: Vec<(FlowId, Box<DecidedFlow>)>,
}

/// A way that was opened, with what it takes where it is by servers.
pub(super) type Linked = (Box<Link>, Option<WayPermit>);

/// What a task came to that this one began.
#[derive(Debug)]
pub(super) enum Settled {
    Decided(FlowId, Option<Box<DecidedFlow>>),
    /// Whose opening it was and its number, how many microseconds it took, and what came of it.
    Linked((Client, u64), u64, Result<Linked, Arc<DialError>>),
}

//! L4 forwards: what comes in at a listener goes to one of a few fixed targets.
//!
//! Invariant: a connection of a forward is a flow like any other: decided by the forward's policy, written down, listed,
//! closed and drained like the rest. It is not looked into unless that policy asks. What must outlive a
//! generation (connections counted, whose turn it is, inherited sockets) is keyed by the forward's name.
//! Absent: TLS, choosing by server name: such a forward is [`ForwardSpec::not_yet`].

mod kept;
mod log;
mod order;
mod target;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::fact::InboundKind;
use pointsman_policy::{Host, OutboundId};

use crate::dial::Dialer;
use crate::generation::InboundSpec;
use crate::inbound::{Arrival, Asked, Payload, Reply};
use crate::relay::Limits;
pub use crate::resolver::Families;
use crate::stream::Stream;

use self::kept::{Connected, Permit, State, Turn};
pub(crate) use self::kept::{Kept, Logs};
pub(crate) use self::log::Line;

/// An L4 forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardSpec {
    /// Its name: of its group of targets too, and the key of what outlives a reload.
    pub name: Arc<str>,
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// Index into [`crate::generation::Spec::policies`]: who may connect, then the group.
    pub policy: usize,
    /// At least one.
    pub targets: Vec<Target>,
    /// How a target is chosen.
    pub balance: Balance,
    /// The most connections at once; 0: any number. Those above are closed at once.
    pub connection_limit: usize,
    /// The longest that a connection may last, from the moment that it is carried.
    pub lifetime: Option<Duration>,
    /// A log of this forward alone: one JSON object a line for each connection, refused ones included.
    pub access_log: Option<PathBuf>,
    /// The target is told the client's address first (PROXY protocol, version 1).
    pub proxy_header: bool,
    /// Targets are reached over the client's family alone; any, for clients of a Unix socket.
    pub same_family: bool,
    /// The longest that nothing may come from the client.
    pub read_timeout: Option<Duration>,
    /// The longest that the client may take nothing while there is something for it.
    pub write_timeout: Option<Duration>,
    /// The longest that no byte may move once one side has ended; `None`:
    /// [`Limits::half_closed`](crate::generation::Limits::half_closed).
    pub half_closed: Option<Duration>,
    /// How many targets a connection tries, each with its own attempts; 0: all.
    pub retry: Retry,
    /// Every connection is refused, for this reason.
    pub not_yet: Option<Arc<str>>,
}

/// How a connection goes on to the next target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The most targets that are tried; 0: all.
    pub targets: usize,
    /// Pause before the second target, doubled before each further one.
    pub pause: Duration,
    /// What that pause grows to at most.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            targets: 0,
            // Another target is not the one that is down: there is nothing to wait for.
            pause: Duration::ZERO,
            // A client waits meanwhile.
            most: Duration::from_secs(1),
        }
    }
}

/// Where a forward listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A listening socket that was handed over: the number of its descriptor.
    Fd(i32),
    /// TCP; port 0 takes a free one.
    Tcp {
        /// A name stands for all its addresses, `::` for all of this host's.
        host: Host,
        /// Port.
        port: u16,
        /// The families that a name and `::` stand for.
        families: Families,
    },
    /// A Unix stream socket, of mode 0660: for the daemon's user and group.
    Unix(PathBuf),
}

/// A target's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// One connection that was handed over: the number of its descriptor. It serves one flow at a time.
    Fd(i32),
    /// TCP.
    Tcp {
        /// Name or address.
        host: Host,
        /// Port.
        port: u16,
    },
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// A target of a forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name: the member in records.
    pub name: Arc<str>,
    /// Where.
    pub address: Address,
    /// The way to it; `None`: plain direct. TCP targets alone have one.
    pub via: Option<OutboundId>,
    /// Attempts to connect; 0 counts as 1.
    pub attempts: u32,
    /// Pause before the second attempt, doubled before each further one.
    pub backoff: Duration,
    /// Limit of one attempt; `None`: [`Limits::dial`](crate::generation::Limits::dial).
    pub connect_timeout: Option<Duration>,
    /// Limit of resolving its name; `None`: [`Limits::resolve`](crate::generation::Limits::resolve).
    pub resolve_timeout: Option<Duration>,
    /// The longest that nothing may come from it.
    pub read_timeout: Option<Duration>,
    /// The longest that it may take nothing while there is something for it.
    pub write_timeout: Option<Duration>,
    /// TCP keepalive, where it is reached without another outbound.
    pub keepalive: Keepalive,
    /// The families over which it is reached.
    pub families: Families,
}

/// TCP keepalive of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keepalive {
    /// Every 15 s.
    #[default]
    Default,
    /// Every so often.
    Every(Duration),
    /// None.
    Off,
}

/// How a forward chooses its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The next one where the one before cannot be reached.
    Failover,
    /// The first.
    #[default]
    None,
    /// Each in turn; the next one where it cannot be reached.
    RoundRobin,
}

/// A forward of one generation.
#[derive(Debug)]
pub(crate) struct Forward {
    spec: ForwardSpec,
    /// As flows see where they came in.
    inbound: Arc<InboundSpec>,
    state: Arc<State>,
    /// For each target what makes its sockets.
    dialers: Vec<Dialer>,
    /// For each target its connection, where it is an inherited one.
    connected: Vec<Option<Arc<Connected>>>,
    log: Option<Arc<crate::record::log::AccessLog>>,
}

impl Forward {
    pub(crate) fn inbound(&self) -> &Arc<InboundSpec> {
        &self.inbound
    }
}

/// As flows see a forward that they came in by; its many addresses stand in its own spec.
fn inbound(spec: &ForwardSpec) -> InboundSpec {
    InboundSpec {
        name: Arc::clone(&spec.name),
        kind: InboundKind::Forward,
        listen: SocketAddr::from(([0, 0, 0, 0], 0)),
        users: Vec::new(),
        alias: Some(Arc::clone(&spec.name)),
        policy: spec.policy,
        resolver: None,
    }
}

/// A flow's visit at a forward, from accept to the relay.
#[derive(Debug)]
pub(crate) struct Visit {
    forward: Arc<Forward>,
    source: Option<SocketAddr>,
    /// The address that the client connected to.
    local: Option<SocketAddr>,
    stay: Stay,
    /// The target that was opened.
    target: usize,
}

/// What a flow of a forward occupies until its end.
#[derive(Debug, Default)]
pub(crate) struct Stay {
    permit: Option<Permit>,
    turn: Option<Turn>,
}

impl Visit {
    pub(crate) fn new(
        forward: Arc<Forward>,
        source: Option<SocketAddr>,
        local: Option<SocketAddr>,
    ) -> Self {
        Self {
            forward,
            source,
            local,
            stay: Stay::default(),
            target: 0,
        }
    }

    /// There is nothing to hear: where it came in says all.
    pub(crate) fn arrive(&self, client: Stream) -> Arrival {
        Arrival {
            client,
            reply: Reply::Nothing,
            payload: Payload::Bytes,
            asked: Asked {
                kind: InboundKind::Forward,
                host: self
                    .local
                    .map(|local| Host::Address(local.ip().to_canonical())),
                port: self.local.map(|local| local.port()),
                user: None,
                alias: Some(Arc::clone(&self.forward.spec.name)),
            },
        }
    }

    /// The limits of the relay, `times` being those of all flows.
    pub(crate) fn limits(&self) -> Limits {
        let spec = &self.forward.spec;
        let target = spec.targets.get(self.target);
        Limits {
            // The plane ends what is quiet for too long.
            idle: None,
            idle_client: spec.read_timeout,
            idle_server: target.and_then(|target| target.read_timeout),
            stalled_client: spec.write_timeout,
            stalled_server: target.and_then(|target| target.write_timeout),
            lifetime: spec.lifetime,
        }
    }

    /// The forward's own limit of a connection of which one side has ended.
    pub(crate) fn half_closed(&self) -> Option<Duration> {
        self.forward.spec.half_closed
    }

    /// What the flow occupies from now on, while it is carried.
    pub(crate) fn stay(mut self) -> Stay {
        self.stay.turn.iter_mut().for_each(Turn::used);
        self.stay
    }
}

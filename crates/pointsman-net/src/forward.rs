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
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;

use crate::dial::Dialer;
use crate::inbound::{Arrival, Asked, Payload, Reply};
use crate::relay::Limits;
use crate::spec::InboundSpec;
use crate::spec::forward::ForwardSpec;
use crate::stream::Stream;

use self::kept::{Connected, Permit, State, Turn};
pub(crate) use self::kept::{Kept, Logs};
pub(crate) use self::log::Line;

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

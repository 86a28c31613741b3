//! A flow's visit at an L4 forward: what comes in at its listener goes to one of a few fixed targets.
//!
//! Invariant: a connection of a forward is a flow like any other: decided by the forward's policy, written down, listed,
//! closed and drained like the rest. It is not looked into unless that policy asks.
//! Absent: TLS, choosing by server name: such a forward is
//! [`not_yet`](crate::spec::forward::ForwardSpec::not_yet).

mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::forward::{Forward, Permit, Turn};
use crate::relay::Limits;

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

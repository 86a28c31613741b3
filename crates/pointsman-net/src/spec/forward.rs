//! L4 forwards: where they listen, their targets, and how one is chosen.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Host, OutboundId};

use super::listening::Listen;
use crate::lookup::Families;

/// An L4 forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardSpec {
    /// Its name: of its group of targets too, and the key of what outlives a reload.
    pub name: Arc<str>,
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// Index into [`super::Spec::policies`]: who may connect, then the group.
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
    /// [`Limits::half_closed`](super::Limits::half_closed).
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
    /// Limit of one attempt; `None`: [`Limits::dial`](super::Limits::dial).
    pub connect_timeout: Option<Duration>,
    /// Limit of resolving its name; `None`: [`Limits::resolve`](super::Limits::resolve).
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

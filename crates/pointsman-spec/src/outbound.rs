//! Ways out, in sorts: what refuses, what chooses, what goes through others, what carries.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Action, OutboundId};

use crate::address::{Server, Uplink};
use crate::login::Credentials;
use crate::target::Target;

/// A way out.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// As the configuration spells it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
}

/// What a way out is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// It carries flows.
    Carry(Carrier),
    /// A group: one of its members.
    Choose(Group),
    /// A type that is not built yet, by its name: refuses every flow.
    NotYet(Arc<str>),
    /// It refuses flows.
    Refuse(Refusal),
    /// A chain: through each hop in turn, nearest first; at least one.
    Through(Vec<OutboundId>),
}

/// How flows are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Silence.
    Blackhole,
    /// The inbound protocol's own refusal.
    Reject,
    /// RST.
    Reset,
}

/// A group: one of its members at a time.
#[derive(Clone, Debug)]
pub struct Group {
    /// At least one.
    pub members: Vec<OutboundId>,
    /// Which of them.
    pub how: How,
}

/// How a group chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Members are tried until one is reached; all of them are targets.
    Balanced(Balancing),
    /// The member that somebody selected; the first until somebody does.
    Selected {
        /// How members that are reached directly leave, where the group says so.
        uplink: Uplink,
    },
}

/// How a group tries its members. What of it outlives a reload is known by the group's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancing {
    /// Which members a flow tries, and in which order.
    pub balance: Balance,
    /// How a flow goes on to the next member.
    pub retry: Retry,
    /// The most flows at once; 0: any number. Those above are refused at once.
    pub connection_limit: usize,
    /// Every flow is refused, for this reason.
    pub not_yet: Option<Arc<str>>,
}

/// Which members a flow tries, and in which order.
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

/// How a flow goes on to the next member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The most members that are tried, each with its own attempts; `None`: all.
    pub targets: Option<NonZeroUsize>,
    /// Pause before the second one, doubled before each further one.
    pub pause: Duration,
    /// What that pause grows to at most.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            targets: None,
            // Another target is not the one that is down: there is nothing to wait for.
            pause: Duration::ZERO,
            // A client waits meanwhile.
            most: Duration::from_secs(1),
        }
    }
}

/// What carries flows.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// From this host.
    Direct(Uplink),
    /// To a place of its own, whatever the flow asks for; for groups that try their members.
    Target(Target),
    /// By a server that is asked to connect.
    Upstream(Upstream),
}

/// A server that is asked to connect to where a flow goes.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it is.
    pub server: Server,
    /// How it is reached.
    pub uplink: Uplink,
    /// What is spoken to it.
    pub protocol: Protocol,
}

/// How a server is asked to connect, with what we say there of ourselves.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// HTTP, by CONNECT.
    HttpConnect(Option<Credentials>),
    /// SOCKS5.
    Socks5(Option<Credentials>),
}

impl Kind {
    /// What it does to a flow; `None` for a group, whose member decides.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::Carry(Carrier::Direct(_) | Carrier::Target(_)) => Some(Action::Direct),
            Self::Carry(Carrier::Upstream(_)) | Self::NotYet(_) | Self::Through(_) => {
                Some(Action::Proxy)
            }
            Self::Choose(_) => None,
            Self::Refuse(refusal) => Some(refusal.action()),
        }
    }
}

impl Refusal {
    fn action(self) -> Action {
        match self {
            Self::Blackhole => Action::Blackhole,
            Self::Reject => Action::Reject,
            Self::Reset => Action::Reset,
        }
    }
}

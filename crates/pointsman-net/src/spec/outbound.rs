//! Ways out, in sorts: what refuses, what chooses, what goes through others, what carries.

use std::sync::Arc;

use pointsman_policy::{Action, Host, OutboundId};

use crate::dial::Uplink;
use crate::login::Login;

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
    /// The targets of a forward, which its own flows alone are given.
    Forward,
    /// A type that is not built yet, by its name: refuses every flow.
    NotYet(Arc<str>),
    /// It refuses flows.
    Refuse(Refusal),
    /// A target of a forward, for its name's sake.
    Target,
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
    /// How members that are reached directly leave, where the group says so.
    pub uplink: Uplink,
}

/// How a group chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// The member that somebody selected; the first until somebody does.
    Selected,
}

/// What carries flows.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// From this host.
    Direct(Uplink),
    /// By a server that is asked to connect.
    Upstream(Upstream),
}

/// A server that is asked to connect to where a flow goes.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name or address.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// How it is reached.
    pub uplink: Uplink,
    /// What is spoken to it.
    pub protocol: Protocol,
}

/// How a server is asked to connect, with what we say there of ourselves.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// HTTP, by CONNECT.
    HttpConnect(Option<Login>),
    /// SOCKS5.
    Socks5(Option<Login>),
}

impl Kind {
    /// What it does to a flow; `None` for a group, whose member decides.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::Carry(Carrier::Direct(_)) | Self::Target => Some(Action::Direct),
            Self::Carry(Carrier::Upstream(_)) | Self::NotYet(_) | Self::Through(_) => {
                Some(Action::Proxy)
            }
            Self::Choose(_) | Self::Forward => None,
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

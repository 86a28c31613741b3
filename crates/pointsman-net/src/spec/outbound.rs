//! Ways out.

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
    /// Silence.
    Blackhole,
    /// Through each hop in turn, nearest first; at least one.
    Chain(Vec<OutboundId>),
    /// From this host.
    Direct(Uplink),
    /// The targets of a forward, which its own flows alone are given.
    Forward,
    /// An HTTP proxy, by CONNECT.
    Http(Upstream),
    /// A type that is not built yet: refuses every flow.
    NotYet {
        /// Its type's name.
        kind: String,
    },
    /// The inbound protocol's own refusal.
    Reject,
    /// RST.
    Reset,
    /// The selected member; the first until somebody selects another.
    Select {
        /// At least one.
        members: Vec<OutboundId>,
        /// How members that are reached directly leave, where the group says so.
        uplink: Uplink,
    },
    /// A SOCKS5 proxy.
    Socks5(Upstream),
    /// A target of a forward, for its name's sake.
    Target,
}

impl Kind {
    /// What it does to a flow; `None` for a group, whose member decides.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::Blackhole => Some(Action::Blackhole),
            Self::Chain(_) | Self::Http(_) | Self::NotYet { .. } | Self::Socks5(_) => {
                Some(Action::Proxy)
            }
            Self::Direct(_) | Self::Target => Some(Action::Direct),
            Self::Reject => Some(Action::Reject),
            Self::Reset => Some(Action::Reset),
            Self::Forward | Self::Select { .. } => None,
        }
    }
}

/// An upstream proxy.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name or address.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// What we say there.
    pub login: Option<Login>,
    /// How it is reached.
    pub uplink: Uplink,
}

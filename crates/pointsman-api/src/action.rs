//! What becomes of a flow, in one word.

use serde::{Deserialize, Serialize};

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Silence.
    Blackhole,
    /// From this host.
    Direct,
    /// The policy does not decide.
    None,
    /// By way of another host.
    Proxy,
    /// The inbound protocol's own refusal.
    Reject,
    /// TCP RST, ICMP unreachable.
    Reset,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

impl Action {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Direct => "direct",
            Self::None => "none",
            Self::Proxy => "proxy",
            Self::Reject => "reject",
            Self::Reset => "reset",
            Self::Unknown => "unknown",
        }
    }
}

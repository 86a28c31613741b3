//! How a flow ended, and which side, limit or step ended it.
//!
//! Invariant: whatever stands in a text here was said by the other side or the system; what is counted, compared and
//! limited by are the closed sets [`Fault`] and [`Limit`].

use std::sync::Arc;

/// How a flow ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides said all.
    Closed,
    /// The client went away before there was anything to carry.
    ClientGone,
    /// The client's request was not understood or not admitted, and why.
    Denied(Arc<str>),
    /// No way out could be opened, or it broke, and why.
    Failed(Fault, Arc<str>),
    /// Refused by the policy, or by no rule at all.
    Refused,
    /// One side reset the connection.
    Reset(Side),
    /// Somebody closed it, or the daemon stopped.
    Stopped(By),
    /// A limit of time was over.
    TimedOut(Limit),
}

/// Who stopped a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// An operator: `flows close`.
    Operator,
    /// A reload, after which nothing listens any more where it came in.
    Reload,
    /// The daemon, which ends.
    Shutdown,
}

/// One of the two whose bytes a flow carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who began it.
    Client,
    /// Where it went, or the proxy before that.
    Target,
}

/// A limit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `timeouts.first_byte`.
    FirstByte,
    /// `half_closed` of `timeouts` or of a forward.
    HalfClosed,
    /// `timeouts.handshake`.
    Handshake,
    /// `timeouts.idle`, or `idle` of a forward.
    Idle,
    /// `lifetime` of a forward.
    Lifetime,
    /// `read_timeout` of a forward: of its clients.
    Read,
    /// `read_timeout` of a target.
    TargetRead,
    /// `write_timeout` of a target.
    TargetWrite,
    /// `udp.idle`.
    UdpIdle,
    /// `udp.idle_by_protocol`.
    UdpIdleByProtocol,
    /// `write_timeout` of a forward: of its clients.
    Write,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The local address to leave by is not there, or all its ports are taken.
    Address,
    /// What the target answered breaks HTTP, or it left in the middle.
    Answer,
    /// The connection to the client broke, other than by a reset.
    Client,
    /// The target's host is there, and does not listen.
    ConnectionRefused,
    /// Too few descriptors or too little memory.
    Exhausted,
    /// No way to the host, or it is not there.
    HostUnreachable,
    /// The proxy wants a login, or another one.
    Login,
    /// Outbounds need each other.
    Loop,
    /// No way to the network.
    NetworkUnreachable,
    /// An outbound of a type that is not built yet.
    NotBuilt,
    /// The system did not let us.
    NotPermitted,
    /// The name to dial has no address, or nobody could say it.
    NotResolved,
    /// An outbound on the way refuses all flows.
    OutboundRefuses,
    /// Another error of the system.
    Other,
    /// The proxy does not speak its protocol, or left while it was asked.
    Proxy,
    /// The proxy could not, or would not, reach the target.
    ProxyRefused,
    /// The connection to the target broke, other than by a reset.
    Target,
    /// No connection within the limit.
    TimedOut,
}

impl End {
    /// It was ended for others: too few descriptors were left.
    pub(crate) fn gave_way() -> Self {
        let why = "few descriptors are left, and its client has most of the connections that carry nothing yet: it gave way to other clients";
        Self::Failed(Fault::Exhausted, why.into())
    }

    /// One word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ClientGone => "client-gone",
            Self::Closed => "closed",
            Self::Denied(_) => "denied",
            Self::Failed(..) => "failed",
            Self::Refused => "refused",
            Self::Reset(_) => "reset",
            Self::Stopped(_) => "stopped",
            Self::TimedOut(Limit::Lifetime) => "lifetime",
            Self::TimedOut(_) => "timeout",
        }
    }

    /// What ended it, in one word: `client`, `target`, `dial`, `operator`, `reload`, `shutdown` or a limit; `None` where it ended in
    /// order, or was not let in.
    #[must_use]
    pub fn by(&self) -> Option<&'static str> {
        match self {
            Self::ClientGone => Some(Side::Client.as_str()),
            Self::Reset(side) => Some(side.as_str()),
            Self::Failed(fault, _) => Some(fault.side().map_or("dial", Side::as_str)),
            Self::TimedOut(limit) => Some(limit.as_str()),
            Self::Stopped(By::Operator) => Some("operator"),
            Self::Stopped(By::Reload) => Some("reload"),
            Self::Stopped(By::Shutdown) => Some("shutdown"),
            Self::Closed | Self::Denied(_) | Self::Refused => None,
        }
    }

    /// What broke, or which limit was over.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Denied(why) | Self::Failed(_, why) => Some(why),
            Self::Reset(Side::Client) => Some("the client reset the connection"),
            Self::Reset(Side::Target) => Some("the target reset the connection"),
            Self::TimedOut(limit) => Some(limit.sentence()),
            Self::Closed | Self::ClientGone | Self::Refused | Self::Stopped(_) => None,
        }
    }
}

impl Side {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Target => "target",
        }
    }
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::FirstByte,
        Self::HalfClosed,
        Self::Handshake,
        Self::Idle,
        Self::Lifetime,
        Self::Read,
        Self::TargetRead,
        Self::TargetWrite,
        Self::UdpIdle,
        Self::UdpIdleByProtocol,
        Self::Write,
    ];

    /// Its word: the key of the configuration that sets it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstByte => "first_byte",
            Self::HalfClosed => "half_closed",
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Lifetime => "lifetime",
            Self::Read => "read_timeout",
            Self::TargetRead => "target_read_timeout",
            Self::TargetWrite => "target_write_timeout",
            Self::UdpIdle => "udp.idle",
            Self::UdpIdleByProtocol => "udp.idle_by_protocol",
            Self::Write => "write_timeout",
        }
    }

    /// What did not come in time.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::FirstByte => "the target did not answer within `first_byte`",
            Self::HalfClosed => "one side had ended, and no byte moved within `half_closed`",
            Self::Handshake => "the client made no request within `handshake`",
            Self::Idle => "no byte moved within `idle`",
            Self::Lifetime => "it lasted as long as its `lifetime`",
            Self::Read => "no byte came from the client within `read_timeout`",
            Self::TargetRead => "no byte came from the target within its `read_timeout`",
            Self::TargetWrite => "the target took no byte within its `write_timeout`",
            Self::UdpIdle => "no datagram went either way within `udp.idle`",
            Self::UdpIdleByProtocol => {
                "no datagram went either way within what `udp.idle_by_protocol` says"
            }
            Self::Write => "the client took no byte within `write_timeout`",
        }
    }
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Address,
        Self::Answer,
        Self::Client,
        Self::ConnectionRefused,
        Self::Exhausted,
        Self::HostUnreachable,
        Self::Login,
        Self::Loop,
        Self::NetworkUnreachable,
        Self::NotBuilt,
        Self::NotPermitted,
        Self::NotResolved,
        Self::OutboundRefuses,
        Self::Other,
        Self::Proxy,
        Self::ProxyRefused,
        Self::Target,
        Self::TimedOut,
    ];

    /// Its word, in kebab-case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "no-local-address",
            Self::Answer => "bad-answer",
            Self::Client => "client-broke",
            Self::ConnectionRefused => "connection-refused",
            Self::Exhausted => "exhausted",
            Self::HostUnreachable => "host-unreachable",
            Self::Login => "proxy-login",
            Self::Loop => "loop",
            Self::NetworkUnreachable => "network-unreachable",
            Self::NotBuilt => "not-built",
            Self::NotPermitted => "not-permitted",
            Self::NotResolved => "not-resolved",
            Self::OutboundRefuses => "outbound-refuses",
            Self::Other => "other",
            Self::Proxy => "proxy-broke",
            Self::ProxyRefused => "proxy-refused",
            Self::Target => "target-broke",
            Self::TimedOut => "connect-timeout",
        }
    }

    /// What it means, without a name or an address.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Address => "the local address is not there, or all its ports are taken",
            Self::Answer => "the target broke its answer off, or it was no HTTP",
            Self::Client => "the connection to the client broke",
            Self::ConnectionRefused => "nothing listens at that address and port",
            Self::Exhausted => "too few descriptors or too little memory is left",
            Self::HostUnreachable => "there is no way to the host, or it is not there",
            Self::Login => "the proxy does not accept our login",
            Self::Loop => "outbounds or look-ups are nested deeper than 12",
            Self::NetworkUnreachable => "there is no route to the network",
            Self::NotBuilt => "an outbound is of a type that is not built yet",
            Self::NotPermitted => {
                "the system did not permit it: a firewall, or a missing capability"
            }
            Self::NotResolved => "the name was not resolved",
            Self::OutboundRefuses => "an outbound on the way refuses all flows",
            Self::Other => "the system could not connect",
            Self::Proxy => {
                "the proxy closed or broke the connection, or did not speak its protocol"
            }
            Self::ProxyRefused => "the proxy could not, or would not, reach the target",
            Self::Target => "the connection to the target broke",
            Self::TimedOut => "no answer in time",
        }
    }

    /// Whose connection broke, where there was one.
    fn side(self) -> Option<Side> {
        match self {
            Self::Client => Some(Side::Client),
            Self::Answer | Self::Target => Some(Side::Target),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_end_says_what_ended_it() {
        let check = |end: End, word, by, error: Option<&str>| {
            assert_eq!((end.as_str(), end.by(), end.error()), (word, by, error));
        };
        check(End::Closed, "closed", None, None);
        check(End::ClientGone, "client-gone", Some("client"), None);
        check(End::Denied("x".into()), "denied", None, Some("x"));
        let dial = End::Failed(Fault::ConnectionRefused, "x".into());
        check(dial, "failed", Some("dial"), Some("x"));
        let broke = End::Failed(Fault::Target, "x".into());
        check(broke, "failed", Some("target"), Some("x"));
        let reset = "the target reset the connection";
        check(
            End::Reset(Side::Target),
            "reset",
            Some("target"),
            Some(reset),
        );
        check(End::Refused, "refused", None, None);
        let operator = Some("operator");
        check(End::Stopped(By::Operator), "stopped", operator, None);
        let shutdown = Some("shutdown");
        check(End::Stopped(By::Shutdown), "stopped", shutdown, None);
        for limit in Limit::ALL {
            let word = match limit {
                Limit::Lifetime => "lifetime",
                _ => "timeout",
            };
            let error = Some(limit.sentence());
            check(End::TimedOut(limit), word, Some(limit.as_str()), error);
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_told_with_the_limit() {
        let limit = pointsman_policy::model::MOST_NESTED;
        let said = format!("outbounds or look-ups are nested deeper than {limit}");
        assert_eq!(Fault::Loop.sentence(), said);
    }

    #[test]
    fn words_are_told_apart() {
        let faults: BTreeSet<_> = Fault::ALL.iter().map(|it| it.as_str()).collect();
        let limits: BTreeSet<_> = Limit::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(
            (faults.len(), limits.len()),
            (Fault::ALL.len(), Limit::ALL.len())
        );
    }
}

//! Conditions: what a rule may ask of a flow. A closed set, matched exhaustively.

use std::ops::RangeInclusive;
use std::sync::Arc;

use regex::Regex;

use crate::address::Prefix;
pub use crate::concerns::Concerns;
use crate::domain::Domain;
use crate::fact::{InboundKind, Need, Network, Protocol};
use crate::ids::{SetId, ZoneId};
pub use crate::number::NumberField;
use crate::pattern::NamePattern;

/// One condition. Evaluated with Kleene's three values, left to right with short circuit.
#[derive(Clone, Debug)]
pub enum Condition {
    /// An address within a prefix.
    Address {
        /// Whose address.
        of: AddressOf,
        /// The range.
        prefix: Prefix,
        /// Whether a named destination is resolved for it.
        asks: Asks,
    },
    /// DST-ADDR-TYPE: what the client asked for, never what it resolved to.
    AddressKind(AddressKind),
    /// What was answered to a query.
    Answer(AnswerTest),
    /// True.
    Always,
    /// All hold.
    And(Vec<Self>),
    /// The destination's autonomous system.
    Asn(u32, Asks),
    /// The destination's country, upper case.
    Country(Arc<str>, Asks),
    /// The flow's domain, in the dialect's order of names.
    Domain(DomainTest),
    /// INBOUND: every part that is given must fit.
    Inbound {
        /// `mixed` fits `http` and `socks5`.
        kind: Option<InboundKind>,
        /// The listening port.
        port: Option<u16>,
        /// The authenticated user.
        user: Option<Arc<str>>,
    },
    /// The transport.
    Network(Network),
    /// A fact that is a number, within a range.
    Number(NumberField, RangeInclusive<u32>),
    /// False.
    Never,
    /// Does not hold.
    Not(Box<Self>),
    /// Any holds.
    Or(Vec<Self>),
    /// A port in one of the ranges, of one transport or of any.
    Port {
        /// Which end's.
        side: Side,
        /// Inclusive; at least one.
        ranges: Vec<RangeInclusive<u16>>,
        /// `443/tcp`.
        network: Option<Network>,
    },
    /// What the first bytes are.
    Protocol(Protocol),
    /// An entry of a rule set holds.
    Set(SetId, Asks),
    /// A text fact passes a test.
    Text(TextField, TextTest),
    /// The destination's address (`Zone::Address`) or the domain belongs to this zone: the most
    /// specific entry over all zones is this zone's.
    Zone(ZoneOf, ZoneId, Asks),
}

impl Condition {
    /// The conditions that it is logic over; none of a test.
    #[must_use]
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::And(parts) | Self::Or(parts) => parts,
            Self::Not(inner) => std::slice::from_ref(&**inner),
            _ => &[],
        }
    }

    /// Whether it is logic over others.
    #[must_use]
    pub fn is_logic(&self) -> bool {
        matches!(self, Self::And(_) | Self::Or(_) | Self::Not(_))
    }

    /// The one transport whose flows a test may hold of, if there is but one; none of logic.
    #[must_use]
    pub fn network(&self) -> Option<Network> {
        match self {
            Self::Network(network) => Some(*network),
            Self::Number(field, _) => field.network(),
            Self::Port { network, .. } => *network,
            Self::Protocol(protocol) => protocol.network(),
            Self::Text(field, _) => field.network(),
            Self::Address { .. }
            | Self::AddressKind(_)
            | Self::Always
            | Self::And(_)
            | Self::Answer(_)
            | Self::Asn(..)
            | Self::Country(..)
            | Self::Domain(_)
            | Self::Inbound { .. }
            | Self::Never
            | Self::Not(_)
            | Self::Or(_)
            | Self::Set(..)
            | Self::Zone(..) => None,
        }
    }

    /// Calls `each` with all tests within it, in order. Nesting is bounded by the readers.
    pub fn each_test<'c>(&'c self, each: &mut impl FnMut(&'c Self)) {
        if self.is_logic() {
            self.parts().iter().for_each(|part| part.each_test(each));
        } else {
            each(self);
        }
    }

    /// Whether a test within it is so.
    pub fn any_test(&self, is: &mut impl FnMut(&Self) -> bool) -> bool {
        match self.is_logic() {
            true => self.parts().iter().any(|part| part.any_test(is)),
            false => is(self),
        }
    }
}

/// Whether a condition on addresses asks for the address of a named destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// It sees an address only where an earlier rule had it resolved.
    Never,
    /// It asks for it.
    Resolve,
}

/// Whose address a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressOf {
    /// The destination's: literal, or resolved.
    Destination,
    /// The client's.
    Source,
    /// The client's or the destination's (LOCAL-IP-CIDR).
    Either,
    /// The address that the flow would leave by (OUT-IP-CIDR).
    Outgoing,
}

/// What kind of destination the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// A name.
    Domain,
    /// An address of either family.
    Ip,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
}

/// Which end of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it goes.
    Destination,
    /// Where it comes from.
    Source,
}

/// Which zones: reflow's `cond domain` and `cond ip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneOf {
    /// The destination's address, in the address zones.
    Address,
    /// The domain, in the name zones.
    Domain,
}

/// A test on an answer to a query; flows, and queries without an answer, have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerTest {
    /// An address in its records is within the range.
    Address(Prefix),
    /// A name that it says the name is another one for is held by the rule set.
    AliasIn(SetId),
    /// ... is this name or below it.
    AliasUnder(Domain),
    /// Its code.
    Code(u16),
    /// It came from the upstream of that name.
    Upstream(Arc<str>),
}

/// A test on the domain.
#[derive(Clone, Debug)]
pub enum DomainTest {
    /// This very name.
    Exact(Domain),
    /// The name holds this text (lower case).
    Keyword(Arc<str>),
    /// The name matches, unanchored.
    Regex(NamePattern),
    /// This name and all below it.
    Suffix(Domain),
}

impl DomainTest {
    /// Whether this name passes. Allocates nothing.
    #[must_use]
    pub fn holds(&self, name: &Domain) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Keyword(word) => name.as_str().contains(&**word),
            Self::Regex(regex) => regex.is_match(name),
            Self::Suffix(suffix) => name.is_within(suffix),
        }
    }
}

/// A fact that is a text (or several, of which one must pass).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// An ALPN protocol that the TLS client offers.
    Alpn,
    /// The process's cgroup path.
    Cgroup,
    /// The process's command line.
    CommandLine,
    /// The name in the first bytes of plain HTTP: the `Host` header, without its port.
    HttpHost,
    /// The inbound's name.
    InboundName,
    /// The HTTP method.
    Method,
    /// A parent's or further ancestor's name.
    ParentName,
    /// The process's name.
    ProcessName,
    /// The process's path.
    ProcessPath,
    /// The server name in a TLS or QUIC hello (RFC 6066, 3).
    ServerName,
    /// The software in the SSH banner.
    SshSoftware,
    /// The process's tag.
    Tag,
    /// The process's systemd unit.
    Unit,
    /// The process's user.
    User,
    /// The HTTP User-Agent.
    UserAgent,
}

impl TextField {
    /// Whom a condition on it asks; `None`: it is known at accept.
    #[must_use]
    pub fn need(self) -> Option<Need> {
        match self {
            Self::Alpn
            | Self::HttpHost
            | Self::Method
            | Self::ServerName
            | Self::SshSoftware
            | Self::UserAgent => Some(Need::Sniff),
            Self::InboundName => None,
            Self::Cgroup
            | Self::CommandLine
            | Self::ParentName
            | Self::ProcessName
            | Self::ProcessPath
            | Self::Tag
            | Self::Unit
            | Self::User => Some(Need::Owner),
        }
    }

    /// The transport over which alone there is such a text, if that is one alone.
    #[must_use]
    pub fn network(self) -> Option<Network> {
        match self {
            Self::HttpHost | Self::Method | Self::SshSoftware | Self::UserAgent => {
                Some(Network::Tcp)
            }
            Self::Alpn
            | Self::Cgroup
            | Self::CommandLine
            | Self::InboundName
            | Self::ParentName
            | Self::ProcessName
            | Self::ProcessPath
            | Self::ServerName
            | Self::Tag
            | Self::Unit
            | Self::User => None,
        }
    }
}

/// A test on a text.
#[derive(Clone, Debug)]
pub enum TextTest {
    /// policy-router's application patterns: the base names are equal, `\` counting as `/`, trimmed,
    /// ASCII case ignored. Holds the pattern already so folded.
    AppName(Arc<str>),
    /// Equal.
    Exact(Arc<str>),
    /// Equal, ASCII case ignored.
    ExactIgnoreCase(Arc<str>),
    /// Contains.
    Keyword(Arc<str>),
    /// Contains, ASCII case ignored; holds the keyword in lower case.
    KeywordIgnoreCase(Arc<str>),
    /// Matches, unanchored.
    Regex(Regex),
}

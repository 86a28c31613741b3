//! Classes: the facts that rules look at, as an index tells them apart.
//!
//! Invariant: at one moment of a walk all conditions of a class fare alike: all must be asked for, all are absent,
//! all are broken, or all see one value.

use crate::condition::{Asks, TextField};
use crate::fact::Network;

/// A fact that a condition looks at, and under which circumstances it may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    AddressKind,
    Asn(Asks),
    Country(Asks),
    Destination(Asks),
    Domain,
    Inbound,
    Network,
    Outgoing,
    Port,
    /// By the transport that they are told over alone.
    Protocol(Option<Network>),
    Source,
    SourcePort,
    Text(TextField),
}

/// How many classes there are at most.
pub(crate) const MOST: usize = 32;

/// A set of classes.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes(Vec<Class>);

impl Class {
    /// From 0 to [`MOST`].
    pub(super) fn number(self) -> usize {
        match self {
            Self::AddressKind => 0,
            Self::Asn(Asks::Never) => 1,
            Self::Asn(Asks::Resolve) => 2,
            Self::Country(Asks::Never) => 3,
            Self::Country(Asks::Resolve) => 4,
            Self::Destination(Asks::Never) => 5,
            Self::Destination(Asks::Resolve) => 6,
            Self::Domain => 7,
            Self::Inbound => 8,
            Self::Network => 9,
            Self::Outgoing => 10,
            Self::Port => 11,
            Self::Protocol(None) => 12,
            Self::Protocol(Some(Network::Tcp)) => 30,
            // No protocol is told over ICMP.
            Self::Protocol(Some(Network::Icmp | Network::Udp)) => 31,
            Self::Source => 13,
            Self::SourcePort => 14,
            Self::Text(field) => 15 + field as usize,
        }
    }

    /// Whether it depends on the address of a named destination.
    pub(crate) fn is_of_address(self) -> bool {
        matches!(self, Self::Asn(_) | Self::Country(_) | Self::Destination(_))
    }

    /// Whether a condition of it may ask, or may have an address resolved for the rules below.
    ///
    /// The destination where nobody asks for it is none of them: once a rule had it resolved, it is settled.
    pub(super) fn may_ask(self) -> bool {
        match self {
            Self::Asn(_)
            | Self::Country(_)
            | Self::Destination(Asks::Resolve)
            | Self::Domain
            | Self::Outgoing
            | Self::Protocol(_) => true,
            Self::AddressKind
            | Self::Destination(Asks::Never)
            | Self::Inbound
            | Self::Network
            | Self::Port
            | Self::Source
            | Self::SourcePort
            | Self::Text(TextField::InboundName) => false,
            Self::Text(_) => true,
        }
    }
}

impl Classes {
    pub(super) fn of(class: Class) -> Self {
        Self(vec![class])
    }

    pub(super) fn add(&mut self, class: Class) {
        if !self.0.contains(&class) {
            self.0.push(class);
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        for class in other.each() {
            self.add(class);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn each(&self) -> impl Iterator<Item = Class> {
        self.0.iter().copied()
    }

    /// Whether all of these are among `one` or `other` too.
    pub(super) fn within(&self, one: &Self, other: &Self) -> bool {
        self.each()
            .all(|class| one.0.contains(&class) || other.0.contains(&class))
    }
}

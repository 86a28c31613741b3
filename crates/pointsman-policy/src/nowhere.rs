//! Destinations that no flow is taken to, whatever its rules say.
//!
//! Invariant: a plain function of address and port, the same for whoever carries flows and whoever explains them.
//! Absent: the unspecified address, which leads to this host ([`loopback_of`](crate::local::loopback_of)).

use std::fmt;
use std::net::IpAddr;

use crate::fact::Network;
use crate::refused::{Refused, Refuser};

/// Why a flow leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nowhere {
    /// `255.255.255.255` is everybody.
    Broadcast(IpAddr),
    /// A group of hosts.
    Multicast(IpAddr),
    /// Port 0 is nobody's (RFC 6335 §6).
    NoPort,
}

impl Nowhere {
    /// Whether a flow to `address` and `port` leads nowhere, as far as they are known.
    #[must_use]
    pub fn of(address: Option<IpAddr>, port: Option<u16>) -> Option<Self> {
        if port == Some(0) {
            return Some(Self::NoPort);
        }
        let address = address?.to_canonical();
        if address.is_multicast() {
            return Some(Self::Multicast(address));
        }
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        broadcast.then_some(Self::Broadcast(address))
    }

    /// As a refusal.
    #[must_use]
    pub fn refused(self) -> Refused {
        Refused::new(Refuser::NoDestination, self)
    }

    /// Whether that holds for a flow over `network`. Datagrams may go to groups, but not those of a client of another
    /// host: the groups on this host's links are no more its own than the addresses there.
    #[must_use]
    pub fn concerns(self, network: Network, is_of_a_stranger: impl FnOnce() -> bool) -> bool {
        match (network, self) {
            (Network::Tcp, _) | (_, Self::NoPort) => true,
            (Network::Icmp | Network::Udp, Self::Broadcast(_) | Self::Multicast(_)) => {
                is_of_a_stranger()
            }
        }
    }
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broadcast(address) => write!(f, "{address} is the broadcast address"),
            Self::Multicast(address) => write!(f, "{address} is a multicast address"),
            Self::NoPort => f.write_str("nothing listens on port 0"),
        }
    }
}

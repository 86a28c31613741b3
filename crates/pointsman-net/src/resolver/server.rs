//! Name servers, as a configuration names them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_policy::OutboundId;

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NameServer {
    /// A kind that is not built yet: look-ups that come to it fail with this text.
    NotYet(String),
    /// Those that the system is configured with, its hosts file before them.
    System,
    /// DNS over TCP.
    Tcp(Place),
    /// DNS over UDP, TCP where an answer is cut short. Through a proxy it is DNS over TCP.
    Udp(Place),
}

impl NameServer {
    /// The outbound by which it is asked.
    pub(super) fn via(&self) -> Option<OutboundId> {
        match self {
            Self::Tcp(place) | Self::Udp(place) => place.via,
            Self::NotYet(_) | Self::System => None,
        }
    }

    /// The same server, whatever the way to it.
    pub(super) fn without_way(&self) -> Self {
        let bare = |place: &Place| Place {
            via: None,
            ..place.clone()
        };
        match self {
            Self::Tcp(place) => Self::Tcp(bare(place)),
            Self::Udp(place) => Self::Udp(bare(place)),
            Self::NotYet(_) | Self::System => self.clone(),
        }
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet(what) => f.write_str(what),
            Self::System => f.write_str("the system"),
            Self::Tcp(place) => write!(f, "tcp {place}"),
            Self::Udp(place) => write!(f, "udp {place}"),
        }
    }
}

/// Where a name server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Address and port.
    pub address: SocketAddr,
    /// The interface that a link-local address is on, by name or number.
    pub interface: Option<Arc<str>>,
    /// The way to it.
    pub via: Option<OutboundId>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(
                f,
                "[{}%{interface}]:{}",
                self.address.ip(),
                self.address.port()
            ),
            None => write!(f, "{}", self.address),
        }
    }
}

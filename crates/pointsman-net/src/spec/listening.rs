//! What is listened on.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::fact::InboundKind;

/// A listener, over generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub(crate) u64);

/// Something that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The listener.
    pub(crate) id: ListenerId,
    /// The inbound's or forward's name.
    pub name: Arc<str>,
    /// What the inbound speaks; `Forward` for a forward.
    pub kind: InboundKind,
    /// What its clients speak below that, in a URL's word: `tls`, `https`; `None`: nothing else.
    pub scheme: Option<&'static str>,
    /// Where, with the port that port 0 got.
    pub at: At,
    /// The address at which it is reached, also where its socket was handed over; `None`: not by TCP.
    pub reached: Option<SocketAddr>,
}

impl Listening {
    /// The address as people are told it: `https://127.0.0.1:443`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.scheme {
            Some(scheme) => format!("{scheme}://{}", self.at),
            None => self.at.to_string(),
        }
    }
}

/// An address that can be listened on: `127.0.0.1:5432`, `udp://127.0.0.1:53`, `unix:/run/x.sock`, `fd:3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// An inherited descriptor.
    Fd(i32),
    /// TCP.
    Tcp(SocketAddr),
    /// UDP.
    Udp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

impl At {
    /// The address, where it is TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Fd(_) | Self::Udp(_) | Self::Unix(_) => None,
        }
    }

    /// The address, of either transport.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Some(*address),
            Self::Fd(_) | Self::Unix(_) => None,
        }
    }

    /// Whether it is of datagrams.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }

    /// The address, where both are of one transport: what listens there may be in the way of the other.
    pub(crate) fn beside(&self, other: &Self) -> Option<SocketAddr> {
        self.address().filter(|_| self.is_udp() == other.is_udp())
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fd(number) => write!(f, "fd:{number}"),
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

//! Doors: what flows meet where they come in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Prefix;
use pointsman_policy::fact::InboundKind;

use crate::address::{Endpoint, Families};
use crate::ids::{PolicyId, ResolverId};
use crate::login::User;
use crate::tls::TlsServer;

/// An inbound: where it listens, whom it admits, what it speaks, and who decides on what came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorSpec {
    /// Its name.
    pub name: Arc<str>,
    /// What conditions see as its name where the user brings none.
    pub alias: Option<Arc<str>>,
    /// Where it listens; port 0 takes a free one.
    pub listen: Vec<Listen>,
    /// Which policy decides on its flows.
    pub policy: PolicyId,
    /// Resolves what its policy asks for; `None`: the resolver for servers.
    pub resolver: Option<ResolverId>,
    /// Who may come in.
    pub admits: Admission,
    /// How a client says where it wants to go.
    pub speaks: Speaks,
    /// It speaks so within TLS.
    pub tls: Option<Arc<TlsServer>>,
    /// Queries come by HTTP, at this path (RFC 8484); `None`: one behind the other (RFC 7766, RFC 7858).
    pub web_path: Option<Arc<str>>,
    /// Targets are reached over the client's family alone; any, for clients of a Unix socket.
    pub same_family: bool,
    /// How long its flows may last, and be quiet.
    pub limits: DoorLimits,
    /// A log of this door alone: one JSON object a line for each connection, refused ones included.
    pub access_log: Option<PathBuf>,
}

/// How long the flows of a door may last, and be quiet, beside what holds for all ([`Timeouts`](crate::limits::Timeouts)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorLimits {
    /// The longest that a connection may last, from the moment that it is carried.
    pub lifetime: Option<Duration>,
    /// The longest that nothing may come from the client.
    pub read_timeout: Option<Duration>,
    /// The longest that the client may take nothing while there is something for it.
    pub write_timeout: Option<Duration>,
    /// The longest that nothing may go either way; `None`: [`Timeouts::idle`](crate::limits::Timeouts::idle), over UDP
    /// [`DatagramLimits::idle`](crate::limits::DatagramLimits::idle).
    pub idle: Option<Duration>,
    /// The longest that no byte may move once one side has ended; `None`:
    /// [`Timeouts::half_closed`](crate::limits::Timeouts::half_closed).
    pub half_closed: Option<Duration>,
}

/// Who may come in, before the policy is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Those who log in; empty: anybody who reaches it.
    pub users: Vec<User>,
    /// From where one may log in; `None`: from anywhere. That others are refused is the policy's to say.
    pub allow: Option<Vec<Prefix>>,
}

impl Admission {
    /// Whether a login from there is of any use.
    #[must_use]
    pub fn allows(&self, client: Option<SocketAddr>) -> bool {
        self.allow.as_ref().is_none_or(|allow| {
            let client = client.map(|client| client.ip().to_canonical());
            client.is_some_and(|client| allow.iter().any(|it| it.contains(client)))
        })
    }
}

/// How a client says where it wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// DNS: queries, which are no flows. They are decided on by the policy of [`crate::dns::DnsSpec`].
    Dns,
    /// HTTP: CONNECT, and plain requests.
    Http,
    /// HTTP and SOCKS, told apart by the first byte.
    Mixed,
    /// Nothing: what the client connected to says all.
    Nothing,
    /// SOCKS 5, 4a and 4.
    Socks,
}

impl Speaks {
    /// As listeners are listed.
    #[must_use]
    pub fn kind(self) -> InboundKind {
        match self {
            Self::Dns => InboundKind::Dns,
            Self::Http => InboundKind::Http,
            Self::Mixed => InboundKind::Mixed,
            Self::Nothing => InboundKind::Forward,
            Self::Socks => InboundKind::Socks5,
        }
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// TCP takes a free port for 0; a name stands for all its addresses, `::` for all of this host's. A Unix stream
    /// socket is of mode 0660: for the daemon's user and group.
    pub at: Endpoint,
    /// The families that a name and `::` stand for.
    pub families: Families,
}

impl From<Endpoint> for Listen {
    /// A name and `::` stand for addresses of both families.
    fn from(at: Endpoint) -> Self {
        Self {
            at,
            families: Families::default(),
        }
    }
}

impl From<SocketAddr> for Listen {
    /// An address; `::` stands for all of both families.
    fn from(address: SocketAddr) -> Self {
        Endpoint::from(address).into()
    }
}

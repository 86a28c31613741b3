//! Resolvers: which name servers are asked for which names.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Domain, Host, OutboundId};

use crate::address::{Families, Server};

/// What a resolver is made of. Where none of the servers answers a look-up fails; it never falls back to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolverSpec {
    /// Who is asked; at least one.
    pub servers: Servers,
    /// Names with fixed addresses: exact, or with all names below (`true`).
    pub hosts: Vec<(Domain, bool, IpAddr)>,
    /// Names with servers of their own: exact, or with all names below (`true`); most specific first.
    pub by_domain: Vec<(Domain, bool, Servers)>,
    /// Which families are asked for, and whose addresses come first.
    pub families: Families,
}

impl ResolverSpec {
    /// The addresses that the configuration itself gives a name.
    pub fn fixed(&self, name: &Domain) -> impl Iterator<Item = IpAddr> {
        let own = self.hosts.iter();
        own.filter(|(known, below, _)| fits(name, known, *below))
            .map(|(_, _, address)| *address)
    }

    /// The servers that are asked for a name.
    #[must_use]
    pub fn servers_for(&self, name: &Domain) -> &Servers {
        let mut own = self.by_domain.iter();
        let own = own.find(|(known, below, _)| fits(name, known, *below));
        own.map_or(&self.servers, |(_, _, servers)| servers)
    }
}

fn fits(name: &Domain, known: &Domain, below: bool) -> bool {
    match below {
        true => name.is_within(known),
        false => name == known,
    }
}

/// Name servers that are asked for the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// In the order written.
    pub list: Vec<NameServer>,
    /// Who of them is asked when.
    pub turns: Turns,
    /// How long a connection to one of them may rest; zero: it ends with the last question.
    pub reuse: Duration,
}

/// Who of several name servers is asked when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turns {
    /// The next one when the one before failed or is silent.
    #[default]
    Order,
    /// All at once; the first good answer counts.
    Race,
    /// All at once now and then, and between who was first before the others.
    Fastest,
}

impl Servers {
    /// How long a connection rests where nothing is said: servers close theirs after 10 to 60 s.
    pub const REUSE: Duration = Duration::from_secs(30);
}

impl Default for Servers {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl From<Vec<NameServer>> for Servers {
    fn from(list: Vec<NameServer>) -> Self {
        Self {
            list,
            turns: Turns::default(),
            reuse: Self::REUSE,
        }
    }
}

impl<'a> IntoIterator for &'a Servers {
    type Item = &'a NameServer;
    type IntoIter = std::slice::Iter<'a, NameServer>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl<const N: usize> PartialEq<[NameServer; N]> for Servers {
    /// Whether they are these in that order, however they are asked.
    fn eq(&self, other: &[NameServer; N]) -> bool {
        self.list == other
    }
}

impl Deref for Servers {
    type Target = [NameServer];

    fn deref(&self) -> &[NameServer] {
        &self.list
    }
}

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NameServer {
    /// DNS over HTTPS (RFC 8484).
    Https(Arc<Encrypted>),
    /// A kind that is not built yet (DoQ, DHCP): look-ups that come to it fail with this text.
    NotYet(String),
    /// Those that the system is configured with, its hosts file before them.
    System,
    /// DNS over TCP.
    Tcp(Place),
    /// DNS over TLS (RFC 7858).
    Tls(Arc<Encrypted>),
    /// DNS over UDP, TCP where an answer is cut short. Through a proxy it is DNS over TCP.
    Udp(Place),
}

impl NameServer {
    /// The outbound by which it is asked.
    #[must_use]
    pub fn via(&self) -> Option<OutboundId> {
        match self {
            Self::Https(at) | Self::Tls(at) => at.via,
            Self::Tcp(place) | Self::Udp(place) => place.via,
            Self::NotYet(_) | Self::System => None,
        }
    }

    /// The same server, whatever the way to it.
    #[must_use]
    pub fn without_way(&self) -> Self {
        let bare = |place: &Place| Place {
            via: None,
            ..place.clone()
        };
        let unled = |at: &Encrypted| {
            Arc::new(Encrypted {
                via: None,
                ..at.clone()
            })
        };
        match self {
            Self::Https(at) => Self::Https(unled(at)),
            Self::Tls(at) => Self::Tls(unled(at)),
            Self::Tcp(place) => Self::Tcp(bare(place)),
            Self::Udp(place) => Self::Udp(bare(place)),
            Self::NotYet(_) | Self::System => self.clone(),
        }
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https(at) => write!(f, "https {}{}", at.server, at.path),
            Self::NotYet(what) => f.write_str(what),
            Self::System => f.write_str("the system"),
            Self::Tcp(place) => write!(f, "tcp {place}"),
            Self::Tls(at) => write!(f, "tls {}", at.server),
            Self::Udp(place) => write!(f, "udp {place}"),
        }
    }
}

/// A name server that is asked within TLS: where it is, and how it proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Encrypted {
    /// As it is written: name or address, and port.
    pub server: Server,
    /// Where a name is; empty: where bootstrap says.
    pub addresses: Vec<IpAddr>,
    /// What its certificate has to be for.
    pub name: Host,
    /// Who is believed about that.
    pub authorities: Authorities,
    /// Of HTTPS: the path of the URL, which begins with a slash.
    pub path: Arc<str>,
    /// The way to it.
    pub via: Option<OutboundId>,
}

impl Encrypted {
    /// A server that proves to be what it is called, by the word of the system's authorities, and is reached by the host's
    /// own routes.
    #[must_use]
    pub fn at(server: Server, path: Arc<str>) -> Self {
        Self {
            name: server.host.clone(),
            server,
            addresses: Vec::new(),
            authorities: Authorities::System,
            path,
            via: None,
        }
    }

    /// The name that has to be looked up before it is reached.
    #[must_use]
    pub fn name_to_look_up(&self) -> Option<&Domain> {
        self.server
            .host
            .name()
            .filter(|_| self.addresses.is_empty())
    }
}

/// Whose certificates count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorities {
    /// Those of the system.
    #[default]
    System,
    /// These and no others, in PEM.
    Given(Arc<[u8]>),
}

impl Hash for Authorities {
    // Two that differ seldom have the same length, and a bundle is long.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let length = match self {
            Self::System => None,
            Self::Given(pem) => Some(pem.len()),
        };
        length.hash(state);
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

impl Place {
    /// A server that is reached by the host's own routes.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            interface: None,
            via: None,
        }
    }

    /// Whether nobody can tell where it is: a link-local address is on every link, and none is named.
    #[must_use]
    pub fn lacks_interface(&self) -> bool {
        let SocketAddr::V6(address) = self.address else {
            return false;
        };
        let named = self.interface.is_some() || address.scope_id() != 0 || self.via.is_some();
        address.ip().is_unicast_link_local() && !named
    }
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

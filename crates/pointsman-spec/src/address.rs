//! Where something is, and by which link and family it is reached.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use pointsman_policy::Host;

/// A server by name or address, and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Name or address.
    pub host: Host,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// Where flows come in, or where they go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A descriptor that was handed over, by its number: one that listens, or one connection, which serves one flow at a
    /// time.
    Fd(i32),
    /// TCP.
    Tcp(Server),
    /// UDP.
    Udp(Server),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Whether it is of datagrams, and of no stream.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }
}

impl fmt::Display for Endpoint {
    /// As configurations have it; TCP, the usual one, without the word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fd(number) => write!(f, "fd://{number}"),
            Self::Tcp(server) => server.fmt(f),
            Self::Udp(server) => write!(f, "udp://{server}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(Server {
            host: Host::Address(address.ip()),
            port: address.port(),
        })
    }
}

/// Which address families are asked for or taken, and whose addresses come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// IPv4 alone (A).
    Ipv4Only,
    /// IPv6 alone (AAAA).
    Ipv6Only,
    /// Both, IPv4 first.
    #[default]
    PreferIpv4,
    /// Both, IPv6 first.
    PreferIpv6,
}

impl Families {
    /// The addresses in this order, without those that are not wanted.
    #[must_use]
    pub fn ordered(self, v4: Vec<IpAddr>, v6: Vec<IpAddr>) -> Vec<IpAddr> {
        match self {
            Self::Ipv4Only => v4,
            Self::Ipv6Only => v6,
            Self::PreferIpv4 => [v4, v6].concat(),
            Self::PreferIpv6 => [v6, v4].concat(),
        }
    }
}

/// By which link sockets leave this host; the default leaves it to the routing table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Uplink {
    /// The interface's name.
    pub interface: Option<String>,
    /// The source address; its family must be that of the destination. Without `interface` the socket leaves by the
    /// interface that owns it, unless that is the loopback or a routing rule is on it.
    pub source: Option<IpAddr>,
    /// A mark which routing rules may look at; needs privilege.
    pub mark: Option<u32>,
}

/// `wg0`, `wg0 10.0.0.1`, `mark 7`; `default` where the routing table says.
impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            interface,
            source,
            mark,
        } = self;
        let parts = [
            interface.clone(),
            source.map(|source| source.to_string()),
            mark.map(|mark| format!("mark {mark}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => f.write_str("default"),
            false => f.write_str(&parts.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uplinks_are_named_by_what_is_said_of_them() {
        let named = |interface: Option<&str>, source: Option<[u8; 4]>, mark| {
            let (interface, source) = (interface.map(str::to_owned), source.map(IpAddr::from));
            let uplink = Uplink {
                interface,
                source,
                mark,
            };
            uplink.to_string()
        };
        assert_eq!(named(None, None, None), "default");
        assert_eq!(
            named(Some("wg0"), Some([10, 0, 0, 1]), None),
            "wg0 10.0.0.1"
        );
        assert_eq!(named(None, None, Some(7)), "mark 7");
    }

    #[test]
    fn addresses_come_in_the_order_that_is_preferred() {
        let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = (vec![[1; 4].into()], vec![[1; 16].into()]);
        let ordered = |families: Families| families.ordered(v4.clone(), v6.clone());
        assert_eq!(ordered(Families::Ipv4Only), v4);
        assert_eq!(ordered(Families::Ipv6Only), v6);
        assert_eq!(ordered(Families::PreferIpv4), [v4[0], v6[0]]);
        assert_eq!(ordered(Families::PreferIpv6), [v6[0], v4[0]]);
    }
}

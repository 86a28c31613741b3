//! The addresses of a connection that came in, each by its role.
//!
//! Invariant: an address has one role, and its type says which; one cannot be handed over for another. A role that the
//! connection does not have (a local stream's, that of a capture) is `None`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The client's own address. An IPv4 address is one, however the socket spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddr(SocketAddr);

impl ClientAddr {
    /// As the socket tells it.
    pub fn new(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The address itself.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// The address of ours at which the connection arrived. An IPv4 address is one, however the socket spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalAddr(SocketAddr);

impl LocalAddr {
    /// As the socket tells it.
    pub fn new(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The address itself.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// The address that the client connected to, where the connection was captured on its way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginalDst(SocketAddr);

impl OriginalDst {
    /// As the capture tells it.
    pub fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    /// The address itself.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// Both ends of a connection that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The client's; none for a local stream.
    pub client: Option<ClientAddr>,
    /// Ours; none for a local stream.
    pub local: Option<LocalAddr>,
    /// Where the client meant to go; none where it connected to us.
    pub original: Option<OriginalDst>,
}

impl Ends {
    /// The client's address, and the far end as the client's own socket has it: for questions to the system and to
    /// whoever made the connection.
    pub(crate) fn of_client(&self) -> Option<(SocketAddr, SocketAddr)> {
        let original = self.original.map(OriginalDst::get);
        let far = original.or_else(|| self.local.map(LocalAddr::get))?;
        Some((self.client?.get(), far))
    }
}

impl Ends {
    /// By what the client is counted, where it has an address.
    pub(crate) fn counted(&self) -> Option<IpAddr> {
        let (client, here) = self.client.zip(self.local)?;
        Some(counted(client.get().ip(), here.get().ip()))
    }
}

/// By what a client is counted that talks to an address of this host: a host gets a /64 of IPv6, and may take any address
/// in it. Those of the same link share one, and are told apart, as are programs of this host.
pub(crate) fn counted(client: IpAddr, here: IpAddr) -> IpAddr {
    let IpAddr::V6(address) = client.to_canonical() else {
        return client.to_canonical();
    };
    let network = |address: Ipv6Addr| u128::from(address) >> 64;
    let is_near = matches!(here, IpAddr::V6(here) if network(here) == network(address));
    if is_near || address.is_loopback() || address.is_unicast_link_local() {
        return address.into();
    }
    Ipv6Addr::from(network(address) << 64).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv4_is_one_however_the_socket_spells_it() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let local = LocalAddr::new(at("[::ffff:192.0.2.1]:80"));
        assert_eq!(local.get(), at("192.0.2.1:80"));
    }

    #[test]
    fn a_captured_client_is_connected_to_where_it_meant_to_go() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut ends = Ends {
            client: Some(ClientAddr::new(at("[::ffff:192.0.2.7]:5000"))),
            local: Some(LocalAddr::new(at("127.0.0.1:9000"))),
            original: None,
        };
        let client = at("192.0.2.7:5000");
        assert_eq!(ends.of_client(), Some((client, at("127.0.0.1:9000"))));
        ends.original = Some(OriginalDst::new(at("198.51.100.1:443")));
        assert_eq!(ends.of_client(), Some((client, at("198.51.100.1:443"))));
        ends.client = None;
        assert_eq!(ends.of_client(), None);
    }
}

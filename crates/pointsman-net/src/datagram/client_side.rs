//! The clients' side of a relay: whose datagrams are taken, which place they are for, and how they are answered.
//!
//! Invariant: what came to a forward is answered from the address that it was sent to.

mod associated;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Deref;
use std::sync::Arc;

use pointsman_os::socket::is_own_address;
use pointsman_policy::Host;
use pointsman_policy::fact::Inbound;
use pointsman_spec::door::DoorSpec;
use pointsman_spec::limits::Filtering;

pub(super) use self::associated::{Associated, relayed, write_head};
use super::nat::Client;
use crate::ends::LocalAddr;

/// Whose datagrams a relay takes.
#[derive(Debug)]
pub(super) enum ClientSide {
    /// One client's, which asked for it as a flow of that inbound.
    Association(Associated, Inbound),
    /// Everybody's: the place that they are for is the forward's.
    Forward,
}

/// A datagram of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientDatagram<'a> {
    pub(super) client: Client,
    /// The place that it is for, as the client spells it.
    pub(super) place: Spelled<'a>,
    /// How many bytes come before what is to be carried.
    pub(super) skip: usize,
}

/// A place as a client spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelled<'a> {
    /// As in a header of SOCKS.
    Bytes(&'a [u8]),
    /// The address of this host that it sends to.
    Asked([u8; 16]),
    /// There is but one.
    Only,
}

impl Deref for Spelled<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Asked(address) => address,
            Self::Only => &[],
        }
    }
}

impl ClientSide {
    /// What a datagram says that was sent to that address, as far as that is told; `None`: it is not taken.
    pub(super) fn hear<'a>(
        &mut self,
        from: SocketAddr,
        to: Option<IpAddr>,
        datagram: &'a [u8],
    ) -> Option<ClientDatagram<'a>> {
        match self {
            Self::Association(client, _) => client.hear(from, datagram),
            Self::Forward => Some(ClientDatagram {
                client: canonical(from),
                place: to.map_or(Spelled::Only, |to| Spelled::Asked(octets(to))),
                skip: 0,
            }),
        }
    }

    /// The place in words, where the relay listens at `local`; `None`: it is no place that a flow can go to.
    pub(super) fn place(&self, spelled: &[u8], local: LocalAddr) -> Option<(Host, u16)> {
        match self {
            Self::Association(..) => associated::place(spelled),
            Self::Forward => {
                let asked = self.asked(spelled, local).get();
                Some((Host::Address(asked.ip()), asked.port()))
            }
        }
    }

    /// The address of this host that a client sends to, where the relay listens at `local`.
    pub(super) fn asked(&self, spelled: &[u8], local: LocalAddr) -> LocalAddr {
        match self {
            Self::Association(..) => local,
            Self::Forward => address(spelled).map_or(local, |address| {
                LocalAddr::new(SocketAddr::new(address, local.get().port()))
            }),
        }
    }

    /// What goes before answers from a place that the client spelled so.
    pub(super) fn head(&self, spelled: &[u8]) -> Box<[u8]> {
        match self {
            Self::Association(..) => associated::head(spelled),
            Self::Forward => Box::default(),
        }
    }

    /// The address that answers come from; `None`: the socket's. An address of many hosts is nobody's to answer from.
    pub(super) fn answers_from(&self, spelled: &[u8]) -> Option<IpAddr> {
        match self {
            Self::Association(..) => None,
            Self::Forward => address(spelled).filter(|address| is_own_address(*address)),
        }
    }

    /// By which door a client came in.
    pub(super) fn inbound(&self, door: &DoorSpec, local: LocalAddr) -> Inbound {
        match self {
            Self::Association(_, inbound) => inbound.clone(),
            Self::Forward => Inbound {
                kind: door.speaks.kind(),
                name: door.alias.as_ref().map(Arc::clone),
                port: Some(local.get().port()),
                user: None,
            },
        }
    }

    /// From whom answers are taken. A client of a forward hears its target alone: it could not be told who else speaks.
    pub(super) fn filtering(&self, usual: Filtering) -> Filtering {
        match self {
            Self::Association(..) => usual,
            Self::Forward => Filtering::Port,
        }
    }

    /// The one client there is, once it has sent something.
    pub(super) fn client(&self) -> Option<Client> {
        match self {
            Self::Association(client, _) => client.client(),
            Self::Forward => None,
        }
    }
}

/// An address as it is told from others: an IPv4 one is one, however the socket spells it. That of a link keeps which link
/// it is: without that nothing can be sent there.
fn canonical(at: SocketAddr) -> Client {
    match at {
        SocketAddr::V6(at) if at.ip().to_ipv4_mapped().is_none() => {
            SocketAddrV6::new(*at.ip(), at.port(), 0, at.scope_id()).into()
        }
        _ => SocketAddr::new(at.ip().to_canonical(), at.port()),
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn address(spelled: &[u8]) -> Option<IpAddr> {
    let octets: [u8; 16] = spelled.try_into().ok()?;
    Some(IpAddr::from(Ipv6Addr::from(octets)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_a_forward_are_told_apart_by_where_they_come_from_and_what_they_ask() {
        let local = LocalAddr::new("0.0.0.0:53".parse().unwrap());
        let check = |from: &str, to: Option<&str>, client: &str, asked: &str| {
            let mut client_side = ClientSide::Forward;
            let to = to.map(|to| to.parse().unwrap());
            let said = client_side
                .hear(from.parse().unwrap(), to, b"hello")
                .unwrap();
            assert_eq!(said.client.to_string(), client);
            assert_eq!(said.skip, 0);
            assert_eq!(
                client_side.asked(&said.place, local).get().to_string(),
                asked
            );
            let host = Host::Address(asked.parse::<SocketAddr>().unwrap().ip());
            assert_eq!(client_side.place(&said.place, local), Some((host, 53)));
            assert!(client_side.head(&said.place).is_empty());
            client_side.answers_from(&said.place)
        };
        let loopback = Some(IpAddr::from([127, 0, 0, 1]));
        let one = "192.0.2.1:7";
        assert_eq!(check(one, None, one, "0.0.0.0:53"), None);
        assert_eq!(check(one, Some("127.0.0.1"), one, "127.0.0.1:53"), loopback);
        assert_eq!(
            check(
                "[::ffff:192.0.2.1]:7",
                Some("::ffff:127.0.0.1"),
                one,
                "127.0.0.1:53"
            ),
            loopback
        );
        // A broadcast is answered from wherever the system says.
        let all = "255.255.255.255";
        assert_eq!(check(one, Some(all), one, "255.255.255.255:53"), None);
        let six = "[2001:db8::1]:7";
        assert_eq!(check(six, Some("::1"), six, "[::1]:53"), "::1".parse().ok());
    }
}

//! The client of an association: what its datagrams say of where they go, and what goes before its answers.
//!
//! Invariant: of an association (RFC 1928, section 7) datagrams are taken from the client alone that asked for it:
//! from its address, and from the port that it announced or used first. Answers name the place as the client did.

use std::net::{IpAddr, SocketAddr};

use pointsman_policy::Host;
use pointsman_wire::socks::{
    MAX_UDP_HEADER, parse_udp_header, udp_header_length, write_udp_header,
};
use pointsman_wire::{Parse, RequestHost};

use super::{ClientDatagram, Spelled, canonical};
use crate::datagram::nat::Client;

/// The client of an association.
#[derive(Debug)]
pub(in crate::datagram) struct Associated {
    /// Where its connection comes from.
    address: IpAddr,
    /// From where it sends; `None` until it does.
    client: Option<Client>,
    /// The port that it announced.
    port: Option<u16>,
}

/// Bytes before the place in a header: reserved ones, and the number of a fragment.
const BEFORE: usize = 3;

impl Associated {
    /// `announced`: from where the client says that it will send; port 0 is none.
    pub(in crate::datagram) fn new(address: IpAddr, announced: u16) -> Self {
        Self {
            address: address.to_canonical(),
            client: None,
            port: (announced != 0).then_some(announced),
        }
    }

    /// What a datagram says; `None`: it is not the client's, or not understood.
    pub(in crate::datagram) fn hear<'a>(
        &mut self,
        from: SocketAddr,
        datagram: &'a [u8],
    ) -> Option<ClientDatagram<'a>> {
        let from = canonical(from);
        let skip = match self.client {
            // The place is read where it is new.
            Some(client) if client == from => udp_header_length(datagram)?,
            Some(_) => return None,
            None => {
                let may_be = |port: u16| self.port.is_none_or(|announced| announced == port);
                if from.ip() != self.address || !may_be(from.port()) {
                    return None;
                }
                header(datagram)?
            }
        };
        self.client = Some(from);
        Some(ClientDatagram {
            client: from,
            place: Spelled::Bytes(&datagram[BEFORE..skip]),
            skip,
        })
    }

    /// The client, once it has sent something.
    pub(in crate::datagram) fn client(&self) -> Option<Client> {
        self.client
    }
}

/// The length of a datagram's header; `None`: it has none, or names nothing, or is a fragment.
fn header(datagram: &[u8]) -> Option<usize> {
    match parse_udp_header(datagram) {
        Parse::Done(_, used) => Some(used),
        Parse::NeedMore | Parse::Not(_) => None,
    }
}

/// The place in words; `None`: it is no place that a flow can go to.
pub(in crate::datagram) fn place(spelled: &[u8]) -> Option<(Host, u16)> {
    let mut whole = vec![0; BEFORE];
    whole.extend_from_slice(spelled);
    let Parse::Done(header, _) = parse_udp_header(&whole) else {
        return None;
    };
    let host = match &header.host {
        RequestHost::Address(address) => Host::Address(address.to_canonical()),
        RequestHost::Name(name) => Host::parse(name).ok()?,
    };
    Some((host, header.port))
}

/// What goes before answers from a place that the client spelled so.
pub(in crate::datagram) fn head(spelled: &[u8]) -> Box<[u8]> {
    let mut head = vec![0; BEFORE];
    head.extend_from_slice(spelled);
    head.into()
}

/// Appends what goes before a datagram from or to that place.
pub(in crate::datagram) fn write_head(out: &mut Vec<u8>, host: &RequestHost, port: u16) -> bool {
    out.reserve(MAX_UDP_HEADER);
    write_udp_header(out, host, port).is_ok()
}

/// From where a datagram comes that a proxy relayed, and how long its header is.
pub(in crate::datagram) fn relayed(datagram: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    let Parse::Done(header, used) = parse_udp_header(datagram) else {
        return None;
    };
    let from = match header.host {
        RequestHost::Address(address) => Some(SocketAddr::new(address.to_canonical(), header.port)),
        RequestHost::Name(_) => None,
    };
    Some((from, used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn datagram(host: &str, port: u16) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(write_head(
            &mut out,
            &RequestHost::parse(host).unwrap(),
            port
        ));
        out.extend_from_slice(b"payload");
        out
    }

    #[test]
    fn a_datagram_is_taken_from_the_client_alone() {
        let datagram = datagram("192.0.2.1", 53);
        let mut client_side = Associated::new("127.0.0.1".parse().unwrap(), 0);
        assert_eq!(client_side.hear(at("127.0.0.2:5000"), &datagram), None);
        assert_eq!(client_side.client(), None);
        let said = client_side.hear(at("127.0.0.1:5000"), &datagram).unwrap();
        assert_eq!(&datagram[said.skip..], b"payload");
        assert_eq!(
            place(&said.place),
            Some((Host::parse("192.0.2.1").unwrap(), 53))
        );
        assert_eq!(&*head(&said.place), &datagram[..said.skip]);
        assert!(
            client_side
                .hear(at("[::ffff:127.0.0.1]:5000"), &datagram)
                .is_some()
        );
        assert_eq!(client_side.hear(at("127.0.0.1:5001"), &datagram), None);
    }

    #[test]
    fn a_port_that_was_announced_is_the_only_one() {
        let datagram = datagram("a.test", 53);
        let mut client_side = Associated::new("127.0.0.1".parse().unwrap(), 5000);
        assert_eq!(client_side.hear(at("127.0.0.1:5001"), &datagram), None);
        let said = client_side.hear(at("127.0.0.1:5000"), &datagram).unwrap();
        assert_eq!(
            place(&said.place),
            Some((Host::parse("a.test").unwrap(), 53))
        );
    }

    #[test]
    fn fragments_and_what_has_no_header_are_dropped() {
        let mut client_side = Associated::new("127.0.0.1".parse().unwrap(), 0);
        let mut fragment = datagram("192.0.2.1", 53);
        fragment[2] = 1;
        for bytes in [&fragment[..], b"", b"\0\0\0\x01", b"\0\0\0\x09abcdefg"] {
            assert_eq!(
                client_side.hear(at("127.0.0.1:5000"), bytes),
                None,
                "{bytes:?}"
            );
            assert_eq!(
                client_side.client(),
                None,
                "nobody is taken for the client by that"
            );
        }
    }

    #[test]
    fn port_0_is_a_place_that_others_refuse() {
        let datagram = datagram("192.0.2.1", 0);
        let mut client_side = Associated::new("127.0.0.1".parse().unwrap(), 0);
        let said = client_side.hear(at("127.0.0.1:5000"), &datagram).unwrap();
        let host = Host::parse("192.0.2.1").unwrap();
        assert_eq!(place(&said.place), Some((host, 0)));
    }
}

//! One question of `NETLINK_ROUTE` (rtnetlink(7)): would packets to an address stay on this host?
//!
//! Asked of the routing table and not by binding: with `net.ipv4.ip_nonlocal_bind` every address can be bound.
//! Invariant: decoding is total; what is too short says nothing.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

thread_local! {
    static NETLINK: RefCell<Option<OwnedFd>> = const { RefCell::new(None) };
}

/// Whether the routing table delivers packets to `address` to this host itself.
pub(crate) fn is_local(address: IpAddr) -> io::Result<bool> {
    NETLINK.with_borrow_mut(|kept| {
        let socket = match kept.take() {
            Some(socket) => socket,
            None => open()?,
        };
        rustix::net::send(&socket, &request(address), SendFlags::empty())?;
        // The kernel answers within the send: this never waits.
        let mut buf = [0; 1024];
        let (read, _) = rustix::net::recv(&socket, &mut buf, RecvFlags::DONTWAIT)?;
        // Kept only after success: after a failure an answer may still be on its way.
        *kept = Some(socket);
        Ok(answer(&buf[..read]))
    })
}

/// A socket for questions to rtnetlink.
pub(super) fn open() -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        // NETLINK_ROUTE is 0.
        None,
    )?;
    rustix::net::connect(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct rtmsg`.
const ROUTE: usize = 12;

/// `RTM_GETROUTE` with one attribute, `RTA_DST`.
fn request(address: IpAddr) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec()),
    };
    let attribute = 4 + octets.len();
    let length = HEADER + ROUTE + attribute;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend((length as u32).to_ne_bytes());
    bytes.extend(libc::RTM_GETROUTE.to_ne_bytes());
    bytes.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    bytes.extend([0; 8]);
    // Family, length of the destination in bits, and nothing else.
    bytes.extend([family as u8, (octets.len() * 8) as u8]);
    bytes.extend([0; ROUTE - 2]);
    bytes.extend((attribute as u16).to_ne_bytes());
    bytes.extend(libc::RTA_DST.to_ne_bytes());
    bytes.extend(octets);
    bytes
}

/// An error (there is no route) is no route to this host.
fn answer(bytes: &[u8]) -> bool {
    let kind = bytes.get(4..6).and_then(|two| two.try_into().ok());
    let is_route = kind.map(u16::from_ne_bytes) == Some(libc::RTM_NEWROUTE);
    // `rtm_type` is the eighth octet of the route.
    is_route && bytes.get(HEADER + 7) == Some(&libc::RTN_LOCAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_local_and_documentation_is_not() {
        for (text, expected) in [
            ("127.0.0.1", true),
            ("127.9.8.7", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            let found = is_local(text.parse().unwrap()).unwrap();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn no_answer_is_too_strange() {
        let mut route = vec![0; HEADER + ROUTE];
        route[4..6].copy_from_slice(&libc::RTM_NEWROUTE.to_ne_bytes());
        route[HEADER + 7] = libc::RTN_LOCAL;
        assert!(answer(&route));
        for cut in 0..HEADER + 8 {
            assert!(!answer(&route[..cut]), "{cut}");
        }
        route[HEADER + 7] = libc::RTN_UNICAST;
        assert!(!answer(&route));
    }
}

//! Socket addresses as the kernel writes them (ip(7), ipv6(7)), as bytes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for an address of either family: `sockaddr_in6` is the longer one.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Name([u8; ROOM]);

const ROOM: usize = size_of::<libc::sockaddr_in6>();

impl Name {
    pub(super) const fn new() -> Self {
        Self([0; ROOM])
    }

    /// Where the kernel reads from or writes to, and how much.
    pub(super) fn raw(&mut self) -> (*mut libc::c_void, libc::socklen_t) {
        (self.0.as_mut_ptr().cast(), ROOM as libc::socklen_t)
    }

    /// Writes an address; its length.
    pub(super) fn set(&mut self, address: SocketAddr) -> libc::socklen_t {
        self.0[2..4].copy_from_slice(&address.port().to_be_bytes());
        let (family, length) = match address {
            SocketAddr::V4(address) => {
                self.0[4..8].copy_from_slice(&address.ip().octets());
                self.0[8..16].fill(0);
                (libc::AF_INET, size_of::<libc::sockaddr_in>())
            }
            SocketAddr::V6(address) => {
                // As it is kept in the structure: in the network's order, which `SocketAddrV6` says nothing of.
                self.0[4..8].copy_from_slice(&address.flowinfo().to_ne_bytes());
                self.0[8..24].copy_from_slice(&address.ip().octets());
                self.0[24..28].copy_from_slice(&address.scope_id().to_ne_bytes());
                (libc::AF_INET6, ROOM)
            }
        };
        self.0[..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
        length as libc::socklen_t
    }

    /// The address that the kernel wrote, in so many bytes.
    pub(super) fn address(&self, length: usize) -> Option<SocketAddr> {
        read(self.0.get(..length)?)
    }
}

/// The address in a `sockaddr`; `None` for another family's.
pub(super) fn read(bytes: &[u8]) -> Option<SocketAddr> {
    let four = |at: usize| bytes.get(at..)?.first_chunk::<4>().copied();
    let family = libc::sa_family_t::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => Some(SocketAddrV4::new(Ipv4Addr::from(four(4)?), port).into()),
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?);
            let (flow, scope) = (u32::from_ne_bytes(four(4)?), u32::from_ne_bytes(four(24)?));
            Some(SocketAddrV6::new(ip, port, flow, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_written() {
        let mut name = Name::new();
        for text in [
            "192.0.2.1:53",
            "[2001:db8::1]:443",
            "[fe80::1%7]:1",
            "0.0.0.0:0",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            let length = name.set(address) as usize;
            assert_eq!(name.address(length), Some(address));
            assert_eq!(name.address(3), None);
        }
        assert_eq!(Name::new().address(ROOM), None, "of no family");
    }
}

//! Addresses that mean this host, or what only this host should reach: loopback, link-local, metadata.
//!
//! Invariant: plain functions of an address; which other addresses the host has is for the system to say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::Prefix;

/// The loopback address of its family for the unspecified address (`0.0.0.0`, `::`), which connects to
/// this host as loopback does; `None` for any other.
#[must_use]
pub fn loopback_of(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V4(v4) if v4.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(v6) if v6.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// Whether `address` is loopback, unspecified, link-local, or where clouds serve an instance's metadata: what
/// a client of another host must not be lent by accident.
#[must_use]
pub fn is_local(address: IpAddr) -> bool {
    RANGES
        .iter()
        .any(|(range, length)| Prefix::new(*range, *length).contains(address.to_canonical()))
}

/// Whether a listener on `bound` takes a connection to `address`, however either is spelled; `[::]` takes both
/// families. `is_own` tells which further addresses are this host's, loopback apart.
pub fn takes(bound: IpAddr, address: IpAddr, is_own: impl Fn(IpAddr) -> bool) -> bool {
    let (bound, address) = (bound.to_canonical(), address.to_canonical());
    let to = loopback_of(address).unwrap_or(address);
    bound == to
        || (bound.is_unspecified()
            && (bound.is_ipv6() || to.is_ipv4())
            && (to.is_loopback() || is_own(to)))
}

/// Whether every address of `prefix` is one that [`is_local`] tells.
#[must_use]
pub fn is_within_local(prefix: &Prefix) -> bool {
    RANGES.iter().any(|(range, length)| {
        *length <= prefix.length() && Prefix::new(*range, *length).contains(prefix.address())
    })
}

/// Whether a range holds the address, or the one that it stands for ([`loopback_of`]).
pub(crate) fn holds(range: &Prefix, address: IpAddr) -> bool {
    range.contains(address) || loopback_of(address).is_some_and(|twin| range.contains(twin))
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(first: u16, second: u16, last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, last))
}

const RANGES: [(IpAddr, u8); 11] = [
    // RFC 1122, 3.2.1.3; Linux takes `0.0.0.0` for this host.
    (v4(127, 0, 0, 0), 8),
    (v4(0, 0, 0, 0), 32),
    (v6(0, 0, 1), 128),
    (v6(0, 0, 0), 128),
    // Link-local (RFC 3927, RFC 4291): the metadata of AWS, Azure, GCP, Oracle and others among them.
    (v4(169, 254, 0, 0), 16),
    (v6(0xfe80, 0, 0), 10),
    // Metadata elsewhere: Alibaba, Azure's wire server, Oracle's, AWS and GCP by IPv6.
    (v4(100, 100, 100, 200), 32),
    (v4(168, 63, 129, 16), 32),
    (v4(192, 0, 0, 192), 32),
    (v6(0xfd00, 0xec2, 0x254), 128),
    (v6(0xfd20, 0xce, 0x254), 128),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_told_in_every_spelling() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:0.0.0.0",
            "169.254.169.254",
            "fe80::1",
            "febf::1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
        ] {
            assert!(is_local(text.parse().unwrap()), "{text}");
        }
        for text in [
            "128.0.0.1",
            "126.255.255.255",
            "0.0.0.1",
            "::2",
            "10.0.0.1",
            "192.168.1.1",
            "169.253.255.255",
            "fec0::1",
            "fd00:ec2::253",
            "2001:db8::1",
            "100.64.0.1",
        ] {
            assert!(!is_local(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn only_ranges_that_hold_nothing_else_are_within() {
        for (text, expected) in [
            ("127.0.0.0/8", true),
            ("127.0.0.1/32", true),
            ("126.0.0.0/7", false),
            ("0.0.0.0/0", false),
            ("0.0.0.0/32", true),
            ("0.0.0.0/8", false),
            ("::/0", false),
            ("::/127", false),
            ("::1/128", true),
            ("fe80::/10", true),
            ("fe80::/64", true),
            ("169.254.169.254", true),
            ("::ffff:127.0.0.0/104", true),
        ] {
            let prefix: Prefix = text.parse().unwrap();
            assert_eq!(is_within_local(&prefix), expected, "{text}");
        }
    }

    #[test]
    fn a_listener_takes_what_leads_to_it() {
        for (bound, to, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "0.0.0.0", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0", "127.9.9.9", true),
            ("0.0.0.0", "192.0.2.1", true),
            ("0.0.0.0", "192.0.2.2", false),
            ("0.0.0.0", "::1", false),
            ("::", "127.0.0.1", true),
            ("::", "::1", true),
            ("::", "192.0.2.1", true),
            ("::1", "::", true),
            ("192.0.2.2", "192.0.2.2", true),
        ] {
            let own = |ip: IpAddr| ip.to_string() == "192.0.2.1";
            let taken = takes(bound.parse().unwrap(), to.parse().unwrap(), own);
            assert_eq!(taken, expected, "{bound} {to}");
        }
    }

    #[test]
    fn the_unspecified_address_leads_to_loopback() {
        let twin = |text: &str| loopback_of(text.parse().unwrap()).map(|ip| ip.to_string());
        assert_eq!(twin("0.0.0.0").as_deref(), Some("127.0.0.1"));
        assert_eq!(twin("::ffff:0.0.0.0").as_deref(), Some("127.0.0.1"));
        assert_eq!(twin("::").as_deref(), Some("::1"));
        assert_eq!(twin("127.0.0.1"), None);
    }
}

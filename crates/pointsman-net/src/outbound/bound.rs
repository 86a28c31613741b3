//! What a SOCKS5 proxy says of where it takes datagrams (`BND.ADDR` of RFC 1928, section 7), and what of it is believed.
//!
//! Invariant: no proxy has datagrams brought to what it could not reach from where it is itself: a place that is nearer to
//! us than the proxy is, or many hosts at once.

use std::net::IpAddr;

/// From how far an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// This host.
    Host,
    /// A link of it.
    Link,
    /// A network that is somebody's own.
    Site,
    /// The internet.
    World,
}

/// Whether datagrams go to the address that a proxy told; else they go to the proxy's own, at the port that it told.
///
/// Proxies behind an address translator tell an address of their own network, and those that never thought of it none in
/// particular: both take datagrams where they were found. `proxy`: where that is, as far as it is known.
pub(super) fn is_believed(
    told: IpAddr,
    proxy: Option<IpAddr>,
    is_own: impl Fn(IpAddr) -> bool,
) -> bool {
    let told = told.to_canonical();
    let proxy = proxy.map(|proxy| proxy.to_canonical());
    if told.is_unspecified() || told.is_multicast() || told == IpAddr::from([255; 4]) {
        return false;
    }
    if proxy == Some(told) {
        return true;
    }
    let of = |address: IpAddr| match is_own(address) {
        true => Reach::Host,
        false => reach(address),
    };
    match proxy {
        Some(proxy) => of(told) >= of(proxy),
        // Whoever asks it is another proxy: nothing of this host or its links is there.
        None => reach(told) >= Reach::Site,
    }
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // RFC 6598, and RFC 2544.
            let is_shared = first == 100 && second & 0xc0 == 64;
            let is_measured = first == 198 && second & 0xfe == 18;
            if address.is_loopback() || first == 0 {
                Reach::Host
            } else if address.is_link_local() {
                Reach::Link
            } else if address.is_private() || is_shared || is_measured {
                Reach::Site
            } else {
                Reach::World
            }
        }
        IpAddr::V6(address) if address.is_loopback() => Reach::Host,
        IpAddr::V6(address) if address.is_unicast_link_local() => Reach::Link,
        IpAddr::V6(address) if address.is_unique_local() => Reach::Site,
        IpAddr::V6(_) => Reach::World,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_as_far_as_it_could_reach_that_itself() {
        let check = |proxy: &str, told: &str, expected: bool| {
            let proxy = (proxy != "?").then(|| proxy.parse().unwrap());
            let own: IpAddr = "192.168.0.2".parse().unwrap();
            let is_it = is_believed(told.parse().unwrap(), proxy, |address| address == own);
            assert_eq!(is_it, expected, "{proxy:?} {told}");
        };
        // Where it was found, and none in particular.
        for proxy in ["127.0.0.1", "192.168.0.7", "203.0.113.7", "2001:db8::7"] {
            check(proxy, proxy, true);
            check(proxy, "0.0.0.0", false);
            check(proxy, "::", false);
            check(proxy, "224.0.0.1", false);
            check(proxy, "ff02::1", false);
            check(proxy, "255.255.255.255", false);
        }
        // Behind an address translator, or with our network in mind.
        for told in [
            "10.0.0.1",
            "172.17.0.2",
            "192.168.0.1",
            "100.64.0.1",
            "fd00::1",
        ] {
            check("203.0.113.7", told, false);
            check("192.168.0.7", told, true);
            check("?", told, true);
        }
        for told in [
            "127.0.0.1",
            "0.1.2.3",
            "::1",
            "::ffff:127.0.0.1",
            "169.254.1.1",
            "fe80::1",
        ] {
            check("203.0.113.7", told, false);
            check("192.168.0.7", told, false);
            check("?", told, false);
        }
        check("127.0.0.1", "127.0.0.2", true);
        check("169.254.1.1", "169.254.1.2", true);
        // Another address of its own.
        check("203.0.113.7", "203.0.113.8", true);
        check("192.168.0.7", "203.0.113.8", true);
        check("203.0.113.7", "2001:db8::7", true);
        // This host's.
        check("192.168.0.7", "192.168.0.2", false);
        check("192.168.0.2", "192.168.0.2", true);
        check("127.0.0.1", "192.168.0.2", true);
    }
}

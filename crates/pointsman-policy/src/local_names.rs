//! Names that mean something here and nothing to the world: they are answered here, so that nobody else hears of them.
//!
//! Invariant: what is in no registry of such names is left alone. A rule that names one and an upstream is obeyed.

use crate::domain::Domain;

/// What such a name comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalName {
    /// This host (RFC 6761 §6.3).
    Localhost,
    /// It exists and has nothing.
    NoData,
    /// There is no such name.
    NoName,
}

/// With all names below.
const NO_NAMES: [&str; 5] = [
    // RFC 8375 §4.
    "home.arpa",
    // RFC 6761 §6.4.
    "invalid",
    // RFC 6762 §22.1: asked for by multicast.
    "local",
    // RFC 7686 §2.
    "onion",
    // Where browsers ask whether they may pass by the resolver of the network.
    "use-application-dns.net",
];

/// Reverse names of addresses that are no host's, or of a private network (RFC 6303 §4, RFC 7793), with all below.
const REVERSE: [&str; 15] = [
    "0.in-addr.arpa",
    "10.in-addr.arpa",
    "127.in-addr.arpa",
    "254.169.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "168.192.in-addr.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
];

/// What the name comes to that is asked for with a type of that number (RFC 1035 §3.2.2); `None`: others know.
#[must_use]
pub fn local_name(name: &Domain, kind: u16) -> Option<LocalName> {
    let text = name.as_str();
    let within = |zone: &str| {
        let below = text.strip_suffix(zone);
        below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
    };
    if within("localhost") {
        return Some(LocalName::Localhost);
    }
    // RFC 9462 §8.2: the name exists, and this server has no encrypted one to tell of.
    if within("resolver.arpa") {
        return Some(LocalName::NoData);
    }
    let reverse = || REVERSE.iter().any(|zone| within(zone)) || in_reverse_range(text);
    if NO_NAMES.iter().any(|zone| within(zone)) || text.ends_with(".arpa") && reverse() {
        return Some(LocalName::NoName);
    }
    // A host without a domain: the root has no addresses.
    let of_host = matches!(kind, A | AAAA | HTTPS | SVCB);
    (of_host && !text.contains('.')).then_some(LocalName::NoName)
}

/// Numbers of types of records: addresses (RFC 1035, RFC 3596) and services (RFC 9460).
const A: u16 = 1;
const AAAA: u16 = 28;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;

/// 172.16.0.0/12, 100.64.0.0/10, and the addresses `::` and `::1` of IPv6.
fn in_reverse_range(text: &str) -> bool {
    if let Some(rest) = text.strip_suffix(".in-addr.arpa") {
        let mut labels = rest.rsplit('.');
        let (first, second) = (labels.next(), labels.next());
        let second = second.and_then(|label| label.parse::<u8>().ok());
        return match (first, second) {
            (Some("172"), Some(second)) => (16..32).contains(&second),
            (Some("100"), Some(second)) => (64..128).contains(&second),
            _ => false,
        };
    }
    let Some(nibbles) = text.strip_suffix(".ip6.arpa") else {
        return false;
    };
    let mut labels = nibbles.split('.');
    let first = labels.next();
    nibbles.len() == 63 && matches!(first, Some("0" | "1")) && labels.all(|label| label == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_place_are_told_from_those_of_the_world() {
        let check = |name: &str, kind, expected| {
            let domain = Domain::parse(name).unwrap();
            assert_eq!(local_name(&domain, kind), expected, "{name}");
        };
        let (no_name, no_data) = (Some(LocalName::NoName), Some(LocalName::NoData));
        let zeros = "0.".repeat(31);
        for (name, expected) in [
            ("localhost", Some(LocalName::Localhost)),
            ("a.localhost", Some(LocalName::Localhost)),
            ("notlocalhost", no_name),
            ("x.onion", no_name),
            ("a.invalid", no_name),
            ("printer.local", no_name),
            ("nas.home.arpa", no_name),
            ("router", no_name),
            ("_dns.resolver.arpa", no_data),
            ("use-application-dns.net", no_name),
            ("9.1.168.192.in-addr.arpa", no_name),
            ("1.0.16.172.in-addr.arpa", no_name),
            ("1.0.32.172.in-addr.arpa", None),
            ("1.0.127.100.in-addr.arpa", no_name),
            ("1.0.128.100.in-addr.arpa", None),
            ("8.8.8.8.in-addr.arpa", None),
            (&format!("1.{zeros}ip6.arpa"), no_name),
            (&format!("2.{zeros}ip6.arpa"), None),
            ("a.test", None),
            ("example.com", None),
            ("mylocal.example", None),
        ] {
            check(name, A, expected);
        }
        // Who validates signatures asks for those of top-level names.
        check("com", 43, None);
        check("com", A, no_name);
    }
}

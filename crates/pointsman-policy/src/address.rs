//! Hosts and address prefixes.
//!
//! Invariant: an IPv4-mapped IPv6 address never reaches the engine; it is its IPv4 address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::domain::{BadDomain, Domain};

/// Where a client wants to go: a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A literal address, IPv4-mapped ones unmapped.
    Address(IpAddr),
    /// A DNS name.
    Name(Domain),
}

impl Host {
    /// Parses an IPv4 or IPv6 address (brackets allowed around IPv6), else a name. What is an address once it is written as
    /// names are (`10.0.0.5.`, digits of other scripts) is that address.
    ///
    /// # Errors
    /// [`BadDomain`] when it is neither.
    pub fn parse(raw: &str) -> Result<Self, BadDomain> {
        let bare = raw
            .strip_prefix('[')
            .and_then(|r| r.strip_suffix(']'))
            .unwrap_or(raw);
        match bare.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Address(address.to_canonical())),
            Err(_not_an_address) => {
                let name = Domain::parse(raw)?;
                Ok(match name.as_str().parse::<IpAddr>() {
                    Ok(address) => Self::Address(address.to_canonical()),
                    Err(_) => Self::Name(name),
                })
            }
        }
    }

    /// The name, where it is one.
    #[must_use]
    pub fn name(&self) -> Option<&Domain> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    /// The address, where it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// An IPv4 or IPv6 prefix with its host bits cleared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPrefix {
    /// The part before the slash is no address.
    #[error("`{0}` is not an IPv4 or IPv6 address")]
    Address(String),
    /// The part behind the slash is no length for that family.
    #[error("`/{0}` is not a prefix length here (0 to {1})")]
    Length(String, u8),
}

impl Prefix {
    /// The prefix of `length` bits (0–32 for IPv4, 0–128 for IPv6) that holds `address`; a longer
    /// length counts as the family's longest.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self {
                    address: Ipv4Addr::from_bits(v4.to_bits() & mask).into(),
                    length,
                }
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Self {
                    address: Ipv6Addr::from_bits(v6.to_bits() & mask).into(),
                    length,
                }
            }
        }
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The number of leading bits that count.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether it holds one address alone.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.length == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// The IPv4 range that an IPv4-mapped one is (`::ffff:10.0.0.0/104`): destinations are canonical.
    ///
    /// `::ffff:0:0/96` stays: in lists of reserved ranges it means a way of writing, not all of IPv4.
    #[must_use]
    pub fn to_canonical(self) -> Self {
        let address = self.address.to_canonical();
        match self.length.checked_sub(96) {
            Some(length) if length > 0 && address.is_ipv4() && self.address.is_ipv6() => {
                Self::new(address, length)
            }
            _ => self,
        }
    }

    /// Whether `address` (canonical) is inside; an address of the other family never is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && Self::new(address, self.length).address == self.address
    }
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    /// Parses `a.b.c.d/n`, `x::y/n` or a bare address; host bits are allowed and cleared, and a range
    /// of IPv4-mapped addresses is the IPv4 range ([`Prefix::to_canonical`]).
    fn from_str(raw: &str) -> Result<Self, BadPrefix> {
        let (address, length) = match raw.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (raw, None),
        };
        let parsed: IpAddr = address
            .parse()
            .map_err(|_unspecific| BadPrefix::Address(address.to_owned()))?;
        let widest = if parsed.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => widest,
            Some(text) => text
                .parse::<u8>()
                .ok()
                .filter(|n| *n <= widest && text.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| BadPrefix::Length(text.to_owned(), widest))?,
        };
        Ok(Self::new(parsed, length).to_canonical())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_what_they_should() {
        let prefix: Prefix = "10.3.5.9/24".parse().unwrap();
        assert_eq!(prefix.to_string(), "10.3.5.0/24");
        assert!(prefix.contains("10.3.5.255".parse().unwrap()));
        assert!(!prefix.contains("10.3.6.0".parse().unwrap()));
        assert!(!prefix.contains("::10.3.5.1".parse().unwrap()));
        let all: Prefix = "::/0".parse().unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()));
        assert!(
            "0.0.0.0/0"
                .parse::<Prefix>()
                .unwrap()
                .contains("1.2.3.4".parse().unwrap())
        );
        assert_eq!("192.1.1.1".parse::<Prefix>().unwrap().length(), 32);
    }

    #[test]
    fn what_is_written_as_a_name_and_is_an_address_is_one() {
        let ten: IpAddr = "10.0.0.5".parse().unwrap();
        for raw in [
            "10.0.0.5",
            "10.0.0.5.",
            "\u{ff11}0.0.0.5",
            "::ffff:10.0.0.5",
        ] {
            assert_eq!(Host::parse(raw), Ok(Host::Address(ten)), "{raw}");
        }
        assert!(matches!(Host::parse("10.5"), Ok(Host::Name(_))));
    }

    #[test]
    fn mapped_ranges_are_ipv4_ranges() {
        let check = |raw: &str, expected: &str| {
            assert_eq!(
                raw.parse::<Prefix>().unwrap().to_string(),
                expected,
                "{raw}"
            );
        };
        check("::ffff:10.0.0.0/104", "10.0.0.0/8");
        check("::ffff:192.0.2.1", "192.0.2.1/32");
        check("::ffff:c000:201/128", "192.0.2.1/32");
        check("::ffff:128.0.0.0/97", "128.0.0.0/1");
        // A reserved range of IPv6, not all of IPv4.
        check("::ffff:0:0/96", "::ffff:0.0.0.0/96");
        check("::/0", "::/0");
        check("::10.0.0.1", "::a00:1/128");
    }

    #[test]
    fn bad_prefixes_say_which_part() {
        assert_eq!("x/8".parse::<Prefix>(), Err(BadPrefix::Address("x".into())));
        assert_eq!(
            "1.1.1.1/33".parse::<Prefix>(),
            Err(BadPrefix::Length("33".into(), 32))
        );
        assert_eq!(
            "1.1.1.1/+8".parse::<Prefix>(),
            Err(BadPrefix::Length("+8".into(), 32))
        );
    }
}

//! By which interface a socket with a source address leaves: by the one that owns the address.
//!
//! Invariant: pure. An address on the loopback, and one for which the operator made a routing rule, is left to the
//! kernel; where it cannot be told who owns an address, the socket is not made.

use std::net::IpAddr;

/// An address of this host, and the number of the interface that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) address: IpAddr,
    pub(crate) interface: u32,
}

/// A routing rule, as far as sockets can be told by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) source: Option<(IpAddr, u8)>,
    pub(crate) destination: Option<(IpAddr, u8)>,
    /// Value and mask; a mask of 0 holds for all.
    pub(crate) mark: (u32, u32),
    /// Whether it looks at more than that, or does nothing.
    pub(crate) vague: bool,
}

/// A socket to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) mark: u32,
}

/// How it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// As the routing table says.
    Kernel,
    /// By the interface of that number.
    Interface(u32),
    /// No interface owns the source.
    Nobody,
    /// Several do.
    Several(Vec<u32>),
}

/// The decision. `loopback` is the number of that interface; `rules` is asked for only where it matters.
///
/// # Errors
/// Those of `rules`.
pub(crate) fn leaving<R: AsRef<[Rule]>, E>(
    wanted: &Wanted,
    owners: &[Owner],
    loopback: u32,
    rules: impl FnOnce() -> Result<R, E>,
) -> Result<Leaving, E> {
    let mut interfaces: Vec<u32> = owners
        .iter()
        .filter(|own| own.address == wanted.source)
        .map(|own| own.interface)
        .collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    if interfaces.contains(&loopback) || rules()?.as_ref().iter().any(|rule| rule.is_for(wanted)) {
        return Ok(Leaving::Kernel);
    }
    Ok(match *interfaces.as_slice() {
        [] => Leaving::Nobody,
        [only] => Leaving::Interface(only),
        _ => Leaving::Several(interfaces),
    })
}

impl Rule {
    fn is_for(&self, wanted: &Wanted) -> bool {
        let (value, mask) = self.mark;
        !self.vague
            && self
                .source
                .is_some_and(|(prefix, length)| length > 0 && covers(prefix, length, wanted.source))
            && self
                .destination
                .is_none_or(|(prefix, length)| covers(prefix, length, wanted.destination))
            && wanted.mark & mask == value
    }
}

fn covers(prefix: IpAddr, length: u8, address: IpAddr) -> bool {
    match (prefix, address) {
        (IpAddr::V4(prefix), IpAddr::V4(address)) => {
            let differs = u32::from(prefix) ^ u32::from(address);
            differs.leading_zeros() >= u32::from(length)
        }
        (IpAddr::V6(prefix), IpAddr::V6(address)) => {
            let differs = u128::from(prefix) ^ u128::from(address);
            differs.leading_zeros() >= u32::from(length)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: u32 = 1;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn prefix(text: &str) -> (IpAddr, u8) {
        let (address, length) = text.split_once('/').unwrap();
        (ip(address), length.parse().unwrap())
    }

    fn decide(source: &str, destination: &str, rules: Vec<Rule>) -> Leaving {
        let owners = [
            ("127.0.0.1", 1),
            ("10.5.0.1", 1),
            ("10.1.0.1", 2),
            ("10.2.0.1", 3),
            ("10.7.0.1", 2),
            ("10.7.0.1", 3),
            ("fd02::1", 3),
            ("fd05::1", 1),
        ];
        let owners = owners.map(|(address, interface)| Owner {
            address: ip(address),
            interface,
        });
        let wanted = Wanted {
            source: ip(source),
            destination: ip(destination),
            mark: 0x10,
        };
        leaving(&wanted, &owners, LOOPBACK, || Ok::<_, ()>(rules)).unwrap()
    }

    #[test]
    fn a_source_leaves_by_its_owner() {
        for (source, destination, expected) in [
            ("10.2.0.1", "192.0.2.1", Leaving::Interface(3)),
            ("fd02::1", "2001:db8::1", Leaving::Interface(3)),
            // Left to the kernel: what is on the loopback.
            ("10.5.0.1", "192.0.2.1", Leaving::Kernel),
            ("fd05::1", "2001:db8::1", Leaving::Kernel),
            // Nobody's, and two's.
            ("10.9.0.1", "192.0.2.1", Leaving::Nobody),
            ("10.7.0.1", "192.0.2.1", Leaving::Several(vec![2, 3])),
        ] {
            assert_eq!(
                decide(source, destination, Vec::new()),
                expected,
                "{source} {destination}"
            );
        }
    }

    #[test]
    fn a_rule_on_the_source_leaves_it_to_the_kernel() {
        let rule = |edit: fn(&mut Rule)| {
            let mut rule = Rule {
                source: Some(prefix("10.2.0.0/24")),
                ..Rule::default()
            };
            edit(&mut rule);
            decide("10.2.0.1", "192.0.2.1", vec![Rule::default(), rule])
        };
        let own = Leaving::Interface(3);
        assert_eq!(rule(|_| {}), Leaving::Kernel);
        assert_eq!(
            rule(|rule| rule.destination = Some(prefix("192.0.2.0/24"))),
            Leaving::Kernel
        );
        assert_eq!(rule(|rule| rule.mark = (0x10, 0xff)), Leaving::Kernel);
        // Rules on other flows.
        assert_eq!(rule(|rule| rule.source = None), own);
        assert_eq!(rule(|rule| rule.source = Some(prefix("0.0.0.0/0"))), own);
        assert_eq!(rule(|rule| rule.source = Some(prefix("10.2.0.2/32"))), own);
        assert_eq!(rule(|rule| rule.source = Some(prefix("fd02::/64"))), own);
        assert_eq!(
            rule(|rule| rule.destination = Some(prefix("198.51.100.0/24"))),
            own
        );
        assert_eq!(rule(|rule| rule.mark = (0x11, 0xff)), own);
        assert_eq!(rule(|rule| rule.vague = true), own);
    }
}

//! Ranges of addresses between two ends, as `.mrs` and `.srs` have them, and prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pointsman_policy::Prefix;

/// Calls `each` with the prefixes that make up the range, both ends included; with none where the
/// ends are of two families or the wrong way round. IPv4 addresses written as IPv6 are IPv4 ones.
pub(super) fn prefixes_of(from: IpAddr, to: IpAddr, each: &mut dyn FnMut(Prefix)) -> bool {
    let (from, to) = match (from.to_canonical(), to.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (IpAddr::V4(a), IpAddr::V4(b)),
        // One end may lie outside of the IPv4 part.
        _ => (from, to),
    };
    let (bits, mut low, high) = match (from, to) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (32u32, u128::from(a.to_bits()), u128::from(b.to_bits())),
        (IpAddr::V6(a), IpAddr::V6(b)) => (128, a.to_bits(), b.to_bits()),
        _ => return false,
    };
    if low > high {
        return false;
    }
    loop {
        // The largest block that begins here and ends within.
        let aligned = if low == 0 { bits } else { low.trailing_zeros() };
        let room = match (high - low).checked_add(1) {
            Some(count) => 127 - count.leading_zeros(),
            None => 128,
        };
        let size = aligned.min(room).min(bits);
        let length = u8::try_from(bits - size).unwrap_or(u8::MAX);
        each(Prefix::new(address(bits, low), length));
        let last = low | 1u128.checked_shl(size).map_or(u128::MAX, |n| n - 1);
        if last >= high {
            return true;
        }
        low = last + 1;
    }
}

/// The ranges that prefixes make up: sorted, apart from each other, IPv4 first.
pub(super) fn ranges_of(mut prefixes: Vec<Prefix>) -> Vec<(IpAddr, IpAddr)> {
    prefixes.sort_unstable();
    let mut ranges: Vec<(u32, u128, u128)> = Vec::new();
    for prefix in prefixes {
        let (bits, low) = number(prefix.address());
        let rest = bits - u32::from(prefix.length());
        let high = low | 1u128.checked_shl(rest).map_or(u128::MAX, |n| n - 1);
        match ranges.last_mut() {
            Some((b, _, end)) if *b == bits && end.checked_add(1).is_none_or(|n| n >= low) => {
                *end = (*end).max(high);
            }
            _ => ranges.push((bits, low, high)),
        }
    }
    let shown = ranges.into_iter();
    shown
        .map(|(bits, low, high)| (address(bits, low), address(bits, high)))
        .collect()
}

/// All addresses of both families that none of the prefixes holds.
pub(super) fn complement(prefixes: Vec<Prefix>) -> Vec<(IpAddr, IpAddr)> {
    let ranges = ranges_of(prefixes);
    let mut rest = Vec::new();
    for (bits, all) in [(32, u128::from(u32::MAX)), (128, u128::MAX)] {
        let mut next = Some(0);
        for (from, to) in &ranges {
            let ((family, from), (_, to)) = (number(*from), number(*to));
            if family != bits {
                continue;
            }
            if let Some(low) = next.filter(|low| *low < from) {
                rest.push((address(bits, low), address(bits, from - 1)));
            }
            next = to.checked_add(1).filter(|n| *n <= all);
        }
        if let Some(low) = next {
            rest.push((address(bits, low), address(bits, all)));
        }
    }
    rest
}

fn number(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    }
}

fn address(bits: u32, number: u128) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if bits == 32 => Ipv4Addr::from_bits(number).into(),
        _ => Ipv6Addr::from_bits(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(from: &str, to: &str) -> String {
        let mut all = Vec::new();
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        prefixes_of(from, to, &mut |prefix| all.push(prefix.to_string()));
        all.join(" ")
    }

    #[test]
    fn a_range_is_as_few_prefixes_as_can_be() {
        let check = |from, to, expected: &str| assert_eq!(split(from, to), expected, "{from} {to}");
        check("1.0.16.0", "1.0.31.255", "1.0.16.0/20");
        check(
            "10.0.0.1",
            "10.0.0.6",
            "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32",
        );
        check("0.0.0.0", "255.255.255.255", "0.0.0.0/0");
        check("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0");
        check("255.255.255.255", "255.255.255.255", "255.255.255.255/32");
        check("::ffff:1.2.3.0", "::ffff:1.2.3.255", "1.2.3.0/24");
        check(
            "2001:db8::",
            "2001:db8::ffff:ffff:ffff:ffff",
            "2001:db8::/64",
        );
        check("10.0.0.2", "10.0.0.1", "");
        check("10.0.0.2", "::1", "");
    }

    #[test]
    fn all_but_nothing_is_all() {
        let check = |prefixes: &str, expected: &str| {
            let prefixes = prefixes.split_whitespace().map(|p| p.parse().unwrap());
            let mut all = Vec::new();
            for (from, to) in complement(prefixes.collect()) {
                prefixes_of(from, to, &mut |prefix| all.push(prefix.to_string()));
            }
            assert_eq!(all.join(" "), expected);
        };
        check("", "0.0.0.0/0 ::/0");
        check("0.0.0.0/0", "::/0");
        check("::/0 0.0.0.0/0", "");
        check("128.0.0.0/1 ::/1", "0.0.0.0/1 8000::/1");
        check("128.0.0.0/2 0.0.0.0/1", "192.0.0.0/2 ::/0");
    }

    proptest! {
        #[test]
        fn prefixes_become_ranges_and_again_prefixes(
            parts in prop::collection::vec((any::<u16>(), 16u8..=32), 0..40),
            probe in any::<u16>(),
        ) {
            let place = |n: u16| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | u32::from(n)));
            let prefixes: Vec<Prefix> = parts.iter().map(|(n, l)| Prefix::new(place(*n), *l)).collect();
            let mut again = Vec::new();
            let ranges = ranges_of(prefixes.clone());
            for (from, to) in &ranges {
                prop_assert!(prefixes_of(*from, *to, &mut |prefix| again.push(prefix)));
            }
            let holds = |all: &[Prefix]| all.iter().any(|p| p.contains(place(probe)));
            prop_assert_eq!(holds(&prefixes), holds(&again));
            prop_assert_eq!(ranges_of(again), ranges);
        }
    }
}

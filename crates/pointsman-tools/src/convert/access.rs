//! Who may come in: ranges of clients, less those that are turned away.
//!
//! Invariant: the ranges that come out hold exactly the addresses that are allowed and not denied.

use std::net::IpAddr;

use pointsman_policy::Prefix;

/// Beyond so many ranges a list is not written.
const MOST_RANGES: usize = 10_000;

/// All addresses of both families.
pub(super) fn everybody() -> [Prefix; 2] {
    let (v4, v6) = (IpAddr::from([0; 4]), IpAddr::from([0; 16]));
    [Prefix::new(v4, 0), Prefix::new(v6, 0)]
}

/// `allowed` without `denied`, each range once, in order; `None` where they would be too many.
pub(super) fn without(allowed: &[Prefix], denied: &[Prefix]) -> Option<Vec<Prefix>> {
    let mut left = Vec::new();
    let mut open: Vec<(Prefix, Vec<Prefix>)> = Vec::new();
    for range in allowed {
        let within = allowed
            .iter()
            .any(|other| other != range && covers(other, range));
        if !within && !open.iter().any(|(known, _)| known == range) {
            open.push((*range, denied.to_vec()));
        }
    }
    open.reverse();
    while let Some((range, denied)) = open.pop() {
        if left.len() + open.len() > MOST_RANGES {
            return None;
        }
        if denied.iter().any(|other| covers(other, &range)) {
            continue;
        }
        let inside: Vec<Prefix> = denied
            .into_iter()
            .filter(|other| covers(&range, other))
            .collect();
        match halves(&range) {
            Some((low, high)) if !inside.is_empty() => {
                open.push((high, inside.clone()));
                open.push((low, inside));
            }
            _ => left.push(range),
        }
    }
    Some(left)
}

/// Whether all of `inner` is in `outer`.
fn covers(outer: &Prefix, inner: &Prefix) -> bool {
    outer.length() <= inner.length() && outer.contains(inner.address())
}

fn halves(range: &Prefix) -> Option<(Prefix, Prefix)> {
    let length = range.length() + 1;
    let high = match range.address() {
        IpAddr::V4(_) if length > 32 => return None,
        IpAddr::V6(_) if length > 128 => return None,
        IpAddr::V4(v4) => IpAddr::from((v4.to_bits() | 1 << (32 - length)).to_be_bytes()),
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() | 1 << (128 - length)).to_be_bytes()),
    };
    Some((
        Prefix::new(range.address(), length),
        Prefix::new(high, length),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(text: &str) -> Vec<Prefix> {
        text.split_whitespace()
            .map(|range| range.parse().unwrap())
            .collect()
    }

    #[test]
    fn what_is_denied_is_cut_out() {
        for (allowed, denied, expected) in [
            ("192.168.0.0/16", "", "192.168.0.0/16"),
            (
                "192.168.0.0/30",
                "192.168.0.3/32",
                "192.168.0.0/31 192.168.0.2/32",
            ),
            ("10.0.0.0/8 10.1.0.0/16", "10.128.0.0/9", "10.0.0.0/9"),
            ("10.0.0.0/8 ::/0", "0.0.0.0/0", "::/0"),
            ("10.0.0.0/8", "::/0", "10.0.0.0/8"),
            ("10.0.0.1/32 10.0.0.1/32", "10.0.0.2", "10.0.0.1/32"),
            ("fe80::/127", "fe80::1", "fe80::/128"),
            ("10.0.0.1", "10.0.0.0/24", ""),
        ] {
            let found = without(&ranges(allowed), &ranges(denied)).unwrap();
            assert_eq!(found, ranges(expected), "{allowed} - {denied}");
        }
        let single = |last: u32| Prefix::new(IpAddr::from((last << 1).to_be_bytes()), 32);
        let many: Vec<Prefix> = (0..20_000).map(single).collect();
        assert_eq!(without(&everybody(), &many), None);
    }

    fn any_range() -> impl Strategy<Value = Prefix> {
        prop_oneof![
            (any::<u8>(), 24..=32_u8).prop_map(|(last, n)| Prefix::new([10, 0, 0, last].into(), n)),
            (any::<u8>(), 120..=128_u8).prop_map(|(last, n)| {
                let mut bytes = [0; 16];
                bytes[15] = last;
                Prefix::new(bytes.into(), n)
            }),
        ]
    }

    proptest! {
        #[test]
        fn nobody_else_is_let_in_and_nobody_else_turned_away(
            allowed in prop::collection::vec(any_range(), 0..4),
            denied in prop::collection::vec(any_range(), 0..4),
        ) {
            let left = without(&allowed, &denied).unwrap();
            let within = |list: &[Prefix], of| list.iter().any(|range: &Prefix| range.contains(of));
            for last in 0..=255_u8 {
                let mut bytes = [0; 16];
                bytes[15] = last;
                for address in [IpAddr::from([10, 0, 0, last]), bytes.into()] {
                    let expected = within(&allowed, address) && !within(&denied, address);
                    prop_assert_eq!(within(&left, address), expected, "{}", address);
                }
            }
        }
    }
}

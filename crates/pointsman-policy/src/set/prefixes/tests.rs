//! The table against a linear scan, its bounds, and its bytes.

use proptest::prelude::*;

use super::*;

fn table(list: &[&str]) -> PrefixTable {
    let lines = (1..).zip(list);
    PrefixTable::build(
        lines
            .map(|(line, text)| (text.parse().unwrap(), line))
            .collect(),
    )
}

/// What the table must say, by looking at every entry.
fn scan(entries: &[(Prefix, u32)], address: IpAddr) -> Option<(Prefix, u32)> {
    let holding = entries
        .iter()
        .filter(|(prefix, _)| prefix.contains(address));
    let longest = holding.clone().map(|(prefix, _)| prefix.length()).max()?;
    holding
        .filter(|(prefix, _)| prefix.length() == longest)
        .min_by_key(|(_, line)| *line)
        .copied()
}

/// The first and last address of a prefix and those just outside.
fn edges(prefix: Prefix) -> [IpAddr; 4] {
    match prefix.address() {
        IpAddr::V4(address) => {
            let first = address.to_bits();
            let last = first
                | u32::MAX
                    .checked_shr(u32::from(prefix.length()))
                    .unwrap_or(0);
            [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                .map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(address) => {
            let first = address.to_bits();
            let last = first
                | u128::MAX
                    .checked_shr(u32::from(prefix.length()))
                    .unwrap_or(0);
            [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                .map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

fn different(entries: &[(Prefix, u32)]) -> Vec<(Prefix, u32)> {
    let mut entries = entries.to_vec();
    entries.sort_unstable();
    entries.dedup_by_key(|(prefix, _)| *prefix);
    entries
}

/// Everything that must hold of the table of `entries`, asked at the edges of `asked` of them.
fn holds(entries: &[(Prefix, u32)], asked: &[(Prefix, u32)]) {
    let built = PrefixTable::build(entries.to_vec());
    assert_eq!(built.entries(), different(entries));
    assert_eq!(built.len(), built.entries().len());
    for (prefix, _) in asked {
        for address in edges(*prefix) {
            assert_eq!(built.find(address), scan(entries, address), "{address}");
        }
    }
    let mut bytes = Vec::new();
    built.write(&mut bytes);
    bytes.push(7);
    let mut rest = bytes.as_slice();
    let read = PrefixTable::read(&mut rest).unwrap();
    assert_eq!(rest, [7]);
    assert_eq!(read.entries(), built.entries());
    for (prefix, _) in asked {
        for address in edges(*prefix) {
            assert_eq!(read.find(address), built.find(address), "{address}");
        }
    }
}

/// Few different bits, so that prefixes nest, touch and repeat.
fn prefix() -> impl Strategy<Value = Prefix> {
    let bits = prop_oneof![
        any::<u128>(),
        (0u128..4, 0u32..125).prop_map(|(bits, shift)| bits << shift),
        (0u128..4, 0u32..125).prop_map(|(bits, shift)| !(bits << shift)),
        (0u128..64).prop_map(|bits| 0x2001_0db8 << 96 | bits << 76),
        // Close together, so that a table of parts is worth it, at and beside its edges.
        (0u128..3, 0u128..4, 76u32..110)
            .prop_map(|(part, bits, shift)| (0x2001 + part) << 112 | bits << shift),
        (0u128..3, 0u128..4, 76u32..110)
            .prop_map(|(part, bits, shift)| (((0x2002 + part) << 112) - 1) ^ (bits << shift)),
    ];
    let length = prop_oneof![0u8..=128, 14u8..=50];
    (bits, length, any::<bool>()).prop_map(|(bits, length, v6)| {
        if v6 {
            Prefix::new(Ipv6Addr::from_bits(bits).into(), length)
        } else {
            let upper = (bits >> 96) as u32;
            let bits = if upper == 0 { bits as u32 } else { upper };
            Prefix::new(Ipv4Addr::from_bits(bits).into(), length % 33)
        }
    })
}

/// Lines of every kind: small, repeated, and those beyond three bytes.
fn line() -> impl Strategy<Value = u32> {
    prop_oneof![1u32..50, 1u32..FAR, FAR - 2..FAR + 3, any::<u32>()]
}

proptest! {
    #[test]
    fn a_look_up_is_a_linear_scan(entries in proptest::collection::vec((prefix(), line()), 0..80)) {
        holds(&entries, &entries);
    }

    #[test]
    fn damaged_bytes_never_panic(
        entries in proptest::collection::vec((prefix(), line()), 0..20),
        at in any::<proptest::sample::Index>(),
        flip in 1u8..,
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        PrefixTable::build(entries.clone()).write(&mut bytes);
        prop_assert!(PrefixTable::read(&mut &bytes[..cut.index(bytes.len())]).is_err());
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(table) = PrefixTable::read(&mut bytes.as_slice()) {
            for (prefix, _) in &entries {
                for address in edges(*prefix) {
                    let _whatever_it_says = table.find(address);
                }
            }
            assert_eq!(table.entries().len(), table.len());
        }
    }
}

#[test]
fn the_longest_prefix_and_its_first_line_are_found() {
    let check = |list: &[&str], address: &str, expected: Option<(&str, u32)>| {
        let found = table(list).find(address.parse().unwrap());
        let expected = expected.map(|(prefix, line)| (prefix.parse().unwrap(), line));
        assert_eq!(found, expected, "{address} in {list:?}");
    };
    check(&[], "1.1.1.1", None);
    check(&[], "::", None);
    check(&["0.0.0.0/0"], "255.255.255.255", Some(("0.0.0.0/0", 1)));
    check(&["0.0.0.0/0"], "::1", None);
    check(&["::/0"], "ffff::", Some(("::/0", 1)));
    check(&["::/0"], "1.1.1.1", None);
    check(&["1.1.1.1", "1.1.1.1"], "1.1.1.1", Some(("1.1.1.1", 1)));
    check(&["255.255.255.255"], "255.255.255.254", None);
    check(
        &["2001:db8::/32", "2001:db8::/64"],
        "2001:db8::1",
        Some(("2001:db8::/64", 2)),
    );
    check(
        &["2001:db8::/32", "2001:db8::/64"],
        "2001:db8:0:1::",
        Some(("2001:db8::/32", 1)),
    );
    check(
        &["2001:db8::/48", "2001:db8::/49"],
        "2001:db8:0:8000::",
        Some(("2001:db8::/48", 1)),
    );
    check(
        &["10.0.0.0/9", "10.128.0.0/9", "10.0.0.0/8"],
        "10.200.0.1",
        Some(("10.128.0.0/9", 2)),
    );
}

/// A generator of numbers that depends on nothing.
fn numbers() -> impl Iterator<Item = u64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
}

fn v4(bits: u64, length: u8) -> Prefix {
    Prefix::new(Ipv4Addr::from_bits(bits as u32).into(), length)
}

fn v6(upper: u64, length: u8) -> Prefix {
    Prefix::new(Ipv6Addr::from_bits(u128::from(upper) << 64).into(), length)
}

#[test]
fn large_tables_agree_with_the_scan_and_stay_small() {
    let mut entries = Vec::new();
    for (line, number) in (1..).zip(numbers().take(100_000)) {
        let length = 16 + (number >> 60) as u8;
        entries.push((v4(number, length), line));
        entries.push((
            v6(0x2000 << 48 | number >> 3, 19 + (number % 30) as u8),
            line,
        ));
    }
    holds(&entries, &entries[..40]);
    let built = PrefixTable::build(entries);
    let each = built.bytes() as f64 / built.len() as f64;
    assert!(each <= 14.0, "{each}");
}

/// One prefix in each of so many parts, that a table of parts is worth it; then what a case is about.
fn parts_and(list: &[&str]) -> Vec<(Prefix, u32)> {
    let spread = (0..8).map(|part| (v6((0x2001 + part) << 48 | 1 << 40, 48), 1));
    let own = list.iter().map(|text| (text.parse().unwrap(), 2));
    spread.chain(own).collect()
}

#[test]
fn edges_of_parts_and_slots_keep_apart() {
    let check = |list: &[&str]| {
        let entries = parts_and(list);
        holds(&entries, &entries);
    };
    check(&[]);
    // The first and last of a part, and of the space.
    check(&["2003::/16", "2003:ffff:ffff::/48", "2004::/48"]);
    check(&["2002:ffff:ffff::/48", "2003::/17", "2003:8000::/17"]);
    check(&["2003::/32", "2003:ffff::/32"]);
    check(&["1fff:ffff:ffff::/48", "2009::/16"]);
    // The same start, and those that longer ones cover wholly.
    check(&["2003::/16", "2003::/17", "2003::/32", "2003::/48"]);
    check(&["2003::/16", "2003::/17", "2003:8000::/17"]);
    check(&["2003:aaaa::/47", "2003:aaaa::/48", "2003:aaaa:1::/48"]);
    // Lengths on either side of what a part may hold.
    check(&["2000::/15", "2002::/15", "2003::/16"]);
    check(&["2003:1::/48", "2003:1::/49", "2003:1:0:8000::/49"]);
    check(&["::/0", "2003::/16", "2003::/128", "2003:0:0:ffff::/64"]);
    check(&["2000::/3", "2003:1:2::/47", "2003:1:2::1/128"]);
    // One that reaches over all slots of a part that has many.
    for wide in ["2003::/16", "2003::/17", "2003:8000::/18", "2003:4000::/20"] {
        let mut entries = parts_and(&[wide]);
        entries.extend((0..300).map(|n| (v6(0x2003 << 48 | (n * 0x00D5_1234) << 16, 48), 3)));
        holds(&entries, &entries);
    }
    // More in one slot than are compared at once: touching, and with gaps.
    for (count, step) in [(15, 1), (16, 1), (17, 2), (33, 1), (500, 2), (500, 1)] {
        let mut entries = parts_and(&["2003::/40"]);
        entries.extend((0..count).map(|n| (v6(0x2003 << 48 | (n * step) << 16, 48), 3)));
        holds(&entries, &entries);
    }
}

#[test]
fn few_far_between_take_no_table_of_parts() {
    let spread = [0x0100_u64, 0x2001, 0x3FFF, 0xFC00, 0xFF00];
    let entries: Vec<_> = spread.map(|top| (v6(top << 48, 32), 1)).into();
    holds(&entries, &entries);
    let built = PrefixTable::build(entries);
    assert!(built.bytes() <= 22 * built.len(), "{}", built.bytes());
    // Bytes that claim such a table are refused.
    let mut bytes = Vec::new();
    PrefixTable::build(vec![(v6(1 << 48, 16), 1), (v6(2 << 48, 16), 1)]).write(&mut bytes);
    let at = bytes
        .windows(4)
        .rposition(|four| four == [0, 0, 2, 0])
        .unwrap();
    bytes[at + 3] = 0x80;
    assert_eq!(
        PrefixTable::read(&mut bytes.as_slice()).unwrap_err(),
        Damaged("prefixes too sparse for their table")
    );
}

#[test]
fn adversarial_lists_are_built_and_searched_within_their_bounds() {
    // Every length around one address, of both families.
    let mut nested: Vec<_> = (0..=128)
        .map(|length| (v6(u64::MAX / 3, length), 1))
        .collect();
    nested.extend((0..=32).map(|length| (v4(0x5555_5555, length), 1)));
    holds(&nested, &nested);
    // One prefix many times.
    let equal: Vec<_> = (1..=1_000_000).map(|line| (v4(7, 32), line)).collect();
    assert_eq!(PrefixTable::build(equal).entries(), [(v4(7, 32), 1)]);
    // All in one /16, each its own range.
    let close = (0..65_536).step_by(2).zip(1..);
    let close: Vec<_> = close.map(|(bits, line)| (v4(bits, 32), line)).collect();
    holds(&close, &close[close.len() - 8..]);
    // More within one prefix than a link spans, then an address that only that prefix holds.
    let mut wide = vec![(v6(0x2001 << 48, 16), 1), (v6(0x2001 << 48, 17), 2)];
    wide.extend((1..200_000).map(|n| (v6(0x2001 << 48 | n << 18, 47), 9)));
    let built = PrefixTable::build(wide);
    let ask = |upper: u64| built.find(Ipv6Addr::from_bits(u128::from(upper) << 64).into());
    assert_eq!(ask(0x2001_FFFF << 32), Some((v6(0x2001 << 48, 16), 1)));
    assert_eq!(ask(0x2001_7FFF << 32), Some((v6(0x2001 << 48, 17), 2)));
    assert_eq!(
        ask(0x2001 << 48 | 300 << 18 | 1 << 17),
        Some((v6(0x2001 << 48, 17), 2))
    );
    assert_eq!(ask(0x2002 << 48), None);
}

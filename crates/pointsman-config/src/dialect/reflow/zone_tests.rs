//! Zone files: what their lines mean, which zone wins, and what is told of bad ones.

use std::path::Path;

use expect_test::{Expect, expect};
use pointsman_policy::zone::Zones;
use pointsman_policy::{Domain, Policy};

use crate::files::Memory;
use crate::load::{Loaded, load};

fn load_zones(zones: &[(&str, &str)]) -> Loaded {
    let config = [("c/config", "rule r = direct")];
    let files = Memory::new(zones.iter().copied().chain(config));
    load(Path::new("c"), None, None, &files)
}

fn rendered(loaded: &Loaded) -> String {
    let told = loaded.problems.0.iter().filter(|p| p.code != "no-inbound");
    told.map(|p| format!("{p}\n")).collect()
}

fn policy(zones: &[(&str, &str)]) -> std::sync::Arc<Policy> {
    let loaded = load_zones(zones);
    let told = rendered(&loaded);
    let setup = loaded.setup.unwrap_or_else(|| panic!("{told}"));
    setup.policies[0].clone()
}

fn name_zone<'z>(zones: &'z Zones, name: &str) -> (&'z str, u32) {
    let found = zones.zone_of_domain(&Domain::parse(name).unwrap());
    let found = found.map(|(zone, entry)| (&*zones.domain_names()[zone.0 as usize], entry.line));
    found.unwrap_or(("none", 0))
}

fn address_zone<'z>(zones: &'z Zones, address: &str) -> (&'z str, u32) {
    let found = zones.zone_of_address(address.parse().unwrap());
    let found = found.map(|(zone, entry)| (&*zones.address_names()[zone.0 as usize], entry.line));
    found.unwrap_or(("none", 0))
}

#[test]
fn a_name_belongs_to_the_most_specific_entry() {
    let policy = policy(&[
        ("c/namezone/college", "com.example.oak\nedu.example.oak\n"),
        ("c/namezone/lab", "edu.example.oak.chem"),
        (
            "c/namezone/guild/one",
            "com.example.oak.cs\norg.example.guild",
        ),
        (
            "c/namezone/guild/two",
            "# more\n\n  net.example.vault\t# indented\n",
        ),
    ]);
    let check = |name: &str, expected: (&str, u32)| {
        assert_eq!(name_zone(&policy.zones, name), expected, "{name}");
    };
    check("com", ("none", 0));
    check("example.com", ("none", 0));
    check("oak.example.com", ("college", 1));
    check("a.oak.example.com", ("college", 1));
    check("bcd.a.oak.example.com", ("college", 1));
    check("edu", ("none", 0));
    check("example.edu", ("none", 0));
    check("oak.example.edu", ("college", 2));
    check("bio.oak.example.edu", ("college", 2));
    check("chem.oak.example.edu", ("lab", 1));
    check("www.chem.oak.example.edu", ("lab", 1));
    check("cs.oak.example.com", ("guild", 1));
    check("se.cs.oak.example.com", ("guild", 1));
    check("guild.example.org", ("guild", 2));
    check("vault.example.net", ("guild", 3));
    check("m.vault.example.net", ("guild", 3));
    check("xvault.example.net", ("none", 0));
    check("vault.example.net.org", ("none", 0));
}

#[test]
fn an_address_belongs_to_the_longest_range() {
    let policy = policy(&[
        (
            "c/addrzone/college",
            "192.168.23.0/24\n10.0.0.0/8\n10.3.3.0/24\n2001::/16\n2001:db8:1::/48\n",
        ),
        (
            "c/addrzone/lab",
            "192.168.23.32/27\n10.3.0.9/16 # host bits\n2001:db8::/32\n2001:db8:1:2::/64\n192.168.23.38",
        ),
        (
            "c/addrzone/guild/x",
            "192.168.23.36/30\r\n192.168.23.253\r2001:db8:1:2::3\n",
        ),
    ]);
    let check = |address: &str, expected: (&str, u32)| {
        assert_eq!(address_zone(&policy.zones, address), expected, "{address}");
    };
    check("192.168.23.1", ("college", 1));
    check("192.168.23.31", ("college", 1));
    check("192.168.23.32", ("lab", 1));
    check("192.168.23.35", ("lab", 1));
    check("192.168.23.36", ("guild", 1));
    check("192.168.23.38", ("lab", 5));
    check("192.168.23.39", ("guild", 1));
    check("192.168.23.40", ("lab", 1));
    check("192.168.23.253", ("guild", 2));
    check("192.168.23.254", ("college", 1));
    check("192.168.24.1", ("none", 0));
    check("10.255.0.1", ("college", 2));
    check("10.3.0.1", ("lab", 2));
    check("10.3.3.3", ("college", 3));
    check("11.0.0.1", ("none", 0));
    check("2001:1::1", ("college", 4));
    check("2001:db8::1", ("lab", 3));
    check("2001:db8:1::1", ("college", 5));
    check("2001:db8:1:2::1", ("lab", 4));
    check("2001:db8:1:2::3", ("guild", 3));
    check("2002::1", ("none", 0));
}

#[test]
fn an_empty_label_repeats_the_one_above() {
    let zones = [(
        "c/namezone/z",
        "com.example.www.a\n..mail # example.com\n...b\n.sample\n\norg\n.x\n",
    )];
    let policy = policy(&zones);
    let check = |name: &str, expected: (&str, u32)| {
        assert_eq!(name_zone(&policy.zones, name), expected, "{name}");
    };
    check("a.www.example.com", ("z", 1));
    check("mail.example.com", ("z", 2));
    check("b.mail.example.com", ("z", 3));
    check("sample.com", ("z", 4));
    check("org", ("z", 6));
    check("x.org", ("z", 7));
    let entry = policy
        .zones
        .zone_of_domain(&Domain::parse("mail.example.com").unwrap());
    assert_eq!(&*entry.unwrap().1.text, "..mail");
}

fn check_problems(zones: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&rendered(&load_zones(zones)));
}

#[test]
fn what_is_wrong_with_zones_is_told() {
    let check = check_problems;
    check(
        &[
            ("c/namezone/a", "com.x\n\ncom.example\n"),
            ("c/namezone/b", "# c\n  com.example\n"),
        ],
        expect![[r#"
            namezone/b:2:3: error[zone-conflict]: `com.example` is in zone `b` and in zone `a`
              |   com.example
              |   ^^^^^^^^^^^
              namezone/a:3:1: first here
              hint: an entry belongs to one zone: remove one of the two
        "#]],
    );
    check(
        &[
            ("c/addrzone/a/1", "10.0.0.0/8"),
            ("c/addrzone/b", "10.9.9.9/8"),
        ],
        expect![[r#"
            addrzone/b:1:1: error[zone-conflict]: `10.9.9.9/8` is in zone `b` and in zone `a`
              | 10.9.9.9/8
              | ^^^^^^^^^^
              addrzone/a/1:1:1: first here
              hint: an entry belongs to one zone: remove one of the two
        "#]],
    );
    check(
        &[
            (
                "c/namezone/a",
                "com.example/x\ncom.example.\n..x\n..\ncom.ex ample\n",
            ),
            ("c/addrzone/a", "10.0.0\n10.0.0.0/33\n"),
        ],
        expect![[r#"
            addrzone/a:1:1: error[invalid-entry]: `10.0.0` is not an IPv4 or IPv6 address
              | 10.0.0
              | ^^^^^^
            addrzone/a:2:1: error[invalid-entry]: `/33` is not a prefix length here (0 to 32)
              | 10.0.0.0/33
              | ^^^^^^^^^^^
            namezone/a:1:1: error[invalid-entry]: the name has the character '/', which no host name carries
              | com.example/x
              | ^^^^^^^^^^^^^
            namezone/a:2:1: error[invalid-entry]: an empty label repeats the label above it, and there is none
              | com.example.
              | ^^^^^^^^^^^^
            namezone/a:3:1: error[invalid-entry]: an empty label repeats the label above it, and there is none
              | ..x
              | ^^^
            namezone/a:4:1: error[invalid-entry]: an empty label repeats the label above it, and there is none
              | ..
              | ^^
        "#]],
    );
    check(
        &[
            ("c/namezone/else", "com"),
            ("c/addrzone/else", "10.0.0.0/8"),
            ("c/namezone/.swp", "!!"),
        ],
        expect![[r#"
            namezone/else:1:1: error[reserved-name]: `else` is reserved and cannot name a zone
              hint: rename the file
        "#]],
    );
    check(
        &[("c/namezone", "com")],
        expect![[r#"
        namezone:1:1: error[unreadable]: is a file; zones are files in a folder of this name
    "#]],
    );
    check(
        &[("c/namezone/a/b/c", "com"), ("c/namezone/a/d", "org")],
        expect![[r#"
            namezone/a/b:1:1: warning[ignored-folder]: this folder is not read: a zone is a file or a folder of files
        "#]],
    );
    check(
        &[
            ("c/region.a/x", "com"),
            ("c/ipregion.b/y", "10.0.0.0/8"),
            ("c/region.", ""),
        ],
        expect![[r#"
            ipregion.b:1:1: note[deprecated]: `ipregion.b/` is the old place of a zone
              hint: move it to `addrzone/b/`
            region.a:1:1: note[deprecated]: `region.a/` is the old place of a zone
              hint: move it to `namezone/a/`
        "#]],
    );
    let many = "!\n".repeat(23);
    check(
        &[("c/namezone/a", &many)],
        expect![[r#"
            namezone/a:1:1: error[invalid-entry]: the name has the character '!', which no host name carries
              | !
              | ^
              the same on the lines 2 and 3, and of 17 more
            namezone/a:24:1: error[invalid-entry]: 3 more problems in this file
        "#]],
    );
}

#[test]
fn old_folders_are_joined_with_the_new() {
    let policy = policy(&[("c/region.a/x", "com.old"), ("c/namezone/a", "com.new")]);
    assert_eq!(name_zone(&policy.zones, "www.old.com"), ("a", 1));
    assert_eq!(name_zone(&policy.zones, "www.new.com"), ("a", 1));
}

#[test]
fn large_zones_load() {
    let names: String = (0..200_000)
        .map(|n| format!("com.example{}.d{n}\n", n % 977))
        .collect();
    let ranges: String = (0..50_000_u32)
        .map(|n| format!("10.{}.{}.0/24\n", n / 250 % 250, n % 250))
        .collect();
    let policy = policy(&[("c/namezone/big", &names), ("c/addrzone/big", &ranges)]);
    assert_eq!(
        name_zone(&policy.zones, "x.d199999.example691.com"),
        ("big", 200_000)
    );
    assert_eq!(address_zone(&policy.zones, "10.3.7.9"), ("big", 758));
}

//! What is known of addresses after which answers, and when.

use pointsman_wire::dns::{Cached, parse_response};

use super::table::{Room, Table};
use super::*;

const A: &str = "a.test";
const B: &str = "b.test";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// What is known of `192.0.2.1` after each step: `client name ttl @second`.
fn check(steps: &[(&str, &str, u32, Seconds)], client: &str, at: Seconds, expected: &str) {
    let known = Correlation::default();
    for (client, text, ttl, now) in steps {
        let addresses = [ip("192.0.2.1")];
        known.remember_fixed(ip(client), &name(text), addresses.iter(), *ttl, *now);
    }
    let found = match known.find(ip(client), ip("192.0.2.1"), false, at) {
        Fact::Known(name, from) => {
            assert_eq!(from, Provenance::DnsCorrelation);
            name.to_string()
        }
        Fact::Failed(why) => why.to_string(),
        Fact::Absent => "none".to_owned(),
        Fact::Unknown => panic!("it is settled"),
    };
    assert_eq!(found, expected);
}

const C: &str = "10.0.0.7";

#[test]
fn one_name_is_told_and_several_are_not() {
    check(&[(C, A, 10, 100)], C, 169, A);
    // What holds is over, and the time that clients keep it beyond.
    check(&[(C, A, 10, 100)], C, 170, "none");
    check(&[(C, A, 10, 100)], "10.0.0.8", 101, "none");
    check(&[(C, A, 10, 100), (C, A, 10, 150)], C, 219, A);
    check(
        &[(C, A, 10, 100), (C, B, 50, 101)],
        C,
        169,
        "ambiguous: a.test, b.test",
    );
    check(&[(C, A, 10, 100), (C, B, 50, 101)], C, 170, B);
    check(
        &[(C, B, 10, 100), (C, A, 5, 101), ("10.0.0.8", A, 9, 101)],
        "10.0.0.8",
        102,
        A,
    );
    // No more is believed than the DNS server keeps.
    check(&[(C, A, u32::MAX, 100)], C, 100 + LONGEST + GRACE - 1, A);
    check(&[(C, A, u32::MAX, 100)], C, 100 + LONGEST + GRACE, "none");
}

/// Those that hold longest are kept, so that one name is told when it alone is left.
#[test]
fn of_many_names_the_last_is_told_when_it_is_alone() {
    let order = [3, 9, 1, 7, 5, 8, 2, 6, 4, 10];
    let names: Vec<String> = order.iter().map(|n| format!("n{n}.test")).collect();
    for turn in 0..order.len() {
        let mut steps: Vec<(&str, &str, u32, Seconds)> = Vec::new();
        for at in 0..order.len() {
            let at = (at + turn) % order.len();
            steps.push((C, &names[at], order[at] * 10, 100));
        }
        check(&steps, C, 100 + GRACE + 90, "n10.test");
        check(&steps, C, 100 + GRACE + 89, "ambiguous: n10.test, n9.test");
        check(&steps, C, 100 + GRACE + 100, "none");
    }
}

fn answer(addresses: &[[u8; 4]], ttl: u32) -> Cached {
    let mut message = b"\0\x07\x81\x80\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01".to_vec();
    message[7] = u8::try_from(addresses.len()).unwrap();
    for address in addresses {
        message.extend_from_slice(b"\xc0\x0c\0\x01\0\x01");
        message.extend(ttl.to_be_bytes());
        message.extend_from_slice(b"\0\x04");
        message.extend_from_slice(address);
    }
    Cached::new(&parse_response(&message).unwrap(), 600).unwrap()
}

#[test]
fn an_answer_counts_for_what_is_left_of_it_and_addresses_of_no_host_say_nothing() {
    let known = Correlation::default();
    let begun = Instant::now();
    let later = begun + std::time::Duration::from_secs(20);
    let all = [[192, 0, 2, 1], [127, 0, 0, 1], [0, 0, 0, 0], [192, 0, 2, 2]];
    let answer = answer(&all, 30);
    let find = |address: &str, at| known.find(ip(C), ip(address), false, at);
    let told = Fact::Known(name(A), Provenance::DnsCorrelation);
    for _ in 0..2 {
        known.remember(ip(C), &name(A), &answer, begun, later, 500);
    }
    for address in ["192.0.2.1", "::ffff:192.0.2.2"] {
        assert_eq!(find(address, 569), told, "{address}");
        assert_eq!(find(address, 570), Fact::Absent, "{address}");
    }
    for address in ["127.0.0.1", "0.0.0.0"] {
        assert_eq!(find(address, 501), Fact::Absent, "{address}");
    }
    // A host that slept: the answer holds by the clock that slept, and is told again.
    known.remember(ip(C), &name(A), &answer, begun, later, 5000);
    assert_eq!(find("192.0.2.1", 5069), told);
    let all = known.of(ip("192.0.2.1"), None, 9, 5001);
    let is = |it: &KnownName| (it.client, it.name.to_string(), it.seconds, it.doubtful);
    assert_eq!(
        all.iter().map(is).collect::<Vec<_>>(),
        [(Some(ip(C)), A.to_owned(), 69, false)]
    );
    assert_eq!(known.of(ip("192.0.2.1"), Some(ip("10.0.0.8")), 9, 5001), []);
}

#[test]
fn programs_of_this_host_are_one_client() {
    let check = |client: Option<&str>, here: &str, expected: &str| {
        assert_eq!(asker(client.map(ip), Some(ip(here))), ip(expected));
    };
    check(Some("127.0.0.1"), "127.0.0.53", "0.0.0.0");
    check(Some("192.0.2.7"), "192.0.2.7", "0.0.0.0");
    check(Some("::ffff:192.0.2.7"), "192.0.2.7", "0.0.0.0");
    check(None, "192.0.2.7", "0.0.0.0");
    check(Some("192.0.2.8"), "192.0.2.7", "192.0.2.8");
    check(Some("2001:db8::8"), "2001:db8::7", "2001:db8::8");
}

/// Fills a table with names of clients that nobody has seen, and gives how many were taken.
fn flood(table: &mut Table, clients: u32, now: Seconds) -> u32 {
    let mut taken = 0;
    for n in 0..clients {
        let client = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let flood = name(&format!("n{n}.test"));
        taken += u32::from(table.remember(client, ip("192.0.2.9"), &flood, now + 1000, now));
    }
    taken
}

const ROOM: Room = Room {
    all: 100_000,
    part: 50_000,
};

#[test]
fn forged_clients_leave_room_for_those_who_were_heard() {
    let mut table = Table::new(ROOM, RandomState::new());
    let proven = ip("192.168.1.9");
    table.prove(proven, 10);
    let taken = flood(&mut table, 10_000, 10);
    assert!((100..1000).contains(&taken), "{taken}");
    // A client that had a flow has room, and so have the programs of this host.
    for client in [proven, THIS_HOST] {
        assert!(table.remember(client, ip("192.0.2.1"), &name(A), 500, 10));
        let found = table.find(client, ip("192.0.2.1"), 20);
        assert!(matches!(found, Some(Correlated::Name(_))), "{found:?}");
    }
    // Another one has, when those of the flood are over.
    let other = ip("192.168.1.10");
    assert!(!table.remember(other, ip("192.0.2.1"), &name(A), 500, 11));
    assert!(table.remember(other, ip("192.0.2.1"), &name(A), 2000, 1010));
}

#[test]
fn who_asks_for_more_than_there_is_room_for_is_not_believed_until_that_is_over() {
    let mut table = Table::new(ROOM, RandomState::new());
    let client = THIS_HOST;
    let address = |n: u32| IpAddr::from((0xc612_0000 + n).to_be_bytes());
    assert!(table.remember(client, address(0), &name(A), 5000, 10));
    let mut full = 1;
    while table.remember(
        client,
        address(full),
        &name(&format!("n{full}.test")),
        900,
        10,
    ) {
        full += 1;
    }
    assert!((100..1000).contains(&full), "{full}");
    // It may be `n.test` that it means, which nobody remembers.
    let found = table.find(client, address(0), 20);
    assert!(matches!(found, Some(Correlated::Doubtful(_))), "{found:?}");
    let found = table.find(client, address(0), 900);
    assert!(matches!(found, Some(Correlated::Name(_))), "{found:?}");
    // A name more of an address that is known is always taken.
    assert!(table.remember(client, address(0), &name(B), 5000, 10));
    let found = table.find(client, address(0), 900);
    assert!(matches!(found, Some(Correlated::Several(_))), "{found:?}");
    // Others have room.
    assert!(table.remember(ip("192.168.1.9"), address(0), &name(A), 900, 10));
}

#[test]
fn a_host_counts_by_its_network_of_ipv6() {
    let is = |client: &str, expected: &str| assert_eq!(table::network(ip(client)), ip(expected));
    is("2001:db8:1:2:3::4", "2001:db8:1:2::");
    is("fe80::1", "fe80::1");
    is("10.1.2.3", "10.1.2.3");
}

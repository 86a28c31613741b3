//! In which order members are tried, and who is asked again when.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use pointsman_spec::address::Endpoint;
use pointsman_spec::outbound::{Balance, Balancing, Retry};

use super::*;

/// A group of members that are told apart by their numbers.
struct Group {
    how: Balancing,
    members: Vec<Member>,
}

fn group(balance: Balance, members: i32, most: usize) -> Group {
    let member = |number: i32| Member {
        name: number.to_string().into(),
        address: Endpoint::Fd(number),
        via: None,
    };
    let how = Balancing {
        balance,
        retry: Retry {
            targets: NonZeroUsize::new(most),
            ..Retry::default()
        },
        connection_limit: 0,
        one_way: false,
        not_yet: None,
    };
    Group {
        how,
        members: (0..members).map(member).collect(),
    }
}

/// In which order a connection tries all that it may.
fn order(failures: &Failures, group: &Group, turn: usize, now: Instant) -> Vec<usize> {
    let mut left = Untried::new(&group.how, &group.members, turn, None);
    let next = || failures.next(&group.members, &mut left, now);
    std::iter::from_fn(next).map(|next| next.index).collect()
}

/// The target that a connection gets where the first one that it tries can be reached.
fn first(failures: &Failures, group: &Group, turn: usize, now: Instant) -> usize {
    let mut left = Untried::new(&group.how, &group.members, turn, None);
    let next = failures.next(&group.members, &mut left, now);
    next.unwrap().index
}

#[test]
fn every_balance_has_its_order() {
    let now = Instant::now();
    let order = |balance, most, turn| {
        let group = group(balance, 3, most);
        order(&Failures::default(), &group, turn, now)
    };
    assert_eq!(order(Balance::Failover, 0, 1), [0, 1, 2]);
    assert_eq!(order(Balance::Failover, 2, 1), [0, 1]);
    assert_eq!(order(Balance::RoundRobin, 0, 4), [1, 2, 0]);
    assert_eq!(order(Balance::RoundRobin, 1, 5), [2]);
    assert_eq!(order(Balance::None, 0, 1), [0]);
}

#[test]
fn a_client_keeps_its_target_where_others_come_and_go() {
    let (four, five) = (group(Balance::Source, 4, 0), group(Balance::Source, 5, 0));
    let now = Instant::now();
    let clients = || (0..10_000_u32).map(|n| IpAddr::from((0x0a00_0000 + n).to_be_bytes()));
    let first = |group: &Group, client| {
        let mut left = Untried::new(&group.how, &group.members, 7, Some(client));
        let next = Failures::default().next(&group.members, &mut left, now);
        next.unwrap().index
    };
    let moved = clients().filter(|client| first(&four, *client) != first(&five, *client));
    let moved: Vec<IpAddr> = moved.collect();
    assert!(moved.iter().all(|client| first(&five, *client) == 4));
    assert!((1_700..2_300).contains(&moved.len()), "{}", moved.len());
    for index in 0..5 {
        let share = clients()
            .filter(|client| first(&five, *client) == index)
            .count();
        assert!((1_700..2_300).contains(&share), "{index}: {share}");
    }
    // A rest sends its clients elsewhere, and nobody else.
    let failures = Failures::default();
    failures.note(&five.members, &five.members[4], now, now);
    for client in clients().take(1000) {
        let mut left = Untried::new(&five.how, &five.members, 0, Some(client));
        let next = failures.next(&five.members, &mut left, now).unwrap().index;
        let usual = first(&five, client);
        assert!(next != 4 && (usual == 4 || next == usual));
    }
}

#[test]
fn who_failed_rests_longer_each_time_and_is_asked_by_one() {
    let group = group(Balance::Failover, 3, 0);
    let failures = Failures::default();
    let mut now = Instant::now();
    for seconds in [2, 4, 8, 16, 30, 30] {
        failures.note(&group.members, &group.members[0], now, now);
        let almost = now + Duration::from_secs(seconds) - Duration::from_millis(1);
        assert_eq!(order(&failures, &group, 0, now), [1, 2, 0]);
        assert_eq!(order(&failures, &group, 0, almost), [1, 2, 0]);
        now += Duration::from_secs(seconds);
        assert_eq!(first(&failures, &group, 0, now), 0, "{seconds} s");
        assert_eq!(first(&failures, &group, 0, now), 1, "one asks");
    }
    failures.forgive(&group.members[0]);
    assert_eq!(first(&failures, &group, 0, now), 0);
    assert_eq!(first(&failures, &group, 0, now), 0);
}

#[test]
fn those_before_the_one_to_try_are_named_with_what_keeps_it_from_them() {
    let three = group(Balance::Failover, 3, 0);
    let failures = Failures::default();
    let now = Instant::now();
    let check = |now, expected: &[&str]| {
        let mut left = Untried::new(&three.how, &three.members, 0, None);
        let next = failures.next(&three.members, &mut left, now).unwrap();
        let told = |(index, rest): &(usize, Rest)| format!("{index} {rest}");
        let told: Vec<String> = next.passed_by.iter().map(told).collect();
        assert_eq!(told, expected);
        next.index
    };
    failures.note(&three.members, &three.members[0], now, now);
    assert_eq!(check(now, &["0 is not tried for 2 s after 1 failure"]), 1);
    let over = now + FIRST_REST;
    assert_eq!(check(over, &[]), 0);
    let tried = "0 is tried by another connection after 1 failure";
    assert_eq!(check(over, &[tried]), 1);
    failures.note(&three.members, &three.members[0], over, over);
    failures.note(&three.members, &three.members[1], over, over);
    let (longer, short) = (
        "0 is not tried for 4 s after 2 failures",
        "1 is not tried for 2 s after 1 failure",
    );
    assert_eq!(check(over, &[longer, short]), 2);
    // Where all rest none is passed by.
    failures.note(&three.members, &three.members[2], over, over);
    assert_eq!(check(over, &[]), 0);
}

#[test]
fn a_target_that_is_gone_or_moved_does_not_fail() {
    let known = group(Balance::Failover, 2, 0);
    let failures = Failures::default();
    let now = Instant::now();
    failures.note(&known.members, &known.members[0], now, now);
    let names = |group: &Group| -> Vec<String> {
        let failing = failures.failing(&group.members, now).into_iter();
        failing.map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!(names(&known), ["0"]);
    let mut moved = group(Balance::Failover, 2, 0);
    moved.members[0].address = Endpoint::Fd(77);
    assert!(names(&moved).is_empty());
    let mut by_another_way = group(Balance::Failover, 2, 0);
    by_another_way.members[0].via = Some(("bastion".into(), None));
    assert!(names(&by_another_way).is_empty());
    let mut gone = group(Balance::Failover, 2, 0);
    gone.members.remove(0);
    assert!(names(&gone).is_empty());
    // A trial ends, and it is back.
    assert_eq!(names(&known), ["0"]);
}

#[test]
fn who_leaves_before_it_is_known_lets_the_next_one_try() {
    let group = group(Balance::Failover, 2, 0);
    let failures = Failures::default();
    let mut now = Instant::now();
    failures.note(&group.members, &group.members[0], now, now);
    now += FIRST_REST;
    for known in [false, true] {
        assert_eq!(first(&failures, &group, 0, now), 0);
        let trying = Trying::new(&failures, &group.members[0], now);
        assert_eq!(first(&failures, &group, 0, now), 1, "one asks");
        match known {
            true => trying.known(),
            false => drop(trying),
        }
    }
    assert_eq!(first(&failures, &group, 0, now), 1);
}

#[test]
fn one_alone_asks_however_long_it_takes() {
    let group = group(Balance::Failover, 2, 0);
    let failures = Failures::default();
    let mut now = Instant::now();
    failures.note(&group.members, &group.members[0], now, now);
    now += FIRST_REST;
    let begun = now;
    assert_eq!(first(&failures, &group, 0, begun), 0);
    // A `connect_timeout` may be longer than the rest.
    for _ in 0..10 {
        now += FIRST_REST;
        assert_eq!(first(&failures, &group, 0, now), 1);
    }
    failures.note(&group.members, &group.members[0], begun, now);
    assert_eq!(first(&failures, &group, 0, now + FIRST_REST), 1);
    assert_eq!(first(&failures, &group, 0, now + FIRST_REST * 2), 0);
}

#[test]
fn who_has_another_turn_does_not_keep_a_target_at_rest() {
    let group = group(Balance::RoundRobin, 3, 0);
    let failures = Failures::default();
    let mut now = Instant::now();
    failures.note(&group.members, &group.members[0], now, now);
    now += FIRST_REST;
    assert_eq!(first(&failures, &group, 1, now), 1);
    assert_eq!(first(&failures, &group, 2, now), 2);
    assert_eq!(first(&failures, &group, 3, now), 0);
}

#[test]
fn many_that_fail_together_are_one_failure() {
    let group = group(Balance::Failover, 2, 0);
    let failures = Failures::default();
    let begun = Instant::now();
    let mut now = begun;
    // Begun before it was known, and told over longer than its rest.
    for _ in 0..100 {
        now += Duration::from_millis(15);
        failures.note(&group.members, &group.members[0], begun, now);
    }
    let over = begun + Duration::from_millis(15) + FIRST_REST;
    assert_eq!(first(&failures, &group, 0, over), 0);
    // One after its rest says something new.
    failures.note(&group.members, &group.members[0], over, over);
    assert_eq!(first(&failures, &group, 0, over + FIRST_REST), 1);
    assert_eq!(first(&failures, &group, 0, over + FIRST_REST * 2), 0);
}

#[test]
fn where_all_have_failed_all_are_tried() {
    let group = group(Balance::RoundRobin, 3, 0);
    let failures = Failures::default();
    let now = Instant::now();
    for member in &group.members {
        failures.note(&group.members, member, now, now);
    }
    assert_eq!(order(&failures, &group, 1, now), [1, 2, 0]);
}

#[test]
fn what_is_remembered_never_grows_over_the_targets() {
    let failures = Failures::default();
    let now = Instant::now();
    for count in [1, 5, 2] {
        let group = group(Balance::Failover, count, 0);
        for member in group.members.iter().chain(&group.members) {
            failures.note(&group.members, member, now, now);
        }
        assert_eq!(failures.all().len(), group.members.len());
    }
}

//! The table in virtual time.

use proptest::prelude::*;

use super::*;

type Table = Nat<&'static str, &'static str, u32>;

const IDLE: Seconds = 300;
/// How long a flow may wait.
const PATIENCE: Seconds = 30;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn client() -> Client {
    at("127.0.0.1:5000")
}

/// A table with one flow, carried by a mapping of its own.
fn carried(
    filtering: Filtering,
    to: SocketAddr,
) -> (Table, FlowKey<&'static str>, MappingKey<&'static str, u32>) {
    let mut nat = Table::new(filtering);
    let flow = nat.begin(client(), b"a", "a", PATIENCE, 0);
    let mapping = nat.map(flow, "direct", 1).unwrap();
    assert!(nat.carry(flow, mapping, to, IDLE, 0));
    (nat, flow, mapping)
}

fn overdue(nat: &mut Table, now: Seconds) -> Vec<&'static str> {
    let mut ended = Vec::new();
    while let Some(key) = nat.overdue(now) {
        ended.push(nat.end(key).unwrap().flow);
    }
    ended
}

#[test]
fn a_flow_is_decided_once_and_carried_from_then_on() {
    let mut nat = Table::new(Filtering::Address);
    assert!(matches!(nat.sent(client(), b"a", 0), Towards::New));
    let flow = nat.begin(client(), b"a", "a", PATIENCE, 0);
    assert!(matches!(
        nat.sent(client(), b"a", 1),
        Towards::Waiting(key) if key == flow
    ));
    assert!(matches!(nat.sent(client(), b"b", 1), Towards::New));
    assert!(matches!(
        nat.sent(at("127.0.0.1:5001"), b"a", 1),
        Towards::New
    ));
    let mapping = nat.map(flow, "direct", 1).unwrap();
    assert!(nat.carry(flow, mapping, at("192.0.2.1:53"), IDLE, 1));
    assert!(!nat.carry(flow, mapping, at("192.0.2.2:53"), IDLE, 1));
    assert!(matches!(
        nat.sent(client(), b"a", 2),
        Towards::Carried(key) if key == flow
    ));
    assert_eq!(
        nat.flow(flow).unwrap().way(),
        Some((mapping.place(), at("192.0.2.1:53")))
    );
}

#[test]
fn a_client_leaves_one_way_by_one_mapping_whatever_place_it_goes_to() {
    let (mut nat, _, mapping) = carried(Filtering::Address, at("192.0.2.1:53"));
    assert!(nat.mapping(client(), &"direct") == Some(mapping));
    assert!(nat.mapping(client(), &"proxy").is_none());
    assert!(nat.mapping(at("127.0.0.1:5001"), &"direct").is_none());
    let second = nat.begin(client(), b"b", "b", PATIENCE, 0);
    assert!(nat.carry(second, mapping, at("192.0.2.2:53"), IDLE, 0));
    let first = nat.towards(mapping, at("192.0.2.1:53")).unwrap();
    assert!(nat.end(first).unwrap()._mapping.is_none());
    let ended = nat.end(second).unwrap();
    assert_eq!((ended.flow, ended._mapping), ("b", Some(1)));
    assert!(nat.mapping(client(), &"direct").is_none());
    assert!(nat.clients.is_empty());
}

#[test]
fn both_directions_keep_a_flow_and_neither_ends_it() {
    let to = at("192.0.2.1:53");
    let (mut nat, _, mapping) = carried(Filtering::Address, to);
    assert_eq!(overdue(&mut nat, IDLE - 1), Vec::<&str>::new());
    assert!(matches!(nat.came(mapping, to, IDLE - 1), Back::Flow(_)));
    assert_eq!(overdue(&mut nat, 2 * IDLE - 2), Vec::<&str>::new());
    nat.sent(client(), b"a", 2 * IDLE - 2);
    assert_eq!(overdue(&mut nat, 3 * IDLE - 2), Vec::<&str>::new());
    assert_eq!(overdue(&mut nat, 3 * IDLE - 1), ["a"]);
    assert_eq!(nat.len(), 0);
    assert_eq!(overdue(&mut nat, 10 * IDLE), Vec::<&str>::new());
    assert_eq!(nat.next_due(), None);
}

#[test]
fn no_flow_ends_before_its_time() {
    let mut nat = Table::new(Filtering::Address);
    let flow = nat.begin(client(), b"a", "a", PATIENCE, 0);
    let mapping = nat.map(flow, "direct", 1).unwrap();
    // At the end of second 0, for all that is known of it.
    assert!(nat.carry(flow, mapping, at("192.0.2.1:53"), 1, 0));
    assert_eq!(overdue(&mut nat, 1), Vec::<&str>::new());
    assert_eq!(overdue(&mut nat, 2), ["a"]);
}

#[test]
fn a_machine_that_slept_ends_what_was_idle_meanwhile() {
    let (mut nat, ..) = carried(Filtering::Address, at("192.0.2.1:53"));
    assert_eq!(overdue(&mut nat, 8 * 3600), ["a"]);
}

#[test]
fn a_short_idle_is_not_kept_waiting_by_a_long_patience() {
    let mut nat = Table::new(Filtering::Address);
    let flow = nat.begin(client(), b"a", "a", PATIENCE, 0);
    let mapping = nat.map(flow, "direct", 1).unwrap();
    assert!(nat.carry(flow, mapping, at("192.0.2.1:53"), 10, 0));
    assert_eq!(nat.next_due(), Some(11));
    assert_eq!(overdue(&mut nat, 11), ["a"]);
}

#[test]
fn a_refused_flow_is_forgotten_after_its_rest_however_much_comes() {
    let mut nat = Table::new(Filtering::Address);
    let flow = nat.begin(client(), b"a", "a", PATIENCE, 0);
    assert!(nat.refuse(flow, 10, 0));
    assert!(!nat.refuse(flow, 10, 5));
    for now in 0..10 {
        assert!(matches!(nat.sent(client(), b"a", now), Towards::Refused(_)));
    }
    assert_eq!(overdue(&mut nat, 10), ["a"]);
    assert!(matches!(nat.sent(client(), b"a", 10), Towards::New));
}

#[test]
fn strangers_pass_as_the_filter_says() {
    let to = at("192.0.2.1:53");
    let check = |filtering, from: &str, expected: &str| {
        let (mut nat, _, mapping) = carried(filtering, to);
        let came = match nat.came(mapping, at(from), 0) {
            Back::Filtered => "filtered",
            Back::Flow(_) => "flow",
            Back::Stranger => "stranger",
        };
        assert_eq!(came, expected, "{filtering:?} {from}");
    };
    for filtering in [Filtering::Port, Filtering::Address, Filtering::FullCone] {
        check(filtering, "192.0.2.1:53", "flow");
    }
    check(Filtering::Port, "192.0.2.1:54", "filtered");
    check(Filtering::Address, "192.0.2.1:54", "stranger");
    check(Filtering::Address, "192.0.2.2:53", "filtered");
    check(Filtering::FullCone, "192.0.2.2:53", "stranger");
}

#[test]
fn an_address_whose_flows_ended_is_strange_again() {
    let (mut nat, first, mapping) = carried(Filtering::Address, at("192.0.2.1:53"));
    let second = nat.begin(client(), b"b", "b", PATIENCE, 0);
    assert!(nat.carry(second, mapping, at("192.0.2.2:53"), IDLE, 0));
    nat.end(first);
    assert!(matches!(
        nat.came(mapping, at("192.0.2.1:99"), 0),
        Back::Filtered
    ));
}

#[test]
fn of_two_spellings_of_one_place_the_one_that_lives_is_answered() {
    let to = at("192.0.2.1:53");
    let (mut nat, by_address, mapping) = carried(Filtering::Port, to);
    let by_name = nat.begin(client(), b"name", "name", PATIENCE, 0);
    assert!(nat.carry(by_name, mapping, to, IDLE, 0));
    let answered = |nat: &mut Table| match nat.came(mapping, to, 0) {
        Back::Flow(key) => Some(nat.flow(key).unwrap().kept),
        Back::Filtered | Back::Stranger => None,
    };
    assert_eq!(answered(&mut nat), Some("name"));
    // Who asked last is who is answered.
    nat.sent(client(), b"a", 0);
    assert_eq!(answered(&mut nat), Some("a"));
    nat.sent(client(), b"name", 0);
    assert_eq!(answered(&mut nat), Some("name"));
    nat.end(by_name);
    assert_eq!(answered(&mut nat), Some("a"));
    nat.end(by_address);
    assert_eq!(answered(&mut nat), None);
}

#[test]
fn the_first_that_was_never_answered_gives_way() {
    let to = at("192.0.2.1:53");
    let (mut nat, first, mapping) = carried(Filtering::Address, to);
    let second = nat.begin(client(), b"b", "b", PATIENCE, 1);
    let third = nat.begin(client(), b"c", "c", PATIENCE, 1);
    assert!(nat.oldest_unanswered() == Some(first));
    nat.came(mapping, to, 2);
    assert!(
        nat.oldest_unanswered().is_none(),
        "two wait, one was answered"
    );
    assert!(nat.carry(third, mapping, at("192.0.2.3:53"), IDLE, 2));
    assert!(nat.oldest_unanswered() == Some(third));
    nat.end(third);
    assert!(nat.refuse(second, 10, 2));
    assert!(nat.oldest_unanswered() == Some(second));
    let other = nat.begin(at("127.0.0.2:5000"), b"c", "c", PATIENCE, 3);
    assert!(nat.refuse(other, 10, 3));
    let mut of = |text: &str| nat.oldest_unanswered_of(|flow| flow.client().ip() == at(text).ip());
    assert!(of("127.0.0.2:1") == Some(other));
    assert!(of("127.0.0.1:1") == Some(second));
    assert!(of("127.0.0.3:1").is_none());
}

#[test]
fn who_failed_gives_way_whatever_was_answered_before_and_one_way_flows_are_not_awaited() {
    let to = at("192.0.2.1:53");
    let (mut nat, flow, mapping) = carried(Filtering::Address, to);
    assert_eq!(nat.awaited(), 1);
    nat.came(mapping, to, 1);
    assert_eq!(nat.awaited(), 0);
    assert!(nat.oldest_unanswered().is_none());
    nat.cool_down(flow, 10, 2);
    assert_eq!(nat.awaited(), 1);
    assert!(nat.oldest_unanswered() == Some(flow));
    let (mut nat, flow, _) = carried(Filtering::Address, to);
    nat.is_never_answered(flow);
    assert_eq!(nat.awaited(), 0);
    assert!(nat.oldest_unanswered() == Some(flow));
    nat.end(flow);
    assert_eq!(nat.awaited(), 0);
}

#[test]
fn who_says_more_after_an_answer_is_told_from_who_asked_once() {
    let to = at("192.0.2.1:53");
    let (mut nat, flow, mapping) = carried(Filtering::Address, to);
    let quiet = |flow: &Flow<&str>| Some(if flow.is_followed() { 120 } else { 10 });
    for _ in 0..3 {
        nat.sent(client(), b"a", 1);
        assert!(!nat.flow(flow).unwrap().is_followed(), "no answer came");
    }
    nat.came(mapping, to, 2);
    nat.came(mapping, to, 2);
    assert!(nat.idlest(11, quiet).is_none());
    assert!(nat.idlest(12, quiet) == Some(flow));
    assert!(nat.idlest(12, |_| None).is_none());
    nat.sent(client(), b"a", 3);
    nat.came(mapping, to, 4);
    assert!(nat.idlest(123, quiet).is_none());
    assert!(nat.idlest(124, quiet) == Some(flow));
    assert_eq!(nat.awaited(), 0);
}

#[test]
fn some_flows_are_compared_and_others_the_next_time() {
    let mut nat = Table::new(Filtering::Address);
    assert!(nat.some().is_empty());
    let mut flows = Vec::new();
    for place in 0..100 {
        let flow = nat.begin(client(), &[place], "a", PATIENCE, 0);
        if place % 2 == 0 {
            nat.refuse(flow, 10, place.into());
            flows.push(flow);
        }
    }
    let all = nat.some();
    assert_eq!(all.len(), 50, "those that wait are left alone");
    assert!(flows.iter().all(|flow| all.contains(flow)));
    for place in 100..200 {
        let flow = nat.begin(client(), &[place], "a", PATIENCE, 0);
        nat.refuse(flow, 10, 0);
    }
    let (some, others) = (nat.some(), nat.some());
    assert_eq!(
        (some.len(), others.len()),
        (sparing::COMPARED, sparing::COMPARED)
    );
    assert!(some.iter().all(|flow| !others.contains(flow)));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u8, u8),
    Carry(u8),
    Refuse(u8),
    Answer(u8),
    Rest(u8),
    Pass(u8),
    End(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_u8, 0..5_u8).prop_map(|(client, place)| Step::Send(client, place)),
        any::<u8>().prop_map(Step::Carry),
        any::<u8>().prop_map(Step::Refuse),
        any::<u8>().prop_map(Step::Answer),
        any::<u8>().prop_map(Step::Rest),
        (1..120_u8).prop_map(Step::Pass),
        any::<u8>().prop_map(Step::End),
    ]
}

proptest! {
    /// Whatever happens in whatever order: each mapping has a flow, each carried flow its mapping, nobody lives longer
    /// than it may, and at the end nothing is left.
    #[test]
    fn nothing_outlives_its_time(steps in prop::collection::vec(step(), 1..200)) {
        let mut nat: Nat<(), u8, ()> = Nat::new(Filtering::Port);
        let mut now = 0;
        let nth = |nat: &Nat<(), u8, ()>, n: u8| {
            let keys: Vec<_> = nat.flows().collect();
            keys.get(usize::from(n) % keys.len().max(1)).copied()
        };
        for step in steps {
            match step {
                Step::Send(client, place) => {
                    let client = SocketAddr::from(([127, 0, 0, 1], u16::from(client) + 1));
                    if let Towards::New = nat.sent(client, &[place], now) {
                        nat.begin(client, &[place], (), PATIENCE, now);
                    }
                }
                Step::Carry(n) => {
                    let waiting = nth(&nat, n).filter(|key| nat.flow(*key).unwrap().waits());
                    if let Some(flow) = waiting {
                        let (client, way) = (nat.flow(flow).unwrap().client(), n % 2);
                        let to = SocketAddr::from(([192, 0, 2, n % 3], 53));
                        let mapping = nat.mapping(client, &way);
                        let mapping = mapping.or_else(|| nat.map(flow, way, ())).unwrap();
                        prop_assert!(nat.carry(flow, mapping, to, u64::from(n), now));
                    }
                }
                Step::Refuse(n) => {
                    if let Some(flow) = nth(&nat, n) {
                        nat.refuse(flow, 10, now);
                    }
                }
                Step::Answer(n) => {
                    let by = nth(&nat, n).and_then(|key| nat.flow(key)?.way());
                    if let Some((mapping, to)) = by {
                        let mapping = nat.mapping_at(mapping).unwrap();
                        prop_assert!(matches!(nat.came(mapping, to, now), Back::Flow(_)));
                    }
                }
                Step::Rest(n) => {
                    if let Some(flow) = nth(&nat, n) {
                        nat.cool_down(flow, 10, now);
                    }
                }
                Step::Pass(seconds) => {
                    now += u64::from(seconds);
                    while let Some(key) = nat.overdue(now) {
                        prop_assert!(nat.end(key).is_some());
                    }
                }
                Step::End(n) => {
                    if let Some(flow) = nth(&nat, n) {
                        nat.end(flow);
                    }
                }
            }
            for key in nat.flows() {
                let flow = nat.flow(key).unwrap();
                let limit = flow.last + flow.idle;
                prop_assert!(limit > now || flow.idle == 0 || limit == now);
                if let Some((mapping, _)) = flow.way() {
                    prop_assert!(nat.mapping_at(mapping).is_some());
                }
            }
            let counted: usize = nat.mappings.keys().map(|key| nat.mappings.get(key).unwrap().flows).sum();
            let carried = nat.flows().filter(|key| nat.flow(*key).unwrap().way().is_some()).count();
            prop_assert_eq!(counted, carried);
            prop_assert!(nat.mappings.keys().all(|key| nat.mappings.get(key).unwrap().flows > 0));
            prop_assert!(nat.due.len() <= 3 * nat.len() + 130);
            let is_awaited = |key: &FlowKey<()>| nat.flow(*key).unwrap().answer == Answer::Awaited;
            prop_assert_eq!(nat.awaited(), nat.flows().filter(is_awaited).count());
            prop_assert!(nat.unanswered.len() <= 3 * nat.len() + 130);
        }
        now += 10_000;
        while let Some(key) = nat.overdue(now) {
            prop_assert!(nat.end(key).is_some());
        }
        prop_assert_eq!((nat.len(), nat.mappings.len(), nat.clients.len()), (0, 0, 0));
    }
}

#[test]
fn who_gives_way_is_found_behind_many_who_do_not() {
    const OTHERS: u32 = 1500;
    let last = at("192.0.2.1:53");
    for answered in [true, false] {
        let mut nat = Table::new(Filtering::Address);
        let mut mapping = None;
        for number in 0..OTHERS {
            let place = number.to_be_bytes();
            let flow = nat.begin(client(), &place, "other", PATIENCE, 0);
            let by = *mapping.get_or_insert_with(|| nat.map(flow, "direct", 1).unwrap());
            let to = SocketAddr::from((std::net::Ipv4Addr::from(number), 53));
            assert!(nat.carry(flow, by, to, IDLE, 0));
            if answered {
                assert!(matches!(nat.came(by, to, 0), Back::Flow(_)));
            }
        }
        let asked = nat.begin(client(), b"asked", "asked", PATIENCE, 0);
        assert!(nat.carry(asked, mapping.unwrap(), last, IDLE, 0));
        let mut looks = 1..=2;
        let found = looks.find_map(|_| nat.oldest_unanswered_of(|flow| flow.kept == "asked"));
        assert!(found == Some(asked), "{answered}");
    }
}

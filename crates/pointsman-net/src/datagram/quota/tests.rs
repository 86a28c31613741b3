//! Who gets places, and who gives way, without relays.

use std::task::Wake;

use super::*;

/// A relay that was asked to give way so often.
#[derive(Default)]
struct Rung(AtomicUsize);

impl Wake for Rung {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Relay {
    seat: Arc<Seat>,
    rung: Arc<Rung>,
    places: Vec<FlowPermit>,
}

impl Relay {
    fn new(room: &Arc<FlowQuota>, owner: Owner) -> Self {
        let rung = Arc::<Rung>::default();
        Self {
            seat: room
                .join(owner, Waker::from(Arc::clone(&rung)), &limits(100, 100))
                .unwrap(),
            rung,
            places: Vec::new(),
        }
    }

    fn of(room: &Arc<FlowQuota>, last: u8) -> Self {
        Self::new(room, Owner::Client(client(last)))
    }

    fn takes(&mut self, last: u8, limits: &DatagramLimits) -> Result<(), Full> {
        let place = self.seat.enter(client(last), limits)?;
        self.places.push(place);
        Ok(())
    }

    /// Takes places until there is none.
    fn fills(&mut self, last: u8, limits: &DatagramLimits) {
        while self.takes(last, limits).is_ok() {}
    }

    /// Ends what it has to; how many that were.
    fn gives_way(&mut self) -> usize {
        let mut ended = 0;
        while self.seat.owes().is_some() {
            self.places.pop();
            ended += 1;
        }
        ended
    }

    fn rung(&self) -> usize {
        self.rung.0.load(Ordering::Relaxed)
    }
}

fn client(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn limits(flows: usize, flows_by_client: usize) -> DatagramLimits {
    DatagramLimits {
        flows,
        flows_by_client,
        ..DatagramLimits::default()
    }
}

#[test]
fn a_client_has_its_share_and_all_have_theirs() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(3, 2);
    let mut relays: Vec<_> = (1..4).map(|last| Relay::of(&room, last)).collect();
    assert_eq!(relays[0].takes(1, &limits), Ok(()));
    assert_eq!(relays[0].takes(1, &limits), Ok(()));
    assert_eq!(relays[0].takes(1, &limits), Err(Full::Client));
    assert_eq!(relays[1].takes(2, &limits), Ok(()));
    assert_eq!(relays[1].takes(2, &limits), Err(Full::All));
    assert_eq!(
        Full::All.why(&limits).to_string(),
        "limit: `udp.flows` is 3",
        "what is to be changed is named"
    );
    relays[0].places.pop();
    assert_eq!(relays[2].takes(3, &limits), Ok(()));
    drop(relays);
    assert_eq!(room.count(), (0, 0));
}

#[test]
fn who_has_most_gives_way_until_all_have_the_same() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(100, 50);
    let (mut one, mut two) = (Relay::of(&room, 1), Relay::of(&room, 2));
    one.fills(1, &limits);
    two.fills(2, &limits);
    assert_eq!((one.places.len(), two.places.len()), (50, 50));
    let mut third = Relay::of(&room, 3);
    third.fills(3, &limits);
    assert_eq!(third.places.len(), 33);
    let ended = (one.gives_way(), two.gives_way());
    assert_eq!(ended.0 + ended.1, 33);
    assert_eq!((one.places.len(), two.places.len()), (34, 33));
    // However often they ask again.
    one.fills(1, &limits);
    two.fills(2, &limits);
    assert_eq!((two.gives_way(), third.gives_way()), (0, 0));
    assert_eq!(room.count().0, 100);
}

#[test]
fn an_association_gives_way_to_another_of_its_client() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(100, 10);
    let mut greedy = Relay::of(&room, 1);
    greedy.fills(1, &limits);
    let mut other = Relay::of(&room, 1);
    other.fills(1, &limits);
    assert_eq!((other.places.len(), greedy.rung()), (5, 5));
    assert_eq!(greedy.gives_way(), 5);
    greedy.fills(1, &limits);
    assert_eq!((greedy.places.len(), other.gives_way()), (5, 0));
}

#[test]
fn what_ends_meanwhile_is_not_owed_any_more() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(100, 10);
    let (mut greedy, mut other) = (Relay::of(&room, 1), Relay::of(&room, 1));
    greedy.fills(1, &limits);
    assert_eq!(other.takes(1, &limits), Ok(()));
    assert_eq!(other.takes(1, &limits), Ok(()));
    greedy.places.pop();
    assert_eq!(greedy.gives_way(), 1);
    assert_eq!(room.count().0, 10);
    drop(greedy);
    assert_eq!(room.count(), (2, 1));
}

#[test]
fn what_is_owed_has_a_bound() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(1000, 1000);
    // It ends none: all of its flows wait to be decided.
    let mut stuck = Relay::of(&room, 1);
    stuck.fills(1, &limits);
    let mut other = Relay::of(&room, 2);
    other.fills(2, &limits);
    assert_eq!(other.places.len(), 64);
    assert_eq!(room.count().0, 1064);
    // As soon as one ends the next may begin.
    stuck.places.pop();
    assert_eq!(other.takes(2, &limits), Ok(()));
    assert_eq!(other.takes(2, &limits), Err(Full::All));
}

#[test]
fn forged_addresses_take_nothing_from_who_connected_and_have_to_give_way() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(100, 20);
    let mut forward = Relay::new(&room, Owner::Forward("one".into()));
    let mut connected = Relay::of(&room, 1);
    for _ in 0..5 {
        assert_eq!(connected.takes(1, &limits), Ok(()));
    }
    for last in 0..=255 {
        let _full = forward.takes(last, &limits);
    }
    assert_eq!(forward.places.len(), 95);
    assert_eq!(connected.gives_way(), 0);
    connected.fills(1, &limits);
    assert_eq!(connected.places.len(), 20);
    assert_eq!(forward.gives_way(), 15);
    // Whose address was forged has its own places still.
    let mut forged = Relay::new(&room, Owner::Forward("two".into()));
    for _ in 0..20 {
        assert_eq!(forged.takes(2, &limits), Ok(()));
    }
    assert_eq!(forged.takes(2, &limits), Err(Full::Client));
    let mut two = Relay::of(&room, 2);
    assert_eq!(two.takes(2, &limits), Ok(()));
}

#[test]
fn a_client_of_ipv6_is_a_network_where_it_is_not_near() {
    let check = |client: &str, here: &str, expected: &str| {
        let counted = counted(client.parse().unwrap(), here.parse().unwrap());
        assert_eq!(counted.to_string(), expected, "{client} {here}");
    };
    check("192.0.2.7", "192.0.2.1", "192.0.2.7");
    check("::ffff:192.0.2.7", "::ffff:192.0.2.1", "192.0.2.7");
    check("2001:db8:1:2::7", "2001:db8:1:3::1", "2001:db8:1:2::");
    check("2001:db8:1:2::7", "192.0.2.1", "2001:db8:1:2::");
    check("2001:db8:1:2::7", "2001:db8:1:2::1", "2001:db8:1:2::7");
    check("::1", "::1", "::1");
    check("fe80::7", "fe80::1", "fe80::7");
}

#[test]
fn who_floods_leaves_room_for_what_others_hold() {
    const EACH: usize = 1200;
    let room = Arc::new(FlowQuota::default());
    let fills = |relay: &Relay| {
        let mut held = 0;
        while relay.seat.hold(EACH) {
            held += EACH;
        }
        held
    };
    let (one, other) = (Relay::of(&room, 1), Relay::of(&room, 1));
    let most = fills(&one);
    assert!(most > shares::MOST_HELD / 4, "{most}");
    // Another association of its address, and another address.
    let by_other = fills(&other);
    assert!(by_other > shares::MOST_HELD / 20, "{by_other}");
    let two = Relay::of(&room, 2);
    let by_two = fills(&two);
    assert!(by_two > shares::MOST_HELD / 20, "{by_two}");
    assert_eq!(room.held(), most + by_other + by_two);
    assert!(room.held() <= shares::MOST_HELD);
    assert_eq!(room.lost(Loss::Held), 3);
    one.seat.let_go(most);
    other.seat.let_go(by_other);
    two.seat.let_go(by_two);
    assert_eq!(room.held(), 0);
    assert_eq!(fills(&one), most);
}

#[test]
fn associations_are_no_more_than_flows_and_those_without_give_way() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(100, 2);
    let joins = |rung: &Arc<Rung>| {
        let waker = Waker::from(Arc::clone(rung));
        room.join(Owner::Client(client(1)), waker, &limits)
    };
    let rung = Arc::<Rung>::default();
    let first = joins(&rung).unwrap();
    let second = joins(&rung).unwrap();
    let place = second.enter(client(1), &limits).unwrap();
    let third = joins(&rung).unwrap();
    assert!(first.is_to_leave() && !second.is_to_leave() && !third.is_to_leave());
    assert_eq!(rung.0.load(Ordering::Relaxed), 1);
    // A flow began there before it left.
    let other = first.enter(client(1), &limits).unwrap();
    assert!(!first.is_to_leave());
    drop(third);
    assert_eq!(joins(&rung).unwrap_err(), Full::Associations);
    assert_eq!(room.lost(Loss::Associations), 1);
    drop((place, other, first, second));
    assert_eq!(room.count(), (0, 0));
}

#[test]
fn ways_that_one_flow_has_for_itself_have_a_limit() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(32, 16);
    let relays: Vec<_> = (1..4).map(|last| Relay::of(&room, last)).collect();
    let own = |relay: &Relay| relay.seat.way(true, 1, &limits);
    let mut ways = vec![own(&relays[0]).unwrap(), own(&relays[0]).unwrap()];
    assert_eq!(own(&relays[0]).unwrap_err(), Full::NamesOfClient);
    ways.push(own(&relays[1]).unwrap());
    ways.push(own(&relays[1]).unwrap());
    assert_eq!(own(&relays[2]).unwrap_err(), Full::Names);
    assert_eq!(
        Full::Names.why(&limits).to_string(),
        "limit: `udp.flows` is 32, of which an eighth may go to names by proxies"
    );
    ways.clear();
    assert!(own(&relays[2]).is_ok());
    drop(relays);
    assert_eq!(room.count(), (0, 0));
}

#[test]
fn what_an_association_holds_that_gave_way_is_given_back_to_who_had_it() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(100, 1);
    let joins = || {
        let bell = Waker::noop().clone();
        room.join(Owner::Client(client(1)), bell, &limits).unwrap()
    };
    let first = joins();
    assert!(first.hold(100));
    let second = joins();
    assert!(first.is_to_leave());
    // It has not left yet, and all others have.
    drop(second);
    let third = joins();
    assert!(third.hold(10));
    first.let_go(100);
    assert_eq!(room.held(), 10);
    third.let_go(10);
    assert!(third.hold(1000));
    third.let_go(1000);
    drop((first, third));
    assert_eq!((room.held(), room.count()), (0, (0, 0)));
}

#[test]
fn forwards_have_as_many_flows_as_descriptors_and_share_them() {
    let room = Arc::new(FlowQuota::new(30));
    let limits = limits(100, 100);
    let forward = |name: &str| Relay::new(&room, Owner::Forward(name.into()));
    let (mut one, mut two) = (forward("one"), forward("two"));
    one.fills(1, &limits);
    assert_eq!(one.places.len(), 30);
    assert_eq!(one.takes(1, &limits), Err(Full::Descriptors));
    two.fills(2, &limits);
    assert_eq!((two.places.len(), one.gives_way()), (15, 15));
    // Associations share theirs.
    let mut connected = Relay::of(&room, 3);
    connected.fills(3, &limits);
    assert_eq!(connected.places.len(), 70);
    assert_eq!((one.gives_way(), two.gives_way()), (0, 0));
    // Where none is left after all, the larger one ends a flow, and nobody gets its place.
    one.places.pop();
    connected.seat.take_descriptor(&limits);
    assert_eq!((one.gives_way(), two.gives_way()), (0, 1));
    assert_eq!(room.count().0, 98);
    drop((one, two));
    connected.seat.take_descriptor(&limits);
    assert_eq!(connected.gives_way(), 0);
}

#[test]
fn servers_on_the_way_of_a_forwards_flows_take_descriptors_too() {
    let room = Arc::new(FlowQuota::new(30));
    let limits = limits(100, 100);
    let mut forward = Relay::new(&room, Owner::Forward("one".into()));
    let mut ways = Vec::new();
    for _ in 0..10 {
        assert_eq!(forward.takes(1, &limits), Ok(()));
        ways.push(forward.seat.way(false, 2, &limits).unwrap());
    }
    assert_eq!(forward.takes(1, &limits), Err(Full::Descriptors));
    ways.pop();
    forward.fills(1, &limits);
    assert_eq!(forward.places.len(), 12);
    ways.clear();
    forward.fills(1, &limits);
    assert_eq!(forward.places.len(), 30);
    // Of associations each client has its own bounds.
    let connected = Relay::of(&room, 2);
    ways.push(connected.seat.way(false, 20, &limits).unwrap());
    forward.places.pop();
    assert_eq!(forward.takes(1, &limits), Ok(()));
}

#[test]
fn a_forward_is_one_owner_and_none_of_its_addresses_starves_another() {
    let room = Arc::new(FlowQuota::default());
    let limits = limits(100, 60);
    let forward = || Relay::new(&room, Owner::Forward("one".into()));
    let (mut flooded, mut other) = (forward(), forward());
    flooded.fills(1, &limits);
    assert_eq!(other.takes(1, &limits), Err(Full::Client));
    flooded.fills(2, &limits);
    assert_eq!(flooded.places.len(), 100);
    other.fills(3, &limits);
    let ended = flooded.gives_way();
    assert_eq!((ended, other.places.len()), (33, 33));
    flooded.fills(4, &limits);
    assert_eq!(other.gives_way(), 0);
    drop((flooded, other));
    assert_eq!(room.count(), (0, 0));
}

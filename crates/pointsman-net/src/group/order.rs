//! Which members of a group a connection tries, and in which order.
//!
//! Invariant: a member that failed a moment ago is tried after those that did not, never left out: where all
//! have failed they are tried anyway. Who fails is asked again by one connection at a time: by the one that is about to
//! try it, not by those that have others to try.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_spec::address::{Endpoint, Server};
use pointsman_spec::outbound::{Balance, Balancing, Carrier, Kind, Outbound};
use tokio::time::Instant;

use crate::record::{MOST, Rest};

/// After the first failure a member rests for so long: some of a client's patience is saved, and a server that
/// restarts is soon asked again.
const FIRST_REST: Duration = Duration::from_secs(2);
/// Each failure after its rest doubles it up to this: what has been down for minutes costs one connection in so long.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The members that failed lately.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<Member, Failed>>);

/// A member of a group; it keeps its past over a reload as long as it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    name: Arc<str>,
    address: Endpoint,
    /// The outbound that it is reached by, and the server of that: reached another way it has another past.
    via: Option<(Arc<str>, Option<Server>)>,
}

impl Member {
    pub(crate) fn new(name: &Arc<str>, address: &Endpoint, via: Option<&Outbound>) -> Self {
        let server = |outbound: &Outbound| match &outbound.kind {
            Kind::Carry(Carrier::Upstream(it)) => Some(it.server.clone()),
            _ => None,
        };
        Self {
            name: Arc::clone(name),
            address: address.clone(),
            via: via.map(|outbound| (Arc::clone(&outbound.name), server(outbound))),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }
}

#[derive(Debug)]
struct Failed {
    rest: Duration,
    /// Since it was last reached.
    times: u32,
    /// Its rest is over.
    over: Instant,
    /// Somebody tries it after its rest, since then; the others wait for the outcome.
    asked: Option<Instant>,
}

/// The member to try, and those before it that are passed by.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) index: usize,
    /// In order, at most [`MOST`]; none where the one to try rests like all others.
    pub(crate) passed_by: Vec<(usize, Rest)>,
}

/// The members that a connection has yet to try, in their order.
#[derive(Debug)]
pub(crate) struct Untried {
    /// The order begins here, goes on to the last one, and around.
    first: usize,
    count: usize,
    /// The order, where it is another.
    order: Box<[usize]>,
    /// Those before the last one that was tried: most connections try one, and keep no list.
    gone: Vec<usize>,
    last: Option<usize>,
    tries: usize,
}

impl Untried {
    /// Of those members; `turn` is whose turn it is.
    pub(crate) fn new(
        how: &Balancing,
        members: &[Member],
        turn: usize,
        client: Option<IpAddr>,
    ) -> Self {
        let all = members.len();
        let (first, count) = match how.balance {
            Balance::None => (0, all.min(1)),
            Balance::Failover | Balance::Source => (0, all),
            Balance::RoundRobin => (turn % all.max(1), all),
        };
        let most = how.retry.targets.map_or(count, NonZeroUsize::get);
        let tries = most.min(count);
        Self {
            first,
            count,
            order: match how.balance {
                Balance::Source => by_source(members, client),
                Balance::Failover | Balance::None | Balance::RoundRobin => Box::default(),
            },
            gone: Vec::new(),
            last: None,
            tries,
        }
    }

    fn in_order(&self) -> impl Iterator<Item = usize> {
        let nth = |place: usize| (self.first + place) % self.count;
        (0..self.count)
            .map(move |place| self.order.get(place).copied().unwrap_or_else(|| nth(place)))
            .filter(|index| self.last != Some(*index) && !self.gone.contains(index))
    }

    fn take(&mut self, index: usize) {
        self.gone.extend(self.last.replace(index));
    }

    /// Whether there is one to try.
    pub(crate) fn any(&self) -> bool {
        self.tries > 0
    }
}

impl Failures {
    /// It could not be reached by who tried it since `begun`. There are no more entries than `members`.
    pub(crate) fn note(&self, members: &[Member], member: &Member, begun: Instant, now: Instant) {
        let mut all = self.all();
        if all.len() >= members.len() {
            all.retain(|known, _| members.contains(known));
        }
        let (rest, times, asked) = match all.get(member) {
            // Of many that fail together one counts: it is one failure.
            Some(failed) if begun < failed.over => return,
            Some(failed) => {
                let others = failed.asked.filter(|asked| *asked != begun);
                let times = failed.times.saturating_add(1);
                ((failed.rest * 2).min(LONGEST_REST), times, others)
            }
            None => (FIRST_REST, 1, None),
        };
        let failed = Failed {
            rest,
            times,
            over: now + rest,
            asked,
        };
        all.insert(member.clone(), failed);
    }

    /// Whether flows that have another to go to pass it by.
    pub(crate) fn rests(&self, member: &Member, now: Instant) -> bool {
        let all = self.all();
        all.get(member)
            .is_some_and(|failed| failed.rest(now).passes())
    }

    /// Whether it failed, and was not reached since.
    pub(super) fn has_failed(&self, member: &Member) -> bool {
        self.all().contains_key(member)
    }

    /// It was reached: nothing is held against it.
    pub(crate) fn forgive(&self, member: &Member) {
        let mut all = self.all();
        if !all.is_empty() {
            all.remove(member);
        }
    }

    /// The one to try now: the first that does not rest, else the first.
    pub(crate) fn next(
        &self,
        members: &[Member],
        left: &mut Untried,
        now: Instant,
    ) -> Option<Next> {
        left.tries = left.tries.checked_sub(1)?;
        let mut all = self.all();
        let mut passed_by = Vec::new();
        let awake = left.in_order().find(|index| {
            // Most groups have none that failed.
            let failed = match all.is_empty() {
                true => None,
                false => all.get(&members[*index]),
            };
            let rest = failed.map(|failed| failed.rest(now));
            let Some(rest) = rest.filter(Rest::passes) else {
                return true;
            };
            if passed_by.len() < MOST {
                passed_by.push((*index, rest));
            }
            false
        });
        let index = match awake {
            Some(index) => index,
            None => {
                passed_by.clear();
                left.in_order().next()?
            }
        };
        left.take(index);
        if !all.is_empty()
            && let Some(failed) = all.get_mut(&members[index])
            && !failed.rest(now).passes()
        {
            failed.asked = Some(now);
        }
        Some(Next { index, passed_by })
    }

    /// Those of `members` that could not be reached, by name, and what keeps flows from each. What is remembered
    /// outlives a reload; a member that went with it, or has another address by now, does not fail.
    pub(crate) fn failing(&self, members: &[Member], now: Instant) -> Vec<(Arc<str>, Rest)> {
        let all = self.all();
        let failed = |member: &Member| {
            let failed = all.get(member)?;
            Some((Arc::clone(&member.name), failed.rest(now)))
        };
        let mut failing: Vec<_> = members.iter().filter_map(failed).collect();
        failing.sort();
        failing
    }

    /// Who tried it since `begun` left before it was known whether it can be reached: the next one tries.
    pub(super) fn abandoned(&self, member: &Member, begun: Instant) {
        if let Some(failed) = self.all().get_mut(member)
            && failed.asked == Some(begun)
        {
            failed.asked = None;
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Member, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The members in the order of that client (rendezvous hashing): each client has an order of its own, and where a member
/// goes, only its clients go elsewhere. Members are told apart by their names, which are the operator's to keep.
fn by_source(members: &[Member], client: Option<IpAddr>) -> Box<[usize]> {
    let octets = match client.map(|client| client.to_canonical()) {
        Some(IpAddr::V4(client)) => client.to_ipv6_mapped().octets(),
        Some(IpAddr::V6(client)) => client.octets(),
        None => [0; 16],
    };
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_cached_key(|index| {
        let name = members[*index].name.as_bytes();
        (Reverse(weight(&octets, name)), *index)
    });
    order.into()
}

/// How much a client is a member's: the same in each process and version, for several daemons may share clients. FNV-1a,
/// whose bits are then mixed as splitmix64 does.
fn weight(client: &[u8], name: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = name.iter().chain(client);
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325, step);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// One that tries a member whose rest is over, until it is known whether it can be reached.
pub(crate) struct Trying<'a> {
    failures: &'a Failures,
    member: &'a Member,
    begun: Instant,
    known: bool,
}

impl<'a> Trying<'a> {
    /// `begun` is the moment at which [`Failures::next`] chose it.
    pub(crate) fn new(failures: &'a Failures, member: &'a Member, begun: Instant) -> Self {
        Self {
            failures,
            member,
            begun,
            known: false,
        }
    }

    pub(crate) fn known(mut self) {
        self.known = true;
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if !self.known {
            self.failures.abandoned(self.member, self.begun);
        }
    }
}

impl Failed {
    /// What keeps flows from it.
    fn rest(&self, now: Instant) -> Rest {
        let left = self.over.saturating_duration_since(now);
        Rest {
            failures: self.times,
            left,
            tried: left.is_zero() && self.asked.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use pointsman_spec::outbound::Retry;

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
}

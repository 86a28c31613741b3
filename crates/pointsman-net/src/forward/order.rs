//! Which targets a connection tries, and in which order.
//!
//! Invariant: a target that failed a moment ago is tried after those that did not, never left out: where all
//! have failed they are tried anyway. Who fails is asked again by one connection at a time: by the one that is about to
//! try it, not by those that have others to try.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::spec::forward::{Address, Balance, ForwardSpec, Target};

/// After the first failure a target rests for so long: some of a client's patience is saved, and a server that
/// restarts is soon asked again.
const FIRST_REST: Duration = Duration::from_secs(2);
/// Each failure after its rest doubles it up to this: what has been down for minutes costs one connection in so long.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The targets that failed lately.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<Key, Failed>>);

/// A target keeps its past over a reload as long as it is the same.
type Key = (Arc<str>, Address);

#[derive(Debug)]
struct Failed {
    rest: Duration,
    /// Its rest is over.
    over: Instant,
    /// Somebody tries it after its rest; the others wait for the outcome until then.
    asked: Instant,
}

/// The targets that a connection has yet to try, in their order.
#[derive(Debug)]
pub(crate) struct Left {
    /// The order begins here, goes on to the last one, and around.
    first: usize,
    count: usize,
    /// Those before the last one that was tried: most connections try one, and keep no list.
    gone: Vec<usize>,
    last: Option<usize>,
    tries: usize,
}

impl Left {
    /// `turn` is whose turn it is.
    pub(crate) fn new(spec: &ForwardSpec, turn: usize) -> Self {
        let all = spec.targets.len();
        let (first, count) = match spec.balance {
            Balance::None => (0, all.min(1)),
            Balance::Failover => (0, all),
            Balance::RoundRobin => (turn % all.max(1), all),
        };
        let tries = match spec.retry.targets {
            0 => count,
            most => most.min(count),
        };
        Self {
            first,
            count,
            gone: Vec::new(),
            last: None,
            tries,
        }
    }

    fn in_order(&self) -> impl Iterator<Item = usize> {
        (0..self.count)
            .map(|place| (self.first + place) % self.count)
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
    /// It could not be reached by who tried it since `begun`. There are no more entries than targets of `spec`.
    pub(crate) fn note(&self, spec: &ForwardSpec, target: &Target, begun: Instant, now: Instant) {
        let mut all = self.all();
        if all.len() >= spec.targets.len() {
            all.retain(|key, _| spec.targets.iter().any(|target| self::key(target) == *key));
        }
        let rest = match all.get(&key(target)) {
            // Of many that fail together one counts: it is one failure.
            Some(failed) if begun < failed.over => return,
            Some(failed) => (failed.rest * 2).min(LONGEST_REST),
            None => FIRST_REST,
        };
        let failed = Failed {
            rest,
            over: now + rest,
            asked: now,
        };
        all.insert(key(target), failed);
    }

    /// It was reached: nothing is held against it.
    pub(crate) fn forgive(&self, target: &Target) {
        let mut all = self.all();
        if !all.is_empty() {
            all.remove(&key(target));
        }
    }

    /// The index of the one to try now: the first that does not rest, else the first.
    pub(crate) fn next(&self, spec: &ForwardSpec, left: &mut Left, now: Instant) -> Option<usize> {
        left.tries = left.tries.checked_sub(1)?;
        let mut all = self.all();
        let awake = |index: &usize| {
            let failed = all.get(&key(&spec.targets[*index]));
            failed.is_none_or(|failed| !failed.rests(now))
        };
        let index = match all.is_empty() {
            true => left.in_order().next(),
            false => left
                .in_order()
                .find(awake)
                .or_else(|| left.in_order().next()),
        }?;
        left.take(index);
        if !all.is_empty()
            && let Some(failed) = all.get_mut(&key(&spec.targets[index]))
            && !failed.rests(now)
        {
            failed.asked = now + failed.rest;
        }
        Some(index)
    }

    /// The forward's targets that could not be reached, by name, and for how long each is still passed by. What is
    /// remembered outlives a reload; a target that went with it, or has another address by now, does not fail.
    pub(crate) fn failing(&self, spec: &ForwardSpec, now: Instant) -> Vec<(Arc<str>, Duration)> {
        let all = self.all();
        let rests = |failed: &Failed| failed.over.saturating_duration_since(now);
        let failed = |target: &Target| {
            let failed = all.get(&key(target))?;
            Some((Arc::clone(&target.name), rests(failed)))
        };
        let mut failing: Vec<_> = spec.targets.iter().filter_map(failed).collect();
        failing.sort();
        failing
    }

    /// Who tried it since `begun` left before it was known whether it can be reached: the next one tries.
    fn left(&self, target: &Target, begun: Instant) {
        if let Some(failed) = self.all().get_mut(&key(target))
            && failed.asked == begun + failed.rest
        {
            failed.asked = begun;
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that tries a target whose rest is over, until it is known whether it can be reached.
pub(crate) struct Trying<'a> {
    failures: &'a Failures,
    target: &'a Target,
    begun: Instant,
    known: bool,
}

impl<'a> Trying<'a> {
    /// `begun` is the moment at which [`Failures::next`] chose it.
    pub(crate) fn new(failures: &'a Failures, target: &'a Target, begun: Instant) -> Self {
        Self {
            failures,
            target,
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
            self.failures.left(self.target, self.begun);
        }
    }
}

impl Failed {
    /// Whether it is passed by.
    fn rests(&self, now: Instant) -> bool {
        now < self.over.max(self.asked)
    }
}

fn key(target: &Target) -> Key {
    (Arc::clone(&target.name), target.address.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Families;
    use crate::spec::forward::{Keepalive, Retry};

    fn spec(balance: Balance, targets: usize, most: usize) -> ForwardSpec {
        let target = |number: usize| Target {
            name: number.to_string().into(),
            address: Address::Fd(i32::try_from(number).unwrap()),
            via: None,
            attempts: 1,
            backoff: Duration::ZERO,
            connect_timeout: None,
            resolve_timeout: None,
            read_timeout: None,
            write_timeout: None,
            keepalive: Keepalive::Default,
            families: Families::default(),
        };
        ForwardSpec {
            name: "f".into(),
            listen: Vec::new(),
            policy: 0,
            targets: (0..targets).map(target).collect(),
            balance,
            connection_limit: 0,
            lifetime: None,
            access_log: None,
            proxy_header: false,
            same_family: false,
            read_timeout: None,
            write_timeout: None,
            half_closed: None,
            retry: Retry {
                targets: most,
                ..Retry::default()
            },
            not_yet: None,
        }
    }

    /// In which order a connection tries all that it may.
    fn order(failures: &Failures, spec: &ForwardSpec, turn: usize, now: Instant) -> Vec<usize> {
        let mut left = Left::new(spec, turn);
        std::iter::from_fn(|| failures.next(spec, &mut left, now)).collect()
    }

    /// The target that a connection gets where the first one that it tries can be reached.
    fn first(failures: &Failures, spec: &ForwardSpec, turn: usize, now: Instant) -> usize {
        let mut left = Left::new(spec, turn);
        failures.next(spec, &mut left, now).unwrap()
    }

    #[test]
    fn every_balance_has_its_order() {
        let now = Instant::now();
        let order = |balance, most, turn| {
            let spec = spec(balance, 3, most);
            order(&Failures::default(), &spec, turn, now)
        };
        assert_eq!(order(Balance::Failover, 0, 1), [0, 1, 2]);
        assert_eq!(order(Balance::Failover, 2, 1), [0, 1]);
        assert_eq!(order(Balance::RoundRobin, 0, 4), [1, 2, 0]);
        assert_eq!(order(Balance::RoundRobin, 1, 5), [2]);
        assert_eq!(order(Balance::None, 0, 1), [0]);
    }

    #[test]
    fn who_failed_rests_longer_each_time_and_is_asked_by_one() {
        let spec = spec(Balance::Failover, 3, 0);
        let failures = Failures::default();
        let mut now = Instant::now();
        for seconds in [2, 4, 8, 16, 30, 30] {
            failures.note(&spec, &spec.targets[0], now, now);
            let almost = now + Duration::from_secs(seconds) - Duration::from_millis(1);
            assert_eq!(order(&failures, &spec, 0, now), [1, 2, 0]);
            assert_eq!(order(&failures, &spec, 0, almost), [1, 2, 0]);
            now += Duration::from_secs(seconds);
            assert_eq!(first(&failures, &spec, 0, now), 0, "{seconds} s");
            assert_eq!(first(&failures, &spec, 0, now), 1, "one asks");
        }
        failures.forgive(&spec.targets[0]);
        assert_eq!(first(&failures, &spec, 0, now), 0);
        assert_eq!(first(&failures, &spec, 0, now), 0);
    }

    #[test]
    fn a_target_that_is_gone_or_moved_does_not_fail() {
        let known = spec(Balance::Failover, 2, 0);
        let failures = Failures::default();
        let now = Instant::now();
        failures.note(&known, &known.targets[0], now, now);
        let names = |spec: &ForwardSpec| -> Vec<String> {
            let failing = failures.failing(spec, now).into_iter();
            failing.map(|(name, _)| name.to_string()).collect()
        };
        assert_eq!(names(&known), ["0"]);
        let mut moved = spec(Balance::Failover, 2, 0);
        moved.targets[0].address = Address::Fd(77);
        assert!(names(&moved).is_empty());
        let mut gone = spec(Balance::Failover, 2, 0);
        gone.targets.remove(0);
        assert!(names(&gone).is_empty());
        // A trial ends, and it is back.
        assert_eq!(names(&known), ["0"]);
    }

    #[test]
    fn who_leaves_before_it_is_known_lets_the_next_one_try() {
        let spec = spec(Balance::Failover, 2, 0);
        let failures = Failures::default();
        let mut now = Instant::now();
        failures.note(&spec, &spec.targets[0], now, now);
        now += FIRST_REST;
        for known in [false, true] {
            assert_eq!(first(&failures, &spec, 0, now), 0);
            let trying = Trying::new(&failures, &spec.targets[0], now);
            assert_eq!(first(&failures, &spec, 0, now), 1, "one asks");
            match known {
                true => trying.known(),
                false => drop(trying),
            }
        }
        assert_eq!(first(&failures, &spec, 0, now), 1);
    }

    #[test]
    fn who_has_another_turn_does_not_keep_a_target_at_rest() {
        let spec = spec(Balance::RoundRobin, 3, 0);
        let failures = Failures::default();
        let mut now = Instant::now();
        failures.note(&spec, &spec.targets[0], now, now);
        now += FIRST_REST;
        assert_eq!(first(&failures, &spec, 1, now), 1);
        assert_eq!(first(&failures, &spec, 2, now), 2);
        assert_eq!(first(&failures, &spec, 3, now), 0);
    }

    #[test]
    fn many_that_fail_together_are_one_failure() {
        let spec = spec(Balance::Failover, 2, 0);
        let failures = Failures::default();
        let begun = Instant::now();
        let mut now = begun;
        // Begun before it was known, and told over longer than its rest.
        for _ in 0..100 {
            now += Duration::from_millis(15);
            failures.note(&spec, &spec.targets[0], begun, now);
        }
        let over = begun + Duration::from_millis(15) + FIRST_REST;
        assert_eq!(first(&failures, &spec, 0, over), 0);
        // One after its rest says something new.
        failures.note(&spec, &spec.targets[0], over, over);
        assert_eq!(first(&failures, &spec, 0, over + FIRST_REST), 1);
        assert_eq!(first(&failures, &spec, 0, over + FIRST_REST * 2), 0);
    }

    #[test]
    fn where_all_have_failed_all_are_tried() {
        let spec = spec(Balance::RoundRobin, 3, 0);
        let failures = Failures::default();
        let now = Instant::now();
        for target in &spec.targets {
            failures.note(&spec, target, now, now);
        }
        assert_eq!(order(&failures, &spec, 1, now), [1, 2, 0]);
    }

    #[test]
    fn what_is_remembered_never_grows_over_the_targets() {
        let failures = Failures::default();
        let now = Instant::now();
        for count in [1, 5, 2] {
            let spec = spec(Balance::Failover, count, 0);
            for target in spec.targets.iter().chain(&spec.targets) {
                failures.note(&spec, target, now, now);
            }
            assert_eq!(failures.all().len(), count);
        }
    }
}

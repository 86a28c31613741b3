//! Which targets a connection tries, and in which order.
//!
//! Invariant: a target that failed a moment ago is tried after those that did not, never left out: where all
//! have failed they are tried anyway. Who fails is asked again by one connection at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Address, Balance, ForwardSpec, Target};

/// After the first failure a target rests for so long: some of a client's patience is saved, and a server that
/// restarts is soon asked again.
const FIRST_REST: Duration = Duration::from_secs(2);
/// Each further failure doubles the rest up to this: what has been down for minutes costs one connection in so long.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The targets that failed lately.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<Key, Failed>>);

/// A target keeps its past over a reload as long as it is the same.
type Key = (Arc<str>, Address);

#[derive(Debug)]
struct Failed {
    rest: Duration,
    until: Instant,
}

impl Failures {
    /// It could not be reached. There are no more entries than targets of `spec`.
    pub(super) fn note(&self, spec: &ForwardSpec, target: &Target, now: Instant) {
        let mut all = self.all();
        if all.len() >= spec.targets.len() {
            all.retain(|key, _| spec.targets.iter().any(|target| self::key(target) == *key));
        }
        let failed = all.entry(key(target)).or_insert(Failed {
            rest: FIRST_REST / 2,
            until: now,
        });
        failed.rest = (failed.rest * 2).min(LONGEST_REST);
        failed.until = now + failed.rest;
    }

    /// It was reached: nothing is held against it.
    pub(super) fn forgive(&self, target: &Target) {
        let mut all = self.all();
        if !all.is_empty() {
            all.remove(&key(target));
        }
    }

    /// The indices of those to try, in order; `turn` is whose turn it is.
    pub(super) fn order(&self, spec: &ForwardSpec, turn: usize, now: Instant) -> Vec<usize> {
        let count = spec.targets.len();
        let first = match spec.balance {
            Balance::None => return vec![0],
            Balance::Failover => 0,
            Balance::RoundRobin => turn % count.max(1),
        };
        let mut order: Vec<usize> = (first..count).chain(0..first).collect();
        let mut all = self.all();
        if !all.is_empty() {
            order.sort_by_cached_key(|index| {
                let failed = all.get_mut(&key(&spec.targets[*index]));
                failed.is_some_and(|failed| failed.rests(now))
            });
        }
        drop(all);
        if spec.retry.targets > 0 {
            order.truncate(spec.retry.targets);
        }
        order
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failed {
    /// Whether it is passed by. The one who finds the rest over tries it, and the others wait for the outcome.
    fn rests(&mut self, now: Instant) -> bool {
        if now < self.until {
            return true;
        }
        self.until = now + self.rest;
        false
    }
}

fn key(target: &Target) -> Key {
    (Arc::clone(&target.name), target.address.clone())
}

#[cfg(test)]
mod tests {
    use super::super::{Families, Keepalive, Retry};
    use super::*;

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

    #[test]
    fn every_balance_has_its_order() {
        let now = Instant::now();
        let order =
            |balance, most, turn| Failures::default().order(&spec(balance, 3, most), turn, now);
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
            failures.note(&spec, &spec.targets[0], now);
            let almost = now + Duration::from_secs(seconds) - Duration::from_millis(1);
            assert_eq!(failures.order(&spec, 0, now), [1, 2, 0]);
            assert_eq!(failures.order(&spec, 0, almost), [1, 2, 0]);
            now += Duration::from_secs(seconds);
            assert_eq!(failures.order(&spec, 0, now), [0, 1, 2], "{seconds} s");
            assert_eq!(failures.order(&spec, 0, now), [1, 2, 0], "one asks");
        }
        failures.forgive(&spec.targets[0]);
        assert_eq!(failures.order(&spec, 0, now), [0, 1, 2]);
    }

    #[test]
    fn where_all_have_failed_all_are_tried() {
        let spec = spec(Balance::RoundRobin, 3, 0);
        let failures = Failures::default();
        let now = Instant::now();
        for target in &spec.targets {
            failures.note(&spec, target, now);
        }
        assert_eq!(failures.order(&spec, 1, now), [1, 2, 0]);
    }

    #[test]
    fn what_is_remembered_never_grows_over_the_targets() {
        let failures = Failures::default();
        let now = Instant::now();
        for count in [1, 5, 2] {
            let spec = spec(Balance::Failover, count, 0);
            for target in spec.targets.iter().chain(&spec.targets) {
                failures.note(&spec, target, now);
            }
            assert_eq!(failures.all().len(), count);
        }
    }
}

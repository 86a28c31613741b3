//! How many lines of one kind are said: so many a second, and then how many were left out.
//!
//! Invariants: no time but what is handed in. Within any second at most [`MOST`] of one key are said; each that is not is
//! counted, and told by [`Limiter::left_out`] within a second or two. Keys are bounded: where there is no room for a
//! further one, those that have none share one for each reason, so that whoever makes keys hides no other reason.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Lines of one key within [`SPAN`].
pub(crate) const MOST: usize = 10;
/// In which they are counted.
pub(crate) const SPAN: Duration = Duration::from_secs(1);
/// Keys that are told apart: more outbounds than fail at once, at some 200 bytes each.
const KEYS: usize = 1024;

/// A key, and what it is counted by where there is no room for it.
pub(crate) trait Key: Clone + Eq + Hash {
    /// One of a closed set.
    fn shared(&self) -> Self;
}

/// The limiter. Times are since whatever moment its caller chose.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    known: HashMap<K, Pace>,
    keys: usize,
}

impl<K> Default for Limiter<K> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            keys: KEYS,
        }
    }
}

/// What was said of one key lately.
#[derive(Debug, Default)]
struct Pace {
    /// When the last ones were said; the oldest at `next` once it is full.
    said: [Duration; MOST],
    count: usize,
    next: usize,
    /// How many were not since `left_out_since`.
    left_out: u64,
    left_out_since: Duration,
}

impl Pace {
    fn admit(&mut self, now: Duration) -> bool {
        let full = self.count == MOST;
        if full && now.saturating_sub(self.said[self.next]) < SPAN {
            self.leave_out(now);
            return false;
        }
        self.said[self.next] = now;
        self.next = (self.next + 1) % MOST;
        self.count = (self.count + 1).min(MOST);
        true
    }

    fn leave_out(&mut self, now: Duration) {
        if self.left_out == 0 {
            self.left_out_since = now;
        }
        self.left_out += 1;
    }

    /// Whether nothing of it counts any more.
    fn is_over(&self, now: Duration) -> bool {
        let last = self.said[(self.next + MOST - 1) % MOST];
        self.left_out == 0 && now.saturating_sub(last) >= SPAN
    }
}

impl<K: Key> Limiter<K> {
    /// Whether one more of that key is said now.
    pub(crate) fn admit(&mut self, key: &K, now: Duration) -> bool {
        self.pace(key, now).admit(now)
    }

    fn pace(&mut self, key: &K, now: Duration) -> &mut Pace {
        let full = self.known.len() >= self.keys && !self.known.contains_key(key);
        if full {
            self.known.retain(|_, pace| !pace.is_over(now));
        }
        let key = match full && self.known.len() >= self.keys {
            true => key.shared(),
            false => key.clone(),
        };
        self.known.entry(key).or_default()
    }

    /// One more of that key, which is not said however few were.
    pub(crate) fn leave_out(&mut self, key: &K, now: Duration) {
        self.pace(key, now).leave_out(now);
    }

    /// What was left out and is to be told now, with how many of one key; forgets what is over.
    pub(crate) fn left_out(&mut self, now: Duration) -> Option<(K, u64)> {
        let due =
            |pace: &Pace| pace.left_out > 0 && now.saturating_sub(pace.left_out_since) >= SPAN;
        let found = self.known.iter_mut().find(|(_, pace)| due(pace));
        let told = found.map(|(key, pace)| (key.clone(), std::mem::take(&mut pace.left_out)));
        if told.is_none() {
            self.known.retain(|_, pace| !pace.is_over(now));
        }
        told
    }

    /// Whether something was left out that was not told.
    pub(crate) fn owes(&self) -> bool {
        self.known.values().any(|pace| pace.left_out > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Key for (u32, char) {
        fn shared(&self) -> Self {
            (u32::MAX, self.1)
        }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// How many of `count` at that time are said.
    fn said(limiter: &mut Limiter<(u32, char)>, key: (u32, char), ms: u64, count: u32) -> usize {
        let admitted = (0..count).filter(|_| limiter.admit(&key, at(ms)));
        admitted.count()
    }

    fn left_out(limiter: &mut Limiter<(u32, char)>, ms: u64) -> Vec<((u32, char), u64)> {
        let told = std::iter::from_fn(|| limiter.left_out(at(ms)));
        let mut told: Vec<_> = told.collect();
        told.sort_unstable();
        told
    }

    #[test]
    fn ten_a_second_are_said_and_the_others_counted() {
        let mut limiter = Limiter::default();
        let key = (1, 'a');
        assert_eq!(said(&mut limiter, key, 0, 4), 4);
        assert_eq!(said(&mut limiter, key, 500, 100), 6);
        // Another outbound and another reason have their own.
        assert_eq!(said(&mut limiter, (2, 'a'), 500, 1), 1);
        assert_eq!(said(&mut limiter, (1, 'b'), 500, 11), 10);
        assert_eq!(limiter.left_out(at(1499)), None);
        // Those of the first moment make room a second later, the others not yet.
        assert_eq!(said(&mut limiter, key, 1000, 100), 4);
        assert_eq!(
            left_out(&mut limiter, 1500),
            [((1, 'a'), 190), ((1, 'b'), 1)]
        );
        assert!(!limiter.owes());
        assert_eq!(limiter.left_out(at(2000)), None);
        assert!(limiter.known.is_empty(), "{limiter:?}");
    }

    #[test]
    fn no_second_has_more_than_ten() {
        let mut limiter = Limiter::default();
        let mut told = Vec::new();
        let mut all = 0;
        for ms in (0..20_000).step_by(7) {
            all += 1;
            if limiter.admit(&(0, 'a'), at(ms)) {
                told.push(ms);
            }
        }
        for window in told.windows(MOST + 1) {
            assert!(window[MOST] - window[0] >= 1000, "{window:?}");
        }
        let left_out = left_out(&mut limiter, 60_000);
        assert_eq!(left_out, [((0, 'a'), all - told.len() as u64)]);
    }

    #[test]
    fn whoever_makes_keys_neither_fills_the_memory_nor_hides_another_reason() {
        let mut limiter = Limiter {
            keys: 8,
            ..Limiter::default()
        };
        let flood: usize = (0..10_000)
            .map(|outbound| said(&mut limiter, (outbound, 'a'), 0, 1))
            .sum();
        // Eight keys, and ten of all those without one.
        assert_eq!((flood, limiter.known.len()), (18, 9));
        // A reason that nobody knew before is said nevertheless.
        assert_eq!(said(&mut limiter, (5, 'b'), 0, 11), 10);
        assert_eq!(limiter.known.len(), 10);
        let told = left_out(&mut limiter, 1000);
        let count: u64 = told.iter().map(|(_, count)| count).sum();
        assert_eq!(count, 10_000 - 18 + 1);
        // What is over makes room.
        assert_eq!(said(&mut limiter, (20_000, 'a'), 2000, 1), 1);
        assert_eq!(limiter.known.len(), 1);
    }
}

//! Which members of a group failed lately, and who asks them again.
//!
//! Invariant: a member that failed a moment ago is tried after those that did not, never left out: where all have failed
//! they are tried anyway. Who fails is asked again by one connection at a time: by the one that is about to try it, not by those that
//! have others to try.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::order::{Member, Untried};
use crate::record::{MOST, Rest};

/// After the first failure a member rests for so long: some of a client's patience is saved, and a server that
/// restarts is soon asked again.
const FIRST_REST: Duration = Duration::from_secs(2);
/// Each failure after its rest doubles it up to this: what has been down for minutes costs one connection in so long.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The members that failed lately.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<Member, Failed>>);

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
mod tests;

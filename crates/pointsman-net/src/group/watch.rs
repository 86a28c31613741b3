//! What becomes of a member that a flow over UDP was given: nothing tells that it is there but that it answers.
//!
//! Invariant: who was to find out whether a member is there tells it, or leaves that to the next one.

use std::sync::Arc;

use tokio::time::Instant;

use super::last_answer::LastAnswer;
use super::order::Member;
use super::states::State;

/// A flow over UDP that was given a member of a group, until it has ended.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(super) state: Arc<State>,
    pub(super) members: Arc<[Member]>,
    pub(super) heard: Arc<LastAnswer>,
    pub(super) index: usize,
    /// When the member was chosen.
    pub(super) begun: Instant,
    /// It is expected to say nothing.
    pub(super) one_way: bool,
    /// When it was last told that the member answers; 0: never.
    pub(super) told: u64,
    /// Whether it is known that the member is there, or is not.
    pub(super) known: bool,
}

impl Watch {
    /// The member answers, at that second: nothing is held against it. Cheap, for each datagram.
    pub(crate) fn heard(&mut self, now: u64) {
        if self.told == now {
            return;
        }
        let first = self.told == 0;
        self.told = now;
        self.heard.at(now);
        if first && let Some(member) = self.members.get(self.index) {
            self.state.failures.forgive(member);
        }
        self.known = true;
    }

    /// Whether nothing comes back on purpose.
    pub(crate) fn is_one_way(&self) -> bool {
        self.one_way
    }

    /// Whether the member answered neither this flow nor another since that second.
    pub(crate) fn is_silent(&self, since: u64) -> bool {
        self.told == 0 && self.heard.last() < since
    }

    /// The member is not there; `true`: another is thought to be.
    pub(crate) fn fails(&mut self, now: Instant) -> bool {
        let failures = &self.state.failures;
        if let Some(member) = self.members.get(self.index) {
            failures.note(&self.members, member, self.begun, now);
        }
        self.known = true;
        self.members
            .iter()
            .any(|member| !failures.rests(member, now))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let (false, Some(member)) = (self.known, self.members.get(self.index)) {
            self.state.failures.abandoned(member, self.begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pointsman_spec::address::Endpoint;

    use super::*;

    fn watches() -> (Arc<State>, impl Fn(usize, Instant) -> Watch) {
        let state = Arc::<State>::default();
        let members: Arc<[Member]> = (0..2)
            .map(|number: i32| Member::new(&number.to_string().into(), &Endpoint::Fd(number), None))
            .collect();
        let heard: [Arc<LastAnswer>; 2] = Default::default();
        let known = Arc::clone(&state);
        let watch = move |index: usize, begun| {
            let (state, members) = (Arc::clone(&known), Arc::clone(&members));
            Watch {
                state,
                members,
                heard: Arc::clone(&heard[index]),
                index,
                begun,
                one_way: false,
                told: 0,
                known: false,
            }
        };
        (state, watch)
    }

    #[test]
    fn a_member_that_answers_somebody_is_there() {
        let (state, watch) = watches();
        let now = Instant::now();
        let (mut one, mut other) = (watch(0, now), watch(0, now));
        assert!(one.is_silent(100) && other.is_silent(100));
        other.heard(101);
        assert!(!one.is_silent(100), "it answers the other");
        assert!(one.is_silent(102), "but not any more");
        assert!(!other.is_silent(102), "who was answered waits for nothing");
        assert!(one.fails(now), "the second is thought to be there");
        let rests = |watch: &Watch, index: usize| state.failures.rests(&watch.members[index], now);
        assert!(rests(&one, 0) && !rests(&one, 1));
        assert!(!watch(1, now).fails(now), "all rest");
        one.heard(103);
        assert!(!rests(&one, 0), "it is back");
    }

    #[test]
    fn who_leaves_before_it_is_known_lets_the_next_one_ask() {
        let (state, watch) = watches();
        let now = Instant::now();
        watch(0, now).fails(now);
        let later = now + Duration::from_secs(2);
        assert!(!state.failures.rests(&watch(0, now).members[0], later));
        drop(watch(0, later));
        assert!(!state.failures.rests(&watch(0, now).members[0], later));
    }
}

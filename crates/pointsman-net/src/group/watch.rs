//! What becomes of a member that a flow over UDP was given: nothing tells that it is there but that it answers.
//!
//! Invariant: who was to find out whether a member is there tells it, or leaves that to the next one.

use std::sync::Arc;

use tokio::time::Instant;

use super::dialogue::{Dialogue, SILENCE};
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
    /// The next flow is given the same member, whatever becomes of it.
    pub(super) alone: bool,
    /// Whether it was looked at before.
    pub(super) looked: bool,
    /// What the flow asked, and was answered.
    pub(super) dialogue: Dialogue,
}

/// What a look at a flow came to whose member is to answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nobody looks until [`Watch::asks`] says so.
    Enough,
    /// It is looked at again at that second.
    Again(u64),
    /// The member is not there, another is thought to be; what to tell the flow's record.
    Gone(Box<str>),
}

impl Watch {
    /// The member answers, at that second: nothing is held against it. Cheap, for each datagram.
    pub(crate) fn heard(&mut self, now: u64) {
        self.dialogue.is_answered();
        if self.told == now {
            return;
        }
        self.dialogue.goes_on();
        let first = self.told == 0;
        self.told = now;
        self.heard.at(now);
        if first && let Some(member) = self.members.get(self.index) {
            self.state.failures.forgive(member);
        }
        self.known = true;
    }

    /// A datagram goes to the member at that second; `true`: it is to be looked at ([`Self::look`]) when [`SILENCE`] is
    /// over. Cheap, for each datagram.
    pub(crate) fn asks(&mut self, now: u64) -> bool {
        self.dialogue.asks(now)
    }

    /// Whether the member answers, at that second, which is the moment `at`.
    pub(crate) fn look(&mut self, now: u64, at: Instant) -> Look {
        if self.one_way {
            // Nobody refused what was sent there: that is all that is ever known of it.
            self.heard(now);
            self.dialogue.ignore();
            return Look::Enough;
        }
        if let Some(later) = self.dialogue.look_again(now) {
            return Look::Again(later);
        }
        let (since, count) = self.dialogue.unanswered();
        if self.told == 0 && !std::mem::replace(&mut self.looked, true) {
            return match self.is_silent(since) && self.fails(at) {
                true => Look::Gone(format!("the target did not answer within {SILENCE} s").into()),
                false => Look::Enough,
            };
        }
        if self.dialogue.lacks_answers(now) && self.heard.last() + SILENCE < now && self.stopped(at)
        {
            let seconds = now - since;
            let why = format!(
                "the target answers no more: nothing came back for {seconds} s, and {count} datagrams were sent"
            );
            return Look::Gone(why.into());
        }
        Look::Enough
    }

    /// The member does not answer any more, neither this flow nor others; `true`: another is thought to be there. Where the
    /// flow was hardly answered ever, it is for others to say that the member failed.
    fn stopped(&mut self, now: Instant) -> bool {
        let Some(member) = self.members.get(self.index) else {
            return false;
        };
        if !self.dialogue.is_steady() {
            return self.state.failures.has_failed(member) && self.has_another(now);
        }
        self.fails(now);
        self.has_another(now)
    }

    /// Whether the next flow would be given another member.
    fn has_another(&self, now: Instant) -> bool {
        let others = self.members.iter().enumerate();
        let mut others = others.filter(|(index, _)| *index != self.index);
        !self.alone && others.any(|(_, member)| !self.state.failures.rests(member, now))
    }

    /// Whether nothing comes back on purpose.
    pub(crate) fn is_one_way(&self) -> bool {
        self.one_way
    }

    /// Whether the member answered neither this flow nor another since that second.
    fn is_silent(&self, since: u64) -> bool {
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
                alone: false,
                looked: false,
                dialogue: Dialogue::default(),
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

    /// Of two members the first is asked by a flow each second, and answers until the fifth.
    fn stopped(watch: &mut Watch) -> Instant {
        for second in 100..105 {
            watch.asks(second);
            watch.heard(second);
        }
        for second in 105..110 {
            watch.asks(second);
        }
        Instant::now()
    }

    #[test]
    fn a_member_that_stops_answering_fails_and_its_flow_goes() {
        let (state, watch) = watches();
        let mut one = watch(0, Instant::now());
        let now = stopped(&mut one);
        assert_eq!(one.look(107, now), Look::Again(109));
        let Look::Gone(why) = one.look(110, now) else {
            panic!("it stays");
        };
        assert_eq!(
            &*why,
            "the target answers no more: nothing came back for 5 s, and 5 datagrams were sent"
        );
        assert!(state.failures.rests(&one.members[0], now));
    }

    #[test]
    fn it_stays_where_others_are_answered_or_nobody_else_is_there() {
        let (state, watch) = watches();
        let mut one = watch(0, Instant::now());
        let now = stopped(&mut one);
        let mut other = watch(0, now);
        other.heard(109);
        assert_eq!(one.look(110, now), Look::Enough, "another is answered");
        assert!(!state.failures.rests(&one.members[0], now));
        watch(1, now).fails(now);
        assert_eq!(one.look(113, now), Look::Enough, "the other failed, too");
        let (_, watch) = watches();
        let mut alone = watch(0, Instant::now());
        alone.alone = true;
        let now = stopped(&mut alone);
        assert_eq!(alone.look(110, now), Look::Enough, "it would come back");
    }

    #[test]
    fn who_was_hardly_answered_goes_where_others_say_that_the_member_failed() {
        let (state, watch) = watches();
        let now = Instant::now();
        let mut one = watch(0, now);
        one.asks(100);
        one.heard(100);
        for second in 101..110 {
            one.asks(second);
        }
        assert_eq!(one.look(110, now), Look::Enough, "it may go one way");
        assert!(!state.failures.rests(&one.members[0], now));
        watch(0, now).fails(now);
        assert!(matches!(one.look(111, now), Look::Gone(_)));
    }

    #[test]
    fn one_way_nothing_is_waited_for() {
        let (_, watch) = watches();
        let now = Instant::now();
        let mut one = watch(0, now);
        one.one_way = true;
        assert!(one.asks(100));
        assert_eq!(one.look(104, now), Look::Enough);
        assert!(!one.asks(105), "it is never looked at again");
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

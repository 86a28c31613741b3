//! Which flows of a table may give way to others.
//!
//! Invariant: those that wait are left alone, and a look costs no more for a table that is larger.

use super::flow::{Answer, Flow};
use super::{FlowKey, Nat, Seconds};

/// Flows that are looked at to find one that gives way: a flood is not to cost more than it brings.
const LOOKED_AT: usize = 1024;
/// Of those: flows that are compared with each other. Of so many by chance the one that was idle for longest is in the
/// longest twentieth of all but once in thirty times.
pub(super) const COMPARED: usize = 64;

impl<F, W, M> Nat<F, W, M> {
    /// How many flows are to be answered, and were not, with those that wait.
    pub(in crate::datagram) fn awaited(&self) -> usize {
        self.awaited
    }

    /// Nobody waits for an answer to that flow.
    pub(in crate::datagram) fn is_never_answered(&mut self, flow: FlowKey<F>) {
        self.answer(flow, Answer::Never);
    }

    pub(super) fn answer(&mut self, flow: FlowKey<F>, answer: Answer) {
        if let Some(flow) = self.flows.get_mut(flow) {
            let awaited = |answer| usize::from(answer == Answer::Awaited);
            self.awaited = self.awaited + awaited(answer) - awaited(flow.answer);
            flow.answer = answer;
        }
    }

    /// A flow waits no longer: it may give way, as long as it is not answered.
    pub(super) fn may_give_way(&mut self, flow: FlowKey<F>) {
        // A flow stands there twice where it failed after it was carried.
        if self.unanswered.len() > 3 * self.flows.len() + 64 {
            let flows = &self.flows;
            let counts = |flow: &Flow<F>| !flow.is_answered();
            self.unanswered
                .retain(|key| flows.get(*key).is_some_and(counts));
        }
        self.unanswered.push_back(flow);
    }

    /// Of the flows for which nothing came back, and that are of those that are asked for, one of those that were decided
    /// first. Those that are looked at in vain are looked at last from then on, so that whoever is behind them is found by
    /// the next looks.
    pub(in crate::datagram) fn oldest_unanswered_of(
        &mut self,
        is_asked: impl Fn(&Flow<F>) -> bool,
    ) -> Option<FlowKey<F>> {
        let flows = &self.flows;
        for _ in 0..self.unanswered.len().min(LOOKED_AT) {
            let key = self.unanswered.pop_front()?;
            let Some(flow) = flows.get(key).filter(|flow| !flow.is_answered()) else {
                continue;
            };
            let is_it = is_asked(flow);
            self.unanswered.push_back(key);
            if is_it {
                return Some(key);
            }
        }
        None
    }

    /// The same of all flows.
    pub(in crate::datagram) fn oldest_unanswered(&mut self) -> Option<FlowKey<F>> {
        self.oldest_unanswered_of(|_| true)
    }

    /// Of some flows the one that was idle for longest, among those that were for as long as is asked of each; `None`: it is
    /// left alone.
    pub(in crate::datagram) fn idlest(
        &mut self,
        now: Seconds,
        asked: impl Fn(&Flow<F>) -> Option<Seconds>,
    ) -> Option<FlowKey<F>> {
        let some = self.some();
        let idle = some.iter().filter_map(|key| {
            let flow = self.flows.get(*key)?;
            (flow.last + asked(flow)? <= now).then_some((flow.last, *key))
        });
        let first = idle.min_by_key(|(last, _)| *last);
        first.map(|(_, key)| key)
    }

    /// Some of the flows that do not wait, and others the next time: of few flows all.
    pub(in crate::datagram) fn some(&mut self) -> Vec<FlowKey<F>> {
        let places = self.flows.places();
        let mut some = Vec::new();
        for _ in 0..places.min(LOOKED_AT) {
            self.looked = (self.looked + 1) % places;
            let key = u32::try_from(self.looked).ok();
            let key = key.and_then(|place| self.flows.at(place));
            let is_it = |key: &FlowKey<F>| self.flows.get(*key).is_some_and(|it| !it.waits());
            some.extend(key.filter(is_it));
            if some.len() == COMPARED {
                break;
            }
        }
        some
    }
}

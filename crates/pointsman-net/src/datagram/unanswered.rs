//! Flows whose targets are to answer.
//!
//! Invariant: no more are known than there may be flows, and each is there once at a time.

use std::collections::BTreeMap;

use super::entries::FlowId;
use super::nat::Seconds;
use crate::group::SILENCE;

/// Flows that wait at once for an answer: as many as there may be. Of more it is not told whether their targets answer.
const MOST: usize = 1 << 16;

/// Flows whose targets are to answer, by the moments when they should have: few different ones, for none is far away.
#[derive(Debug)]
pub(super) struct Unanswered<F = FlowId> {
    due: BTreeMap<Seconds, Vec<F>>,
    count: usize,
}

impl<F> Default for Unanswered<F> {
    fn default() -> Self {
        Self {
            due: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<F> Unanswered<F> {
    /// A flow's datagram goes to its target. Seconds are cut off, so one more is waited for.
    pub(super) fn wait(&mut self, flow: F, now: Seconds) {
        self.look_at(flow, now + SILENCE + 1);
    }

    /// It is to be looked at then.
    pub(super) fn look_at(&mut self, flow: F, at: Seconds) {
        if self.count < MOST {
            self.count += 1;
            self.due.entry(at).or_default().push(flow);
        }
    }

    /// When one is to be looked at next.
    pub(super) fn next_due(&self) -> Option<Seconds> {
        self.due.first_key_value().map(|(at, _)| *at)
    }

    /// A flow whose target should have answered.
    pub(super) fn overdue(&mut self, now: Seconds) -> Option<F> {
        let mut first = self.due.first_entry().filter(|first| *first.key() <= now)?;
        let flow = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        self.count -= usize::from(flow.is_some());
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_silent_before_the_time() {
        let mut unanswered = Unanswered::default();
        unanswered.wait("a", 10);
        assert_eq!(unanswered.overdue(10 + SILENCE), None);
        assert_eq!(unanswered.next_due(), Some(10 + SILENCE + 1));
        assert_eq!(unanswered.overdue(10 + SILENCE + 1), Some("a"));
        assert_eq!(unanswered.next_due(), None);
    }
}

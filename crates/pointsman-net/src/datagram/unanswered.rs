//! Flows that wait for the first answer of a target.
//!
//! Invariant: no more are known than there may be flows, and each is looked at once.

use std::collections::VecDeque;

use super::entries::FlowId;
use super::nat::Seconds;

/// How long nothing may come back: a question that is asked again after five seconds, as resolvers do, goes to the next
/// target.
pub(super) const SILENCE: Seconds = 3;

/// Flows that wait at once for a first answer: as many as there may be. Of more it is not told whether their targets
/// answer.
const MOST: usize = 1 << 16;

/// Flows whose targets are to answer, each with when its waiting began, in that order.
#[derive(Debug)]
pub(super) struct Unanswered<F = FlowId>(VecDeque<(Seconds, F)>);

impl<F> Default for Unanswered<F> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<F: Copy> Unanswered<F> {
    /// A flow is carried to its target from now on.
    pub(super) fn wait(&mut self, flow: F, now: Seconds) {
        if self.0.len() < MOST {
            self.0.push_back((now, flow));
        }
    }

    /// When it is to be looked at next.
    pub(super) fn next_due(&self) -> Option<Seconds> {
        self.0.front().map(|(since, _)| due(*since))
    }

    /// A flow whose target should have answered, and when its waiting began.
    pub(super) fn overdue(&mut self, now: Seconds) -> Option<(F, Seconds)> {
        let (since, flow) = *self.0.front().filter(|(since, _)| due(*since) <= now)?;
        self.0.pop_front();
        Some((flow, since))
    }
}

/// When the target should have answered of a flow that waits since then, which may be the end of that second.
fn due(since: Seconds) -> Seconds {
    since + SILENCE + 1
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
        assert_eq!(unanswered.overdue(10 + SILENCE + 1), Some(("a", 10)));
        assert_eq!(unanswered.next_due(), None);
    }
}

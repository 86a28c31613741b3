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

/// Flows whose targets are to answer, in the order of the moments when they should have.
#[derive(Debug, Default)]
pub(super) struct Unanswered(VecDeque<(Seconds, FlowId)>);

impl Unanswered {
    /// A flow is carried to its target from now on.
    pub(super) fn wait(&mut self, flow: FlowId, now: Seconds) {
        if self.0.len() < MOST {
            self.0.push_back((now + SILENCE, flow));
        }
    }

    /// When it is to be looked at next.
    pub(super) fn next_due(&self) -> Option<Seconds> {
        self.0.front().map(|(due, _)| *due)
    }

    /// A flow whose target should have answered, and when its waiting began.
    pub(super) fn overdue(&mut self, now: Seconds) -> Option<(FlowId, Seconds)> {
        let (due, flow) = *self.0.front().filter(|(due, _)| *due <= now)?;
        self.0.pop_front();
        Some((flow, due - SILENCE))
    }
}

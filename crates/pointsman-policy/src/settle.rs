//! The loop around [`Policy::decide`] for callers that can find every fact at once: `explain`,
//! policy tests, replay.
//!
//! Invariant: it ends. A fact that stays unknown after it was asked for counts as failed.

use crate::decision::Step;
use crate::fact::{Facts, Need};
use crate::model::Policy;

/// What came of a flow, and what was asked on the way, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// [`Step::Decided`] or [`Step::NoRoute`].
    pub step: Step,
    /// Each need once.
    pub asked: Vec<Need>,
}

/// Decides a flow; `find` is called with each fact that is missing and settles it in the facts.
/// One that it leaves [`crate::Fact::Unknown`] fails with "not found".
///
/// Afterwards the facts hold all that the decision saw: [`Policy::decide_traced`] on them tells
/// the trace.
pub fn settle(
    policy: &Policy,
    facts: &mut Facts,
    mut find: impl FnMut(Need, &mut Facts),
) -> Settled {
    let mut asked = Vec::new();
    loop {
        match policy.decide(facts) {
            Step::Need(need) => {
                asked.push(need);
                find(need, facts);
                if facts.lacks(need) {
                    facts.fail(need, "not found");
                }
            }
            step => return Settled { step, asked },
        }
    }
}

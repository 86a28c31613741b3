//! Queries for names, decided on by the same engine as flows: what no query has is absent, not unknown.

use crate::answered::Answered;
use crate::decision::{Decision, Step};
use crate::fact::{Fact, Facts, Need};
use crate::interpret::Watch;
use crate::model::Policy;

impl Policy {
    /// What becomes of a query; `None` where no rule says. What it does not have (first bytes, addresses) is absent.
    #[must_use]
    pub fn decide_query(&self, mut facts: Facts) -> Option<Decision> {
        self.decide_known(&mut facts)
    }

    /// As [`Self::decide_query`]; what was found to be absent is written down.
    #[must_use]
    pub fn decide_known(&self, facts: &mut Facts) -> Option<Decision> {
        loop {
            match self.decide(facts) {
                Step::Decided(decision) => return Some(decision),
                Step::Need(need) => is_absent(facts, need),
                Step::NoRoute => return None,
            }
        }
    }

    /// What becomes of an answer to a query; `None` where no rule says, and it is given as it came.
    #[must_use]
    pub fn decide_answer(&self, facts: &mut Facts, answered: &Answered<'_>) -> Option<Decision> {
        loop {
            match self.decide_answer_with(facts, answered, Watch::Nothing) {
                Step::Decided(decision) => return Some(decision),
                Step::Need(need) => is_absent(facts, need),
                Step::NoRoute => return None,
            }
        }
    }

    /// Whether what becomes of a query hangs on its name: another rule counts for one that has none.
    #[must_use]
    pub fn names_query(&self, facts: &Facts) -> bool {
        let nameless = Facts {
            destination: Fact::Absent,
            ..facts.clone()
        };
        let rule = |facts: Facts| self.decide_query(facts).and_then(|decision| decision.rule);
        rule(facts.clone()) != rule(nameless)
    }
}

fn is_absent(facts: &mut Facts, need: Need) {
    let sought = facts.sought.to_mut();
    match need {
        Need::Country => sought.geo = Fact::Absent,
        Need::Local => sought.local = Fact::Absent,
        Need::Owner => sought.owner = Fact::Absent,
        Need::Resolve => sought.resolved = Fact::Absent,
        Need::Sniff => sought.look = Fact::Absent,
        Need::Verdict(request) => facts.answer(request, Fact::Absent),
    }
}

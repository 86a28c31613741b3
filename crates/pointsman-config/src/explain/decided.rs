//! A described flow and what became of it: decided once, whatever is asked of it afterwards.

use std::cell::OnceCell;

use pointsman_api::Explanation;
use pointsman_policy::decision::{Decision, Reason, Step, Trace};
use pointsman_policy::fact::{Facts, Need};
use pointsman_policy::model::SetId;
use pointsman_policy::set::RuleSet;
use pointsman_policy::{End, OutboundId, settle};

pub use super::looked_into::LookedInto;
use super::{Detail, Selection, View, Way, World, hint_of_sets, hint_of_the_way, tell_look_up};
use super::{looked_into, render};
use super::{requests, way};
use crate::flow::{BadFlow, Query, Situation};
use crate::own::Listeners;
use crate::setup::Setup;

/// A flow that was described, decided by a configuration; nobody was asked.
pub struct Decided<'s> {
    setup: &'s Setup,
    query: &'s Query,
    situation: Situation<'s>,
    /// With all that was asked for.
    facts: Facts,
    asked: Vec<Need>,
    step: Step,
    /// The way there: most flows are tests that come out, and nobody asks for theirs.
    trace: OnceCell<Trace>,
}

impl<'s> Decided<'s> {
    /// Decides it.
    ///
    /// # Errors
    /// [`BadFlow`] when the description does not fit the configuration.
    pub fn of(setup: &'s Setup, query: &'s Query) -> Result<Self, BadFlow> {
        let situation = Situation::new(setup, query)?;
        let mut facts = situation.facts.clone();
        let settled = settle(situation.policy, &mut facts, |need, facts| {
            situation.answer(setup, query, need, facts);
        });
        Ok(Self {
            setup,
            query,
            situation,
            facts,
            asked: settled.asked,
            step: settled.step,
            trace: OnceCell::new(),
        })
    }

    /// Why there is no such flow; `None` where there may be one.
    #[must_use]
    pub fn impossible(&self) -> Option<String> {
        self.situation.impossible(self.query)
    }

    /// Where it goes.
    #[must_use]
    pub fn way(&self, selection: &dyn Selection) -> Way {
        self.in_world(selection, |world| {
            let (_, way) = way(self.situation.policy, &self.facts, &self.step, world);
            way
        })
    }

    /// The name of an outbound of its policy.
    #[must_use]
    pub fn name(&self, outbound: OutboundId) -> &str {
        &self.situation.policy.outbound(outbound).name
    }

    /// All that can be said of it.
    #[must_use]
    pub fn explanation(&self, selection: &dyn Selection, detail: Detail) -> Explanation {
        let Self { setup, query, .. } = self;
        let mut explanation = self.in_world(selection, |world| {
            render(&View {
                dialect: setup.dialect,
                policy: self.situation.policy,
                facts: &self.facts,
                step: &self.step,
                trace: self.trace(),
                asked: &self.asked,
                said: Some(query),
                world,
                detail,
            })
        });
        if let Some(forward) = self.situation.forward.filter(|_| self.situation.aimed) {
            let name = &forward.name;
            explanation.hints.push(format!(
                "forward `{name}` listens there, so this is what its clients get: `inbound=forward:{name}`"
            ));
        }
        let policy = self.situation.policy;
        tell_look_up(&mut explanation, setup, policy, &self.facts);
        hint_of_the_way(&mut explanation, setup);
        if !setup.sources.is_empty() {
            hint_of_sets(&mut explanation, setup, self.situation.policy, self.trace());
        }
        explanation.id.clone_from(&query.id);
        explanation.requests =
            requests::unanswered(setup, query, &self.situation, &self.asked, selection);
        explanation
    }

    /// The fetched rule sets that its rules looked into: what they say of it may be otherwise with another copy.
    #[must_use]
    pub fn looked_into(&self) -> LookedInto {
        looked_into::of(self.setup, self.situation.policy, || self.trace())
    }

    /// The outbounds that it may get, each once, whatever the rule sets hold that were never fetched. `None`: the
    /// policy does not decide.
    #[must_use]
    pub fn possible(&self, selection: &dyn Selection) -> Vec<Option<OutboundId>> {
        let Self { setup, query, .. } = self;
        let policy = self.situation.policy;
        let unfetched = |set: &RuleSet| {
            let mut sources = setup.sources.iter();
            sources.any(|source| source.name == set.name && source.read.is_none())
        };
        let sets = (0..).map(SetId).zip(policy.sets.iter());
        let free: Vec<SetId> = sets
            .filter_map(|(id, set)| unfetched(set).then_some(id))
            .collect();
        // What no rule asked for one may ask for then: all was said that there is.
        let mut facts = self.facts.clone();
        let requests = policy.body.requests().iter();
        let verdicts = requests.map(|asked| Need::Verdict(asked.request.number()));
        // A country is that of an address.
        let needs = [Need::Resolve].into_iter().chain(Need::ALL).chain(verdicts);
        for need in needs {
            if facts.lacks(need) {
                self.situation.answer(setup, query, need, &mut facts);
            }
        }
        let mut found: Vec<Option<OutboundId>> = Vec::new();
        for possible in policy.possible(&facts, &free) {
            let outbound = match possible.end {
                End::NoRoute | End::Refused => None,
                End::To(outbound) => {
                    let step = Step::Decided(Decision {
                        outbound: Some(outbound),
                        reason: Reason::Rule,
                        rule: possible.rule,
                        entry: None,
                        class: None,
                    });
                    self.in_world(selection, |world| {
                        way(policy, &facts, &step, world).1.outbound
                    })
                }
            };
            if !found.contains(&outbound) {
                found.push(outbound);
            }
        }
        found
    }

    fn trace(&self) -> &Trace {
        self.trace.get_or_init(|| {
            let mut trace = Trace::default();
            self.situation.policy.decide_traced(&self.facts, &mut trace);
            trace
        })
    }

    fn in_world<T>(&self, selection: &dyn Selection, tell: impl FnOnce(World<'_>) -> T) -> T {
        let Self { setup, query, .. } = self;
        tell(World {
            selection,
            listeners: &Listeners::of(setup),
            dialled: &self.situation.dialled(setup, query, &self.facts),
        })
    }
}

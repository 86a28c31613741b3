//! The plain interpreter: walks a policy's nodes from the top until one decides.
//!
//! Invariant: a fact that may be asked for is never read while it is [`Fact::Unknown`]; the walk
//! stops there and names it. So learning more never changes a decision already taken. Every call
//! begins anew and keeps nothing, and without a [`Watch`] it builds no text.
//!
//! This is the reference that the compiled policy is compared with: it favours plainness over speed. The compiled
//! one is this same walk, which skips what its [`crate::plan`] knows to be certainly no.

#![expect(
    clippy::result_large_err,
    reason = "each step returns nothing, all but once a walk"
)]

mod answers;
mod conditions;
mod every;
mod message;
mod names;
mod particular;
mod possible;
mod request;
mod skip;
mod texts;
mod wants;
mod watch;

pub use possible::{End, Possible};
pub use texts::base_name;
pub use watch::Watch;

use std::sync::Arc;

use crate::answered::Answered;
use crate::condition::{Asks, Condition, DomainTest};
use crate::decision::{Decision, Particular, Reason, Seen, Step, Trace, Within};
use crate::domain::Domain;
use crate::entry::Entry;
use crate::fact::{Fact, Facts, Need, Provenance};
use crate::ids::{OutboundId, SetId, ZoneId};
use crate::model::{
    Arm, ArmKey, DomainOrder, Node, OnUnknown, Policy, Rule, Select, SelectOn, Template,
};
use crate::origin::{Class, Matcher, Origin};
use crate::plan::Plan;
use crate::set::{Fingerprints, Matched, Other, RuleSet, SetMatch};

impl Policy {
    /// Decides, or names the first fact that is missing.
    ///
    /// Allocates nothing.
    #[must_use]
    pub fn decide(&self, facts: &Facts) -> Step {
        self.decide_with(facts, Watch::Nothing)
    }

    /// As [`Self::decide`], and tells which rules it visited and why they did not match.
    pub fn decide_traced(&self, facts: &Facts, trace: &mut Trace) -> Step {
        self.decide_with(facts, Watch::Trace { time: "", trace })
    }

    /// As [`Self::decide`], by the plain interpreter, rule by rule, also where the policy is compiled: what the
    /// compiled policy is compared with.
    #[must_use]
    pub fn decide_plainly(&self, facts: &Facts) -> Step {
        self.walk((facts, None), Watch::Nothing, None, false)
    }

    /// As [`Self::decide`], for those who watch. A trace tells of every rule, so it is always the plain walk's.
    pub fn decide_with(&self, facts: &Facts, watch: Watch<'_>) -> Step {
        let plainly = matches!(watch, Watch::Particular(_) | Watch::Trace { .. });
        let plan = if plainly { None } else { self.body.plan() };
        self.walk((facts, None), watch, plan, !plainly)
    }

    /// As [`Self::decide_with`], of what was answered to a query.
    pub fn decide_answer_with(
        &self,
        facts: &Facts,
        answered: &Answered<'_>,
        watch: Watch<'_>,
    ) -> Step {
        let plainly = matches!(watch, Watch::Trace { .. });
        let plan = if plainly { None } else { self.body.plan() };
        self.walk((facts, Some(answered)), watch, plan, !plainly)
    }

    fn walk(
        &self,
        (facts, answered): (&Facts, Option<&Answered<'_>>),
        mut watch: Watch<'_>,
        plan: Option<&Plan>,
        jumps: bool,
    ) -> Step {
        match &mut watch {
            Watch::Messages { messages, .. } => messages.clear(),
            Watch::Nothing => {}
            Watch::Particular(found) => **found = Particular::default(),
            Watch::Trace { trace, .. } => {
                trace.visits.clear();
                trace.messages.clear();
            }
        }
        let mut walk = Walk::new(self, facts, watch);
        (walk.jumps, walk.answered) = (jumps, answered);
        match walk.nodes(&self.body, plan) {
            Err(Stop::Decided(decision)) => Step::Decided(decision),
            Ok(()) | Err(Stop::NoRoute) => Step::NoRoute,
            Err(Stop::Need(need)) => Step::Need(need),
        }
    }
}

/// One walk over the nodes, and what it passed on its way.
struct Walk<'a, 'w> {
    policy: &'a Policy,
    facts: &'a Facts,
    answered: Option<&'a Answered<'a>>,
    /// The name that counts as the domain while an answer's aliases are tested.
    alias: Option<&'a Domain>,
    watch: Watch<'w>,
    /// Which name is the domain: as the policy says, unless that is settled already.
    domain_order: DomainOrder,
    /// Whether sets may be looked up by their indexes: nobody watches, and it is not the reference's walk.
    jumps: bool,
    /// A rule passed had the address of a named destination resolved: all below see it.
    resolved: bool,
    /// Rules visited.
    tried: usize,
    /// Rule sets within rule sets that are being tested: the first `depth` of these.
    inside: [SetId; conditions::DEEPEST],
    depth: usize,
    /// Those of the domain, once a rule set was asked for it.
    fingerprints: Option<Fingerprints<'a>>,
    /// What the rule under test saw; kept for traces alone.
    seen: Vec<Seen>,
}

/// Why a walk ends. A decision is among them, and not what each step returns, because it is large.
enum Stop {
    Decided(Decision),
    Need(Need),
    NoRoute,
}

impl From<Need> for Stop {
    fn from(need: Need) -> Self {
        Self::Need(need)
    }
}

/// Kleene's three values; the true one with the list entry that made it so.
#[derive(Clone, Copy)]
enum Truth<'a> {
    No,
    Unknown(&'a Arc<str>),
    Yes(Option<Hit<'a>>),
}

impl Truth<'_> {
    fn of(holds: bool) -> Self {
        if holds { Self::Yes(None) } else { Self::No }
    }
}

/// The list entry that a value fell into.
#[derive(Clone, Copy)]
enum Hit<'a> {
    Other(&'a RuleSet, &'a Other),
    Set(&'a RuleSet, SetMatch<'a>),
    Zone(&'a Arc<str>, &'a Entry),
}

impl Hit<'_> {
    fn matched(&self) -> Matched {
        match self {
            Self::Other(set, other) => Matched::from(Entry {
                text: other.text.clone(),
                file: set.file.clone(),
                line: other.line,
            }),
            Self::Set(set, found) => set.matched(*found),
            Self::Zone(_, entry) => Matched::from((*entry).clone()),
        }
    }

    fn within(&self) -> Within {
        match self {
            Self::Other(set, _) | Self::Set(set, _) => Within::Set(set.name.clone()),
            Self::Zone(name, _) => Within::Zone((*name).clone()),
        }
    }
}

/// A fact that is settled: [`Fact`] without [`Fact::Unknown`].
#[derive(Clone, Copy)]
enum Value<'a, T> {
    Absent,
    Failed(&'a Arc<str>),
    Known(T, Provenance),
}

impl<'a, T> Value<'a, T> {
    /// Goes on to a part of the value that may be missing.
    fn part<U>(self, part: impl FnOnce(T) -> Option<U>) -> Value<'a, U> {
        match self {
            Self::Absent => Value::Absent,
            Self::Failed(why) => Value::Failed(why),
            Self::Known(value, from) => match part(value) {
                Some(part) => Value::Known(part, from),
                None => Value::Absent,
            },
        }
    }
}

/// A fact that may be asked for.
fn asked<T>(fact: &Fact<T>, need: Need) -> Result<Value<'_, &T>, Need> {
    match fact {
        Fact::Unknown => Err(need),
        settled_fact => Ok(settled(settled_fact)),
    }
}

/// A fact that nobody asks for: what is not known at accept is not there.
fn settled<T>(fact: &Fact<T>) -> Value<'_, &T> {
    match fact {
        Fact::Absent | Fact::Unknown => Value::Absent,
        Fact::Failed(why) => Value::Failed(why),
        Fact::Known(value, from) => Value::Known(value, *from),
    }
}

// === walking ===

impl<'a, 'w> Walk<'a, 'w> {
    fn new(policy: &'a Policy, facts: &'a Facts, watch: Watch<'w>) -> Self {
        Self {
            policy,
            facts,
            answered: None,
            alias: None,
            watch,
            domain_order: policy.domain_order,
            jumps: false,
            resolved: false,
            tried: 0,
            inside: [SetId(0); conditions::DEEPEST],
            depth: 0,
            fingerprints: None,
            seen: Vec::new(),
        }
    }

    fn nodes(&mut self, nodes: &'a [Node], plan: Option<&'a Plan>) -> Result<(), Stop> {
        if let Some(plan) = plan
            && let Plan::List {
                index: Some(index), ..
            } = plan
        {
            return self.indexed(nodes, index, plan);
        }
        for (number, node) in nodes.iter().enumerate() {
            let plan = plan.and_then(|plan| plan.inner(number));
            self.node(node, plan)?;
        }
        Ok(())
    }

    fn node(&mut self, node: &'a Node, plan: Option<&'a Plan>) -> Result<(), Stop> {
        match node {
            Node::Any(nodes) => self.nodes(nodes, plan),
            Node::Instrument {
                condition,
                id,
                message,
                origin,
            } => self.instrument(condition, *id, message, origin),
            Node::Leaf { outbound, .. } if self.is_tried(*outbound) => Ok(()),
            Node::Leaf { outbound, origin } => {
                let reason = Reason::Fallback { tried: self.tried };
                self.visit(origin, Truth::Yes(None));
                Err(Stop::Decided(decision(*outbound, reason, origin, None)))
            }
            Node::Request {
                condition,
                request,
                origin,
            } => self.request(condition, request, origin),
            Node::Resolve(origin) => self.resolve(origin),
            Node::Rule(rule) if self.is_tried(rule.outbound) => Ok(()),
            Node::Rule(rule) => self.rule(rule),
            Node::Select(select) => self.select(select, plan),
            Node::Sub {
                condition,
                body,
                origin,
            } => {
                let truth = self.test(condition, Asks::Resolve)?;
                self.visit(origin, truth);
                match truth {
                    Truth::No => Ok(()),
                    Truth::Unknown(why) => self.refusal(origin, why),
                    Truth::Yes(_) => {
                        self.particular(condition);
                        self.nodes(body, plan)?;
                        Err(Stop::NoRoute)
                    }
                }
            }
            Node::When {
                condition,
                then,
                otherwise,
                origin,
            } => {
                let truth = self.test(condition, Asks::Resolve)?;
                self.visit(origin, truth);
                match (truth, otherwise) {
                    (Truth::Yes(hit), _) => {
                        let plan = plan.and_then(|plan| plan.inner(0));
                        let mark = self.mark();
                        self.particular(condition);
                        self.branch(then, origin, hit, plan)?;
                        self.forget(mark);
                        Ok(())
                    }
                    (Truth::No, Some(otherwise)) => {
                        self.otherwise(otherwise, plan.and_then(|plan| plan.inner(1)))
                    }
                    (Truth::No, None) => Ok(()),
                    (Truth::Unknown(why), _) => self.refusal(origin, why),
                }
            }
        }
    }

    fn rule(&mut self, rule: &'a Rule) -> Result<(), Stop> {
        let truth = self.test(&rule.condition, Asks::Resolve)?;
        self.visit(&rule.origin, truth);
        match truth {
            Truth::No => Ok(()),
            Truth::Unknown(why) => self.refusal(&rule.origin, why),
            Truth::Yes(hit) => {
                self.particular(&rule.condition);
                let class = match &rule.class {
                    Some(class) => Some(self.class(class, &rule.condition)?),
                    None => None,
                };
                let decided = decision(rule.outbound, Reason::Rule, &rule.origin, hit);
                Err(Stop::Decided(Decision { class, ..decided }))
            }
        }
    }

    fn select(&mut self, select: &'a Select, plan: Option<&'a Plan>) -> Result<(), Stop> {
        let (key, hit) = match self.key(select)? {
            Value::Known((key, hit), _) => (key, hit),
            Value::Absent => {
                self.visit(&select.origin, Truth::No);
                return Ok(());
            }
            Value::Failed(why) => {
                self.visit(&select.origin, Truth::Unknown(why));
                return self.refusal(&select.origin, why);
            }
        };
        let number = match plan.and_then(Plan::arms) {
            Some(arms) => {
                let at = arms.binary_search_by_key(&key, |(key, _)| *key).ok();
                at.map(|at| arms[at].1 as usize)
            }
            None => select.arms.iter().position(|arm| arm.key == key),
        };
        let arm: Option<(usize, &Arm)> = number.and_then(|n| Some((n, select.arms.get(n)?)));
        match arm {
            Some((number, arm)) => {
                self.visit(&arm.origin, Truth::Yes(hit));
                let plan = plan.and_then(|plan| plan.inner(number));
                self.branch(&arm.then, &arm.origin, hit, plan)
            }
            None => {
                self.visit(&select.origin, Truth::No);
                Ok(())
            }
        }
    }

    /// What a `cond domain|ip|protocol` looks its arms up by; absent where it belongs to none.
    fn key(&mut self, select: &'a Select) -> Result<Value<'a, (ArmKey, Option<Hit<'a>>)>, Need> {
        match select.on {
            SelectOn::Protocol => {
                let network = self.facts.network;
                if !select.arms.iter().any(|arm| arm.key.may_be_over(network)) {
                    self.see_network();
                    return Ok(Value::Absent);
                }
                let protocol = self.protocol_over(None)?;
                self.see("protocol", &protocol, |p| p.as_str().into(), None);
                Ok(protocol.part(|protocol| {
                    let key = ArmKey::Protocol(protocol);
                    key.may_be_over(network).then_some((key, None))
                }))
            }
            SelectOn::Zone(of, asks) => {
                let zone = self.zone(of, asks)?;
                Ok(zone
                    .part(|(zone, hit): (ZoneId, Hit<'a>)| Some((ArmKey::Zone(zone), Some(hit)))))
            }
        }
    }

    /// The branch of a condition that holds. Where it is a way out, the condition's line is the
    /// rule: `secret-sites => privacyproxy`.
    fn branch(
        &mut self,
        then: &'a Node,
        origin: &'a Origin,
        hit: Option<Hit<'a>>,
        plan: Option<&'a Plan>,
    ) -> Result<(), Stop> {
        match then {
            Node::Leaf { outbound, .. } if self.is_tried(*outbound) => Ok(()),
            Node::Leaf { outbound, .. } => Err(Stop::Decided(decision(
                *outbound,
                Reason::Rule,
                origin,
                hit,
            ))),
            other => self.node(other, plan),
        }
    }

    /// An `else =>`: a way out there is a rule of its own, not a catch-all.
    fn otherwise(&mut self, node: &'a Node, plan: Option<&'a Plan>) -> Result<(), Stop> {
        match node {
            Node::Leaf { outbound, .. } if self.is_tried(*outbound) => Ok(()),
            Node::Leaf { outbound, origin } => {
                self.visit(origin, Truth::Yes(None));
                Err(Stop::Decided(decision(
                    *outbound,
                    Reason::Rule,
                    origin,
                    None,
                )))
            }
            other => self.node(other, plan),
        }
    }

    fn resolve(&mut self, origin: &'a Origin) -> Result<(), Stop> {
        let named = self.facts.destination_name().is_some();
        let address = self.destination(Asks::Resolve)?;
        self.see_address(&address, None);
        let truth = match address {
            Value::Failed(why) => Truth::Unknown(why),
            Value::Known(..) if named => Truth::Yes(None),
            // A literal address has nothing to resolve.
            Value::Known(..) | Value::Absent => Truth::No,
        };
        self.visit(origin, truth);
        Ok(())
    }

    fn instrument(
        &mut self,
        condition: &'a Condition,
        id: u32,
        message: &'a Template,
        origin: &'a Origin,
    ) -> Result<(), Stop> {
        let truth = self.test(condition, Asks::Resolve)?;
        if let Truth::Yes(_) = truth {
            self.ask_for_message(message)?;
            self.say(id, message);
        }
        self.visit(origin, truth);
        Ok(())
    }

    /// What an unknown condition comes to: nothing, or the end.
    fn refusal(&self, origin: &Origin, why: &Arc<str>) -> Result<(), Stop> {
        match self.policy.on_unknown {
            OnUnknown::Skip => Ok(()),
            OnUnknown::Reject => Err(Stop::Decided(Decision {
                outbound: None,
                reason: Reason::Unknown { why: why.clone() },
                rule: Some(origin.clone()),
                entry: None,
                class: None,
            })),
        }
    }

    /// A suffix pattern that equals the name is an exact match to whoever reads the explanation.
    fn class(&self, class: &Class, condition: &Condition) -> Result<(Class, Matcher), Need> {
        let matcher = match condition {
            Condition::Domain(DomainTest::Suffix(suffix)) => match self.domain()?.value {
                Value::Known(name, _) if name != suffix => Matcher::Suffix,
                _ => Matcher::Exact,
            },
            _ => Matcher::Exact,
        };
        Ok((class.clone(), matcher))
    }
}

fn decision(
    outbound: OutboundId,
    reason: Reason,
    origin: &Origin,
    hit: Option<Hit<'_>>,
) -> Decision {
    Decision {
        outbound: Some(outbound),
        reason,
        rule: Some(origin.clone()),
        entry: hit.map(|hit| hit.matched()),
        class: None,
    }
}

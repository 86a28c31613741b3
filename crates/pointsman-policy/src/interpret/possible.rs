//! Where a walk may end while something is not known: facts that nobody asked for yet, and rule sets of which nobody
//! knows what they hold.
//!
//! The steps of the walk itself, over all that may be: a condition may come to several of Kleene's values, and the
//! address of a named destination may be seen or not.
//!
//! Invariant: whatever is learned, [`Policy::decide`] ends at one of these; where all is known, there is one
//! (`tests/possible.rs`). More are told than can be where several rules look at one unknown fact: each is taken to
//! come to anything by itself.

mod truths;

use self::truths::{Truths, Views};
use super::{Value, Walk, Watch};
use crate::condition::{Asks, Condition};
use crate::fact::{Fact, Facts, Need};
use crate::ids::{OutboundId, SetId};
use crate::interpret::conditions::least;
use crate::model::{Node, OnUnknown, Policy, Select};
use crate::origin::Origin;
use crate::request::{Request, Route};
use crate::set::RuleSet;

/// How a walk may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// No rule decides.
    NoRoute,
    /// A condition is unknown, and the policy refuses such flows.
    Refused,
    /// This way out.
    To(OutboundId),
}

/// A way in which a walk may end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possible {
    /// The end.
    pub end: End,
    /// The first rule that may lead there; `None` of [`End::NoRoute`].
    pub rule: Option<Origin>,
}

impl Policy {
    /// All ends that a flow may come to, each once, in the order of the rules that lead there first. Facts that are
    /// [`Fact::Unknown`] and may be asked for may become anything; `free` sets may hold anything.
    ///
    /// Goes through the rules one by one, also where the policy is compiled.
    #[must_use]
    pub fn possible(&self, facts: &Facts, free: &[SetId]) -> Vec<Possible> {
        let mut may = May {
            walk: Walk::new(self, facts, Watch::Nothing),
            open: open(self, free),
            breaks: breaks(facts),
            ends: Vec::new(),
        };
        let through = may.nodes(&self.body, Views::of(false));
        if through != Views::NONE {
            may.end(End::NoRoute, None);
        }
        may.ends
    }
}

struct May<'a, 'w> {
    walk: Walk<'a, 'w>,
    /// By [`SetId`]: those of which nobody knows whether they hold.
    open: Vec<bool>,
    /// Whether an entry of a list may look at something that could not be found.
    breaks: bool,
    ends: Vec<Possible>,
}

impl<'a> May<'a, '_> {
    fn end(&mut self, end: End, rule: Option<&Origin>) {
        if !self.ends.iter().any(|known| known.end == end) {
            let rule = rule.cloned();
            self.ends.push(Possible { end, rule });
        }
    }

    /// What may be seen behind the steps, where one gets there.
    fn nodes(&mut self, nodes: &'a [Node], from: Views) -> Views {
        let mut at = from;
        for node in nodes {
            if at == Views::NONE {
                break;
            }
            at = self.node(node, at);
        }
        at
    }

    fn node(&mut self, node: &'a Node, from: Views) -> Views {
        match node {
            Node::Any(nodes) => self.nodes(nodes, from),
            Node::Instrument { condition, .. } => {
                let may = self.test(condition, from);
                may.no | may.unknown | may.yes
            }
            Node::Leaf { outbound, origin } => {
                self.end(End::To(*outbound), Some(origin));
                Views::NONE
            }
            Node::Request {
                condition,
                request,
                origin,
            } => {
                let may = self.test(condition, from);
                self.passes(may, origin) | self.asks(request, origin, may.yes)
            }
            Node::Resolve(_) => {
                let mut after = Views::NONE;
                for seen in from.each() {
                    self.walk.resolved = seen;
                    // Whatever it finds, it decides nothing.
                    let _address = self.walk.destination(Asks::Resolve);
                    after |= Views::of(self.walk.resolved);
                }
                after
            }
            Node::Rule(rule) => {
                let may = self.test(&rule.condition, from);
                if may.yes != Views::NONE {
                    self.end(End::To(rule.outbound), Some(&rule.origin));
                }
                self.passes(may, &rule.origin)
            }
            Node::Select(select) => self.select(select, from),
            Node::Sub {
                condition,
                body,
                origin,
            } => {
                let may = self.test(condition, from);
                if self.nodes(body, may.yes) != Views::NONE {
                    self.end(End::NoRoute, None);
                }
                self.passes(may, origin)
            }
            Node::When {
                condition,
                then,
                otherwise,
                origin,
            } => {
                let may = self.test(condition, from);
                let through = self.branch(then, origin, may.yes);
                let not = match otherwise {
                    Some(otherwise) if may.no != Views::NONE => self.node(otherwise, may.no),
                    _ => may.no,
                };
                through | not | self.refusal(may.unknown, origin)
            }
        }
    }

    /// Where a rule that does not hold lets a flow go on.
    fn passes(&mut self, may: Truths, origin: &Origin) -> Views {
        may.no | self.refusal(may.unknown, origin)
    }

    /// As the walk's own: it goes on, or ends there.
    fn refusal(&mut self, unknown: Views, origin: &Origin) -> Views {
        match self.walk.policy.on_unknown {
            OnUnknown::Skip => unknown,
            OnUnknown::Reject => {
                if unknown != Views::NONE {
                    self.end(End::Refused, Some(origin));
                }
                Views::NONE
            }
        }
    }

    fn asks(&mut self, request: &Request, origin: &Origin, from: Views) -> Views {
        if from == Views::NONE {
            return from;
        }
        let one;
        let routes = match self.walk.facts.verdict(request.number()) {
            Fact::Unknown => &Route::ALL[..],
            Fact::Known(answer, _) => {
                one = [request.route(*answer)];
                &one
            }
            Fact::Absent | Fact::Failed(_) => {
                one = [request.fallback];
                &one
            }
        };
        let mut on = Views::NONE;
        for route in routes {
            match request.outbound(*route) {
                None => on = from,
                Some(outbound) => self.end(End::To(outbound), Some(origin)),
            }
        }
        on
    }

    fn select(&mut self, select: &'a Select, from: Views) -> Views {
        let (mut through, mut broken) = (Views::NONE, Views::NONE);
        let mut arms = vec![Views::NONE; select.arms.len()];
        for seen in from.each() {
            self.walk.resolved = seen;
            let key = self.walk.key(select);
            let after = Views::of(self.walk.resolved);
            match key {
                Ok(Value::Absent) => through |= after,
                Ok(Value::Failed(_)) => broken |= after,
                Ok(Value::Known((key, _), _)) => {
                    match select.arms.iter().position(|arm| arm.key == key) {
                        Some(number) => arms[number] |= after,
                        None => through |= after,
                    }
                }
                Err(_) => {
                    through |= after;
                    broken |= after;
                    let network = self.walk.facts.network;
                    for (arm, views) in select.arms.iter().zip(&mut arms) {
                        if arm.key.may_be_over(network) {
                            *views |= after;
                        }
                    }
                }
            }
        }
        for (arm, views) in select.arms.iter().zip(arms) {
            through |= self.branch(&arm.then, &arm.origin, views);
        }
        through | self.refusal(broken, &select.origin)
    }

    /// As the walk's own: a way out is named by its condition's line.
    fn branch(&mut self, then: &'a Node, origin: &Origin, from: Views) -> Views {
        match then {
            _ if from == Views::NONE => from,
            Node::Leaf { outbound, .. } => {
                self.end(End::To(*outbound), Some(origin));
                Views::NONE
            }
            other => self.node(other, from),
        }
    }

    fn test(&mut self, condition: &'a Condition, from: Views) -> Truths {
        let mut may = Truths::default();
        for seen in from.each() {
            may |= self.condition(condition, Asks::Resolve, seen);
        }
        may
    }

    fn condition(&mut self, condition: &'a Condition, limit: Asks, seen: bool) -> Truths {
        match condition {
            Condition::And(all) => {
                let (stopped, sure, unknown) =
                    self.parts(all, limit, seen, |may| (may.no, may.yes));
                Truths {
                    no: stopped,
                    unknown,
                    yes: sure,
                }
            }
            Condition::Or(any) => {
                let (stopped, sure, unknown) =
                    self.parts(any, limit, seen, |may| (may.yes, may.no));
                Truths {
                    no: sure,
                    unknown,
                    yes: stopped,
                }
            }
            Condition::Not(inner) => {
                let Truths { no, unknown, yes } = self.condition(inner, limit, seen);
                Truths {
                    no: yes,
                    unknown,
                    yes: no,
                }
            }
            test => self.leaf(test, limit, seen),
        }
    }

    /// The parts of logic in their order, as `split` says by which value it stops and by which it goes on: where it
    /// stopped, and where it came to the end without and with an unknown one. A part is gone through once for each
    /// view, so that nesting costs no more than its depth.
    fn parts(
        &mut self,
        parts: &'a [Condition],
        limit: Asks,
        seen: bool,
        split: impl Fn(&Truths) -> (Views, Views),
    ) -> (Views, Views, Views) {
        let mut stopped = Views::NONE;
        let (mut sure, mut doubtful) = (Views::of(seen), Views::NONE);
        for part in parts {
            let (mut next, mut next_doubtful) = (Views::NONE, Views::NONE);
            for seen in (sure | doubtful).each() {
                let may = self.condition(part, limit, seen);
                let (stops, goes) = split(&may);
                stopped |= stops;
                if sure.has(seen) {
                    next |= goes;
                    next_doubtful |= may.unknown;
                }
                if doubtful.has(seen) {
                    next_doubtful |= goes | may.unknown;
                }
            }
            (sure, doubtful) = (next, next_doubtful);
        }
        (stopped, sure, doubtful)
    }

    fn leaf(&mut self, test: &'a Condition, limit: Asks, seen: bool) -> Truths {
        // Any of its entries may ask for the address, or none.
        let looked = match test {
            Condition::Set(_, asks) if least(*asks, limit) == Asks::Resolve => Views::of(true),
            _ => Views::NONE,
        };
        if let Condition::Set(id, _) = test
            && self.open.get(id.0 as usize) == Some(&true)
        {
            let mut may = Truths::any(Views::of(seen) | looked);
            if !self.breaks {
                may.unknown = Views::NONE;
            }
            return may;
        }
        self.walk.resolved = seen;
        // A walk that stopped for a fact may have stopped within a set.
        self.walk.depth = 0;
        let truth = self.walk.test(test, limit);
        let after = Views::of(self.walk.resolved);
        match truth {
            Ok(truth) => Truths::one(truth, after),
            Err(_) => Truths::any(after | looked),
        }
    }
}

/// The sets that are free or hold such a one.
fn open(policy: &Policy, free: &[SetId]) -> Vec<bool> {
    let mut open: Vec<bool> = vec![false; policy.sets.len()];
    for id in free {
        if let Some(open) = open.get_mut(id.0 as usize) {
            *open = true;
        }
    }
    if free.is_empty() {
        return open;
    }
    let holds_open = |set: &RuleSet, open: &[bool]| {
        set.others().iter().any(|other| {
            other.condition.any_test(&mut |test| match test {
                Condition::Set(id, _) => open.get(id.0 as usize) == Some(&true),
                _ => false,
            })
        })
    };
    // Each round opens one at least.
    while let Some(next) = policy
        .sets
        .iter()
        .zip(&open)
        .position(|(set, is_open)| !is_open && holds_open(set, &open))
    {
        open[next] = true;
    }
    open
}

/// Whether any fact could not be found, or may yet come out so.
fn breaks(facts: &Facts) -> bool {
    let asked = |need| facts.lacks(need) || facts.failure(need).is_some();
    let Facts {
        network: _,
        inbound,
        source,
        destination,
        port,
        sought,
    } = facts;
    let of_owner = sought.owner.known().is_some_and(|process| {
        let texts = [
            &process.name,
            &process.path,
            &process.command_line,
            &process.user,
            &process.cgroup,
            &process.unit,
            &process.tag,
        ];
        process.pid.failure().is_some() || texts.iter().any(|text| text.failure().is_some())
    });
    Need::ALL.into_iter().any(asked)
        || of_owner
        || inbound.failure().is_some()
        || source.failure().is_some()
        || destination.failure().is_some()
        || port.failure().is_some()
        || sought.dscp.failure().is_some()
        || sought.fake_ip.failure().is_some()
        || sought.correlated.failure().is_some()
}

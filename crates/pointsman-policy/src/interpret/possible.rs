//! Where a walk may end while something is not known: facts that nobody asked for yet, rule sets of which nobody
//! knows what they hold, or all of a flow but the name that it goes to.
//!
//! The steps of the walk itself, over all that may be: a condition may come to several of Kleene's values, and the
//! address of a named destination may be seen or not.
//!
//! Invariant: whatever is learned, [`Policy::decide`] ends at one of these; where all is known, or where rules look at
//! names alone, there is one (`tests/possible.rs`). More are told than can be where several rules look at one unknown
//! fact: each is taken to come to anything by itself.

mod conditions;
mod free;
mod skip;
mod truths;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use self::free::{AtAccept, Free};
use self::truths::{Truths, Views};
use super::{Value, Walk, Watch};
use crate::address::Host;
use crate::condition::{AddressOf, Asks, Condition};
use crate::domain::Domain;
use crate::fact::{Fact, Facts, Provenance};
use crate::ids::{OutboundId, SetId};
use crate::model::{ArmKey, DomainOrder, Node, OnUnknown, Policy, Select, SelectOn, each_node};
use crate::origin::Origin;
use crate::plan::Plan;
use crate::request::{Request, Route};

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
    /// Where the policy is compiled, rules that are certainly no are skipped.
    #[must_use]
    pub fn possible(&self, facts: &Facts, free: &[SetId]) -> Vec<Possible> {
        let free = Free::of_flow(self, facts, free);
        May::new(self, facts, free).ends()
    }

    /// All ends that flows to a name may come to, as [`Self::possible`] tells them, while no more is known of them than
    /// that name and, where it is given, the client's address: what whoever is asked for the name can tell of the flow
    /// that is to follow.
    ///
    /// The flows are those that bring the name, be it by its fake address. The name is their domain, also where the
    /// first bytes come before the request: those are taken to carry it too. All else may be anything: ports, network,
    /// inbound, DSCP, and whatever rules may ask for.
    #[must_use]
    pub fn possible_for(&self, name: &Domain, client: Option<IpAddr>) -> Vec<Possible> {
        let of_client = |client| SocketAddr::new(client, 0);
        let facts = Facts {
            source: Fact::from_option(client.map(of_client), Provenance::Inbound),
            destination: Fact::Known(Host::Name(name.clone()), Provenance::Request),
            ..Facts::default()
        };
        let free = Free::of_name(client);
        let mut may = May::new(self, &facts, free);
        may.walk.domain_order = DomainOrder::Requested;
        may.ends()
    }

    /// Whether an end for a name may depend on who asks for it: some condition looks at the client's address.
    #[must_use]
    pub fn looks_at_clients(&self) -> bool {
        let mut sets = BTreeSet::new();
        let mut looks = false;
        each_node(&self.body, &mut |node| {
            if let Some(condition) = node.condition() {
                looks |= condition.any_test(&mut looks_at_client);
                self.gather_sets(condition, &mut sets);
            }
        });
        let sets = sets.iter().filter_map(|id| self.sets.get(id.0 as usize));
        let mut others = sets.flat_map(|set| set.others());
        looks || others.any(|other| other.condition.any_test(&mut looks_at_client))
    }
}

fn looks_at_client(test: &Condition) -> bool {
    match test {
        Condition::Address { of, .. } => matches!(of, AddressOf::Source | AddressOf::Either),
        _ => false,
    }
}

struct May<'a, 'w> {
    walk: Walk<'a, 'w>,
    free: Free,
    ends: Vec<Possible>,
}

impl<'a> May<'a, '_> {
    fn new(policy: &'a Policy, facts: &'a Facts, free: Free) -> Self {
        let mut walk = Walk::new(policy, facts, Watch::Nothing);
        walk.jumps = true;
        Self {
            walk,
            free,
            ends: Vec::new(),
        }
    }

    fn ends(mut self) -> Vec<Possible> {
        let policy = self.walk.policy;
        let through = self.nodes(&policy.body, policy.body.plan(), Views::of(false));
        if through != Views::NONE {
            self.end(End::NoRoute, None);
        }
        self.ends
    }

    fn end(&mut self, end: End, rule: Option<&Origin>) {
        if !self.ends.iter().any(|known| known.end == end) {
            let rule = rule.cloned();
            self.ends.push(Possible { end, rule });
        }
    }

    /// What may be seen behind the steps, where one gets there.
    fn nodes(&mut self, nodes: &'a [Node], plan: Option<&'a Plan>, from: Views) -> Views {
        if let Some(plan) = plan
            && let Plan::List {
                index: Some(index), ..
            } = plan
        {
            return self.indexed(nodes, index, plan, from);
        }
        let mut at = from;
        for (number, node) in nodes.iter().enumerate() {
            if at == Views::NONE {
                break;
            }
            at = self.node(node, within(plan, number), at);
        }
        at
    }

    fn node(&mut self, node: &'a Node, plan: Option<&'a Plan>, from: Views) -> Views {
        match node {
            Node::Any(nodes) => self.nodes(nodes, plan, from),
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
            Node::Select(select) => self.select(select, plan, from),
            Node::Sub {
                condition,
                body,
                origin,
            } => {
                let may = self.test(condition, from);
                if self.nodes(body, plan, may.yes) != Views::NONE {
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
                let through = self.branch(then, within(plan, 0), origin, may.yes);
                let not = match otherwise {
                    Some(otherwise) if may.no != Views::NONE => {
                        self.node(otherwise, within(plan, 1), may.no)
                    }
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

    fn select(&mut self, select: &'a Select, plan: Option<&'a Plan>, from: Views) -> Views {
        let (mut through, mut broken) = (Views::NONE, Views::NONE);
        let mut arms = vec![Views::NONE; select.arms.len()];
        for seen in from.each() {
            self.walk.resolved = seen;
            let key = match select.on {
                SelectOn::Protocol if self.free.at_accept != AtAccept::Known => None,
                _ => self.walk.key(select).ok(),
            };
            let after = Views::of(self.walk.resolved);
            match key {
                Some(Value::Absent) => through |= after,
                Some(Value::Failed(_)) => broken |= after,
                Some(Value::Known((key, _), _)) => {
                    match select.arms.iter().position(|arm| arm.key == key) {
                        Some(number) => arms[number] |= after,
                        None => through |= after,
                    }
                }
                None => {
                    through |= after;
                    broken |= after;
                    for (arm, views) in select.arms.iter().zip(&mut arms) {
                        if self.may_be(arm.key) {
                            *views |= after;
                        }
                    }
                }
            }
        }
        for (number, (arm, views)) in select.arms.iter().zip(arms).enumerate() {
            through |= self.branch(&arm.then, within(plan, number), &arm.origin, views);
        }
        through | self.refusal(broken, &select.origin)
    }

    /// Whether a flow may have that key.
    fn may_be(&self, key: ArmKey) -> bool {
        match self.free.at_accept {
            AtAccept::Known => key.may_be_over(self.walk.facts.network),
            AtAccept::Name { .. } => true,
        }
    }

    /// As the walk's own: a way out is named by its condition's line.
    fn branch(
        &mut self,
        then: &'a Node,
        plan: Option<&'a Plan>,
        origin: &Origin,
        from: Views,
    ) -> Views {
        match then {
            _ if from == Views::NONE => from,
            Node::Leaf { outbound, .. } => {
                self.end(End::To(*outbound), Some(origin));
                Views::NONE
            }
            other => self.node(other, plan, from),
        }
    }
}

fn within(plan: Option<&Plan>, number: usize) -> Option<&Plan> {
    plan.and_then(|plan| plan.inner(number))
}

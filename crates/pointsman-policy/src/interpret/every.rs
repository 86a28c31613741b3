//! What every step of a policy would decide, and not only the first: what earlier rules take from later ones.
//!
//! Each step that would decide is told, and the walk goes on as if it had not, within branches whose condition holds
//! and within the bodies of `.SUB-DISPATCH` as well as at the top. Steps that lack a fact are passed over, with all
//! that stands in them.

use std::ops::ControlFlow;
use std::slice;

use super::{Hit, Stop, Truth, Value, Walk, Watch};
use crate::condition::Asks;
use crate::decision::Decision;
use crate::fact::Facts;
use crate::model::{Node, Policy, Select};
use crate::origin::Origin;

impl Policy {
    /// Tells `each` what the steps of the policy would decide, in order, until it breaks.
    ///
    /// The loop guard is above the rules and no part of this.
    pub fn every_decision(&self, facts: &Facts, each: impl FnMut(Decision) -> ControlFlow<()>) {
        let walk = Walk::new(self, facts, Watch::Nothing);
        // Nothing is left to do where it broke.
        let _broken = Every { walk, each }.nodes(&self.body);
    }
}

struct Every<'a, 'w, F> {
    walk: Walk<'a, 'w>,
    each: F,
}

impl<'a, F: FnMut(Decision) -> ControlFlow<()>> Every<'a, '_, F> {
    fn nodes(&mut self, nodes: &'a [Node]) -> ControlFlow<()> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &'a Node) -> ControlFlow<()> {
        // A walk that stopped for a fact may have stopped within a set.
        self.walk.depth = 0;
        match node {
            Node::Any(nodes) => self.nodes(nodes),
            Node::Instrument { .. }
            | Node::Leaf { .. }
            | Node::Request { .. }
            | Node::Resolve(_)
            | Node::Rule(_) => {
                let step = self.walk.node(node, None);
                self.tell(step)
            }
            Node::Select(select) => self.select(select),
            Node::Sub {
                condition,
                body,
                origin,
            } => match self.walk.test(condition, Asks::Resolve) {
                Ok(Truth::No) | Err(_) => ControlFlow::Continue(()),
                Ok(Truth::Unknown(why)) => {
                    let step = self.walk.refusal(origin, why);
                    self.tell(step)
                }
                Ok(Truth::Yes(_)) => self.nodes(body),
            },
            Node::When {
                condition,
                then,
                otherwise,
                origin,
            } => match (self.walk.test(condition, Asks::Resolve), otherwise) {
                (Ok(Truth::No), None) | (Err(_), _) => ControlFlow::Continue(()),
                (Ok(Truth::No), Some(otherwise)) => self.otherwise(otherwise),
                (Ok(Truth::Unknown(why)), _) => {
                    let step = self.walk.refusal(origin, why);
                    self.tell(step)
                }
                (Ok(Truth::Yes(hit)), _) => self.branch(then, origin, hit),
            },
        }
    }

    fn select(&mut self, select: &'a Select) -> ControlFlow<()> {
        let (key, hit) = match self.walk.key(select) {
            Ok(Value::Known(found, _)) => found,
            Ok(Value::Absent) | Err(_) => return ControlFlow::Continue(()),
            Ok(Value::Failed(why)) => {
                let step = self.walk.refusal(&select.origin, why);
                return self.tell(step);
            }
        };
        match select.arms.iter().find(|arm| arm.key == key) {
            Some(arm) => self.branch(&arm.then, &arm.origin, hit),
            None => ControlFlow::Continue(()),
        }
    }

    /// As the walk's own: a way out is named by its condition's line.
    fn branch(
        &mut self,
        then: &'a Node,
        origin: &'a Origin,
        hit: Option<Hit<'a>>,
    ) -> ControlFlow<()> {
        if matches!(then, Node::Leaf { .. }) {
            let step = self.walk.branch(then, origin, hit, None);
            return self.tell(step);
        }
        self.nodes(slice::from_ref(then))
    }

    fn otherwise(&mut self, node: &'a Node) -> ControlFlow<()> {
        if matches!(node, Node::Leaf { .. }) {
            let step = self.walk.otherwise(node, None);
            return self.tell(step);
        }
        self.nodes(slice::from_ref(node))
    }

    fn tell(&mut self, step: Result<(), Stop>) -> ControlFlow<()> {
        match step {
            Err(Stop::Decided(decision)) => (self.each)(decision),
            Ok(()) | Err(Stop::Need(_) | Stop::NoRoute) => ControlFlow::Continue(()),
        }
    }
}

//! What every step of a policy would decide, and not only the first: what earlier rules take from later ones.
//!
//! Each step at the top that would decide is told, and the walk goes on as if it had not; branches, and the bodies of
//! `.SUB-DISPATCH`, count as one step. Steps that lack a fact are passed over.

use std::ops::ControlFlow;

use super::{Stop, Walk, Watch};
use crate::decision::Decision;
use crate::fact::Facts;
use crate::model::{Node, Policy};

impl Policy {
    /// Tells `each` what the steps of the policy would decide, in order, until it breaks.
    ///
    /// The loop guard is above the rules and no part of this.
    pub fn every_decision(&self, facts: &Facts, mut each: impl FnMut(Decision) -> ControlFlow<()>) {
        let mut walk = Walk::new(self, facts, Watch::Nothing);
        // Nothing is left to do where it broke.
        let _broken = each_node(&mut walk, &self.body, &mut each);
    }
}

fn each_node<'a>(
    walk: &mut Walk<'a, '_>,
    nodes: &'a [Node],
    each: &mut impl FnMut(Decision) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for node in nodes {
        match node {
            Node::Any(nodes) => each_node(walk, nodes, each)?,
            Node::Instrument { .. }
            | Node::Leaf { .. }
            | Node::Resolve(_)
            | Node::Rule(_)
            | Node::Select(_)
            | Node::Sub { .. }
            | Node::When { .. } => {
                // A walk that stopped for a fact may have stopped within a set.
                walk.depth = 0;
                if let Err(Stop::Decided(decision)) = walk.node(node, None) {
                    each(decision)?;
                }
            }
        }
    }
    ControlFlow::Continue(())
}

//! Rewriting: the same steps with other conditions in them.
//!
//! Invariant: what a rewriter does not change stays as it is, in its place and order.

use crate::condition::Condition;
use crate::model::{Node, Select};

/// Goes through all steps and conditions; by itself it changes nothing.
pub trait Rewrite {
    /// What stands for a condition that is no logic.
    fn test(&mut self, condition: &Condition) -> Condition {
        condition.clone()
    }

    /// What stands for a selection whose branches are rewritten.
    fn select(&mut self, select: Select) -> Node {
        Node::Select(select)
    }

    /// What stands for steps that are tried in order.
    fn nodes(&mut self, nodes: &[Node]) -> Vec<Node> {
        nodes.iter().map(|node| self.node(node)).collect()
    }

    /// What stands for a condition. Nesting is bounded by the readers.
    fn condition(&mut self, condition: &Condition) -> Condition {
        let mut all = |parts: &[Condition]| parts.iter().map(|part| self.condition(part)).collect();
        match condition {
            Condition::And(parts) => Condition::And(all(parts)),
            Condition::Or(parts) => Condition::Or(all(parts)),
            Condition::Not(inner) => Condition::Not(Box::new(self.condition(inner))),
            other => self.test(other),
        }
    }

    /// What stands for a step.
    fn node(&mut self, node: &Node) -> Node {
        let mut node = node.clone();
        match &mut node {
            Node::Any(nodes) => *nodes = self.nodes(nodes),
            Node::Leaf { .. } | Node::Resolve(_) => {}
            Node::Instrument { condition, .. } | Node::Request { condition, .. } => {
                *condition = self.condition(condition);
            }
            Node::Rule(rule) => rule.condition = self.condition(&rule.condition),
            Node::Sub {
                condition, body, ..
            } => {
                *condition = self.condition(condition);
                *body = self.nodes(body);
            }
            Node::When {
                condition,
                then,
                otherwise,
                ..
            } => {
                *condition = self.condition(condition);
                **then = self.node(then);
                if let Some(otherwise) = otherwise {
                    **otherwise = self.node(otherwise);
                }
            }
            Node::Select(select) => {
                for arm in &mut select.arms {
                    arm.then = self.node(&arm.then);
                }
                return self.select(select.clone());
            }
        }
        node
    }
}

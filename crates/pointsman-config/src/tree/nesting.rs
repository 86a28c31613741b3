//! How deep a policy nests when it is written as a tree: what is printed must be read again.
//!
//! Invariant: these are the levels that [`super::parse`] counts in the text that [`super::print`]
//! writes, so a tree that is lowered can be printed and read. Lists of rules nest less by the limits
//! of their own languages.

use pointsman_policy::model::Node;
use pointsman_policy::{Condition, model};

use super::conditions::{bare, is_always};
use super::print::{is_chained, plain, says, takes_else};
use super::{MAX_CHAIN, MAX_DEPTH};

/// The deepest place of a policy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nesting {
    /// Branches and conditions within each other.
    depth: usize,
    /// `else => cond` on the way to one of them.
    elses: usize,
}

impl Nesting {
    /// Of a policy's body.
    pub(super) fn of(body: &[Node]) -> Self {
        let mut nesting = Self::default();
        match body {
            [only] if !matches!(only, Node::Any(_)) => nesting.node(only, 1, 0),
            body => nesting.list(body, 1, 0),
        }
        nesting
    }

    /// Whether the printed tree is within the limits of reading.
    pub(super) fn is_readable(self) -> bool {
        self.depth <= MAX_DEPTH && self.elses <= MAX_CHAIN
    }

    fn at(&mut self, depth: usize, elses: usize) {
        self.depth = self.depth.max(depth);
        self.elses = self.elses.max(elses);
    }

    /// Whether there is no use in looking further; walking is then not deeper than reading.
    fn is_hopeless(&self) -> bool {
        !self.is_readable()
    }

    fn list(&mut self, nodes: &[Node], depth: usize, elses: usize) {
        self.at(depth, elses);
        for node in nodes {
            self.node(node, depth + 1, elses);
        }
    }

    fn node(&mut self, node: &Node, depth: usize, elses: usize) {
        self.at(depth, elses);
        if self.is_hopeless() {
            return;
        }
        match plain(node) {
            Node::Any(nodes) => self.list(nodes, depth, elses),
            Node::Leaf { .. } | Node::Resolve(_) => {}
            Node::Instrument { condition, .. } | Node::Request { condition, .. } => {
                let depth = self.guard(condition, depth);
                self.at(depth, elses);
            }
            Node::Rule(model::Rule { condition, .. }) => {
                self.condition(condition, depth);
                self.at(depth + 1, elses);
            }
            Node::Select(select) => {
                for arm in &select.arms {
                    self.node(&arm.then, depth + 1, elses);
                }
            }
            Node::Sub {
                condition, body, ..
            } => {
                let depth = self.guard(condition, depth);
                self.list(body, depth, elses);
            }
            Node::When {
                condition,
                then,
                otherwise,
                origin: _,
            } => {
                self.condition(condition, depth);
                let wrapped = match otherwise {
                    None => says(then),
                    Some(_) => takes_else(then),
                };
                let inner = depth + 1 + usize::from(wrapped);
                self.node(then, inner, elses);
                if let Some(otherwise) = otherwise {
                    match is_chained(otherwise) {
                        true => self.node(otherwise, depth, elses + 1),
                        false => self.node(otherwise, depth + 1, elses),
                    }
                }
            }
        }
    }

    /// The depth behind `cond ... =>`, where that is printed.
    fn guard(&mut self, condition: &Condition, depth: usize) -> usize {
        if is_always(condition) {
            return depth;
        }
        self.condition(condition, depth);
        depth + 1
    }

    fn condition(&mut self, condition: &Condition, depth: usize) {
        self.at(depth + 1, 0);
        if self.is_hopeless() {
            return;
        }
        match bare(condition) {
            Condition::And(parts) | Condition::Or(parts) => {
                for part in parts {
                    self.part(part, depth);
                }
            }
            Condition::Not(inner) => self.part(inner, depth + 1),
            _ => {}
        }
    }

    /// Within another condition, where it may be in parentheses.
    fn part(&mut self, condition: &Condition, depth: usize) {
        let several = match bare(condition) {
            Condition::And(parts) | Condition::Or(parts) => parts.len() > 1,
            _ => false,
        };
        self.condition(condition, depth + usize::from(several));
    }
}

//! Where flattening a tree would change its meaning.
//!
//! A tree asks a condition once; a list asks it again with every rule below it, and its opposite for
//! what stands behind `else`. That is the same as long as the answer cannot change between: it can
//! where the condition sees an address only once somebody had it resolved. And where a condition that
//! is unknown refuses the flow, a list refuses at another rule than the tree.

use pointsman_policy::condition::{AddressOf, Asks, Condition, ZoneOf};
use pointsman_policy::model::{Node, OnUnknown, SelectOn, SetId};

use super::List;

impl List<'_> {
    /// Refuses a condition that cannot be asked again.
    pub(super) fn repeats(&mut self, condition: &Condition, then: &Node, otherwise: Option<&Node>) {
        self.one_way(then);
        if let Some(otherwise) = otherwise {
            self.one_way(otherwise);
        }
        let repeated = otherwise.is_some() || lines(then) > 1;
        let changes = || self.resolves(condition) || self.node_resolves(then);
        if repeated && self.sees(condition) && changes() {
            self.refuse(
                "a list would ask this condition again after the address was resolved, and it could answer \
                 otherwise: let it resolve, too (without `no-resolve`), or keep the tree",
            );
        }
    }

    /// Refuses a branch behind a condition where what is unknown refuses the flow.
    pub(super) fn one_way(&mut self, branch: &Node) {
        let rejects = self.policy.on_unknown == OnUnknown::Reject;
        if rejects && !matches!(branch, Node::Leaf { .. }) {
            self.refuse(
                "with `on_unknown: reject` a tree refuses where a condition is unknown, and a list at a rule \
                 behind it: only conditions that lead to an outbound can be written as rules",
            );
        }
    }

    /// Whether the condition sees an address without having it resolved.
    fn sees(&self, condition: &Condition) -> bool {
        self.any(condition, Asks::Never)
    }

    /// Whether the condition may have the address resolved.
    fn resolves(&self, condition: &Condition) -> bool {
        self.any(condition, Asks::Resolve)
    }

    fn any(&self, condition: &Condition, wanted: Asks) -> bool {
        match condition {
            Condition::Address { of, asks, .. } => {
                let destination = matches!(of, AddressOf::Destination | AddressOf::Either);
                destination && *asks == wanted
            }
            Condition::Asn(_, asks)
            | Condition::Country(_, asks)
            | Condition::Zone(ZoneOf::Address, _, asks) => *asks == wanted,
            Condition::And(parts) | Condition::Or(parts) => {
                parts.iter().any(|part| self.any(part, wanted))
            }
            Condition::Not(inner) => self.any(inner, wanted),
            Condition::Set(SetId(id), asks) => match self.policy.sets.get(*id as usize) {
                // What a set's own entries ask is narrowed by the rule that uses it.
                Some(set) => {
                    (*asks == wanted || wanted == Asks::Never)
                        && (set.has_prefixes() || !set.others().is_empty())
                }
                None => false,
            },
            _ => false,
        }
    }

    fn node_resolves(&self, node: &Node) -> bool {
        match node {
            Node::Any(nodes) => nodes.iter().any(|node| self.node_resolves(node)),
            // A message shows an address, and asks for it.
            Node::Instrument { .. } | Node::Resolve(_) => true,
            Node::Leaf { .. } => false,
            Node::Rule(rule) => self.resolves(&rule.condition),
            Node::Select(select) => {
                let on = matches!(select.on, SelectOn::Zone(ZoneOf::Address, Asks::Resolve));
                on || select.arms.iter().any(|arm| self.node_resolves(&arm.then))
            }
            // Once it is entered, nothing behind it is asked.
            Node::Sub { condition, .. } => self.resolves(condition),
            Node::When {
                condition,
                then,
                otherwise,
                origin: _,
            } => {
                let otherwise = otherwise.as_deref();
                self.resolves(condition)
                    || self.node_resolves(then)
                    || otherwise.is_some_and(|node| self.node_resolves(node))
            }
        }
    }
}

/// How many rules a branch becomes; more than two are as good as two.
fn lines(node: &Node) -> usize {
    match node {
        Node::Any(nodes) => nodes.iter().map(lines).sum(),
        Node::Instrument { .. } | Node::Leaf { .. } | Node::Resolve(_) => 1,
        Node::Rule(_) | Node::Sub { .. } => 1,
        Node::Select(select) => select.arms.iter().map(|arm| lines(&arm.then)).sum(),
        Node::When {
            then, otherwise, ..
        } => lines(then) + otherwise.as_deref().map_or(0, lines),
    }
}

/// The first zone that a condition names.
pub(super) fn zone(condition: &Condition) -> Option<&Condition> {
    match condition {
        Condition::Zone(..) => Some(condition),
        Condition::And(parts) | Condition::Or(parts) => parts.iter().find_map(zone),
        Condition::Not(inner) => zone(inner),
        _ => None,
    }
}

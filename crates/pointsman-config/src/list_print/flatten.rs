//! Where flattening a tree would change its meaning.
//!
//! A tree asks a condition once; a list asks it again with every rule below it, and its opposite for
//! what stands behind `else`. That is the same as long as the answer cannot change between: it can
//! where the condition sees an address only once somebody had it resolved. And where a condition that
//! is unknown refuses the flow, a list refuses at another rule than the tree.

use pointsman_policy::condition::{AddressOf, Asks, Condition, NumberField, TextField, ZoneOf};
use pointsman_policy::model::{Node, OnUnknown, SelectOn, SetId};
use pointsman_policy::zone::ZoneId;

use super::List;

impl List<'_> {
    /// Refuses a condition that cannot be asked again.
    pub(super) fn repeats(&mut self, condition: &Condition, then: &Node, otherwise: Option<&Node>) {
        self.one_way(then);
        if let Some(otherwise) = otherwise {
            self.one_way(otherwise);
        }
        self.leaks(condition, then);
        let repeated = otherwise.is_some() || lines(then) > 1;
        // What the first rule behind `else` resolves, the condition of the second would see.
        let behind_else =
            otherwise.is_some_and(|branch| lines(branch) > 1 && self.node_resolves(branch));
        let changes = || self.resolves(condition) || self.node_resolves(then) || behind_else;
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
        condition.any_test(&mut |test| match test {
            Condition::Address { of, asks, .. } => {
                let destination = matches!(of, AddressOf::Destination | AddressOf::Either);
                destination && *asks == wanted
            }
            Condition::Asn(_, asks)
            | Condition::Country(_, asks)
            | Condition::Zone(ZoneOf::Address, _, asks) => *asks == wanted,
            Condition::Set(SetId(id), asks) => match self.policy.sets.get(*id as usize) {
                // What a set's own entries ask is narrowed by the rule that uses it.
                Some(set) => {
                    (*asks == wanted || wanted == Asks::Never)
                        && (set.has_prefixes() || !set.others().is_empty())
                }
                None => false,
            },
            _ => false,
        })
    }

    /// Whether anything in a branch may have the address resolved.
    fn node_resolves(&self, node: &Node) -> bool {
        // A message may show an address, and asks for it.
        let mut own = |node: &Node| matches!(node, Node::Instrument { .. } | Node::Resolve(_));
        node.any(&mut own) || any_condition(node, &|condition| self.resolves(condition))
    }

    /// Whether any rule sees an address only where another had it resolved.
    pub(super) fn policy_sees(&self) -> bool {
        let sees = |condition: &Condition| self.sees(condition);
        let mut nodes = self.policy.body.iter();
        nodes.any(|node| any_condition(node, &sees))
    }

    /// Refuses a branch that resolves, behind a condition that may be unknown: a list looks at what
    /// stands behind it all the same, so that a later rule would see an address.
    pub(super) fn leaks(&mut self, condition: &Condition, then: &Node) {
        if self.sees && may_fail(condition) && self.node_resolves(then) {
            self.refuse(
                "where its look-up breaks, a list would still resolve for what stands behind it, and a rule with \
                 `no-resolve` further down would see the address: keep the tree",
            );
        }
    }
}

/// Whether a condition of a node or within it is so.
fn any_condition(node: &Node, is: &dyn Fn(&Condition) -> bool) -> bool {
    node.any(&mut |node| match node {
        Node::Select(select) => match select.on {
            SelectOn::Protocol => false,
            SelectOn::Zone(of, asks) => is(&Condition::Zone(of, ZoneId(0), asks)),
        },
        other => other.condition().is_some_and(is),
    })
}

/// Whether a look-up that the condition needs may break.
fn may_fail(condition: &Condition) -> bool {
    match condition {
        Condition::AddressKind(_)
        | Condition::Always
        | Condition::Answer(_)
        | Condition::Inbound { .. }
        | Condition::Network(_)
        | Condition::Never
        | Condition::Number(NumberField::DnsType | NumberField::Dscp, _)
        | Condition::Port { .. }
        | Condition::Text(TextField::InboundName, _) => false,
        Condition::Address { of, .. } => *of != AddressOf::Source,
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(may_fail),
        Condition::Not(inner) => may_fail(inner),
        _ => true,
    }
}

/// How many rules a branch becomes; more than two are as good as two.
fn lines(node: &Node) -> usize {
    match node {
        Node::Any(_) | Node::Select(_) | Node::When { .. } => node.children().map(lines).sum(),
        Node::Instrument { .. }
        | Node::Leaf { .. }
        | Node::Request { .. }
        | Node::Resolve(_)
        | Node::Rule(_)
        | Node::Sub { .. } => 1,
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

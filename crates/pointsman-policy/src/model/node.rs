//! The steps of a policy: rules, branches, and whatever else may decide or be passed.

use std::sync::Arc;

use crate::condition::{Asks, Condition, ZoneOf};
use crate::fact::{Network, Protocol};
use crate::ids::{OutboundId, ZoneId};
use crate::origin::{Class, Origin};
use crate::request::Request;

/// One step of a policy, tried in order until one decides.
#[derive(Clone, Debug)]
pub enum Node {
    /// Its nodes in order; falls through when none decides (`any [ ... ]`).
    Any(Vec<Self>),
    /// A message when the condition holds; never decides (`.INSTRUMENT`).
    Instrument {
        /// When.
        condition: Condition,
        /// The subscription's number.
        id: u32,
        /// What to say.
        message: Template,
        /// Where it stands.
        origin: Origin,
    },
    /// Decides.
    Leaf {
        /// The way out.
        outbound: OutboundId,
        /// Where it stands. `FALLBACK` and a tree's last word are leaves.
        origin: Origin,
    },
    /// Somebody outside is asked where the condition holds: the answer decides, or lets the flow go on (`.REQUEST`).
    Request {
        /// When.
        condition: Condition,
        /// Who, and what counts where nobody answers.
        request: Request,
        /// Where it stands.
        origin: Origin,
    },
    /// From here on the address of a named destination is known (`.LOCAL-RESOLVE`).
    Resolve(Origin),
    /// Decides when the condition holds: a line of a rule list.
    Rule(Rule),
    /// Looks a key up; falls through where no arm has it or its branch does not decide
    /// (`cond domain|ip|protocol { key => branch }`).
    Select(Select),
    /// Once the condition holds, the body alone decides: no way back (`.SUB-DISPATCH`).
    Sub {
        /// When.
        condition: Condition,
        /// The sub-rules, `FALLBACK` last.
        body: Vec<Self>,
        /// Where it stands.
        origin: Origin,
    },
    /// Tries the branch when the condition holds; falls through when that does not decide
    /// (`cond port eq N => branch`).
    When {
        /// When.
        condition: Condition,
        /// The branch.
        then: Box<Self>,
        /// `else =>`, tried when the condition does not hold.
        otherwise: Option<Box<Self>>,
        /// Where it stands.
        origin: Origin,
    },
}

/// A condition and the way out of those who meet it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// When.
    pub condition: Condition,
    /// The way out.
    pub outbound: OutboundId,
    /// Where it stands.
    pub origin: Origin,
    /// For app and domain rules: which of the fixed steps it belongs to.
    pub class: Option<Class>,
}

/// `cond domain|ip|protocol { ... }`.
#[derive(Clone, Debug)]
pub struct Select {
    /// What is looked up.
    pub on: SelectOn,
    /// In the order written; keys differ.
    pub arms: Vec<Arm>,
    /// Where it stands.
    pub origin: Origin,
}

/// What a [`Select`] looks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectOn {
    /// The protocol.
    Protocol,
    /// The zone of the address or the domain.
    Zone(ZoneOf, Asks),
}

/// One `key => branch`.
#[derive(Clone, Debug)]
pub struct Arm {
    /// The key.
    pub key: ArmKey,
    /// The branch.
    pub then: Node,
    /// Where it stands: `secret-sites => privacyproxy`; text of a nested branch's arm ends with
    /// its first line (`https-only => cond protocol {`).
    pub origin: Origin,
}

/// The key of an [`Arm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArmKey {
    /// A protocol.
    Protocol(Protocol),
    /// A zone.
    Zone(ZoneId),
}

impl ArmKey {
    /// Whether a flow over that transport may have it.
    #[must_use]
    pub fn may_be_over(self, network: Network) -> bool {
        match self {
            Self::Protocol(protocol) => protocol.network().is_none_or(|told| told == network),
            Self::Zone(_) => true,
        }
    }
}

/// A message with variables, checked when it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub Vec<TemplatePart>);

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text.
    Text(Arc<str>),
    /// A variable by its name (`addr.dst`); known to be one of those that exist.
    Variable(Arc<str>),
}

impl Node {
    /// What must hold for it to do what it does; `None`: it is always done, or the keys of a selection say it.
    #[must_use]
    pub fn condition(&self) -> Option<&Condition> {
        match self {
            Self::Instrument { condition, .. }
            | Self::Request { condition, .. }
            | Self::Sub { condition, .. }
            | Self::When { condition, .. } => Some(condition),
            Self::Rule(rule) => Some(&rule.condition),
            Self::Any(_) | Self::Leaf { .. } | Self::Resolve(_) | Self::Select(_) => None,
        }
    }

    /// Where it stands; `None` of steps in order, which stand where they do themselves.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Any(_) => None,
            Self::Instrument { origin, .. }
            | Self::Leaf { origin, .. }
            | Self::Request { origin, .. }
            | Self::Resolve(origin)
            | Self::Sub { origin, .. }
            | Self::When { origin, .. } => Some(origin),
            Self::Rule(rule) => Some(&rule.origin),
            Self::Select(select) => Some(&select.origin),
        }
    }

    /// The steps right within it, in order.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.branches().map(|(_, node)| node)
    }

    /// As [`Self::children`], each with the place of its arm, where it is one of a selection.
    pub fn branches(&self) -> impl Iterator<Item = (Option<&Origin>, &Self)> {
        let (nodes, arms, pair): (&[Self], &[Arm], _) = match self {
            Self::Any(nodes) | Self::Sub { body: nodes, .. } => (nodes, &[], [None, None]),
            Self::Instrument { .. }
            | Self::Leaf { .. }
            | Self::Request { .. }
            | Self::Resolve(_)
            | Self::Rule(_) => (&[], &[], [None, None]),
            Self::Select(select) => (&[], &select.arms, [None, None]),
            Self::When {
                then, otherwise, ..
            } => (&[], &[], [Some(&**then), otherwise.as_deref()]),
        };
        let plain = nodes.iter().chain(pair.into_iter().flatten());
        let plain = plain.map(|node| (None, node));
        plain.chain(arms.iter().map(|arm| (Some(&arm.origin), &arm.then)))
    }

    /// Whether it, or a step within it at any depth, is so.
    pub fn any(&self, is: &mut impl FnMut(&Self) -> bool) -> bool {
        is(self) || self.children().any(|node| node.any(is))
    }

    /// As [`Self::origin`], to change it.
    fn origin_mut(&mut self) -> Option<&mut Origin> {
        match self {
            Self::Any(_) => None,
            Self::Instrument { origin, .. }
            | Self::Leaf { origin, .. }
            | Self::Request { origin, .. }
            | Self::Resolve(origin)
            | Self::Sub { origin, .. }
            | Self::When { origin, .. } => Some(origin),
            Self::Rule(rule) => Some(&mut rule.origin),
            Self::Select(select) => Some(&mut select.origin),
        }
    }

    /// As [`Self::branches`], to change them.
    fn branches_mut(&mut self) -> impl Iterator<Item = (Option<&mut Origin>, &mut Self)> {
        let (nodes, arms, pair): (&mut [Self], &mut [Arm], _) = match self {
            Self::Any(nodes) | Self::Sub { body: nodes, .. } => (nodes, &mut [], [None, None]),
            Self::Instrument { .. }
            | Self::Leaf { .. }
            | Self::Request { .. }
            | Self::Resolve(_)
            | Self::Rule(_) => (&mut [], &mut [], [None, None]),
            Self::Select(select) => (&mut [], &mut select.arms, [None, None]),
            Self::When {
                then, otherwise, ..
            } => (
                &mut [],
                &mut [],
                [Some(&mut **then), otherwise.as_deref_mut()],
            ),
        };
        let plain = nodes.iter_mut().chain(pair.into_iter().flatten());
        let plain = plain.map(|node| (None, node));
        let arms = arms.iter_mut();
        plain.chain(arms.map(|arm| (Some(&mut arm.origin), &mut arm.then)))
    }
}

/// Calls `each` with all steps, each before those within it, from the top. Nesting is bounded by the readers.
pub fn each_node<'n>(nodes: &'n [Node], each: &mut impl FnMut(&'n Node)) {
    fn down<'n>(node: &'n Node, each: &mut impl FnMut(&'n Node)) {
        each(node);
        node.children().for_each(|node| down(node, each));
    }
    nodes.iter().for_each(|node| down(node, each));
}

/// As [`each_node`], to change them; not what stands within them.
pub(super) fn each_node_mut(nodes: &mut [Node], each: &mut impl FnMut(&mut Node)) {
    fn down(node: &mut Node, each: &mut impl FnMut(&mut Node)) {
        each(node);
        node.branches_mut().for_each(|(_, node)| down(node, each));
    }
    nodes.iter_mut().for_each(|node| down(node, each));
}

/// Calls `each` with the places of all steps and arms, from the top.
pub fn each_origin<'n>(nodes: &'n [Node], each: &mut impl FnMut(&'n Origin)) {
    fn down<'n>(node: &'n Node, each: &mut impl FnMut(&'n Origin)) {
        node.origin().into_iter().for_each(&mut *each);
        for (arm, node) in node.branches() {
            arm.into_iter().for_each(&mut *each);
            down(node, each);
        }
    }
    nodes.iter().for_each(|node| down(node, each));
}

/// As [`each_origin`], to change them.
pub(super) fn each_origin_mut(nodes: &mut [Node], each: &mut impl FnMut(&mut Origin)) {
    fn down(node: &mut Node, each: &mut impl FnMut(&mut Origin)) {
        node.origin_mut().into_iter().for_each(&mut *each);
        for (arm, node) in node.branches_mut() {
            arm.into_iter().for_each(&mut *each);
            down(node, each);
        }
    }
    nodes.iter_mut().for_each(|node| down(node, each));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of each kind that holds others, each place named after its step.
    fn nested() -> Vec<Node> {
        let origin = |text: &str| Origin {
            text: text.into(),
            ..Origin::default()
        };
        let leaf = |text: &str| Node::Leaf {
            outbound: OutboundId(0),
            origin: origin(text),
        };
        let condition = Condition::Always;
        let arm = |key, text: &str, then| Arm {
            key: ArmKey::Protocol(key),
            then,
            origin: origin(text),
        };
        let select = Node::Select(Select {
            on: SelectOn::Protocol,
            arms: vec![
                arm(Protocol::Http, "arm 1", leaf("in arm 1")),
                arm(Protocol::Tls, "arm 2", leaf("in arm 2")),
            ],
            origin: origin("select"),
        });
        let sub = Node::Sub {
            condition: condition.clone(),
            body: vec![Node::Resolve(origin("resolve")), leaf("in sub")],
            origin: origin("sub"),
        };
        let when = Node::When {
            condition: condition.clone(),
            then: Box::new(Node::Any(vec![select, sub])),
            otherwise: Some(Box::new(leaf("otherwise"))),
            origin: origin("when"),
        };
        let rule = Node::Rule(Rule {
            condition,
            outbound: OutboundId(0),
            origin: origin("rule"),
            class: None,
        });
        vec![when, rule]
    }

    const ORDER: [&str; 11] = [
        "when",
        "select",
        "arm 1",
        "in arm 1",
        "arm 2",
        "in arm 2",
        "sub",
        "resolve",
        "in sub",
        "otherwise",
        "rule",
    ];

    #[test]
    fn every_step_is_met_once_and_from_the_top() {
        let mut nodes = nested();
        let mut origins = Vec::new();
        each_origin(&nodes, &mut |origin| origins.push(origin.text.to_string()));
        assert_eq!(origins, ORDER);
        let mut met = Vec::new();
        each_node(&nodes, &mut |node| {
            met.push(node.origin().map(|origin| origin.text.to_string()));
        });
        // The list has no place of its own, and arms are no steps.
        assert_eq!(met.iter().filter(|place| place.is_none()).count(), 1);
        let met: Vec<String> = met.into_iter().flatten().collect();
        let steps = ORDER.iter().filter(|name| !name.starts_with("arm"));
        assert_eq!(met, steps.copied().collect::<Vec<_>>());

        let mut changed = Vec::new();
        each_origin_mut(&mut nodes, &mut |origin| {
            changed.push(origin.text.to_string());
            origin.line = 7;
        });
        assert_eq!(changed, ORDER);
        each_origin(&nodes, &mut |origin| assert_eq!(origin.line, 7));
        let mut count = 0;
        each_node_mut(&mut nodes, &mut |_| count += 1);
        assert_eq!(count, met.len() + 1);
    }

    #[test]
    fn what_holds_of_a_step_within_holds_of_the_one_around_it() {
        let nodes = nested();
        let is = |node: &Node, text: &str| {
            node.any(&mut |node| node.origin().is_some_and(|origin| *origin.text == *text))
        };
        assert!(is(&nodes[0], "in arm 2") && is(&nodes[0], "otherwise"));
        assert!(!is(&nodes[0], "rule") && is(&nodes[1], "rule"));
    }

    #[test]
    fn conditions_are_those_of_the_step_itself() {
        let of = |node: &Node| node.condition().is_some();
        let nodes = nested();
        assert!(nodes.iter().all(of));
        let mut without = Vec::new();
        each_node(&nodes, &mut |node| {
            if !of(node) {
                without.extend(node.origin().map(|origin| origin.text.to_string()));
            }
        });
        let expected = [
            "select",
            "in arm 1",
            "in arm 2",
            "resolve",
            "in sub",
            "otherwise",
        ];
        assert_eq!(without, expected);
    }
}

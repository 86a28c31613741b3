//! The steps of a policy: rules, branches, and whatever else may decide or be passed.

use std::sync::Arc;

use crate::condition::{Asks, Condition, ZoneOf};
use crate::fact::Protocol;
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

/// Calls `each` with the places of all steps, those within steps too, from the top.
pub fn each_origin<'n>(nodes: &'n [Node], each: &mut impl FnMut(&'n Origin)) {
    for node in nodes {
        match node {
            Node::Any(nodes) => each_origin(nodes, each),
            Node::Instrument { origin, .. }
            | Node::Leaf { origin, .. }
            | Node::Request { origin, .. }
            | Node::Resolve(origin) => {
                each(origin);
            }
            Node::Rule(rule) => each(&rule.origin),
            Node::Select(select) => {
                each(&select.origin);
                for arm in &select.arms {
                    each(&arm.origin);
                    each_origin(std::slice::from_ref(&arm.then), each);
                }
            }
            Node::Sub { body, origin, .. } => {
                each(origin);
                each_origin(body, each);
            }
            Node::When {
                then,
                otherwise,
                origin,
                ..
            } => {
                each(origin);
                for node in [Some(then), otherwise.as_ref()].into_iter().flatten() {
                    each_origin(std::slice::from_ref(node), each);
                }
            }
        }
    }
}

/// As [`each_origin`], to change them.
pub(super) fn each_origin_mut(nodes: &mut [Node], each: &mut impl FnMut(&mut Origin)) {
    for node in nodes {
        match node {
            Node::Any(nodes) => each_origin_mut(nodes, each),
            Node::Instrument { origin, .. }
            | Node::Leaf { origin, .. }
            | Node::Request { origin, .. }
            | Node::Resolve(origin) => {
                each(origin);
            }
            Node::Rule(rule) => each(&mut rule.origin),
            Node::Select(select) => {
                each(&mut select.origin);
                for arm in &mut select.arms {
                    each(&mut arm.origin);
                    each_origin_mut(std::slice::from_mut(&mut arm.then), each);
                }
            }
            Node::Sub { body, origin, .. } => {
                each(origin);
                each_origin_mut(body, each);
            }
            Node::When {
                then,
                otherwise,
                origin,
                ..
            } => {
                each(origin);
                for node in [Some(then), otherwise.as_mut()].into_iter().flatten() {
                    each_origin_mut(std::slice::from_mut(node), each);
                }
            }
        }
    }
}

//! The plan of a policy: for each list of rules an index that tells which rules may be *skipped*.
//!
//! A rule is skipped when visiting it would certainly come to nothing: its condition is no, nothing is asked, nothing
//! is resolved for the rules below. All others are visited by the interpreter itself, in their order: the earliest rule
//! that may be more than a silent no is looked up, visited, and if it does not decide, the next one behind it. An index
//! may name a rule too many, never one too few. Only of rules with a card ([`cards`]) it may know that they hold; their
//! decision is made of the card.
//!
//! Invariants: a plan belongs to the body that it was made of and to no other. It depends on the rules alone, not on
//! what rule sets, zones or databases hold: a set that is refreshed leaves it as it is.
//!
//! What a decision costs, however many rules there are: some look-ups for each class of facts that rules look at (for
//! names one for each ancestor that has as many labels as some rule's name, for addresses and ports one search among all
//! ranges, one pass over a text for all keywords, on names also tests of the expressions of which a word is there), and
//! each time a rule is visited in vain another look-up in its class. Visited always are conditions on rule sets and
//! zones, negations and `else`; visited where the fact is there, at most the regular expressions (other than names')
//! of a group of which one matches. A conjunction is found by the part that fewest rules share.
//! Rules that share all they look for (the same port, say, beside a negation) are visited one by one. Names and
//! addresses cannot be chosen to collide: hashes are keyed.
//!
//! Deliberately absent: evaluation of conditions. That is [`crate::interpret`]'s.

mod automaton;
mod cards;
mod class;
mod grams;
mod hash;
mod index;
mod keys;
mod parts;
mod postings;
mod ranges;
mod texts;

pub(crate) use automaton::without_excess;
pub(crate) use cards::Proof;
pub(crate) use class::{Class, MOST};
pub(crate) use hash::{Hasher, of_name};
pub(crate) use index::{Entry, Index};
pub(crate) use keys::{APP_NAME, EXACT, FOLDED, KIND, PORT, SUFFIX, USER, tag};
pub(crate) use parts::Parts;
pub(crate) use postings::NOWHERE;

use crate::key::Key;
use crate::model::{Arm, ArmKey, Node};

/// Lists of fewer rules are walked through: an index would not be faster.
pub(crate) const SHORTEST: usize = 8;

/// The plan of a step and of what is in it.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// Of the branches of a `When` (0, and 1 for `else`).
    Branches(Branches),
    /// Of an `Any`, of the body of a `Sub`, of a policy.
    List {
        index: Option<Box<Index>>,
        inner: Branches,
    },
    /// Of a `Select`: its arms by key, where they are many, and the plans within them.
    Select {
        arms: Option<Box<[(ArmKey, u32)]>>,
        inner: Branches,
    },
}

/// The plans of steps within a step, by their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branches(Box<[(u32, Plan)]>);

impl Plan {
    /// The plan of a list; `None` where there is nothing to gain. Lists of fewer rules than `shortest` get no index.
    pub(crate) fn of_list(nodes: &[Node], key: Key, shortest: usize) -> Option<Self> {
        // Positions have 31 bits.
        let fits = nodes.len() >= shortest.max(1) && nodes.len() < 1 << 31;
        let index = fits.then(|| Box::new(Index::new(nodes, key)));
        let inner = Branches::of(nodes.iter().map(|node| Self::of_node(node, key, shortest)));
        (index.is_some() || !inner.0.is_empty()).then_some(Self::List { index, inner })
    }

    fn of_node(node: &Node, key: Key, shortest: usize) -> Option<Self> {
        match node {
            Node::Any(nodes) => Self::of_list(nodes, key, shortest),
            Node::Instrument { .. }
            | Node::Leaf { .. }
            | Node::Request { .. }
            | Node::Resolve(_)
            | Node::Rule(_) => None,
            Node::Select(select) => {
                let plan = |arm: &Arm| Self::of_node(&arm.then, key, shortest);
                let inner = Branches::of(select.arms.iter().map(plan));
                let arms = (select.arms.len() >= shortest).then(|| sorted(&select.arms));
                (arms.is_some() || !inner.0.is_empty()).then_some(Self::Select { arms, inner })
            }
            Node::Sub { body, .. } => Self::of_list(body, key, shortest),
            Node::When {
                then, otherwise, ..
            } => {
                let plan = |node: &Node| Self::of_node(node, key, shortest);
                let otherwise = otherwise.as_ref().map(|node| plan(node));
                let inner = Branches::of([plan(then)].into_iter().chain(otherwise));
                (!inner.0.is_empty()).then_some(Self::Branches(inner))
            }
        }
    }

    /// The plan of the step of that number within this one.
    pub(crate) fn inner(&self, number: usize) -> Option<&Self> {
        match self {
            Self::Branches(inner) | Self::List { inner, .. } | Self::Select { inner, .. } => {
                inner.get(number)
            }
        }
    }

    /// The arms of a `Select`, by key.
    pub(crate) fn arms(&self) -> Option<&[(ArmKey, u32)]> {
        match self {
            Self::Select { arms, .. } => arms.as_deref(),
            Self::Branches(_) | Self::List { .. } => None,
        }
    }

    /// Bytes that it takes, without the automata of regular expressions.
    pub(crate) fn bytes(&self) -> usize {
        let (own, inner) = match self {
            Self::Branches(inner) => (0, inner),
            Self::List { index, inner } => {
                let index = index.as_ref();
                (
                    index.map_or(0, |index| size_of::<Index>() + index.bytes()),
                    inner,
                )
            }
            Self::Select { arms, inner } => {
                (arms.as_ref().map_or(0, |arms| size_of_val(&**arms)), inner)
            }
        };
        let within = |(_, plan): &(u32, Self)| size_of::<(u32, Self)>() + plan.bytes();
        own + inner.0.iter().map(within).sum::<usize>()
    }
}

impl Branches {
    fn of(plans: impl Iterator<Item = Option<Plan>>) -> Self {
        let numbered = (0..).zip(plans);
        Self(
            numbered
                .filter_map(|(number, plan)| Some((number, plan?)))
                .collect(),
        )
    }

    fn get(&self, number: usize) -> Option<&Plan> {
        let number = u32::try_from(number).ok()?;
        let at = self.0.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        self.0.get(at).map(|(_, plan)| plan)
    }
}

/// Arms by their key, the first of each.
fn sorted(arms: &[Arm]) -> Box<[(ArmKey, u32)]> {
    let mut keys: Vec<(ArmKey, u32)> = (0..)
        .zip(arms)
        .map(|(number, arm)| (arm.key, number))
        .collect();
    keys.sort_unstable();
    keys.dedup_by_key(|(key, _)| *key);
    keys.into()
}

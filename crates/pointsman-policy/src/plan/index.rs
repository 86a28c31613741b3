//! The index of one list of rules: from what is known of a flow to the earliest rule that may be more than a no.
//!
//! Invariant: a rule that is neither in `always` nor told by its classes' entries is a silent no, in the sense of
//! [`super::keys`]. It may tell more rules than need be, never fewer.

use std::collections::HashMap;

use super::automaton::without_excess;
use super::cards::Cards;
use super::class::{Class, MOST};
use super::hash::Hasher;
use super::keys::{Between, Chooser, Keys, Sought};
use super::parts::Parts;
use super::postings::{Positions, Table};
use super::ranges::Ranges;
use super::texts::{Keywords, Patterns};
use crate::condition::Condition;
use crate::key::Key;
use crate::model::{ArmKey, Node, SelectOn};
use crate::pattern::NamePattern;

/// The index of one list.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) hasher: Hasher,
    /// Of names' fingerprints.
    pub(crate) key: Key,
    /// All hashes of all classes.
    pub(crate) table: Table,
    /// Rules that are visited whatever the facts are.
    pub(crate) always: Positions,
    pub(crate) entries: Box<[Entry]>,
    pub(crate) cards: Cards,
}

/// What the rules of one class look for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) class: Class,
    /// The first rule that this class can tell at all.
    pub(crate) first: u32,
    /// By kind of hash: bit n stands for names of n + 1 labels, bit 0 for whatever else is hashed.
    pub(crate) sizes: [u128; 3],
    /// Of IPv4 addresses, or of ports in the upper half.
    pub(crate) v4: Option<Box<Ranges<u32>>>,
    pub(crate) v6: Option<Box<Ranges<u128>>>,
    pub(crate) keywords: Option<Box<Keywords>>,
    pub(crate) patterns: Option<Box<Patterns>>,
    /// Of names: keywords and expressions.
    pub(crate) parts: Option<Box<Parts>>,
    /// Visited whatever the value is.
    pub(crate) any_value: Positions,
    /// Visited where it must be asked for. Those found by it are visited too where it is broken and the policy
    /// refuses such flows.
    pub(crate) asking: Positions,
    pub(crate) users: Positions,
    /// Visited where it is broken, whatever the policy does then: they may ask for something else.
    pub(crate) broken: Positions,
}

type Drafts<'c> = [Option<Draft<'c>>; MOST];

/// What is gathered for an [`Entry`].
struct Draft<'c> {
    class: Class,
    sizes: [u128; 3],
    v4: Vec<(u32, u32, u32)>,
    v6: Vec<(u128, u128, u32)>,
    keywords: Vec<(&'c str, u32)>,
    patterns: Vec<(&'c regex::Regex, u32)>,
    name_patterns: Vec<(&'c NamePattern, u32)>,
    any_value: Vec<u32>,
    asking: Vec<u32>,
    users: Vec<u32>,
    broken: Vec<u32>,
}

impl Index {
    pub(super) fn new(nodes: &[Node], key: Key) -> Self {
        let hasher = Hasher::new(key);
        let counts = HashMap::new();
        let rules = nodes.len();
        let mut chooser = Chooser {
            hasher,
            key,
            counts,
            rules,
        };
        chooser.counts = counts_of(nodes, &chooser);
        let mut always = Vec::new();
        let mut pairs = Vec::new();
        let mut drafts: Drafts<'_> = [const { None }; MOST];
        for (node, at) in nodes.iter().zip(0..) {
            match keys(node, &chooser) {
                Some(keys) => file(keys, at, &mut pairs, &mut drafts),
                None => always.push(at),
            }
            if let Node::Leaf { .. } = node {
                // Nobody comes behind.
                break;
            }
        }
        Self {
            hasher,
            key,
            table: Table::new(pairs),
            always: Positions::new(always),
            entries: drafts.into_iter().flatten().map(Draft::finish).collect(),
            cards: Cards::new(nodes, key),
        }
    }

    /// Bytes that it takes, without the automata of regular expressions, which do not tell.
    pub(super) fn bytes(&self) -> usize {
        let each = |entry: &Entry| {
            size_of::<Entry>()
                + entry.v4.as_ref().map_or(0, |ranges| ranges.bytes())
                + entry.v6.as_ref().map_or(0, |ranges| ranges.bytes())
                + entry.keywords.as_ref().map_or(0, |words| words.bytes())
                + entry
                    .patterns
                    .as_ref()
                    .map_or(0, |patterns| patterns.bytes())
                + entry.parts.as_ref().map_or(0, |parts| parts.bytes())
                + entry.any_value.bytes()
                + entry.asking.bytes()
                + entry.users.bytes()
                + entry.broken.bytes()
        };
        let entries = self.entries.iter().map(each).sum::<usize>();
        self.table.bytes() + self.always.bytes() + self.cards.bytes() + entries
    }
}

/// The keys of a step that is skipped as one rule tried; `None` where it is always visited.
fn keys<'n>(node: &'n Node, chooser: &Chooser) -> Option<Keys<'n>> {
    match node {
        Node::Select(select) => match select.on {
            SelectOn::Protocol => {
                let mut keys = Keys::default();
                for arm in &select.arms {
                    if let ArmKey::Protocol(protocol) = arm.key {
                        keys.join(chooser.protocol(protocol));
                    }
                }
                Some(keys)
            }
            SelectOn::Zone(..) => None,
        },
        node => chooser.keys(condition(node)?),
    }
}

/// The condition without which a step comes to nothing.
fn condition(node: &Node) -> Option<&Condition> {
    match node {
        Node::Rule(rule) => Some(&rule.condition),
        Node::Instrument { condition, .. }
        | Node::Request { condition, .. }
        | Node::Sub { condition, .. }
        | Node::When {
            condition,
            otherwise: None,
            ..
        } => Some(condition),
        Node::Any(_)
        | Node::Leaf { .. }
        | Node::Resolve(_)
        | Node::Select(_)
        | Node::When {
            otherwise: Some(_), ..
        } => None,
    }
}

/// How many conditions look for each hash; nobody asks unless there are conjunctions.
fn counts_of(nodes: &[Node], chooser: &Chooser) -> HashMap<u32, u32> {
    let mut counts = HashMap::new();
    let conditions = || nodes.iter().filter_map(condition);
    if conditions().any(holds_conjunction) {
        for condition in conditions() {
            count(condition, chooser, &mut counts);
        }
    }
    counts
}

fn holds_conjunction(condition: &Condition) -> bool {
    match condition {
        Condition::And(_) => true,
        Condition::Or(any) => any.iter().any(holds_conjunction),
        _ => false,
    }
}

fn count(condition: &Condition, chooser: &Chooser, counts: &mut HashMap<u32, u32>) {
    match condition {
        Condition::And(all) | Condition::Or(all) => {
            for inner in all {
                count(inner, chooser, counts);
            }
        }
        plain => {
            for (_, sought) in chooser
                .keys(plain)
                .map(|keys| keys.sought)
                .unwrap_or_default()
            {
                if let Sought::Hash { hash, .. } | Sought::Range { hash, .. } = sought {
                    *counts.entry(hash).or_default() += 1;
                }
            }
        }
    }
}

/// Enters one rule under its keys.
fn file<'c>(keys: Keys<'c>, at: u32, pairs: &mut Vec<(u32, u32)>, drafts: &mut Drafts<'c>) {
    for (class, sought) in keys.sought {
        let draft = draft(drafts, class);
        match sought {
            Sought::Hash { kind, size, hash } => {
                pairs.push((hash, at));
                if let Some(sizes) = draft.sizes.get_mut(usize::from(kind)) {
                    *sizes |= 1 << size.min(127);
                }
            }
            Sought::Range { range, .. } => match range {
                Between::V4(first, last) => draft.v4.push((first, last, at)),
                Between::V6(first, last) => draft.v6.push((first, last, at)),
            },
            Sought::Keyword(word) if word.is_empty() => draft.any_value.push(at),
            Sought::Keyword(word) => draft.keywords.push((word, at)),
            Sought::NamePattern(pattern) => draft.name_patterns.push((pattern, at)),
            Sought::Pattern(regex) => draft.patterns.push((regex, at)),
        }
    }
    for class in keys.classes.each() {
        draft(drafts, class).users.push(at);
    }
    for class in keys.asked.each() {
        draft(drafts, class).asking.push(at);
    }
    for class in keys.broken.each() {
        draft(drafts, class).broken.push(at);
    }
}

fn draft<'d, 'c>(drafts: &'d mut Drafts<'c>, class: Class) -> &'d mut Draft<'c> {
    drafts[class.number() % MOST].get_or_insert_with(|| Draft {
        class,
        sizes: [0; 3],
        v4: Vec::new(),
        v6: Vec::new(),
        keywords: Vec::new(),
        patterns: Vec::new(),
        name_patterns: Vec::new(),
        any_value: Vec::new(),
        asking: Vec::new(),
        users: Vec::new(),
        broken: Vec::new(),
    })
}

impl Draft<'_> {
    fn finish(mut self) -> Entry {
        self.any_value.extend(without_excess(&mut self.keywords));
        let words: Vec<u32> = self.keywords.iter().map(|(_, at)| *at).collect();
        let (mut keywords, mut parts) = (None, None);
        if self.class == Class::Domain {
            // Others have none of the names' expressions.
            parts = Parts::new(&self.keywords, &self.name_patterns);
            if parts.is_none() {
                let patterns = self.name_patterns.iter().map(|(_, at)| *at);
                self.any_value.extend(words.into_iter().chain(patterns));
            }
        } else if !words.is_empty() {
            keywords = Keywords::new(self.keywords);
            if keywords.is_none() {
                self.any_value.extend(words);
            }
        }
        let patterns = match self.patterns.is_empty() {
            true => None,
            false => Some(Box::new(Patterns::new(self.patterns))),
        };
        let users = Positions::new(self.users);
        let asking = Positions::new(self.asking);
        Entry {
            class: self.class,
            first: users.first().min(asking.first()),
            sizes: self.sizes,
            v4: (!self.v4.is_empty()).then(|| Box::new(Ranges::new(self.v4))),
            v6: (!self.v6.is_empty()).then(|| Box::new(Ranges::new(self.v6))),
            keywords: keywords.map(Box::new),
            patterns,
            parts: parts.map(Box::new),
            any_value: Positions::new(self.any_value),
            asking,
            users,
            broken: Positions::new(self.broken),
        }
    }
}

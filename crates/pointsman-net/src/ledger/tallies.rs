//! What each rule decided: flows, bytes, and when last.
//!
//! Invariant: a rule keeps its tally over generations as long as it is there in the same words: policy, file,
//! canonical text, and which of its equals it is. Its line is no part of that, so that a rule may be moved. A rule
//! that is gone is forgotten after [`KEPT`] generations; over restarts whoever runs the plane keeps them, by the same
//! words. A flow finds its tally by the address of its rule's text,
//! once, and adds to it once, when it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pointsman_policy::model::{Origin, RuleKey};
use pointsman_policy::{Node, Policy};

use crate::relay::FlowBytes;

/// Generations that a rule may be missing in before it is forgotten: a reload that is rolled back loses nothing.
const KEPT: u64 = 3;

/// What one rule decided so far. Flows count when they end.
#[derive(Debug, Default)]
pub struct Tally {
    flows: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    last_ms: AtomicU64,
}

/// A tally's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// Flows that the rule decided.
    pub flows: u64,
    /// Payload bytes that their clients sent.
    pub bytes_sent: u64,
    /// Payload bytes that their clients got.
    pub bytes_received: u64,
    /// When the last of them came, in milliseconds since 1970 (UTC); 0: never.
    pub last_ms: u64,
}

impl Tally {
    /// Its numbers now.
    #[must_use]
    pub fn numbers(&self) -> Tallied {
        Tallied {
            flows: self.flows.load(Ordering::Relaxed),
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            last_ms: self.last_ms.load(Ordering::Relaxed),
        }
    }

    fn recall(&self, before: &Tallied) {
        // Half the range is left for what is still to come.
        let most = |number: u64| number.min(u64::MAX / 2);
        self.flows.fetch_add(most(before.flows), Ordering::Relaxed);
        self.bytes_sent
            .fetch_add(most(before.bytes_sent), Ordering::Relaxed);
        self.bytes_received
            .fetch_add(most(before.bytes_received), Ordering::Relaxed);
        self.last_ms.fetch_max(before.last_ms, Ordering::Relaxed);
    }

    /// A flow has ended.
    pub(super) fn add(&self, bytes: &FlowBytes, started_ms: u64) {
        self.flows.fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes.up(), Ordering::Relaxed);
        self.bytes_received
            .fetch_add(bytes.down(), Ordering::Relaxed);
        self.last_ms.fetch_max(started_ms, Ordering::Relaxed);
    }
}

/// A rule by its words, and what it decided: what is kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The rule's file.
    pub file: Arc<str>,
    /// The rule's text, without white space that nobody means.
    pub text: Arc<str>,
    /// Which of its equals in that policy and file it is, from 0.
    pub ordinal: u32,
    /// What it decided.
    pub tallied: Tallied,
}

/// A rule of the generation in force, and its tally.
#[derive(Clone, Debug)]
pub struct RuleTally {
    /// Index into [`crate::spec::Spec::policies`].
    pub policy: usize,
    /// The rule.
    pub origin: Origin,
    /// Whether it names a way out; others decide only where they cannot be told.
    pub decides: bool,
    /// Whether it takes all that reach it: `FALLBACK`, a tree's last word.
    pub last_word: bool,
    /// What it decided.
    pub tally: Arc<Tally>,
}

/// The rules of one generation.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    all: Vec<RuleTally>,
    by_text: HashMap<RuleKey, u32>,
}

impl Rules {
    pub(crate) fn all(&self) -> &[RuleTally] {
        &self.all
    }

    /// The tally of the rule that decided.
    pub(crate) fn tally(&self, rule: &Origin) -> Option<&Arc<Tally>> {
        let index = *self.by_text.get(&rule.key())?;
        let found = self.all.get(usize::try_from(index).ok()?)?;
        Some(&found.tally)
    }
}

/// What makes a rule the same one in another generation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    policy: Arc<str>,
    file: Arc<str>,
    /// Canonical.
    text: Arc<str>,
    /// Which of its equals it is, from 0.
    ordinal: u32,
}

/// The tallies of all rules, over generations.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    generations: u64,
    /// The tally, and the last generation with the rule, by count.
    known: HashMap<Identity, (Arc<Tally>, u64)>,
}

impl Tallies {
    /// The rules of a generation that comes into force, each with the tally that it has or gets.
    /// One that only refreshes rule sets is no new one: nothing is forgotten for it.
    pub(crate) fn of(&mut self, policies: &[Arc<Policy>], is_new: bool) -> Rules {
        self.generations += u64::from(is_new);
        let now = self.generations;
        let mut rules = Rules::default();
        for (index, policy) in policies.iter().enumerate() {
            let mut equals: HashMap<(Arc<str>, Arc<str>), u32> = HashMap::new();
            each_rule(&policy.body, &mut |origin, role| {
                let number = u32::try_from(rules.all.len()).unwrap_or(u32::MAX);
                if rules.by_text.contains_key(&origin.key()) {
                    return;
                }
                rules.by_text.insert(origin.key(), number);
                let text = canonical(&origin.text);
                let key = (Arc::clone(&origin.file), Arc::clone(&text));
                let equal = equals.entry(key).or_default();
                let identity = Identity {
                    policy: Arc::clone(&policy.name),
                    file: Arc::clone(&origin.file),
                    text,
                    ordinal: *equal,
                };
                *equal += 1;
                let (tally, seen) = self.known.entry(identity).or_default();
                *seen = now;
                rules.all.push(RuleTally {
                    policy: index,
                    origin: origin.clone(),
                    decides: role != Role::Step,
                    last_word: role == Role::LastWord,
                    tally: Arc::clone(tally),
                });
            });
        }
        self.known.retain(|_, (_, seen)| *seen + KEPT > now);
        rules
    }

    /// All that decided anything.
    pub(crate) fn remember(&self) -> Vec<Remembered> {
        let all = self.known.iter().map(|(identity, (tally, _))| Remembered {
            policy: Arc::clone(&identity.policy),
            file: Arc::clone(&identity.file),
            text: Arc::clone(&identity.text),
            ordinal: identity.ordinal,
            tallied: tally.numbers(),
        });
        all.filter(|rule| rule.tallied.flows > 0).collect()
    }

    /// Takes in what was decided before. Rules that the next generations lack are forgotten as any others.
    pub(crate) fn recall(&mut self, remembered: Vec<Remembered>) {
        for rule in remembered {
            let identity = Identity {
                policy: rule.policy,
                file: rule.file,
                text: rule.text,
                ordinal: rule.ordinal,
            };
            let (tally, seen) = self.known.entry(identity).or_default();
            *seen = self.generations;
            tally.recall(&rule.tallied);
        }
    }
}

/// The text without the white space that nobody means: runs are one blank, none stands beside a comma.
fn canonical(text: &str) -> Arc<str> {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() && !out.ends_with(',') && !word.starts_with(',') {
            out.push(' ');
        }
        out.push_str(word);
    }
    out.into()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Takes all that reach it.
    LastWord,
    /// Takes those who meet its condition.
    Rule,
    /// Decides only where its condition cannot be told.
    Step,
}

/// Visits all that decisions name as their rule, in order.
fn each_rule(nodes: &[Node], each: &mut impl FnMut(&Origin, Role)) {
    for node in nodes {
        match node {
            Node::Any(nodes) => each_rule(nodes, each),
            Node::Instrument { .. } | Node::Resolve(_) => {}
            Node::Leaf { origin, .. } => each(origin, Role::LastWord),
            Node::Request { origin, .. } => each(origin, Role::Step),
            Node::Rule(rule) => each(&rule.origin, Role::Rule),
            Node::Select(select) => {
                each(&select.origin, Role::Step);
                for arm in &select.arms {
                    branch(&arm.then, &arm.origin, each);
                }
            }
            Node::Sub { body, origin, .. } => {
                each(origin, Role::Step);
                each_rule(body, each);
            }
            Node::When {
                then,
                otherwise,
                origin,
                ..
            } => {
                branch(then, origin, each);
                match otherwise.as_deref() {
                    Some(Node::Leaf { origin, .. }) => each(origin, Role::Rule),
                    Some(other) => each_rule(std::slice::from_ref(other), each),
                    None => {}
                }
            }
        }
    }
}

fn branch(then: &Node, origin: &Origin, each: &mut impl FnMut(&Origin, Role)) {
    if matches!(then, Node::Leaf { .. }) {
        each(origin, Role::Rule);
    } else {
        each(origin, Role::Step);
        each_rule(std::slice::from_ref(then), each);
    }
}

#[cfg(test)]
mod tests;

//! Building rule sets: what a reader of lists hands on, and who takes it.

use std::sync::Arc;

use super::RuleSet;
use crate::address::Prefix;
use crate::condition::Condition;
use crate::domain::{Domain, Name};

/// One entry of a list.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// A name that matches itself alone.
    Exact(Name<'a>),
    /// A name that the set does not hold, whatever other entries say (`@@|x^|`).
    ExceptExact(Name<'a>),
    /// A name that the set does not hold, nor any below it (`@@||x^`).
    ExceptSuffix(Name<'a>),
    /// Any other condition. Where it asks for addresses it must say [`crate::condition::Asks::Resolve`]
    /// unless the entry itself forbids it: the rule that uses the set may narrow, never widen.
    Other(Condition),
    /// A range of destination addresses, of either family.
    Prefix(Prefix),
    /// A name that matches itself and all below.
    Suffix(Name<'a>),
}

/// Where an entry stands, and how it is written there.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// From 1; in binary formats the entry's number.
    pub line: u32,
    /// The entry as written, without comment and white space around it.
    pub written: &'a str,
}

/// Takes the entries of a list, in its order: a builder of rule sets, a writer of another format, a
/// linter.
pub trait Sink {
    /// Takes one entry.
    fn add(&mut self, item: Item<'_>, place: Place<'_>);
}

/// The key of the fingerprints by which names are found: random for each process (or kept with a cache
/// that nobody else reads), so that nobody can write a list whose names collide.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Key(pub [u64; 2]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(...)")
    }
}

/// A rule set that is being built.
#[derive(Debug)]
pub struct RuleSetBuilder {
    set: RuleSet,
}

impl RuleSetBuilder {
    /// Begins an empty set of this name. `file` is relative to the configuration's directory.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, file: impl Into<Arc<str>>, _key: Key) -> Self {
        Self {
            set: RuleSet::new(name, file),
        }
    }

    /// Adds a name that matches itself alone, as `written` at `line` (from 1).
    pub fn add_exact(&mut self, name: Domain, line: u32, written: &str) {
        self.set.add_exact(name, line, written);
    }

    /// Adds a name that matches itself and all below.
    pub fn add_suffix(&mut self, name: Domain, line: u32, written: &str) {
        self.set.add_suffix(name, line, written);
    }

    /// Adds a range of destination addresses.
    pub fn add_prefix(&mut self, prefix: Prefix, line: u32, written: &str) {
        self.set.add_prefix(prefix, line, written);
    }

    /// Adds any other condition; see [`Item::Other`].
    pub fn add_other(&mut self, condition: Condition, line: u32, written: &str) {
        self.set.add_other(condition, line, written);
    }

    /// The set, immutable from here on.
    #[must_use]
    pub fn finish(mut self) -> RuleSet {
        self.set.finish();
        self.set
    }
}

impl Sink for RuleSetBuilder {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let Place { line, written } = place;
        match item {
            Item::Exact(name) => self.set.add_exact(name.into(), line, written),
            Item::ExceptExact(_) | Item::ExceptSuffix(_) => {}
            Item::Other(condition) => self.set.add_other(condition, line, written),
            Item::Prefix(prefix) => self.set.add_prefix(prefix, line, written),
            Item::Suffix(name) => self.set.add_suffix(name.into(), line, written),
        }
    }
}

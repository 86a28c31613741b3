//! Building rule sets: what a reader of lists hands on, and who takes it.

use std::sync::Arc;

use super::fingerprint::fingerprint;
use super::forms::FormsBuilder;
use super::jump::Jump;
use super::names::{Kind, MOST_ENTRIES, NameTableBuilder, Reach};
use super::places::At;
use super::ranges::RangesBuilder;
use super::{Content, ExceptPattern, Other, RuleSet};
use crate::address::Prefix;
use crate::condition::{Condition, DomainTest};
use crate::domain::{Domain, Name};
use crate::key::Key;

/// One entry of a list.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// A name that matches all below, without itself (`||*.x^`).
    Below(Name<'a>),
    /// A name that matches itself alone.
    Exact(Name<'a>),
    /// Names that the set does not hold, whatever other entries say but important ones (`@@/^x/`).
    Except(DomainTest),
    /// A name of which the set holds none below, whatever other entries say but important ones (`@@||*.x^`).
    ExceptBelow(Name<'a>),
    /// A name that the set does not hold, whatever other entries say but important ones (`@@|x^|`).
    ExceptExact(Name<'a>),
    /// A name that the set does not hold, nor any below it (`@@||x^`).
    ExceptSuffix(Name<'a>),
    /// A name that goes before all entries that are not important (`||x^$important`): it matches, or
    /// (`except`) the set does not hold it.
    Important {
        /// The name.
        name: Name<'a>,
        /// What it stands for.
        reach: Reach,
        /// Whether the set does not hold it. This goes before important entries too.
        except: bool,
    },
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

/// A rule set that is being built.
#[derive(Debug)]
pub struct RuleSetBuilder {
    name: Arc<str>,
    file: Arc<str>,
    key: Key,
    important: NameTableBuilder,
    names: NameTableBuilder,
    except: Vec<ExceptPattern>,
    ranges: RangesBuilder,
    others: Vec<Other>,
    /// `None` in the small form.
    forms: Option<FormsBuilder>,
}

impl RuleSetBuilder {
    /// Begins an empty set of this name. `file` is relative to the configuration's directory. All sets of a
    /// process share one key, so that a name's fingerprints are computed once for all of them.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, file: impl Into<Arc<str>>, key: Key) -> Self {
        Self {
            name: name.into(),
            file: file.into(),
            key,
            important: NameTableBuilder::new(true),
            names: NameTableBuilder::new(true),
            except: Vec::new(),
            ranges: RangesBuilder::new(true),
            others: Vec::new(),
            forms: Some(FormsBuilder::default()),
        }
    }

    /// Makes it a set in the small form, for routers: of its names and prefixes it does not know where they
    /// stand in the file nor how they are written there. It decides the same. To be called before the first
    /// entry.
    #[must_use]
    pub fn small(self) -> Self {
        Self {
            important: NameTableBuilder::new(false),
            names: NameTableBuilder::new(false),
            ranges: RangesBuilder::new(false),
            forms: None,
            ..self
        }
    }

    /// Whether it holds as many names as a set can (2^31); further ones are left out. A reader of lists that
    /// may be so long asks, and says so.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.names.len().max(self.important.len()) >= MOST_ENTRIES
    }

    /// Adds a name that matches itself alone, as `written` at `line` (from 1).
    pub fn add_exact(&mut self, name: Domain, line: u32, written: &str) {
        self.add_name(Kind::Exact, (&name).into(), line, written);
    }

    /// Adds a name that matches all below, without itself.
    pub fn add_below(&mut self, name: Domain, line: u32, written: &str) {
        self.add_name(Kind::Below, (&name).into(), line, written);
    }

    /// Adds a name that matches itself and all below.
    pub fn add_suffix(&mut self, name: Domain, line: u32, written: &str) {
        self.add_name(Kind::Suffix, (&name).into(), line, written);
    }

    /// Adds a range of destination addresses.
    pub fn add_prefix(&mut self, prefix: Prefix, line: u32, written: &str) {
        let forms = self.forms.as_mut();
        let at = At {
            line,
            form: forms.map_or(0, |forms| forms.of_prefix(written, &prefix)),
        };
        self.ranges.add(prefix, at);
    }

    /// Adds any other condition; see [`Item::Other`].
    pub fn add_other(&mut self, condition: Condition, line: u32, written: &str) {
        let text = written.into();
        self.others.push(Other {
            condition,
            line,
            text,
        });
    }

    /// The set, immutable from here on. Of entries said twice the one with the lowest line stays.
    #[must_use]
    pub fn finish(mut self) -> RuleSet {
        self.others.shrink_to_fit();
        self.except.shrink_to_fit();
        RuleSet {
            name: self.name,
            file: self.file,
            content: Arc::new(Content {
                key: self.key,
                important: self.important.finish(),
                names: self.names.finish(),
                except: self.except,
                ranges: self.ranges.finish(),
                jump: Jump::new(&self.others),
                others: self.others,
                forms: self.forms.map(FormsBuilder::finish).unwrap_or_default(),
            }),
        }
    }

    fn add_name(&mut self, kind: Kind, name: Name<'_>, line: u32, written: &str) {
        self.add_to(false, kind, name, line, written);
    }

    fn add_to(&mut self, important: bool, kind: Kind, name: Name<'_>, line: u32, written: &str) {
        if self.is_full() {
            return;
        }
        let forms = self.forms.as_mut();
        let at = At {
            line,
            form: forms.map_or(0, |forms| forms.of_name(written, name.as_str())),
        };
        let (fingerprint, labels) = fingerprint(self.key, name);
        let table = if important {
            &mut self.important
        } else {
            &mut self.names
        };
        table.add(fingerprint, labels, kind, at);
    }
}

impl Sink for RuleSetBuilder {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let Place { line, written } = place;
        match item {
            Item::Below(name) => self.add_name(Kind::Below, name, line, written),
            Item::Exact(name) => self.add_name(Kind::Exact, name, line, written),
            Item::Except(test) => self.except.push(ExceptPattern {
                test,
                line,
                text: written.into(),
            }),
            Item::ExceptBelow(name) => self.add_name(Kind::ExceptBelow, name, line, written),
            Item::ExceptExact(name) => self.add_name(Kind::ExceptExact, name, line, written),
            Item::ExceptSuffix(name) => self.add_name(Kind::ExceptSuffix, name, line, written),
            Item::Important {
                name,
                reach,
                except,
            } => self.add_to(true, Kind::of(reach, except), name, line, written),
            Item::Other(condition) => self.add_other(condition, line, written),
            Item::Prefix(prefix) => self.add_prefix(prefix, line, written),
            Item::Suffix(name) => self.add_name(Kind::Suffix, name, line, written),
        }
    }
}

//! Rule sets: named lists of entries, any of which makes the set hold.

use std::collections::HashMap;
use std::sync::Arc;

use crate::address::Prefix;
use crate::condition::Condition;
use crate::domain::Domain;

/// A rule set. Built once, immutable, shared between policies and generations.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Its name.
    pub name: Arc<str>,
    /// The file that it came from, relative to the configuration's directory.
    pub file: Arc<str>,
    /// Exact names, with the line.
    pub exact: HashMap<Domain, u32>,
    /// Suffixes, with the line.
    pub suffix: HashMap<Domain, u32>,
    /// Destination prefixes, with the line.
    pub prefixes: HashMap<Prefix, u32>,
    /// Everything else: keyword, regex, process, port, logic ...; with line and text.
    pub others: Vec<(Condition, u32, Arc<str>)>,
}

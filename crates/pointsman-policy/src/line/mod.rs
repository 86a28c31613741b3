//! Rule lines: `DOMAIN-SUFFIX, google.com, Proxy`.
//!
//! Invariant: every text either becomes a rule or an error with its place; what
//! [`render_condition`] prints is read back as the same condition. Lines have a lexer of their own
//! (no YAML inside YAML), so `IP-CIDR6, ::1/128, DIRECT` needs no quotes.
//!
//! Deliberately absent: actions (`.LOCAL-RESOLVE` and the like are YAML around lines), the table of
//! outbounds (a rule names its outbound, the caller knows it), and zones, which only trees name.

mod canonical;
mod content;
mod instead;
mod kind;
mod lexer;
mod parser;
mod render;

use std::sync::Arc;

use crate::condition::{Concerns, Condition};
use crate::ids::SetId;

pub use canonical::canonical;
pub use kind::kinds;
pub use lexer::without_comment;
pub use parser::{parse_condition, parse_rule};
pub use render::{Names, render_condition, word};

/// The longest line, in bytes.
pub const MAX_LENGTH: usize = 64 << 10;
/// The deepest nesting of `[ ... ]`.
pub const MAX_DEPTH: usize = 32;

/// What a line's surroundings offer.
pub trait Scope {
    /// The rule set of this name.
    fn rule_set(&self, name: &str) -> Option<SetId>;
    /// All names of rule sets, for hints.
    fn rule_sets(&self) -> Vec<&str> {
        Vec::new()
    }
    /// Whether a database tells countries.
    fn has_country_db(&self) -> bool;
    /// Whether a database tells autonomous systems.
    fn has_asn_db(&self) -> bool;
    /// Whether rules on addresses resolve a named destination unless they say `no-resolve`.
    fn ip_rules_resolve(&self) -> bool;
    /// The upstream of this name in any case, as it is written; only rules on answers ask.
    fn upstream(&self, _name: &str) -> Option<Arc<str>> {
        None
    }
    /// All names of upstreams, for hints.
    fn upstreams(&self) -> Vec<&str> {
        Vec::new()
    }
    /// What the rules decide on.
    fn concerns(&self) -> Concerns {
        Concerns::Flows
    }
}

/// The condition of `DOMAIN-KEYWORD`, of a text as it is.
///
/// # Errors
/// A sentence: the text is empty, or has a character that no name has.
pub fn domain_keyword(text: &str) -> Result<Condition, String> {
    content::domain_keyword(text).map_err(|bad| bad.message)
}

/// The condition of `DOMAIN-REGEX`, of a text as it is.
///
/// # Errors
/// A sentence: the text is no regular expression, or too large a one.
pub fn domain_regex(text: &str) -> Result<Condition, String> {
    content::domain_regex(text).map_err(|bad| bad.message)
}

/// A line of a rule list.
#[derive(Clone, Debug)]
pub enum RuleLine {
    /// `FALLBACK, OUTBOUND`.
    Fallback {
        /// The outbound's name.
        outbound: Placed,
    },
    /// `TYPE, CONTENT, OUTBOUND`.
    Rule {
        /// When.
        condition: Condition,
        /// The outbound's name.
        outbound: Placed,
        /// Whether it says `no-resolve`.
        no_resolve: bool,
    },
}

/// A text of a line and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// After unquoting.
    pub text: String,
    /// Byte offset of its first byte in the line.
    pub start: usize,
    /// Byte offset behind its last byte.
    pub end: usize,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LineError {
    /// `rule-syntax`, `unknown-rule`, `rule-elsewhere`, `bad-rule-content`, `unknown-rule-set`, `unknown-resolver`,
    /// `missing-database`.
    pub code: &'static str,
    /// Byte offset of the first byte at fault.
    pub start: usize,
    /// Byte offset behind the last byte at fault.
    pub end: usize,
    /// One sentence without a final dot.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The outbound's name, where the fault is in what stands before it.
    pub outbound: Option<Placed>,
}

impl LineError {
    fn new(
        code: &'static str,
        (start, end): (usize, usize),
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) -> Self {
        Self {
            code,
            start,
            end,
            message: message.into(),
            hint: hint.into(),
            outbound: None,
        }
    }
}

#[cfg(test)]
mod tests;

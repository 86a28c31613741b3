//! Where a rule stands, and what policy-router says of how it matched.

use std::sync::Arc;

use crate::rule_text::RuleText;

/// Where a rule stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Relative to the configuration's directory.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// The rule as written, on one line, without its comment.
    pub text: RuleText,
}

/// What tells a rule from every other one, as long as both are kept, and also from one that reads the same: where its
/// text lies in memory, and its line. The copies of a policy share the keys of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleKey {
    text: usize,
    line: u32,
}

impl Origin {
    /// Which rule it is of.
    #[must_use]
    pub fn key(&self) -> RuleKey {
        RuleKey {
            text: self.text.address(),
            line: self.line,
        }
    }
}

/// policy-router's part of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The step.
    pub source: Source,
    /// How the pattern matched. A suffix pattern that equals the name reports [`Matcher::Exact`].
    pub pattern: Arc<str>,
}

/// policy-router's fixed steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An app rule.
    AppRule,
    /// A blocked app.
    BlockApp,
    /// A blocked domain.
    BlockDomain,
    /// Nothing matched.
    Default,
    /// A domain rule.
    DomainRule,
}

/// How a pattern matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// The name itself.
    Exact,
    /// A name below.
    Suffix,
}

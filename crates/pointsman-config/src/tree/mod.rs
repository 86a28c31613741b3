//! The tree language: reflow's decision trees, extended so that a tree can say what a rule list can.
//!
//! ```text
//! branch := NAME                                    an outbound, a named tree, or `resolve`
//!         | "any" "[" branch* "]"                   in order; falls through where none decides
//!         | "only" "[" branch* "]"                  the same, but there is no way back
//!         | "cond" SUBJECT "{" arm* "}"             SUBJECT: domain, ip, protocol
//!         | "cond" when "=>" branch ["else" "=>" branch]
//!         | "log" [NUMBER] TEXT                     says something, never decides
//!         | "ask" NUMBER ["within" DURATION] ["suggest" ROUTE] ["fallback" ROUTE]
//! arm    := KEY "=>" branch | "else" "=>" branch
//! when   := all ("or" all)*        all := one ("and" one)*
//! one    := "not" one | "(" when ")" | "always" | "never" | test ["nocase"] ["no-resolve"]
//! test   := "set" NAME | FACT OPERATOR VALUE ("," VALUE)*
//! ```
//!
//! One branch or arm a line (the first may stand behind its bracket); `else` stands on the line on
//! which the branch before it ends; `#` comments; words with white space or signs are quoted. Every
//! text is parsed to its end and every problem told; after one, the next line goes on. Deliberately
//! absent: what names mean, which is [`lower`]'s part.

use std::ops::Range;
use std::sync::Arc;

use crate::problem::{Problems, Source, Span};

mod answers;
mod arms;
pub(crate) mod ask;
mod block;
mod conditions;
pub(crate) mod cursor;
mod expansion;
mod facts;
pub mod lex;
mod lower;
mod lowering;
mod nesting;
mod parse;
pub mod print;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twice_tests;
mod values;
mod words;
mod write;

pub use block::parse_block;
pub use cursor::{MAX_CHAIN, MAX_DEPTH};
pub use expansion::Expansion;
pub use lower::{lower, lower_named};
pub use lowering::{Lists, LowerContext};
pub(crate) use parse::branch;

/// A tree as written.
#[derive(Clone, Debug)]
pub struct Ast {
    /// Its branches in order; a tree that is no `any [ ... ]` has one.
    pub root: Branch,
}

/// A word and its place.
#[derive(Clone, Debug)]
pub struct Name {
    /// Unquoted.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A part of a tree.
#[derive(Clone, Debug)]
pub enum Branch {
    /// `any [ ... ]`
    Any(Vec<Self>, Span),
    /// `cond SUBJECT { ... }`
    Cond {
        /// `domain`, `ip` or `protocol`.
        subject: Name,
        /// At least one.
        arms: Vec<Arm>,
        /// From `cond` to the closing brace.
        span: Span,
    },
    /// `ask 200 within 30s`
    Ask(ask::Ask, Span),
    /// An outbound or another name.
    Leaf(Name),
    /// `log 3 "text"`
    Log {
        /// Its number, 0 where none is given.
        id: u32,
        /// The template.
        message: Name,
        /// All of it.
        span: Span,
    },
    /// `only [ ... ]`
    Only(Vec<Self>, Span),
    /// `cond WHEN => branch else => branch`
    When {
        /// The condition.
        when: When,
        /// Tried when it holds.
        then: Box<Self>,
        /// Tried when it does not.
        otherwise: Option<Box<Self>>,
        /// All of it.
        span: Span,
    },
}

/// `key => branch`
#[derive(Clone, Debug)]
pub struct Arm {
    /// The key; `else` bare is [`Self::otherwise`].
    pub key: Name,
    /// Whether it is `else =>`.
    pub otherwise: bool,
    /// The branch.
    pub then: Branch,
    /// All of it.
    pub span: Span,
}

/// A condition as written.
#[derive(Clone, Debug)]
pub enum When {
    /// All hold.
    And(Vec<Self>),
    /// Does not hold.
    Not(Box<Self>),
    /// One holds.
    Or(Vec<Self>),
    /// One question.
    Test(Test),
}

/// One question of a condition.
#[derive(Clone, Debug)]
pub struct Test {
    /// `port`, `domain`, `set`, `always` ...
    pub fact: Name,
    /// `eq`, `in` ...; `None` for `set`, `always` and `never`.
    pub operator: Option<Name>,
    /// What it is compared with; empty for `always` and `never`.
    pub values: Vec<Name>,
    /// ASCII case does not count.
    pub nocase: bool,
    /// No address is asked for.
    pub no_resolve: bool,
    /// All of it.
    pub span: Span,
}

/// Parses a byte range of a source as one tree; `None` where nothing of it could be read. Problems
/// have been pushed for all that was wrong, so a tree that comes back need not be a good one.
pub fn parse(source: &Arc<Source>, range: Range<usize>, problems: &mut Problems) -> Option<Ast> {
    let mut cursor = cursor::Cursor::new(source, range, problems);
    parse::whole(&mut cursor)
}

impl Branch {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> &Span {
        match self {
            Self::Any(_, span)
            | Self::Ask(_, span)
            | Self::Cond { span, .. }
            | Self::Log { span, .. }
            | Self::Only(_, span)
            | Self::When { span, .. } => span,
            Self::Leaf(name) => &name.span,
        }
    }
}

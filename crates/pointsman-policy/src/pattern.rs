//! Regular expressions on names.
//!
//! A name is written with 39 characters: small letters, digits, hyphen, underscore, dot (see [`crate::domain`]).
//! So an expression is cut down to these before anything is made of it, and nothing that it says of other characters
//! is kept: `.` is one of the 39, `(?i)k` is `k` and no Kelvin sign, `\w`, `\d`, `[^a]` and `\p{L}` are what of them
//! are among the 39. Between such characters a border of words is the same in Unicode and in ASCII, and there are no
//! line ends, so `(?m)^` is `^`. On names the expression that is left matches exactly where the whole one does.
//!
//! It becomes a program of some hundred bytes that tells whether it occurs in a name: see the module `program`. What such a
//! program cannot say (borders of words, very long expressions) is left to the library's automata.
//!
//! Invariants: a match takes time proportional to the name's length times the expression's. Where there is a program
//! it allocates nothing and keeps nothing from one name to the next.

mod narrow;
mod program;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use crate::domain::Domain;
use program::Program;

/// The most memory that an automaton of the library's may take, in bytes.
const SIZE: usize = 1 << 20;

/// What an automaton of the library's counts as, in operations for a character: few take more once they have met a name.
const LIBRARY: usize = 256;

/// Groups within groups.
const DEEPEST: u32 = 64;

/// A regular expression on names, unanchored, without regard to case. Clones share it.
#[derive(Clone)]
pub struct NamePattern(Arc<Content>);

/// Why a text is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPattern(String);

struct Content {
    text: Box<str>,
    engine: Engine,
    /// Each name that matches holds one of these; none: nobody knows.
    words: Box<[Box<str>]>,
}

enum Engine {
    Program(Program),
    Library(Box<Regex>),
}

impl NamePattern {
    /// Reads an expression in the syntax of the `regex` crate.
    ///
    /// # Errors
    /// [`BadPattern`] says what is wrong with it, or that it would take too much memory.
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        let hir = ParserBuilder::new()
            .case_insensitive(true)
            .nest_limit(DEEPEST)
            .build()
            .parse(text)
            .map_err(|error| BadPattern::told(&error.to_string()))?;
        let hir = narrow::narrow(&hir);
        let engine = match Program::new(&hir) {
            Some(program) => Engine::Program(program),
            None => {
                let built = RegexBuilder::new(text)
                    .case_insensitive(true)
                    .size_limit(SIZE)
                    .dfa_size_limit(SIZE)
                    .nest_limit(DEEPEST)
                    .build();
                let regex = built.map_err(|error| BadPattern::told(&error.to_string()))?;
                Engine::Library(Box::new(regex))
            }
        };
        Ok(Self(Arc::new(Content {
            text: text.into(),
            engine,
            words: narrow::words(&hir).into(),
        })))
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether it matches somewhere in the name.
    #[must_use]
    pub fn is_match(&self, name: &Domain) -> bool {
        match &self.0.engine {
            Engine::Program(program) => program.is_match(name.as_str()),
            Engine::Library(regex) => regex.is_match(name.as_str()),
        }
    }

    /// How much work it makes of a name at most: operations for each of its characters, about a third of a nanosecond
    /// each. Common expressions take fewer than ten, the worst a thousand.
    #[must_use]
    pub fn work(&self) -> usize {
        match &self.0.engine {
            Engine::Program(program) => program.work(),
            Engine::Library(_) => LIBRARY,
        }
    }

    /// Texts of which each name that matches holds one; empty where no such are known.
    pub(crate) fn words(&self) -> &[Box<str>] {
        &self.0.words
    }
}

impl BadPattern {
    /// The last line of a long message says what; the others draw what the caret shows.
    fn told(shown: &str) -> Self {
        let what = shown.lines().last().unwrap_or_default().trim();
        Self(what.strip_prefix("error: ").unwrap_or(what).to_owned())
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamePattern({:?})", self.as_str())
    }
}

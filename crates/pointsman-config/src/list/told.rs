//! What a list had to say besides its entries.
//!
//! Invariant: bounded, however bad the list is. Places carry their own line's text, so nothing of the
//! list need stay in memory.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Behavior, Format, Unreadable};
use crate::problem::{Problems, Severity, Source, Span};

/// The most bad entries of one list that are told one by one.
const MOST_TOLD: usize = 20;

/// The most of a line that is kept to show it, in bytes.
const MOST_SHOWN: usize = 256;

/// A place in a list: a line with its text, and the bytes of it that are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// From 1; in binary formats the entry's number.
    pub line: u32,
    /// The line, shortened where it is very long.
    pub text: String,
    /// The first byte that is meant.
    pub start: usize,
    /// Behind the last byte that is meant.
    pub end: usize,
}

impl Spot {
    /// A part of a line.
    #[must_use]
    pub fn new(line: u32, text: &str, start: usize, end: usize) -> Self {
        let most = text.floor_char_boundary(MOST_SHOWN);
        Self {
            line,
            text: text[..most].to_owned(),
            start: start.min(most),
            end: end.clamp(start.min(most), most),
        }
    }

    fn span(&self, file: &Arc<str>) -> Span {
        Source::excerpt(file, self.line, self.text.clone()).span(self.start, self.end)
    }
}

/// What was told while a list was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How it is written, named or recognised.
    pub format: Option<Format>,
    /// What its entries are, named or recognised; `None`: each by its own look or by the format.
    pub behavior: Option<Behavior>,
    /// The first bad entries, with what is wrong.
    pub bad: Vec<(Spot, String)>,
    /// The last bad entry and how many there are besides the first ones.
    pub more_bad: Option<(Spot, usize)>,
    /// What is understood and says nothing that a set can hold: how often, and where last.
    pub passed: Vec<(Cow<'static, str>, usize, Spot)>,
}

impl Told {
    /// Tells of a bad entry.
    pub fn bad(&mut self, spot: Spot, message: String) {
        if self.bad.len() < MOST_TOLD {
            self.bad.push((spot, message));
            return;
        }
        let before = self.more_bad.as_ref().map_or(0, |(_, count)| *count);
        self.more_bad = Some((spot, before + 1));
    }

    /// Counts something that is passed over, under a plural: `rules about parts of pages`.
    pub fn pass(&mut self, what: &'static str, line: u32, text: &str) {
        match self.passed.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, count, _)) => *count += 1,
            None => {
                let spot = Spot::new(line, text, 0, text.len());
                self.passed.push((Cow::Borrowed(what), 1, spot));
            }
        }
    }

    /// Makes problems of it, in the file of this name (relative to the configuration's directory).
    pub fn report(&self, file: &str, strict: bool, problems: &mut Problems) {
        let file = Arc::from(file);
        let mut push = |spot: &Spot, message: String| {
            let problem = problems.warning("invalid-entry", &spot.span(&file), message);
            if strict {
                problem.severity = Severity::Error;
            } else {
                problem.hint =
                    Some("this entry is left out; `strict: true` makes it an error".into());
            }
        };
        for (spot, message) in &self.bad {
            push(spot, message.clone());
        }
        if let Some((spot, more)) = &self.more_bad {
            push(spot, format!("{more} more bad entries, this one the last"));
        }
        for (what, count, spot) in &self.passed {
            let message = format!("{count} {what} are passed over, this one the first");
            problems.note("passed-over", &spot.span(&file), message);
        }
    }
}

impl Unreadable {
    /// Makes a problem of it, in the file of this name (relative to the configuration's directory).
    pub fn report(&self, file: &str, problems: &mut Problems) {
        let file = Arc::from(file);
        let (code, at, hint) = match self {
            Self::Malformed { hint, at, .. } => ("invalid-list", at.as_ref(), hint.clone()),
            Self::Io(_) => ("unreadable", None, None),
        };
        let place = match at {
            Some(spot) => spot.span(&file),
            None => Source::excerpt(&file, 1, String::new()).span(0, 0),
        };
        problems.error(code, &place, self.to_string()).hint = hint;
    }
}

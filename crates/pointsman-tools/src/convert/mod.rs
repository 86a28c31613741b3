//! Conversion to the native language: a configuration's text, and what it cannot say.
//!
//! Invariant: what the native text does differently stands in the report; a rule that cannot be said
//! is left out whole, or without the alternatives that cannot, never widened. Deliberately absent:
//! writing any other language.

use std::collections::HashSet;
use std::fmt;

mod access;
mod clash;
mod dns;
mod draft;
mod emit;
mod foreign;
mod forwards;
mod lists;
mod mend;
mod native;
mod outbounds;
mod policies;
mod rules;
mod sing_box;
mod summary;
#[cfg(test)]
mod tests;
mod told;
mod types;

pub use foreign::from_foreign;
pub use mend::faults;
pub use native::from_setup;
pub use summary::Summary;
pub use told::folded;

/// A configuration in the native language.
#[derive(Clone, Debug, Default)]
pub struct Conversion {
    /// The native YAML.
    pub text: String,
    /// What is different, and what to know.
    pub report: Vec<Remark>,
    /// What of it works as before, what does not, what to do next.
    pub summary: Summary,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Remark {
    /// `file:line` of the original; empty where it is about the whole.
    pub place: String,
    /// What it is, and what it means for flows.
    pub text: String,
    /// Whether flows go as they did all the same.
    pub equal: bool,
}

impl Conversion {
    /// Whether all could be said.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.report.iter().all(|remark| remark.equal)
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        let word = if self.equal { "note" } else { "warning" };
        write!(f, "{word}: {}", self.text)
    }
}

/// The end of the name of a proxy that is the last hop of a chain with the proxy's own name.
const ITSELF: &str = " itself";

/// What to know of a result with passwords.
const PASSWORDS: &str = "the file holds passwords: keep it readable for its owner alone";

/// What to know of a result with lists in files.
const LISTS_STAY: &str =
    "paths of lists are relative to the directory of the original: keep the file there";

/// Remarks as they are made, each once.
#[derive(Default)]
pub(crate) struct Report {
    remarks: Vec<Remark>,
    said: HashSet<Remark>,
}

impl Report {
    fn lost(&mut self, place: impl fmt::Display, text: impl Into<String>) {
        self.add(place, text.into(), false);
    }

    fn note(&mut self, place: impl fmt::Display, text: impl Into<String>) {
        self.add(place, text.into(), true);
    }

    fn add(&mut self, place: impl fmt::Display, text: String, equal: bool) {
        let place = place.to_string();
        let remark = Remark { place, text, equal };
        if self.said.insert(remark.clone()) {
            self.remarks.push(remark);
        }
    }

    fn finish(self) -> Vec<Remark> {
        self.remarks
    }
}

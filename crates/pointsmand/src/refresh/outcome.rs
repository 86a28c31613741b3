//! What came of a try to fetch a list, and how that is told.

use std::fmt;

/// How large a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) entries: usize,
    /// What it had before; `None` where no policy uses it.
    pub(super) before: Option<usize>,
    /// Of its copy, unpacked.
    pub(super) bytes: u64,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A newer list is in force.
    Changed(Size),
    /// There is none.
    Unchanged,
    /// Another configuration is in force, which keeps its lists itself.
    Gone,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Changed(size) = self else {
            return f.write_str("unchanged");
        };
        let Size {
            entries,
            before,
            bytes,
        } = size;
        let noun = if *entries == 1 { "entry" } else { "entries" };
        write!(f, "fetched, {entries} {noun}")?;
        match before {
            Some(before) => write!(f, " (before {before})")?,
            None => f.write_str(" (used by no rule)")?,
        }
        write!(f, ", {bytes} bytes")
    }
}

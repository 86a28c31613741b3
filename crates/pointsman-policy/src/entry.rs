//! An entry of a list file, as an explanation names it.

use std::sync::Arc;

/// An entry of a list file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    /// As written in the file.
    pub text: Arc<str>,
    /// Relative to the configuration's directory.
    pub file: Arc<str>,
    /// From 1; 0 where it is not known, as in a set of the small form.
    pub line: u32,
}

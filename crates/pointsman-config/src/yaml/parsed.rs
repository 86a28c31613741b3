//! A text that is parsed once, whoever asks for its tree: its language is told by it, and its reader takes it.

use std::sync::Arc;

use super::{Node, parse};
use crate::problem::{Problems, Source};

/// A text's tree, and what is wrong with the text.
#[derive(Debug)]
pub struct Parsed {
    root: Option<Node>,
    problems: Problems,
}

impl Parsed {
    /// Parses a text.
    #[must_use]
    pub fn of(source: &Arc<Source>) -> Self {
        let mut problems = Problems::default();
        let root = parse(source, &mut problems);
        Self { root, problems }
    }

    /// The tree, to look at; `None` where there is none or the text is broken.
    #[must_use]
    pub fn root(&self) -> Option<&Node> {
        self.root.as_ref()
    }

    /// Hands the tree on, and pushes what is wrong with the text.
    pub fn take(self, problems: &mut Problems) -> Option<Node> {
        problems.absorb(self.problems);
        self.root
    }
}

#[cfg(test)]
thread_local! {
    static PARSED: std::cell::RefCell<Vec<Arc<Source>>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Remembers a text that is parsed.
#[cfg(test)]
pub(super) fn count(source: &Arc<Source>) {
    PARSED.with_borrow_mut(|parsed| parsed.push(Arc::clone(source)));
}

/// Remembers nothing.
#[cfg(not(test))]
pub(super) fn count(_source: &Arc<Source>) {}

/// How often this thread parses a text meanwhile.
#[cfg(test)]
pub(super) fn counted(text: &str, run: impl FnOnce()) -> usize {
    PARSED.take();
    run();
    let parsed = PARSED.take();
    parsed.iter().filter(|source| source.text == text).count()
}

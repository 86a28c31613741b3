//! The policies' own tests, as a configuration holds them.

use std::sync::Arc;

use crate::problem::Span;

/// A test that the configuration brings along.
#[derive(Clone, Debug)]
pub struct FlowTest {
    /// FLOW as words: `dst=twitter.com:443 process=curl`.
    pub flow: String,
    /// The outbound that it must get.
    pub expect: String,
    /// Where it stands.
    pub span: Span,
    /// How it fails with the copies of fetched rule sets that the policies hold; `None`: it does not, or it was not run.
    pub failing: Option<Failing>,
}

/// A test that does not come out, and whose flow looked into fetched rule sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The outbound that it gets, or `none`.
    pub got: String,
    /// Why.
    pub reason: String,
    /// The rule sets, by name.
    pub lists: Vec<Arc<str>>,
}

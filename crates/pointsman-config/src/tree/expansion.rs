//! Named trees: what each comes to, found once, and how much of that may be repeated.
//!
//! Invariant: a tree is lowered once and its errors are told once, however many policies and trees use it. What all of
//! them repeat together is bounded by what is written, so that a small text cannot grow into a large policy.

use std::collections::HashMap;

use pointsman_policy::Node;

use super::{MAX_CHAIN, MAX_DEPTH};

/// The branches that named trees may repeat in all policies of a configuration, however few are written ...
pub(super) const REPEATED: usize = 100_000;

/// ... and for each that is: large trees may be used, too.
pub(super) const REPEATED_A_BRANCH: usize = 4;

/// Named trees of a configuration as they were lowered so far.
#[derive(Debug)]
pub struct Expansion {
    /// By name; `None`: there is an error in it, which was told.
    found: HashMap<String, Option<Lowered>>,
    /// How many more branches may be repeated.
    left: usize,
    /// Whether one was refused: then nothing is expanded any more.
    full: bool,
}

/// What a tree came to.
#[derive(Debug)]
struct Lowered {
    node: Node,
    size: Size,
}

/// How large a tree is, with those that it names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// All its branches.
    pub(super) branches: usize,
    /// How many of them stand within each other.
    pub(super) height: Depth,
}

/// How far something stands within others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Depth {
    /// Branches within branches.
    pub(super) levels: usize,
    /// `else => cond` behind each other.
    pub(super) elses: usize,
    /// Trees named within trees.
    pub(super) names: usize,
}

impl Depth {
    fn each(self, other: Self, of: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            levels: of(self.levels, other.levels),
            elses: of(self.elses, other.elses),
            names: of(self.names, other.names),
        }
    }

    pub(super) fn max(self, other: Self) -> Self {
        self.each(other, usize::max)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.each(other, usize::saturating_add)
    }

    /// How much further this is than `base`.
    pub(super) fn above(self, base: Self) -> Self {
        self.each(base, usize::saturating_sub)
    }

    /// Whether it is more than the language takes; no walk is deeper, whatever a text says.
    pub(super) fn is_too_deep(self) -> bool {
        self.levels > MAX_DEPTH || self.elses > MAX_CHAIN || self.names > MAX_DEPTH
    }
}

/// A named tree that is asked for.
pub(super) enum TreeState {
    /// To be lowered now.
    Unknown,
    /// It has an error, which was told.
    Bad,
    /// Of this size.
    Good(Size),
}

/// More would be repeated than may be; it is told where it is so for the first time.
pub(super) struct Full {
    pub(super) first: bool,
}

impl Default for Expansion {
    fn default() -> Self {
        Self {
            found: HashMap::new(),
            left: REPEATED,
            full: false,
        }
    }
}

impl Expansion {
    pub(super) fn look(&self, name: &str) -> TreeState {
        match self.found.get(name) {
            _ if self.full => TreeState::Bad,
            None => TreeState::Unknown,
            Some(None) => TreeState::Bad,
            Some(Some(lowered)) => TreeState::Good(lowered.size),
        }
    }

    /// A branch was read that is written.
    pub(super) fn written(&mut self) {
        self.left = self.left.saturating_add(REPEATED_A_BRANCH);
    }

    /// Keeps what a tree came to.
    pub(super) fn keep(&mut self, name: &str, node: &Node, size: Size) -> Result<(), Full> {
        self.spend(size.branches)?;
        let node = node.clone();
        self.found
            .insert(name.to_owned(), Some(Lowered { node, size }));
        Ok(())
    }

    /// Keeps that a tree has an error.
    pub(super) fn keep_bad(&mut self, name: &str) {
        self.found.insert(name.to_owned(), None);
    }

    /// The tree once more.
    pub(super) fn repeat(&mut self, name: &str) -> Result<Option<Node>, Full> {
        let Some(Some(size)) = self
            .found
            .get(name)
            .map(|it| it.as_ref().map(|it| it.size.branches))
        else {
            return Ok(None);
        };
        self.spend(size)?;
        let lowered = self.found.get(name).and_then(Option::as_ref);
        Ok(lowered.map(|lowered| lowered.node.clone()))
    }

    fn spend(&mut self, branches: usize) -> Result<(), Full> {
        match self.left.checked_sub(branches) {
            Some(left) if !self.full => {
                self.left = left;
                Ok(())
            }
            _ => {
                let first = !std::mem::replace(&mut self.full, true);
                Err(Full { first })
            }
        }
    }
}

//! The keywords and expressions of a set's other entries in one index, so that a name is not asked for one by one.
//!
//! Invariant: it tells the first of them that holds a name; the entries that it does not know are all in `rest`.

use super::Other;
use crate::condition::{Condition, DomainTest};
use crate::domain::Domain;
use crate::plan::{NOWHERE, Parts, without_excess};

/// Fewer are simply visited.
const FEWEST: usize = 4;

/// Characters of keywords in the index; further keywords are visited.
const MOST_CHARACTERS: usize = 1 << 20;

/// From a name to the first of the other entries that holds it.
#[derive(Debug)]
pub(crate) struct Jump {
    parts: Parts,
    /// The entries that it does not know, by number.
    rest: Box<[u32]>,
}

impl Jump {
    /// Of these entries; `None` where it would not be worth it.
    pub(super) fn new(others: &[Other]) -> Option<Box<Self>> {
        if others.len() < FEWEST {
            return None;
        }
        let (mut keywords, mut patterns, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let mut characters = 0;
        // A list of names has less than 2^31 entries.
        for (other, at) in others.iter().zip(0_u32..) {
            match &other.condition {
                Condition::Domain(DomainTest::Keyword(word))
                    if !word.is_empty() && characters + word.len() <= MOST_CHARACTERS =>
                {
                    characters += word.len();
                    keywords.push((&**word, at));
                }
                Condition::Domain(DomainTest::Regex(pattern)) => patterns.push((pattern, at)),
                _ => rest.push(at),
            }
        }
        rest.extend(without_excess(&mut keywords));
        if keywords.len() + patterns.len() < FEWEST {
            return None;
        }
        rest.sort_unstable();
        let parts = Parts::new(&keywords, &patterns)?;
        let rest = rest.into();
        Some(Box::new(Self { parts, rest }))
    }

    /// The number of the first keyword or expression that holds the name.
    pub(crate) fn first(&self, name: &Domain) -> Option<usize> {
        let first = self.parts.next(name, 0);
        (first != NOWHERE).then_some(first as usize)
    }

    /// The numbers of all other entries, ascending.
    pub(crate) fn rest(&self) -> impl Iterator<Item = usize> {
        self.rest.iter().map(|at| *at as usize)
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts.bytes() + size_of_val(&*self.rest)
    }
}

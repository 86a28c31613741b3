//! Parts of texts: all keywords of a class in one automaton, regular expressions in sets.
//!
//! Both may find more than there is (case is ignored throughout): the rule itself tells. A set that would be too
//! large is left away, and its rules are visited.

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexSet, RegexSetBuilder};

use super::automaton::Automaton;
use super::grams::Grams;
use super::postings::{NOWHERE, Positions};

/// All keywords that rules look for in one text.
#[derive(Clone, Debug)]
pub(crate) struct Keywords {
    automaton: Automaton,
    /// Tells of most texts that the automaton would find nothing.
    grams: Option<Grams>,
    /// By number of the keyword.
    positions: Box<[Positions]>,
    first: u32,
}

/// All regular expressions that rules look for in one text.
#[derive(Clone, Debug)]
pub(crate) struct Patterns {
    /// Of all: most texts match none.
    all: Option<RegexSet>,
    /// In the order of their rules.
    groups: Box<[Group]>,
}

#[derive(Clone, Debug)]
struct Group {
    any: Option<RegexSet>,
    positions: Positions,
}

/// Regular expressions that are asked together.
const GROUP: usize = 16;
/// Fewer are simply visited.
const FEW: usize = 3;
/// More than these are not asked as one: the automaton would outgrow its cache and crawl.
const MANY: usize = 512;
/// The largest automaton of a group, in bytes.
const SIZE: usize = 1 << 20;

impl Keywords {
    /// Of pairs of a keyword, never empty, and its rule's position. `None` where the automaton would be too large.
    pub(super) fn new(mut pairs: Vec<(&str, u32)>) -> Option<Self> {
        pairs.sort_unstable();
        let same = |(a, _): &(&str, u32), (b, _): &(&str, u32)| a == b;
        let words = pairs.chunk_by(same).map(|same| same[0].0);
        let automaton = Automaton::new(AhoCorasick::builder().ascii_case_insensitive(true), words)?;
        let at = |same: &[(&str, u32)]| Positions::new(same.iter().map(|(_, at)| *at).collect());
        Some(Self {
            automaton,
            grams: Grams::new(pairs.iter().map(|(word, _)| *word)),
            positions: pairs.chunk_by(same).map(at).collect(),
            first: pairs.iter().map(|(_, at)| *at).min().unwrap_or(NOWHERE),
        })
    }

    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// The earliest rule from `from` on whose keyword is in `text`.
    pub(crate) fn next(&self, text: &str, from: u32) -> u32 {
        if self
            .grams
            .as_ref()
            .is_some_and(|grams| !grams.may_be_in(text))
        {
            return NOWHERE;
        }
        let found = self.automaton.found_in(text);
        let positions = found.filter_map(|found| self.positions.get(found));
        let next = positions.map(|positions| positions.next(from)).min();
        next.unwrap_or(NOWHERE)
    }

    pub(super) fn bytes(&self) -> usize {
        let each = |positions: &Positions| size_of::<Positions>() + positions.bytes();
        self.automaton.bytes()
            + self.grams.as_ref().map_or(0, Grams::bytes)
            + self.positions.iter().map(each).sum::<usize>()
    }
}

impl Patterns {
    /// Of pairs of an expression and its rule's position.
    pub(super) fn new(mut pairs: Vec<(&Regex, u32)>) -> Self {
        pairs.sort_by_key(|(_, at)| *at);
        let group = |part: &[(&Regex, u32)]| Group {
            any: if part.len() > FEW {
                set(part, SIZE)
            } else {
                None
            },
            positions: Positions::new(part.iter().map(|(_, at)| *at).collect()),
        };
        let groups: Box<[Group]> = pairs.chunks(GROUP).map(group).collect();
        let all = match groups.len() {
            0 | 1 => None,
            _ if pairs.len() > MANY => None,
            _ => set(&pairs, SIZE * groups.len()),
        };
        Self { all, groups }
    }

    pub(crate) fn first(&self) -> u32 {
        self.groups
            .first()
            .map_or(NOWHERE, |group| group.positions.first())
    }

    /// The earliest rule from `from` on whose group's expressions match `text`.
    pub(crate) fn next(&self, text: &str, from: u32) -> u32 {
        if self.all.as_ref().is_some_and(|all| !all.is_match(text)) {
            return NOWHERE;
        }
        let mut open = self
            .groups
            .iter()
            .filter(|group| group.positions.last() >= from);
        let hit = open.find(|group| group.any.as_ref().is_none_or(|any| any.is_match(text)));
        hit.map_or(NOWHERE, |group| group.positions.next(from))
    }

    pub(super) fn bytes(&self) -> usize {
        let each = |group: &Group| size_of::<Group>() + group.positions.bytes();
        self.groups.iter().map(each).sum()
    }
}

/// Each expression as it is written and with case ignored: how it was built cannot be told from its text.
fn set(pairs: &[(&Regex, u32)], size: usize) -> Option<RegexSet> {
    let both = |(regex, _): &(&Regex, u32)| [regex.as_str().to_owned(), format!("(?i){regex}")];
    RegexSetBuilder::new(pairs.iter().flat_map(both))
        .size_limit(size)
        .dfa_size_limit(size)
        .build()
        .ok()
}

//! Parts of names: the keywords of a list and what its expressions cannot do without, in one automaton.
//!
//! An expression of which a word is known that each match holds is tested only where that word is in the name; the few
//! others are tested each time. So a name costs one pass over it and some tests, however many expressions there are.
//!
//! Invariant: unlike [`super::texts`] this tells neither too much nor too little: names are in lower case, so nothing
//! is left to be asked.

use aho_corasick::AhoCorasick;

use super::automaton::Automaton;
use super::grams::Grams;
use super::postings::{NOWHERE, Positions};
use crate::domain::Domain;
use crate::pattern::NamePattern;

/// Keywords and expressions with the positions of those who look for them in a name.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    automaton: Option<Automaton>,
    /// Tells of most names that the automaton would find nothing.
    grams: Option<Grams>,
    /// By number in the automaton.
    words: Box<[Word]>,
    /// In the order of their positions.
    patterns: Box<[(u32, NamePattern)]>,
    /// Those without a word.
    loose: Numbers,
    first: u32,
}

/// Patterns by number, ascending.
type Numbers = Box<[u32]>;

#[derive(Clone, Debug)]
struct Word {
    /// Where it is a keyword itself.
    keyword: Positions,
    /// Which expressions cannot do without it.
    patterns: Numbers,
}

/// Which patterns were tested already, so that a word that a name repeats costs nothing more. Further ones are tested
/// again.
type Tested = [u64; 64];

impl Parts {
    /// Of keywords, never empty, and expressions, each with a position. `None` where the automaton would be too large.
    pub(crate) fn new(keywords: &[(&str, u32)], patterns: &[(&NamePattern, u32)]) -> Option<Self> {
        let mut patterns: Vec<(u32, NamePattern)> = patterns
            .iter()
            .map(|(pattern, at)| (*at, (*pattern).clone()))
            .collect();
        patterns.sort_by_key(|(at, _)| *at);
        let mut pairs: Vec<(&str, Option<u32>, u32)> = Vec::new();
        pairs.extend(keywords.iter().map(|(word, at)| (*word, None, *at)));
        let mut loose = Vec::new();
        for (number, (at, pattern)) in (0..).zip(&patterns) {
            if pattern.words().is_empty() {
                loose.push(number);
            }
            pairs.extend(
                pattern
                    .words()
                    .iter()
                    .map(|word| (&**word, Some(number), *at)),
            );
        }
        pairs.sort_unstable();
        let first = pairs.iter().map(|(.., at)| *at).min().unwrap_or(NOWHERE);
        let alone = loose.first().and_then(|n: &u32| patterns.get(*n as usize));
        let first = first.min(alone.map_or(NOWHERE, |(at, _)| *at));
        let same = |a: &(&str, _, _), b: &(&str, _, _)| a.0 == b.0;
        let automaton = match pairs.is_empty() {
            true => None,
            false => Some(Automaton::new(
                AhoCorasick::builder().kind(Some(aho_corasick::AhoCorasickKind::ContiguousNFA)),
                pairs.chunk_by(same).map(|same| same[0].0),
            )?),
        };
        let word = |same: &[(&str, Option<u32>, u32)]| Word {
            keyword: Positions::new(
                same.iter()
                    .filter(|(_, number, _)| number.is_none())
                    .map(|(.., at)| *at)
                    .collect(),
            ),
            patterns: same.iter().filter_map(|(_, number, _)| *number).collect(),
        };
        Some(Self {
            automaton,
            grams: Grams::new(pairs.iter().map(|(word, ..)| *word)),
            words: pairs.chunk_by(same).map(word).collect(),
            patterns: patterns.into(),
            loose: loose.into(),
            first,
        })
    }

    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// The earliest position from `from` on whose keyword is in the name, or whose expression matches it.
    pub(crate) fn next(&self, name: &Domain, from: u32) -> u32 {
        let mut best = NOWHERE;
        let mut tested = None;
        let may_be_in = |grams: &Grams| grams.may_be_in(name.as_str());
        if let Some(automaton) = &self.automaton
            && self.grams.as_ref().is_none_or(may_be_in)
        {
            for found in automaton.found_in(name.as_str()) {
                let Some(word) = self.words.get(found) else {
                    continue;
                };
                best = best.min(word.keyword.next(from));
                if !word.patterns.is_empty() {
                    let tested = tested.get_or_insert([0; 64]);
                    best = best.min(self.test(&word.patterns, name, from..best, tested));
                }
            }
        }
        if !self.loose.is_empty() {
            // None of them was tested for its word.
            best = best.min(self.test(&self.loose, name, from..best, &mut [0; 64]));
        }
        best
    }

    /// The earliest of these that matches, at one of these positions.
    fn test(
        &self,
        numbers: &[u32],
        name: &Domain,
        range: std::ops::Range<u32>,
        tested: &mut Tested,
    ) -> u32 {
        let before = |number: &u32| {
            let pattern = self.patterns.get(*number as usize);
            pattern.is_some_and(|(at, _)| *at < range.start)
        };
        let later = numbers.get(numbers.partition_point(before)..);
        for number in later.unwrap_or_default() {
            let Some((at, pattern)) = self.patterns.get(*number as usize) else {
                break;
            };
            if *at >= range.end {
                break;
            }
            if let Some(word) = tested.get_mut((number / 64) as usize) {
                let bit = 1 << (number % 64);
                if *word & bit != 0 {
                    continue;
                }
                *word |= bit;
            }
            if pattern.is_match(name) {
                return *at;
            }
        }
        NOWHERE
    }

    /// Bytes that it takes, without the expressions themselves.
    pub(crate) fn bytes(&self) -> usize {
        let word =
            |word: &Word| size_of::<Word>() + word.keyword.bytes() + size_of_val(&*word.patterns);
        let automaton = self.automaton.as_ref();
        automaton.map_or(0, Automaton::bytes)
            + self.words.iter().map(word).sum::<usize>()
            + size_of_val(&*self.patterns)
            + size_of_val(&*self.loose)
            + self.grams.as_ref().map_or(0, Grams::bytes)
    }
}

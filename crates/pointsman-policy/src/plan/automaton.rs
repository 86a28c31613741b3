//! Many words in one Aho-Corasick automaton that is built in a time that grows as they do.
//!
//! The library moves all states that end a word to the front, each in exchange for another, and then follows every
//! state through all of its exchanges. Where nearly each state ends a word (`k`, `k1`, `k10`, `k100` ...) an exchange
//! is with a near one, and a state has thousands of them: 100,000 words took seconds. So a stretch of states comes
//! first that end no word, that of a padding which is in no text: an exchange is at least as far as that is long.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};

/// Fewer characters are built at once anyhow.
const FEWEST: usize = 1 << 14;

/// How many times longer than the padding the words are: no state is exchanged more often.
const RATIO: usize = 64;

/// No text has it: it is not UTF-8.
const NO_CHARACTER: u8 = 0xff;

/// Words by number.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    found: AhoCorasick,
    /// Whether a padding comes before the words.
    padded: bool,
}

impl Automaton {
    /// Of words, none of them empty. `None` where it would be too large.
    pub(super) fn new<'w>(
        builder: &AhoCorasickBuilder,
        words: impl Iterator<Item = &'w str> + Clone,
    ) -> Option<Self> {
        let padding = padding(words.clone().map(str::len).sum());
        let before = padding.as_deref();
        let all = before.into_iter().chain(words.map(|word| word.as_bytes()));
        Some(Self {
            found: builder.build(all).ok()?,
            padded: padding.is_some(),
        })
    }

    /// The numbers of the words that are in `text`, each as often as it is.
    #[inline]
    pub(super) fn found_in(&self, text: &str) -> impl Iterator<Item = usize> {
        let first = usize::from(self.padded);
        let found = self.found.find_overlapping_iter(text);
        found.filter_map(move |found| found.pattern().as_usize().checked_sub(first))
    }

    pub(super) fn bytes(&self) -> usize {
        self.found.memory_usage()
    }
}

/// What comes before words of so many characters.
fn padding(characters: usize) -> Option<Vec<u8>> {
    (characters >= FEWEST).then(|| vec![NO_CHARACTER; characters / RATIO])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often the library follows an exchange of states, for words of which each further character is one: what it
    /// does is done here in numbers.
    fn exchanges(padding: usize, words: usize) -> usize {
        // The states of the padding, of which the last ends a word, then those of the words.
        let states = padding + words;
        let mut map: Vec<usize> = (0..states).collect();
        for (to, from) in (padding.saturating_sub(1)..states).enumerate() {
            map.swap(from, to);
        }
        let mut followed = 0;
        for state in 0..states {
            let mut at = map[state];
            while at != state {
                at = map[at];
                followed += 1;
            }
        }
        followed
    }

    #[test]
    fn building_grows_as_the_words_do() {
        let cost = |words: usize| {
            let padding = padding(words).map_or(2, |padding| padding.len());
            exchanges(padding, words)
        };
        for words in [1 << 14, 1 << 16, 1 << 18] {
            assert!(
                cost(words) <= (RATIO + 2) * words * 2,
                "{words}: {}",
                cost(words)
            );
        }
        // Without a padding.
        assert!(exchanges(2, 1 << 14) > 1000 * (1 << 14));
    }

    /// Nanoseconds that this thread had a processor.
    fn worked() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// Four times the words took sixteen times as long.
    #[test]
    fn the_library_builds_in_a_time_that_grows_as_the_words_do() {
        let cost = |count: usize| {
            let words: Vec<String> = (0..count).map(|at| format!("k{at}")).collect();
            let once = |_| {
                let before = worked()?;
                Automaton::new(&AhoCorasick::builder(), words.iter().map(String::as_str))?;
                Some(worked()? - before)
            };
            (0..3).filter_map(once).min()
        };
        if let (Some(some), Some(many)) = (cost(10_000), cost(40_000)) {
            assert!(many < 10 * some, "{some} ns, then {many} ns");
        }
    }

    #[test]
    fn a_padding_is_in_no_text_and_changes_no_number() {
        let words: Vec<String> = (0..5000).map(|at| format!("keyword{at:04}")).collect();
        let builder = AhoCorasick::builder();
        let automaton = Automaton::new(&builder, words.iter().map(String::as_str)).unwrap();
        assert!(automaton.padded);
        let found = |text: &str| automaton.found_in(text).collect::<Vec<_>>();
        assert_eq!(found("a-keyword0000-keyword4999"), [0, 4999]);
        assert_eq!(found("ÿÿÿ\u{ff}keyword"), [0; 0]);
        let few = Automaton::new(&builder, ["a", "b"].into_iter()).unwrap();
        assert!(!few.padded && few.found_in("xba").collect::<Vec<_>>() == [1, 0]);
    }
}

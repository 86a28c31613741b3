//! Many words in one Aho-Corasick automaton that is built in a time that grows as they do.
//!
//! The library moves all states that end a word to the front, each in exchange for another, and then follows every
//! state through all of its exchanges. Where nearly each state ends a word (`k`, `k1`, `k10`, `k100` ...) an exchange
//! is with a near one, and a state has thousands of them: 100,000 words took seconds. So a stretch of states comes
//! first that end no word, that of a padding which is in no text: an exchange is at least as far as that is long.
//!
//! It keeps with each state all words that end there. Words that are made to end each other (`a`, `aa`, `aaa` ...) would
//! take a thousand times their size, so those that could be too many are left out: [`without_excess`].

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};

/// Fewer characters are built at once anyhow.
const FEWEST: usize = 1 << 14;

/// How many times longer than the padding the words are: no state is exchanged more often.
const RATIO: usize = 64;

/// No text has it: it is not UTF-8.
const NO_CHARACTER: u8 = 0xff;

/// How many words the states keep together, for each character of all words.
const KEPT: u64 = 8;

/// As many are kept anyhow.
const FEW_KEPT: u64 = 1 << 16;

/// Longer words are left out.
const LONGEST: usize = 1024;

/// Takes those keywords out with which an automaton could be too large, and gives their positions.
///
/// A state of so many characters ends at most one word of each length up to its own. Words of up to 15 characters are
/// never too many.
pub(crate) fn without_excess(keywords: &mut Vec<(&str, u32)>) -> Vec<u32> {
    // By length: whether there is such a word, then what one adds at most.
    let mut most = [0_u64; LONGEST + 1];
    for (word, _) in &*keywords {
        if let Some(length) = most.get_mut(word.len()) {
            *length = 1;
        }
    }
    let (mut ending, mut sum) = (0, 0);
    for length in &mut most {
        ending += *length;
        sum += ending;
        *length = sum;
    }
    let mut room = FEW_KEPT;
    let mut excess = Vec::new();
    keywords.retain(|(word, at)| {
        let more = KEPT * word.len() as u64;
        let rest = most
            .get(word.len())
            .and_then(|most| (room + more).checked_sub(*most));
        match rest {
            Some(rest) => room = rest,
            None => excess.push(*at),
        }
        rest.is_some()
    });
    excess
}

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
    fn words_that_could_end_each_other_too_often_are_left_out() {
        let check = |words: &[String], expected: &[u32]| {
            let pairs = words.iter().map(|word| &**word).zip(0..);
            let mut keywords: Vec<(&str, u32)> = pairs.collect();
            let excess = without_excess(&mut keywords);
            assert_eq!(excess, expected);
            assert_eq!(keywords.len() + excess.len(), words.len());
            assert!(keywords.iter().all(|(_, at)| !expected.contains(at)));
        };
        let nested = |lengths: std::ops::RangeInclusive<usize>| {
            lengths.map(|length| "a".repeat(length)).collect::<Vec<_>>()
        };
        check(&[], &[]);
        check(&nested(1..=80), &[]);
        check(&["a".repeat(LONGEST + 1), "b".repeat(LONGEST)], &[0]);
        // So short ones never are, however many.
        let short: Vec<String> = (0..100).flat_map(|_| nested(1..=15)).collect();
        check(&short, &[]);
        // Long ones that stand alone neither.
        let long: Vec<String> = (0..1000).map(|at| format!("{at:0>200}")).collect();
        check(&long, &[]);
        // Each state of these ends all shorter ones.
        let mut many = nested(1..=250);
        many.extend((0..100).map(|at| format!("{at:0>2}{}", "a".repeat(248))));
        let pairs = many.iter().map(|word| &**word).zip(0..);
        let mut keywords: Vec<(&str, u32)> = pairs.collect();
        let excess = without_excess(&mut keywords);
        assert!(excess.len() > 200, "{}", excess.len());
        assert!(keywords.len() > 50, "{}", keywords.len());
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

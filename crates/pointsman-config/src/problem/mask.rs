//! What of a text may be shown: problems end in logs, and show whole lines of files that hold secrets.
//!
//! Invariant: a value is shown because its key is known to be harmless, never because nothing said that it is secret.
//! The scan knows no dialect and no parser: it must hold for texts that are broken anywhere. Where it is in doubt it
//! hides. What is hidden in the text is hidden in sentences about it, too ([`Mask::said`]).
//!
//! Words of our own messages ([`keys::is_of_messages`]) are not hidden because a secret happens to hold one, but a secret of
//! several such words is: what is like the secret must lie within one word.
//!
//! Deliberately absent: secrecy of lengths (a star stands for each character), of a secret that somebody wrote as the
//! value of a harmless key, and, in sentences, of a secret that is one word of our messages.

mod keys;
mod lines;
mod words;

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::OnceLock;

use super::work::looked;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// YAML or JSON: what a key says decides.
    Keyed,
    /// Rules, names, trees, cases: nothing but logins and queries of URLs can be secret.
    Open,
    /// reflow's items: an egress may have been given a login.
    Reflow,
    /// As [`Form::Keyed`], in TOML.
    Toml,
}

/// What is hidden of a text.
#[derive(Default)]
pub(super) struct Mask {
    /// Sorted, apart from each other.
    hidden: Vec<Range<usize>>,
    /// What is known to be harmless, one word or value each.
    shown: Vec<Range<usize>>,
    /// Hidden texts as a parser would read them, where that is not how they are written.
    read: Vec<String>,
    index: OnceLock<Index>,
}

/// How many bytes in a row tell that a word is of a hidden text; as many as a `u32` holds.
const RUN: usize = 4;

/// So many runs one after the other tell the same outside of backticks, where our own prose stands.
const RUNS_IN_PROSE: usize = 3;

/// The words of a text, for sentences about it.
struct Index {
    /// Each run of bytes of what is hidden, in lower case and as a number; sorted.
    runs: Vec<u32>,
    /// What is hidden and shorter than a run.
    short: HashSet<String>,
    /// What is shown, in lower case.
    shown: HashSet<String>,
}

impl Mask {
    /// Scans a text; takes time in its length alone.
    pub(super) fn of(form: Form, text: &str) -> Self {
        let (mut hidden, shown) = match form {
            Form::Keyed => lines::scan(text, false),
            Form::Toml => lines::scan(text, true),
            Form::Open => words::scan(text),
            // Another language that was taken for reflow's.
            Form::Reflow if text.lines().any(|line| line.starts_with('[')) => {
                lines::scan(text, true)
            }
            Form::Reflow if !words::has_items(text) => lines::scan(text, false),
            Form::Reflow => words::scan_reflow(text),
        };
        hidden.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(hidden.len());
        for range in hidden {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        let escaped = merged.iter().filter_map(|range| {
            let hidden = &text[range.clone()];
            hidden.contains('\\').then(|| words::unescaped(hidden))
        });
        Self {
            read: escaped.collect(),
            hidden: merged,
            shown,
            index: OnceLock::new(),
        }
    }

    /// Whether the byte at an offset is hidden.
    pub(super) fn hides(&self, at: usize) -> bool {
        let next = self.hidden.partition_point(|range| range.end <= at);
        self.hidden
            .get(next)
            .is_some_and(|range| range.contains(&at))
    }

    /// A sentence about the text, without what is hidden there.
    pub(super) fn said<'s>(&self, text: &str, sentence: &'s str) -> Cow<'s, str> {
        if self.hidden.is_empty() {
            return Cow::Borrowed(sentence);
        }
        let index = self.index.get_or_init(|| self.index(text));
        looked(sentence.len());
        let mut out = String::with_capacity(sentence.len());
        let mut changed = false;
        for (number, part) in sentence.split('`').enumerate() {
            if number > 0 {
                out.push('`');
            }
            let quoted = number % 2 == 1;
            if quoted && (index.may_say(part, 1) || index.tells_words(part, 1)) {
                out.push_str(part);
                continue;
            }
            if quoted {
                out.push_str(STARS);
                changed = true;
                continue;
            }
            let apart = index.tells_words(part, RUNS_IN_PROSE);
            for word in part.split_inclusive(char::is_whitespace) {
                let bare = word.trim_end();
                if index.may_say(bare, RUNS_IN_PROSE) || apart && keys::is_of_messages(bare) {
                    out.push_str(word);
                } else {
                    out.push_str(STARS);
                    out.push_str(&word[bare.len()..]);
                    changed = true;
                }
            }
        }
        match changed {
            true => Cow::Owned(out),
            false => Cow::Borrowed(sentence),
        }
    }

    fn index(&self, text: &str) -> Index {
        let mut index = Index {
            runs: Vec::new(),
            short: HashSet::new(),
            shown: HashSet::new(),
        };
        let raw = self.hidden.iter().map(|range| &text[range.clone()]);
        for hidden in raw.chain(self.read.iter().map(String::as_str)) {
            let bare = hidden.trim_matches(|c: char| !c.is_alphanumeric());
            let bare = bare.to_lowercase();
            if bare.len() < RUN {
                index.short.insert(bare);
                continue;
            }
            looked(hidden.len());
            index.runs.extend(runs(&hidden.to_lowercase()));
        }
        index.runs.sort_unstable();
        index.runs.dedup();
        for range in &self.shown {
            looked(range.len());
            let shown = text[range.clone()].trim().to_lowercase();
            let apart = shown.split(|c: char| !word_like(c));
            index.shown.extend(apart.map(str::to_owned));
            index.shown.insert(shown);
        }
        index
    }
}

/// Stands for a text that is not said.
const STARS: &str = "***";

fn word_like(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

impl Index {
    /// Whether a piece of a sentence is harmless: `runs` one after the other tell a hidden text.
    fn may_say(&self, piece: &str, runs: usize) -> bool {
        let lower = piece.trim().to_lowercase();
        let address = lower.parse::<SocketAddr>().is_ok() || lower.parse::<IpAddr>().is_ok();
        if address || self.shown.contains(&lower) || keys::is_known_word(&lower) {
            return true;
        }
        if runs == 1 && self.short.contains(&lower) {
            return false;
        }
        if !self.tells(&lower, runs) {
            return true;
        }
        // A run may go over a sign: the words of it alone are looked at where all of them are known.
        let mut words = lower
            .split(|c: char| !word_like(c))
            .filter(|w| !w.is_empty());
        words.all(|word| self.shown.contains(word) || keys::is_known_word(word))
    }

    fn tells(&self, lower: &str, runs: usize) -> bool {
        let mut row = 0;
        self::runs(lower).any(|run| {
            let known = self.runs.binary_search(&run).is_ok();
            row = if known { row + 1 } else { 0 };
            row >= runs
        })
    }

    /// Whether each piece of a text that tells a hidden text lies within one word of our messages.
    fn tells_words(&self, text: &str, runs: usize) -> bool {
        let lower = text.to_lowercase();
        let own = |piece: Range<usize>| {
            let in_word = |c: char| c.is_ascii_alphabetic();
            let said = lower.get(piece.clone()).unwrap_or(" ? ");
            let bare = said.trim_matches(|c: char| !c.is_alphanumeric());
            if !bare.chars().all(in_word) {
                return keys::is_known_word(bare) || keys::is_rule_type(bare);
            }
            let from = piece.start + said.find(bare).unwrap_or(0);
            let before = lower[..from].rfind(|c| !in_word(c)).map_or(0, |at| {
                at + lower[at..].chars().next().map_or(0, char::len_utf8)
            });
            let behind = lower[from..].find(|c| !in_word(c));
            let word = &lower[before..behind.map_or(lower.len(), |at| from + at)];
            keys::is_of_messages(word)
        };
        let mut row = 0;
        let mut begun = 0;
        let last = lower.len().saturating_sub(RUN - 1);
        let known = self::runs(&lower).map(|run| self.runs.binary_search(&run).is_ok());
        known
            .chain([false])
            .take(last + 1)
            .enumerate()
            .all(|(at, known)| {
                if known {
                    begun = if row == 0 { at } else { begun };
                    row += 1;
                    return true;
                }
                let told = std::mem::take(&mut row);
                told < runs || own(begun..at + RUN - 1)
            })
    }
}

/// Each run of bytes of a text, as a number.
fn runs(text: &str) -> impl Iterator<Item = u32> {
    let (before, rest) = text.as_bytes().split_at(text.len().min(RUN - 1));
    let mut run = before
        .iter()
        .fold(0, |run, byte| run << 8 | u32::from(*byte));
    rest.iter().map(move |byte| {
        run = run << 8 | u32::from(*byte);
        run
    })
}

#[cfg(test)]
mod tests;

//! What of a text may be shown: problems end in logs, and show whole lines of files that hold secrets.
//!
//! Invariant: a value is shown because its key is known to be harmless, never because nothing said that it is secret.
//! The scan knows no dialect and no parser: it must hold for texts that are broken anywhere. Where it is in doubt it
//! hides. What is hidden in the text is hidden in sentences about it, too ([`Mask::said`]).
//!
//! What a configuration gives names to is known by its place (a key of `outbounds`, the value of `name`, reflow's
//! `egress NAME`), and shown whatever it looks like: in its line, in sentences, and where nobody else knows what a value is.
//!
//! Words of our own messages ([`keys::is_of_messages`]) are not hidden because a secret happens to hold some of them. A
//! secret of several such words is hidden between backticks, and elsewhere where it stands as a whole.
//!
//! Deliberately absent: secrecy of lengths (a star stands for each character), of a secret that somebody wrote as the
//! value of a harmless key or where a name stands, and, in sentences, of a secret that is one word of our messages or a
//! name of the configuration.

mod keys;
mod lines;
mod words;

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::OnceLock;

use super::work::looked;
use words::Parts;

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
    /// What things are called there, in lower case.
    names: HashSet<String>,
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
    /// What is hidden and has several words, as a whole, in lower case.
    phrases: HashSet<String>,
    /// What is shown, in lower case.
    shown: HashSet<String>,
}

impl Mask {
    /// Scans a text; takes time in its length alone.
    pub(super) fn of(form: Form, text: &str) -> Self {
        let parts = match form {
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
        let Parts {
            mut hidden,
            mut shown,
            names: places,
            doubted,
        } = parts;
        let names = places.iter().map(|range| named(&text[range.clone()]));
        let names: HashSet<String> = names.collect();
        shown.extend(places);
        for range in doubted {
            match names.contains(&named(&text[range.clone()])) {
                true => shown.push(range),
                false => hidden.push(range),
            }
        }
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
            names,
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

    /// What things are called there, in lower case.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    /// A sentence about the text, without what is hidden there; `names` of texts that belong to it are said.
    pub(super) fn said<'s>(
        &self,
        text: &str,
        sentence: &'s str,
        names: impl FnOnce() -> Vec<String>,
    ) -> Cow<'s, str> {
        if self.hidden.is_empty() {
            return Cow::Borrowed(sentence);
        }
        let index = self.index.get_or_init(|| self.index(text, names()));
        looked(sentence.len());
        let mut out = String::with_capacity(sentence.len());
        let mut changed = false;
        for (number, part) in sentence.split('`').enumerate() {
            if number > 0 {
                out.push('`');
            }
            let said = match number % 2 {
                1 => index.quoted(part),
                _ => index.prose(part),
            };
            changed |= said != part;
            out.push_str(&said);
        }
        match changed {
            true => Cow::Owned(out),
            false => Cow::Borrowed(sentence),
        }
    }

    fn index(&self, text: &str, names: Vec<String>) -> Index {
        let mut index = Index {
            runs: Vec::new(),
            short: HashSet::new(),
            phrases: HashSet::new(),
            shown: self.names.iter().cloned().chain(names).collect(),
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
            if bare.contains(char::is_whitespace) {
                index.phrases.insert(bare);
            }
            index.runs.extend(runs(&hidden.to_lowercase()));
            // Prose is compared with its bytes where they are.
            if !hidden.is_ascii() {
                index.runs.extend(runs(&hidden.to_ascii_lowercase()));
            }
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

/// A name as it is compared: without signs around it, which some languages write to it.
fn named(text: &str) -> String {
    let name = text.trim_matches(|c: char| c.is_whitespace() || "\"'=[{".contains(c));
    name.strip_prefix("rule=").unwrap_or(name).to_lowercase()
}

fn word_like(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

impl Index {
    /// What stands between backticks: a word or several of the text, shown whole or not at all.
    fn quoted<'p>(&self, part: &'p str) -> Cow<'p, str> {
        let lower = part.trim().to_lowercase();
        if self.is_harmless(&lower) {
            return Cow::Borrowed(part);
        }
        let harmless =
            |piece| self.in_known_words(&lower, &piece) || self.in_own_word(&lower, &piece);
        match !self.short.contains(&lower) && self.told(&lower, 1).into_iter().all(harmless) {
            true => Cow::Borrowed(part),
            false => Cow::Borrowed(STARS),
        }
    }

    /// Our own words, and what they say without backticks: of a piece that tells a hidden text its words are not shown.
    fn prose<'p>(&self, part: &'p str) -> Cow<'p, str> {
        // Each byte stays where it is.
        let lower = part.to_ascii_lowercase();
        let mut told = self.told(&lower, RUNS_IN_PROSE);
        told.retain(|piece| {
            !(self.in_known_words(&lower, piece)
                || self.in_own_word(&lower, piece)
                || self.is_own_prose(&lower, piece))
        });
        if told.is_empty() {
            return Cow::Borrowed(part);
        }
        let mut out = String::with_capacity(part.len());
        let mut told = told.into_iter().peekable();
        let mut at = 0;
        for word in part.split_inclusive(char::is_whitespace) {
            let bare = word.trim_end();
            let end = at + bare.len();
            while told.next_if(|piece| piece.end <= at).is_some() {}
            let touched = told.peek().is_some_and(|piece| piece.start < end);
            match touched && !bare.is_empty() && !self.is_harmless(&bare.to_lowercase()) {
                true => out.extend([STARS, &word[bare.len()..]]),
                false => out.push_str(word),
            }
            at += word.len();
        }
        Cow::Owned(out)
    }

    /// Whether a word is known as a whole, in lower case.
    fn is_harmless(&self, word: &str) -> bool {
        let address = word.parse::<SocketAddr>().is_ok() || word.parse::<IpAddr>().is_ok();
        address || self.shown.contains(word) || keys::is_known_word(word)
    }

    /// The pieces of a text that tell a hidden text by so many runs one after the other, in their order.
    fn told(&self, lower: &str, runs: usize) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut row = 0;
        let known = self::runs(lower).map(|run| self.runs.binary_search(&run).is_ok());
        for (at, known) in known.chain([false]).enumerate() {
            if known {
                row += 1;
                continue;
            }
            let told = std::mem::take(&mut row);
            if told >= runs {
                pieces.push(at - told..at + RUN - 1);
            }
        }
        pieces
    }

    /// Whether each word that a piece touches is known: a run may go over a sign.
    fn in_known_words(&self, lower: &str, piece: &Range<usize>) -> bool {
        let touched = &lower[around(lower, piece, word_like)];
        let mut words = touched.split(|c: char| !word_like(c));
        words.all(|word| word.is_empty() || self.shown.contains(word) || keys::is_known_word(word))
    }

    /// Whether a piece lies within one word of our messages.
    fn in_own_word(&self, lower: &str, piece: &Range<usize>) -> bool {
        let in_word = |c: char| c.is_ascii_alphabetic();
        let said = lower.get(piece.clone()).unwrap_or(" ? ");
        let bare = said.trim_matches(|c: char| !c.is_alphanumeric());
        if !bare.chars().all(in_word) {
            return keys::is_known_word(bare) || keys::is_rule_type(bare);
        }
        let from = piece.start + said.find(bare).unwrap_or(0);
        keys::is_of_messages(&lower[around(lower, &(from..from + bare.len()), in_word)])
    }

    /// Whether a piece goes over several words of our messages or known ones, and no hidden text as a whole is among them: a pass phrase
    /// has such words, too.
    fn is_own_prose(&self, lower: &str, piece: &Range<usize>) -> bool {
        let touched = &lower[around(lower, piece, |c| !c.is_whitespace())];
        let words: Vec<&str> = touched.split_whitespace().collect();
        let sign = |c: char| !c.is_alphanumeric();
        let own = |word: &&str| {
            let mut apart = word.split(sign).filter(|one| !one.is_empty());
            self.is_harmless(word.trim_matches(sign))
                || apart.all(|one| one.len() < RUN || keys::is_of_messages(one))
        };
        let phrase = |words: &[&str]| self.phrases.contains(words.join(" ").trim_matches(sign));
        words.len() <= MOST_OWN
            && words.iter().all(own)
            && !(2..=words.len()).any(|count| words.windows(count).any(phrase))
    }
}

/// The most words that are taken for our own where a hidden text has some like them, one after the other.
const MOST_OWN: usize = 8;

/// A piece of a text, widened to where its words begin and end.
fn around(text: &str, piece: &Range<usize>, in_word: impl Fn(char) -> bool) -> Range<usize> {
    // A run is of bytes, and may cut a character.
    let start = text.floor_char_boundary(piece.start);
    let end = text.ceil_char_boundary(piece.end);
    let before = text[..start].trim_end_matches(&in_word).len();
    let behind = text[end..].trim_start_matches(&in_word).len();
    before..text.len() - behind
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
mod names_tests;
#[cfg(test)]
mod tests;

//! What a list had to say besides its entries, by reason.
//!
//! Invariant: bounded, however bad the list is: of each reason the first line is kept, the numbers of the
//! next two and how many there are. Places carry their own line's text, so nothing of the list need stay in memory.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::shown::sentence;
use super::{Behavior, Format, Unreadable};
use crate::problem::{Again, Problems, Source, Span};

/// The most reasons of one list that are told one by one.
const MOST_REASONS: usize = 20;

/// How many lines of a reason are named besides the first.
const MORE_LINES: usize = 2;

/// The most of a line that is kept to show it, in bytes.
const MOST_SHOWN: usize = 256;

/// A place in a list: a line with its text, and the bytes of it that are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// From 1; in binary formats the entry's number.
    pub line: u32,
    /// The line, shortened where it is very long.
    pub text: String,
    /// The first byte that is meant.
    pub start: usize,
    /// Behind the last byte that is meant.
    pub end: usize,
}

impl Spot {
    /// A part of a line.
    #[must_use]
    pub fn new(line: u32, text: &str, start: usize, end: usize) -> Self {
        let most = text.floor_char_boundary(MOST_SHOWN);
        Self {
            line,
            text: text[..most].to_owned(),
            start: start.min(most),
            end: end.clamp(start.min(most), most),
        }
    }

    fn span(&self, file: &Arc<str>) -> Span {
        Source::excerpt(file, self.line, self.text.clone()).span(self.start, self.end)
    }
}

/// What is told of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remark {
    /// It cannot be read, and is left out.
    LeftOut,
    /// Its format has it, and it says nothing that a set can hold.
    Passed,
    /// As [`Self::Passed`], and so many that the list says little without them.
    MostPassed,
    /// It is written as another format has it, and read so.
    OtherFormat,
    /// A range with bits behind its length: which addresses it means is not what it shows.
    HostBits,
    /// It holds no flow.
    NeverMatches,
    /// It holds every name.
    TakesAll,
    /// The plain names of the list could mean two things.
    Guessed,
}

/// What is told of entries for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What is told.
    pub kind: Remark,
    /// What is wrong with the first; of what is passed over a plural.
    pub message: String,
    /// Where the first stands.
    pub first: Spot,
    /// The lines of the next two.
    pub lines: Vec<u32>,
    /// How many there are.
    pub count: usize,
    /// The message without what it quotes.
    gist: String,
}

/// What was told while a list was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadReport {
    /// How it is written, named or recognised.
    pub format: Option<Format>,
    /// What its entries are, named or recognised; `None`: each by its own look or by the format.
    pub behavior: Option<Behavior>,
    /// Whether marks are mihomo's: `*.x` is one label below `x`, `.x` all below without `x`.
    pub clash_marks: bool,
    /// Whether its patterns are dnscrypt-proxy's: in `ad*.x` the star stands for any text, with dots.
    pub dnscrypt: bool,
    /// What was told, by reason, in the order of the first lines.
    pub reasons: Vec<Reason>,
}

impl ReadReport {
    /// Tells of a bad entry.
    pub fn bad(&mut self, spot: Spot, message: String) {
        self.say(Remark::LeftOut, spot, message);
    }

    /// Counts something that is passed over, under a plural: `rules about parts of pages`.
    pub fn pass(&mut self, what: &'static str, line: u32, text: &str) {
        // The commonest by far, in lists of a hundred thousand such rules.
        let known = |r: &&mut Reason| r.kind == Remark::Passed && r.message == what;
        match self.reasons.iter_mut().find(known) {
            Some(reason) => reason.again(line),
            None => {
                let spot = Spot::new(line, text, 0, text.len());
                self.say(Remark::Passed, spot, what.to_owned());
            }
        }
    }

    /// Tells of an entry what its kind is; those with the same reason are one.
    pub fn say(&mut self, kind: Remark, spot: Spot, message: String) {
        let message = sentence(message);
        let gist = gist(&message, &spot.text);
        let known = |r: &&mut Reason| r.kind == kind && r.gist == gist;
        if let Some(reason) = self.reasons.iter_mut().find(known) {
            return reason.again(spot.line);
        }
        if self.reasons.len() < MOST_REASONS {
            return self.reasons.push(Reason {
                kind,
                message,
                first: spot,
                lines: Vec::new(),
                count: 1,
                gist,
            });
        }
        // A kind that has room for no more reasons has one for the rest: eight at most.
        let known = |r: &&mut Reason| r.kind == kind && r.gist.is_empty();
        match self.reasons.iter_mut().find(known) {
            Some(reason) => reason.again(spot.line),
            None => self.reasons.push(Reason {
                kind,
                message: format!("{message} (more lines, for this and other reasons)"),
                first: spot,
                lines: Vec::new(),
                count: 1,
                gist: String::new(),
            }),
        }
    }

    /// How many entries were left out.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.of(Remark::LeftOut).map(|reason| reason.count).sum()
    }

    /// The reasons of one kind.
    pub fn of(&self, kind: Remark) -> impl Iterator<Item = &Reason> {
        self.reasons
            .iter()
            .filter(move |reason| reason.kind == kind)
    }

    /// Makes problems of it, in the file of this name (relative to the configuration's directory).
    pub fn report(&self, file: &str, strict: bool, problems: &mut Problems) {
        let file = Arc::from(file);
        for reason in &self.reasons {
            reason.report(&file, strict, problems);
        }
    }
}

impl Reason {
    fn again(&mut self, line: u32) {
        self.count += 1;
        // A line may have several such entries.
        let last = self.lines.last().unwrap_or(&self.first.line);
        if *last != line && self.lines.len() < MORE_LINES {
            self.lines.push(line);
        }
    }

    fn report(&self, file: &Arc<str>, strict: bool, problems: &mut Problems) {
        let span = self.first.span(file);
        let message = self.message.as_str();
        let problem = match self.kind {
            Remark::LeftOut if strict => problems.error("invalid-entry", &span, message),
            Remark::LeftOut => {
                let problem = problems.warning("invalid-entry", &span, message);
                problem.hint = Some("left out; `strict: true` makes it an error".into());
                problem
            }
            Remark::MostPassed | Remark::Passed => {
                let message = match self.count {
                    1 => format!("{message} are passed over: this one"),
                    count => format!("{message} are passed over: {count}, this one the first"),
                };
                let problem = match self.kind {
                    Remark::Passed => problems.note("passed-over", &span, message),
                    _ => problems.warning("passed-over", &span, message),
                };
                if self.kind == Remark::MostPassed {
                    let hint =
                        "this list is made for browsers: take one for name servers, or hosts";
                    problem.hint = Some(hint.into());
                }
                return;
            }
            Remark::OtherFormat => problems.warning("other-format", &span, message),
            Remark::HostBits => problems.warning("host-bits", &span, message),
            Remark::NeverMatches => problems.warning("never-matches", &span, message),
            Remark::TakesAll => problems.warning("takes-everything", &span, message),
            Remark::Guessed => {
                let problem = problems.note("guessed-meaning", &span, message);
                let hint = "`behavior` says which: `domain` (themselves alone) or `names` (with all below)";
                problem.hint = Some(hint.into());
                problem
            }
        };
        if self.count > 1 {
            problem.again = Some(Again {
                lines: self.lines.clone(),
                alike: false,
                count: self.count - 1,
            });
        }
    }
}

/// A message without what it quotes: what is the same of all entries that are bad for one reason. Of what it quotes the
/// type of a rule stays: rules of two types are bad for two reasons.
fn gist(message: &str, entry: &str) -> String {
    let mut gist = String::with_capacity(message.len());
    for (at, part) in message.split('`').enumerate() {
        let quoted = at % 2 == 1;
        if !quoted || is_rule_type(part, entry) {
            gist.push_str(part);
        }
    }
    gist
}

/// Whether an entry is a rule of this type: the word stands in it, in capitals and before a comma.
fn is_rule_type(word: &str, entry: &str) -> bool {
    let is_type = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
    word.len() > 1
        && word.bytes().all(is_type)
        && entry
            .match_indices(word)
            .any(|(at, word)| entry[at + word.len()..].starts_with(','))
}

impl Unreadable {
    /// Makes a problem of it, in the file of this name (relative to the configuration's directory); where
    /// no place in that can be named, at this one.
    pub fn report(&self, file: &str, otherwise: Option<&Span>, problems: &mut Problems) {
        let name = Arc::from(file);
        let (code, at, hint) = match self {
            Self::Malformed { hint, at, .. } => ("invalid-list", at.as_ref(), hint.clone()),
            Self::Io(_) => ("unreadable", None, None),
        };
        let problem = match (at, otherwise) {
            (Some(spot), _) => problems.error(code, &spot.span(&name), self.to_string()),
            (None, Some(place)) => problems.error(code, place, format!("`{file}`: {self}")),
            (None, None) => {
                let place = Source::excerpt(&name, 1, String::new()).span(0, 0);
                problems.error(code, &place, self.to_string())
            }
        };
        problem.hint = hint;
    }

    /// As one says it of a file: with its place if one can be named, and with what to do.
    #[must_use]
    pub fn of_file(&self, file: &str) -> String {
        let mut problems = Problems::default();
        match self {
            Self::Malformed {
                at: None,
                hint,
                message,
            } => {
                let hint = hint.as_ref();
                let hint = hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
                format!("{file}: error[invalid-list]: {message}{hint}")
            }
            Self::Io(_) => format!("{file}: error[unreadable]: {self}"),
            Self::Malformed { .. } => {
                self.report(file, None, &mut problems);
                let shown = problems.0.first().map(ToString::to_string);
                shown.unwrap_or_default()
            }
        }
    }
}

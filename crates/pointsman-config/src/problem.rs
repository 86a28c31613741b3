//! Problems of a configuration: every one with its place, a stable code and a hint.
//!
//! Readers never stop at the first problem: they push into [`Problems`] and go on with what is left.

mod beyond;
mod excerpt;
mod mask;
mod same;
mod source;
mod work;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use pointsman_policy::near::nearest;

use beyond::Beyond;
use excerpt::{Excerpt, excerpt};

pub use mask::Form;
pub use same::Again;
pub use source::{Source, Span};

/// The most characters of a message, a hint or a word why.
const MOST_SAID: usize = 1_000;

/// The code of what is understood and not built: its messages begin with `not yet: `.
const NOT_YET: &str = "not-yet";

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing: "not yet" and the like.
    Note,
    /// Works, but hardly as meant.
    Warning,
    /// The configuration is refused.
    Error,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a problem is about, for the parts of the program that go by it: none goes by the words of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A name that is nearly another: its hint says which.
    Misspelt,
    /// Flows that do not come in, because what would take them is not built.
    NotTaken,
    /// A pattern of an app or domain rule, as it is written.
    Pattern(String),
}

/// One problem.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Stable, kebab-case: `unknown-key`, `unknown-outbound`, `not-yet` ... Each is described in
    /// `docs/reference/problems.md`.
    pub code: &'static str,
    /// What is wrong, in one sentence without a final dot; it may quote a secret, so that nobody else has it.
    message: String,
    /// Where; problems of a file that cannot be read have an empty source.
    pub span: Span,
    /// What to do.
    pub hint: Option<String>,
    /// Another place that belongs to it, with a word why.
    pub related: Option<(Span, String)>,
    /// Where else the very same is to be said.
    pub again: Option<Again>,
    /// What it is about, where another part of the program goes by it.
    pub about: Option<About>,
}

/// As it is shown: the message may hold secrets.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({self})")
    }
}

impl Problem {
    /// A problem at a place.
    #[must_use]
    pub fn new(
        severity: Severity,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            span,
            hint: None,
            related: None,
            again: None,
            about: None,
        }
    }

    /// Its message and hint in other words.
    pub(crate) fn reword(&mut self, words: impl Fn(&str) -> String) {
        self.message = words(&self.message);
        self.hint = self.hint.as_deref().map(words);
    }

    /// The message, fit to be shown: cut, and without what is not shown of the text.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.code {
            NOT_YET => format!("not yet: {}", self.what()),
            _ => self.what(),
        }
    }

    /// As [`Self::sentence`], without the words that are the same for all problems of its code.
    #[must_use]
    pub fn what(&self) -> String {
        self.said(&self.message)
    }

    /// A sentence of it, cut, and without what is not shown of the texts that it is about.
    fn said(&self, sentence: &str) -> String {
        let mut said = self.span.source.said(sentence).into_owned();
        if let Some((span, _)) = &self.related
            && !Arc::ptr_eq(&span.source, &self.span.source)
        {
            said = span.source.said(&said).into_owned();
        }
        bounded(&said).into_owned()
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Span, why: impl Into<String>) -> Self {
        self.related = Some((span, why.into()));
        self
    }
}

/// `path:line:col: error[code]: text`, then the line with a caret, the related place, the hint.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.severity.as_str();
        let (line, column) = self.span.line_column();
        let file = self.span.file();
        write!(
            f,
            "{file}:{line}:{column}: {word}[{}]: {}",
            self.code,
            self.sentence()
        )?;
        write_caret(f, &self.span)?;
        if let Some((span, why)) = &self.related {
            let (line, column) = span.line_column();
            let why = self.said(why);
            write!(f, "\n  {}:{line}:{column}: {why}", span.file())?;
        }
        if let Some(again) = &self.again {
            write!(f, "\n  {again}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {}", self.said(hint))?;
        }
        Ok(())
    }
}

/// As clients and scripts get it.
impl From<&Problem> for pointsman_api::Problem {
    fn from(problem: &Problem) -> Self {
        let Problem {
            severity,
            code,
            message: _,
            span,
            hint,
            related,
            again,
            about: _,
        } = problem;
        let (line, column) = span.line_column();
        let related = related.as_ref().map(|(span, why)| {
            let (line, column) = span.line_column();
            let file = span.file().to_string();
            pointsman_api::problem::Related {
                message: problem.said(why),
                file,
                line,
                column,
            }
        });
        Self {
            severity: severity.as_str().to_owned(),
            code: (*code).to_owned(),
            message: problem.sentence(),
            file: span.file().to_string(),
            line,
            column,
            hint: hint.as_deref().map(|hint| problem.said(hint)),
            related,
            count: again.as_ref().map_or(1, |again| again.count + 1),
            text: problem.to_string(),
        }
    }
}

fn write_caret(f: &mut fmt::Formatter<'_>, span: &Span) -> fmt::Result {
    let (line, start) = span.source.whole_line_at(span.start);
    if line.trim().is_empty() {
        return Ok(());
    }
    let mask = span.source.mask();
    let secret = |at: usize| mask.hides(start + at);
    let Excerpt {
        shown,
        before,
        width,
    } = excerpt(line, span.start - start..span.end - start, secret);
    let caret = "^".repeat(width);
    write!(f, "\n  | {shown}\n  | {:before$}{caret}", "")
}

/// A sentence, cut where it says a whole file: what is wrong is often quoted.
fn bounded(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST_SAID) {
        Some((at, _)) => Cow::Owned(format!("{}...", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

/// All problems found so far: of each code and severity the first with their words, and how many there are besides.
#[derive(Clone, Default)]
pub struct Problems(pub Vec<Problem>, Box<Beyond>);

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Problems").field(&self.told()).finish()
    }
}

impl Problems {
    /// None so far, and all will be kept, however many there are: for programs that mend each.
    #[must_use]
    pub fn unbounded() -> Self {
        Self(Vec::new(), Box::new(Beyond::nothing(true)))
    }

    /// None so far, for a part whose problems are looked at or put in other words before they are [absorbed](Self::absorb).
    #[must_use]
    pub fn apart(&self) -> Self {
        Self(Vec::new(), Box::new(Beyond::nothing(self.1.is_nothing())))
    }

    /// Adds all problems of a part.
    pub fn absorb(&mut self, part: Self) {
        let Self(kept, beyond) = part;
        for problem in kept {
            self.add(problem);
        }
        self.1.absorb(*beyond);
    }

    /// Adds a problem, and returns it for a hint.
    pub fn add(&mut self, problem: Problem) -> &mut Problem {
        if self.1.keeps(&problem) {
            let at = self.0.len();
            self.0.push(problem);
            return &mut self.0[at];
        }
        self.1.last.insert(Box::new(problem))
    }

    /// The one that was added last.
    pub fn last_mut(&mut self) -> Option<&mut Problem> {
        let Self(kept, beyond) = self;
        match &mut beyond.last {
            Some(last) => Some(last),
            None => kept.last_mut(),
        }
    }

    /// How many are of a severity; of many that are equal one, once they are sorted.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let kept = self.0.iter().filter(|it| it.severity == severity);
        kept.count() + self.1.of(severity)
    }

    /// How many there are, as in [`Self::count`].
    #[must_use]
    pub fn total(&self) -> usize {
        let all = [Severity::Note, Severity::Warning, Severity::Error];
        all.into_iter().map(|severity| self.count(severity)).sum()
    }

    /// Leaves out all that are of certain codes or severities.
    pub fn retain(&mut self, stays: impl Fn(&'static str, Severity) -> bool) {
        self.0.retain(|it| stays(it.code, it.severity));
        self.1.retain(stays);
    }

    /// Those that are kept, and for each kind with more of them one that says how many.
    #[must_use]
    pub fn told(&self) -> Vec<Problem> {
        self.0.iter().cloned().chain(self.1.told()).collect()
    }

    /// Adds an error and returns it for a hint.
    pub fn error(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.push(Severity::Error, code, span, message.into())
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.push(Severity::Warning, code, span, message.into())
    }

    /// Adds a note.
    pub fn note(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.push(Severity::Note, code, span, message.into())
    }

    /// Notes a key of a later capability: understood, not built. The message begins `not yet: `.
    pub fn not_yet(&mut self, span: &Span, what: impl fmt::Display) -> &mut Problem {
        self.push(Severity::Note, NOT_YET, span, what.to_string())
    }

    /// Whether an error is among them.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// The errors among those that are kept.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().filter(|p| p.severity == Severity::Error)
    }

    /// In the order of files and places; many that are equal become one, at the first of their places.
    pub fn sort(&mut self) {
        self.0.sort_by_cached_key(|problem| {
            let Problem { span, severity, .. } = problem;
            (
                Arc::clone(span.file()),
                span.place(),
                std::cmp::Reverse(*severity),
            )
        });
        same::join(&mut self.0, &mut self.1);
    }

    /// As people read them: of notes that an ordinary file has for many rules one of each code in a file, with the
    /// lines of the others.
    #[must_use]
    pub fn folded(&self) -> Self {
        Self(same::folded(&self.0), self.1.clone())
    }

    /// At most so many of them, the graver ones first and otherwise in their order, and how many are left out.
    #[must_use]
    pub fn first(&self, most: usize) -> (Vec<&Problem>, usize) {
        let mut chosen: Vec<&Problem> = self.0.iter().collect();
        chosen.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
        chosen.truncate(most);
        let left_out = self.total() - chosen.len();
        (chosen, left_out)
    }

    /// Adds a problem of this severity.
    pub(crate) fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        span: &Span,
        message: String,
    ) -> &mut Problem {
        self.add(Problem::new(severity, code, span.clone(), message))
    }
}

#[cfg(test)]
mod beyond_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod work_tests;

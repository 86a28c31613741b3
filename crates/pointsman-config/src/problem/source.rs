//! Texts with their names, and places in them.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::mask::{Form, Mask};
use super::work::looked;

/// Of so many bytes it is kept how many characters stand before them.
const BLOCK: usize = 1024;

/// The most white space that stands for what is before a text on its line.
const MOST_INDENTED: u32 = 200;

/// A source text with its name, for places and carets.
pub struct Source {
    /// Relative to the configuration's directory, as explanations name it.
    pub file: Arc<str>,
    /// The whole text; of an excerpt, its line alone.
    pub text: String,
    /// The number of the text's first line, from 1.
    first_line: u32,
    /// The characters that stand before the text on that line.
    indented: u32,
    /// Where each line begins: counted once, whoever asks how often.
    starts: OnceLock<Vec<usize>>,
    /// How many characters stand before each block of bytes: columns of a line of megabytes are asked for often.
    blocks: OnceLock<Vec<usize>>,
    /// How it is written, once that is known.
    form: OnceLock<Form>,
    /// What of it is not shown.
    mask: OnceLock<Mask>,
    /// Other texts of the same configuration, whose names may be said of this one.
    kin: Mutex<Vec<Weak<Self>>>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        let whole = |it: &Self| (it.first_line, it.indented);
        (&self.file, &self.text, whole(self)) == (&other.file, &other.text, whole(other))
    }
}

impl Eq for Source {}

/// A place in a source: a byte range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which text.
    pub source: Arc<Source>,
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset behind the last byte, not before `start`.
    pub end: usize,
}

/// The name alone: the text may hold secrets.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.file)
    }
}

impl Source {
    /// A configuration under a name: values are shown where their keys are known to be harmless.
    #[must_use]
    pub fn new(file: &str, text: String) -> Arc<Self> {
        Arc::new(Self::of(file.into(), text, 1))
    }

    /// A text of rules, names or trees, which has no secrets but in URLs.
    #[must_use]
    pub fn open(file: &str, text: String) -> Arc<Self> {
        let source = Self::of(file.into(), text, 1);
        source.written(Form::Open);
        Arc::new(source)
    }

    /// One line of a list that is not kept, by its number from 1.
    #[must_use]
    pub fn excerpt(file: &Arc<str>, line: u32, text: String) -> Arc<Self> {
        let source = Self::of(Arc::clone(file), text, line.max(1));
        source.written(Form::Open);
        Arc::new(source)
    }

    /// A text of a file that is not what stands there byte by byte, such as a quoted one, at the place where it begins.
    #[must_use]
    pub fn moved(at: &Span, text: &str) -> Arc<Self> {
        let (line, column) = at.line_column();
        // Carets stand below what is shown; a text for each of many on a long line would hold the line again.
        let before = column.saturating_sub(1);
        let shown = before.min(MOST_INDENTED);
        let text = format!("{}{text}", " ".repeat(shown as usize));
        let mut source = Self::of(Arc::clone(at.file()), text, line);
        source.indented = before - shown;
        source.written(Form::Open);
        Arc::new(source)
    }

    fn of(file: Arc<str>, text: String, first_line: u32) -> Self {
        Self {
            file,
            text,
            first_line,
            indented: 0,
            starts: OnceLock::new(),
            blocks: OnceLock::new(),
            form: OnceLock::new(),
            mask: OnceLock::new(),
            kin: Mutex::default(),
        }
    }

    /// Says how it is written, before its first problem is shown; the first word counts.
    pub fn written(&self, form: Form) {
        let _first = self.form.set(form);
    }

    pub(super) fn mask(&self) -> &Mask {
        self.mask.get_or_init(|| {
            let toml = self.file.ends_with(".toml");
            let form = if toml { Form::Toml } else { Form::Keyed };
            Mask::of(*self.form.get_or_init(|| form), &self.text)
        })
    }

    /// Says that a text belongs to this one, before its first problem is shown: names of the one are said of the other.
    pub fn includes(self: &Arc<Self>, other: &Arc<Self>) {
        for (one, other) in [(self, other), (other, self)] {
            let mut kin = one.kin.lock().unwrap_or_else(PoisonError::into_inner);
            kin.push(Arc::downgrade(other));
        }
    }

    fn kin(&self) -> Vec<Arc<Self>> {
        let kin = self.kin.lock().unwrap_or_else(PoisonError::into_inner);
        kin.iter().filter_map(Weak::upgrade).collect()
    }

    /// What things are called in the texts of the same configuration: in those that this one includes, in the one that
    /// includes it, and in the others of that.
    fn kin_names(&self) -> Vec<String> {
        let near = self.kin();
        let far = near.iter().flat_map(|one| one.kin());
        let mut all: Vec<Arc<Self>> = far.collect();
        all.extend(near);
        all.sort_by_key(Arc::as_ptr);
        all.dedup_by(|one, other| Arc::ptr_eq(one, other));
        all.retain(|one| !std::ptr::eq(&raw const **one, self));
        let names = all.iter().flat_map(|one| one.mask().names());
        names.cloned().collect()
    }

    /// A sentence about the text, without what is not shown of it.
    #[must_use]
    pub fn said<'s>(&self, sentence: &'s str) -> Cow<'s, str> {
        let kin = || self.kin_names();
        self.mask().said(&self.text, sentence, kin)
    }

    /// The place of a line, from 1, without the white space around its text.
    #[must_use]
    pub fn line(self: &Arc<Self>, number: u32) -> Span {
        let before = self.begin(number.saturating_sub(1) as usize);
        let text = self
            .text
            .get(before..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or("");
        let start = before + (text.len() - text.trim_start().len());
        self.span(start, start + text.trim().len())
    }

    /// The byte at which a line begins, counted from 0; the text's end where it has no such line.
    fn begin(&self, line: usize) -> usize {
        self.starts().get(line).copied().unwrap_or(self.text.len())
    }

    /// Which line a byte stands in, counted from 0, and where that begins.
    pub(super) fn line_at(&self, at: usize) -> (usize, usize) {
        let starts = self.starts();
        let line = starts.partition_point(|start| *start <= at).max(1) - 1;
        (line, self.begin(line))
    }

    /// The characters before the text of a line, counted from 0.
    fn indented_at(&self, line: usize) -> usize {
        match line {
            0 => self.indented as usize,
            _ => 0,
        }
    }

    /// The line that a byte stands in, without its end, and where it begins.
    pub(super) fn whole_line_at(&self, at: usize) -> (&str, usize) {
        let (line, begin) = self.line_at(at);
        let line = self.text.get(begin..self.begin(line + 1)).unwrap_or("");
        let line = line.strip_suffix('\n').unwrap_or(line);
        (line.strip_suffix('\r').unwrap_or(line), begin)
    }

    /// How many characters begin before a byte.
    fn characters_before(&self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let begins = |bytes: &[u8]| {
            looked(bytes.len());
            // UTF-8's further bytes are `10xxxxxx` (RFC 3629, section 3).
            bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
        };
        let blocks = self.blocks.get_or_init(|| {
            let mut before = 0;
            let count = |block| {
                let here = before;
                before += begins(block);
                here
            };
            bytes.chunks(BLOCK).map(count).collect()
        });
        let at = at.min(bytes.len());
        let block = (at / BLOCK).min(blocks.len().saturating_sub(1));
        let known = blocks.get(block).copied().unwrap_or(0);
        known + begins(bytes.get(block * BLOCK..at).unwrap_or_default())
    }

    fn starts(&self) -> &[usize] {
        self.starts.get_or_init(|| {
            let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(breaks).collect()
        })
    }

    /// The place of a byte range of it; clipped to the text, and widened to whole characters.
    #[must_use]
    pub fn span(self: &Arc<Self>, start: usize, end: usize) -> Span {
        let start = self.text.floor_char_boundary(start);
        Span {
            source: Arc::clone(self),
            start,
            end: self.text.ceil_char_boundary(end.max(start)),
        }
    }
}

/// The longest line in which a part is searched for, in bytes: of many that stand on one line each is.
const LONGEST_SEARCHED: usize = 4096;

impl Span {
    /// The part of it that is this text and no part of a longer word, where that stands there once.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Self> {
        let whole = self.text();
        if whole.len() > LONGEST_SEARCHED || text.is_empty() {
            return None;
        }
        let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        let mut found = whole.match_indices(text).map(|(at, _)| at).filter(|at| {
            let (before, after) = (&whole[..*at], &whole[*at + text.len()..]);
            !before.ends_with(goes_on) && !after.starts_with(goes_on)
        });
        let at = found.next()?;
        found
            .next()
            .is_none()
            .then(|| self.part(at, at + text.len()))
    }

    /// Of a line on which more stands than a rule, as `rules: ["...", "..."]`, the part that is the rule.
    #[must_use]
    pub(crate) fn of_rule(self, text: &str) -> Self {
        // Behind a dash or a quote it is the line.
        let inside = self.find(text).filter(|it| it.start > self.start + 1);
        inside.unwrap_or(self)
    }

    /// Line and column of the first byte, both from 1; the column counts characters.
    #[must_use]
    pub fn line_column(&self) -> (u32, u32) {
        let (line, begin) = self.source.line_at(self.start);
        let before = |at| self.source.characters_before(at);
        let column = before(self.start) - before(begin) + 1 + self.source.indented_at(line);
        (self.line(), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// The line from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        let (line, _) = self.source.line_at(self.start);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        line.saturating_add(self.source.first_line)
    }

    /// For the order of places in a file: the line, and the byte in it.
    pub(super) fn place(&self) -> (u32, usize) {
        let (line, begin) = self.source.line_at(self.start);
        let byte = self.start.saturating_sub(begin);
        (self.line(), byte + self.source.indented_at(line))
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &Arc<str> {
        &self.source.file
    }

    /// A part of this span: `start..end` counted from its own start.
    #[must_use]
    pub fn part(&self, start: usize, end: usize) -> Self {
        self.source.span(
            self.start.saturating_add(start),
            self.start.saturating_add(end),
        )
    }

    /// The text at this place.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.text.get(self.start..self.end).unwrap_or("")
    }
}

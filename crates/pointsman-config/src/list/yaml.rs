//! YAML with the list `payload`, as Clash and BoltConn write it.
//!
//! Invariant: block lists of plain texts go by line. At the first line that is more than that the
//! parser takes over; what was taken until then means the same to it, so it skips as many entries.

use std::io::Read as _;

use super::lines::{Line, Lines, NOT_UTF8, before_comment};
use super::{Bytes, Reading, Spot, Unreadable};
use crate::problem::{Problems, Source, Span};
use crate::yaml::{self, Node, Value};

/// The largest file that goes by the parser, in bytes: its tree is a dozen times as large.
const MOST_ODD: u64 = 8 << 20;

/// How a line is not of a plain block list.
pub(super) struct Odd;

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    if let Some(taken) = plain(bytes, reading)? {
        by_parser(bytes, taken, reading)?;
    }
    Ok(())
}

/// Reads by line; gives how many entries were taken if a line was odd.
fn plain(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<Option<usize>, Unreadable> {
    let mut lines = Lines::new(bytes);
    let mut block = Block::default();
    let mut taken = 0;
    while let Some((number, line)) = lines.next()? {
        let (Line::Text(line) | Line::Lossy(line)) = line else {
            return Ok(Some(taken));
        };
        match block.item(line) {
            Ok(Some((entry, start))) => {
                item(reading, entry, number, line, start);
                taken += 1;
            }
            Ok(None) => {}
            Err(Odd) => return Ok(Some(taken)),
        }
    }
    Ok((!block.begun).then_some(taken))
}

/// Takes an entry, unless it is no text.
fn item(reading: &mut Reading<'_>, entry: &str, number: u32, line: &str, start: usize) {
    if !entry.is_ascii() && entry.contains(char::REPLACEMENT_CHARACTER) {
        reading.broken(number, entry, NOT_UTF8);
    } else {
        reading.entry(entry, number, line, start);
    }
}

/// A block list while it is read.
#[derive(Default)]
pub(super) struct Block {
    begun: bool,
    indent: Option<usize>,
}

impl Block {
    /// The item of a line, with the byte where it begins.
    pub(super) fn item<'l>(&mut self, line: &'l str) -> Result<Option<(&'l str, usize)>, Odd> {
        let bare = line.trim_start_matches(' ');
        if bare.is_empty() || bare.starts_with('#') {
            return Ok(None);
        }
        if !self.begun {
            match before_comment(line) {
                "---" => {}
                "payload:" if bare.len() == line.len() => self.begun = true,
                _ => return Err(Odd),
            }
            return Ok(None);
        }
        let depth = line.len() - bare.len();
        if *self.indent.get_or_insert(depth) != depth {
            return Err(Odd);
        }
        let scalar = bare.strip_prefix("- ").ok_or(Odd)?.trim_start_matches(' ');
        let (entry, skipped) = plain_scalar(scalar)?;
        Ok(Some((entry, line.len() - scalar.len() + skipped)))
    }
}

/// A scalar that means what it shows, and how many bytes of quotes stand before it.
fn plain_scalar(written: &str) -> Result<(&str, usize), Odd> {
    if let Some(quote @ ('"' | '\'')) = written.chars().next() {
        let (inner, rest) = written[1..].split_once(quote).ok_or(Odd)?;
        let closed = rest.is_empty() || rest.starts_with([' ', '\t']);
        if !closed || !before_comment(rest).is_empty() || inner.contains(['\\', '\t']) {
            return Err(Odd);
        }
        return Ok((inner, 1));
    }
    let entry = before_comment(written);
    // `*.name` is an alias to YAML and a wildcard to everybody who writes lists.
    // What begins with `%`, `@` or a backtick is nothing in YAML: it is one bad entry, the others serve.
    let special = entry.starts_with(['[', ']', '{', '}', '&', '!', '|', '>', '?', ',', '-'])
        || (entry.starts_with('*') && !entry.starts_with("*."));
    if special || entry.contains(": ") || entry.ends_with(':') || entry.contains('\t') {
        return Err(Odd);
    }
    if entry.is_empty() || matches!(entry, "~" | "null" | "Null" | "NULL") {
        return Err(Odd);
    }
    Ok((entry, 0))
}

fn by_parser(
    bytes: &mut dyn Bytes,
    taken: usize,
    reading: &mut Reading<'_>,
) -> Result<(), Unreadable> {
    bytes.rewind()?;
    let mut text = Vec::new();
    bytes.take(MOST_ODD + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST_ODD {
        let message = "the list is too large for YAML that is more than one `- entry` a line";
        return Err(Unreadable::malformed(message));
    }
    let text = String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let bare = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = bare.strip_suffix('\u{1a}').unwrap_or(bare).to_owned();
    let source = Source::open("", text);
    let mut problems = Problems::default();
    // A few hundred bytes of them grow into a tree of a hundred MiB, and no list that is published has any.
    let root = yaml::parse_without_aliases(&source, &mut problems);
    let payload = root.as_ref().and_then(payload);
    let items = payload.map(|node| node.list("`payload`", &mut problems));
    if let Some(problem) = problems.0.into_iter().next() {
        return Err(Unreadable::Malformed {
            message: problem.sentence(),
            hint: problem.hint,
            at: Some(spot(&problem.span)),
        });
    }
    let Some(items) = items else {
        if source.text.trim_start().starts_with('{') {
            let error = Unreadable::malformed("this is JSON with neither `payload` nor `rules`");
            return Err(error.hint(
                "JSON is read as sing-box's rule sets (`version` and `rules`); make of other JSON one entry a line",
            ));
        }
        let error = Unreadable::malformed("the list has no `payload`");
        return Err(error.hint("a list without it is `format: text`"));
    };
    let mut lines = LineCounter::default();
    for node in items.iter().skip(taken) {
        let (number, line, start) = lines.line(&source.text, node.span.start);
        match node.scalar() {
            Some(entry) if !node.is_null() => item(reading, entry, number, line, start),
            Some(_) | None => {
                let spot = Spot::new(number, line, start, line.len());
                reading.told.bad(
                    spot,
                    "an entry is one text: a list or a mapping is none".into(),
                );
            }
        }
    }
    Ok(())
}

fn payload(root: &Node) -> Option<&Node> {
    match &root.value {
        Value::Map(pairs) => pairs
            .iter()
            .find(|(key, _)| key.scalar() == Some("payload"))
            .map(|(_, value)| value),
        Value::List(_) | Value::Scalar(..) => None,
    }
}

fn spot(span: &Span) -> Spot {
    let (number, line, start) = LineCounter::default().line(&span.source.text, span.start);
    Spot::new(number, line, start, start + span.text().len())
}

/// The line of an offset that only grows: counts every line break once.
#[derive(Default)]
struct LineCounter {
    /// Where the line of the last offset begins.
    at: usize,
    breaks: u32,
}

impl LineCounter {
    /// The number and text of the line, and the offset counted from its start.
    fn line<'t>(&mut self, text: &'t str, offset: usize) -> (u32, &'t str, usize) {
        let between = text.get(self.at..offset).unwrap_or_default();
        if let Some(last) = between.rfind('\n') {
            let more = between.bytes().filter(|b| *b == b'\n').count();
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            self.breaks = self.breaks.saturating_add(more);
            self.at += last + 1;
        }
        let line = text.get(self.at..).and_then(|rest| rest.lines().next());
        (
            self.breaks.saturating_add(1),
            line.unwrap_or(""),
            offset.saturating_sub(self.at),
        )
    }
}

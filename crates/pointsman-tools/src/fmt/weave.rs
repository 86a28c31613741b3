//! Printed lines and the comments of their source, woven together.
//!
//! A comment at the end of a line stays there, in a column with those of the lines around it; one on a
//! line of its own stays before what follows it; one in the middle of something that is now one line
//! moves above it. Of blank lines one stays, none at the edges of brackets.

use std::sync::Arc;

use super::tokens::Comment;
use pointsman_config::problem::Source;

/// The furthest column to which comments are moved to stand below each other.
const MAX_COLUMN: usize = 80;

/// A line as it is printed.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Levels of two spaces.
    pub(super) indent: usize,
    /// Without them.
    pub(super) text: String,
    /// Where its first token begins in the source.
    pub(super) start: usize,
    /// Where its last token ends there.
    pub(super) end: usize,
    /// Whether it begins with a sign that closes a bracket.
    pub(super) closes: bool,
}

/// A line of the result.
struct Woven {
    indent: usize,
    text: String,
    trailing: Option<String>,
    blank_before: bool,
    opens: bool,
    closes: bool,
}

/// Lines with comments; `base` levels are added to each, lines end with `line_end`.
pub(super) fn weave(
    source: &Arc<Source>,
    lines: Vec<Line>,
    comments: &[Comment],
    base: &str,
    line_end: &str,
) -> String {
    let mut woven: Vec<Woven> = Vec::new();
    let mut next = 0;
    let comment = |at: usize| -> (String, bool) {
        let Comment { start, end } = comments[at];
        let text = source.text.get(start..end).unwrap_or("#").to_owned();
        (text, blank_before(source, start))
    };
    let starts: Vec<usize> = lines.iter().map(|line| line.start).collect();
    for (number, line) in lines.into_iter().enumerate() {
        while comments.get(next).is_some_and(|c| c.start < line.end) {
            let (text, blank_before) = comment(next);
            woven.push(Woven {
                indent: line.indent + usize::from(line.closes),
                text,
                trailing: None,
                blank_before,
                opens: false,
                closes: false,
            });
            next += 1;
        }
        let follows = starts.get(number + 1).copied().unwrap_or(usize::MAX);
        let trailing = comments.get(next).filter(|c| {
            let between = source.text.get(line.end..c.start).unwrap_or("\n");
            c.start < follows && !between.contains('\n')
        });
        let trailing = trailing.map(|_| comment(next).0);
        next += usize::from(trailing.is_some());
        woven.push(Woven {
            indent: line.indent,
            trailing,
            blank_before: blank_before(source, line.start),
            opens: line.text.ends_with(['[', '{']),
            closes: line.closes,
            text: line.text,
        });
    }
    for at in next..comments.len() {
        let (text, blank_before) = comment(at);
        woven.push(Woven {
            indent: 0,
            text,
            trailing: None,
            blank_before,
            opens: false,
            closes: false,
        });
    }
    written(&woven, base, line_end)
}

/// Whether an empty line stands before a place in the source.
fn blank_before(source: &Arc<Source>, at: usize) -> bool {
    let before = source.text.get(..at).unwrap_or("");
    let space = before.len() - before.trim_end().len();
    before[before.len() - space..].matches('\n').count() > 1
}

fn written(woven: &[Woven], base: &str, line_end: &str) -> String {
    let width = |line: &Woven| 2 * line.indent + line.text.chars().count();
    let blank = |at: usize| {
        let open = at == 0 || woven[at - 1].opens;
        woven[at].blank_before && !open && !woven[at].closes
    };
    let mut text = String::new();
    let mut column = 0;
    for (at, line) in woven.iter().enumerate() {
        if blank(at) {
            text.push_str(line_end);
        }
        text.push_str(base);
        text.push_str(&"  ".repeat(line.indent));
        text.push_str(&line.text);
        let Some(trailing) = &line.trailing else {
            column = 0;
            text.push_str(line_end);
            continue;
        };
        if column == 0 {
            // The lines from here on that have a comment, none blank between.
            let mut run = at;
            while woven.get(run).is_some_and(|l| l.trailing.is_some()) && (run == at || !blank(run))
            {
                if width(&woven[run]) + 2 <= MAX_COLUMN {
                    column = column.max(width(&woven[run]) + 2);
                }
                run += 1;
            }
        }
        let pad = column.saturating_sub(width(line)).max(2);
        text.push_str(&" ".repeat(pad));
        text.push_str(trailing);
        text.push_str(line_end);
        let goes_on = woven.get(at + 1).is_some_and(|l| l.trailing.is_some()) && !blank(at + 1);
        if !goes_on {
            column = 0;
        }
    }
    text
}

//! The line that a problem is about, with a caret under its place.
//!
//! Invariant: what comes out is bounded however long the line is, the caret stands under the place, and secrets
//! are stars. Lines are what others wrote: control characters in them do not reach a terminal.
//!
//! Deliberately absent: text that runs from right to left, whose place on a screen nobody can tell.

use std::ops::Range;

use super::work::looked;

/// The most columns of a line that is shown whole.
const WHOLE: usize = 200;

/// The most columns of a longer one that are shown.
const CUT: usize = 160;

/// Of these, how many stand before the place.
const LEAD: usize = 60;

/// The most characters that are shown: some take no column.
const MOST: usize = 400;

/// Stands where a line is cut.
const GAP: &str = "...";

/// What is shown of a line, and where the caret is: columns before it, and how many it takes.
pub(super) struct Excerpt {
    pub(super) shown: String,
    pub(super) before: usize,
    pub(super) width: usize,
}

/// Shows the bytes `place` of a line; `secret` tells whether the character at an offset is hidden.
pub(super) fn excerpt(line: &str, place: Range<usize>, secret: impl Fn(usize) -> bool) -> Excerpt {
    let start = line.floor_char_boundary(place.start);
    let end = line.ceil_char_boundary(place.end.max(start));
    let whole = fits(line.chars(), WHOLE) == line.len();
    let (from, to) = if whole {
        (0, line.len())
    } else {
        let lead = fits(line[..start].chars().rev(), LEAD);
        let from = start - lead;
        (from, from + fits(line[from..].chars(), CUT))
    };
    let gap = |there: bool| if there { GAP } else { "" };
    let (cut_before, cut_behind) = (gap(from > 0), gap(to < line.len()));
    let shown = line[from..to].char_indices().map(|(at, c)| match c {
        _ if secret(from + at) => '*',
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    let shown: String = shown.collect();
    // What is hidden takes a column for each character.
    let columns = |range: Range<usize>| -> usize {
        let chars = line[range.clone()].char_indices();
        let width = |(at, c)| {
            if secret(range.start + at) {
                1
            } else {
                columns(c)
            }
        };
        chars.map(width).sum()
    };
    Excerpt {
        before: cut_before.len() + columns(from..start.min(to)),
        width: columns(start.min(to)..end.min(to)).max(1),
        shown: format!("{cut_before}{shown}{cut_behind}"),
    }
}

/// How many bytes of these characters fit into so many columns.
fn fits(chars: impl Iterator<Item = char>, room: usize) -> usize {
    let (mut taken, mut bytes) = (0, 0);
    for c in chars.take(MOST) {
        looked(1);
        taken += columns(c);
        if taken > room {
            break;
        }
        bytes += c.len_utf8();
    }
    bytes
}

/// The columns that a character takes on a terminal (Unicode Standard Annex 11, roughly: whole blocks).
fn columns(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

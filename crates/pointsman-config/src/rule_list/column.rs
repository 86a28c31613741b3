//! Items of a list that begin in another column than the others: YAML takes them for a part of the text before.

use std::ops::Range;

use crate::problem::Problems;
use crate::yaml::{Node, Style};

/// Where a bare text goes on over a line that was meant for an item of its own.
pub(super) fn swallowed(item: &Node, style: Style) -> Option<Range<usize>> {
    let text = item.span.text();
    if style != Style::Plain || !text.contains('\n') {
        return None;
    }
    let mut start = 0;
    text.split_inclusive('\n').find_map(|line| {
        let bare = line.trim_start();
        let from = start + (line.len() - bare.len());
        let first = start == 0;
        start += line.len();
        (!first && bare.starts_with("- ")).then(|| from..from + bare.trim_end().len())
    })
}

/// Tells of it; whether the rest of the list is in that text.
pub(super) fn apart(item: &Node, line: Range<usize>, problems: &mut Problems) -> bool {
    let rest = item.span.text().get(line.start..).unwrap_or_default();
    let ends = rest.lines().any(|line| {
        let rule = line.trim_start().trim_start_matches("- ");
        let word = rule.split([',', ' ']).next().unwrap_or_default();
        word.eq_ignore_ascii_case("FALLBACK")
    });
    let place = item.span.part(line.start, line.end);
    let message = format!(
        "line {} begins in another column than the list",
        place.line()
    );
    problems.error("rule-syntax", &place, message).hint = Some("indent it alike".into());
    ends
}

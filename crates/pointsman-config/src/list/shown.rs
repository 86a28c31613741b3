//! Texts of lists as they are shown to people.
//!
//! Invariant: bounded however long an entry is, and what stands around it in a sentence is never cut off with it; a
//! character that cannot be seen is shown by its number.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The most characters of an entry that are shown: four times the longest that are common.
const MOST: usize = 200;

/// The most parts between marks of quotation that a sentence is made of.
const MOST_PARTS: usize = 16;

/// The most characters between two quotations of a sentence.
const MOST_BETWEEN: usize = 600;

/// An entry as it is shown.
#[must_use]
pub fn shown(entry: &str) -> Cow<'_, str> {
    bounded(entry, MOST)
}

fn bounded(entry: &str, most: usize) -> Cow<'_, str> {
    let cut = entry.char_indices().nth(most).map(|(at, _)| at);
    let head = &entry[..cut.unwrap_or(entry.len())];
    if cut.is_none() && !head.contains(is_unseen) {
        return Cow::Borrowed(entry);
    }
    let mut shown = String::with_capacity(head.len() + 3);
    for c in head.chars() {
        match is_unseen(c) {
            // Writing to a String cannot fail.
            true => _ = write!(shown, "{}", c.escape_unicode()),
            false => shown.push(c),
        }
    }
    if cut.is_some() {
        shown.push_str("...");
    }
    Cow::Owned(shown)
}

/// A sentence of which each quotation is shown so.
pub(super) fn sentence(text: String) -> String {
    if text.chars().nth(MOST).is_none() && !text.contains(is_unseen) {
        return text;
    }
    // An entry may have such a sign itself: of very many parts the first and the last are shown.
    let parts: Vec<&str> = text.split('`').collect();
    let left_out = parts.len().saturating_sub(MOST_PARTS);
    let gap = MOST_PARTS / 2..MOST_PARTS / 2 + left_out;
    let shown = parts.iter().enumerate().filter_map(|(at, part)| {
        let quoted = at % 2 == 1;
        match gap.contains(&at) {
            true if at == gap.start => Some(Cow::Borrowed("...")),
            true => None,
            false => Some(bounded(part, if quoted { MOST } else { MOST_BETWEEN })),
        }
    });
    shown.collect::<Vec<_>>().join("`")
}

/// Whether a terminal shows nothing of a character, or does something else than show it.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_shown_bounded_and_seen() {
        assert_eq!(shown("a.test"), "a.test");
        assert_eq!(shown("a\u{1b}\u{200b}b"), "a\\u{1b}\\u{200b}b");
        let long = "x".repeat(1_680_000);
        assert_eq!(shown(&long).len(), MOST + 3);
        let said = sentence(format!("`{long}` is no domain: the name is too long"));
        assert!(said.ends_with("...` is no domain: the name is too long"));
        assert_eq!(said.len(), MOST + 3 + 37);
        let said = sentence(format!("`{}` is no domain: x", "`y".repeat(100_000)));
        assert!(
            said.len() < 100 && said.ends_with("` is no domain: x"),
            "{said}"
        );
    }
}

//! Text of others as it may be shown to people: it moves no cursor, ends no line and hides nothing.

/// A text on one line, in which each character that is not to be shown as it is stands as `\u{fffd}`.
#[must_use]
pub fn plain(text: &str) -> String {
    let shown = |c: char| match c.is_control() || deceives(c) {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(shown).collect()
}

/// Whether a character changes how others are shown, or is not seen itself: marks of direction (UAX #9), breaks of lines
/// and paragraphs, joiners without width.
#[must_use]
pub fn deceives(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_moves_or_hides_is_replaced() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(
            plain("a\u{202e}b\u{200b}c\u{e9}"),
            "a\u{fffd}b\u{fffd}c\u{e9}"
        );
    }
}

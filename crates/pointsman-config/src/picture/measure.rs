//! How wide a text is at most, for boxes that it must not leave.
//!
//! All is counted in columns of a fixed-width font. What viewers take for characters that such a font lacks is theirs
//! to choose, so their widths are guesses on the safe side, and such texts are clipped besides.

/// How many columns a text takes, at most.
pub(super) fn columns(text: &str) -> f64 {
    text.chars().map(column).sum()
}

fn column(c: char) -> f64 {
    match u32::from(c) {
        0x20..0x7f => 1.0,
        // The sign of a count, and the ellipsis.
        0xd7 | 0x2026 => 1.0,
        // Marks that stand over the character before.
        0x300..0x370 => 0.0,
        // Latin, Greek and Cyrillic: fixed-width fonts have them; another font's may be wider.
        0xa0..0x530 => 1.2,
        // CJK is 1.7 columns wide, emoji 2.1.
        _ => 2.2,
    }
}

/// Whether it is known, and not guessed, how wide the text is.
pub(super) fn is_sure(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, ' '..='~' | '\u{d7}' | '\u{2026}'))
}

/// A text that fits in so many columns, its end replaced by an ellipsis where it is too long.
pub(super) fn fitted(text: &str, most: f64) -> String {
    // What was reserved for a text is room enough for it, although sums of fractions come out a little less.
    let most = most + 0.01;
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = column('\u{2026}');
    for c in text.chars() {
        used += column(c);
        if used > most {
            break;
        }
        out.push(c);
    }
    out.push('\u{2026}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_to_their_room() {
        let check = |text: &str, most: f64, expected: &str| {
            let fitted = fitted(text, most);
            assert_eq!(fitted, expected, "{text} in {most}");
            assert!(columns(&fitted) <= most.max(1.0) + 0.01);
        };
        check("", 0.0, "");
        check("abc", 3.0, "abc");
        check("abcd", 3.0, "ab\u{2026}");
        check("abc", 0.0, "\u{2026}");
        check("\u{8def}\u{7531}", 4.4, "\u{8def}\u{7531}");
        check("\u{8def}\u{7531}", 4.0, "\u{8def}\u{2026}");
        check("\u{1f680}\u{1f680}\u{1f680}", 5.0, "\u{1f680}\u{2026}");
        check("e\u{301}\u{301}\u{301}", 1.0, "e\u{301}\u{301}\u{301}");
    }

    #[test]
    fn widths_of_foreign_characters_are_guesses() {
        let check = |text: &str, expected: bool| assert_eq!(is_sure(text), expected, "{text}");
        check("3 \u{d7} port in 80, \u{2026}", true);
        check("\u{e9}", false);
        check("\u{8def}", false);
        check("\t", false);
    }
}

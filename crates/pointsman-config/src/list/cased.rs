//! Patterns of programs to which case counts, among ours, to which it does not.
//!
//! Invariant: names are in lower case, so a pattern that asks for a capital letter matches none of them there;
//! here it must not match more.

use std::borrow::Cow;

/// What makes case count for the rest of a pattern.
const CASED: &str = "(?-i)";

/// What makes it count no more.
const ANY_CASE: &str = "(?i)";

/// The pattern here of one to which case counts.
#[must_use]
pub fn from_cased(pattern: &str) -> Cow<'_, str> {
    if pattern.starts_with(ANY_CASE) || pattern.starts_with(CASED) || !asks_for_case(pattern) {
        return Cow::Borrowed(pattern);
    }
    Cow::Owned(format!("{CASED}{pattern}"))
}

/// The pattern for programs to which case counts of one here.
pub(super) fn to_cased(pattern: &str) -> Cow<'_, str> {
    if let Some(cased) = pattern.strip_prefix(CASED) {
        return Cow::Borrowed(cased);
    }
    if pattern.starts_with(ANY_CASE) || !asks_for_case(pattern) {
        return Cow::Borrowed(pattern);
    }
    Cow::Owned(format!("{ANY_CASE}{pattern}"))
}

/// Whether a pattern may match other names in lower case where case counts: it has a capital letter, as itself,
/// by its number or its class, or within a range of characters. In doubt it may.
fn asks_for_case(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let spans_capitals =
        |w: &[u8]| w[1] == b'-' && w[0] <= b'Z' && w[2] > b'Z' && !matches!(w[2], b'[' | b']');
    let named = |w: &[u8]| matches!(w, b"\\x" | b"\\u" | b"\\p" | b"[:");
    bytes.iter().any(u8::is_ascii_uppercase)
        || !pattern.is_ascii()
        || bytes.windows(3).any(spans_capitals)
        || bytes.windows(2).any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_counts_where_a_capital_may_be_meant() {
        let check = |pattern, here, there| {
            assert_eq!(from_cased(pattern), here, "{pattern}");
            assert_eq!(to_cased(pattern), there, "{pattern}");
        };
        for plain in ["^ads[0-9]+-[a-z]", "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"] {
            check(plain, plain, plain);
        }
        check("^[A-Z]", "(?-i)^[A-Z]", "(?i)^[A-Z]");
        check("[!-_]", "(?-i)[!-_]", "(?i)[!-_]");
        check(r"\x41", r"(?-i)\x41", r"(?i)\x41");
        check("(?i)^A", "(?i)^A", "(?i)^A");
        check("(?-i)^A", "(?-i)^A", "^A");
    }
}

//! A short text that is written without the heap: why a query was answered here.

use std::fmt;

use pointsman_policy::model::Origin;

/// More is cut off: longer explanations help nobody, and amplify.
const MOST: usize = 200;

/// A text of at most [`MOST`] bytes.
#[derive(Debug)]
pub(super) struct Words {
    bytes: [u8; MOST],
    length: usize,
    /// Something did not fit: nothing follows it.
    is_cut: bool,
}

impl Words {
    /// Where a rule stands and how it reads, behind `why`; without a rule only that one says so.
    pub(super) fn of_rule(why: &str, rule: Option<&Origin>) -> Self {
        let mut words = Self {
            bytes: [0; MOST],
            length: 0,
            is_cut: false,
        };
        // It takes whatever comes.
        let _ = match rule {
            Some(rule) => fmt::write(
                &mut words,
                format_args!("{why}{}:{}: {}", rule.file, rule.line, rule.text),
            ),
            None => fmt::write(&mut words, format_args!("{why}a rule says so")),
        };
        words
    }

    pub(super) fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.length).unwrap_or(&[]);
        // Only whole characters are taken.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Ok(());
        }
        let mut end = text.len().min(MOST - self.length);
        self.is_cut = end < text.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if let (Some(room), Some(text)) = (
            self.bytes.get_mut(self.length..self.length + end),
            text.as_bytes().get(..end),
        ) {
            room.copy_from_slice(text);
            self.length += end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn what_does_not_fit_is_cut_at_a_character() {
        assert_eq!(Words::of_rule("", None).as_str(), "a rule says so");
        let long = "\u{e4}".repeat(150);
        let words = Words::of_rule(&format!("x{long}"), None);
        assert_eq!(words.as_str(), format!("x{}", &long[..198]));
    }
}

//! Elements of a line: texts and `[ ... ]` lists between commas.
//!
//! Invariant: every byte belongs to an element, a separator, white space or the comment; nothing is
//! skipped. Recursion ends at [`super::MAX_DEPTH`].

use super::{LineError, MAX_DEPTH, MAX_LENGTH};

/// An element and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) value: Value,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    List(Vec<Element>),
    Text { text: String, quoted: bool },
}

impl Element {
    pub(super) fn place(&self) -> (usize, usize) {
        (self.start, self.end)
    }

    /// Whether it is this bare word, in any case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.value, Value::Text { text, quoted: false } if text.eq_ignore_ascii_case(word))
    }

    /// What it says; `None` of a list.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text { text, .. } => Some(text),
            Value::List(_) => None,
        }
    }

    /// Whether a round bracket begins it, as conditions do in Clash's rules.
    pub(super) fn is_round(&self) -> bool {
        matches!(&self.value, Value::Text { text, quoted: false } if text.starts_with('('))
    }
}

/// The elements of a line. Empty for a line that is blank or a comment.
pub(super) fn elements(line: &str) -> Result<Vec<Element>, LineError> {
    scan(line).map(|(found, _)| found)
}

/// A line without its comment and the white space around; a broken line is only trimmed.
#[must_use]
pub fn without_comment(line: &str) -> &str {
    match scan(line) {
        Ok((_, end)) => line.get(..end).unwrap_or(line).trim(),
        Err(_broken) => line.trim(),
    }
}

fn scan(line: &str) -> Result<(Vec<Element>, usize), LineError> {
    if line.len() > MAX_LENGTH {
        let message = format!("a rule holds at most {MAX_LENGTH} bytes");
        return Err(LineError::new(
            "rule-syntax",
            (0, line.len()),
            message,
            None,
        ));
    }
    let mut lexer = Lexer { line, at: 0 };
    let found = lexer.list(None, 0)?;
    Ok((found, lexer.at))
}

struct Lexer<'l> {
    line: &'l str,
    at: usize,
}

impl Lexer<'_> {
    /// Elements up to the end of the line, or to the bracket that closes the one at `opened`.
    fn list(&mut self, opened: Option<usize>, depth: usize) -> Result<Vec<Element>, LineError> {
        let mut found = Vec::new();
        loop {
            self.skip_space();
            if found.is_empty() && self.ends(opened) {
                break;
            }
            found.push(self.element(depth)?);
            self.skip_space();
            if self.peek() == Some(',') {
                self.at += 1;
            } else if self.ends(opened) {
                break;
            } else {
                return Err(self.unexpected());
            }
        }
        let Some(opened) = opened else {
            return Ok(found);
        };
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(found);
        }
        let message = "this bracket is never closed";
        Err(LineError::new(
            "rule-syntax",
            (opened, opened + 1),
            message,
            None,
        ))
    }

    fn element(&mut self, depth: usize) -> Result<Element, LineError> {
        let start = self.at;
        let value = match self.peek() {
            Some('[') if depth >= MAX_DEPTH => {
                let message = format!("nested deeper than {MAX_DEPTH} levels");
                return Err(broken((start, start + 1), message));
            }
            Some('[') => {
                self.at += 1;
                Value::List(self.list(Some(start), depth + 1)?)
            }
            Some('"') => self.double_quoted()?,
            Some('\'') => self.single_quoted()?,
            _ => self.bare()?,
        };
        let end = start + self.line[start..self.at].trim_end().len();
        Ok(Element { value, start, end })
    }

    fn bare(&mut self) -> Result<Value, LineError> {
        let start = self.at;
        // Brackets inside a word (`^[a-z]+$`) are its own as long as they are in pairs.
        let mut inner = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                ',' => break,
                '#' if self.after_space() => break,
                '[' => inner += 1,
                ']' if inner == 0 => break,
                ']' => inner -= 1,
                _ => {}
            }
            self.at += c.len_utf8();
        }
        let text = self.line[start..self.at].trim();
        if text.is_empty() {
            let ends = matches!(self.peek(), None | Some('#'));
            if let (true, Some(comma)) = (ends, self.line[..start].rfind(',')) {
                let mut told = broken((comma, comma + 1), "nothing stands behind this comma");
                let hint = "remove the comma at the end, or write what stands behind it";
                told.hint = Some(hint.to_owned());
                return Err(told);
            }
            let place = (start, (start + 1).min(self.line.len()));
            return Err(broken(place, "nothing stands here"));
        }
        Ok(Value::Text {
            text: text.to_owned(),
            quoted: false,
        })
    }

    fn single_quoted(&mut self) -> Result<Value, LineError> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            if c != '\'' {
                text.push(c);
            } else if self.peek() == Some('\'') {
                self.at += 1;
                text.push(c);
            } else {
                return Ok(Value::Text { text, quoted: true });
            }
        }
        Err(broken((start, start + 1), "this quote is never closed"))
    }

    fn double_quoted(&mut self) -> Result<Value, LineError> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        while let Some(c) = self.peek() {
            let here = self.at;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(Value::Text { text, quoted: true }),
                '\\' => text.push(self.escape(here)?),
                c => text.push(c),
            }
        }
        Err(broken((start, start + 1), "this quote is never closed"))
    }

    /// YAML's escapes (YAML 1.2.2, 5.7), but for those of line ends.
    fn escape(&mut self, backslash: usize) -> Result<char, LineError> {
        let letter = self.peek();
        self.at += letter.map_or(0, char::len_utf8);
        let digits = match letter {
            Some('0') => return Ok('\0'),
            Some('a') => return Ok('\u{7}'),
            Some('b') => return Ok('\u{8}'),
            Some('t' | '\t') => return Ok('\t'),
            Some('n') => return Ok('\n'),
            Some('v') => return Ok('\u{b}'),
            Some('f') => return Ok('\u{c}'),
            Some('r') => return Ok('\r'),
            Some('e') => return Ok('\u{1b}'),
            Some(c @ (' ' | '"' | '/' | '\\')) => return Ok(c),
            Some('N') => return Ok('\u{85}'),
            Some('_') => return Ok('\u{a0}'),
            Some('L') => return Ok('\u{2028}'),
            Some('P') => return Ok('\u{2029}'),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(_) | None => 0,
        };
        let code = self
            .line
            .get(self.at..self.at + digits)
            .filter(|hex| digits > 0 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        let Some(c) = code else {
            let message = "double quotes know no such escape";
            let hint = "write `\\\\` for a backslash, or use single quotes".to_owned();
            return Err(LineError::new(
                "rule-syntax",
                (backslash, self.at),
                message,
                hint,
            ));
        };
        self.at += digits;
        Ok(c)
    }

    fn skip_space(&mut self) {
        while let Some(c) = self.peek() {
            if !c.is_whitespace() {
                break;
            }
            self.at += c.len_utf8();
        }
    }

    fn peek(&self) -> Option<char> {
        self.line.get(self.at..)?.chars().next()
    }

    fn after_space(&self) -> bool {
        self.line[..self.at].ends_with(char::is_whitespace) || self.at == 0
    }

    fn ends(&self, opened: Option<usize>) -> bool {
        match self.peek() {
            None => true,
            Some('#') => self.after_space(),
            Some(']') => opened.is_some(),
            Some(_) => false,
        }
    }

    fn unexpected(&self) -> LineError {
        let width = self.peek().map_or(0, char::len_utf8);
        let hint = "put a content with brackets, commas or quotes in quotes".to_owned();
        let message = match self.peek() {
            Some(']') => "this bracket was never opened",
            _ => "a comma is missing before this",
        };
        LineError::new("rule-syntax", (self.at, self.at + width), message, hint)
    }
}

fn broken(place: (usize, usize), message: impl Into<String>) -> LineError {
    LineError::new("rule-syntax", place, message, None)
}

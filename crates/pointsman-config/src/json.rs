//! JSON as people write it for sing-box: with comments (`//`, `#`, `/* */`) and a comma behind the last
//! item.
//!
//! Invariant: what is handed on is plain JSON, byte by byte, and it is known where the last byte of it
//! stands in what was read. Nothing is kept in memory but one byte.

mod lines;

use std::cell::Cell;
use std::io::{self, Read};

pub use lines::Lines;

/// Where the byte stands that was handed on last.
#[derive(Debug)]
pub(crate) struct At {
    /// From 1.
    pub(crate) line: Cell<u32>,
    /// Bytes of the line before it.
    pub(crate) column: Cell<usize>,
    /// Bytes before it.
    pub(crate) offset: Cell<usize>,
    /// How many bytes may still come of what is kept whole.
    held: Cell<u64>,
}

/// The most bytes of one value that is in memory whole: there it takes some twenty times as many.
const MOST_HELD: u64 = 4 << 20;

impl At {
    pub(crate) fn start() -> Self {
        Self {
            line: Cell::new(1),
            column: Cell::new(0),
            offset: Cell::new(0),
            held: Cell::new(u64::MAX),
        }
    }

    /// What comes next is kept whole, or not.
    pub(crate) fn hold(&self, whole: bool) {
        self.held.set(if whole { MOST_HELD } else { u64::MAX });
    }
}

/// A byte and its place.
#[derive(Clone, Copy)]
struct Byte {
    value: u8,
    line: u32,
    column: usize,
    offset: usize,
}

/// Reads plain JSON from JSON with comments and such commas.
pub(crate) struct Relaxed<'a, R> {
    from: R,
    at: &'a At,
    next: Byte,
    /// Read, and not yet looked at.
    back: Option<Byte>,
    /// The last byte that counted, outside of texts.
    last: u8,
    quoted: bool,
    escaped: bool,
}

impl<'a, R: Read> Relaxed<'a, R> {
    /// Reads from the beginning.
    pub(crate) fn new(from: R, at: &'a At) -> Self {
        Self {
            from,
            at,
            next: Byte {
                value: 0,
                line: 1,
                column: 0,
                offset: 0,
            },
            back: None,
            last: 0,
            quoted: false,
            escaped: false,
        }
    }

    /// The next byte as it is written.
    fn raw(&mut self) -> io::Result<Option<Byte>> {
        if let Some(byte) = self.back.take() {
            return Ok(Some(byte));
        }
        let mut one = [0];
        if self.from.read(&mut one)? == 0 {
            return Ok(None);
        }
        let left = self.at.held.get().checked_sub(1);
        self.at.held.set(left.ok_or_else(|| {
            let why = format!("one rule has more than {MOST_HELD} bytes");
            io::Error::new(io::ErrorKind::InvalidData, why)
        })?);
        let byte = Byte {
            value: one[0],
            ..self.next
        };
        self.next.offset += 1;
        self.next.column += 1;
        if byte.value == b'\n' {
            self.next.line = self.next.line.saturating_add(1);
            self.next.column = 0;
        }
        Ok(Some(byte))
    }

    /// The next byte of plain JSON.
    fn plain(&mut self) -> io::Result<Option<Byte>> {
        let Some(byte) = self.raw()? else {
            return Ok(None);
        };
        if self.quoted {
            self.quoted = byte.value != b'"' || self.escaped;
            self.escaped = byte.value == b'\\' && !self.escaped;
            return Ok(Some(byte));
        }
        if self.comment(byte)? {
            return Ok(Some(Byte {
                value: b' ',
                ..byte
            }));
        }
        let byte = match byte.value {
            // Behind nothing a comma is none that is too many.
            b',' if !matches!(self.last, 0 | b',' | b'[' | b'{' | b':') => {
                let next = self.significant()?;
                match next {
                    Some(end) if matches!(end.value, b']' | b'}') => end,
                    next => {
                        self.back = next;
                        byte
                    }
                }
            }
            _ => byte,
        };
        if !byte.value.is_ascii_whitespace() {
            self.last = byte.value;
        }
        self.quoted = byte.value == b'"';
        Ok(Some(byte))
    }

    /// The next byte that is neither blank nor of a comment.
    fn significant(&mut self) -> io::Result<Option<Byte>> {
        while let Some(byte) = self.raw()? {
            if !byte.value.is_ascii_whitespace() && !self.comment(byte)? {
                return Ok(Some(byte));
            }
        }
        Ok(None)
    }

    /// Passes a comment by that begins with this byte, where one does.
    fn comment(&mut self, byte: Byte) -> io::Result<bool> {
        match byte.value {
            b'#' => self.line_comment()?,
            b'/' => match self.raw()? {
                Some(second) if second.value == b'/' => self.line_comment()?,
                Some(second) if second.value == b'*' => self.block_comment(byte)?,
                other => {
                    self.back = other;
                    return Ok(false);
                }
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn line_comment(&mut self) -> io::Result<()> {
        while let Some(byte) = self.raw()? {
            if byte.value == b'\n' {
                break;
            }
        }
        Ok(())
    }

    fn block_comment(&mut self, start: Byte) -> io::Result<()> {
        let mut star = false;
        while let Some(byte) = self.raw()? {
            if star && byte.value == b'/' {
                return Ok(());
            }
            star = byte.value == b'*';
        }
        self.stands(start);
        let why = "this comment is never closed";
        Err(io::Error::new(io::ErrorKind::InvalidData, why))
    }

    fn stands(&self, byte: Byte) {
        self.at.line.set(byte.line);
        self.at.column.set(byte.column);
        self.at.offset.set(byte.offset);
    }
}

impl<R: Read> Read for Relaxed<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let Some(first) = to.first_mut() else {
            return Ok(0);
        };
        let Some(byte) = self.plain()? else {
            return Ok(0);
        };
        self.stands(byte);
        *first = match byte.value {
            // The end of a text for DOS; no text in JSON has one.
            0x1a => b' ',
            value => value,
        };
        Ok(1)
    }
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What it is.
    pub why: String,
    /// The byte where.
    pub at: usize,
}

/// A text as a value.
///
/// # Errors
/// What is wrong where it is no JSON.
pub fn value(text: &str) -> Result<serde_json::Value, Broken> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let at = At::start();
    let read = serde_json::from_reader(Relaxed::new(bare.as_bytes(), &at));
    read.map_err(|error: serde_json::Error| {
        let offset = place_of(bare, &error).unwrap_or_else(|| at.offset.get());
        Broken {
            why: message(&error),
            at: offset + text.len() - bare.len(),
        }
    })
}

/// The byte that an error is about. The parser may have read on since: it looks for the end of a list even so.
fn place_of(bare: &str, error: &serde_json::Error) -> Option<usize> {
    if error.is_io() {
        return None;
    }
    let at = At::start();
    let mut relaxed = Relaxed::new(bare.as_bytes(), &at);
    let (mut line, mut column) = (1, 0);
    while let Ok(Some(byte)) = relaxed.plain() {
        (line, column) = match byte.value {
            b'\n' => (line + 1, 0),
            _ => (line, column + 1),
        };
        if (line, column) == (error.line(), error.column()) {
            return Some(byte.offset);
        }
    }
    None
}

/// What an error says, without the place: of that the reader knows more.
pub(crate) fn message(error: &serde_json::Error) -> String {
    let shown = error.to_string();
    match shown.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => shown,
    }
}

/// Whether a text begins an object, behind blanks and comments.
#[must_use]
pub fn begins_object(text: &str) -> bool {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let at = At::start();
    let mut relaxed = Relaxed::new(bare.as_bytes(), &at);
    let first = relaxed.significant();
    first.is_ok_and(|first| first.is_some_and(|byte| byte.value == b'{'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn comments_and_last_commas_are_passed_by() {
        let check = |text: &str, expected: Value| assert_eq!(value(text), Ok(expected), "{text}");
        check("{\"a\": [1, 2,], }", json!({"a": [1, 2]}));
        check("// x\n{ # y\n\"a\": /* z\n */ 1 // w\n}", json!({"a": 1}));
        check("{\"a\": [1, // x\n /* y */ ], # z\n}", json!({"a": [1]}));
        check("[1//x\n,2]", json!([1, 2]));
        check(
            "\u{feff}[\"//\", \"#,]\", \"\\\",]\", \"/*\",]",
            json!(["//", "#,]", "\",]", "/*"]),
        );
        check("[\"\\\\\", 1,]", json!(["\\", 1]));
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        let check = |text: &str, expected: (&str, &str)| {
            let Broken { why, at } = value(text).unwrap_err();
            let rest: String = text[at..].chars().take(3).collect();
            assert_eq!((why.as_str(), rest.as_str()), expected, "{text}");
        };
        check("[,]", ("expected value", ",]"));
        check("[1,,]", ("expected value", ",]"));
        check("[1, // x\n /* y */ , 2]", ("expected value", ", 2"));
        check("{,}", ("key must be a string", ",}"));
        check("[1 /* a */ 2]", ("expected `,` or `]`", "2]"));
        check("[1, // a\n x]", ("expected value", "x]"));
        check("[1, 2", ("EOF while parsing a list", "2"));
        check("[1] /* x", ("this comment is never closed", "/* "));
        check("[1 / 2]", ("expected `,` or `]`", "/ 2"));
        check("[1/2, 3]", ("expected `,` or `]`", "/2,"));
        check("{\"a\":,}", ("expected value", ",}"));
    }

    #[test]
    fn a_text_begins_an_object_behind_comments() {
        let check = |text: &str, expected| assert_eq!(begins_object(text), expected, "{text}");
        check("\u{feff} // a\n# b\n/* c */ {", true);
        check("{", true);
        check("# a\nkey: {", false);
        check("/* {", false);
        check("", false);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(Value::from),
            "[a-z\\\\\"/#*,\\]}é]{0,6}".prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z/#,]{1,3}", inner, 0..4)
                    .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn plain_json_is_what_it_was(value in json_value()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(super::value(&text), Ok(value.clone()), "{}", text);
            }
        }
    }
}

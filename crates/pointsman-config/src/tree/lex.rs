//! Words and signs of the tree language, each with its bytes in the source.
//!
//! Total: whatever it is given becomes tokens. Line ends are no tokens; each token says whether it is
//! the first of its line. Strings end with their line. Deliberately absent: keywords; what a word
//! means depends on where it stands.

use std::ops::Range;
use std::sync::Arc;

use crate::problem::{Problems, Source};

/// The most tokens that a text may have.
pub(super) const MAX_TOKENS: usize = 1_000_000;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `=>`
    Arrow,
    /// `}`
    BraceClose,
    /// `{`
    BraceOpen,
    /// `]`
    BracketClose,
    /// `[`
    BracketOpen,
    /// `,`
    Comma,
    /// The end of the text.
    End,
    /// `=`
    Equals,
    /// `)`
    ParenClose,
    /// `(`
    ParenOpen,
    /// `|`
    Pipe,
    /// Quoted text, its quotes included.
    Text,
    /// Anything else up to white space or a sign.
    Word,
}

/// A token and its place.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset behind the last byte.
    pub end: usize,
    /// Whether it is the first of its line.
    pub first: bool,
}

impl TokenKind {
    /// Whether it opens a bracket.
    pub(crate) fn opens(self) -> bool {
        matches!(self, Self::BraceOpen | Self::BracketOpen | Self::ParenOpen)
    }

    /// Whether it closes one.
    pub(crate) fn closes(self) -> bool {
        matches!(
            self,
            Self::BraceClose | Self::BracketClose | Self::ParenClose
        )
    }

    /// Whether it closes a list; parentheses close conditions alone.
    pub(crate) fn closes_list(self) -> bool {
        matches!(self, Self::BraceClose | Self::BracketClose)
    }

    /// The sign itself, for messages.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Arrow => "=>",
            Self::BraceClose => "}",
            Self::BraceOpen => "{",
            Self::BracketClose => "]",
            Self::BracketOpen => "[",
            Self::Comma => ",",
            Self::End => "the end",
            Self::Equals => "=",
            Self::ParenClose => ")",
            Self::ParenOpen => "(",
            Self::Pipe => "|",
            Self::Text => "a text",
            Self::Word => "a word",
        }
    }
}

/// The tokens of a byte range of a source; the last one is [`TokenKind::End`].
pub fn tokens(source: &Arc<Source>, range: Range<usize>, problems: &mut Problems) -> Vec<Token> {
    let whole = source.span(range.start, range.end);
    let (text, base) = (whole.text(), whole.start);
    let mut list = Vec::new();
    let mut first = true;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        if c == '\n' || c == '\r' {
            first = true;
            rest = &rest[1..];
            continue;
        }
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            continue;
        }
        if c == '#' {
            rest = rest.find(['\n', '\r']).map_or("", |end| &rest[end..]);
            continue;
        }
        if list.len() >= MAX_TOKENS {
            let place = source.span(base + at, base + at + 1);
            problems.error("too-large", &place, format!("more than {MAX_TOKENS} words"));
            break;
        }
        let (kind, length) = match c {
            '"' | '\'' => {
                let (length, closed) = quoted(rest, c);
                if !closed {
                    let place = source.span(base + at, base + at + length);
                    let problem = problems.error(
                        "unclosed",
                        &place,
                        format!("this text has no closing {c} on its line"),
                    );
                    problem.hint = Some(format!("add {c} where the text ends"));
                }
                (TokenKind::Text, length)
            }
            '=' if rest.starts_with("=>") => (TokenKind::Arrow, 2),
            _ => match sign(c) {
                Some(kind) => (kind, 1),
                None => (TokenKind::Word, rest.find(ends_word).unwrap_or(rest.len())),
            },
        };
        list.push(Token {
            kind,
            start: base + at,
            end: base + at + length,
            first,
        });
        first = false;
        rest = &rest[length..];
    }
    list.push(Token {
        kind: TokenKind::End,
        start: whole.end,
        end: whole.end,
        first: true,
    });
    list
}

fn sign(c: char) -> Option<TokenKind> {
    Some(match c {
        '{' => TokenKind::BraceOpen,
        '}' => TokenKind::BraceClose,
        '[' => TokenKind::BracketOpen,
        ']' => TokenKind::BracketClose,
        '(' => TokenKind::ParenOpen,
        ')' => TokenKind::ParenClose,
        ',' => TokenKind::Comma,
        '=' => TokenKind::Equals,
        '|' => TokenKind::Pipe,
        _ => return None,
    })
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || c == '#' || sign(c).is_some()
}

/// The length of a quoted text with its quotes, and whether it is closed on its line.
fn quoted(rest: &str, quote: char) -> (usize, bool) {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' | '\r' => return (at, false),
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return (at + 1, true),
            _ => {}
        }
    }
    (rest.len(), false)
}

/// The content of a quoted text: in double quotes `\\`, `\"`, `\n`, `\r` and `\t` are escapes and any other
/// backslash stands for itself; single quotes are verbatim.
pub(super) fn unquote(written: &str) -> String {
    if let Some(inner) = written.strip_prefix('\'') {
        return inner.strip_suffix('\'').unwrap_or(inner).to_owned();
    }
    let inner = written.strip_prefix('"').unwrap_or(written);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some(c @ ('\\' | '"')) => out.push(c),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    out
}

/// A text in double quotes that `unquote` gives back.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' | '"' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The text as it can stand in a tree: bare where it reads as one word, else in quotes.
#[must_use]
pub fn word(text: &str) -> String {
    let bare = !text.is_empty() && !text.contains(ends_word) && !text.starts_with(['"', '\'']);
    if bare { text.to_owned() } else { quote(text) }
}

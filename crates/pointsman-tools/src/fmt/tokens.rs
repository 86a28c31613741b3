//! Tokens and comments of a range of a source, by their places.

use std::ops::Range;
use std::sync::Arc;

use pointsman_config::problem::{Problems, Source};
use pointsman_config::tree::lex::{self, Token, TokenKind};

/// A comment, from its sign to the end of its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment {
    /// Byte offset of its `#`.
    pub(super) start: usize,
    /// Byte offset behind its last character that is no white space.
    pub(super) end: usize,
}

/// What stands in a range of a source.
pub(super) struct Tokens {
    /// In order; the end is not among them.
    pub(super) tokens: Vec<Token>,
    /// In order.
    pub(super) comments: Vec<Comment>,
}

impl Tokens {
    /// Reads a range; what is broken in it was told by its parser.
    pub(super) fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        let mut tokens = lex::tokens(source, range.clone(), &mut Problems::default());
        tokens.retain(|token| token.kind != TokenKind::End);
        let mut comments = Vec::new();
        let mut from = range.start;
        let ends = tokens.iter().map(|token| (token.start, token.end));
        for (start, end) in ends.chain([(range.end, range.end)]) {
            between(source, from..start, &mut comments);
            from = end;
        }
        Self { tokens, comments }
    }

    /// Where the first token of this kind ends that begins at or behind `at`.
    pub(super) fn end_of(&self, kind: TokenKind, at: usize) -> usize {
        let from = self.tokens.partition_point(|token| token.start < at);
        let found = self.tokens[from..].iter().find(|token| token.kind == kind);
        found.map_or(at, |token| token.end)
    }

    /// Whether a comment begins in the range.
    pub(super) fn has_comment(&self, range: Range<usize>) -> bool {
        let from = self.comments.partition_point(|c| c.start < range.start);
        self.comments.get(from).is_some_and(|c| c.start < range.end)
    }
}

/// Adds the comments in a range that holds nothing else.
fn between(source: &Arc<Source>, range: Range<usize>, comments: &mut Vec<Comment>) {
    let text = source.text.get(range.clone()).unwrap_or("");
    let mut at = 0;
    while let Some(sign) = text[at..].find('#') {
        let start = at + sign;
        let length = text[start..].find(['\n', '\r']);
        let end = length.map_or(text.len(), |length| start + length);
        let trimmed = start + text[start..end].trim_end().len();
        comments.push(Comment {
            start: range.start + start,
            end: range.start + trimmed,
        });
        at = end;
    }
}

//! A place in the tokens of a text, with what every parser of them needs: names, brackets, and the
//! way back after an error.
//!
//! Invariant: every loop over it moves on, and nothing recurses deeper than [`MAX_DEPTH`].

use std::ops::Range;
use std::sync::Arc;

use super::Name;
use super::lex::{self, Token, TokenKind};
use crate::problem::{Problem, Problems, Source, Span};

/// The deepest nesting of branches and conditions.
pub const MAX_DEPTH: usize = 128;

/// The most `else => cond ...` on the way to a branch: they follow one another and nest nothing.
pub const MAX_CHAIN: usize = 256;

/// A place in a text.
pub(crate) struct Cursor<'a> {
    /// The text.
    pub(crate) source: &'a Arc<Source>,
    /// Where problems go.
    pub(crate) problems: &'a mut Problems,
    /// How deep the branch is that is being read.
    pub(super) depth: usize,
    /// How many `else => cond` lead to it.
    pub(super) elses: usize,
    tokens: Vec<Token>,
    at: usize,
    /// Brackets that are open, by the sign that closes them.
    open: Vec<TokenKind>,
    /// Where the last bracket was found unclosed: those around it are told of by the same problem.
    unclosed_at: Option<usize>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(
        source: &'a Arc<Source>,
        range: Range<usize>,
        problems: &'a mut Problems,
    ) -> Self {
        let tokens = lex::tokens(source, range, problems);
        Self {
            source,
            problems,
            depth: 0,
            elses: 0,
            tokens,
            at: 0,
            open: Vec::new(),
            unclosed_at: None,
        }
    }

    /// The token that comes next.
    pub(crate) fn peek(&self) -> Token {
        self.ahead(0)
    }

    /// The token that comes `n` after the next.
    pub(crate) fn ahead(&self, n: usize) -> Token {
        let last = self.tokens.len() - 1;
        self.tokens[(self.at + n).min(last)]
    }

    /// Takes the next token.
    pub(crate) fn bump(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    /// Takes the next token where it is this one.
    pub(crate) fn eat(&mut self, kind: TokenKind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.bump())
    }

    /// Whether something else follows on the line.
    pub(crate) fn more_on_line(&self) -> bool {
        !self.peek().first
    }

    /// The source text of a token.
    pub(crate) fn text(&self, token: Token) -> &'a str {
        self.source.text.get(token.start..token.end).unwrap_or("")
    }

    /// Whether the next token is this bare word.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.peek().kind == TokenKind::Word && self.text(self.peek()) == word
    }

    /// Takes the next token where it is this bare word.
    pub(crate) fn eat_word(&mut self, word: &str) -> Option<Token> {
        self.is_word(word).then(|| self.bump())
    }

    /// The place of a token; of the end: the last thing before it.
    pub(crate) fn span(&self, token: Token) -> Span {
        if token.kind == TokenKind::End
            && let Some(last) = self.tokens.len().checked_sub(2)
        {
            return self
                .source
                .span(self.tokens[last].start, self.tokens[last].end);
        }
        self.source.span(token.start, token.end)
    }

    /// From a token to the last one taken.
    pub(crate) fn span_from(&self, start: Token) -> Span {
        let end = self
            .at
            .checked_sub(1)
            .map_or(start.end, |at| self.tokens[at].end);
        self.source.span(start.start, end.max(start.end))
    }

    /// A word or a quoted text, or an error that says `what` was expected.
    pub(crate) fn name(&mut self, what: &str) -> Option<Name> {
        let token = self.peek();
        let text = match token.kind {
            TokenKind::Word => self.text(token).to_owned(),
            TokenKind::Text => lex::unquote(self.text(token)),
            _ => {
                self.unexpected(what);
                return None;
            }
        };
        self.bump();
        let span = self.span(token);
        Some(Name { text, span })
    }

    /// All that stands together up to white space, `#` or a brace: `[::1]:1080`.
    pub(crate) fn raw(&mut self, what: &str) -> Option<Name> {
        let first = self.peek();
        let ends = |c: char| c.is_whitespace() || matches!(c, '#' | '{' | '}');
        let rest = self.source.text.get(first.start..).unwrap_or("");
        let length = rest.find(ends).unwrap_or(rest.len());
        if first.kind == TokenKind::End || first.first || length == 0 {
            self.unexpected(what);
            return None;
        }
        let end = first.start + length;
        while self.peek().kind != TokenKind::End && self.peek().start < end {
            self.bump();
        }
        Some(Name {
            text: rest[..length].to_owned(),
            span: self.source.span(first.start, end),
        })
    }

    /// Takes this sign or says that it was expected.
    pub(crate) fn expect(&mut self, kind: TokenKind, after: &str) -> Option<Token> {
        let found = self.eat(kind);
        if found.is_none() {
            self.unexpected(&format!("`{}` after {after}", kind.sign()));
        }
        found
    }

    /// Says that something else was expected here.
    pub(crate) fn unexpected(&mut self, expected: &str) -> &mut Problem {
        let token = self.peek();
        let span = self.span(token);
        let found = match token.kind {
            TokenKind::End => "the text ends here".to_owned(),
            _ => format!("`{}` stands here", shorten(self.text(token))),
        };
        let message = format!("{found}, but {expected} is expected");
        self.problems.error("unexpected-text", &span, message)
    }

    /// The items of a bracket whose opening sign `open` was just taken, one a line, up to the sign
    /// that closes it. `what` names an item in messages.
    pub(crate) fn list<T>(
        &mut self,
        open: Token,
        close: TokenKind,
        what: &str,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Vec<T> {
        let mut items = Vec::new();
        let mut read_any = false;
        self.open.push(close);
        loop {
            let next = self.peek();
            if next.kind == close {
                self.bump();
                break;
            }
            if next.kind == TokenKind::End || next.kind.closes_list() || self.at_item() {
                self.unclosed(open, next);
                // A sign that closes no bracket around this one belongs to nothing else.
                if next.kind.closes_list() && !self.open.contains(&next.kind) {
                    self.bump();
                }
                break;
            }
            let from = self.at;
            if read_any && !next.first {
                self.leftover(what);
                self.skip_line(from);
                continue;
            }
            read_any = true;
            match item(self) {
                Some(item) => items.push(item),
                None => self.skip_line(from),
            }
        }
        self.open.pop();
        items
    }

    /// Says that the line goes on where it should end.
    pub(crate) fn leftover(&mut self, what: &str) {
        let token = self.peek();
        let span = self.span(token);
        let text = shorten(self.text(token));
        let message = format!("`{text}` is left over: a line holds one {what}");
        let problem = self.problems.error("unexpected-text", &span, message);
        problem.hint = Some("put it on a line of its own, or remove it".into());
    }

    /// Goes on to the next line, or to the sign that closes the bracket that we are in; brackets on
    /// the way are skipped whole. Moves at least one token past `from`, unless a closing sign or
    /// the end stands there.
    pub(crate) fn skip_line(&mut self, from: usize) {
        let mut depth = 0_usize;
        loop {
            let next = self.peek();
            let moved = self.at > from;
            if next.kind == TokenKind::End || (moved && self.at_item()) {
                return;
            }
            if depth == 0 && ((next.first && moved) || next.kind.closes_list()) {
                return;
            }
            if next.kind.opens() {
                depth += 1;
            } else if next.kind.closes() {
                depth = depth.saturating_sub(1);
            }
            self.bump();
        }
    }

    /// The place that [`Self::skip_line`] takes.
    pub(crate) fn mark(&self) -> usize {
        self.at
    }

    /// Whether a line begins here that can only be an item of a file: a bracket before it was never
    /// closed.
    pub(crate) fn at_item(&self) -> bool {
        let next = self.peek();
        if !next.first || next.kind != TokenKind::Word {
            return false;
        }
        match self.text(next) {
            "egress" | "rule" => self.ahead(2).kind == TokenKind::Equals,
            "relay" | "dns" => self.ahead(1).kind == TokenKind::BraceOpen,
            _ => false,
        }
    }

    fn unclosed(&mut self, open: Token, next: Token) {
        if self.unclosed_at.replace(next.start) == Some(next.start) {
            return;
        }
        let (span, sign) = (self.span(open), open.kind.sign());
        let message = format!("this `{sign}` is never closed");
        let near = self.span(next);
        let why = match next.kind {
            TokenKind::End => "the text ends here".to_owned(),
            _ => format!("`{}` stands here", shorten(self.text(next))),
        };
        let problem = self.problems.error("unclosed", &span, message);
        problem.related = Some((near, why));
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

//! Trees laid out: one branch or key a line, two spaces a level.
//!
//! A `cond SUBJECT { ... }` with one key stands on one line where it fits and holds no comment.

use std::ops::Range;
use std::sync::Arc;

use super::tokens::Tokens;
use super::weave::{Line, weave};
use pointsman_policy::condition::NumberField;

use pointsman_config::problem::Source;
use pointsman_config::tree::lex::{TokenKind, quote, word};
use pointsman_config::tree::{Arm, Ast, Branch, Name, Test, When};

/// The widest line that a `cond` with one key may make.
const WIDE: usize = 100;

/// A tree in a text of its own; `base` spaces stand before each line.
pub(super) fn block(ast: &Ast, source: &Arc<Source>, range: Range<usize>, base: usize) -> String {
    let tokens = Tokens::new(source, range);
    let mut layout = Layout::new(&tokens);
    layout.branch(&ast.root);
    let lines = layout.finish();
    let end = super::line_end(&source.text);
    weave(source, lines, &tokens.comments, &" ".repeat(base), end)
}

/// Lines as they come to be.
pub(super) struct Layout<'t> {
    tokens: &'t Tokens,
    lines: Vec<Line>,
    line: Line,
    indent: usize,
}

impl<'t> Layout<'t> {
    pub(super) fn new(tokens: &'t Tokens) -> Self {
        Self {
            tokens,
            lines: Vec::new(),
            line: Line::default(),
            indent: 0,
        }
    }

    pub(super) fn finish(mut self) -> Vec<Line> {
        self.end_line();
        self.lines
    }

    /// Adds a text that stands at a place in the source.
    pub(super) fn put(&mut self, text: &str, place: Range<usize>) {
        if self.line.text.is_empty() {
            self.line.indent = self.indent;
            self.line.start = place.start;
        }
        self.line.text.push_str(text);
        self.line.end = place.end;
    }

    pub(super) fn end_line(&mut self) {
        if !self.line.text.is_empty() {
            self.lines.push(std::mem::take(&mut self.line));
        }
    }

    /// Goes one level in.
    pub(super) fn open(&mut self) {
        self.end_line();
        self.indent += 1;
    }

    /// Goes one level out; the sign begins a line.
    pub(super) fn close(&mut self, sign: &str, place: Range<usize>) {
        self.end_line();
        self.indent = self.indent.saturating_sub(1);
        self.put(sign, place);
        self.line.closes = true;
    }

    pub(super) fn branch(&mut self, branch: &Branch) {
        match branch {
            Branch::Any(branches, span) => self.list("any [", branches, span.start..span.end),
            Branch::Only(branches, span) => self.list("only [", branches, span.start..span.end),
            Branch::Leaf(name) => self.put(&leaf(name), name.span.start..name.span.end),
            Branch::Ask(_, span) | Branch::Log { span, .. } => {
                let text = inline(branch).unwrap_or_default();
                self.put(&text, span.start..span.end);
            }
            Branch::Cond {
                subject,
                arms,
                span,
            } => {
                let place = span.start..span.end;
                let width = 2 * self.indent + self.line.text.chars().count();
                if let Some(text) = inline(branch)
                    && !self.tokens.has_comment(place.clone())
                    && width + text.chars().count() <= WIDE
                {
                    return self.put(&text, place);
                }
                let opens = self.tokens.end_of(TokenKind::BraceOpen, subject.span.end);
                self.put(&format!("cond {} {{", subject.text), place.start..opens);
                self.open();
                for arm in arms {
                    self.put(
                        &format!("{} => ", key(arm)),
                        arm.span.start..arm.key.span.end,
                    );
                    self.branch(&arm.then);
                    self.end_line();
                }
                self.close("}", place.end - 1..place.end);
            }
            Branch::When {
                when,
                then,
                otherwise,
                span,
            } => {
                let text = format!("cond {} => ", self::when(when));
                self.put(&text, span.start..then.span().start);
                self.branch(then);
                if let Some(otherwise) = otherwise {
                    self.put(" else => ", then.span().end..otherwise.span().start);
                    self.branch(otherwise);
                }
            }
        }
    }

    fn list(&mut self, head: &str, branches: &[Branch], place: Range<usize>) {
        let opens = self.tokens.end_of(TokenKind::BracketOpen, place.start);
        self.put(head, place.start..opens);
        self.open();
        for branch in branches {
            self.branch(branch);
            self.end_line();
        }
        self.close("]", place.end - 1..place.end);
    }
}

/// A branch on one line, where it can stand on one.
fn inline(branch: &Branch) -> Option<String> {
    match branch {
        Branch::Any(..) | Branch::Only(..) => None,
        Branch::Ask(ask, _) => Some(ask.to_string()),
        Branch::Leaf(name) => Some(leaf(name)),
        Branch::Log { id: 0, message, .. } => Some(format!("log {}", quote(&message.text))),
        Branch::Log { id, message, .. } => Some(format!("log {id} {}", quote(&message.text))),
        Branch::Cond { subject, arms, .. } => match arms.as_slice() {
            [only] => {
                let then = inline(&only.then)?;
                Some(format!(
                    "cond {} {{ {} => {then} }}",
                    subject.text,
                    key(only)
                ))
            }
            _ => None,
        },
        Branch::When {
            when,
            then,
            otherwise: None,
            ..
        } => Some(format!("cond {} => {}", self::when(when), inline(then)?)),
        Branch::When { .. } => None,
    }
}

fn leaf(name: &Name) -> String {
    let reserved = matches!(name.text.as_str(), "any" | "cond" | "else" | "log" | "only");
    if reserved {
        quote(&name.text)
    } else {
        word(&name.text)
    }
}

fn key(arm: &Arm) -> String {
    match (arm.otherwise, arm.key.text.as_str()) {
        (true, _) => "else".to_owned(),
        (false, "else") => quote("else"),
        (false, text) => word(text),
    }
}

fn when(condition: &When) -> String {
    match condition {
        When::And(all) => joined(all, " and "),
        When::Or(any) => joined(any, " or "),
        When::Not(inner) => format!("not {}", part(inner)),
        When::Test(test) => self::test(test),
    }
}

fn joined(parts: &[When], with: &str) -> String {
    let parts: Vec<String> = parts.iter().map(part).collect();
    parts.join(with)
}

fn part(condition: &When) -> String {
    match condition {
        When::And(_) | When::Or(_) => format!("({})", when(condition)),
        When::Not(_) | When::Test(_) => when(condition),
    }
}

fn test(test: &Test) -> String {
    // Another name of the same fact.
    let fact = match test.fact.text.as_str() {
        "user-agent" => "http.user_agent",
        fact => fact,
    };
    let mut text = word(fact);
    let mut quotes = false;
    if let Some(operator) = &test.operator {
        let operator = operator_word(fact, &operator.text, &test.values);
        quotes = matches!(operator, "has" | "matches" | "app") || fact == "app";
        text.push(' ');
        text.push_str(&word(operator));
    }
    if !test.values.is_empty() {
        let value = |name: &Name| match quotes {
            true => quote(&name.text),
            false => word(&name.text),
        };
        let values: Vec<String> = test.values.iter().map(value).collect();
        text.push(' ');
        text.push_str(&values.join(", "));
    }
    if test.nocase {
        text.push_str(" nocase");
    }
    if test.no_resolve {
        text.push_str(" no-resolve");
    }
    text
}

/// `eq` for one value and `in` for several, where both mean the same.
fn operator_word<'n>(fact: &str, operator: &'n str, values: &[Name]) -> &'n str {
    if !matches!(operator, "eq" | "in") || fact == "domain" {
        return operator;
    }
    let range = |name: &Name| name.text.contains('-');
    let numbers = NumberField::ALL.map(NumberField::fact);
    let is_number = |fact| matches!(fact, "port" | "source.port") || numbers.contains(&fact);
    match fact {
        "ip" => operator,
        "source" | "local" | "endpoint" => "in",
        fact if is_number(fact) && values.iter().any(range) => "in",
        _ if values.len() > 1 => "in",
        _ => "eq",
    }
}

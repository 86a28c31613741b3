//! `ask 200 within 30s suggest continue fallback reject`: a request in a tree.
//!
//! Invariant: what [`text`] writes is read back the same; parts that are as by default are not written.

use std::fmt;
use std::time::Duration;

use pointsman_policy::model::Origin;
use pointsman_policy::request::{Request, Route};
use pointsman_policy::{Condition, Node};

use super::cursor::Cursor;
use super::lex::{Token, TokenKind};
use super::lowering::Lowerer;
use super::{Branch, Name};
use crate::problem::{Problem, Span, nearest};
use crate::rule_list::request_timeout;

/// Words that may follow the number.
const PARTS: [&str; 3] = ["within", "suggest", "fallback"];

/// A request as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who is asked.
    pub subscriber: u32,
    /// How long a flow waits.
    pub timeout: Duration,
    /// What is suggested.
    pub suggested: Route,
    /// What counts where nobody answers.
    pub fallback: Route,
}

impl Ask {
    fn new(subscriber: u32) -> Self {
        Self {
            subscriber,
            timeout: Request::TIMEOUT,
            suggested: Route::Continue,
            fallback: Route::Reject,
        }
    }
}

impl From<&Request> for Ask {
    fn from(request: &Request) -> Self {
        Self {
            subscriber: request.subscriber,
            timeout: request.timeout,
            suggested: request.suggested,
            fallback: request.fallback,
        }
    }
}

/// In one spelling, on one line.
impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::new(self.subscriber);
        write!(f, "ask {}", self.subscriber)?;
        if self.timeout != usual.timeout {
            write!(f, " within {}s", self.timeout.as_secs())?;
        }
        for (word, route, usual) in [
            ("suggest", self.suggested, usual.suggested),
            ("fallback", self.fallback, usual.fallback),
        ] {
            if route != usual {
                write!(f, " {word} {}", route.as_str().to_ascii_lowercase())?;
            }
        }
        Ok(())
    }
}

/// Behind `ask`.
pub(super) fn read(cursor: &mut Cursor<'_>, start: Token) -> Option<Branch> {
    let number = cursor.name("the number of a subscriber")?;
    let Ok(subscriber) = number.text.parse() else {
        let message = format!("`{}` is no number from 0 to {}", number.text, u32::MAX);
        error(cursor, &number, message).hint =
            Some("`ask` is followed by the number of who is asked: `ask 200`".into());
        return None;
    };
    let mut ask = Ask::new(subscriber);
    let mut seen: Vec<String> = Vec::new();
    while cursor.peek().kind == TokenKind::Word && cursor.more_on_line() && !cursor.is_word("else")
    {
        let word = cursor.name("a word")?;
        if seen.contains(&word.text) {
            let message = format!("`{}` is given twice", word.text);
            error(cursor, &word, message);
            return None;
        }
        match word.text.as_str() {
            "within" => {
                let value = cursor.name("how long a flow waits")?;
                match request_timeout(&value.text) {
                    Ok(timeout) => ask.timeout = timeout,
                    Err(why) => {
                        error(cursor, &value, why);
                    }
                }
            }
            "suggest" => ask.suggested = route(cursor)?,
            "fallback" => ask.fallback = route(cursor)?,
            other => {
                let message = format!("`{other}` does not belong to `ask`");
                let near = nearest(other, PARTS);
                error(cursor, &word, message).hint = Some(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`within 30s`, `suggest continue` and `fallback reject` do".into(),
                });
                return None;
            }
        }
        seen.push(word.text);
    }
    Some(Branch::Ask(ask, cursor.span_from(start)))
}

fn route(cursor: &mut Cursor<'_>) -> Option<Route> {
    let value = cursor.name("`continue`, `reject` or `blackhole`")?;
    let route = Route::of(&value.text);
    if route.is_none() {
        let message = format!("`{}` is none of continue, reject, blackhole", value.text);
        error(cursor, &value, message);
    }
    route
}

/// The step that asks where the condition holds; `None` comes with a problem.
pub(super) fn lower(
    lowerer: &mut Lowerer<'_>,
    condition: Condition,
    ask: &Ask,
    span: &Span,
    origin: Origin,
) -> Option<Node> {
    let find = |name: &str| lowerer.context.outbounds.find(name);
    let (Some(reject), Some(blackhole)) = (find("reject"), find("blackhole")) else {
        let message = "this language has no `reject` and `blackhole` to ask for".to_owned();
        let hint = "`pointsman convert` writes the native language, which has".to_owned();
        lowerer.error("unknown-outbound", span, message, hint);
        return None;
    };
    let mut request = Request::new(ask.subscriber, reject, blackhole);
    (request.timeout, request.suggested, request.fallback) =
        (ask.timeout, ask.suggested, ask.fallback);
    Some(Node::Request {
        condition,
        request,
        origin,
    })
}

fn error<'c>(cursor: &'c mut Cursor<'_>, at: &Name, message: String) -> &'c mut Problem {
    cursor.problems.error("invalid-value", &at.span, message)
}

//! Branches, arms and conditions from tokens.
//!
//! Invariant: a function that answers `None` has pushed a problem.

use super::cursor::{Cursor, MAX_CHAIN, MAX_DEPTH};
use super::lex::{Token, TokenKind};
use super::{Arm, Ast, Branch, Name, Test, When};

/// What may follow `cond` before a brace.
const SUBJECTS: [&str; 3] = ["domain", "ip", "protocol"];

/// Words that something follows; the first two are followed by `[`.
const KEYWORDS: [&str; 5] = ["any", "only", "cond", "log", "ask"];

/// Every operator there is.
const OPERATORS: [&str; 7] = ["eq", "in", "under", "has", "matches", "zone", "app"];

/// A whole text as one tree.
pub(super) fn whole(cursor: &mut Cursor<'_>) -> Option<Ast> {
    let from = cursor.mark();
    let root = branch(cursor);
    if root.is_none() {
        cursor.skip_line(from);
    }
    let mut told = root.is_none();
    while cursor.peek().kind != TokenKind::End {
        if !told {
            let span = cursor.span(cursor.peek());
            let problem = cursor.problems.error(
                "unexpected-text",
                &span,
                "the tree ends before this: a policy is one tree",
            );
            problem.hint = Some("write several branches as `any [ ... ]`, one a line".into());
            told = true;
        }
        cursor.bump();
    }
    root.map(|root| Ast { root })
}

/// One branch.
pub(crate) fn branch(cursor: &mut Cursor<'_>) -> Option<Branch> {
    if cursor.depth >= MAX_DEPTH {
        let span = cursor.span(cursor.peek());
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        cursor.problems.error("too-deep", &span, message);
        return None;
    }
    cursor.depth += 1;
    let branch = branch_here(cursor);
    cursor.depth -= 1;
    branch
}

fn branch_here(cursor: &mut Cursor<'_>) -> Option<Branch> {
    let start = cursor.peek();
    if start.kind != TokenKind::Word {
        return match start.kind {
            TokenKind::Text => cursor.name("a branch").map(Branch::Leaf),
            _ => {
                cursor.unexpected("a branch (an outbound, `any [` or `cond`)");
                None
            }
        };
    }
    let next = cursor.ahead(1).kind;
    match cursor.text(start) {
        "any" => {
            cursor.bump();
            let branches = branches(cursor, start, "any")?;
            Some(Branch::Any(branches, cursor.span_from(start)))
        }
        "only" if next == TokenKind::BracketOpen => {
            cursor.bump();
            let branches = branches(cursor, start, "only")?;
            Some(Branch::Only(branches, cursor.span_from(start)))
        }
        "cond" => {
            cursor.bump();
            cond(cursor, start)
        }
        "log" if matches!(next, TokenKind::Text | TokenKind::Word) && !cursor.ahead(1).first => {
            cursor.bump();
            log(cursor, start)
        }
        "ask" if next == TokenKind::Word && !cursor.ahead(1).first && !is_else(cursor) => {
            cursor.bump();
            super::ask::read(cursor, start)
        }
        "else" => {
            let span = cursor.span(start);
            let problem = cursor.problems.error(
                "unexpected-text",
                &span,
                "`else` belongs to the `cond` before it",
            );
            problem.hint = Some(
                "write `else =>` on the line on which that branch ends, or inside its braces"
                    .into(),
            );
            None
        }
        _ => {
            let name = cursor.name("a branch")?;
            let good = !is_misspelled(cursor, &name);
            good.then_some(Branch::Leaf(name))
        }
    }
}

fn is_else(cursor: &Cursor<'_>) -> bool {
    cursor.text(cursor.ahead(1)) == "else"
}

/// Whether a word was meant for a keyword, for more follows it on its line; then this was told.
fn is_misspelled(cursor: &mut Cursor<'_>, name: &Name) -> bool {
    let next = cursor.peek();
    let goes_on = match next.kind {
        TokenKind::BracketOpen | TokenKind::BraceOpen | TokenKind::ParenOpen | TokenKind::Text => {
            true
        }
        TokenKind::Word => !next.first && !matches!(cursor.text(next), "else"),
        _ => false,
    };
    if !goes_on || next.first {
        return false;
    }
    let known = match next.kind {
        TokenKind::BracketOpen => &KEYWORDS[..2],
        _ => &KEYWORDS[2..],
    };
    let Some(near) = crate::problem::nearest(&name.text, known.iter().copied()) else {
        return false;
    };
    let message = format!("`{}` is no word of the language", name.text);
    let problem = cursor
        .problems
        .error("unexpected-text", &name.span, message);
    problem.hint = Some(format!("did you mean `{near}`?"));
    true
}

fn branches(cursor: &mut Cursor<'_>, start: Token, word: &str) -> Option<Vec<Branch>> {
    let open = cursor.expect(TokenKind::BracketOpen, &format!("`{word}`"))?;
    let before = cursor.problems.total();
    let branches = cursor.list(open, TokenKind::BracketClose, "branch", branch);
    if branches.is_empty() && cursor.problems.total() == before {
        let span = cursor.span_from(start);
        let message = format!("this `{word}` has no branches");
        let problem = cursor.problems.error("empty-list", &span, message);
        problem.hint = Some("add a branch, or remove it".into());
    }
    Some(branches)
}

fn log(cursor: &mut Cursor<'_>, start: Token) -> Option<Branch> {
    let mut id = 0;
    if cursor.peek().kind == TokenKind::Word && cursor.ahead(1).kind == TokenKind::Text {
        let number = cursor.name("a number")?;
        id = number.text.parse().unwrap_or_else(|_not_a_number| {
            let message = format!("`{}` is no number from 0 to {}", number.text, u32::MAX);
            cursor
                .problems
                .error("invalid-value", &number.span, message);
            0
        });
    }
    let first = cursor.peek();
    let message = cursor.name("a text in quotes")?;
    if first.kind == TokenKind::Word
        && cursor.more_on_line()
        && cursor.peek().kind == TokenKind::Word
    {
        cursor.unexpected("the end of the line").hint = Some("put the text in quotes".into());
        return None;
    }
    Some(Branch::Log {
        id,
        message,
        span: cursor.span_from(start),
    })
}

fn cond(cursor: &mut Cursor<'_>, start: Token) -> Option<Branch> {
    if cursor.ahead(1).kind == TokenKind::BraceOpen && cursor.peek().kind == TokenKind::Word {
        let subject = cursor.name("a subject")?;
        if !SUBJECTS.contains(&subject.text.as_str()) {
            let message = format!("`cond` knows no `{}` with a list of keys", subject.text);
            let hint = match crate::problem::nearest(&subject.text, SUBJECTS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`cond domain`, `cond ip` and `cond protocol` have one".to_owned(),
            };
            cursor
                .problems
                .error("unknown-subject", &subject.span, message)
                .hint = Some(hint);
        }
        return arms(cursor, start, subject);
    }
    let before = cursor.elses;
    let branch = chain(cursor, start);
    cursor.elses = before;
    branch
}

/// `WHEN => branch`, and all `else => cond WHEN => branch` behind it: they are read one after the
/// other, so a long chain is not deep.
fn chain(cursor: &mut Cursor<'_>, start: Token) -> Option<Branch> {
    let mut links: Vec<(Token, When, Branch)> = Vec::new();
    let mut start = start;
    let mut last = None;
    loop {
        let when = when(cursor)?;
        arrow(cursor)?;
        links.push((start, when, branch(cursor)?));
        if !(cursor.is_word("else") && cursor.more_on_line()) {
            break;
        }
        cursor.bump();
        cursor.expect(TokenKind::Arrow, "`else`")?;
        let keyed = cursor.ahead(2).kind == TokenKind::BraceOpen;
        if !cursor.is_word("cond") || keyed {
            last = Some(Box::new(branch(cursor)?));
            break;
        }
        if cursor.elses >= MAX_CHAIN {
            let span = cursor.span(cursor.peek());
            let message = format!("more than {MAX_CHAIN} `else` in a row");
            cursor.problems.error("too-deep", &span, message);
            return None;
        }
        cursor.elses += 1;
        start = cursor.bump();
    }
    let folded = links
        .into_iter()
        .rev()
        .fold(last, |rest, (start, when, then)| {
            Some(Box::new(Branch::When {
                when,
                then: Box::new(then),
                otherwise: rest,
                span: cursor.span_from(start),
            }))
        });
    folded.map(|branch| *branch)
}

/// The `=>` behind a condition.
fn arrow(cursor: &mut Cursor<'_>) -> Option<Token> {
    let next = cursor.peek();
    let hint = match (next.kind, cursor.text(next)) {
        (TokenKind::Word, "->") => "write `=>`",
        (TokenKind::Word, "&&") => "write `and`",
        (TokenKind::Pipe, _) => "write `or`",
        (TokenKind::Word, "noresolve" | "no_resolve") => "did you mean `no-resolve`?",
        _ => return cursor.expect(TokenKind::Arrow, "the condition"),
    };
    cursor.unexpected("`=>` after the condition").hint = Some(hint.into());
    None
}

fn arms(cursor: &mut Cursor<'_>, start: Token, subject: Name) -> Option<Branch> {
    let open = cursor.expect(TokenKind::BraceOpen, &format!("`cond {}`", subject.text))?;
    let before = cursor.problems.total();
    let arms = cursor.list(open, TokenKind::BraceClose, "`key => branch`", arm);
    let span = cursor.span_from(start);
    if arms.is_empty() && cursor.problems.total() == before {
        let message = format!("this `cond {}` has no keys", subject.text);
        let problem = cursor.problems.error("empty-list", &span, message);
        problem.hint = Some("add a line `key => branch`, or remove it".into());
    }
    Some(Branch::Cond {
        subject,
        arms,
        span,
    })
}

fn arm(cursor: &mut Cursor<'_>) -> Option<Arm> {
    let start = cursor.peek();
    let key = cursor.name("a key")?;
    let otherwise = start.kind == TokenKind::Word && key.text == "else";
    cursor.expect(TokenKind::Arrow, &format!("the key `{}`", key.text))?;
    let then = branch(cursor)?;
    Some(Arm {
        key,
        otherwise,
        then,
        span: cursor.span_from(start),
    })
}

// === conditions ===

fn when(cursor: &mut Cursor<'_>) -> Option<When> {
    let mut any = vec![all(cursor)?];
    while cursor.eat_word("or").is_some() {
        any.push(all(cursor)?);
    }
    Some(single(any, When::Or))
}

fn all(cursor: &mut Cursor<'_>) -> Option<When> {
    let mut all = vec![one(cursor)?];
    while cursor.eat_word("and").is_some() {
        all.push(one(cursor)?);
    }
    Some(single(all, When::And))
}

fn single(mut list: Vec<When>, many: fn(Vec<When>) -> When) -> When {
    match (list.len(), list.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            list.extend(last);
            many(list)
        }
    }
}

fn one(cursor: &mut Cursor<'_>) -> Option<When> {
    if cursor.depth >= MAX_DEPTH {
        let span = cursor.span(cursor.peek());
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        cursor.problems.error("too-deep", &span, message);
        return None;
    }
    cursor.depth += 1;
    let found = if cursor.eat_word("not").is_some() {
        one(cursor).map(|inner| When::Not(Box::new(inner)))
    } else if cursor.eat(TokenKind::ParenOpen).is_some() {
        when(cursor).and_then(|inner| {
            cursor.expect(TokenKind::ParenClose, "the condition")?;
            Some(inner)
        })
    } else {
        test(cursor).map(When::Test)
    };
    cursor.depth -= 1;
    found
}

fn operator(cursor: &mut Cursor<'_>, fact: &Name) -> Option<Name> {
    let token = cursor.peek();
    if token.kind == TokenKind::Equals {
        let problem = cursor.unexpected("an operator such as `eq`");
        problem.hint = Some(format!("write `{} eq VALUE`", fact.text));
        return None;
    }
    let name = cursor.name("an operator such as `eq`")?;
    if cursor.peek().kind == TokenKind::Equals {
        let sign = format!("{}=", name.text);
        let problem = cursor.problems.error(
            "unknown-operator",
            &name.span,
            format!("`{sign}` is no operator"),
        );
        problem.hint = Some(match sign.as_str() {
            "!=" => format!("write `not {} eq VALUE`", fact.text),
            _ => format!("a range is written `{} in FIRST-LAST`", fact.text),
        });
        return None;
    }
    let ends = matches!(
        cursor.peek().kind,
        TokenKind::Arrow | TokenKind::Comma | TokenKind::ParenClose
    );
    if ends && !OPERATORS.contains(&name.text.as_str()) {
        let message = format!("`{}` is no operator", name.text);
        let problem = cursor
            .problems
            .error("unknown-operator", &name.span, message);
        problem.hint = Some(format!("write `{} eq {}`", fact.text, name.text));
        return None;
    }
    Some(name)
}

fn test(cursor: &mut Cursor<'_>) -> Option<Test> {
    let start = cursor.peek();
    let fact = cursor.name("a condition")?;
    let mut operator = None;
    let mut values = Vec::new();
    match fact.text.as_str() {
        "always" | "never" => {}
        "set" => values.push(cursor.name("the name of a rule set")?),
        _ => {
            operator = Some(self::operator(cursor, &fact)?);
            let first = cursor.peek().kind;
            let brackets = [
                TokenKind::BraceOpen,
                TokenKind::BracketOpen,
                TokenKind::ParenOpen,
            ];
            let what = match brackets.contains(&first) {
                true => "a value (several stand without brackets: `port in 80, 443`)",
                false => "a value",
            };
            values.push(cursor.name(what)?);
            while cursor.eat(TokenKind::Comma).is_some() {
                values.push(cursor.name("a value")?);
            }
        }
    }
    let nocase = cursor.eat_word("nocase").is_some();
    let no_resolve = cursor.eat_word("no-resolve").is_some();
    Some(Test {
        fact,
        operator,
        values,
        nocase,
        no_resolve,
        span: cursor.span_from(start),
    })
}

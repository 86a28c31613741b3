//! reflow's `config` laid out: its items in their order, trees as trees.

use std::sync::Arc;

use super::tokens::Tokens;
use super::trees::Layout;
use super::weave::weave;
use pointsman_config::dialect::reflow::trees_of;
use pointsman_config::problem::{Problems, Source};
use pointsman_config::tree::lex::{Token, TokenKind};

/// The whole file.
pub(super) fn whole(source: &Arc<Source>, problems: &mut Problems) -> Option<String> {
    let trees = trees_of(source, problems);
    if problems.has_errors() {
        return None;
    }
    let tokens = Tokens::new(source, 0..source.text.len());
    let mut layout = Layout::new(&tokens);
    let mut trees = trees.iter();
    let mut rest = tokens.tokens.as_slice();
    let mut last: Option<Token> = None;
    let mut depth = 0_usize;
    while let [token, after @ ..] = rest {
        let text = source.text.get(token.start..token.end).unwrap_or("");
        let begins = depth == 0 && last.is_none_or(|last| ends_item(source, last, *token));
        if begins {
            layout.end_line();
            last = None;
        }
        // `rule NAME =` and a tree.
        if begins
            && text == "rule"
            && let [name, equals, ..] = after
            && let Some(tree) = trees.next()
        {
            let name_text = source.text.get(name.start..name.end).unwrap_or("");
            layout.put(&format!("rule {name_text} = "), token.start..equals.end);
            layout.branch(&tree.root);
            layout.end_line();
            let end = tree.root.span().end;
            let skip = rest.iter().take_while(|token| token.start < end).count();
            rest = &rest[skip.max(1)..];
            last = None;
            continue;
        }
        let place = token.start..token.end;
        match token.kind {
            TokenKind::BraceOpen => {
                layout.put(if last.is_none() { "{" } else { " {" }, place);
                layout.open();
                depth += 1;
                last = None;
            }
            TokenKind::BraceClose => {
                layout.close("}", place);
                depth = depth.saturating_sub(1);
                layout.end_line();
                last = None;
            }
            _ => {
                if token.first && depth > 0 {
                    layout.end_line();
                    last = None;
                }
                let space = last.is_some_and(|last| apart(last, *token));
                let text = if space {
                    format!(" {text}")
                } else {
                    text.to_owned()
                };
                layout.put(&text, place);
                last = Some(*token);
            }
        }
        rest = after;
    }
    let lines = layout.finish();
    let end = super::line_end(&source.text);
    Some(weave(source, lines, &tokens.comments, "", end))
}

/// Whether a token that stands outside of braces begins an item.
fn ends_item(source: &Arc<Source>, last: Token, next: Token) -> bool {
    let text = source.text.get(next.start..next.end).unwrap_or("");
    let item = matches!(text, "egress" | "rule" | "relay" | "dns");
    // `egress egress = ...` names an egress so.
    let names = matches!(
        source.text.get(last.start..last.end),
        Some("egress" | "rule" | "=")
    );
    item && next.first && !names
}

/// Whether a space stands between two tokens of a line.
fn apart(last: Token, next: Token) -> bool {
    let joins = |token: Token| token.kind == TokenKind::Pipe;
    if joins(last) || joins(next) {
        return false;
    }
    let sign = |token: Token| matches!(token.kind, TokenKind::Equals | TokenKind::Arrow);
    sign(last) || sign(next) || last.end < next.start
}

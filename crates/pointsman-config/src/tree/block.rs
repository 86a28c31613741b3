//! A tree inside a YAML document, with problems at their places in the file.
//!
//! Indentation means nothing in a tree, so a block scalar is parsed where it stands. A scalar whose
//! text differs from the file's (escapes, folding, an alias) is parsed as its text, moved to the
//! scalar's line and column.

use crate::problem::{Problems, Source};
use crate::yaml::{Node, Style, Value};

use super::Ast;

/// Parses the text of a scalar as one tree; see [`super::parse`]. `what` names the scalar in the
/// problem told of a node that is none.
pub fn parse_block(node: &Node, what: &str, problems: &mut Problems) -> Option<Ast> {
    let Value::Scalar(text, style) = &node.value else {
        let message = format!("{what} must be a text that holds a tree");
        let key = what.trim_matches('`');
        problems.error("wrong-type", &node.span, message).hint = Some(match (&node.value, key) {
            (Value::List(_), "policy") => "a list of rules stands below `rules`".to_owned(),
            _ => format!("write `{key}: |` and the tree on the lines below"),
        });
        return None;
    };
    let source = &node.span.source;
    if *style == Style::Block {
        let written = node.span.text();
        let header = if written.starts_with(['|', '>']) {
            written.find('\n').map_or(written.len(), |end| end + 1)
        } else {
            0
        };
        if same_lines(&written[header..], text) {
            return super::parse(source, node.span.start + header..node.span.end, problems);
        }
    }
    let quote = usize::from(*style == Style::Quoted);
    if node.span.text().get(quote..quote + text.len()) == Some(text) {
        let start = node.span.start + quote;
        return super::parse(source, start..start + text.len(), problems);
    }
    let moved = Source::moved(&node.span, text);
    let start = moved.text.len() - text.len();
    super::parse(&moved, start..moved.text.len(), problems)
}

/// Whether two texts have the same lines, but for white space around them.
fn same_lines(a: &str, b: &str) -> bool {
    let lines = |text| {
        str::lines(text)
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    lines(a).eq(lines(b))
}

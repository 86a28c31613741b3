//! TOML as the spanned tree that the other readers use: tables are mappings, arrays lists.
//!
//! Invariant: a TOML string is a quoted scalar, everything else that is no table and no array a plain
//! one, so that `egress = 5` is not taken for a text. Depth is bounded by the TOML parser.

use std::ops::Range;
use std::sync::Arc;

use toml_edit::{Document, Item, TableLike, Value as TomlValue};

use crate::problem::{Problems, Source, Span};
use crate::yaml::{Node, Style, Value};

/// Parses a document; `None` where the text is broken, then the problem was pushed.
pub(super) fn parse(source: &Arc<Source>, problems: &mut Problems) -> Option<Node> {
    match Document::parse(source.text.as_str()) {
        Ok(document) => {
            let value = table(document.as_table(), source);
            let span = source.span(0, source.text.len());
            Some(Node { value, span })
        }
        Err(error) => {
            let at = error.span().unwrap_or(0..0);
            let message = error.message().lines().next().unwrap_or("is no TOML");
            problems.error("toml-syntax", &place(source, at), message.to_owned());
            None
        }
    }
}

fn table(table: &dyn TableLike, source: &Arc<Source>) -> Value {
    let pairs = table.iter().filter_map(|(name, item)| {
        let key = table.get_key_value(name)?.0;
        let at = place(source, key.span().unwrap_or(0..0));
        let key = Node {
            value: Value::Scalar(name.to_owned(), Style::Quoted),
            span: at.clone(),
        };
        Some((key, self::item(item, source, &at)?))
    });
    Value::Map(pairs.collect())
}

/// An item; where it has no place of its own (a table that only its children imply) its key's.
fn item(item: &Item, source: &Arc<Source>, key: &Span) -> Option<Node> {
    let span = item
        .span()
        .map_or_else(|| key.clone(), |at| place(source, at));
    let value = match item {
        Item::None => return None,
        Item::Value(found) => return Some(value(found, source, key)),
        Item::Table(found) => table(found, source),
        Item::ArrayOfTables(tables) => Value::List(
            tables
                .iter()
                .map(|found| Node {
                    value: table(found, source),
                    span: found
                        .span()
                        .map_or_else(|| key.clone(), |at| place(source, at)),
                })
                .collect(),
        ),
    };
    Some(Node { value, span })
}

fn value(found: &TomlValue, source: &Arc<Source>, key: &Span) -> Node {
    let span = found
        .span()
        .map_or_else(|| key.clone(), |at| place(source, at));
    let value = match found {
        TomlValue::String(text) => Value::Scalar(text.value().clone(), Style::Quoted),
        TomlValue::Array(array) => {
            Value::List(array.iter().map(|v| value(v, source, key)).collect())
        }
        TomlValue::InlineTable(found) => table(found, source),
        TomlValue::Boolean(_)
        | TomlValue::Datetime(_)
        | TomlValue::Float(_)
        | TomlValue::Integer(_) => Value::Scalar(span.text().to_owned(), Style::Plain),
    };
    Node { value, span }
}

fn place(source: &Arc<Source>, at: Range<usize>) -> Span {
    source.span(at.start, at.end)
}

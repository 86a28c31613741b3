//! YAML as a tree in which every node knows its place.
//!
//! Bounded: depth 64, and as many nodes as [`MAX_NODES`]; what aliases repeat is bounded by the size of the text, so
//! that a small text cannot grow into a large tree. A key given twice is an error, and so is a tag that is not of
//! YAML's own schema: what it would do is done by nobody. Deliberately absent: types; a scalar is its
//! text, and the reader that wants a number says so.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use crate::problem::{Problems, Source, Span};

mod example;
mod mistake;
#[cfg(test)]
mod mistake_tests;
mod parsed;
mod read;
#[cfg(test)]
mod tests;
pub mod write;

pub use parsed::Parsed;
#[cfg(test)]
pub(crate) use read::seen;
pub use read::{KeyStyle, Keys};

/// The most nodes that a document may have, aliases counted as often as they are used.
pub const MAX_NODES: usize = 1_000_000;
/// The nodes that aliases may repeat, whatever the size of the text ...
const ALIASED: usize = 10_000;
/// ... and for each of its bytes ...
const ALIASED_A_BYTE: usize = 4;
/// ... but never more than these.
const MOST_ALIASED: usize = 200_000;
/// The nodes that anchors may name, those within each other counted as often.
const MOST_ANCHORED: usize = 1_000_000;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 64;

/// A node and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands. For quoted scalars without the quotes' contents being unescaped.
    pub span: Span,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in its order, `<<` merged; keys differ.
    Map(Vec<(Node, Node)>),
    /// A scalar: its text after unquoting, and how it was written.
    Scalar(String, Style),
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `|` or `>`.
    Block,
    /// Bare: may be null, a boolean, a number.
    Plain,
    /// In quotes: always a text.
    Quoted,
}

/// Parses one document. `None` when there is none (an empty file) or the text is broken; then the
/// problem was pushed.
pub fn parse(source: &Arc<Source>, problems: &mut Problems) -> Option<Node> {
    let most = ALIASED + source.text.len().saturating_mul(ALIASED_A_BYTE);
    parse_with(source, most.min(MOST_ALIASED), problems)
}

/// As [`parse`], where an alias is an error: of what others publish.
pub fn parse_without_aliases(source: &Arc<Source>, problems: &mut Problems) -> Option<Node> {
    parse_with(source, 0, problems)
}

/// With at most so many nodes that aliases repeat.
fn parse_with(source: &Arc<Source>, aliases: usize, problems: &mut Problems) -> Option<Node> {
    parsed::count(source);
    let mut builder = Builder::new(source, aliases);
    let mut parser = Parser::new(StrInput::new(&source.text));
    let mut documents = 0;
    let mut root = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(found) => found,
            Err(error) => {
                let at = builder.offset(error.marker().index());
                let mistake = mistake::find(&source.text, at, error.info());
                let place = source.span(mistake.at.start, mistake.at.end);
                problems.error("yaml-syntax", &place, mistake.message).hint =
                    Some(mistake.hint.to_owned());
                return None;
            }
        };
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                let at = builder.offset(span.start.index());
                problems.error(
                    "yaml-syntax",
                    &source.span(at, at + 3),
                    "a second document begins here, and a file may hold only one",
                );
                return None;
            }
        }
        let place = source.span(
            builder.offset(span.start.index()),
            builder.offset(span.end.index()),
        );
        match builder.take(event, place, problems) {
            Ok(Some(node)) => root = Some(node),
            Ok(None) => {}
            Err(TooLarge) => return None,
        }
    }
    root
}

/// The document goes over a limit; the problem was pushed.
struct TooLarge;

/// A collection that is not closed yet.
struct Open {
    nodes: Vec<Node>,
    map: bool,
    anchor: usize,
    span: Span,
}

/// What an alias repeats.
struct Anchor {
    /// `None`: it is larger than what may be repeated at all.
    node: Option<Node>,
    size: usize,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    /// Byte offset of each character; empty where the text is ASCII and they are the same.
    offsets: Vec<usize>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    /// Nodes that anchors name.
    anchored: usize,
    nodes: usize,
    /// How many more nodes aliases may repeat.
    aliases: usize,
    /// Whether they may repeat any.
    refused: bool,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>, aliases: usize) -> Self {
        let text = &source.text;
        let offsets = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(at, _)| at).collect()
        };
        Self {
            source,
            offsets,
            open: Vec::new(),
            anchors: HashMap::new(),
            anchored: 0,
            nodes: 0,
            aliases,
            refused: aliases == 0,
        }
    }

    fn offset(&self, character: usize) -> usize {
        if self.offsets.is_empty() {
            return character.min(self.source.text.len());
        }
        self.offsets
            .get(character)
            .copied()
            .unwrap_or(self.source.text.len())
    }

    /// Takes one event; the root node once it is complete.
    fn take(
        &mut self,
        event: Event<'_>,
        span: Span,
        problems: &mut Problems,
    ) -> Result<Option<Node>, TooLarge> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let style = tagged(tag.as_deref(), NodeKind::Scalar(style), &span, problems);
                let node = Node {
                    value: Value::Scalar(text.into_owned(), style),
                    span,
                };
                self.add(node, anchor, 1, problems)
            }
            Event::Alias(anchor) => self.alias(anchor, span, problems),
            Event::SequenceStart(anchor, tag) => {
                tagged(tag.as_deref(), NodeKind::List, &span, problems);
                self.push(false, anchor, span, problems)
            }
            Event::MappingStart(anchor, tag) => {
                tagged(tag.as_deref(), NodeKind::Map, &span, problems);
                self.push(true, anchor, span, problems)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(None);
                };
                let span = self
                    .source
                    .span(open.span.start, span.end.max(open.span.end));
                let size = 1 + open.nodes.iter().map(size).sum::<usize>();
                let value = if open.map {
                    mapping(open.nodes, problems)
                } else {
                    Value::List(open.nodes)
                };
                // Its nodes were counted as they came.
                self.add_counted(Node { value, span }, open.anchor, size, problems)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(None),
        }
    }

    /// Repeats what has the anchor, if it may be.
    fn alias(
        &mut self,
        anchor: usize,
        span: Span,
        problems: &mut Problems,
    ) -> Result<Option<Node>, TooLarge> {
        let Some(Anchor { node, size }) = self.anchors.get(&anchor) else {
            let message = "there is no anchor (`&`) of this name before";
            problems.error("yaml-syntax", &span, message);
            return Err(TooLarge);
        };
        let left = self.aliases.checked_sub(*size);
        let Some((left, node)) = left.zip(node.as_ref()) else {
            let message = match self.refused {
                true => "aliases (`*`) are not read here",
                false => "aliases (`*`) repeat too much: more than a text of this size may",
            };
            problems.error("yaml-syntax", &span, message).hint =
                Some("write out what is repeated".into());
            return Err(TooLarge);
        };
        let (node, size) = (node.clone(), *size);
        self.aliases = left;
        let value = node.value;
        self.add(Node { value, span }, 0, size, problems)
    }

    fn push(
        &mut self,
        map: bool,
        anchor: usize,
        span: Span,
        problems: &mut Problems,
    ) -> Result<Option<Node>, TooLarge> {
        if self.open.len() >= MAX_DEPTH {
            problems.error(
                "yaml-syntax",
                &span,
                format!("nested deeper than {MAX_DEPTH} levels"),
            );
            return Err(TooLarge);
        }
        self.open.push(Open {
            nodes: Vec::new(),
            map,
            anchor,
            span,
        });
        Ok(None)
    }

    fn add(
        &mut self,
        node: Node,
        anchor: usize,
        size: usize,
        problems: &mut Problems,
    ) -> Result<Option<Node>, TooLarge> {
        self.nodes += size;
        if self.nodes > MAX_NODES {
            problems.error(
                "yaml-syntax",
                &node.span,
                format!("more than {MAX_NODES} nodes"),
            );
            return Err(TooLarge);
        }
        self.add_counted(node, anchor, size, problems)
    }

    fn add_counted(
        &mut self,
        node: Node,
        anchor: usize,
        size: usize,
        problems: &mut Problems,
    ) -> Result<Option<Node>, TooLarge> {
        if anchor != 0 {
            let small = size <= self.aliases;
            self.anchored += if small { size } else { 0 };
            if self.anchored > MOST_ANCHORED {
                let message = format!("anchors (`&`) name more than {MOST_ANCHORED} nodes");
                problems.error("yaml-syntax", &node.span, message).hint =
                    Some("name what is repeated, and not what is around it".into());
                return Err(TooLarge);
            }
            let node = small.then(|| node.clone());
            self.anchors.insert(anchor, Anchor { node, size });
        }
        match self.open.last_mut() {
            Some(open) => {
                open.nodes.push(node);
                Ok(None)
            }
            None => Ok(Some(node)),
        }
    }
}

/// What a tag stands at.
#[derive(Clone, Copy)]
enum NodeKind {
    List,
    Map,
    Scalar(Style),
}

/// How a scalar is to be read by its tag; one that says more than what kind of value it is, is an error.
fn tagged(tag: Option<&Tag>, kind: NodeKind, span: &Span, problems: &mut Problems) -> Style {
    let written = match kind {
        NodeKind::Scalar(style) => style,
        NodeKind::List | NodeKind::Map => Style::Plain,
    };
    let Some(tag) = tag else { return written };
    // `!!str` and its long form; Clash's documents write `!<str>` and `!str` too, and mean the same.
    let word = tag.suffix.trim_start_matches(CORE);
    let own = matches!(tag.handle.as_str(), "" | "!" | "!!" | CORE);
    match (kind, word) {
        (NodeKind::Scalar(Style::Block), "str") if own => return Style::Block,
        // A lone `!` says that it is a text.
        (NodeKind::Scalar(_), "str" | "" | "!") if own => return Style::Quoted,
        (NodeKind::Scalar(_), "bool" | "float" | "int" | "null") if own => return Style::Plain,
        (NodeKind::List, "seq" | "" | "!") | (NodeKind::Map, "map" | "" | "!") if own => {
            return written;
        }
        _ => {}
    }
    let shown = match tag.handle.as_str() {
        CORE => format!("!!{word}"),
        "" => format!("!<{word}>"),
        handle => format!("{handle}{word}"),
    };
    let message = format!("nothing here does what the tag `{shown}` asks for");
    problems.error("yaml-tag", span, message).hint = match word {
        "env" | "secret" | "ENV" | "env_var" => {
            Some("write `{ from_env: NAME }` where a secret is wanted".into())
        }
        "include" => Some("name further files in `include` at the top".into()),
        _ => Some("write the value itself".into()),
    };
    written
}

/// What the tags of YAML's own schema begin with.
const CORE: &str = "tag:yaml.org,2002:";

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(nodes) => 1 + nodes.iter().map(size).sum::<usize>(),
        Value::Map(pairs) => 1 + pairs.iter().map(|(k, v)| size(k) + size(v)).sum::<usize>(),
        Value::Scalar(..) => 1,
    }
}

/// Pairs keys and values, reports keys given twice, merges `<<` (what is written here wins).
fn mapping(nodes: Vec<Node>, problems: &mut Problems) -> Value {
    let mut pairs: Vec<(Node, Node)> = Vec::with_capacity(nodes.len() / 2);
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut merged: Vec<(Node, Node)> = Vec::new();
    let mut nodes = nodes.into_iter();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        let Value::Scalar(text, style) = &key.value else {
            problems.error("yaml-syntax", &key.span, "a key must be a word");
            continue;
        };
        if text == "<<" && *style == Style::Plain {
            match value.value {
                Value::Map(more) => merged.extend(more),
                Value::List(maps) => {
                    merged.extend(maps.into_iter().flat_map(|map| match map.value {
                        Value::Map(more) => more,
                        Value::List(_) | Value::Scalar(..) => Vec::new(),
                    }));
                }
                Value::Scalar(..) => {
                    problems.error(
                        "yaml-syntax",
                        &value.span,
                        "only a mapping can stand behind `<<`",
                    );
                }
            }
            continue;
        }
        if let Some(first) = seen.get(text) {
            let first = pairs[*first].0.span.clone();
            let problem = problems.error(
                "duplicate-key",
                &key.span,
                format!("`{text}` is given twice"),
            );
            problem.related = Some((first, "first here".into()));
            problem.hint = Some("write the key once, with all that belongs to it".into());
            continue;
        }
        seen.insert(text.clone(), pairs.len());
        pairs.push((key, value));
    }
    for (key, value) in merged {
        if let Value::Scalar(text, _) = &key.value
            && !seen.contains_key(text)
        {
            seen.insert(text.clone(), pairs.len());
            pairs.push((key, value));
        }
    }
    Value::Map(pairs)
}

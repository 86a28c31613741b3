//! YAML as a tree in which every node knows its place.
//!
//! Bounded: depth 64, and as many nodes as [`MAX_NODES`]; aliases count what they repeat, so that a
//! small text cannot grow into a large tree. A key given twice is an error. Deliberately absent:
//! types; a scalar is its text, and the reader that wants a number says so.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

use crate::problem::{Problems, Source, Span, nearest};

/// The most nodes that a document may have, aliases counted as often as they are used.
pub const MAX_NODES: usize = 1_000_000;
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
    let mut builder = Builder::new(source);
    let mut parser = Parser::new(StrInput::new(&source.text));
    let mut documents = 0;
    let mut root = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(found) => found,
            Err(error) => {
                let at = builder.offset(error.marker().index());
                let place = source.span(at, at + 1);
                problems.error("yaml-syntax", &place, error.info());
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
                    "only one document a file",
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

struct Builder<'a> {
    source: &'a Arc<Source>,
    /// Byte offset of each character; empty where the text is ASCII and they are the same.
    offsets: Vec<usize>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>) -> Self {
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
            nodes: 0,
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
            Event::Scalar(text, style, anchor, _tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let node = Node {
                    value: Value::Scalar(text.into_owned(), style),
                    span,
                };
                self.add(node, anchor, 1, problems)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((node, size)) => self.add(
                    Node {
                        value: node.value,
                        span,
                    },
                    0,
                    size,
                    problems,
                ),
                None => {
                    problems.error("yaml-syntax", &span, "this alias names no anchor");
                    Err(TooLarge)
                }
            },
            Event::SequenceStart(anchor, _tag) => self.push(false, anchor, span, problems),
            Event::MappingStart(anchor, _tag) => self.push(true, anchor, span, problems),
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
                self.add_counted(Node { value, span }, open.anchor, size)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(None),
        }
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
        self.add_counted(node, anchor, size)
    }

    fn add_counted(
        &mut self,
        node: Node,
        anchor: usize,
        size: usize,
    ) -> Result<Option<Node>, TooLarge> {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
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
                    problems.error("yaml-syntax", &value.span, "`<<` merges mappings alone");
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

// === reading ===

impl Node {
    /// Whether it is a bare `null`, `~` or nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, Style::Plain) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar, however written.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The text of a scalar that is not null, else a problem.
    pub fn text(&self, what: &str, problems: &mut Problems) -> Option<&str> {
        match self.scalar() {
            Some(text) if !self.is_null() => Some(text),
            Some(_) | None => {
                problems.error("wrong-type", &self.span, format!("{what} must be a text"));
                None
            }
        }
    }

    /// A bare `true` or `false`, else a problem.
    pub fn boolean(&self, what: &str, problems: &mut Problems) -> Option<bool> {
        match &self.value {
            Value::Scalar(text, Style::Plain) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Scalar(text, Style::Plain) if text.eq_ignore_ascii_case("false") => Some(false),
            Value::List(_) | Value::Map(_) | Value::Scalar(..) => {
                problems.error(
                    "wrong-type",
                    &self.span,
                    format!("{what} must be `true` or `false`"),
                );
                None
            }
        }
    }

    /// A bare whole number within the range, else a problem.
    pub fn number(
        &self,
        what: &str,
        range: std::ops::RangeInclusive<i64>,
        problems: &mut Problems,
    ) -> Option<i64> {
        if let Value::Scalar(text, Style::Plain) = &self.value
            && let Ok(number) = text.parse::<i64>()
            && range.contains(&number)
        {
            return Some(number);
        }
        let (low, high) = range.into_inner();
        let message = format!("{what} must be a whole number from {low} to {high}");
        problems.error("wrong-type", &self.span, message);
        None
    }

    /// The items of a list, else a problem. Null is an empty list.
    pub fn list(&self, what: &str, problems: &mut Problems) -> &[Self] {
        match &self.value {
            Value::List(nodes) => nodes,
            Value::Scalar(..) if self.is_null() => &[],
            Value::Map(_) | Value::Scalar(..) => {
                let problem =
                    problems.error("wrong-type", &self.span, format!("{what} must be a list"));
                if matches!(self.value, Value::Scalar(..)) {
                    problem.hint = Some("write `[A, B]`".into());
                }
                &[]
            }
        }
    }

    /// The pairs of a mapping, else a problem. Null is an empty mapping.
    pub fn map(&self, what: &str, problems: &mut Problems) -> &[(Self, Self)] {
        match &self.value {
            Value::Map(pairs) => pairs,
            Value::Scalar(..) if self.is_null() => &[],
            Value::List(_) | Value::Scalar(..) => {
                problems.error(
                    "wrong-type",
                    &self.span,
                    format!("{what} must be a mapping"),
                );
                &[]
            }
        }
    }

    /// Its keys to be taken one by one, so that the unknown ones can be told.
    pub fn keys<'a>(&'a self, what: &'a str, style: KeyStyle, problems: &mut Problems) -> Keys<'a> {
        Keys {
            what,
            style,
            pairs: self.map(what, problems),
            span: &self.span,
            known: Vec::new(),
        }
    }
}

/// How keys are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStyle {
    /// As given.
    Exact,
    /// `http-port` is `http_port` (BoltConn).
    KebabIsSnake,
}

/// The keys of a mapping that are still to be read.
pub struct Keys<'a> {
    what: &'a str,
    style: KeyStyle,
    pairs: &'a [(Node, Node)],
    /// The mapping's place.
    pub span: &'a Span,
    known: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    /// The value of a key, where it is given.
    pub fn take(&mut self, key: &'a str) -> Option<&'a Node> {
        self.take_pair(key).map(|(_, value)| value)
    }

    /// Key and value, where they are given.
    pub fn take_pair(&mut self, key: &'a str) -> Option<(&'a Node, &'a Node)> {
        self.known.push(key);
        self.pairs
            .iter()
            .find(|(k, _)| {
                k.scalar()
                    .is_some_and(|text| same_key(text, key, self.style))
            })
            .map(|(k, v)| (k, v))
    }

    /// The value of a key that must be there.
    pub fn require(&mut self, key: &'a str, problems: &mut Problems) -> Option<&'a Node> {
        let found = self.take(key);
        if found.is_none() {
            let first_line = self
                .span
                .text()
                .find('\n')
                .unwrap_or(self.span.end - self.span.start);
            let place = self.span.part(0, first_line);
            problems.error(
                "missing-key",
                &place,
                format!("{} needs the key `{key}`", self.what),
            );
        }
        found
    }

    /// Takes every key: what it belongs to is wrong as a whole, and that was said.
    pub fn take_all(&mut self) {
        self.pairs = &[];
    }

    /// Notes each of these keys, where given, as understood and not built yet.
    pub fn not_yet(&mut self, keys: &[&'a str], problems: &mut Problems) {
        for key in keys {
            if let Some((name, _)) = self.take_pair(key) {
                problems.not_yet(&name.span, format!("`{key}` of {}", self.what));
            }
        }
    }

    /// Reports every key that nobody took.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in self.pairs {
            let Some(text) = key.scalar() else { continue };
            if self
                .known
                .iter()
                .any(|known| same_key(text, known, self.style))
            {
                continue;
            }
            let message = format!("{} has no key `{text}`", self.what);
            let problem = problems.error("unknown-key", &key.span, message);
            problem.hint = match nearest(text, self.known.iter().copied()) {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None if (1..=MAX_OFFERED).contains(&self.known.len()) => {
                    Some(format!("there is: {}", self.known.join(", ")))
                }
                None => None,
            };
        }
    }
}

/// The most keys that a hint names.
const MAX_OFFERED: usize = 20;

fn same_key(written: &str, known: &str, style: KeyStyle) -> bool {
    match style {
        KeyStyle::Exact => written == known,
        KeyStyle::KebabIsSnake => {
            written.len() == known.len()
                && written
                    .bytes()
                    .zip(known.bytes())
                    .all(|(w, k)| w == k || (w == b'-' && k == b'_'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> String {
        let mut problems = Problems::default();
        let source = Source::new("t.yaml", text.into());
        if let Some(node) = parse(&source, &mut problems) {
            let mut keys = node.keys("the test", KeyStyle::KebabIsSnake, &mut problems);
            keys.take("http_port");
            keys.take("rules");
            keys.finish(&mut problems);
        }
        problems
            .0
            .iter()
            .map(|p| p.to_string().lines().next().unwrap_or("").to_owned() + "\n")
            .collect()
    }

    #[test]
    fn problems_have_places() {
        assert_eq!(
            problems_of("http-port: 1\nrules:\n  - IP-CIDR6, ::1/128, DIRECT\n"),
            ""
        );
        assert_eq!(
            problems_of("рф: 1\nhttp-prt: 2\n"),
            "t.yaml:1:1: error[unknown-key]: the test has no key `рф`\nt.yaml:2:1: error[unknown-key]: the test has no key `http-prt`\n"
        );
        assert_eq!(
            problems_of("a: [1, 2\n").split(": ").nth(1),
            Some("error[yaml-syntax]")
        );
        assert_eq!(
            problems_of("rules: 1\nrules: 2\n"),
            "t.yaml:2:1: error[duplicate-key]: `rules` is given twice\n"
        );
    }

    #[test]
    fn bombs_are_refused() {
        let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (this, last) in ["b", "c", "d", "e", "f", "g", "h"]
            .iter()
            .zip(["a", "b", "c", "d", "e", "f", "g"])
        {
            let items = vec![format!("*{last}"); 10].join(", ");
            text.push_str(&format!("{this}: &{this} [{items}]\n"));
        }
        assert!(
            problems_of(&text).contains("more than"),
            "{}",
            problems_of(&text)
        );
        assert!(problems_of(&"[".repeat(100)).contains("nested deeper"));
    }
}

//! Native files laid out: trees in block scalars and rules in lists; all else stays byte for byte.

use std::ops::Range;
use std::sync::Arc;

use pointsman_policy::line::canonical;

use super::trees;
use pointsman_config::problem::{Problems, Source};
use pointsman_config::tree;
use pointsman_config::yaml::{self, Node, Style, Value};

/// The whole file.
pub(super) fn blocks(source: &Arc<Source>, problems: &mut Problems) -> Option<String> {
    let root = yaml::parse(source, problems);
    let mut edits = Edits {
        source,
        list: Vec::new(),
    };
    if let Some(Node {
        value: Value::Map(pairs),
        ..
    }) = &root
    {
        for (key, value) in pairs {
            match key.scalar() {
                Some("policy") => edits.policy(value, problems),
                Some("rules" | "rule-local" | "rule_local") => edits.rules(value, problems),
                Some("policies") => {
                    if let Value::Map(named) = &value.value {
                        for (_, policy) in named {
                            edits.policy(policy, problems);
                        }
                    }
                }
                Some("dns") => edits.names(value, problems),
                _ => {}
            }
        }
    }
    if problems.has_errors() {
        return None;
    }
    Some(edits.applied())
}

/// Ranges of the source, and what stands there instead.
struct Edits<'s> {
    source: &'s Arc<Source>,
    list: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    /// The source with every edit; an alias makes the same edit twice.
    fn applied(mut self) -> String {
        self.list.sort_by_key(|(range, _)| range.start);
        let source = &self.source.text;
        let mut text = String::with_capacity(source.len());
        let mut at = 0;
        for (range, new) in self.list {
            if range.start < at {
                continue;
            }
            text.push_str(&source[at..range.start]);
            text.push_str(&new);
            at = range.end;
        }
        text.push_str(&source[at..]);
        text
    }

    /// The rules of the DNS server.
    fn names(&mut self, node: &Node, problems: &mut Problems) {
        let Value::Map(pairs) = &node.value else {
            return;
        };
        for (key, value) in pairs {
            if let Some("answers" | "policy" | "rules") = key.scalar() {
                self.policy(value, problems);
            }
        }
    }

    fn policy(&mut self, node: &Node, problems: &mut Problems) {
        match &node.value {
            Value::List(_) => self.rules(node, problems),
            Value::Map(_) => {}
            Value::Scalar(..) => self.tree(node, problems),
        }
    }

    fn tree(&mut self, node: &Node, problems: &mut Problems) {
        if !Arc::ptr_eq(&node.span.source, self.source) {
            return;
        }
        // Whatever way it is written, it must be a tree.
        let Some(ast) = tree::parse_block(node, "the policy", problems) else {
            return;
        };
        let Value::Scalar(_, Style::Block) = node.value else {
            return;
        };
        let Some((range, base)) = block_lines(node) else {
            return;
        };
        let within = ast.root.span();
        if Arc::ptr_eq(&within.source, self.source) && !problems.has_errors() {
            let text = trees::block(&ast, self.source, range.clone(), base);
            self.list.push((range, text));
        }
    }

    fn rules(&mut self, node: &Node, problems: &mut Problems) {
        let Value::List(items) = &node.value else {
            return;
        };
        for item in items {
            match &item.value {
                Value::Scalar(..) => self.rule(item, problems),
                Value::Map(pairs) => {
                    for (key, value) in pairs {
                        let action = key.scalar().unwrap_or("").to_ascii_uppercase();
                        if matches!(
                            action.as_str(),
                            ".SUB-DISPATCH" | ".INSTRUMENT" | ".REQUEST"
                        ) {
                            self.action(value, problems);
                        }
                    }
                }
                Value::List(_) => {}
            }
        }
    }

    fn action(&mut self, node: &Node, problems: &mut Problems) {
        let Value::Map(pairs) = &node.value else {
            return;
        };
        for (key, value) in pairs {
            match key.scalar() {
                Some("matches") => self.rule(value, problems),
                Some("subrules") => self.rules(value, problems),
                _ => {}
            }
        }
    }

    fn rule(&mut self, node: &Node, problems: &mut Problems) {
        let Value::Scalar(text, style) = &node.value else {
            return;
        };
        let written = node.span.text();
        let (from, inner) = match style {
            Style::Plain => (0, written.trim_end()),
            Style::Quoted => (1, written.get(1..written.len().max(2) - 1).unwrap_or("")),
            Style::Block => return,
        };
        // An alias, escapes, folded lines: what stands there is not the rule's own text.
        if !Arc::ptr_eq(&node.span.source, self.source) || inner != text || text.starts_with('.') {
            return;
        }
        let rule = match canonical(text) {
            Ok(rule) => rule,
            Err(error) => {
                return pointsman_config::rule_list::line_problem(node, text, error, problems);
            }
        };
        // A comment within a quoted rule is the rule's own.
        let bare = pointsman_policy::line::without_comment(text);
        let safe = match style {
            Style::Quoted => !rule.contains(['"', '\'', '\\']),
            _ => !rule.contains(": ") && !rule.contains(" #") && !rule.ends_with(':'),
        };
        if safe && !rule.is_empty() && rule != bare {
            let start = node.span.start + from;
            self.list.push((start..start + bare.len(), rule));
        }
    }
}

/// The lines of a block scalar's text and how far they are indented.
fn block_lines(node: &Node) -> Option<(Range<usize>, usize)> {
    let text = &node.span.source.text;
    // Whether the place begins with the sign or with the text is the parser's choice.
    let written = node.span.text();
    let mut at = match written.starts_with(['|', '>']) {
        true => node.span.start + written.find('\n')? + 1,
        false => text[..node.span.start].rfind('\n').map_or(0, |at| at + 1),
    };
    let header = text[..at].trim_end().rsplit('\n').next().unwrap_or("");
    if header
        .split_once(['|', '>'])
        .is_none_or(|(_, flags)| flags.contains(|c: char| c.is_ascii_digit()))
    {
        // Its indentation is stated, and what stands below need not begin there.
        return None;
    }
    let (mut start, mut end, mut base) = (None, at, 0);
    for line in text[at..].split_inclusive('\n') {
        if at >= node.span.end {
            break;
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        if !line.trim().is_empty() {
            if start.is_none() {
                start = Some(at);
                base = indent;
            }
            if indent < base {
                break;
            }
            end = at + line.len();
        }
        at += line.len();
    }
    // A last line without an end gets one.
    start.filter(|_| base > 0).map(|start| (start..end, base))
}

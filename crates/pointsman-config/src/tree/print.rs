//! A policy in the tree language: one text for each meaning, for people to read.
//!
//! What is printed is read back as the same tree, apart from the fixed steps of app and domain rules
//! (their order says the same) and an outbound called `resolve`.

use pointsman_policy::model::TemplatePart;
use pointsman_policy::model::{Arm, ArmKey, Node, OutboundId, Select, SelectOn, Template};
use pointsman_policy::{Condition, Policy};

use super::ask::Ask;
use super::conditions::{self, is_always, zone_name};
use super::lex::{quote, word};

/// The policy as a tree, with a final line end.
#[must_use]
pub fn as_tree(policy: &Policy) -> String {
    let mut printer = Printer {
        policy,
        text: String::new(),
        indent: 0,
    };
    match policy.body.nodes() {
        [only] if !matches!(only, Node::Any(_)) => printer.node(only),
        body => printer.list("any", body),
    }
    printer.text.push('\n');
    printer.text
}

/// A condition as it stands behind `cond`.
pub(crate) fn condition_text(condition: &Condition, policy: &Policy) -> String {
    conditions::print(condition, policy)
}

/// A condition on one value: the words before it, the value, the words behind it.
pub(crate) fn value_of(condition: &Condition, policy: &Policy) -> Option<(String, String, String)> {
    conditions::value_of(condition, policy)
}

struct Printer<'p> {
    policy: &'p Policy,
    text: String,
    indent: usize,
}

impl Printer<'_> {
    fn list(&mut self, head: &str, nodes: &[Node]) {
        self.text.push_str(head);
        self.text.push_str(" [");
        self.indent += 1;
        for node in nodes {
            self.line();
            self.node(node);
        }
        self.indent -= 1;
        self.line();
        self.text.push(']');
    }

    fn node(&mut self, node: &Node) {
        match plain(node) {
            Node::Any(nodes) => self.list("any", nodes),
            Node::Instrument {
                condition,
                id,
                message,
                origin: _,
            } => {
                self.guard(condition);
                let text = format!("log {id} {}", quote(&template(message)));
                self.text.push_str(&text);
            }
            Node::Leaf { outbound, .. } => self.leaf(*outbound),
            Node::Request {
                condition, request, ..
            } => {
                self.guard(condition);
                self.text.push_str(&Ask::from(request).to_string());
            }
            Node::Resolve(_) => self.text.push_str("resolve"),
            Node::Rule(rule) => {
                self.cond(&rule.condition);
                self.leaf(rule.outbound);
            }
            Node::Select(select) => self.select(select),
            Node::Sub {
                condition, body, ..
            } => {
                self.guard(condition);
                self.list("only", body);
            }
            Node::When {
                condition,
                then,
                otherwise,
                origin: _,
            } => {
                self.cond(condition);
                match otherwise {
                    // `cond ... => log` refuses no flow where the condition is unknown, this does.
                    None if says(then) => self.list("any", std::slice::from_ref(&**then)),
                    None => self.node(then),
                    Some(otherwise) => {
                        if takes_else(then) {
                            self.list("any", std::slice::from_ref(&**then));
                        } else {
                            self.node(then);
                        }
                        self.text.push_str(" else => ");
                        self.node(otherwise);
                    }
                }
            }
        }
    }

    /// `cond ... =>`, unless it always holds.
    fn guard(&mut self, condition: &Condition) {
        if !is_always(condition) {
            self.cond(condition);
        }
    }

    fn cond(&mut self, condition: &Condition) {
        let condition = conditions::print(condition, self.policy);
        self.text.push_str("cond ");
        self.text.push_str(&condition);
        self.text.push_str(" => ");
    }

    fn leaf(&mut self, id: OutboundId) {
        let name = outbound(self.policy, id);
        let reserved = matches!(&*name, "any" | "cond" | "else" | "log" | "only");
        let name = if reserved { quote(&name) } else { word(&name) };
        self.text.push_str(&name);
    }

    fn select(&mut self, select: &Select) {
        let subject = match select.on {
            SelectOn::Protocol => "protocol",
            SelectOn::Zone(of, _) => conditions::zone_subject(of),
        };
        self.text.push_str("cond ");
        self.text.push_str(subject);
        self.text.push_str(" {");
        self.indent += 1;
        for Arm { key, then, .. } in &select.arms {
            self.line();
            let key = match (key, select.on) {
                (ArmKey::Protocol(protocol), _) => protocol.as_str().to_owned(),
                (ArmKey::Zone(zone), SelectOn::Zone(of, _)) => zone_name(self.policy, of, *zone),
                // A zone is no key of protocols.
                (ArmKey::Zone(_), SelectOn::Protocol) => "?".to_owned(),
            };
            self.text.push_str(&key);
            self.text.push_str(" => ");
            self.node(then);
        }
        self.indent -= 1;
        self.line();
        self.text.push('}');
    }

    fn line(&mut self) {
        self.text.push('\n');
        for _ in 0..self.indent {
            self.text.push_str("  ");
        }
    }
}

/// A node without a condition around it that always holds, where the language has no word for both.
pub(super) fn plain(node: &Node) -> &Node {
    match node {
        Node::When {
            condition,
            then,
            otherwise: None,
            origin: _,
        } if is_always(condition) => match plain(then) {
            then @ Node::Instrument { condition, .. }
            | then @ Node::Request { condition, .. }
            | then @ Node::Sub { condition, .. }
                if is_always(condition) =>
            {
                then
            }
            _ => node,
        },
        node => node,
    }
}

/// Whether it is a message without a condition of its own.
pub(super) fn says(node: &Node) -> bool {
    matches!(plain(node), Node::Instrument { condition, .. } if is_always(condition))
}

/// Whether it is written `cond ... =>`, which behind `else =>` begins no new level.
pub(super) fn is_chained(node: &Node) -> bool {
    match plain(node) {
        Node::Any(_) | Node::Leaf { .. } | Node::Resolve(_) | Node::Select(_) => false,
        Node::Instrument { condition, .. }
        | Node::Request { condition, .. }
        | Node::Sub { condition, .. } => !is_always(condition),
        Node::Rule(_) | Node::When { .. } => true,
    }
}

/// Whether an `else` behind this would belong to it.
pub(super) fn takes_else(node: &Node) -> bool {
    match plain(node) {
        Node::Any(_) | Node::Leaf { .. } | Node::Resolve(_) | Node::Select(_) => false,
        Node::Instrument { condition, .. }
        | Node::Request { condition, .. }
        | Node::Sub { condition, .. } => !is_always(condition),
        Node::Rule(_) => true,
        Node::When { otherwise, .. } => match otherwise {
            None => true,
            Some(otherwise) => takes_else(otherwise),
        },
    }
}

pub(crate) fn outbound(policy: &Policy, id: OutboundId) -> String {
    let known = policy.outbounds.get(id.0 as usize);
    known.map_or_else(|| "?".to_owned(), |outbound| outbound.name.to_string())
}

/// A message as it is written, braces in its text doubled.
pub(crate) fn template(template: &Template) -> String {
    let Template(parts) = template;
    let parts = parts.iter().map(|part| match part {
        TemplatePart::Text(text) => text.replace('{', "{{").replace('}', "}}"),
        TemplatePart::Variable(name) => format!("{{{name}}}"),
    });
    parts.collect()
}

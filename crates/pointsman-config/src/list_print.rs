//! A policy as a rule list in BoltConn's syntax.
//!
//! Trees are flattened: a leaf becomes a rule on all that leads to it, which falls through as the
//! tree does. What a list cannot say is said in a comment where it stands; zones, which a list has
//! no word for, are printed as `DOMAIN-ZONE` and `IP-ZONE`.

use pointsman_policy::Policy;
use pointsman_policy::condition::Condition;
use pointsman_policy::line::{Names, render_condition};
use pointsman_policy::model::{ArmKey, Node, OutboundId, SelectOn};

use crate::tree::print::{outbound, template};

/// The policy as the items of a YAML list, one rule a line, with a final line end.
///
/// It is printed for a configuration in which `dispatching.ip_rules_resolve` is `true` where any of
/// its rules asks for addresses; a comment says so.
#[must_use]
pub fn as_list(policy: &Policy) -> String {
    let resolves = policy.wants(pointsman_policy::Need::Resolve);
    let mut list = List {
        policy,
        names: Names {
            sets: &policy.sets,
            zones: &policy.zones,
            ip_rules_resolve: resolves,
        },
        text: String::new(),
        indent: 0,
        ended: false,
    };
    if resolves {
        list.comment("with `dispatching.ip_rules_resolve: true`");
    }
    list.nodes(&policy.body, &mut Vec::new());
    if !list.ended {
        list.comment("what comes here is decided by no rule; a list needs a FALLBACK");
    }
    list.text
}

struct List<'p> {
    policy: &'p Policy,
    names: Names<'p>,
    text: String,
    indent: usize,
    /// The fallback stands: nothing below can be reached.
    ended: bool,
}

impl<'p> List<'p> {
    fn nodes(&mut self, nodes: &'p [Node], path: &mut Vec<Condition>) {
        for node in nodes {
            if self.ended {
                return;
            }
            self.node(node, path);
        }
    }

    fn node(&mut self, node: &'p Node, path: &mut Vec<Condition>) {
        match node {
            Node::Any(nodes) => self.nodes(nodes, path),
            Node::Leaf {
                outbound,
                origin: _,
            } => self.leaf(*outbound, path),
            Node::Rule(rule) => self.within(rule.condition.clone(), path, |list, path| {
                list.rule(rule.outbound, path);
            }),
            Node::When {
                condition,
                then,
                otherwise,
                origin: _,
            } => {
                self.within(condition.clone(), path, |list, path| list.node(then, path));
                if let Some(otherwise) = otherwise {
                    let not = Condition::Not(Box::new(condition.clone()));
                    self.within(not, path, |list, path| list.node(otherwise, path));
                }
            }
            Node::Select(select) => {
                for arm in &select.arms {
                    let key = match (&arm.key, select.on) {
                        (ArmKey::Zone(zone), SelectOn::Zone(of, asks)) => {
                            Condition::Zone(of, *zone, asks)
                        }
                        (ArmKey::Protocol(protocol), _) => Condition::Protocol(*protocol),
                        (ArmKey::Zone(_), SelectOn::Protocol) => Condition::Never,
                    };
                    self.within(key, path, |list, path| list.node(&arm.then, path));
                }
            }
            Node::Resolve(_) if path.is_empty() => self.item(".LOCAL-RESOLVE"),
            Node::Resolve(_) => {
                let when = self.matches(path);
                self.comment(&format!("`resolve`, but only for: {when}"));
                self.item(".LOCAL-RESOLVE");
            }
            Node::Instrument {
                condition,
                id,
                message,
                origin: _,
            } => {
                let message = yaml_text(&template(message));
                self.within(condition.clone(), path, |list, path| {
                    let matches = list.matches(path);
                    list.item(".INSTRUMENT:");
                    list.line(&format!("    id: {id}"));
                    list.line(&format!("    matches: {matches}"));
                    list.line(&format!("    message: {message}"));
                });
            }
            Node::Sub {
                condition,
                body,
                origin: _,
            } => self.within(condition.clone(), path, |list, path| list.sub(body, path)),
        }
    }

    fn sub(&mut self, body: &'p [Node], path: &[Condition]) {
        let matches = self.matches(path);
        self.item(".SUB-DISPATCH:");
        self.line(&format!("    matches: {matches}"));
        self.line("    subrules:");
        self.indent += 3;
        self.nodes(body, &mut Vec::new());
        if !self.ended {
            self.comment("what comes here is decided by no rule; a list needs a FALLBACK");
        }
        self.indent -= 3;
        self.ended = false;
    }

    fn within(
        &mut self,
        condition: Condition,
        path: &mut Vec<Condition>,
        then: impl FnOnce(&mut Self, &mut Vec<Condition>),
    ) {
        path.push(condition);
        then(self, path);
        path.pop();
    }

    fn leaf(&mut self, id: OutboundId, path: &[Condition]) {
        if path.is_empty() {
            let name = line_text(&outbound(self.policy, id));
            self.item(&format!("FALLBACK, {name}"));
            self.ended = true;
        } else {
            self.rule(id, path);
        }
    }

    fn rule(&mut self, id: OutboundId, path: &[Condition]) {
        let name = line_text(&outbound(self.policy, id));
        let condition = self.matches(path);
        // The flag of a plain rule stands behind its outbound.
        let rule = match condition.strip_suffix(", no-resolve") {
            Some(condition) => format!("{condition}, {name}, no-resolve"),
            None => format!("{condition}, {name}"),
        };
        self.item(&rule);
    }

    /// All conditions of a path as one.
    fn matches(&self, path: &[Condition]) -> String {
        match path {
            [only] => render_condition(only, self.names),
            path => render_condition(&Condition::And(path.to_vec()), self.names),
        }
    }

    fn item(&mut self, text: &str) {
        self.line(&format!("- {text}"));
    }

    fn comment(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    fn line(&mut self, text: &str) {
        for _ in 0..self.indent {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// A name as rule lines take it: in single quotes where it has a sign.
fn line_text(name: &str) -> String {
    let signs = |c: char| matches!(c, ',' | '[' | ']' | '#' | '\'' | '"') || c.is_control();
    if name.contains(signs) || name.trim() != name || name.is_empty() {
        format!("'{}'", name.replace('\'', "''"))
    } else {
        name.to_owned()
    }
}

/// A text as a double-quoted YAML scalar.
fn yaml_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

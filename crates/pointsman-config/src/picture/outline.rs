//! A policy as rows within rows: what pictures draw.
//!
//! Invariant: every outbound that the policy can choose stands in a row. Consecutive rules that differ
//! in their value alone are one row, which shows the first three.

use pointsman_policy::condition::ZoneOf;
use pointsman_policy::model::{Action, ArmKey, Node, Origin, OutboundId, OutboundKind, SelectOn};
use pointsman_policy::{Condition, Policy};

use crate::tree::ask;
use crate::tree::print::{condition_text, outbound, template, value_of};

/// How many values of a folded run are shown.
const SHOWN: usize = 3;
/// How many lines a tooltip has.
const TOLD: usize = 12;
/// The most rows of a policy: what comes behind is one row that says how much it is.
const MAX_ROWS: usize = 2_000;
/// The longest text of a row, in characters.
const MAX_TEXT: usize = 400;

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A condition that leads somewhere.
    Rule,
    /// A condition with rows below it.
    Branch,
    /// What is tried where the condition before does not hold.
    Else,
    /// Says or resolves something, and never decides.
    Note,
    /// Everything that came so far.
    Rest,
}

/// A row and the rows below it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) text: String,
    /// How many rules are folded into it.
    pub(super) count: usize,
    /// Each rule with its place, as far as they are told.
    pub(super) told: Vec<String>,
    pub(super) target: Option<Target>,
    pub(super) rows: Vec<Self>,
}

/// Where a row leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) class: &'static str,
}

/// The rows of a policy.
pub(super) fn outline(policy: &Policy) -> Vec<Row> {
    let mut outliner = Outliner { policy, rows: 0 };
    outliner.nodes(&policy.body, true)
}

/// The classes of targets, and what a legend calls them.
pub(super) const CLASSES: [(&str, &str); 5] = [
    ("direct", "direct"),
    ("proxy", "by a proxy"),
    ("group", "by a group"),
    ("refused", "refused"),
    ("silent", "dropped in silence"),
];

struct Outliner<'p> {
    policy: &'p Policy,
    rows: usize,
}

impl Outliner<'_> {
    fn nodes(&mut self, nodes: &[Node], whole: bool) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut rest = nodes;
        while let [first, behind @ ..] = rest {
            if self.rows >= MAX_ROWS {
                let text = format!("and {} more", rest.len());
                rows.push(row(Kind::Note, text, None));
                break;
            }
            let (mut found, left) = match first {
                Node::Rule(_) => {
                    let run = self.run(rest);
                    (vec![self.rules(&rest[..run])], &rest[run..])
                }
                node => (self.node(node, whole), behind),
            };
            self.rows += found.len();
            rows.append(&mut found);
            rest = left;
        }
        rows
    }

    /// How many rules from the first on differ in their value alone.
    fn run(&self, nodes: &[Node]) -> usize {
        let key = |node: &Node| match node {
            Node::Rule(rule) => {
                let (head, _, behind) = value_of(&rule.condition, self.policy)?;
                Some((subject(&head), behind, rule.outbound))
            }
            _ => None,
        };
        let Some(first) = nodes.first().and_then(key) else {
            return 1;
        };
        let same = nodes
            .iter()
            .take_while(|node| key(node).as_ref() == Some(&first));
        same.count().max(1)
    }

    fn rules(&self, run: &[Node]) -> Row {
        let rules = run.iter().filter_map(|node| match node {
            Node::Rule(rule) => Some(rule),
            _ => None,
        });
        let rules: Vec<_> = rules.collect();
        let values = rules
            .iter()
            .filter_map(|rule| value_of(&rule.condition, self.policy));
        let values: Vec<_> = values.take(SHOWN + 1).collect();
        let text = match (rules.as_slice(), values.as_slice()) {
            ([only], _) => self.text(&only.condition),
            (_, [(head, _, behind), ..]) => {
                let shown = if rules.len() > SHOWN + 1 {
                    SHOWN
                } else {
                    rules.len()
                };
                let shown: Vec<&str> = values.iter().take(shown).map(|(_, v, _)| &**v).collect();
                let behind = if subject(head) == "set" { "" } else { behind };
                let (more, comma) = match rules.len() - shown.len() {
                    0 => (String::new(), ""),
                    more if behind.is_empty() => (format!(", ... and {more} more"), ""),
                    more => (format!(", ... and {more} more"), ","),
                };
                format!(
                    "{} {}{more}{comma}{behind}",
                    subject(head),
                    shown.join(", ")
                )
            }
            _ => String::new(),
        };
        let mut row = row(Kind::Rule, text, None);
        row.count = rules.len();
        row.target = rules.first().map(|rule| self.target(rule.outbound));
        row.told = rules
            .iter()
            .take(TOLD)
            .map(|rule| told(&rule.origin))
            .collect();
        if let (Some(last), true) = (rules.last(), rules.len() > TOLD) {
            row.told.push(format!("... to {}", told(&last.origin)));
        }
        row
    }

    fn node(&mut self, node: &Node, whole: bool) -> Vec<Row> {
        match node {
            // A list within a list falls through to what comes behind it: it is as if it stood here.
            Node::Any(nodes) => {
                let rows = self.nodes(nodes, whole);
                self.rows -= rows.len().min(self.rows);
                rows
            }
            Node::Instrument {
                condition,
                message,
                origin,
                ..
            } => {
                let when = match condition {
                    Condition::Always => String::new(),
                    condition => format!("{} => ", condition_text(condition, self.policy)),
                };
                let text = format!("{when}log \"{}\"", template(message));
                vec![row(Kind::Note, text, Some(origin))]
            }
            Node::Request {
                condition,
                request,
                origin,
            } => {
                let when = match condition {
                    Condition::Always => String::new(),
                    condition => format!("{} => ", condition_text(condition, self.policy)),
                };
                let text = format!("{when}{}", ask::text(&request.into()));
                vec![row(Kind::Note, text, Some(origin))]
            }
            Node::Leaf { outbound, origin } => {
                let text = if whole { "everything else" } else { "else" };
                let mut rest = row(Kind::Rest, text.to_owned(), Some(origin));
                rest.target = Some(self.target(*outbound));
                vec![rest]
            }
            Node::Resolve(origin) => {
                let text = "resolve: from here on the address of a name is known".to_owned();
                vec![row(Kind::Note, text, Some(origin))]
            }
            Node::Rule(_) => vec![self.rules(std::slice::from_ref(node))],
            Node::Select(select) => {
                let text = match select.on {
                    SelectOn::Protocol => "protocol is",
                    SelectOn::Zone(ZoneOf::Domain, _) => "domain is in zone",
                    SelectOn::Zone(ZoneOf::Address, _) => "address is in zone",
                };
                let mut found = row(Kind::Branch, text.to_owned(), Some(&select.origin));
                for arm in &select.arms {
                    let key = match (&arm.key, select.on) {
                        (ArmKey::Protocol(protocol), _) => protocol.as_str().to_owned(),
                        (ArmKey::Zone(zone), SelectOn::Zone(of, _)) => {
                            let names = match of {
                                ZoneOf::Address => self.policy.zones.address_names(),
                                ZoneOf::Domain => self.policy.zones.domain_names(),
                            };
                            names
                                .get(zone.0 as usize)
                                .map_or("?", |name| &**name)
                                .to_owned()
                        }
                        (ArmKey::Zone(_), SelectOn::Protocol) => "?".to_owned(),
                    };
                    found.rows.push(self.leads(key, &arm.then, &arm.origin));
                }
                self.rows += found.rows.len();
                vec![found]
            }
            Node::Sub {
                condition,
                body,
                origin,
            } => {
                let text = match condition {
                    Condition::Always => "only these".to_owned(),
                    condition => format!("{}: only these", self.text(condition)),
                };
                let mut sub = row(Kind::Branch, text, Some(origin));
                sub.rows = self.nodes(body, false);
                vec![sub]
            }
            Node::When {
                condition,
                then,
                otherwise,
                origin,
            } => {
                let text = self.text(condition);
                let mut rows = vec![self.leads(text, then, origin)];
                let mut next = otherwise.as_deref();
                while let Some(node) = next {
                    next = None;
                    let (text, then, origin) = match node {
                        Node::When {
                            condition,
                            then,
                            otherwise,
                            origin,
                        } => {
                            next = otherwise.as_deref();
                            let when = self.text(condition);
                            (format!("else {when}"), &**then, Some(origin))
                        }
                        Node::Rule(rule) => {
                            let text = format!("else {}", self.text(&rule.condition));
                            let mut other = row(Kind::Else, text, Some(&rule.origin));
                            other.target = Some(self.target(rule.outbound));
                            rows.push(other);
                            continue;
                        }
                        node => ("else".to_owned(), node, None),
                    };
                    let origin = origin.cloned().unwrap_or_default();
                    let mut other = self.leads(text, then, &origin);
                    other.kind = Kind::Else;
                    rows.push(other);
                }
                rows
            }
        }
    }

    /// A condition's words. What a set says of names does not depend on addresses.
    fn text(&self, condition: &Condition) -> String {
        match (condition, value_of(condition, self.policy)) {
            (Condition::Set(..), Some((head, value, _))) => format!("{head} {value}"),
            _ => condition_text(condition, self.policy),
        }
    }

    /// A condition and what it leads to.
    fn leads(&mut self, text: String, then: &Node, origin: &Origin) -> Row {
        let mut found = row(Kind::Branch, text, Some(origin));
        match then {
            Node::Leaf { outbound, .. } => {
                found.kind = Kind::Rule;
                found.target = Some(self.target(*outbound));
            }
            Node::Any(nodes) => found.rows = self.nodes(nodes, false),
            node => found.rows = self.nodes(std::slice::from_ref(node), false),
        }
        found
    }

    fn target(&self, id: OutboundId) -> Target {
        let known = self.policy.outbounds.get(id.0 as usize);
        let class = match known.map(|outbound| &outbound.kind) {
            Some(OutboundKind::Group(_)) => "group",
            Some(OutboundKind::Plain(Action::Blackhole)) => "silent",
            Some(OutboundKind::Plain(Action::Direct)) => "direct",
            Some(OutboundKind::Plain(Action::Reject | Action::Reset)) => "refused",
            Some(OutboundKind::Plain(Action::Proxy)) | None => "proxy",
        };
        Target {
            name: outbound(self.policy, id),
            class,
        }
    }
}

/// The words before a value, the same for one value and for several.
fn subject(head: &str) -> String {
    match head.split_once(' ') {
        Some((fact @ ("port" | "source.port"), _)) => fact.to_owned(),
        Some(("domain", _)) | None => head.to_owned(),
        Some((fact, "eq")) => fact.to_owned(),
        Some(_) => head.to_owned(),
    }
}

fn row(kind: Kind, text: String, origin: Option<&Origin>) -> Row {
    Row {
        kind,
        text: text.chars().take(MAX_TEXT).collect(),
        count: 1,
        told: origin
            .filter(|o| !o.text.is_empty())
            .map(told)
            .into_iter()
            .collect(),
        target: None,
        rows: Vec::new(),
    }
}

/// `DOMAIN, example.com, Proxy (config.yml:12)`
fn told(origin: &Origin) -> String {
    let text: String = origin.text.chars().take(MAX_TEXT).collect();
    match origin.line {
        0 => format!("{text} ({})", origin.file),
        line => format!("{text} ({}:{line})", origin.file),
    }
}

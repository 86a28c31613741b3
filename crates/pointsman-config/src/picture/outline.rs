//! A policy as rows within rows: what pictures draw.
//!
//! Invariant: every outbound that the policy can choose stands in a row, as long as it has no more rows than [`MAX_ROWS`].
//! What is folded into a row leads to the same way out.

mod fold;
mod targets;

use pointsman_policy::condition::ZoneOf;
use pointsman_policy::model::{
    Action, Arm, ArmKey, Node, Origin, OutboundId, OutboundKind, Select, SelectOn,
};
use pointsman_policy::{Condition, Policy};

use super::scene::{Runs, Scene};
use crate::tree::ask::Ask;
use crate::tree::print::{condition_text, outbound, template, value_of};

/// The most rows of a policy with folded runs: what comes behind is one row that says how much it is.
const MAX_ROWS: usize = 2_000;
/// The same where runs are open: some megabytes.
const MAX_OPEN_ROWS: usize = 20_000;
/// How many members of a group are named.
const MEMBERS: usize = 12;
/// The longest text of a row, in characters.
const MAX_TEXT: usize = 400;

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
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
    pub(super) kind: RowKind,
    pub(super) text: String,
    /// How many rules are folded into it.
    pub(super) count: usize,
    /// Each rule with its place, as far as they are told.
    pub(super) told: Vec<String>,
    pub(super) target: Option<Target>,
    pub(super) rows: Vec<Self>,
}

impl Row {
    /// Its text, with the count of what is folded into it.
    pub(super) fn label(&self) -> String {
        match self.count {
            1 => self.text.clone(),
            count => format!("{count} \u{d7} {}", self.text),
        }
    }
}

/// Where a row leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) class: &'static str,
    /// What is behind the name, where more is to be said than it.
    pub(super) told: Option<String>,
}

/// The rows of a policy; of a forward's, where it connects to.
pub(super) fn outline(scene: &Scene<'_>, runs: Runs) -> Vec<Row> {
    let policy = scene.policy;
    let mut outliner = Outliner {
        policy,
        runs,
        rows: 0,
    };
    match &scene.forward {
        Some(forward) => outliner.targets(forward),
        None => outliner.nodes(&policy.body, true),
    }
}

struct Outliner<'p> {
    policy: &'p Policy,
    runs: Runs,
    rows: usize,
}

impl Outliner<'_> {
    fn nodes(&mut self, nodes: &[Node], whole: bool) -> Vec<Row> {
        let most = match self.runs {
            Runs::Folded => MAX_ROWS,
            Runs::Open => MAX_OPEN_ROWS,
        };
        let mut rows = Vec::new();
        let mut rest = nodes;
        while let [first, behind @ ..] = rest {
            if self.rows >= most && rest.len() > 1 {
                let (left, last) = match rest {
                    [left @ .., last @ Node::Leaf { .. }] => (left, Some(last)),
                    left => (left, None),
                };
                let text = format!("and {} more", left.len());
                rows.push(row(RowKind::Note, text, None));
                rows.extend(last.into_iter().flat_map(|last| self.node(last, whole)));
                break;
            }
            let (mut found, left) = match first {
                Node::Rule(_) => {
                    let many = self.stretch(rest);
                    (self.rules(&rest[..many]), &rest[many..])
                }
                node => (self.node(node, whole), behind),
            };
            self.rows += found.len();
            rows.append(&mut found);
            rest = left;
        }
        rows
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
                vec![row(RowKind::Note, text, Some(origin))]
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
                let text = format!("{when}{}", Ask::from(request));
                vec![row(RowKind::Note, text, Some(origin))]
            }
            Node::Leaf { outbound, origin } => {
                let text = if whole { "everything else" } else { "else" };
                let mut rest = row(RowKind::Rest, text.to_owned(), Some(origin));
                rest.target = Some(self.target(*outbound));
                vec![rest]
            }
            Node::Resolve(origin) => {
                let text = "resolve: from here on the address of a name is known".to_owned();
                vec![row(RowKind::Note, text, Some(origin))]
            }
            Node::Rule(_) => self.rules(std::slice::from_ref(node)),
            Node::Select(select) => vec![self.select(select)],
            Node::Sub {
                condition,
                body,
                origin,
            } => {
                let text = match condition {
                    Condition::Always => "only these".to_owned(),
                    condition => format!("{}: only these", self.text(condition)),
                };
                let mut sub = row(RowKind::Branch, text, Some(origin));
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
                            let mut other = row(RowKind::Else, text, Some(&rule.origin));
                            other.target = Some(self.target(rule.outbound));
                            rows.push(other);
                            continue;
                        }
                        node => ("else".to_owned(), node, None),
                    };
                    let origin = origin.cloned().unwrap_or_default();
                    let mut other = self.leads(text, then, &origin);
                    other.kind = RowKind::Else;
                    rows.push(other);
                }
                rows
            }
        }
    }

    fn select(&mut self, select: &Select) -> Row {
        let text = match select.on {
            SelectOn::Protocol => "protocol is",
            SelectOn::Zone(ZoneOf::Domain, _) => "domain is in zone",
            SelectOn::Zone(ZoneOf::Address, _) => "address is in zone",
        };
        let mut found = row(RowKind::Branch, text.to_owned(), Some(&select.origin));
        let arms = select.arms.iter();
        let arms = arms.map(|arm| self.leads(self.key(arm, select.on), &arm.then, &arm.origin));
        let arms = arms.collect();
        found.rows = self.arms(arms);
        self.rows += found.rows.len();
        found
    }

    fn key(&self, arm: &Arm, on: SelectOn) -> String {
        let names = match on {
            SelectOn::Zone(ZoneOf::Address, _) => self.policy.zones.address_names(),
            SelectOn::Protocol | SelectOn::Zone(ZoneOf::Domain, _) => {
                self.policy.zones.domain_names()
            }
        };
        match arm.key {
            ArmKey::Protocol(protocol) => protocol.as_str().to_owned(),
            ArmKey::Zone(zone) => {
                let name = names.get(zone.0 as usize);
                name.map_or("?", |name| &**name).to_owned()
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
        let mut found = row(RowKind::Branch, text, Some(origin));
        match then {
            Node::Leaf { outbound, .. } => {
                found.kind = RowKind::Rule;
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
        let told = match known.map(|outbound| &outbound.kind) {
            Some(OutboundKind::Group(members)) => Some(self.members(id, members)),
            _ => None,
        };
        Target {
            name: outbound(self.policy, id),
            class,
            told,
        }
    }

    fn members(&self, group: OutboundId, members: &[OutboundId]) -> String {
        let names = members.iter().take(MEMBERS);
        let mut names: Vec<String> = names.map(|id| outbound(self.policy, *id)).collect();
        if members.len() > MEMBERS {
            names.push(format!("... and {} more", members.len() - MEMBERS));
        }
        let name = outbound(self.policy, group);
        format!("{name}: one of {}", names.join(", "))
    }
}

fn row(kind: RowKind, text: String, origin: Option<&Origin>) -> Row {
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

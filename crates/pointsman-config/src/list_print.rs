//! A policy as a rule list in BoltConn's syntax.
//!
//! Trees are flattened: a leaf becomes a rule on all that leads to it, which falls through as the
//! tree does. Invariant: what is printed is read as a policy that decides as this one does; what a
//! list cannot say is refused, with the place and the reason, and nothing is printed.

use std::fmt;
use std::sync::Arc;

use pointsman_policy::condition::Concerns;
use pointsman_policy::line::{Names, Scope, parse_condition, render_condition, word};
use pointsman_policy::model::{ArmKey, Node, Origin, OutboundId, SelectOn, SetId};
use pointsman_policy::{Condition, Policy};

use crate::tree::print::{outbound, template};
use crate::yaml::write;

mod flatten;
/// Whether it is written `ALWAYS`.
fn is_always(condition: &Condition) -> bool {
    match condition {
        Condition::Always => true,
        Condition::And(parts) if parts.is_empty() => true,
        Condition::And(parts) | Condition::Or(parts) => match parts.as_slice() {
            [only] => is_always(only),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests;

/// Something that a rule list has no words for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsayable {
    /// Where it stands; without a text where it is the policy as a whole.
    pub origin: Origin,
    /// Why a list cannot say it, and what to do.
    pub why: String,
}

impl fmt::Display for Unsayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin.text.is_empty() {
            true => f.write_str(&self.why),
            false => write!(f, "{}: {}", self.origin, self.why),
        }
    }
}

/// The policy as the items of a YAML list, one rule a line, with a final line end.
///
/// It is printed for a configuration in which `ip_rules_resolve` is `true` where any of its rules
/// asks for addresses; a comment says so.
///
/// # Errors
/// Everything that a list cannot say: zones, a `resolve` behind a condition, a policy that leaves
/// flows undecided, and conditions of which the meaning would change where they are repeated.
pub fn as_list(policy: &Policy) -> Result<String, Vec<Unsayable>> {
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
        at: Origin::default(),
        unsaid: Vec::new(),
        sees: false,
    };
    list.sees = list.policy_sees();
    if resolves {
        list.comment("with `ip_rules_resolve: true`");
    }
    list.nodes(&policy.body, &mut Vec::new());
    list.end("the policy");
    match list.unsaid.is_empty() {
        true => Ok(list.text),
        false => Err(list.unsaid),
    }
}

struct List<'p> {
    policy: &'p Policy,
    names: Names<'p>,
    text: String,
    indent: usize,
    /// The fallback stands: nothing below can be reached.
    ended: bool,
    /// What is being printed.
    at: Origin,
    unsaid: Vec<Unsayable>,
    /// Whether any rule sees an address only where another had it resolved.
    sees: bool,
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
            Node::Leaf { outbound, origin } => {
                self.at(origin);
                self.leaf(*outbound, path);
            }
            Node::Rule(rule) => {
                self.at(&rule.origin);
                self.within(rule.condition.clone(), path, |list, path| {
                    list.rule(rule.outbound, path);
                });
            }
            Node::When {
                condition,
                then,
                otherwise,
                origin,
            } => {
                self.at(origin);
                self.repeats(condition, then, otherwise.as_deref());
                self.within(condition.clone(), path, |list, path| list.node(then, path));
                if let Some(otherwise) = otherwise {
                    let not = Condition::Not(Box::new(condition.clone()));
                    self.within(not, path, |list, path| list.node(otherwise, path));
                }
            }
            Node::Select(select) => {
                self.at(&select.origin);
                for arm in &select.arms {
                    self.at(&arm.origin);
                    self.one_way(&arm.then);
                    let key = match (&arm.key, select.on) {
                        (ArmKey::Zone(zone), SelectOn::Zone(of, asks)) => {
                            Condition::Zone(of, *zone, asks)
                        }
                        (ArmKey::Protocol(protocol), _) => Condition::Protocol(*protocol),
                        (ArmKey::Zone(_), SelectOn::Protocol) => Condition::Never,
                    };
                    self.leaks(&key, &arm.then);
                    self.within(key, path, |list, path| list.node(&arm.then, path));
                }
            }
            Node::Resolve(_) if path.is_empty() => self.item(".LOCAL-RESOLVE"),
            Node::Resolve(origin) => {
                self.at(origin);
                self.refuse(
                    "`.LOCAL-RESOLVE` holds for every flow that comes to it, and this `resolve` for some alone: \
                     move it out of its branch, or keep the tree",
                );
            }
            Node::Instrument {
                condition,
                id,
                message,
                origin,
            } => {
                self.at(origin);
                let message = write::quoted(&template(message));
                self.within(condition.clone(), path, |list, path| {
                    let matches = write::line(&list.matches(path));
                    list.item(".INSTRUMENT:");
                    list.line(&format!("    id: {id}"));
                    list.line(&format!("    matches: {matches}"));
                    list.line(&format!("    message: {message}"));
                });
            }
            Node::Request {
                condition,
                request,
                origin,
            } => {
                self.at(origin);
                self.within(condition.clone(), path, |list, path| {
                    let matches = write::line(&list.matches(path));
                    list.item(".REQUEST:");
                    list.line(&format!("    id: {}", request.subscriber));
                    list.line(&format!("    matches: {matches}"));
                    list.line(&format!("    timeout: {}", request.timeout.as_secs()));
                    let suggested = request.suggested.as_str();
                    list.line(&format!("    request-route: {suggested}"));
                    list.line(&format!("    fallback: {}", request.fallback.as_str()));
                });
            }
            Node::Sub {
                condition,
                body,
                origin,
            } => {
                self.at(origin);
                // What every flow comes to is the rest of the list.
                if path.is_empty() && is_always(condition) {
                    let place = self.at.clone();
                    self.nodes(body, path);
                    self.at = place;
                    self.end("it");
                    self.ended = true;
                } else {
                    self.within(condition.clone(), path, |list, path| list.sub(body, path));
                }
            }
        }
    }

    fn sub(&mut self, body: &'p [Node], path: &[Condition]) {
        let matches = write::line(&self.matches(path));
        self.item(".SUB-DISPATCH:");
        self.line(&format!("    matches: {matches}"));
        self.line("    subrules:");
        self.indent += 3;
        let place = self.at.clone();
        self.nodes(body, &mut Vec::new());
        self.at = place;
        self.end("it");
        self.indent -= 3;
        self.ended = false;
    }

    /// Refuses a list that has no `FALLBACK`.
    fn end(&mut self, what: &str) {
        if self.ended {
            return;
        }
        if what == "the policy" {
            self.at = Origin::default();
        }
        self.refuse(&format!(
            "{what} leaves flows undecided, and a list ends with `FALLBACK`: end it with an outbound"
        ));
    }

    fn at(&mut self, origin: &Origin) {
        self.at = origin.clone();
    }

    fn refuse(&mut self, why: &str) {
        let (origin, why) = (self.at.clone(), why.to_owned());
        let found = Unsayable { origin, why };
        // A condition stands in every rule below it.
        if !self.unsaid.contains(&found) {
            self.unsaid.push(found);
        }
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
            let name = word(&outbound(self.policy, id));
            self.item(&write::line(&format!("FALLBACK, {name}")));
            self.ended = true;
        } else {
            self.rule(id, path);
        }
    }

    fn rule(&mut self, id: OutboundId, path: &[Condition]) {
        let name = word(&outbound(self.policy, id));
        let condition = self.matches(path);
        // The flag of a plain rule stands behind its outbound.
        let rule = match condition.strip_suffix(", no-resolve") {
            Some(condition) => format!("{condition}, {name}, no-resolve"),
            None => format!("{condition}, {name}"),
        };
        self.item(&write::line(&rule));
    }

    /// All conditions of a path as one.
    fn matches(&mut self, path: &[Condition]) -> String {
        let text = match path {
            [only] => render_condition(only, self.names),
            path => render_condition(&Condition::And(path.to_vec()), self.names),
        };
        let scope = Sets(self.policy, self.names.ip_rules_resolve);
        if let Some(zone) = path.iter().find_map(flatten::zone) {
            let zone = render_condition(zone, self.names);
            self.refuse(&format!(
                "a list knows no zones (`{zone}`): make the zone a rule set, or keep the tree"
            ));
        } else if let Err(error) = parse_condition(&text, &scope) {
            self.refuse(&format!("a rule cannot say this: {error}"));
        }
        text
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

/// What rules in the printed list may name.
struct Sets<'p>(&'p Policy, bool);

impl Scope for Sets<'_> {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        let at = self.0.sets.iter().position(|set| *set.name == *name)?;
        u32::try_from(at).ok().map(SetId)
    }
    fn has_country_db(&self) -> bool {
        true
    }
    fn has_asn_db(&self) -> bool {
        true
    }
    fn ip_rules_resolve(&self) -> bool {
        self.1
    }
    fn upstream(&self, name: &str) -> Option<Arc<str>> {
        Some(name.into())
    }
    fn concerns(&self) -> Concerns {
        Concerns::Answers
    }
}

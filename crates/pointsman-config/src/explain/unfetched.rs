//! Rule sets that a flow's rules looked into and that hold nothing yet, for their lists were never fetched.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use pointsman_policy::Policy;
use pointsman_policy::condition::Condition;
use pointsman_policy::decision::Trace;
use pointsman_policy::model::{Node, Origin, SetId};

use crate::setup::Setup;

/// Their names, in order.
pub(super) fn looked_into(setup: &Setup, policy: &Policy, trace: &Trace) -> Vec<Arc<str>> {
    let missing = setup.sources.iter().filter(|source| source.read.is_none());
    let missing: HashSet<&str> = missing.map(|source| &*source.name).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let visited: HashSet<_> = trace
        .visits
        .iter()
        .map(|visit| place(&visit.origin))
        .collect();
    let mut search = Search {
        policy,
        seen: HashSet::new(),
        found: BTreeSet::new(),
    };
    each(&policy.body, &mut |origin, condition| {
        if visited.contains(&place(origin)) {
            search.condition(condition);
        }
    });
    let mut found: Vec<Arc<str>> = search.found.into_iter().collect();
    found.retain(|name| missing.contains(&**name));
    found
}

/// Several rules may stand on one line.
fn place(origin: &Origin) -> (&str, u32, String) {
    (&origin.file, origin.line, origin.text.to_string())
}

struct Search<'p> {
    policy: &'p Policy,
    seen: HashSet<SetId>,
    found: BTreeSet<Arc<str>>,
}

impl Search<'_> {
    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::And(parts) | Condition::Or(parts) => {
                for part in parts {
                    self.condition(part);
                }
            }
            Condition::Not(inner) => self.condition(inner),
            Condition::Set(id, _) if self.seen.insert(*id) => {
                let set = self.policy.sets.get(id.0 as usize);
                if let Some(set) = set {
                    self.found.insert(Arc::clone(&set.name));
                    for other in set.others() {
                        self.condition(&other.condition);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Calls `tell` with each condition and the place of its rule.
fn each<'n>(nodes: &'n [Node], tell: &mut impl FnMut(&'n Origin, &'n Condition)) {
    for node in nodes {
        match node {
            Node::Any(nodes) => each(nodes, tell),
            Node::Instrument {
                condition, origin, ..
            }
            | Node::Request {
                condition, origin, ..
            } => tell(origin, condition),
            Node::Leaf { .. } | Node::Resolve(_) => {}
            Node::Rule(rule) => tell(&rule.origin, &rule.condition),
            Node::Select(select) => {
                for arm in &select.arms {
                    each(std::slice::from_ref(&arm.then), tell);
                }
            }
            Node::Sub {
                condition,
                body,
                origin,
            } => {
                tell(origin, condition);
                each(body, tell);
            }
            Node::When {
                condition,
                then,
                otherwise,
                origin,
            } => {
                tell(origin, condition);
                each(std::slice::from_ref(then), tell);
                if let Some(otherwise) = otherwise {
                    each(std::slice::from_ref(otherwise), tell);
                }
            }
        }
    }
}

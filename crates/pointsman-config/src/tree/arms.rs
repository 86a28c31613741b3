//! `cond domain|ip|protocol`: the arms of a selection by key, from as they are written to the policy's nodes.
//!
//! Invariant: the first arm whose key holds counts, whether its branch decides or not.

use std::collections::HashMap;

use pointsman_policy::condition::{Asks, ZoneOf};
use pointsman_policy::model::{Arm as PolicyArm, ArmKey, Origin, Rule, Select, SelectOn};
use pointsman_policy::{Condition, Node};

use super::lowering::{Lists, Lowerer};
use super::{Arm, MAX_CHAIN, Name, write};
use crate::problem::Span;

impl<'a> Lowerer<'a> {
    pub(super) fn cond(
        &mut self,
        subject: &'a Name,
        arms: &'a [Arm],
        span: &Span,
        head: String,
    ) -> Option<Node> {
        let origin = self.origin(span, head);
        self.repeated(arms);
        let keyed: Vec<Option<Keyed>> = arms
            .iter()
            .filter(|arm| !arm.otherwise)
            .map(|arm| self.arm(subject, arm))
            .collect();
        let otherwise = match arms.iter().find(|arm| arm.otherwise) {
            Some(arm) => {
                let origin = self.arm_origin(arm);
                Some(self.branch(&arm.then, Some(&origin))?)
            }
            None => None,
        };
        let keyed: Vec<Keyed> = keyed.into_iter().collect::<Option<_>>()?;
        let on = match (subject.text.as_str(), self.context.lists) {
            ("protocol", _) => SelectOn::Protocol,
            ("domain", Lists::Zones(_)) => SelectOn::Zone(ZoneOf::Domain, Asks::Resolve),
            ("ip", Lists::Zones(_)) => SelectOn::Zone(ZoneOf::Address, Asks::Resolve),
            _ => return self.first_that_holds(keyed, otherwise, span),
        };
        if otherwise.is_some() {
            return self.first_that_holds(keyed, otherwise, span);
        }
        let arms = keyed.into_iter().filter_map(|arm| {
            Some(PolicyArm {
                key: arm.key?,
                then: arm.then,
                origin: arm.origin,
            })
        });
        Some(Node::Select(Select {
            on,
            arms: arms.collect(),
            origin,
        }))
    }

    /// The first arm whose condition holds counts, whether its branch decides or not.
    fn first_that_holds(
        &mut self,
        arms: Vec<Keyed>,
        otherwise: Option<Node>,
        span: &Span,
    ) -> Option<Node> {
        let simple = arms.iter().all(|arm| matches!(arm.then, Node::Leaf { .. }));
        if simple {
            // A leaf always decides, so a plain list says the same.
            let rules = arms
                .into_iter()
                .map(|arm| guarded(arm.condition, arm.then, arm.origin));
            return Some(Node::Any(rules.chain(otherwise).collect()));
        }
        if arms.len() > MAX_CHAIN {
            let message = format!("more than {MAX_CHAIN} keys, and not all lead to outbounds");
            let hint = "split it into several `cond` in an `any [ ... ]`".to_owned();
            self.error("too-large", span, message, hint);
            return None;
        }
        let chain = arms.into_iter().rev().fold(otherwise, |rest, arm| {
            Some(Node::When {
                condition: arm.condition,
                then: Box::new(arm.then),
                otherwise: rest.map(Box::new),
                origin: arm.origin,
            })
        });
        Some(chain.unwrap_or(Node::Any(Vec::new())))
    }

    fn repeated(&mut self, arms: &[Arm]) {
        let mut seen: HashMap<&str, &Span> = HashMap::new();
        for (n, arm) in arms.iter().enumerate() {
            if arm.otherwise && n + 1 < arms.len() {
                let hint = "move it to the last line".to_owned();
                let message = "`else` must be the last key".to_owned();
                self.error("misplaced-else", &arm.key.span, message, hint);
            }
            match seen.get(arm.key.text.as_str()) {
                Some(first) => {
                    self.errors += 1;
                    let message = format!("the key `{}` is given twice", arm.key.text);
                    let problem = self.problems.error("duplicate-key", &arm.key.span, message);
                    problem.related = Some(((*first).clone(), "first here".into()));
                    problem.hint = Some("join both branches in one `any [ ... ]`".into());
                }
                None => {
                    seen.insert(&arm.key.text, &arm.key.span);
                }
            }
        }
    }

    fn arm(&mut self, subject: &Name, arm: &'a Arm) -> Option<Keyed> {
        let origin = self.arm_origin(arm);
        let key = &arm.key;
        let found = match (subject.text.as_str(), self.context.lists) {
            ("protocol", _) => self
                .protocol(key)
                .map(|p| (Condition::Protocol(p), Some(ArmKey::Protocol(p)))),
            ("domain" | "ip", Lists::Zones(_)) => {
                let of = match subject.text.as_str() {
                    "domain" => ZoneOf::Domain,
                    _ => ZoneOf::Address,
                };
                self.zone(of, key).map(|zone| {
                    let condition = Condition::Zone(of, zone, Asks::Resolve);
                    (condition, Some(ArmKey::Zone(zone)))
                })
            }
            ("domain", Lists::Sets(_)) => self
                .set(key)
                .map(|id| (Condition::Set(id, Asks::Never), None)),
            ("ip", Lists::Sets(_)) => self
                .set(key)
                .map(|id| (Condition::Set(id, Asks::Resolve), None)),
            // The parser told of the subject.
            _ => {
                self.errors += 1;
                None
            }
        };
        let then = self.branch(&arm.then, Some(&origin))?;
        let (condition, key) = found?;
        Some(Keyed {
            condition,
            key,
            then,
            origin,
        })
    }

    fn arm_origin(&mut self, arm: &Arm) -> Origin {
        self.origin(&arm.span, write::arm_head(arm))
    }
}

/// A leaf behind a condition is a rule; a named tree is a branch.
pub(super) fn guarded(condition: Condition, then: Node, origin: Origin) -> Node {
    match then {
        Node::Leaf { outbound, .. } => Node::Rule(Rule {
            condition,
            outbound,
            origin,
            class: None,
        }),
        then => Node::When {
            condition,
            then: Box::new(then),
            otherwise: None,
            origin,
        },
    }
}

/// An arm whose key is known.
struct Keyed {
    condition: Condition,
    /// Where the key can be looked up.
    key: Option<ArmKey>,
    then: Node,
    origin: Origin,
}

//! From a tree as written to the policy's nodes: names become numbers, keys are checked.
//!
//! Invariant: `None` comes with an error pushed. A rule's text in explanations is its canonical
//! spelling on one line; of a nested branch it is the first line (`ssh => any [`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pointsman_policy::condition::{Asks, ZoneOf};
use pointsman_policy::fact::Protocol;
use pointsman_policy::model::Template;
use pointsman_policy::model::{Arm as PolicyArm, ArmKey, Origin, Rule, Select, SelectOn, SetId};
use pointsman_policy::zone::Zones;
use pointsman_policy::{Condition, Node};

use super::facts;
use super::nesting::Nesting;
use super::{Arm, Ast, Branch, MAX_CHAIN, MAX_DEPTH, Name, write};
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Source, Span, nearest};

/// The most nodes that a tree may come to, named trees counted as often as they are used.
const MAX_NODES: usize = 1_000_000;

/// What the keys of `cond domain` and `cond ip` name.
#[derive(Clone, Copy, Debug)]
pub enum Lists<'a> {
    /// Rule sets, by [`SetId`]: the first arm whose set holds the flow counts.
    Sets(&'a [Arc<str>]),
    /// Zones: the one zone that the name or address belongs to counts.
    Zones(&'a Zones),
}

/// What the names in a tree can mean.
#[derive(Clone, Copy, Debug)]
pub struct LowerContext<'a> {
    /// Leaves.
    pub outbounds: &'a Outbounds,
    /// Keys, and what `set` and `in` name.
    pub lists: Lists<'a>,
    /// Named trees that leaves may name too.
    pub trees: &'a BTreeMap<String, Ast>,
}

/// Lowers a tree to the body of a policy; a root `any [ ... ]` is its branches.
pub fn lower(ast: &Ast, context: &LowerContext<'_>, problems: &mut Problems) -> Option<Vec<Node>> {
    let mut lowerer = Lowerer {
        context,
        problems,
        errors: 0,
        expanding: Vec::new(),
        nodes: 0,
        lines: None,
    };
    let body = match &ast.root {
        Branch::Any(branches, _) => lowerer.branches(branches),
        root => lowerer.branch(root, None).into_iter().collect(),
    };
    if lowerer.errors == 0 && !Nesting::of(&body).is_readable() {
        let message =
            format!("with the trees that it names, it nests deeper than {MAX_DEPTH} levels");
        lowerer.error("too-deep", ast.root.span(), message, String::new());
    }
    (lowerer.errors == 0).then_some(body)
}

pub(super) struct Lowerer<'a> {
    pub(super) context: &'a LowerContext<'a>,
    pub(super) problems: &'a mut Problems,
    /// Errors pushed here.
    errors: usize,
    /// Named trees that we are inside of.
    expanding: Vec<&'a str>,
    nodes: usize,
    /// Where the lines of the source begin that was asked for last.
    lines: Option<(Arc<Source>, Vec<usize>)>,
}

impl<'a> Lowerer<'a> {
    pub(super) fn error(&mut self, code: &'static str, span: &Span, message: String, hint: String) {
        self.errors += 1;
        let problem = self.problems.error(code, span, message);
        problem.hint = Some(hint).filter(|hint| !hint.is_empty());
    }

    fn branches(&mut self, branches: &'a [Branch]) -> Vec<Node> {
        branches
            .iter()
            .filter_map(|branch| self.branch(branch, None))
            .collect()
    }

    /// `line` is the arm or condition whose branch this is: where that is a leaf, it is the rule.
    fn branch(&mut self, branch: &'a Branch, line: Option<&Origin>) -> Option<Node> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            if self.nodes == MAX_NODES + 1 {
                let message = format!("the tree comes to more than {MAX_NODES} branches");
                self.error("too-large", branch.span(), message, String::new());
            }
            return None;
        }
        match branch {
            Branch::Any(branches, _) => Some(Node::Any(self.branches(branches))),
            Branch::Only(branches, span) => {
                let origin = self.origin(span, write::head(branch));
                self.only(Condition::Always, branches, origin)
            }
            Branch::Ask(ask, span) => {
                let origin = self.origin(span, write::head(branch));
                super::ask::lower(self, Condition::Always, ask, span, origin)
            }
            Branch::Leaf(name) => self.leaf(name, line),
            Branch::Log { id, message, span } => {
                let origin = self.origin(span, write::head(branch));
                self.instrument(Condition::Always, *id, message, origin)
            }
            Branch::Cond {
                subject,
                arms,
                span,
            } => self.cond(subject, arms, span, write::head(branch)),
            Branch::When {
                when,
                then,
                otherwise,
                span,
            } => {
                let origin = self.origin(span, write::head(branch));
                let condition = facts::condition(self, when);
                match (&**then, otherwise) {
                    (Branch::Only(body, _), None) => self.only(condition?, body, origin),
                    (Branch::Ask(ask, span), None) => {
                        super::ask::lower(self, condition?, ask, span, origin)
                    }
                    (Branch::Log { id, message, .. }, None) => {
                        self.instrument(condition?, *id, message, origin)
                    }
                    (Branch::Leaf(_), None) => {
                        let then = self.branch(then, Some(&origin))?;
                        Some(guarded(condition?, then, origin))
                    }
                    _ => {
                        let then = self.branch(then, Some(&origin));
                        let otherwise = match otherwise {
                            Some(branch) => {
                                let text = format!("else => {}", write::head(branch));
                                let origin = self.origin(branch.span(), text);
                                Some(Box::new(self.branch(branch, Some(&origin))?))
                            }
                            None => None,
                        };
                        Some(Node::When {
                            condition: condition?,
                            then: Box::new(then?),
                            otherwise,
                            origin,
                        })
                    }
                }
            }
        }
    }

    fn only(
        &mut self,
        condition: Condition,
        branches: &'a [Branch],
        origin: Origin,
    ) -> Option<Node> {
        let body = self.branches(branches);
        Some(Node::Sub {
            condition,
            body,
            origin,
        })
    }

    fn instrument(
        &mut self,
        condition: Condition,
        id: u32,
        message: &Name,
        origin: Origin,
    ) -> Option<Node> {
        let message = self.template(message)?;
        Some(Node::Instrument {
            condition,
            id,
            message,
            origin,
        })
    }

    fn leaf(&mut self, name: &'a Name, line: Option<&Origin>) -> Option<Node> {
        let outbounds = self.context.outbounds;
        // Rule lists write the built-in names in upper case, and printed as trees they still do.
        let builtin = || match (self.context.lists, name.text.as_str()) {
            (Lists::Sets(_), "DIRECT" | "RESET" | "REJECT" | "BLACKHOLE") => {
                outbounds.find(&name.text.to_ascii_lowercase())
            }
            _ => None,
        };
        let exact = outbounds.find(&name.text).or_else(builtin);
        // A tree may have the name of a built-in outbound in another spelling.
        let taken = self.context.trees.contains_key(&name.text) || name.text == "resolve";
        let spelled = || outbounds.builtin(&name.text).filter(|_| !taken);
        if let Some(outbound) = exact.or_else(spelled) {
            let origin = match line {
                Some(origin) => origin.clone(),
                None => self.origin(&name.span, super::lex::word(&name.text)),
            };
            return Some(Node::Leaf { outbound, origin });
        }
        if let Some((key, tree)) = self.context.trees.get_key_value(&name.text) {
            return self.named(key, tree, name);
        }
        if name.text == "resolve" {
            return Some(Node::Resolve(self.origin(&name.span, name.text.clone())));
        }
        self.errors += 1;
        outbounds.resolve(&name.text, &name.span, self.problems);
        let words = self.context.trees.keys().map(String::as_str);
        let near = nearest(
            &name.text,
            words.chain(["resolve", "any", "cond", "only", "log", "ask"]),
        );
        if let (Some(near), Some(problem)) = (near, self.problems.0.last_mut())
            && !problem
                .hint
                .as_ref()
                .is_some_and(|hint| hint.starts_with("did you mean"))
        {
            problem.hint = Some(format!("did you mean `{near}`?"));
        }
        None
    }

    fn named(&mut self, key: &'a str, tree: &'a Ast, name: &Name) -> Option<Node> {
        if let Some(at) = self.expanding.iter().position(|open| *open == key) {
            let circle: Vec<&str> = self.expanding[at..].iter().copied().chain([key]).collect();
            let message = format!(
                "the tree `{key}` leads back to itself: {}",
                circle.join(" -> ")
            );
            let hint = "a tree may use others, but none that leads to it".to_owned();
            let told = |p: &crate::Problem| p.code == "tree-cycle" && p.span == name.span;
            if self.problems.0.iter().any(told) {
                self.errors += 1;
            } else {
                self.error("tree-cycle", &name.span, message, hint);
            }
            return None;
        }
        if self.expanding.len() >= MAX_DEPTH {
            let message = format!("trees within trees, more than {MAX_DEPTH} deep");
            self.error("too-deep", &name.span, message, String::new());
            return None;
        }
        self.expanding.push(key);
        let node = self.branch(&tree.root, None);
        self.expanding.pop();
        node
    }

    // === cond domain|ip|protocol ===

    fn cond(
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

    pub(super) fn protocol(&mut self, name: &Name) -> Option<Protocol> {
        let known = ["http", "tls", "ssh", "quic", "other"];
        let protocol = match name.text.as_str() {
            "http" => Protocol::Http,
            "tls" => Protocol::Tls,
            "ssh" => Protocol::Ssh,
            "quic" => Protocol::Quic,
            "other" => Protocol::Other,
            text => {
                let message = format!("there is no protocol `{text}`");
                self.error("unknown-protocol", &name.span, message, offer(text, known));
                return None;
            }
        };
        Some(protocol)
    }

    pub(super) fn zone(
        &mut self,
        of: ZoneOf,
        name: &Name,
    ) -> Option<pointsman_policy::zone::ZoneId> {
        let Lists::Zones(zones) = self.context.lists else {
            let message = "this configuration has rule sets and no zones".to_owned();
            let hint = format!("write `set {}`", name.text);
            self.error("unknown-zone", &name.span, message, hint);
            return None;
        };
        let (found, names, other, folder) = match of {
            ZoneOf::Domain => (
                zones.domain_zone(&name.text),
                zones.domain_names(),
                zones.address_zone(&name.text),
                "namezone",
            ),
            ZoneOf::Address => (
                zones.address_zone(&name.text),
                zones.address_names(),
                zones.domain_zone(&name.text),
                "addrzone",
            ),
        };
        if found.is_some() {
            return found;
        }
        let kind = match of {
            ZoneOf::Domain => "name zone",
            ZoneOf::Address => "address zone",
        };
        let message = format!("there is no {kind} `{}`", name.text);
        let hint = if other.is_some() {
            let (is, belongs) = match of {
                ZoneOf::Domain => ("an address zone", "cond ip"),
                ZoneOf::Address => ("a name zone", "cond domain"),
            };
            format!("`{}` is {is}: it belongs in `{belongs}`", name.text)
        } else {
            match nearest(&name.text, names.iter().map(|n| &**n)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add the file `{folder}/{}`", name.text),
            }
        };
        self.error("unknown-zone", &name.span, message, hint);
        None
    }

    pub(super) fn set(&mut self, name: &Name) -> Option<SetId> {
        let names = match self.context.lists {
            Lists::Sets(names) => names,
            Lists::Zones(_) => &[],
        };
        match names.iter().position(|known| **known == *name.text) {
            Some(at) => u32::try_from(at).ok().map(SetId),
            None => {
                let message = format!("there is no rule set `{}`", name.text);
                let hint = offer(&name.text, names.iter().map(|n| &**n));
                self.error("unknown-rule-set", &name.span, message, hint);
                None
            }
        }
    }

    fn template(&mut self, message: &Name) -> Option<Template> {
        match Template::parse(&message.text) {
            Ok(template) => Some(template),
            Err(why) => {
                let hint = match why.near() {
                    Some(near) => format!("did you mean `{{{near}}}`?"),
                    None => "a brace that is meant as text is written twice".to_owned(),
                };
                self.error("invalid-value", &message.span, why.to_string(), hint);
                None
            }
        }
    }

    pub(super) fn origin(&mut self, span: &Span, text: String) -> Origin {
        let known = self
            .lines
            .as_ref()
            .is_some_and(|(source, _)| Arc::ptr_eq(source, &span.source));
        if !known {
            let ends = span.source.text.match_indices('\n').map(|(at, _)| at + 1);
            let starts = std::iter::once(0).chain(ends).collect();
            self.lines = Some((Arc::clone(&span.source), starts));
        }
        let line = match &self.lines {
            Some((_, starts)) => starts.partition_point(|start| *start <= span.start),
            None => 0,
        };
        Origin {
            file: Arc::clone(span.file()),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            text: text.into(),
        }
    }
}

/// A leaf behind a condition is a rule; a named tree is a branch.
fn guarded(condition: Condition, then: Node, origin: Origin) -> Node {
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

/// Of words those below one where there are any (`process.name` below `process`), else all.
pub(super) fn below<'k>(word: &str, mut known: Vec<&'k str>) -> Vec<&'k str> {
    let is_below = |known: &&str| {
        known
            .strip_prefix(word)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    if known.iter().any(is_below) {
        known.retain(is_below);
    }
    known
}

pub(super) fn offer<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<&str> = known.into_iter().take(20).collect();
            match known.is_empty() {
                true => "none is defined".to_owned(),
                false => format!("there is: {}", known.join(", ")),
            }
        }
    }
}

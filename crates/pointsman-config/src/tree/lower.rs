//! From a tree as written to the policy's nodes: names become numbers, keys are checked.
//!
//! Invariant: `None` comes with an error pushed. A rule's text in explanations is its canonical
//! spelling on one line; of a nested branch it is the first line (`ssh => any [`).

use pointsman_policy::model::Origin;
use pointsman_policy::{Condition, Node};

use super::arms::guarded;
use super::expansion::{Depth, Expansion, Full, REPEATED, REPEATED_A_BRANCH, Size, TreeState};
use super::facts;
use super::lowering::{Lists, LowerContext, Lowerer};
use super::nesting::Nesting;
use super::{Ast, Branch, MAX_DEPTH, Name, write};
use crate::problem::{About, Problems, Span, nearest};

/// The most nodes that a tree may come to, named trees counted as often as they are used.
const MAX_NODES: usize = 1_000_000;

/// The most circles of named trees that are told.
const MOST_CIRCLES: usize = 100;

/// Lowers a tree to the body of a policy; a root `any [ ... ]` is its branches.
pub fn lower(
    ast: &Ast,
    context: &LowerContext<'_>,
    expansion: &mut Expansion,
    problems: &mut Problems,
) -> Option<Vec<Node>> {
    let mut lowerer = Lowerer::new(context, expansion, problems);
    let body = match &ast.root {
        Branch::Any(branches, _) => lowerer.branches(branches),
        root => lowerer.branch(root, None).into_iter().collect(),
    };
    lowerer.readable(body, ast)
}

/// As [`lower`], of one of the named trees; `None` comes with an error that was told here or where it is used.
pub fn lower_named(
    name: &str,
    context: &LowerContext<'_>,
    expansion: &mut Expansion,
    problems: &mut Problems,
) -> Option<Vec<Node>> {
    let (key, ast) = context.trees.get_key_value(name)?;
    let mut lowerer = Lowerer::new(context, expansion, problems);
    let node = lowerer.named(key, ast, ast.root.span());
    let body = match (&ast.root, node) {
        (Branch::Any(..), Some(Node::Any(branches))) => branches,
        (_, node) => node.into_iter().collect(),
    };
    lowerer.readable(body, ast)
}

impl<'a> Lowerer<'a> {
    fn new(
        context: &'a LowerContext<'_>,
        expansion: &'a mut Expansion,
        problems: &'a mut Problems,
    ) -> Self {
        Self {
            context,
            problems,
            errors: 0,
            expanding: Vec::new(),
            expansion,
            circles: 0,
            nodes: 0,
            open: Depth::default(),
            deepest: Depth::default(),
        }
    }

    /// The body, where there is no error and what is printed of it is read again.
    fn readable(mut self, body: Vec<Node>, ast: &Ast) -> Option<Vec<Node>> {
        if self.errors == 0 && !Nesting::of(&body).is_readable() {
            self.too_deep(ast.root.span());
        }
        (self.errors == 0).then_some(body)
    }

    fn too_deep(&mut self, span: &Span) {
        let message =
            format!("with the trees that it names, it nests deeper than {MAX_DEPTH} levels");
        self.error("too-deep", span, message, String::new());
    }

    fn branches(&mut self, branches: &'a [Branch]) -> Vec<Node> {
        branches
            .iter()
            .filter_map(|branch| self.branch(branch, None))
            .collect()
    }

    /// `line` is the arm or condition whose branch this is: where that is a leaf, it is the rule.
    pub(super) fn branch(&mut self, branch: &'a Branch, line: Option<&Origin>) -> Option<Node> {
        self.expansion.written();
        if !self.has_room(1, branch.span()) {
            return None;
        }
        let before = self.open;
        self.open.levels += 1;
        let node = match self.may_be_here(branch.span()) {
            true => self.branch_here(branch, line),
            false => None,
        };
        self.open = before;
        node
    }

    /// What an `else` leads to: of a chain of them none is deeper than the one before.
    fn otherwise(&mut self, branch: &'a Branch, line: &Origin) -> Option<Node> {
        let before = self.open;
        if matches!(branch, Branch::When { .. }) {
            self.open.elses += 1;
            self.open.levels -= 1;
        }
        let node = self.branch(branch, Some(line));
        self.open = before;
        node
    }

    /// Notes how deep this is; else tells that it is too deep.
    fn may_be_here(&mut self, span: &Span) -> bool {
        if self.open.is_too_deep() {
            self.too_deep(span);
            return false;
        }
        self.deepest = self.deepest.max(self.open);
        true
    }

    /// Counts further branches; whether there may be so many.
    fn has_room(&mut self, branches: usize, span: &Span) -> bool {
        let before = self.nodes;
        self.nodes = before.saturating_add(branches);
        if before <= MAX_NODES && self.nodes > MAX_NODES {
            let message = format!("the tree comes to more than {MAX_NODES} branches");
            self.error("too-large", span, message, String::new());
        }
        self.nodes <= MAX_NODES
    }

    fn branch_here(&mut self, branch: &'a Branch, line: Option<&Origin>) -> Option<Node> {
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
                                Some(Box::new(self.otherwise(branch, &origin)?))
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
        let exact = outbounds.way(&name.text).or_else(builtin);
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
            // Its root stands where its name does.
            self.open.levels -= 1;
            let node = self.named(key, tree, &name.span);
            self.open.levels += 1;
            return node;
        }
        if name.text == "resolve" {
            return Some(Node::Resolve(self.origin(&name.span, name.text.clone())));
        }
        self.errors += 1;
        outbounds.resolve(&name.text, &name.span, self.problems);
        if outbounds.find(&name.text).is_some() {
            return None;
        }
        let words = self.context.trees.keys().map(String::as_str);
        let near = nearest(
            &name.text,
            words.chain(["resolve", "any", "cond", "only", "log", "ask"]),
        );
        if let (Some(near), Some(problem)) = (near, self.problems.last_mut())
            && problem.about != Some(About::Misspelt)
        {
            problem.hint = Some(format!("did you mean `{near}`?"));
        }
        None
    }

    /// The named tree, used at `place`.
    fn named(&mut self, key: &'a str, tree: &'a Ast, place: &'a Span) -> Option<Node> {
        if let Some(at) = self.expanding.iter().position(|(open, _)| *open == key) {
            self.circle(at, place);
            return None;
        }
        match self.expansion.look(key) {
            TreeState::Unknown => self.named_first(key, tree, place),
            TreeState::Bad => {
                self.errors += 1;
                None
            }
            TreeState::Good(size) => {
                let deepest = self.open.plus(size.height);
                if deepest.is_too_deep() {
                    self.too_deep(place);
                    return None;
                }
                if !self.has_room(size.branches, place) {
                    return None;
                }
                self.deepest = self.deepest.max(deepest);
                match self.expansion.repeat(key) {
                    Ok(node) => node,
                    Err(full) => {
                        self.full(&full, place);
                        None
                    }
                }
            }
        }
    }

    fn named_first(&mut self, key: &'a str, tree: &'a Ast, place: &'a Span) -> Option<Node> {
        let (errors, nodes) = (self.errors, self.nodes);
        let (open, deepest) = (self.open, std::mem::replace(&mut self.deepest, self.open));
        self.expanding.push((key, place));
        self.open.names += 1;
        let node = self.branch(&tree.root, None);
        self.open = open;
        self.expanding.pop();
        let size = Size {
            branches: self.nodes - nodes,
            height: self.deepest.above(open),
        };
        self.deepest = self.deepest.max(deepest);
        let Some(node) = node.filter(|_| self.errors == errors) else {
            self.expansion.keep_bad(key);
            return None;
        };
        if let Err(full) = self.expansion.keep(key, &node, size) {
            self.full(&full, place);
            return None;
        }
        Some(node)
    }

    fn full(&mut self, full: &Full, place: &Span) {
        if !full.first {
            self.errors += 1;
            return;
        }
        let message = format!(
            "trees that are named repeat too much: more than {REPEATED} branches, and {REPEATED_A_BRANCH} for each that is written, in all policies together"
        );
        let hint = "each use of a tree repeats all of it: use it at fewer places".to_owned();
        self.error("too-large", place, message, hint);
    }

    /// Tells of a circle at each name that leads on in it: of the open trees those from `at` on, and the name at
    /// `place`, which leads back.
    fn circle(&mut self, at: usize, place: &Span) {
        self.errors += 1;
        self.circles += 1;
        if self.circles > MOST_CIRCLES {
            return;
        }
        let circle = self.expanding.split_off(at);
        for (n, (key, named)) in circle.iter().enumerate() {
            // The first was named from outside, and is named again by the last.
            let span = if n == 0 { place } else { *named };
            let told = |p: &crate::Problem| p.code == "tree-cycle" && p.span == *span;
            if self.problems.0.iter().any(told) {
                continue;
            }
            let (before, from) = circle.split_at(n);
            let names = from.iter().chain(before).map(|(key, _)| *key).chain([*key]);
            let names: Vec<&str> = names.collect();
            let message = format!(
                "the tree `{key}` leads back to itself: {}",
                names.join(" -> ")
            );
            let hint = "a tree may use others, but none that leads to it".to_owned();
            self.error("tree-cycle", span, message, hint);
        }
        self.expanding.extend(circle);
    }
}

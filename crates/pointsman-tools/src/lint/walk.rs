//! A policy laid out in the order in which it is walked: its sites, and what ends a walk before them.
//!
//! Invariant: an [`End`] stands behind the site that it belongs to and before every site that is
//! tried after it, so of a flow that meets all of an earlier end no later site ever learns.

use std::rc::Rc;

use pointsman_policy::condition::{Asks, Condition, ZoneOf};
use pointsman_policy::model::{ArmKey, Node, Origin, OutboundId, Policy, Select, SelectOn};

use super::logic::{Expr, Sight, Test, resolved_by};

/// What must have come out how for a site to be reached, innermost first.
#[derive(Clone, Debug, Default)]
pub(super) struct Path<'p>(Option<Rc<Link<'p>>>);

#[derive(Debug)]
struct Link<'p> {
    expr: Rc<Expr<'p>>,
    holds: bool,
    up: Path<'p>,
}

impl<'p> Path<'p> {
    fn with(&self, expr: &Rc<Expr<'p>>, holds: bool) -> Self {
        Self(Some(Rc::new(Link {
            expr: Rc::clone(expr),
            holds,
            up: self.clone(),
        })))
    }

    /// The conditions, innermost first.
    pub(super) fn links(&self) -> impl Iterator<Item = (&Expr<'p>, bool)> {
        let links = std::iter::successors(self.0.as_deref(), |link| link.up.0.as_deref());
        links.map(|link| (&*link.expr, link.holds))
    }
}

/// What stands at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SiteKind {
    /// Decides for all that come here.
    Leaf,
    /// A message, a request, or a look-up.
    Other,
    /// A condition, and a way out or a branch.
    Rule,
}

/// A place of a policy.
#[derive(Clone, Debug)]
pub(super) struct Site<'p> {
    pub(super) kind: SiteKind,
    pub(super) origin: &'p Origin,
    /// What leads here.
    pub(super) path: Path<'p>,
    /// Its own condition.
    pub(super) own: Option<Rc<Expr<'p>>>,
    /// The way out, where it is one.
    pub(super) outbound: Option<OutboundId>,
    /// The number of the first step behind what is only reached where its condition holds.
    pub(super) behind: usize,
}

/// What ends a walk for all flows that meet it.
#[derive(Clone, Debug)]
pub(super) struct End<'p> {
    pub(super) path: Path<'p>,
    /// With how it must come out.
    pub(super) own: Option<(Rc<Expr<'p>>, bool)>,
    pub(super) origin: &'p Origin,
    pub(super) outbound: Option<OutboundId>,
}

/// One step of the layout.
#[derive(Clone, Debug)]
pub(super) enum Step<'p> {
    End(End<'p>),
    Site(Site<'p>),
    /// Stands behind something that ends every walk; `rest` further steps of the list with it.
    Unreached {
        site: &'p Origin,
        kind: SiteKind,
        after: &'p Origin,
        after_rule: bool,
        rest: usize,
    },
}

/// Lays a policy out.
pub(super) fn lay_out(policy: &Policy) -> Vec<Step<'_>> {
    let mut walk = Walk {
        sight: Sight::new(policy),
        steps: Vec::new(),
    };
    walk.nodes(&policy.body, &Path::default());
    walk.steps
}

struct Walk<'p> {
    sight: Sight<'p>,
    steps: Vec<Step<'p>>,
}

/// What ends every walk that comes to a node.
type Total<'p> = Option<(&'p Origin, bool)>;

impl<'p> Walk<'p> {
    fn nodes(&mut self, nodes: &'p [Node], path: &Path<'p>) -> Total<'p> {
        for (at, node) in nodes.iter().enumerate() {
            let total = self.node(node, path);
            let Some((after, after_rule)) = total else {
                continue;
            };
            if let Some((site, kind)) = nodes.get(at + 1).and_then(first_origin) {
                self.steps.push(Step::Unreached {
                    site,
                    kind,
                    after,
                    after_rule,
                    rest: nodes.len() - at - 2,
                });
            }
            return total;
        }
        None
    }

    /// Lays out a node; what it is that decides all that comes to it.
    fn node(&mut self, node: &'p Node, path: &Path<'p>) -> Total<'p> {
        match node {
            Node::Any(nodes) => self.nodes(nodes, path),
            // A request may let any flow go on.
            Node::Instrument {
                condition, origin, ..
            }
            | Node::Request {
                condition, origin, ..
            } => {
                let own = Rc::new(self.sight.pass(condition));
                let (yes, no) = resolved_by(self.sight.policy, condition);
                let certain = self.sight.certain() || (yes && no);
                self.site(SiteKind::Other, origin, path, Some(own), None);
                self.sight.set_certain(certain);
                None
            }
            Node::Leaf { outbound, origin } => {
                self.site(SiteKind::Leaf, origin, path, None, Some(*outbound));
                self.end(path, None, origin, Some(*outbound));
                Some((origin, false))
            }
            Node::Resolve(origin) => {
                self.site(SiteKind::Other, origin, path, None, None);
                self.sight.resolve();
                None
            }
            Node::Rule(rule) => {
                let own = Rc::new(self.sight.pass(&rule.condition));
                let outbound = Some(rule.outbound);
                let (_, no) = resolved_by(self.sight.policy, &rule.condition);
                let at = self.site(
                    SiteKind::Rule,
                    &rule.origin,
                    path,
                    Some(Rc::clone(&own)),
                    outbound,
                );
                self.end(path, Some((own, true)), &rule.origin, outbound);
                self.close(at);
                self.sight.set_certain(self.sight.certain() || no);
                always(&rule.condition).then_some((&rule.origin, true))
            }
            Node::Select(select) => {
                self.select(select, path);
                None
            }
            Node::Sub {
                condition,
                body,
                origin,
            } => {
                let own = Rc::new(self.sight.pass(condition));
                let (yes, no) = resolved_by(self.sight.policy, condition);
                let before = self.sight.certain();
                let at = self.site(SiteKind::Rule, origin, path, Some(Rc::clone(&own)), None);
                self.sight.set_certain(before || yes);
                self.nodes(body, &path.with(&own, true));
                self.end(path, Some((own, true)), origin, None);
                self.close(at);
                self.sight.set_certain(before || no);
                always(condition).then_some((origin, true))
            }
            Node::When {
                condition,
                then,
                otherwise,
                origin,
            } => self.when(condition, then, otherwise.as_deref(), origin, path),
        }
    }

    fn when(
        &mut self,
        condition: &'p Condition,
        then: &'p Node,
        otherwise: Option<&'p Node>,
        origin: &'p Origin,
        path: &Path<'p>,
    ) -> Total<'p> {
        let own = Rc::new(self.sight.pass(condition));
        let (yes, no) = resolved_by(self.sight.policy, condition);
        let before = self.sight.certain();
        let leaf = match then {
            Node::Leaf { outbound, .. } => Some(*outbound),
            _ => None,
        };
        let at = self.site(SiteKind::Rule, origin, path, Some(Rc::clone(&own)), leaf);
        self.sight.set_certain(before || yes);
        // A way out right behind the condition is the rule itself.
        let decided = match leaf {
            Some(_) => true,
            None => self.node(then, &path.with(&own, true)).is_some(),
        };
        if decided {
            self.end(path, Some((Rc::clone(&own), true)), origin, leaf);
        }
        let after_then = self.sight.certain();
        self.close(at);
        self.sight.set_certain(before || no);
        let refused = otherwise.and_then(|node| self.node(node, &path.with(&own, false)));
        let after_otherwise = self.sight.certain();
        if refused.is_some() {
            self.end(path, Some((own, false)), origin, None);
        }
        self.sight
            .set_certain((decided || after_then) && after_otherwise);
        let sure = always(condition) || (refused.is_some() && comes_out(condition));
        (decided && sure).then_some((origin, true))
    }

    fn select(&mut self, select: &'p Select, path: &Path<'p>) {
        let before = self.sight;
        let mut certain = before.certain();
        for arm in &select.arms {
            let condition = match (&arm.key, select.on) {
                (ArmKey::Protocol(protocol), _) => Condition::Protocol(*protocol),
                (ArmKey::Zone(zone), SelectOn::Zone(of, asks)) => Condition::Zone(of, *zone, asks),
                // A lowerer's fault; such an arm never holds.
                (ArmKey::Zone(_), SelectOn::Protocol) => Condition::Never,
            };
            let atom = self.sight.atom(Test::Key(Rc::new(condition)));
            let own = Rc::new(Expr::Atom(atom));
            if let SelectOn::Zone(ZoneOf::Address, Asks::Resolve) = select.on {
                certain = true;
            }
            self.sight.set_certain(certain);
            let leaf = match &arm.then {
                Node::Leaf { outbound, .. } => Some(*outbound),
                _ => None,
            };
            let at = self.site(
                SiteKind::Rule,
                &arm.origin,
                path,
                Some(Rc::clone(&own)),
                leaf,
            );
            let decided = match leaf {
                Some(_) => true,
                None => self.node(&arm.then, &path.with(&own, true)).is_some(),
            };
            if decided {
                self.end(path, Some((own, true)), &arm.origin, leaf);
            }
            self.close(at);
            self.sight.set_certain(certain);
        }
    }

    fn site(
        &mut self,
        kind: SiteKind,
        origin: &'p Origin,
        path: &Path<'p>,
        own: Option<Rc<Expr<'p>>>,
        outbound: Option<OutboundId>,
    ) -> usize {
        let at = self.steps.len();
        self.steps.push(Step::Site(Site {
            kind,
            origin,
            path: path.clone(),
            own,
            outbound,
            behind: at + 1,
        }));
        at
    }

    fn close(&mut self, at: usize) {
        let end = self.steps.len();
        if let Some(Step::Site(site)) = self.steps.get_mut(at) {
            site.behind = end;
        }
    }

    fn end(
        &mut self,
        path: &Path<'p>,
        own: Option<(Rc<Expr<'p>>, bool)>,
        origin: &'p Origin,
        outbound: Option<OutboundId>,
    ) {
        self.steps.push(Step::End(End {
            path: path.clone(),
            own,
            origin,
            outbound,
        }));
    }
}

/// Whether a condition holds for every flow.
fn always(condition: &Condition) -> bool {
    match condition {
        Condition::Always => true,
        Condition::And(parts) => parts.iter().all(always),
        Condition::Or(parts) => parts.iter().any(always),
        Condition::Not(inner) => never(inner),
        _ => false,
    }
}

fn never(condition: &Condition) -> bool {
    match condition {
        Condition::Never => true,
        Condition::And(parts) => parts.iter().any(never),
        Condition::Or(parts) => parts.iter().all(never),
        Condition::Not(inner) => always(inner),
        _ => false,
    }
}

/// Whether a condition is never unknown.
fn comes_out(condition: &Condition) -> bool {
    match condition {
        Condition::Always | Condition::Never | Condition::Network(_) => true,
        Condition::And(parts) | Condition::Or(parts) => parts.iter().all(comes_out),
        Condition::Not(inner) => comes_out(inner),
        _ => false,
    }
}

/// Where a node begins.
fn first_origin(node: &Node) -> Option<(&Origin, SiteKind)> {
    match node {
        Node::Any(nodes) => nodes.iter().find_map(first_origin),
        Node::Instrument { origin, .. } | Node::Request { origin, .. } | Node::Resolve(origin) => {
            Some((origin, SiteKind::Other))
        }
        Node::Leaf { origin, .. } => Some((origin, SiteKind::Leaf)),
        Node::Rule(rule) => Some((&rule.origin, SiteKind::Rule)),
        Node::Select(select) => Some((&select.origin, SiteKind::Rule)),
        Node::Sub { origin, .. } | Node::When { origin, .. } => Some((origin, SiteKind::Rule)),
    }
}

//! Conditions as the linter reasons about them: what a rule asks, where in the walk it is asked, and
//! the cases in which it holds.
//!
//! Invariant: whatever is left out makes a case wider, never narrower, so that what is proved of it
//! is true of the flows that it stands for.

use std::ops::Deref;
use std::rc::Rc;

use pointsman_policy::Policy;
use pointsman_policy::condition::{AddressOf, Asks, Condition, ZoneOf};
use pointsman_policy::model::SetId;

/// The most cases that disjunctions beside each other come to; what goes beyond is not looked into.
const MOST_PRODUCT: usize = 64;

/// Sets within sets that are looked into.
const DEEPEST: usize = 16;

/// Whether the address of a named destination is seen where a condition is tested.
///
/// Once a walk has a name resolved, all that follows sees the address: of two places the later one
/// sees at least as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum View {
    /// Seen where one of so many steps before asked for it: not at all for 0.
    Since(u32),
    /// Seen.
    Always,
}

/// A condition of the policy, or one that a branch stands for.
#[derive(Clone, Debug)]
pub(super) enum Test<'p> {
    /// `cond domain { zone => ... }`.
    Key(Rc<Condition>),
    /// Of the policy.
    Own(&'p Condition),
}

impl Deref for Test<'_> {
    type Target = Condition;

    fn deref(&self) -> &Condition {
        match self {
            Self::Key(condition) => condition,
            Self::Own(condition) => condition,
        }
    }
}

/// A condition without logic, at its place.
#[derive(Clone, Debug)]
pub(super) struct Atom<'p> {
    /// What is asked.
    pub(super) test: Test<'p>,
    /// What is seen there.
    pub(super) view: View,
    /// Whether what it says may turn as more is seen (a set that holds `NOT` of an address).
    pub(super) turns: bool,
}

/// A condition with each part at its place.
#[derive(Clone, Debug)]
pub(super) enum Expr<'p> {
    And(Vec<Self>),
    Atom(Atom<'p>),
    Not(Box<Self>),
    Or(Vec<Self>),
}

/// An atom that holds, or that does not.
#[derive(Clone, Debug)]
pub(super) struct Literal<'p> {
    pub(super) atom: Atom<'p>,
    pub(super) holds: bool,
}

/// One way for a condition to hold: all of these.
pub(super) type Case<'p> = Vec<Literal<'p>>;

/// Follows a walk: what is seen at each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'p> {
    pub(super) policy: &'p Policy,
    /// Steps so far that may have had a name resolved.
    steps: u32,
    /// Whether one of them had it resolved for certain.
    certain: bool,
}

impl<'p> Sight<'p> {
    /// At the top of a policy.
    pub(super) fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            steps: 0,
            certain: false,
        }
    }

    /// Whether a named destination's address is known for certain.
    pub(super) fn certain(&self) -> bool {
        self.certain
    }

    /// What is known for certain from here on, whatever was in branches that were passed.
    pub(super) fn set_certain(&mut self, certain: bool) {
        self.certain = certain;
    }

    /// A step that has the address of a name resolved.
    pub(super) fn resolve(&mut self) {
        self.steps = self.steps.saturating_add(1);
        self.certain = true;
    }

    /// Passes a condition: its parts at their places. What is certain afterwards depends on how it
    /// came out, see [`resolved_by`].
    pub(super) fn pass(&mut self, condition: &'p Condition) -> Expr<'p> {
        match condition {
            Condition::And(parts) => Expr::And(parts.iter().map(|part| self.pass(part)).collect()),
            Condition::Or(parts) => Expr::Or(parts.iter().map(|part| self.pass(part)).collect()),
            Condition::Not(inner) => Expr::Not(Box::new(self.pass(inner))),
            _ => Expr::Atom(self.atom(Test::Own(condition))),
        }
    }

    /// Passes one test.
    pub(super) fn atom(&mut self, test: Test<'p>) -> Atom<'p> {
        let (asks, turns) = match &*test {
            Condition::Set(id, asks) => {
                let turns = turns(self.policy, *id, 0);
                // The order of a set's entries says when its address is asked for.
                (*asks, turns)
            }
            other => (asks(other), false),
        };
        let seen = self.certain || (asks == Asks::Resolve && !turns);
        let view = if seen {
            View::Always
        } else {
            View::Since(self.steps)
        };
        if asks == Asks::Resolve {
            self.steps = self.steps.saturating_add(1);
        }
        Atom { test, view, turns }
    }
}

/// Whether a test has the address of a name resolved.
fn asks(condition: &Condition) -> Asks {
    match condition {
        Condition::Address {
            of: AddressOf::Destination | AddressOf::Either,
            asks,
            ..
        }
        | Condition::Asn(_, asks)
        | Condition::Country(_, asks)
        | Condition::Set(_, asks)
        | Condition::Zone(ZoneOf::Address, _, asks) => *asks,
        _ => Asks::Never,
    }
}

/// Whether a set holds entries on addresses besides plain prefixes.
fn turns(policy: &Policy, id: SetId, depth: usize) -> bool {
    let Some(set) = policy.sets.get(id.0 as usize) else {
        return false;
    };
    depth > DEEPEST
        || set
            .others()
            .iter()
            .any(|other| on_addresses(policy, &other.condition, depth + 1))
}

/// Whether a condition is about addresses of destinations.
pub(super) fn on_addresses(policy: &Policy, condition: &Condition, depth: usize) -> bool {
    condition.any_test(&mut |test| match test {
        Condition::Address { of, .. } => matches!(of, AddressOf::Destination | AddressOf::Either),
        Condition::Asn(..) | Condition::Country(..) | Condition::Zone(ZoneOf::Address, ..) => true,
        Condition::Set(id, _) => {
            depth > DEEPEST
                || policy.sets.get(id.0 as usize).is_some_and(|set| {
                    set.has_prefixes()
                        || set
                            .others()
                            .iter()
                            .any(|other| on_addresses(policy, &other.condition, depth + 1))
                })
        }
        _ => false,
    })
}

/// Whether a condition, where it holds and where it does not (unknown counts as not), had the
/// address of a name resolved for certain.
pub(super) fn resolved_by(policy: &Policy, condition: &Condition) -> (bool, bool) {
    match condition {
        Condition::And(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| resolved_by(policy, part)).collect();
            let first = parts.first().is_some_and(|(yes, no)| *yes && *no);
            (parts.iter().any(|(yes, _)| *yes), first)
        }
        Condition::Or(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| resolved_by(policy, part)).collect();
            let first = parts.first().is_some_and(|(yes, no)| *yes && *no);
            (first, parts.iter().any(|(_, no)| *no))
        }
        Condition::Not(inner) => {
            let (yes, no) = resolved_by(policy, inner);
            (no, yes && no)
        }
        Condition::Set(id, Asks::Resolve) => {
            let set = policy.sets.get(id.0 as usize);
            let prefixes = set.is_some_and(|set| set.has_prefixes());
            let names = set.is_some_and(|set| set.has_names());
            let excepts = set.is_some_and(|set| set.has_exceptions());
            (prefixes && !names, prefixes && !excepts)
        }
        // A client that fits is not asked for where it goes.
        Condition::Address {
            of: AddressOf::Either,
            asks: Asks::Resolve,
            ..
        } => (false, true),
        Condition::Set(_, Asks::Never) => (false, false),
        other => {
            let asks = asks(other) == Asks::Resolve;
            (asks, asks)
        }
    }
}

/// What becomes of cases that are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// A conjunction leaves out what is too much: its cases are wider then.
    Widen,
    /// There are none then.
    GiveUp,
}

/// The cases in which an expression comes out as `wanted`; `None` where they are too many to tell.
pub(super) fn cases<'p>(
    expr: &Expr<'p>,
    wanted: bool,
    most: usize,
    excess: Excess,
) -> Option<Vec<Case<'p>>> {
    match (expr, wanted) {
        (Expr::Atom(atom), holds) => {
            let atom = atom.clone();
            Some(match (&*atom.test, holds) {
                (Condition::Always, true) | (Condition::Never, false) => vec![Vec::new()],
                (Condition::Always, false) | (Condition::Never, true) => Vec::new(),
                _ => vec![vec![Literal { atom, holds }]],
            })
        }
        (Expr::Not(inner), wanted) => cases(inner, !wanted, most, excess),
        (Expr::And(parts), true) | (Expr::Or(parts), false) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                let own = cases(part, wanted, most, excess);
                let joined = own.and_then(|own| both(&all, &own, most));
                match (joined, excess) {
                    (Some(joined), _) => all = joined,
                    (None, Excess::Widen) => {}
                    (None, Excess::GiveUp) => return None,
                }
            }
            Some(all)
        }
        (Expr::Or(parts), true) | (Expr::And(parts), false) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(cases(part, wanted, most, excess)?);
                if all.len() > most {
                    return None;
                }
            }
            Some(all)
        }
    }
}

/// The cases in which both hold; `None` where that is too many.
pub(super) fn both<'p>(all: &[Case<'p>], more: &[Case<'p>], most: usize) -> Option<Vec<Case<'p>>> {
    let (few, many) = (all.len().min(more.len()), all.len().max(more.len()));
    let product = few.saturating_mul(many);
    // A single case beside many makes no more of them.
    if product > most || (few > 1 && product > MOST_PRODUCT) {
        return None;
    }
    let mut cases = Vec::with_capacity(product);
    for case in all {
        for other in more {
            let mut case = case.clone();
            case.extend(other.iter().cloned());
            cases.push(case);
        }
    }
    Some(cases)
}

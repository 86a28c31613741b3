//! Names that are looked up here although a proxy is to take them, and refusals that a broken look-up
//! lets pass.

use pointsman_policy::condition::{AddressOf, Asks, Condition, ZoneOf};
use pointsman_policy::model::{Origin, OutboundKind};
use pointsman_policy::{Action, Need, OutboundId, Policy};

use super::carried::ways_out;
use super::entail::clash;
use super::logic::{Atom, Case, Excess, Expr, Literal, both, cases};
use super::tell::Finding;
use super::walk::{Path, Site, SiteKind, Step};
use pointsman_config::problem::Severity;

/// The most ways in which one rule may hold that are gone through.
const MOST: usize = 200;

/// The most rules behind one that asks that are looked at.
const MOST_BEHIND: usize = 10_000;

/// Tells, once a policy, of the first rule that has names looked up that a later one sends by a proxy.
pub(super) fn look<'p>(policy: &'p Policy, steps: &[Step<'p>], found: &mut Vec<Finding>) {
    let sites = steps.iter().filter_map(|step| match step {
        Step::Site(site) => Some(site),
        Step::End(_) | Step::Unreached { .. } => None,
    });
    let sites: Vec<&Site<'_>> = sites.collect();
    let askers = sites.iter().enumerate().filter_map(|(at, site)| {
        let asked = asked_in(policy, site)?;
        Some((at, *site, asked))
    });
    for (at, asker, asked) in askers.take(16) {
        let behind = sites[at + 1..].iter().take(MOST_BEHIND);
        let taker = behind
            .filter(|site| {
                site.outbound
                    .is_some_and(|outbound| is_proxy(policy, outbound))
            })
            .find(|site| takes_names(policy, site, &asked));
        if let Some(taker) = taker {
            found.push(leak(asker, taker));
            return;
        }
    }
}

fn leak(asker: &Site<'_>, taker: &Site<'_>) -> Finding {
    let (rule, later) = (
        super::clipped(&asker.origin.text),
        super::clipped(&taker.origin.text),
    );
    let by_name = match taker.own.as_deref() {
        None => taker.path.links().next().is_none(),
        Some(own) => any_atom(own, &|atom| is_on_names(atom)),
    };
    let said_so = asker.own.is_none();
    let severity = match by_name && !said_so {
        true => Severity::Warning,
        false => Severity::Note,
    };
    let hint = match said_so {
        true => "move it behind the rules that lead to proxies",
        false => {
            "put it behind the rules that lead to proxies, or let it not ask for addresses (`no-resolve`)"
        }
    };
    Finding {
        code: "local-lookup",
        severity,
        origin: asker.origin.clone(),
        message: format!(
            "`{rule}` has names looked up by this host, also those that `{later}` ({}:{}) then sends by a proxy: \
             those who see the look-ups learn these names",
            taker.origin.file, taker.origin.line
        ),
        hint: hint.to_owned(),
        related: Some((taker.origin.clone(), "this rule leads to a proxy".into())),
    }
}

/// The cases in which a site has the address of a name looked up; `None` where it does not.
fn asked_in<'p>(policy: &Policy, site: &Site<'p>) -> Option<Vec<Case<'p>>> {
    let around = around(&site.path);
    let Some(own) = site.own.as_deref() else {
        // `.LOCAL-RESOLVE`, or a way out.
        return (site.kind == SiteKind::Other).then_some(around);
    };
    if !any_atom(own, &|atom| asks(policy, atom)) {
        return None;
    }
    let Expr::And(parts) = own else {
        return Some(around);
    };
    // What stands before in a conjunction must hold first.
    let mut all = around;
    for part in parts {
        if any_atom(part, &|atom| asks(policy, atom)) {
            break;
        }
        let own = cases(part, true, MOST, Excess::Widen);
        if let Some(joined) = own.and_then(|own| both(&all, &own, MOST)) {
            all = joined;
        }
    }
    Some(all)
}

fn around<'p>(path: &Path<'p>) -> Vec<Case<'p>> {
    let mut all = vec![Vec::new()];
    for (expr, holds) in path.links() {
        let own = cases(expr, holds, MOST, Excess::Widen);
        if let Some(joined) = own.and_then(|own| both(&all, &own, MOST)) {
            all = joined;
        }
    }
    all
}

/// Whether a rule may take a destination given by name, of those that were asked for, by something
/// else than the address.
fn takes_names<'p>(policy: &Policy, site: &Site<'p>, asked: &[Case<'p>]) -> bool {
    let own = match site.own.as_deref() {
        None => vec![Vec::new()],
        Some(own) => match cases(own, true, MOST, Excess::Widen) {
            Some(cases) => cases,
            None => return true,
        },
    };
    let around = around(&site.path);
    let Some(all) = both(&around, &own, MOST) else {
        return true;
    };
    all.iter().any(|case| {
        let by_address = case
            .iter()
            .any(|literal| literal.holds && needs_address(policy, literal));
        !by_address && asked.iter().any(|other| meet(policy, case, other))
    })
}

fn meet(policy: &Policy, a: &Case<'_>, b: &Case<'_>) -> bool {
    let held = |case: &'_ Case<'_>| -> Vec<usize> {
        let held = case.iter().enumerate().filter(|(_, literal)| literal.holds);
        held.map(|(at, _)| at).take(32).collect()
    };
    let (of_a, of_b) = (held(a), held(b));
    !of_a.iter().any(|a_at| {
        of_b.iter()
            .any(|b_at| clash(policy, &a[*a_at].atom, &b[*b_at].atom))
    })
}

fn needs_address(policy: &Policy, literal: &Literal<'_>) -> bool {
    match &*literal.atom.test {
        Condition::Address {
            of: AddressOf::Destination,
            ..
        }
        | Condition::Asn(..)
        | Condition::Country(..)
        | Condition::Zone(ZoneOf::Address, ..) => true,
        Condition::AddressKind(kind) => *kind != pointsman_policy::condition::AddressKind::Domain,
        Condition::Set(id, _) => policy
            .sets
            .get(id.0 as usize)
            .is_some_and(|set| set.has_prefixes() && !set.has_names() && set.others().is_empty()),
        _ => false,
    }
}

fn asks(policy: &Policy, atom: &Atom<'_>) -> bool {
    match &*atom.test {
        Condition::Address {
            of: AddressOf::Destination | AddressOf::Either,
            asks,
            ..
        }
        | Condition::Asn(_, asks)
        | Condition::Country(_, asks)
        | Condition::Zone(ZoneOf::Address, _, asks) => *asks == Asks::Resolve,
        Condition::Set(id, Asks::Resolve) => policy
            .sets
            .get(id.0 as usize)
            .is_some_and(|set| set.has_prefixes()),
        _ => false,
    }
}

fn is_on_names(atom: &Atom<'_>) -> bool {
    matches!(
        &*atom.test,
        Condition::Domain(_) | Condition::Set(..) | Condition::Zone(ZoneOf::Domain, ..)
    )
}

fn any_atom<'p>(expr: &Expr<'p>, test: &dyn Fn(&Atom<'p>) -> bool) -> bool {
    match expr {
        Expr::Atom(atom) => test(atom),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().any(|part| any_atom(part, test)),
        Expr::Not(inner) => any_atom(inner, test),
    }
}

/// Whether flows leave by another host: of a group, by its first way out.
fn is_proxy(policy: &Policy, outbound: OutboundId) -> bool {
    let mut ways = Vec::new();
    ways_out(policy, outbound, 0, &mut ways);
    let first = ways.first().map(|way| &policy.outbound(*way).kind);
    matches!(first, Some(OutboundKind::Plain(Action::Proxy)))
}

// === what fails open ===

/// Tells, once a policy, of the first refusal by something that may not be found out.
pub(super) fn fails_open<'p>(policy: &'p Policy, steps: &[Step<'p>], found: &mut Vec<Finding>) {
    use pointsman_policy::model::OnUnknown;
    if policy.on_unknown != OnUnknown::Skip {
        return;
    }
    let mut refusing: Option<(&Origin, &'static str)> = None;
    let mut count = 0;
    let mut goes_on = None;
    for step in steps {
        let Step::Site(site) = step else { continue };
        let Some(outbound) = site.outbound else {
            continue;
        };
        let refuses = matches!(
            policy.outbound(outbound).kind,
            OutboundKind::Plain(Action::Blackhole | Action::Reject | Action::Reset)
        );
        match (site.kind, refuses) {
            (SiteKind::Rule, true) => {
                if let Some(fact) = site.own.as_deref().and_then(fallible) {
                    refusing = refusing.or(Some((site.origin, fact)));
                    count += 1;
                }
            }
            (SiteKind::Leaf, false) if site.path.links().next().is_none() => {
                goes_on = Some(site.origin);
            }
            _ => {}
        }
    }
    if let (Some((origin, fact)), Some(last)) = (refusing, goes_on) {
        let rule = super::clipped(&origin.text);
        let others = match count {
            1 => String::new(),
            2 => " (and so is 1 other rule that refuses)".to_owned(),
            more => format!(" (and so are {} other rules that refuse)", more - 1),
        };
        found.push(Finding {
            code: "fails-open",
            severity: Severity::Note,
            origin: origin.clone(),
            message: format!(
                "`{rule}` refuses by {fact}. Where {fact} of a flow cannot be found out, the rule is \
                 skipped{others}, and the flow may be let out by `{}`",
                super::clipped(&last.text)
            ),
            hint: "`on_unknown: reject` (or `--on-unknown reject`) refuses such flows".into(),
            related: None,
        });
    }
}

/// The fact that a condition cannot hold without and that may fail to be found.
fn fallible(expr: &Expr<'_>) -> Option<&'static str> {
    match expr {
        Expr::Atom(atom) => match &*atom.test {
            Condition::Country(..) => Some("the country"),
            Condition::Asn(..) => Some("the network"),
            Condition::Text(field, _) if field.need() == Some(Need::Owner) => Some("the process"),
            Condition::Number(field, _) if field.need() == Some(Need::Owner) => Some("the process"),
            _ => None,
        },
        Expr::And(parts) => parts.iter().find_map(fallible),
        Expr::Or(parts) => {
            let first = parts.first().and_then(fallible);
            first.filter(|_| parts.iter().all(|part| fallible(part).is_some()))
        }
        Expr::Not(inner) => fallible(inner),
    }
}

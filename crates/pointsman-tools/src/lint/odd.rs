//! Tells of parts of rules that no flow meets, also where another part keeps the rule alive.

use super::logic::Expr;
use super::tell::Finding;
use super::walk::Step;
use pointsman_config::odd::{Odd, condition, host_bits};

/// Tells of the rules of a policy.
pub(super) fn look(steps: &[Step<'_>], found: &mut Vec<Finding>) {
    for step in steps {
        let Step::Site(site) = step else { continue };
        let unmet = site.own.as_deref().and_then(unmet);
        let bits = host_bits(&site.origin.text);
        for odd in unmet.into_iter().chain(bits) {
            found.push(Finding {
                code: odd.code,
                severity: odd.severity,
                origin: site.origin.clone(),
                message: odd.said_of(&super::clipped(&site.origin.text)),
                hint: odd.hint,
                related: None,
            });
        }
    }
}

fn unmet(expr: &Expr<'_>) -> Option<Odd> {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().find_map(unmet),
        Expr::Not(inner) => unmet(inner),
        Expr::Atom(atom) => condition(&atom.test),
    }
}

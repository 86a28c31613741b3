//! Ways out that cannot carry what a rule sends them: UDP.

use pointsman_policy::fact::Network;
use pointsman_policy::model::OutboundKind;
use pointsman_policy::{OutboundId, Policy};

use super::logic::{Case, Excess, cases};
use super::tell::Finding;
use super::walk::{Site, SiteKind, Step};
use pointsman_config::carried::CarriesNone;
use pointsman_config::problem::Severity;

/// The most ways in which one rule may hold that are gone through.
const MOST: usize = 1_000;

/// Rules on UDP alone that lead to what carries none.
pub(super) fn look<'p>(policy: &'p Policy, steps: &[Step<'p>], found: &mut Vec<Finding>) {
    for step in steps {
        let Step::Site(site) = step else { continue };
        let Some(outbound) = site.outbound.filter(|_| site.kind == SiteKind::Rule) else {
            continue;
        };
        let Some(CarriesNone { what, key }) = CarriesNone::of(&policy.outbounds, outbound) else {
            continue;
        };
        if on_udp(site) {
            let rule = super::clipped(&site.origin.text);
            found.push(Finding {
                code: "udp-not-carried",
                severity: Severity::Warning,
                origin: site.origin.clone(),
                message: format!("`{rule}` is on UDP, and {what}: its flows are rejected"),
                hint: match key {
                    Some(key) => format!("{key}; else refuse them outright"),
                    None => {
                        "send them to an outbound that carries UDP, or refuse them outright".into()
                    }
                },
                related: None,
            });
        }
    }
}

/// Whether all that a rule matches is UDP.
fn on_udp(site: &Site<'_>) -> bool {
    let Some(own) = site
        .own
        .as_deref()
        .and_then(|own| cases(own, true, MOST, Excess::Widen))
    else {
        return false;
    };
    let around = site.path.links().any(|(expr, holds)| {
        let all = cases(expr, holds, MOST, Excess::Widen);
        all.is_some_and(|all| !all.is_empty() && all.iter().all(names_udp))
    });
    !own.is_empty() && (around || own.iter().all(names_udp))
}

fn names_udp(case: &Case<'_>) -> bool {
    case.iter()
        .any(|literal| literal.holds && literal.atom.test.network() == Some(Network::Udp))
}

/// The ways out behind a group; groups within each other are followed a bounded way.
pub(super) fn ways_out(
    policy: &Policy,
    outbound: OutboundId,
    depth: usize,
    ways: &mut Vec<OutboundId>,
) {
    match &policy.outbound(outbound).kind {
        OutboundKind::Group(members) if depth < 16 && ways.len() < 10_000 => {
            for member in members {
                ways_out(policy, *member, depth + 1, ways);
            }
        }
        OutboundKind::Group(_) => {}
        OutboundKind::Plain(_) => ways.push(outbound),
    }
}

//! Ways out that cannot carry what a rule sends them: UDP.

use pointsman_policy::fact::Network;
use pointsman_policy::model::OutboundKind;
use pointsman_policy::model::udp::{NOT_SAID, NoUdp, never_udp};
use pointsman_policy::{OutboundId, Policy};

use super::logic::{Case, Excess, cases};
use super::tell::Finding;
use super::walk::{Kind, Site, Step};
use pointsman_config::problem::Severity;

/// The most ways in which one rule may hold that are gone through.
const MOST: usize = 1_000;

/// Rules on UDP alone that lead to what carries none.
pub(super) fn look<'p>(policy: &'p Policy, steps: &[Step<'p>], found: &mut Vec<Finding>) {
    for step in steps {
        let Step::Site(site) = step else { continue };
        let Some(outbound) = site.outbound.filter(|_| site.kind == Kind::Rule) else {
            continue;
        };
        let Some(why) = carries_none(policy, outbound) else {
            continue;
        };
        if on_udp(site) {
            let rule = super::clipped(&site.origin.text);
            found.push(Finding {
                code: "udp-not-carried",
                severity: Severity::Warning,
                origin: site.origin.clone(),
                message: format!("`{rule}` is on UDP, and {why}: its flows are rejected"),
                hint: hint(policy, outbound),
                related: None,
            });
        }
    }
}

/// What to do: a proxy that may well carry UDP needs a key.
fn hint(policy: &Policy, outbound: OutboundId) -> String {
    let end = never_udp(&policy.outbounds, outbound);
    match end.filter(|end| end.why == NOT_SAID) {
        Some(NoUdp { outbound: at, .. }) => {
            let name = &policy.outbound(at).name;
            format!(
                "add `udp: true` to `{name}` if its server carries UDP; else refuse them outright"
            )
        }
        None => "send them to an outbound that carries UDP, or refuse them outright".into(),
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

/// Why no UDP leaves by this outbound, whichever members of groups are selected.
fn carries_none(policy: &Policy, outbound: OutboundId) -> Option<String> {
    let NoUdp { outbound: at, why } = never_udp(&policy.outbounds, outbound)?;
    let named = &policy.outbound(outbound).name;
    Some(match &policy.outbound(outbound).kind {
        OutboundKind::Group(_) => format!("no member of `{named}` carries any"),
        OutboundKind::Plain(_) if at == outbound => format!("`{named}` carries none ({why})"),
        OutboundKind::Plain(_) => {
            let hop = &policy.outbound(at).name;
            format!("`{named}` carries none, because its hop `{hop}` does not ({why})")
        }
    })
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

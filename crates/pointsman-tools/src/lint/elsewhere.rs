//! Programs of other hosts, which nobody can know, clients that cannot come in, and inbounds whose flows no rule
//! takes.

use pointsman_policy::condition::{AddressOf, Condition};
use pointsman_policy::model::Origin;
use pointsman_policy::{Need, Policy, Prefix};

use super::given::Given;
use super::logic::{Atom, Case, Excess, both, cases};
use super::members::Members;
use super::reach::reach;
use super::tell::Finding;
use super::walk::{Site, SiteKind, Step};
use pointsman_config::problem::{Problems, Severity};
use pointsman_config::setup::Inbound;

/// The most ways in which one rule may hold that are gone through.
const MOST: usize = 200;

/// Tells of rules on programs and clients that none of their inbounds gets to see; `others` are those that are
/// rules for other inbounds altogether.
pub(super) fn look<'p>(
    steps: &[Step<'p>],
    given: &Given<'_>,
    found: &mut Vec<Finding>,
    others: &mut Vec<Origin>,
) {
    for step in steps {
        let Step::Site(site) = step else { continue };
        let Some(all) = ways(site) else { continue };
        if all.iter().all(|case| given.of(case).next().is_none()) {
            others.push(site.origin.clone());
            continue;
        }
        let every = |test: &dyn Fn(&Case<'_>, &Inbound) -> bool| {
            let mut all = all.iter();
            all.all(|case| given.of(case).all(|inbound| test(case, inbound)))
        };
        let rule = super::clipped(&site.origin.text);
        let listen = given.shown();
        let told = if every(&|case, inbound| held(case, &is_program) && for_others(inbound)) {
            Some((
                "program-elsewhere",
                format!(
                    "`{rule}` asks for a program, and its inbounds ({listen}) listen for other hosts, \
                     whose programs cannot be found out"
                ),
                "ask for the client's address or the inbound, or let an inbound listen on loopback, too",
            ))
        } else if every(&|case, inbound| {
            held(case, &is_other_client) && inbound.listen.ip().is_loopback()
        }) {
            Some((
                "client-elsewhere",
                format!(
                    "`{rule}` asks for clients of other hosts, and its inbounds ({listen}) listen on loopback, \
                     where none comes in"
                ),
                "let an inbound listen where those clients are, or remove it",
            ))
        } else {
            None
        };
        found.extend(told.map(|(code, message, hint)| Finding {
            code,
            severity: Severity::Warning,
            origin: site.origin.clone(),
            message,
            hint: hint.to_owned(),
            related: None,
        }));
    }
}

/// The ways in which a rule may hold, with what leads to it.
fn ways<'p>(site: &Site<'p>) -> Option<Vec<Case<'p>>> {
    let own = site
        .own
        .as_deref()
        .filter(|_| site.kind == SiteKind::Rule)?;
    let mut all = cases(own, true, MOST, Excess::Widen).filter(|all| !all.is_empty())?;
    for (expr, holds) in site.path.links() {
        let around = cases(expr, holds, MOST, Excess::Widen);
        if let Some(joined) = around.and_then(|around| both(&all, &around, MOST)) {
            all = joined;
        }
    }
    Some(all)
}

fn held(case: &Case<'_>, test: &dyn Fn(&Atom<'_>) -> bool) -> bool {
    case.iter()
        .any(|literal| literal.holds && test(&literal.atom))
}

fn is_program(atom: &Atom<'_>) -> bool {
    let need = match &*atom.test {
        Condition::Text(field, _) => field.need(),
        Condition::Number(field, _) => field.need(),
        _ => None,
    };
    need == Some(Need::Owner)
}

/// Whether clients of this host are no such clients: of loopback they come from loopback.
fn is_other_client(atom: &Atom<'_>) -> bool {
    match &*atom.test {
        Condition::Address {
            of: AddressOf::Source,
            prefix,
            ..
        } => !meets_loopback(prefix),
        _ => false,
    }
}

fn meets_loopback(prefix: &Prefix) -> bool {
    let loopback = match prefix.address() {
        std::net::IpAddr::V4(_) => Prefix::new(std::net::Ipv4Addr::LOCALHOST.into(), 8),
        std::net::IpAddr::V6(_) => Prefix::new(std::net::Ipv6Addr::LOCALHOST.into(), 128),
    };
    prefix.contains(loopback.address()) || loopback.contains(prefix.address())
}

/// Whether whoever uses an inbound is on another host: its address is one that others reach, and that alone.
fn for_others(inbound: &Inbound) -> bool {
    let address = inbound.listen.ip();
    !address.is_loopback() && !address.is_unspecified()
}

/// Tells of inbounds of which no flow is decided: of policies without a last word.
pub(super) fn unserved(
    policy: &Policy,
    steps: &[Step<'_>],
    given: &Given<'_>,
    members: &Members<'_>,
    problems: &mut Problems,
) {
    // Who may come in is no rule of the policy.
    let is_allow = |origin: &Origin| {
        let mut inbounds = given.inbounds.iter();
        inbounds.any(|inbound| inbound.allow.as_ref() == Some(origin))
    };
    let last_word = steps.iter().any(|step| match step {
        Step::End(end) => end.own.is_none() && end.path.links().next().is_none(),
        _ => false,
    });
    if last_word {
        return;
    }
    for inbound in &given.inbounds {
        let reached = reach(policy, Some(&Given::only(inbound)), Some(members));
        let dead = |origin: &Origin| {
            let mut same = reached
                .sites
                .iter()
                .filter(|(site, _)| std::ptr::eq(*site, origin));
            same.all(|(_, dead)| dead.is_some())
        };
        let mut ways_out = steps.iter().filter_map(|step| match step {
            Step::Site(site) if is_allow(site.origin) => None,
            Step::Site(site) => site.outbound.map(|_| site.origin),
            Step::End(_) | Step::Unreached { .. } => None,
        });
        if ways_out.all(dead) {
            let message = format!(
                "no rule of its policy takes a flow of `{}`: all of them are reset",
                inbound.name
            );
            problems
                .warning("inbound-unserved", &inbound.span, message)
                .hint = Some("add a rule that takes them, or a last one that takes all".to_owned());
        }
    }
}

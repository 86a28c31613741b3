//! Rules that can never match: taken before, contradicting themselves, empty, or about what no
//! inbound here gives.
//!
//! Law: a rule that is told of here never holds where a walk comes to it, whatever the flow.

use std::cell::Cell;
use std::collections::HashSet;

use pointsman_policy::condition::{AnswerTest, Condition};
use pointsman_policy::model::{Origin, OutboundId, SetId};
use pointsman_policy::zone::ZoneId;
use pointsman_policy::{Policy, condition::ZoneOf};

use super::ends::Ends;
use super::entail::{clash, entails};
use super::given::Given;
use super::logic::{Case, Excess, Literal, both, cases};
use super::members::Members;
use super::search::{Apart, MOST_HALVES, MOST_OWN, Reasons, Search, Takers, Why};
use super::walk::{End, Path, Site, SiteKind, Step, lay_out};

/// The most tests of one case that are compared with each other.
const MOST_PAIRS: usize = 48;

/// A rule that never matches.
#[derive(Debug)]
pub(super) struct Dead<'p> {
    pub(super) origin: &'p Origin,
    /// `None` where what stands around it never matches, which is told there.
    pub(super) why: Option<Why<'p>>,
    /// Where it would lead.
    pub(super) outbound: Option<OutboundId>,
    /// Whether it may match once fetched lists hold something else.
    pub(super) hangs: bool,
}

/// The sites of a policy, those that never match with the reason.
pub(super) struct Reached<'p> {
    /// All sites that were looked at.
    pub(super) sites: Vec<(&'p Origin, Option<Dead<'p>>)>,
}

/// Looks at every site of a policy.
pub(super) fn reach<'p>(
    policy: &'p Policy,
    given: Option<&Given<'_>>,
    members: Option<&Members<'_>>,
) -> Reached<'p> {
    let steps = lay_out(policy);
    let mut search = Search {
        policy,
        given,
        members,
        ends: Ends::new(policy),
        halvings: Cell::new(MOST_HALVES),
        empty_zones: [
            empty_zones(policy, ZoneOf::Domain),
            empty_zones(policy, ZoneOf::Address),
        ],
    };
    let mut sites = Vec::new();
    let mut quiet_until = 0;
    for (at, step) in steps.iter().enumerate() {
        let quiet = at < quiet_until;
        match step {
            Step::End(end) if !quiet => search.end(end),
            Step::End(_) => {}
            Step::Site(site) => {
                let why = match quiet {
                    true => Some(None),
                    false => search.site(site).map(Some),
                };
                if why.is_some() {
                    quiet_until = quiet_until.max(site.behind);
                }
                let dead = why.map(|why| Dead {
                    origin: site.origin,
                    why,
                    outbound: site.outbound,
                    hangs: false,
                });
                sites.push((site.origin, dead));
            }
            Step::Unreached {
                site,
                kind,
                after,
                after_rule,
                rest,
            } => {
                // A list must end with its fallback, whatever stands before.
                let needed = *kind == SiteKind::Leaf && *after_rule && *rest == 0;
                let why = Why::Behind(after, *rest);
                let dead = Dead {
                    origin: site,
                    why: (!quiet && !needed).then_some(why),
                    outbound: None,
                    hangs: false,
                };
                sites.push((site, Some(dead)));
            }
        }
    }
    Reached { sites }
}

impl<'p> Search<'p, '_> {
    fn end(&mut self, end: &End<'p>) {
        let exact = Excess::GiveUp;
        let Some(around) = around(&end.path, exact) else {
            return;
        };
        let all = match &end.own {
            None => Some(around),
            Some((own, holds)) => {
                let own = cases(own, *holds, MOST_OWN, exact);
                own.and_then(|own| both(&around, &own, MOST_OWN))
            }
        };
        for case in all.unwrap_or_default() {
            self.ends.add(case, end.origin, end.outbound);
        }
    }

    /// Why a site is never reached with its condition holding.
    fn site(&self, site: &Site<'p>) -> Option<Why<'p>> {
        if site.kind != SiteKind::Rule {
            return None;
        }
        let own = cases(site.own.as_deref()?, true, MOST_OWN, Excess::Widen)?;
        let around = around(&site.path, Excess::Widen).unwrap_or_else(|| vec![Vec::new()]);
        let all = both(&around, &own, MOST_OWN).unwrap_or(own);
        let mut reasons = Reasons::default();
        for case in &all {
            reasons.add(self.case(case, Apart::ALL)?);
        }
        Some(reasons.why())
    }

    /// Why no flow of a case comes so far and meets it.
    pub(super) fn case(&self, case: &Case<'p>, ways: Apart) -> Option<Why<'p>> {
        let held = || case.iter().filter(|literal| literal.holds);
        if let Some(name) = held().find_map(|literal| self.empty(literal)) {
            return Some(Why::Empty(name));
        }
        if let Some(message) = self.contradiction(case) {
            return Some(Why::Impossible(message));
        }
        if let Some(given) = self.given
            && let Some(message) = given.never(case)
        {
            return Some(Why::Given(message));
        }
        match self.ends.taking(case) {
            Some(found) => Some(Why::Taken(Takers::one(found.origin, found.outbound))),
            None => self.by_parts(case, ways),
        }
    }

    fn empty(&self, literal: &Literal<'p>) -> Option<String> {
        match &*literal.atom.test {
            Condition::Set(id, _) | Condition::Answer(AnswerTest::AliasIn(id)) => {
                empty_set(self.policy, *id)
            }
            Condition::Zone(of, zone, _) => {
                let zones = &self.policy.zones;
                let (empty, names) = match of {
                    ZoneOf::Domain => (&self.empty_zones[0], zones.domain_names()),
                    ZoneOf::Address => (&self.empty_zones[1], zones.address_names()),
                };
                let name = names.get(zone.0 as usize)?;
                empty
                    .contains(zone)
                    .then(|| format!("the zone `{name}` is empty"))
            }
            _ => None,
        }
    }

    fn contradiction(&self, case: &Case<'p>) -> Option<String> {
        let literals = &case[..case.len().min(MOST_PAIRS)];
        for (at, a) in literals.iter().enumerate() {
            for b in &literals[..at] {
                let apart = match (a.holds, b.holds) {
                    (true, true) => clash(self.policy, &a.atom, &b.atom),
                    (true, false) => entails(self.policy, &a.atom, &b.atom),
                    (false, true) => entails(self.policy, &b.atom, &a.atom),
                    (false, false) => false,
                };
                if apart {
                    let shown = |literal: &Literal<'_>| {
                        let text = super::shown(self.policy, &literal.atom.test);
                        match literal.holds {
                            true => format!("`{text}`"),
                            false => format!("`NOT, [{text}]`"),
                        }
                    };
                    return Some(format!("no flow is both {} and {}", shown(b), shown(a)));
                }
            }
        }
        None
    }
}

/// The ways to come to a place.
fn around<'p>(path: &Path<'p>, excess: Excess) -> Option<Vec<Case<'p>>> {
    let mut all = vec![Vec::new()];
    for (expr, holds) in path.links() {
        let own = cases(expr, holds, MOST_OWN, excess);
        match (own.and_then(|own| both(&all, &own, MOST_OWN)), excess) {
            (Some(joined), _) => all = joined,
            (None, Excess::Widen) => {}
            (None, Excess::GiveUp) => return None,
        }
    }
    Some(all)
}

/// What an empty set is called; `None` where it holds entries, or where it was never read.
fn empty_set(policy: &Policy, id: SetId) -> Option<String> {
    let set = policy.sets.get(id.0 as usize)?;
    let read = !set.file.is_empty();
    (read && set.is_empty()).then(|| format!("the rule set `{}` ({}) is empty", set.name, set.file))
}

fn empty_zones(policy: &Policy, of: ZoneOf) -> Vec<ZoneId> {
    let zones = &policy.zones;
    let (names, used): (usize, Vec<ZoneId>) = match of {
        ZoneOf::Domain => (
            zones.domain_names().len(),
            zones.domains().map(|(_, zone, _)| zone).collect(),
        ),
        ZoneOf::Address => (
            zones.address_names().len(),
            zones.addresses().map(|(_, zone, _)| zone).collect(),
        ),
    };
    let used: HashSet<ZoneId> = used.into_iter().collect();
    let all = (0..u32::try_from(names).unwrap_or(0)).map(ZoneId);
    all.filter(|zone| !used.contains(zone)).collect()
}

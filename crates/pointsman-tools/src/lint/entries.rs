//! Entries of rule sets that another entry holds already: of the same list, or of a set that an earlier
//! rule asks.
//!
//! Lists are gone through as streams and no names are kept, so a list of a million names costs time and
//! no memory; past a number of entries the rest is left, and that is told.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use pointsman_policy::condition::{Asks, Condition};
use pointsman_policy::model::{Origin, OutboundId, SetId};
use pointsman_policy::set::{Item, Place, Reach, RuleSet, Sink};
use pointsman_policy::{Domain, Policy, Prefix};

use super::entail::{covers, holds_range, probe, within};
use super::logic::{Expr, View};
use super::tell::Finding;
use super::walk::{SiteKind, Step};
use pointsman_config::files::Files;
use pointsman_config::list::ListFile;
use pointsman_config::problem::Severity;

/// The most entries that are looked at in one run.
const MOST_ENTRIES: usize = 4_000_000;

/// The most earlier sets that each entry is looked up in.
const MOST_EARLIER: usize = 16;

/// The most names of one list that are compared with each other, at 16 bytes each.
const MOST_MET: usize = 2_000_000;

/// A rule that asks one set and nothing else.
struct Use<'p> {
    id: SetId,
    set: &'p Arc<RuleSet>,
    /// What its ranges see at most.
    view: View,
    /// And at least.
    sure: View,
    origin: &'p Origin,
    outbound: Option<OutboundId>,
}

/// How many entries may still be looked at.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(MOST_ENTRIES)
    }
}

/// Looks at the sets that a policy's rules ask, in their order; what earlier rules have of the set of a rule that
/// never matches (`is_dead`) is told with that.
pub(super) fn look<'p>(
    policy: &'p Policy,
    steps: &[Step<'p>],
    (lists, files): (&[ListFile], &dyn Files),
    is_dead: &dyn Fn(&Origin) -> bool,
    budget: &mut Budget,
    found: &mut Vec<Finding>,
) {
    let by_name: HashMap<&str, &ListFile> = lists.iter().map(|list| (&*list.name, list)).collect();
    let mut earlier: Vec<Use<'p>> = Vec::new();
    for step in steps {
        let Some(asked) = asked(policy, step) else {
            continue;
        };
        // A set that was asked before is told of as a whole.
        if earlier.iter().any(|other| other.id == asked.id) {
            continue;
        }
        if let Some(list) = by_name.get(&*asked.set.name) {
            let mut pass = Pass::new(&asked, &earlier, budget);
            // A list that was read a moment ago and cannot be now is told of when it is read again.
            let _ = list.each(files, &mut pass);
            pass.tell(policy, is_dead(asked.origin), found);
        }
        earlier.push(asked);
    }
}

/// The set that a rule asks without more.
fn asked<'p>(policy: &'p Policy, step: &Step<'p>) -> Option<Use<'p>> {
    let Step::Site(site) = step else { return None };
    let Some(Expr::Atom(atom)) = site.own.as_deref() else {
        return None;
    };
    let Condition::Set(id, asks) = &*atom.test else {
        return None;
    };
    let plain = site.kind == SiteKind::Rule && site.path.links().next().is_none();
    let set = policy.sets.get(id.0 as usize)?;
    (plain && site.outbound.is_some()).then_some(Use {
        id: *id,
        set,
        view: match asks {
            Asks::Never => atom.view,
            Asks::Resolve => View::Always,
        },
        sure: atom.view,
        origin: site.origin,
        outbound: site.outbound,
    })
}

/// Entries that something else holds: how many, and the first with what holds it.
#[derive(Default)]
struct Held {
    count: usize,
    first: Option<String>,
}

impl Held {
    fn add(&mut self, first: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(first());
        }
    }
}

/// One list on its way through.
struct Pass<'a, 'p> {
    asked: &'a Use<'p>,
    earlier: &'a [Use<'p>],
    budget: &'a mut Budget,
    total: usize,
    cut: bool,
    /// By wider entries of its own.
    own: Held,
    /// By each earlier set.
    by: Vec<Held>,
    ranges: Vec<(Prefix, u32)>,
    /// Fingerprints of names that were met, of a list that is not too large.
    met: HashSet<u64>,
}

impl<'a, 'p> Pass<'a, 'p> {
    fn new(asked: &'a Use<'p>, earlier: &'a [Use<'p>], budget: &'a mut Budget) -> Self {
        let earlier = &earlier[..earlier.len().min(MOST_EARLIER)];
        Self {
            asked,
            earlier,
            budget,
            total: 0,
            cut: false,
            own: Held::default(),
            by: earlier.iter().map(|_| Held::default()).collect(),
            ranges: Vec::new(),
            met: HashSet::new(),
        }
    }

    fn name(&mut self, name: Domain, reach: Reach, place: Place<'_>) {
        let own = self.asked.set;
        let mut hasher = DefaultHasher::new();
        (&name, reach).hash(&mut hasher);
        let again = self.total <= MOST_MET && !self.met.insert(hasher.finish());
        if again {
            self.own.add(|| said(place, "an entry before it"));
        } else if !own.has_exceptions()
            && let Some(covered) = covered(own, &name, reach)
        {
            self.own
                .add(|| said(place, &entry_above(own, &probed(&covered))));
        }
        for (held, other) in self.by.iter_mut().zip(self.earlier) {
            let set = other.set;
            let taken = match reach {
                Reach::Exact => set.find_name(&name).is_some(),
                Reach::Below | Reach::Suffix => !set.has_exceptions() && covers(set, &name, reach),
            };
            if taken {
                let asked = match reach {
                    Reach::Exact => name,
                    Reach::Below | Reach::Suffix => probed(&name),
                };
                held.add(|| said(place, &entry_above(set, &asked)));
                return;
            }
        }
    }

    fn range(&mut self, prefix: Prefix, place: Place<'_>) {
        self.ranges.push((prefix, place.line));
        for (held, other) in self.by.iter_mut().zip(self.earlier) {
            let set = other.set;
            let seen = other.sure >= self.asked.view;
            if seen && !set.has_exceptions() && holds_range(set, &prefix) {
                let entry = set
                    .find_address(prefix.address())
                    .map(|found| set.entry(found));
                held.add(|| said(place, &entry.map(|e| e.to_string()).unwrap_or_default()));
                return;
            }
        }
    }

    /// Ranges within ranges of the same list.
    fn own_ranges(&mut self) {
        self.ranges.sort_unstable();
        let mut open: Option<Prefix> = None;
        for (prefix, line) in std::mem::take(&mut self.ranges) {
            match open {
                Some(wide) if within(&prefix, &wide) => {
                    self.own
                        .add(|| format!("`{prefix}` (line {line}) by `{wide}`"));
                }
                _ => open = Some(prefix),
            }
        }
    }

    fn tell(mut self, policy: &Policy, is_dead: bool, found: &mut Vec<Finding>) {
        self.own_ranges();
        let name = &self.asked.set.name;
        let all = match self.cut {
            true => format!("the first {} entries", self.total),
            false => format!("the {} entries", self.total),
        };
        let mut push = |message: String, hint: String, related| {
            found.push(Finding {
                code: "repeated-entries",
                severity: Severity::Note,
                origin: self.asked.origin.clone(),
                message,
                hint,
                related,
            });
        };
        if let Some(first) = &self.own.first {
            push(
                format!(
                    "{} of {all} of `{name}` {} covered by other entries of the same set; the first is {first}",
                    self.own.count,
                    are(self.own.count)
                ),
                "they do no harm; without them nothing changes".into(),
                None,
            );
        }
        if is_dead {
            return;
        }
        for (held, other) in self.by.iter().zip(self.earlier) {
            let Some(first) = &held.first else { continue };
            let leads = match (other.outbound == self.asked.outbound, other.outbound) {
                (true, _) => "the same outbound".to_owned(),
                (false, Some(id)) => format!("`{}`", policy.outbound(id).name),
                (false, None) => "another way".to_owned(),
            };
            push(
                format!(
                    "{} of {all} of `{name}` {} covered by `{}`, which an earlier rule sends to {leads}; \
                     the first is {first}",
                    held.count,
                    are(held.count),
                    other.set.name
                ),
                "the earlier rule takes their flows, so here they have no effect".into(),
                Some((other.origin.clone(), "the earlier rule".into())),
            );
        }
    }
}

impl Sink for Pass<'_, '_> {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        if self.budget.0 == 0 {
            self.cut = true;
            return;
        }
        self.budget.0 -= 1;
        match item {
            Item::Below(name) => {
                self.total += 1;
                self.name(name.into(), Reach::Below, place);
            }
            Item::Exact(name) => {
                self.total += 1;
                self.name(name.into(), Reach::Exact, place);
            }
            Item::Suffix(name) => {
                self.total += 1;
                self.name(name.into(), Reach::Suffix, place);
            }
            Item::Prefix(prefix) => {
                self.total += 1;
                self.range(prefix, place);
            }
            Item::Except(_)
            | Item::ExceptBelow(_)
            | Item::ExceptExact(_)
            | Item::ExceptSuffix(_)
            | Item::Important { .. }
            | Item::Other(_) => {}
        }
    }
}

/// The name below which all is held by a wider entry of the set that a name of such a reach is an entry of.
fn covered(own: &RuleSet, name: &Domain, reach: Reach) -> Option<Domain> {
    if reach != Reach::Suffix && covers(own, name, Reach::Suffix) {
        return Some(name.clone());
    }
    if reach == Reach::Exact {
        return None;
    }
    // The entry itself would be found; what is looked for is wider.
    let (_, rest) = name.as_str().split_once('.')?;
    let parent = Domain::parse(rest).ok()?;
    covers(own, &parent, Reach::Below).then_some(parent)
}

/// The name that is tried below another.
fn probed(name: &Domain) -> Domain {
    probe(name).unwrap_or_else(|| name.clone())
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// `x.example` (line 5) by `example` (line 2).
fn said(place: Place<'_>, holder: &str) -> String {
    format!(
        "`{}` (line {}) by {holder}",
        super::clipped(place.written),
        place.line
    )
}

/// The entry of a set that holds a name.
fn entry_above(set: &RuleSet, name: &Domain) -> String {
    set.find_name(name)
        .map(|found| set.entry(found))
        .map_or_else(
            || format!("an entry of `{}`", set.name),
            |entry| format!("`{}` ({}:{})", entry.text, entry.file, entry.line),
        )
}

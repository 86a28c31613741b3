//! What a summary says of rules: how many work as before, and what the others lack.

use std::collections::{BTreeMap, BTreeSet};

use super::{Converted, End, Summary, count, named, plain};

impl Converted<'_> {
    /// Counts rules: one that leads to what refuses, or asks for a list that is never there, does not work as before.
    pub(super) fn working_rules(&self, summary: &mut Summary) {
        let known = self.known;
        let stuck = self.stuck();
        let stuck: BTreeSet<&str> = stuck.iter().map(|(name, _)| name.as_str()).collect();
        // Many rules lead to few outbounds.
        let mut ends: BTreeMap<&str, bool> = BTreeMap::new();
        let refuses = |out: &str| {
            let id = self.id(out);
            id.is_some_and(|id| matches!(self.end(id).1, End::RefusedNow(_)))
        };
        let (mut empty, mut refused) = (0, 0);
        let (mut sets, mut outs) = (BTreeSet::new(), BTreeSet::new());
        for rule in &known.rules {
            let lacks =
                |name: &&String| stuck.contains(name.as_str()) || known.missing.contains(*name);
            if let Some(name) = rule.sets.iter().find(lacks) {
                empty += 1;
                sets.insert(format!("`{name}`"));
            } else if let Some(name) = &rule.stands_for {
                refused += 1;
                outs.insert(format!("`{name}`"));
            } else if let Some(out) = &rule.out
                && *ends.entry(out).or_insert_with(|| refuses(out))
            {
                refused += 1;
                outs.insert(format!("`{}`", plain(out)));
            }
        }
        let total = known.rules.len();
        match total - empty - refused {
            0 => {}
            all if all == total => summary.works.push(count(total, "rule")),
            some => summary
                .works
                .push(format!("{some} of {}", count(total, "rule"))),
        }
        if refused > 0 {
            let (lead, they) = match refused {
                1 => ("leads", "it takes"),
                _ => ("lead", "they take"),
            };
            summary.changed.push(format!(
                "{} {lead} to what refuses every flow, so what {they} is refused: {}",
                count(refused, "rule"),
                named(outs)
            ));
        }
        if empty > 0 {
            let (ask, they) = match empty {
                1 => ("asks", "it takes"),
                _ => ("ask", "they take"),
            };
            summary.changed.push(format!(
                "{} {ask} for a rule set that is not available, so {they} no flow by it: {}",
                count(empty, "rule"),
                named(sets)
            ));
        }
        if !known.missing.is_empty() {
            let missing = known.missing.iter().map(|name| format!("`{name}`"));
            summary.next.push(format!(
                "put the files of these rule sets where the result looks for them, else nothing is served: {}",
                named(missing)
            ));
        }
    }
}

//! What a summary says of lists that are fetched.

use std::collections::BTreeSet;

use pointsman_policy::OutboundId;

use super::{Converted, End, MOST_NAMED, Summary, count, named, plain};

impl Converted<'_> {
    /// Lists that the daemon fetches, and those that it cannot.
    pub(super) fn fetched(&self, selected: &BTreeSet<OutboundId>, summary: &mut Summary) {
        let stuck = self.stuck();
        let is_stuck = |name: &&String| stuck.iter().any(|(stuck, _)| stuck == name);
        let good = self.known.fetched.iter().filter(|name| !is_stuck(name));
        let good: Vec<String> = good.map(|name| format!("`{name}`")).collect();
        if !good.is_empty() {
            let are = if good.len() == 1 { "is" } else { "are" };
            summary.next.push(format!(
                "{} {are} fetched by the daemon when it runs, and {are} empty until then: {}",
                count(good.len(), "rule set"),
                named(good)
            ));
        }
        if stuck.is_empty() {
            return;
        }
        let ways: BTreeSet<&String> = stuck.iter().map(|(_, by)| *by).collect();
        let (stay, them) = match stuck.len() {
            1 => ("stays", "it"),
            _ => ("stay", "them"),
        };
        let shown = stuck.iter();
        summary.changed.push(format!(
            "{} {stay} empty, so no rule on {them} holds, because what fetches {them} refuses every flow: {}",
            count(stuck.len(), "rule set"),
            named(shown.map(|(name, by)| format!("`{name}` (by way of `{}`)", plain(by))))
        ));
        // The group may be told of already.
        let is_told = |by: &&String| self.id(by).is_some_and(|id| selected.contains(&id));
        for by in ways.into_iter().take(MOST_NAMED).filter(|by| !is_told(by)) {
            let step = match self.selectable(by) {
                Some(member) => format!(
                    "`pointsman outbounds select '{by}' '{member}'` selects a member of `{by}` by which rule sets can be fetched"
                ),
                None => format!(
                    "rule sets with `via: {}` are not fetched until it is replaced: write an outbound that is built there, or \
                     remove `via` to fetch them directly",
                    plain(by)
                ),
            };
            summary.next.push(step);
        }
    }

    /// Rule sets that cannot be fetched, because what fetches them refuses every flow: and by what.
    pub(super) fn stuck(&self) -> Vec<(&String, &String)> {
        let by = |name| Some((name, self.known.fetched_by.get(name)?));
        let refused = |by: &String| {
            let id = self.id(by);
            id.is_some_and(|id| matches!(self.end(id).1, End::Refused | End::RefusedNow(_)))
        };
        let all = self.known.fetched.iter().filter_map(by);
        all.filter(|(_, by)| refused(by)).collect()
    }

    /// The outbound of a name.
    pub(super) fn id(&self, name: &str) -> Option<OutboundId> {
        let mut outbounds = (0_u32..).zip(&self.setup.outbounds);
        let found = outbounds.find(|(_, outbound)| outbound.name.eq_ignore_ascii_case(name));
        found.map(|(number, _)| OutboundId(number))
    }

    /// A member of a group by which flows go out by a proxy.
    fn selectable(&self, group: &str) -> Option<&str> {
        let id = self.id(group)?;
        let outbound = self.setup.outbounds.get(id.0 as usize)?;
        let member = outbound
            .kind
            .selectable()?
            .iter()
            .find(|id| self.is_proxied(**id))?;
        Some(self.name(*member))
    }
}

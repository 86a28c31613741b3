//! What a summary says of lists that are fetched.

use std::collections::BTreeSet;

use pointsman_policy::OutboundId;

use super::{End, MOST_NAMED, Summary, Told, count, named, plain};
use crate::setup::OutboundKind;

impl Told<'_> {
    /// Lists that the daemon fetches, and those that it cannot.
    pub(super) fn fetched(&self, summary: &mut Summary) {
        let (mut good, mut stuck) = (Vec::new(), Vec::new());
        for name in &self.known.fetched {
            let by = self.known.fetched_by.get(name);
            let id = by.and_then(|by| self.id(by));
            match (by, id.map(|id| self.end(id).1)) {
                (Some(by), Some(End::Refused | End::RefusedNow(_))) => {
                    stuck.push((name, by));
                }
                _ => good.push(format!("`{name}`")),
            }
        }
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
        for by in ways.into_iter().take(MOST_NAMED) {
            let step = match self.selectable(by) {
                Some(member) => format!(
                    "`pointsman outbounds select '{by}' '{member}'` selects a member of `{by}` by which rule sets can be fetched"
                ),
                None => format!(
                    "rule sets with `via: {}` are not fetched until it is replaced: write an outbound that is built there, or                      remove `via` to fetch them directly",
                    plain(by)
                ),
            };
            // The group may be told of already.
            let begin = step.split(" selects ").next().unwrap_or(&step);
            if !summary.next.iter().any(|known| known.starts_with(begin)) {
                summary.next.push(step);
            }
        }
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
        let OutboundKind::Select { members, .. } = &outbound.kind else {
            return None;
        };
        let member = members.iter().find(|id| self.is_proxied(**id))?;
        Some(self.name(*member))
    }
}

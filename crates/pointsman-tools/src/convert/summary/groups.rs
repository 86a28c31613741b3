//! What is said of groups: those that refuse, and those that no longer change by themselves.

use std::collections::BTreeSet;

use pointsman_policy::OutboundId;

use super::{Converted, End, MOST_NAMED, Summary, count, named};
use pointsman_config::setup::Kind;

impl Converted<'_> {
    /// What to say of each group that refuses until another member is selected, by its name. Of one whose own first
    /// member is not there, or that has none, it is said where that was found.
    pub(super) fn refusing_groups(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (number, outbound) in (0_u32..).zip(&self.setup.outbounds) {
            let name = outbound.name.to_string();
            let told = self.known.replaced.contains_key(&name)
                || self.known.refusing.contains_key(&name)
                || outbound.kind.selectable().is_none();
            if told {
                continue;
            }
            let (way, end) = self.end(OutboundId(number));
            if let (End::RefusedNow(why), false) = (end, way.is_empty()) {
                let until = match outbound.kind.selectable() {
                    Some([_only]) => "",
                    _ => " until another member is selected",
                };
                let what = format!(
                    "the group begins with {} ({why}): its flows are refused{until}",
                    way.join(", then ")
                );
                all.push((name, what));
            }
        }
        all
    }

    /// Tells of groups; answers with those for which a member to select is named.
    pub(super) fn groups(&self, summary: &mut Summary) -> BTreeSet<OutboundId> {
        let (mut good, mut refused, mut broken) = (0, Vec::new(), Vec::new());
        let (mut selects, mut fixed) = (Vec::new(), Vec::new());
        for (number, outbound) in (0_u32..).zip(&self.setup.outbounds) {
            let name = &outbound.name;
            let members = match &outbound.kind {
                Kind::Choose(group) if outbound.kind.selectable().is_some() => &group.members,
                Kind::Through(hops) => {
                    let own = |hop: &OutboundId| self.name(*hop) == &**name;
                    if let End::RefusedNow(why) = self.end(OutboundId(number)).1
                        && !hops.iter().any(own)
                    {
                        broken.push(format!(
                            "`{name}` goes through a proxy that refuses ({why}), so flows to it are refused"
                        ));
                    }
                    continue;
                }
                _ => continue,
            };
            if self.known.refusing.contains_key(&**name) {
                continue;
            }
            let (way, end) = self.end(OutboundId(number));
            let changed = self.known.changing.contains(&**name) && members.len() > 1;
            let works = !matches!(end, End::RefusedNow(_));
            if let (true, Some(first)) = (changed && works, members.first()) {
                fixed.push((name, self.name(*first)));
            }
            match end {
                End::Goes if changed => {}
                End::Goes => good += 1,
                End::Refused => refused.push(format!("`{name}` ({})", way.join(", then "))),
                End::RefusedNow(_) if way.is_empty() => {
                    broken.push(format!(
                        "the group `{name}` has no members, so flows to it are refused until you write some"
                    ));
                }
                End::RefusedNow(why) => {
                    broken.push(format!(
                        "the group `{name}` begins with {} ({why}), so flows to it are refused until another member is \
                         selected",
                        way.join(", then ")
                    ));
                    let proxy = |id: &&OutboundId| self.is_proxied(**id);
                    if let Some(member) = members.iter().find(proxy) {
                        let step = format!(
                            "`pointsman outbounds select '{name}' '{}'` selects a member of `{name}` that is built",
                            self.name(*member)
                        );
                        selects.push((OutboundId(number), step));
                    }
                }
            }
        }
        if good > 0 {
            summary.works.push(count(good, "group"));
        }
        if !refused.is_empty() {
            summary.works.push(format!(
                "{} with a refusal as the first member, so flows to it are refused until another member is selected: {}",
                count(refused.len(), "group"),
                named(refused)
            ));
        }
        let more = broken.len().saturating_sub(MOST_NAMED);
        summary.changed.extend(broken.into_iter().take(MOST_NAMED));
        if more > 0 {
            let what = format!("flows to {more} more of the groups are refused, too");
            summary.changed.push(what);
        }
        let firsts = fixed
            .iter()
            .map(|(name, first)| format!("`{name}` is `{first}`"));
        match fixed.len() {
            0 => {}
            1 => summary.changed.push(format!(
                "1 group no longer changes by itself: {} until you select another member",
                named(firsts)
            )),
            many => summary.changed.push(format!(
                "{many} groups no longer change by themselves, and are their first members until you select others: {}",
                named(firsts)
            )),
        }
        selects.truncate(MOST_NAMED);
        let (selected, mut selects): (BTreeSet<OutboundId>, Vec<String>) =
            selects.into_iter().unzip();
        if !fixed.is_empty() {
            let what =
                "`pointsman outbounds select GROUP MEMBER` selects another member of a group";
            selects.push(what.to_owned());
        }
        summary.next.splice(0..0, selects);
        selected
    }
}

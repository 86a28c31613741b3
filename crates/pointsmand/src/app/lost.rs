//! What was selected and goes with a configuration: flows of its group go elsewhere from then on.
//!
//! Invariant: a selection is told when it is lost, and not again as long as it stays so; it is kept, and counts again where
//! its member comes back.

use pointsman_config::Setup;

use super::App;
use crate::selections::Selections;

impl App {
    /// A sentence for each selection that `after` has no more and the configuration in force has.
    pub(crate) fn would_lose(&self, after: &Setup) -> Vec<String> {
        let before = self.generation().1;
        self.lost(&before, after)
    }

    /// A sentence for each selection that `before` has and `after` has not.
    pub(super) fn lost(&self, before: &Setup, after: &Setup) -> Vec<String> {
        lost(&self.selections(), before, after)
    }
}

fn lost(selections: &Selections, before: &Setup, after: &Setup) -> Vec<String> {
    let mut told = Vec::new();
    for (group, member) in selections {
        let has = |names: &[&str]| names.contains(&member.as_str());
        if !members(before, group).is_some_and(|names| has(&names)) {
            continue;
        }
        match members(after, group) {
            Some(names) if has(&names) => {}
            Some(names) => {
                let first = names.first().copied().unwrap_or("nowhere");
                told.push(format!(
                    "group `{group}`: its selected member `{member}` is gone, and its flows go to `{first}`"
                ));
            }
            None => told.push(format!(
                "group `{group}` is gone, and with it that `{member}` was selected"
            )),
        }
    }
    told
}

/// The members of a group of that name, in order.
fn members<'s>(setup: &'s Setup, group: &str) -> Option<Vec<&'s str>> {
    let found = setup.outbounds.iter().find(|it| *it.name == *group)?;
    let members = found.kind.selectable()?.iter();
    let members = members.filter_map(|id| setup.outbound(*id));
    Some(members.map(|member| &*member.name).collect())
}

//! What was selected and goes with a configuration: flows of its group go elsewhere from then on.
//!
//! Invariant: a selection is told when it is lost, and not again as long as it stays so; it is kept, and counts again where
//! its member comes back.

use pointsman_config::Setup;

use super::App;
use crate::selections::Selections;

/// The most selections that are told one by one.
const MOST_TOLD: usize = 10;

impl App {
    /// A sentence for each selection that `after` has no more and the configuration in force has.
    pub(crate) fn would_lose(&self, after: &Setup) -> Vec<String> {
        let before = self.generation().1;
        self.lost(&before, after)
    }

    /// Tells of selections that were kept and that the first configuration does not have: it was changed meanwhile, or
    /// the file is damaged. They come back with their group or member.
    pub(super) fn warn_of_strays(&self) {
        let strays = strays(&self.selections(), &self.generation().1);
        for told in strays.iter().take(MOST_TOLD) {
            tracing::warn!("{told}");
        }
        let more = strays.len().saturating_sub(MOST_TOLD);
        if more > 0 {
            tracing::warn!("{more} more saved selections are ignored");
        }
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

/// A sentence for each selection that there is nothing for.
fn strays(selections: &Selections, setup: &Setup) -> Vec<String> {
    let mut told = Vec::new();
    for (group, member) in selections {
        let why = match members(setup, group) {
            Some(names) if names.contains(&member.as_str()) => continue,
            Some(names) => {
                let first = names.first().copied().unwrap_or("nowhere");
                format!("it is no member, and its flows go to `{first}`")
            }
            None => "there is no such group".to_owned(),
        };
        told.push(format!(
            "the saved selection `{member}` of group `{group}` is ignored: {why}"
        ));
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

//! Which rule sets that are fetched a flow's rules looked into: what came of it hangs on what their lists say today.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use pointsman_policy::Policy;
use pointsman_policy::decision::Trace;
use pointsman_policy::model::{Origin, each_node};

use crate::setup::Setup;

/// Rule sets that are fetched, by name, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookedInto {
    /// Those of which there is a copy.
    pub fetched: Vec<Arc<str>>,
    /// Those that were never fetched: they hold nothing.
    pub unfetched: Vec<Arc<str>>,
}

impl LookedInto {
    /// Those of both.
    pub(super) fn or(mut self, other: Self) -> Self {
        for (own, others) in [
            (&mut self.fetched, other.fetched),
            (&mut self.unfetched, other.unfetched),
        ] {
            own.extend(others);
            own.sort();
            own.dedup();
        }
        self
    }
}

/// Those that the rules looked into which `trace` visited.
pub(super) fn of<'t>(
    setup: &Setup,
    policy: &Policy,
    trace: impl FnOnce() -> &'t Trace,
) -> LookedInto {
    if setup.sources.is_empty() {
        return LookedInto::default();
    }
    let visited: HashSet<_> = trace()
        .visits
        .iter()
        .map(|visit| place(&visit.origin))
        .collect();
    let mut found = BTreeSet::new();
    each_node(&policy.body, &mut |node| {
        if let (Some(condition), Some(origin)) = (node.condition(), node.origin())
            && visited.contains(&place(origin))
        {
            policy.gather_sets(condition, &mut found);
        }
    });
    let sets = found.iter().filter_map(|id| policy.sets.get(id.0 as usize));
    let names: BTreeSet<Arc<str>> = sets.map(|set| Arc::clone(&set.name)).collect();
    let mut looked = LookedInto::default();
    for name in names {
        let source = setup.sources.iter().find(|source| source.name == name);
        match source.map(|source| source.read) {
            Some(Some(_)) => looked.fetched.push(name),
            Some(None) => looked.unfetched.push(name),
            None => {}
        }
    }
    looked
}

/// Several rules may stand on one line.
fn place(origin: &Origin) -> (&str, u32, String) {
    (&origin.file, origin.line, origin.text.to_string())
}

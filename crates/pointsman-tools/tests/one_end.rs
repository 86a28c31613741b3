//! Of how many names a query tells where flows to them leave: those that can be followed without asking anybody else.
//!
//! The configurations are the examples, and those that others wrote, which are no part of this project: where they are
//! not at hand that is said.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pointsman_config::files::Disk;
use pointsman_config::{Setup, load};
use pointsman_policy::model::{SetId, each_node};
use pointsman_policy::set::{Item, Place, Sink};
use pointsman_policy::{Agreement, Domain, OutboundId, Policy};

/// The least part of the names that has one end, of a hundred: what there was when this was written. Rules on ports, programs
/// and transports that come before a rule set keep its names from having one.
const LEAST_ONE: usize = 52;

/// The least part of the names whose flows leave by one way at most, refusals left out, of a hundred: so it is told who is
/// asked for them.
const LEAST_TOLD: usize = 84;

/// Names of one list that are tried.
const MOST: usize = 20_000;

/// Collects the names of a list.
struct Names(Vec<Domain>);

impl Sink for Names {
    fn add(&mut self, item: Item<'_>, _: Place<'_>) {
        if let Item::Below(name) | Item::Exact(name) | Item::Suffix(name) = item
            && self.0.len() < MOST
        {
            self.0.push(Domain::from(name));
        }
    }
}

/// The names of the rule sets and zones that a policy looks into.
fn names(setup: &Setup, policy: &Policy) -> Vec<Domain> {
    let mut sets: BTreeSet<SetId> = BTreeSet::new();
    each_node(&policy.body, &mut |node| {
        if let Some(condition) = node.condition() {
            policy.gather_sets(condition, &mut sets);
        }
    });
    let mut names = Names(Vec::new());
    for id in sets {
        let set = &policy.sets[id.0 as usize];
        let list = setup.lists.iter().find(|list| list.name == set.name);
        if let Some(list) = list {
            // What cannot be read was told where the configuration was loaded.
            let mut own = Names(Vec::new());
            let _ = list.each(&Disk, &mut own);
            names.0.append(&mut own.0);
        }
    }
    let zones = policy.zones.domains();
    names.0.extend(zones.map(|(name, ..)| name.clone()));
    names.0
}

/// Names of rule sets over the policies of a configuration: all, those that have one end, and those whose flows leave by
/// one way at most.
fn of(path: &Path) -> [usize; 3] {
    let loaded = load(path, None, None, &Disk);
    let setup = loaded.setup.unwrap();
    let mut counts = [0; 3];
    for policy in &setup.policies {
        let ask = |OutboundId(at)| usize::try_from(at).ok();
        for name in names(&setup, policy) {
            let ends = policy.possible_for(&name, None);
            let told = !matches!(policy.agree(&ends, ask), Agreement::Differ(..));
            let found = [true, ends.len() == 1, told];
            for (count, found) in counts.iter_mut().zip(found) {
                *count += usize::from(found);
            }
        }
    }
    counts
}

/// The main files of the directories of a place.
fn configurations(place: &Path) -> Vec<PathBuf> {
    const MAIN: [&str; 5] = [
        "pointsman.yaml",
        "config",
        "config.toml",
        "config.yml",
        "config.yaml",
    ];
    let Ok(entries) = std::fs::read_dir(place) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| {
            let directory = entry.unwrap().path();
            MAIN.iter()
                .map(|name| directory.join(name))
                .find(|path| path.is_file())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn most_names_of_rule_sets_have_one_end() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let beside = || root.join("../shared");
    let shared = std::env::var_os("POINTSMAN_SHARED").map_or_else(beside, PathBuf::from);
    let samples = configurations(&shared.join("samples"));
    if samples.is_empty() {
        eprintln!("skipped: the samples in {} are not here", shared.display());
    }
    let mut sum = [0; 3];
    let examples = configurations(&root.join("examples"));
    for path in examples.into_iter().chain(samples) {
        let own = of(&path);
        let [all, one, told] = own;
        if all > 0 {
            let path = path.display();
            eprintln!("{path}: of {all} names {one} have one end, {told} leave by one way");
        }
        for (sum, own) in sum.iter_mut().zip(own) {
            *sum += own;
        }
    }
    let [all, one, told] = sum;
    eprintln!("of {all} names of rule sets {one} have one end, {told} leave by one way");
    assert!(all > 20, "{all}");
    assert!(one * 100 >= all * LEAST_ONE, "{one} of {all}");
    assert!(told * 100 >= all * LEAST_TOLD, "{told} of {all}");
}

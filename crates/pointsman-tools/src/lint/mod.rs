//! What `check` tells beyond errors: rules that never match, entries said twice, facts that nobody
//! gives, ways out that cannot carry what they get, leaks, and what nothing uses.
//!
//! Works on the lowered policies, so for every dialect. Invariant: whoever is told that a rule never
//! matches can remove it and nothing changes. Where that is not sure nothing is said.
//!
//! Deliberately absent: errors. What is told here works, if hardly as meant.

mod apart;
mod carried;
#[cfg(test)]
mod corpus_tests;
mod early;
mod elsewhere;
mod ends;
mod entail;
mod entries;
mod given;
mod hanging;
mod leak;
mod logic;
mod logs;
mod members;
mod odd;
mod ports;
mod reach;
mod search;
mod tell;
mod unused;
mod walk;

use std::collections::{HashMap, HashSet};

use pointsman_policy::line::{Names, render_condition};
use pointsman_policy::model::Origin;
use pointsman_policy::{Condition, Policy};

use pointsman_config::files::Files;
use pointsman_config::list::ListFile;
use pointsman_config::places::Places;
use pointsman_config::problem::{About, Problems};
use pointsman_config::setup::{DnsSpec, NameServer, PolicyId, Setup};

use given::Given;
use members::Members;
use reach::{Dead, reach};

/// Looks at a configuration that has no errors and pushes what is odd about it.
pub fn lint(setup: &Setup, files: &dyn Files, problems: &mut Problems) {
    let mut places = Places::new(setup, files, problems);
    let looked = Looked::at(setup);
    let members = Members::new(&setup.lists, files);
    let dead = never_matching(setup, &looked, &members, &mut places, problems);
    misled(
        setup,
        &looked,
        files,
        (&dead, &members),
        &mut places,
        problems,
    );
    unused::look(setup, &mut places, problems);
    early::look(setup, &mut places, problems);
    logs::look(setup, files, &mut places, problems);
    problems.sort();
}

/// The rules of a policy that never match, each with the reason in short: for tests of the law that they
/// never do. `lists` are the entries of its sets.
#[doc(hidden)]
#[must_use]
pub fn never_match<'p>(
    policy: &'p Policy,
    lists: &[ListFile],
    files: &dyn Files,
) -> Vec<(&'p Origin, String)> {
    let members = Members::new(lists, files);
    let sites = reach(policy, None, Some(&members)).sites.into_iter();
    let dead = sites.filter_map(|(_, dead)| dead);
    dead.map(|dead| (dead.origin, format!("{:?}", dead.why)))
        .collect()
}

/// The policies that are worth a look: those that inbounds use, and those that nobody uses at all.
struct Looked {
    /// With whether an inbound uses it.
    policies: Vec<(PolicyId, bool)>,
}

impl Looked {
    fn at(setup: &Setup) -> Self {
        let used: HashSet<usize> = setup
            .inbounds
            .iter()
            .map(|inbound| inbound.policy.0)
            .collect();
        let forwarded: HashSet<usize> = setup
            .forwards
            .iter()
            .map(|forward| forward.policy.0)
            .collect();
        let all = 0..setup.policies.len();
        let policies = all
            .filter(|number| used.contains(number) || !forwarded.contains(number))
            .map(|number| (PolicyId(number), used.contains(&number)))
            .collect();
        Self { policies }
    }
}

/// Tells what goes another way than its writer will have meant, of each rule once.
fn misled(
    setup: &Setup,
    looked: &Looked,
    files: &dyn Files,
    (dead, members): (&HashSet<Place<'_>>, &Members<'_>),
    places: &mut Places<'_>,
    problems: &mut Problems,
) {
    let mut found = Vec::new();
    let mut unseen: Vec<Origin> = Vec::new();
    let mut budget = entries::Budget::new();
    let mut stands: HashMap<Place<'_>, usize> = HashMap::new();
    for (id, used) in &looked.policies {
        let Some(policy) = setup.policies.get(id.0) else {
            continue;
        };
        let steps = walk::lay_out(policy);
        carried::look(policy, &steps, &mut found);
        odd::look(&steps, &mut found);
        for step in steps.iter().filter(|_| *used) {
            if let walk::Step::Site(site) = step {
                *stands.entry(place_of(site.origin)).or_default() += 1;
            }
        }
        if let Some(given) = given(setup, *id, problems) {
            elsewhere::look(&steps, &given, &mut found, &mut unseen);
            elsewhere::unserved(policy, &steps, &given, members, problems);
        }
        if *used {
            if looks_up_here(setup, *id) {
                leak::look(policy, &steps, &mut found);
            }
            leak::fails_open(policy, &steps, &mut found);
            let lists = (setup.lists.as_slice(), files);
            let is_dead = |origin: &Origin| dead.contains(&place_of(origin));
            entries::look(policy, &steps, lists, &is_dead, &mut budget, &mut found);
        }
    }
    // What an inbound never sees, another one may that has the same rule.
    let of_inbounds = found.iter().filter(|finding| finding.of_inbounds());
    unseen.extend(of_inbounds.map(|finding| finding.origin.clone()));
    for origin in &unseen {
        if let Some(left) = stands.get_mut(&place_of(origin)) {
            *left = left.saturating_sub(1);
        }
    }
    let seen = stands.into_iter().filter(|(_, left)| *left > 0);
    let seen: HashSet<_> = seen.map(|(place, _)| place).collect();
    let mut known = HashSet::new();
    found.retain(|finding| {
        let origin = &finding.origin;
        if finding.of_inbounds() && seen.contains(&place_of(origin)) {
            return false;
        }
        known.insert((
            finding.code,
            origin.file.clone(),
            origin.line,
            origin.text.clone(),
        ))
    });
    let mut tell = tell::Tell::new(places, problems);
    for finding in &found {
        tell.finding(finding);
    }
}

/// What a policy is given, where that can be told: rules without a listener of their own are meant for others than
/// the one that serves instead, and so are those for listeners that are not built yet.
fn given<'s>(setup: &'s Setup, policy: PolicyId, problems: &Problems) -> Option<Given<'s>> {
    let mut problems = problems.0.iter();
    let vague =
        problems.any(|it| it.code == "default-inbound" || it.about == Some(About::NotTaken));
    Given::to(policy, setup).filter(|_| !vague)
}

fn place_of(origin: &Origin) -> Place<'_> {
    (&origin.file, origin.line, &origin.text)
}

/// Whether a policy's names are looked up where others see it: not by way of an outbound.
fn looks_up_here(setup: &Setup, id: PolicyId) -> bool {
    let mut inbounds = setup.inbounds.iter().filter(|inbound| inbound.policy == id);
    inbounds.any(|inbound| {
        let resolver = inbound.resolver.or(setup.server_resolver);
        let Some(resolver) = resolver.and_then(|id| setup.resolvers.get(id.0)) else {
            return true;
        };
        let hidden = |server: &NameServer| match server {
            NameServer::NotYet(_) => true,
            other => other.via().is_some(),
        };
        !resolver.servers.iter().all(hidden)
    })
}

/// File, line and text of a rule.
type Place<'p> = (&'p str, u32, &'p str);

/// That a rule never matches, in which policy; `None` where it may.
type Verdict<'p> = Option<(&'p Policy, Dead<'p>)>;

/// Tells the rules that never match, and which they are: where a rule stands in several policies, in none of them.
fn never_matching<'s>(
    setup: &'s Setup,
    looked: &Looked,
    members: &Members<'_>,
    places: &mut Places<'_>,
    problems: &mut Problems,
) -> HashSet<Place<'s>> {
    let mut order: Vec<Place<'_>> = Vec::new();
    let mut found: HashMap<Place<'_>, Verdict<'_>> = HashMap::new();
    let mut of_used: HashSet<Place<'_>> = HashSet::new();
    // Those in use come first: what others say of the same rules counts for nothing.
    let mut policies = looked.policies.clone();
    policies.sort_by_key(|(_, used)| !used);
    for (id, used) in policies {
        let Some(policy) = setup.policies.get(id.0) else {
            continue;
        };
        let given = given(setup, id, problems);
        let mut sites = reach(policy, given.as_ref(), Some(members)).sites;
        hanging::mark(setup, policy, (given.as_ref(), members), &mut sites);
        for (origin, dead) in sites {
            let key = place_of(origin);
            if used {
                of_used.insert(key);
            } else if of_used.contains(&key) {
                continue;
            }
            match found.get_mut(&key) {
                None => {
                    order.push(key);
                    found.insert(key, dead.map(|dead| (&**policy, dead)));
                }
                Some(known) => match (known.is_some(), dead) {
                    (true, None) => *known = None,
                    // The first reason that is worth telling.
                    (true, Some(dead)) => {
                        if let Some((of, known)) = known.as_mut() {
                            // One policy where it hangs on a list is enough.
                            let hangs = known.hangs || dead.hangs;
                            if known.why.is_none() && dead.why.is_some() {
                                (*of, *known) = (&**policy, dead);
                            }
                            known.hangs = hangs;
                        }
                    }
                    (false, _) => {}
                },
            }
        }
    }
    let server = setup.dns.iter().map(|server| &server.what);
    // Where nobody wrote rules on answers, they stand where the others do, which are looked at first.
    let answers = |what: &'s DnsSpec| what.answers.as_ref().map(|it| &it.policy);
    let policies = server.flat_map(|what| [Some(&what.policy), answers(what)]);
    for policy in policies.flatten() {
        let mut sites = reach(policy, None, Some(members)).sites;
        hanging::mark(setup, policy, (None, members), &mut sites);
        for (origin, dead) in sites {
            let key = place_of(origin);
            found.entry(key).or_insert_with(|| {
                order.push(key);
                dead.map(|dead| (&**policy, dead))
            });
        }
    }
    let mut tell = tell::Tell::new(places, problems);
    for key in order {
        if let Some(Some((policy, dead))) = found.get(&key) {
            tell.dead(policy, dead);
        }
    }
    found.retain(|_, verdict| verdict.is_some());
    found.into_keys().collect()
}

/// A condition as rules write it.
fn shown(policy: &Policy, condition: &Condition) -> String {
    let names = Names {
        sets: &policy.sets,
        zones: &policy.zones,
        ip_rules_resolve: false,
    };
    clipped(&render_condition(condition, names))
}

/// A text that fits into a sentence.
fn clipped(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

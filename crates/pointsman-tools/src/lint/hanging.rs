//! Which rules never match only for what fetched lists hold today: tomorrow somebody else may have changed that.
//!
//! Invariant: what is not said to hang on a list never matches whatever fetched lists hold.

use std::collections::HashSet;
use std::sync::Arc;

use pointsman_policy::Policy;
use pointsman_policy::model::Origin;
use pointsman_policy::set::RuleSet;

use pointsman_config::setup::Setup;

use super::given::Given;
use super::members::Members;
use super::place_of;
use super::reach::{Dead, reach};
use super::search::Why;

/// Marks those that never match, but may once fetched lists hold something else.
pub(super) fn mark(
    setup: &Setup,
    policy: &Policy,
    (given, members): (Option<&Given<'_>>, &Members<'_>),
    sites: &mut [(&Origin, Option<Dead<'_>>)],
) {
    let read = setup.sources.iter().filter(|source| source.read.is_some());
    let fetched: HashSet<usize> = read.map(|source| source.set.0 as usize).collect();
    let dead = sites.iter_mut().filter_map(|(_, dead)| dead.as_mut());
    let mut taken = dead
        .filter(|dead| matches!(dead.why, Some(Why::Empty(_) | Why::Taken(_))))
        .peekable();
    if fetched.is_empty() || taken.peek().is_none() {
        return;
    }
    let unread = without(policy, &fetched);
    let firm = reach(&unread, given, Some(members)).sites;
    let firm: HashSet<_> = firm
        .iter()
        .filter(|(_, dead)| dead.is_some())
        .map(|(origin, _)| place_of(origin))
        .collect();
    for dead in taken {
        dead.hangs = !firm.contains(&place_of(dead.origin));
    }
}

/// The policy as it is while these sets were never read: they may hold anything.
fn without(policy: &Policy, fetched: &HashSet<usize>) -> Policy {
    let sets = policy.sets.iter().enumerate();
    let sets = sets.map(|(number, set)| match fetched.contains(&number) {
        true => Arc::new(RuleSet::new(Arc::clone(&set.name), "")),
        false => Arc::clone(set),
    });
    Policy {
        sets: sets.collect(),
        ..policy.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pointsman_config::files::Memory;
    use pointsman_config::load;

    /// The codes of what is told of rules, each with its line, how bad it is, and whether it is said to hang on lists.
    fn told(rules: &str) -> Vec<String> {
        told_of("shadowed-rule", rules, "ads.test\n")
    }

    /// As [`told`], for another code, and where a fetched list holds this.
    fn told_of(code: &str, rules: &str, fetched: &str) -> Vec<String> {
        let text = format!(
            "version: 1\ninbounds: {{ i: {{ type: mixed, listen: '127.0.0.1:1' }} }}\noutbounds: {{ p: {{ type: socks5, server: '192.0.2.1:1' }} }}\n\
             rule_sets: {{ ads: {{ url: 'https://lists.test/a', path: a.txt }}, own: {{ path: o.txt }} }}\nrules:\n{rules}"
        );
        let files = [
            ("p.yaml", text.as_str()),
            ("a.txt", fetched),
            ("o.txt", "own.test\n"),
        ];
        let memory = Memory::new(files);
        let mut loaded = load(Path::new("p.yaml"), None, None, &memory);
        let setup = loaded.setup.unwrap();
        super::super::lint(&setup, &memory, &mut loaded.problems);
        let told = loaded.problems.0.iter();
        let told = told.filter(|problem| problem.code == code);
        told.map(|problem| {
            let hangs = problem
                .sentence()
                .contains("with the fetched lists as they are now");
            format!(
                "{} {} {hangs}",
                problem.severity.as_str(),
                problem.span.line()
            )
        })
        .collect()
    }

    #[test]
    fn what_hangs_on_a_fetched_list_is_a_note() {
        let rules = "  - RULE-SET, ads, reject\n  - DOMAIN, ads.test, direct\n  - FALLBACK, p\n";
        assert_eq!(told(rules), ["note 7 true"]);
    }

    #[test]
    fn a_fetched_list_that_is_empty_today_is_a_note() {
        let empty = |rules: &str| told_of("empty-set", rules, "# none today\n");
        let rules = "  - RULE-SET, ads, reject\n  - FALLBACK, p\n";
        assert_eq!(empty(rules), ["note 6 true"]);
        let rules = "  - AND, [RULE-SET, ads], [DST-PORT, 1], reject\n  - FALLBACK, p\n";
        assert_eq!(empty(rules), ["note 6 true"]);
        // One that was not fetched is told once, where it is defined.
        let text = "version: 1\ninbounds: { i: { type: mixed, listen: '127.0.0.1:1' } }\n\
                    rule_sets: { ads: { url: 'https://lists.test/a', path: a.txt } }\n\
                    rules: [\"RULE-SET, ads, reject\", \"FALLBACK, direct\"]\n";
        let memory = Memory::new([("p.yaml", text)]);
        let mut loaded = load(Path::new("p.yaml"), None, None, &memory);
        let setup = loaded.setup.unwrap();
        super::super::lint(&setup, &memory, &mut loaded.problems);
        let codes = loaded.problems.0.iter().map(|problem| problem.code);
        assert_eq!(codes.collect::<Vec<_>>(), ["not-fetched"]);
    }

    #[test]
    fn what_hangs_on_none_stays_a_warning() {
        let rules = "  - RULE-SET, ads, reject\n  - RULE-SET, ads, direct\n  - FALLBACK, p\n";
        assert_eq!(told(rules), ["warning 7 false"]);
        let rules = "  - RULE-SET, own, reject\n  - DOMAIN, own.test, direct\n  - FALLBACK, p\n";
        assert_eq!(told(rules), ["warning 7 false"]);
        let rules = "  - RULE-SET, ads, reject\n  - DOMAIN-SUFFIX, test, p\n  - DOMAIN, ads.test, direct\n  - FALLBACK, p\n";
        assert_eq!(told(rules), ["warning 8 false"]);
    }
}

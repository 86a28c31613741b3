//! Three-valued logic and rule sets, one case a line.

mod flow;

use flow::{DIRECT, PROXY, leaf, name, not, policy, port, rule, suffix, told, truth, with_sets};
use pointsman_policy::condition::{Asks, Condition, TextField, TextTest};
use pointsman_policy::fact::Protocol;
use pointsman_policy::model::SetId;
use pointsman_policy::set::{Key, RuleSetBuilder};

fn check(condition: &Condition, cases: &[(&str, &str)]) {
    for (words, expected) in cases {
        let got = truth(&policy(vec![]), condition, words);
        assert_eq!(got, *expected, "{condition:?} of {words}");
    }
}

#[test]
fn logic_has_three_values() {
    let yes = || Condition::Always;
    let no = || Condition::Never;
    // Failed look: unknown.
    let unknown = || Condition::Protocol(Protocol::Tls);
    let and = |a, b| Condition::And(vec![a, b]);
    let or = |a, b| Condition::Or(vec![a, b]);
    let check = |condition: Condition, expected: &str| {
        let got = truth(&policy(vec![]), &condition, "look=!gone");
        assert_eq!(got.split(':').next(), Some(expected), "{condition:?}");
    };
    check(and(yes(), yes()), "yes");
    check(and(yes(), no()), "no");
    check(and(yes(), unknown()), "unknown");
    check(and(no(), unknown()), "no");
    check(and(unknown(), no()), "no");
    check(and(unknown(), yes()), "unknown");
    check(and(unknown(), unknown()), "unknown");
    check(or(no(), no()), "no");
    check(or(no(), yes()), "yes");
    check(or(no(), unknown()), "unknown");
    check(or(unknown(), yes()), "yes");
    check(or(unknown(), no()), "unknown");
    check(not(yes()), "no");
    check(not(no()), "yes");
    check(not(unknown()), "unknown");
    check(Condition::And(vec![]), "yes");
    check(Condition::Or(vec![]), "no");
    // There is honestly no name: not the same as unknown.
    let absent = truth(
        &policy(vec![]),
        &not(suffix("local")),
        "dst=1.1.1.1:1 look=none",
    );
    assert_eq!(absent, "yes");
}

#[test]
fn logic_asks_from_the_left_and_stops_early() {
    let sniff = || Condition::Protocol(Protocol::Tls);
    let owner = || Condition::Text(TextField::ProcessName, TextTest::Exact("curl".into()));
    check(
        &Condition::And(vec![port(443), sniff(), owner()]),
        &[
            ("dst=x.test:80", "no"),
            ("dst=x.test:443", "needs sniff"),
            ("dst=x.test:443 look=tls:x.test", "needs owner"),
            ("dst=x.test:443 look=http:x.test", "no"),
            // Unknown does not end an AND: a later part may still make it false.
            ("dst=x.test:443 look=!gone", "needs owner"),
            ("dst=x.test:443 look=!gone owner=wget", "no"),
        ],
    );
    check(
        &Condition::Or(vec![port(443), sniff(), owner()]),
        &[
            ("dst=x.test:443", "yes"),
            ("dst=x.test:80", "needs sniff"),
            ("dst=x.test:80 look=tls:x.test", "yes"),
            ("dst=x.test:80 look=!gone owner=curl", "yes"),
        ],
    );
}

#[test]
fn rule_sets() {
    let mut names = RuleSetBuilder::new("names", "names.txt", Key::default());
    names.add_suffix(name("ads.test"), 1, "+.ads.test");
    names.add_exact(name("exact.test"), 2, "exact.test");
    let mut ranges = RuleSetBuilder::new("ranges", "ranges.txt", Key::default());
    ranges.add_prefix("10.0.0.0/8".parse().unwrap(), 1, "10.0.0.0/8");
    let mut mixed = RuleSetBuilder::new("mixed", "mixed.txt", Key::default());
    mixed.add_suffix(name("ads.test"), 1, "DOMAIN-SUFFIX,ads.test");
    mixed.add_prefix("10.0.0.0/8".parse().unwrap(), 2, "IP-CIDR,10.0.0.0/8");
    mixed.add_other(port(22), 3, "DST-PORT,22");
    let curl = TextTest::Exact("curl".into());
    mixed.add_other(
        Condition::Text(TextField::ProcessName, curl),
        4,
        "PROCESS-NAME,curl",
    );
    let mut nested = RuleSetBuilder::new("nested", "nested.txt", Key::default());
    nested.add_other(Condition::Set(SetId(2), Asks::Resolve), 1, "RULE-SET,mixed");
    let mut circle = RuleSetBuilder::new("circle", "circle.txt", Key::default());
    circle.add_other(
        Condition::Set(SetId(4), Asks::Resolve),
        1,
        "RULE-SET,circle",
    );
    let sets = [names, ranges, mixed, nested, circle]
        .map(RuleSetBuilder::finish)
        .to_vec();

    let check = |set: u32, asks: Asks, cases: &[(&str, &str)]| {
        let body = vec![
            rule(1, Condition::Set(SetId(set), asks), PROXY),
            leaf(2, DIRECT),
        ];
        let policy = with_sets(policy(body), sets.clone());
        for (words, expected) in cases {
            assert_eq!(told(&policy, words), *expected, "set {set} of {words}");
        }
    };
    check(
        0,
        Asks::Resolve,
        &[
            (
                "dst=a.ads.test:80",
                "proxy by 1 with +.ads.test (names.txt:1)",
            ),
            (
                "dst=exact.test:80",
                "proxy by 1 with exact.test (names.txt:2)",
            ),
            // No prefixes, so nothing to resolve for.
            ("dst=a.exact.test:80", "direct by 2"),
            ("dst=10.1.1.1:80", "needs sniff"),
        ],
    );
    check(
        1,
        Asks::Never,
        &[
            (
                "dst=10.1.1.1:80",
                "proxy by 1 with 10.0.0.0/8 (ranges.txt:1)",
            ),
            ("dst=x.test:80 resolved=10.1.1.1", "direct by 2"),
        ],
    );
    check(1, Asks::Resolve, &[("dst=x.test:80", "needs resolve")]);
    check(
        2,
        Asks::Resolve,
        &[
            (
                "dst=a.ads.test:80",
                "proxy by 1 with DOMAIN-SUFFIX,ads.test (mixed.txt:1)",
            ),
            ("dst=x.test:22", "needs resolve"),
            (
                "dst=x.test:22 resolved=10.1.1.1",
                "proxy by 1 with IP-CIDR,10.0.0.0/8 (mixed.txt:2)",
            ),
            (
                "dst=x.test:22 resolved=1.1.1.1",
                "proxy by 1 with DST-PORT,22 (mixed.txt:3)",
            ),
            (
                "dst=x.test:22 resolved=!gone",
                "proxy by 1 with DST-PORT,22 (mixed.txt:3)",
            ),
            ("dst=x.test:80 resolved=1.1.1.1", "needs owner"),
            ("dst=x.test:80 resolved=1.1.1.1 owner=none", "direct by 2"),
        ],
    );
    // The rule that uses a set may forbid what the set's rules would ask, also through another set.
    check(
        3,
        Asks::Never,
        &[("dst=x.test:80 resolved=10.1.1.1", "needs owner")],
    );
    check(3, Asks::Resolve, &[("dst=x.test:80", "needs resolve")]);
    check(4, Asks::Resolve, &[("dst=x.test:80", "direct by 2")]);
    check(9, Asks::Resolve, &[("dst=x.test:80", "direct by 2")]);
}

//! Where a walk may end while something is not known, compared with where it ends.

mod flow;
mod random;

use std::collections::BTreeSet;
use std::sync::Arc;

use flow::{
    DIRECT, PROXY, RESET, WORK, compiled, end, ends, ends_told, flow as facts, ip, leaf, learn,
    name, not, origin, policy, port, rule, set, suffix, unlearned, with_sets,
};
use pointsman_policy::condition::{Asks, Condition};
use pointsman_policy::decision::Step;
use pointsman_policy::fact::{Fact, Facts, Need, Protocol};
use pointsman_policy::model::{OnUnknown, SetId};
use pointsman_policy::request::{Request, RequestId};
use pointsman_policy::set::{Item, Key, Place, RuleSet, RuleSetBuilder, Sink as _};
use pointsman_policy::{End, Node, Policy};
use proptest::prelude::*;
use random::{any_flow, any_picky_policy_of, any_policy, any_set};

/// What is known of a flow where so many facts were not found yet.
fn partial(world: &Facts, told: u8) -> Facts {
    let mut partial = unlearned(world);
    for (at, need) in Need::ALL.into_iter().enumerate() {
        if told & (1 << at) != 0 {
            learn(need, &mut partial, world);
        }
    }
    for request in (0..512).map(RequestId) {
        if told & (1 << (5 + request.0 % 3)) != 0 {
            learn(Need::Verdict(request), &mut partial, world);
        }
    }
    partial
}

/// The free ones of two sets, and the policy with others in their place.
fn with_others(policy: &Policy, free: u8, others: [RuleSet; 2]) -> (Vec<SetId>, Policy) {
    let mut completed = policy.clone();
    let mut sets = policy.sets.to_vec();
    let mut ids = Vec::new();
    for ((at, set), other) in (0..).zip(&mut sets).zip(others) {
        if free & (1 << at) != 0 {
            *set = Arc::new(other);
            ids.push(SetId(at));
        }
    }
    completed.sets = sets.into();
    (ids, completed)
}

fn check(
    policy: &Policy,
    world: &Facts,
    (told, more, free): (u8, u8, u8),
    others: [RuleSet; 2],
) -> Result<(), TestCaseError> {
    let (ids, completed) = with_others(policy, free, others);
    let step = completed.decide_plainly(world);
    let known = partial(world, told);
    let possible = policy.possible(&known, &ids);
    // Whether rules are skipped is not to be seen.
    prop_assert_eq!(&compiled(policy).possible(&known, &ids), &possible);
    // Sound: whatever is learned, it ends at one of these.
    prop_assert!(
        ends(&possible).contains(&end(&step)),
        "{step:?} is not in {possible:?}"
    );
    // Each once.
    let once: BTreeSet<String> = possible.iter().map(|it| format!("{:?}", it.end)).collect();
    prop_assert_eq!(once.len(), possible.len());
    // Who knows more takes no further ends for possible.
    let closer = completed.possible(&partial(world, told | more), &[]);
    for closer in ends(&closer) {
        prop_assert!(ends(&possible).contains(&closer), "{closer:?}");
    }
    // Exact where all is known.
    let exact = completed.possible(world, &[]);
    prop_assert_eq!(&compiled(&completed).possible(world, &[]), &exact);
    prop_assert_eq!(ends(&exact), vec![end(&step)]);
    if let Step::Decided(decision) = &step {
        prop_assert_eq!(&exact[0].rule, &decision.rule);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_decided_was_possible(
        policy in any_policy(),
        world in any_flow(),
        known in any::<(u8, u8, u8)>(),
        others in [any_set(), any_set()],
    ) {
        check(&policy, &world, known, others)?;
    }

    #[test]
    fn what_a_long_list_decides_was_possible(
        policy in any_picky_policy_of(4..30),
        world in any_flow(),
        known in any::<(u8, u8, u8)>(),
        others in [any_set(), any_set()],
    ) {
        check(&policy, &world, known, others)?;
    }
}

fn told(policy: &Policy, words: &str, free: &[SetId]) -> String {
    ends_told(policy, &policy.possible(&facts(words), free))
}

/// All facts that may be asked for, none of which is there.
const NOTHING: &str = "look=none resolved=none owner=none geo=none local=none";

#[test]
fn a_set_that_is_not_there_holds_or_does_not() {
    let ads = || RuleSet::new("ads", "ads.txt");
    let body = vec![
        rule(1, suffix("early.test"), WORK),
        rule(2, set(0, Asks::Never), RESET),
        rule(3, port(25), PROXY),
        leaf(4, DIRECT),
    ];
    let policy = with_sets(policy(body), vec![ads()]);
    let check = |words: &str, expected: &str| {
        let words = format!("{words} {NOTHING}");
        assert_eq!(told(&policy, &words, &[SetId(0)]), expected, "{words}");
    };
    check("dst=a.test:443", "reset by 2, direct by 4");
    check("dst=a.test:25", "reset by 2, proxy by 3");
    check("dst=early.test:25", "work by 1");
    assert_eq!(
        told(&policy, &format!("dst=a.test:25 {NOTHING}"), &[]),
        "proxy by 3"
    );
}

#[test]
fn sets_within_sets_are_as_open_as_those() {
    let mut outer = RuleSetBuilder::new("outer", "outer.txt", Key::default());
    outer.add_other(set(0, Asks::Never), 1, "RULE-SET,inner");
    let sets = vec![RuleSet::new("inner", "inner.txt"), outer.finish()];
    let body = vec![rule(1, not(set(1, Asks::Never)), PROXY), leaf(2, DIRECT)];
    let policy = with_sets(policy(body), sets);
    let words = format!("dst=a.test:443 {NOTHING}");
    assert_eq!(
        told(&policy, &words, &[SetId(0)]),
        "proxy by 1, direct by 2"
    );
    assert_eq!(told(&policy, &words, &[]), "proxy by 1");
}

/// A list with ranges has the address of a name resolved, which rules below see then.
#[test]
fn a_set_may_have_a_name_resolved() {
    let body = |asks| {
        vec![
            rule(1, set(0, asks), RESET),
            rule(2, ip("10.0.0.0/8", Asks::Never), WORK),
            leaf(3, DIRECT),
        ]
    };
    let words = "dst=a.test:443 look=none owner=none geo=none local=none resolved=10.0.0.1";
    let check = |asks, expected: &str| {
        let policy = with_sets(policy(body(asks)), vec![RuleSet::new("ads", "ads.txt")]);
        assert_eq!(told(&policy, words, &[SetId(0)]), expected);
    };
    check(Asks::Resolve, "reset by 1, work by 2, direct by 3");
    check(Asks::Never, "reset by 1, direct by 3");
}

#[test]
fn facts_that_nobody_asked_for_may_become_anything() {
    let process = Condition::Protocol(Protocol::Ssh);
    let body = vec![
        rule(1, process, WORK),
        Node::Request {
            condition: port(22),
            request: Request::new(7, RESET, PROXY),
            origin: origin(2),
        },
    ];
    let mut policy = policy(body);
    assert_eq!(
        told(&policy, "dst=10.0.0.1:22", &[]),
        "work by 1, reset by 2, proxy by 2, no route"
    );
    assert_eq!(told(&policy, "dst=10.0.0.1:23", &[]), "work by 1, no route");
    policy.on_unknown = OnUnknown::Reject;
    assert_eq!(
        told(&policy, "dst=10.0.0.1:23", &[]),
        "work by 1, refused by 1, no route"
    );
    assert_eq!(told(&policy, "dst=10.0.0.1:23 look=other", &[]), "no route");
    let failed = policy.possible(&facts("dst=10.0.0.1:23 look=!gone"), &[]);
    assert_eq!(ends(&failed), [End::Refused]);
    assert!(matches!(facts("look=!gone").sought.look, Fact::Failed(_)));
}

/// Logic stops as early as in the walk: what it does not come to asks for nothing.
#[test]
fn logic_stops_where_the_walk_does() {
    let both = |first, second| Condition::And(vec![first, second]);
    let body = vec![
        rule(1, both(port(25), set(0, Asks::Resolve)), RESET),
        rule(
            2,
            Condition::Or(vec![port(443), set(0, Asks::Resolve)]),
            PROXY,
        ),
        leaf(3, DIRECT),
    ];
    let policy = with_sets(policy(body), vec![RuleSet::new("ads", "ads.txt")]);
    let check = |port: u16, expected: &str| {
        let words = format!("dst=a.test:{port} {NOTHING}");
        assert_eq!(told(&policy, &words, &[SetId(0)]), expected);
    };
    check(443, "proxy by 2");
    check(80, "proxy by 2, direct by 3");
    check(25, "reset by 1, proxy by 2, direct by 3");
}

/// An exception stands above all else in a list, and nobody knows yet whether it is for the flow.
#[test]
fn a_name_that_nobody_knows_yet_may_be_excepted() {
    let mut list = RuleSetBuilder::new("list", "list.txt", Key::default());
    let (name, written) = (name("a.test"), "@@||a.test^");
    list.add(
        Item::ExceptSuffix((&name).into()),
        Place { line: 1, written },
    );
    list.add_other(port(443), 2, "DST-PORT,443");
    let body = vec![rule(1, set(0, Asks::Never), RESET), leaf(2, DIRECT)];
    let policy = with_sets(policy(body), vec![list.finish()]);
    let check = |words: &str, expected: &str| {
        assert_eq!(told(&policy, words, &[]), expected, "{words}");
    };
    check("dst=10.0.0.1:443", "reset by 1, direct by 2");
    check("dst=10.0.0.1:443 look=tls:a.test", "direct by 2");
    check("dst=10.0.0.1:443 look=tls:b.test", "reset by 1");
}

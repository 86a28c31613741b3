//! Rules on answers to queries, one case a line.

mod flow;

use flow::{DIRECT, PROXY, WORK, compiled, flow, name, not, policy, rule, set, suffix, with_sets};
use pointsman_policy::condition::{AnswerTest, Asks};
use pointsman_policy::model::{Policy, SetId};
use pointsman_policy::set::{Key, RuleSetBuilder};
use pointsman_policy::{Answered, Condition, Domain, OutboundId};

/// The end of an answer with these addresses and aliases; `none` where it is given.
fn ends(
    policy: &Policy,
    addresses: &str,
    aliases: &str,
    code: u16,
    tried: &[OutboundId],
) -> String {
    let addresses: Vec<_> = addresses
        .split_whitespace()
        .filter_map(|it| it.parse().ok())
        .collect();
    let aliases: Vec<Domain> = aliases.split_whitespace().map(name).collect();
    let answered = Answered {
        addresses: &addresses,
        aliases: &aliases,
        code,
        upstream: "isp",
        tried,
    };
    let mut facts = flow("dst=a.test:1 type=1");
    let decision = policy.decide_answer(&mut facts, &answered);
    let end = decision.and_then(|it| it.outbound);
    end.map_or_else(|| "none".into(), |it| policy.outbound(it).name.to_string())
}

fn one(test: AnswerTest) -> Policy {
    policy(vec![rule(1, Condition::Answer(test), PROXY)])
}

#[test]
fn each_test() {
    let check = |test: AnswerTest, addresses: &str, aliases: &str, code, expected: &str| {
        let got = ends(&one(test.clone()), addresses, aliases, code, &[]);
        assert_eq!(got, expected, "{test:?} of {addresses} {aliases} {code}");
    };
    let private = || AnswerTest::Address("10.0.0.0/8".parse().unwrap());
    check(private(), "192.0.2.1 10.1.2.3", "", 0, "proxy");
    check(private(), "192.0.2.1", "", 0, "none");
    check(private(), "", "", 0, "none");
    let under = || AnswerTest::AliasUnder(name("ads.test"));
    check(under(), "", "b.test x.ads.test", 0, "proxy");
    check(under(), "", "a.test", 0, "none");
    check(AnswerTest::Code(3), "", "", 3, "proxy");
    check(AnswerTest::Code(3), "", "", 0, "none");
    check(AnswerTest::Upstream("isp".into()), "", "", 0, "proxy");
    check(AnswerTest::Upstream("far".into()), "", "", 0, "none");
}

/// Of a query, and of a flow, there is no answer.
#[test]
fn without_an_answer_no_test_holds() {
    let negated = not(Condition::Answer(AnswerTest::Code(3)));
    for (condition, expected) in [
        (Condition::Answer(AnswerTest::Code(3)), None),
        (negated, Some(PROXY)),
    ] {
        let policy = policy(vec![rule(1, condition, PROXY)]);
        let decision = policy.decide_query(flow("dst=a.test:1 type=1"));
        assert_eq!(decision.and_then(|it| it.outbound), expected);
    }
}

#[test]
fn sets_are_asked_for_each_alias_and_the_name_stays_the_name() {
    let mut ads = RuleSetBuilder::new("ads", "ads.txt", Key::default());
    ads.add_suffix(name("tracker.test"), 1, "tracker.test");
    let policy = policy(vec![
        rule(
            1,
            Condition::And(vec![
                Condition::Answer(AnswerTest::AliasIn(SetId(0))),
                suffix("a.test"),
            ]),
            PROXY,
        ),
        rule(2, set(0, Asks::Never), DIRECT),
    ]);
    let policy = with_sets(policy, vec![ads.finish()]);
    assert_eq!(ends(&policy, "", "b.test x.tracker.test", 0, &[]), "proxy");
    assert_eq!(ends(&policy, "", "b.test", 0, &[]), "none");
}

/// A rule that leads to who was asked already is passed over, also where it is found by an index.
#[test]
fn ends_that_were_tried_do_not_count() {
    let always = || Condition::Answer(AnswerTest::Code(0));
    let plain = policy(vec![
        rule(1, suffix("a.test"), PROXY),
        rule(2, always(), WORK),
        rule(3, always(), DIRECT),
    ]);
    for policy in [compiled(&plain), plain] {
        assert_eq!(ends(&policy, "", "", 0, &[]), "proxy");
        assert_eq!(ends(&policy, "", "", 0, &[PROXY]), "work");
        assert_eq!(ends(&policy, "", "", 0, &[PROXY, WORK]), "direct");
        assert_eq!(ends(&policy, "", "", 0, &[PROXY, WORK, DIRECT]), "none");
    }
}

//! Rule list to tree and back: whatever form a policy is printed in, it decides every flow as it did,
//! and asks for the same facts in the same order.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_config::list_print::as_list;
use pointsman_config::outbounds::Outbounds;
use pointsman_config::problem::{Problems, Source, Span};
use pointsman_config::rule_list::{Fallback, RuleLists};
use pointsman_config::setup;
use pointsman_config::tree::print::as_tree;
use pointsman_config::tree::{Expansion, Lists, LowerContext, lower, parse};
use pointsman_config::yaml;
use pointsman_policy::condition::{
    Asks, Concerns, Condition, NumberField, TextField, TextTest, ZoneOf,
};
use pointsman_policy::decision::Step;
use pointsman_policy::fact::{Fact, Facts};
use pointsman_policy::line::Scope;
use pointsman_policy::model::{
    Arm, ArmKey, Node, OnUnknown, OutboundId, Policy, Select, SelectOn, SetId,
};
use pointsman_policy::request::RequestId;
use pointsman_policy::rewrite::Rewrite;
use pointsman_policy::set::RuleSet;
use pointsman_policy::{Need, zone};
use proptest::prelude::*;
use regex::RegexBuilder;

#[path = "../../pointsman-policy/tests/flow/mod.rs"]
mod flow;
#[path = "../../pointsman-policy/tests/random/mod.rs"]
mod random;

/// What a policy lists: rule sets or zones; no configuration has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sets,
    Zones,
}

/// The same policy with lists of one kind alone, sets under names of their own.
fn only(policy: &Policy, kind: Kind) -> Policy {
    let sets = policy.sets.iter().enumerate().map(|(number, set)| {
        let mut set = RuleSet::clone(set);
        set.name = format!("set {number}").into();
        Arc::new(set)
    });
    Policy {
        sets: sets.collect(),
        body: {
            let nodes = Only(kind).nodes(&policy.body);
            nodes.into()
        },
        ..policy.clone()
    }
}

/// Turns what a policy refers to into lists of one kind.
struct Only(Kind);

impl Rewrite for Only {
    fn select(&mut self, mut select: Select) -> Node {
        let SelectOn::Zone(of, asks) = select.on else {
            return Node::Select(select);
        };
        if self.0 == Kind::Zones {
            // The language says of zones that they resolve.
            select.on = SelectOn::Zone(of, Asks::Resolve);
            return Node::Select(select);
        }
        let arm = |arm: Arm| {
            let ArmKey::Zone(zone) = arm.key else {
                unreachable!("arms of zones have zones");
            };
            Node::When {
                condition: self.test(&Condition::Zone(of, zone, asks)),
                then: Box::new(arm.then),
                otherwise: None,
                origin: arm.origin,
            }
        };
        Node::Any(select.arms.into_iter().map(arm).collect())
    }

    fn test(&mut self, condition: &Condition) -> Condition {
        match (condition, self.0) {
            (Condition::Zone(_, zone, asks), Kind::Sets) => Condition::Set(SetId(zone.0), *asks),
            (Condition::Set(set, asks), Kind::Zones) => {
                Condition::Zone(ZoneOf::Address, zone::ZoneId(set.0), *asks)
            }
            // `under` is what the words mean of a country in a tree of zones, which have no database.
            (Condition::Country(..) | Condition::Asn(..), Kind::Zones) => Condition::Never,
            // Expressions on names never regard case; on other texts they say so themselves: `(?i)`.
            (Condition::Text(field, TextTest::Regex(regex)), _) => {
                let is_name = matches!(field, TextField::HttpHost | TextField::ServerName);
                let read = RegexBuilder::new(regex.as_str())
                    .case_insensitive(is_name)
                    .build();
                Condition::Text(*field, TextTest::Regex(read.unwrap()))
            }
            (other, _) => other.clone(),
        }
    }
}

/// The printed tree, read.
fn through_tree(policy: &Policy, kind: Kind) -> Policy {
    let text = as_tree(policy);
    let direct = setup::Kind::direct;
    let names = policy.outbounds.iter().map(|out| (&*out.name, direct()));
    let outbounds = Outbounds::with_builtins(names);
    let sets: Vec<Arc<str>> = policy.sets.iter().map(|set| set.name.clone()).collect();
    let context = LowerContext {
        outbounds: &outbounds,
        lists: match kind {
            Kind::Sets => Lists::Sets(&sets),
            Kind::Zones => Lists::Zones(&policy.zones),
        },
        trees: &BTreeMap::new(),
        concerns: Concerns::Answers,
        upstreams: &[],
    };
    let mut problems = Problems::default();
    let source = Source::new("tree", text.clone());
    let body = parse(&source, 0..text.len(), &mut problems)
        .and_then(|ast| lower(&ast, &context, &mut Expansion::default(), &mut problems));
    let Some(body) = body else {
        panic!("{text}\n{:#?}", problems.0);
    };
    Policy {
        body: body.into(),
        ..policy.clone()
    }
}

struct Known<'p>(&'p Policy, bool);

impl Scope for Known<'_> {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        let at = self.0.sets.iter().position(|set| *set.name == *name)?;
        Some(SetId(u32::try_from(at).unwrap()))
    }
    fn has_country_db(&self) -> bool {
        true
    }
    fn has_asn_db(&self) -> bool {
        true
    }
    fn ip_rules_resolve(&self) -> bool {
        self.1
    }
    fn concerns(&self) -> Concerns {
        Concerns::Queries
    }
}

/// The printed list, read.
fn through_list(policy: &Policy, text: &str) -> Policy {
    let mut problems = Problems::default();
    let source = Source::new("list", text.to_owned());
    let root = yaml::parse(&source, &mut problems).unwrap();
    let find = |name: &str, _: &Span, _: &mut Problems| {
        let mut outbounds = policy.outbounds.iter();
        let at = outbounds.position(|out| out.name.eq_ignore_ascii_case(name))?;
        Some(OutboundId(u32::try_from(at).unwrap()))
    };
    let scope = Known(policy, text.starts_with("# with `ip_rules_resolve: true`"));
    let lists = RuleLists {
        outbound: &find,
        scope: &scope,
        sets: &policy.sets,
    };
    let body = lists.read(&root, "the list", Fallback::Required, &mut problems);
    assert!(!problems.has_errors(), "{text}\n{:#?}", problems.0);
    Policy {
        body: body.into(),
        ..policy.clone()
    }
}

/// What becomes of a flow of which nothing is known at first: every question, then the answer.
fn course(policy: &Policy, whole: &Facts) -> (Vec<String>, String) {
    let mut facts = whole.clone();
    facts.sought.to_mut().look = Fact::Unknown;
    facts.sought.to_mut().resolved = Fact::Unknown;
    facts.sought.to_mut().owner = Fact::Unknown;
    facts.sought.to_mut().geo = Fact::Unknown;
    facts.sought.to_mut().local = Fact::Unknown;
    facts.sought.to_mut().verdicts.clear();
    let mut asked = Vec::new();
    loop {
        let need = match policy.decide(&facts) {
            Step::Need(need) => need,
            Step::NoRoute => return (asked, "no route".to_owned()),
            Step::Decided(decision) => {
                let name = decision.outbound.map(|id| policy.outbound(id).name.clone());
                return (
                    asked,
                    name.map_or_else(|| "refused".to_owned(), |name| name.to_string()),
                );
            }
        };
        let mut what = need.as_str().to_owned();
        match need {
            Need::Country => facts.sought.to_mut().geo = whole.sought.geo.clone(),
            Need::Local => facts.sought.to_mut().local = whole.sought.local.clone(),
            Need::Owner => facts.sought.to_mut().owner = whole.sought.owner.clone(),
            Need::Resolve => facts.sought.to_mut().resolved = whole.sought.resolved.clone(),
            Need::Sniff => facts.sought.to_mut().look = whole.sought.look.clone(),
            Need::Verdict(number) => {
                let subscriber = policy.body.request(number).unwrap().request.subscriber;
                what += &format!(" of {subscriber}");
                let verdict = whole.verdict(RequestId(subscriber)).clone();
                facts.answer(number, verdict);
            }
        }
        asked.push(what);
    }
}

/// Whether a look-up breaks: a list may then ask for more than a tree, and decides the same.
fn breaks(facts: &Facts) -> bool {
    matches!(facts.sought.dscp, Fact::Failed(_))
        || matches!(facts.sought.look, Fact::Failed(_))
        || matches!(facts.sought.resolved, Fact::Failed(_))
        || matches!(facts.sought.owner, Fact::Failed(_))
        || matches!(facts.sought.geo, Fact::Failed(_))
        || matches!(facts.sought.local, Fact::Failed(_))
}

/// Ends the policy and its sub-lists with a way out, as lists must.
fn ended(mut policy: Policy) -> Policy {
    fn end(nodes: &mut Vec<Node>) {
        nodes.iter_mut().for_each(within);
        nodes.push(flow::leaf(99, OutboundId(0)));
    }
    fn within(node: &mut Node) {
        match node {
            Node::Any(nodes) => nodes.iter_mut().for_each(within),
            Node::Sub { body, .. } => end(body),
            Node::When {
                then, otherwise, ..
            } => {
                within(then);
                otherwise.iter_mut().for_each(|node| within(node));
            }
            Node::Select(select) => select.arms.iter_mut().for_each(|arm| within(&mut arm.then)),
            Node::Instrument { .. }
            | Node::Leaf { .. }
            | Node::Request { .. }
            | Node::Resolve(_)
            | Node::Rule(_) => {}
        }
    }
    let mut body = policy.body.to_vec();
    end(&mut body);
    policy.body = body.into();
    policy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_decides_as_it_did(
        policy in random::any_policy(),
        kind in prop::sample::select(vec![Kind::Sets, Kind::Zones]),
        flows in prop::collection::vec(random::any_flow(), 4),
    ) {
        let policy = only(&policy, kind);
        let again = through_tree(&policy, kind);
        prop_assert_eq!(as_tree(&again), as_tree(&policy));
        for facts in flows {
            prop_assert_eq!(course(&again, &facts), course(&policy, &facts), "{}", as_tree(&policy));
        }
    }

    #[test]
    fn a_printed_list_decides_as_the_tree(
        policy in random::any_policy(),
        flows in prop::collection::vec(random::any_flow(), 4),
    ) {
        let policy = ended(only(&policy, Kind::Sets));
        let Ok(text) = as_list(&policy) else {
            return Ok(());
        };
        let list = through_list(&policy, &text);
        // A list is a tree, too, and says the same.
        let tree = through_tree(&list, Kind::Sets);
        let same = as_list(&tree).unwrap();
        // A rule that is never reached may have been the only one that resolves.
        if same.starts_with('#') == text.starts_with('#') {
            prop_assert_eq!(&same, &text);
        }
        for facts in flows {
            let (asked, decided) = course(&policy, &facts);
            let (asked_by_list, decided_by_list) = course(&list, &facts);
            prop_assert_eq!(&decided_by_list, &decided, "{}\n{}", text, as_tree(&policy));
            if !breaks(&facts) {
                prop_assert_eq!(asked_by_list, asked, "{}\n{}", text, as_tree(&policy));
            }
            prop_assert_eq!(course(&tree, &facts), course(&list, &facts));
        }
    }
}

/// A block is passed by where its condition is unknown; a rule goes on to what might say no.
#[test]
fn a_list_asks_for_more_where_a_fact_is_not_to_be_had() {
    let curl = Condition::Text(TextField::ParentName, TextTest::Exact("curl".into()));
    let when = Node::When {
        condition: flow::not(Condition::Number(NumberField::Dscp, 0..=1)),
        then: Box::new(flow::rule(2, curl, OutboundId(1))),
        otherwise: None,
        origin: flow::origin(1),
    };
    let policy = flow::policy(vec![when, flow::leaf(3, OutboundId(0))]);
    let list = through_list(&policy, &as_list(&policy).unwrap());
    let check = |words: &str, by_tree: &[&str], by_list: &[&str]| {
        let facts = flow::flow(words);
        let (asked, decided) = course(&policy, &facts);
        let (asked_by_list, decided_by_list) = course(&list, &facts);
        assert_eq!(decided_by_list, decided, "{words}");
        assert_eq!(
            (&*asked, &*asked_by_list),
            (&*words_of(by_tree), &*words_of(by_list))
        );
        assert!(asked == asked_by_list || breaks(&facts), "{words}");
    };
    check("dscp=46 owner=/bin/x<curl", &["owner"], &["owner"]);
    check("dscp=1 owner=/bin/x<curl", &[], &[]);
    check("dscp=!gone owner=/bin/x<curl", &[], &["owner"]);
}

fn words_of(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Most random policies can be written as lists, or the property above would say little.
#[test]
fn most_policies_can_be_written_as_lists() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut said, mut total) = (0, 0);
    for _ in 0..500 {
        let policy = random::any_policy()
            .new_tree(&mut runner)
            .unwrap()
            .current();
        if policy.on_unknown == OnUnknown::Skip {
            total += 1;
            said += usize::from(as_list(&ended(only(&policy, Kind::Sets))).is_ok());
        }
    }
    assert!(said * 3 > total, "{said} of {total}");
}

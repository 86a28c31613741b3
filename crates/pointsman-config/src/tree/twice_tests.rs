//! Policies of every kind are printed as trees, read again, and are still the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use pointsman_policy::Policy;
use pointsman_policy::condition::Concerns;
use pointsman_policy::line::{RuleLine, Scope, parse_rule};
use pointsman_policy::model::{Node, Rule, SetId};

use super::{Expansion, Lists, LowerContext, lower, parse, print};
use crate::damage;
use crate::files::Disk;
use crate::fuzz_checks;
use crate::list_print::as_list;
use crate::load::load;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Source};
use crate::setup::Kind;

/// The policy that the printed form of `policy` is.
fn read_again(policy: &Policy) -> Policy {
    let direct = Kind::direct;
    let names = policy
        .outbounds
        .iter()
        .map(|outbound| (&*outbound.name, direct()));
    let outbounds = Outbounds::with_builtins(names);
    let sets: Vec<Arc<str>> = policy
        .sets
        .iter()
        .map(|set| Arc::clone(&set.name))
        .collect();
    let context = LowerContext {
        outbounds: &outbounds,
        lists: Lists::Sets(&sets),
        trees: &BTreeMap::new(),
        concerns: Concerns::Answers,
        upstreams: &[],
    };
    let shown = print::as_tree(policy);
    let mut problems = Problems::default();
    let source = Source::open("again", shown.clone());
    let body = parse(&source, 0..shown.len(), &mut problems)
        .and_then(|ast| lower(&ast, &context, &mut Expansion::default(), &mut problems));
    let Some(body) = body else {
        panic!("{shown}\n{:?}", problems.0);
    };
    Policy {
        body: body.into(),
        ..policy.clone()
    }
}

/// Both printed forms stay what they were.
fn check(policy: &Policy) {
    let again = read_again(policy);
    assert_eq!(print::as_tree(&again), print::as_tree(policy));
    assert_eq!(as_list(&again), as_list(policy));
}

#[test]
fn the_samples_policies() {
    for sample in [
        "boltconn/config.yml",
        "policy-router/config.toml",
        "bitflow/config.yaml",
    ] {
        let Some(path) = damage::shared("samples") else {
            return;
        };
        let loaded = load(&path.join(sample), None, None, &Disk);
        let Some(setup) = loaded.setup else {
            panic!("{sample}: {:?}", loaded.problems.0);
        };
        assert!(!setup.policies.is_empty(), "{sample}");
        for policy in &setup.policies {
            check(policy);
        }
    }
}

/// Rule sets `ads` and `my set`, both databases.
struct All(bool);

impl Scope for All {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        let known = [("ads", 0), ("my set", 1)];
        let (_, id) = known.into_iter().find(|(known, _)| *known == name)?;
        Some(SetId(id))
    }

    fn has_country_db(&self) -> bool {
        true
    }

    fn has_asn_db(&self) -> bool {
        true
    }

    fn ip_rules_resolve(&self) -> bool {
        self.0
    }

    fn upstream(&self, name: &str) -> Option<Arc<str>> {
        Some(name.into())
    }

    fn concerns(&self) -> Concerns {
        Concerns::Answers
    }
}

fn plain() -> impl Strategy<Value = String> {
    let known = [
        "ALWAYS",
        "NEVER",
        "ASN, 13335",
        "DOMAIN, example.com",
        "DOMAIN-KEYWORD, google",
        "DOMAIN-REGEX, '^a[0-9]+\\.example$'",
        "DOMAIN-SUFFIX, example.org",
        "DST-ADDR-TYPE, IPV6",
        "DST-PORT, 443",
        "DST-PORT, 53/udp",
        "DST-PORT, 80|8000-8100",
        "GEOIP, CN",
        "INBOUND, alice@socks5:1080",
        "INBOUND, mixed",
        "IP-CIDR, 10.0.0.0/8",
        "IP-CIDR6, ::1/128",
        "LOCAL-IP-CIDR, 192.168.0.0/16",
        "NETWORK, udp",
        "OUT-IP-CIDR, 10.0.0.0/8",
        "PROC-CMD-REGEX, '(curl|wget) .*\\.org'",
        "PROC-PATH-KEYWORD, 'a \"b\"'",
        "PROCESS-KEYWORD, fox",
        "PROCESS-NAME, firefox",
        "PROCESS-NAME, 'a, b'",
        "RULE-SET, ads",
        "RULE-SET, my set",
        "SRC-IP-CIDR, 10.0.0.0/8",
        "SRC-PORT, 1",
    ];
    prop::sample::select(known.to_vec()).prop_map(str::to_owned)
}

fn condition() -> impl Strategy<Value = String> {
    plain().prop_recursive(3, 12, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 2..4);
        let join = |word: &str, parts: Vec<String>| format!("{word}, [{}]", parts.join("], ["));
        prop_oneof![
            inner.prop_map(|part| format!("NOT, [{part}]")),
            some.clone().prop_map(move |parts| join("AND", parts)),
            some.prop_map(move |parts| join("OR", parts)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rule_lists(
        conditions in prop::collection::vec((condition(), any::<bool>()), 1..6),
        resolves: bool,
    ) {
        let mut body = Vec::new();
        for (condition, flagged) in conditions {
            let flag = if flagged { ", no-resolve" } else { "" };
            let line = format!("{condition}, direct{flag}");
            let Ok(RuleLine::Rule { condition, .. }) = parse_rule(&line, &All(resolves)) else {
                panic!("{line}: {:?}", parse_rule(&line, &All(resolves)));
            };
            body.push(Node::Rule(Rule {
                condition,
                outbound: pointsman_policy::OutboundId(1),
                origin: pointsman_policy::model::Origin::default(),
                class: None,
            }));
        }
        check(&fuzz_checks::policy(body).unwrap());
    }
}

//! The checks of the tree language and of reflow's files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pointsman_policy::condition::Concerns;
use pointsman_policy::geo::GeoDatabases;
use pointsman_policy::model::{DomainOrder, OnUnknown};
use pointsman_policy::set::RuleSet;
use pointsman_policy::zone::Zones;
use pointsman_policy::{Node, Policy};

use crate::files::Memory;
use crate::list_print::as_list;
use crate::load::load;
use crate::outbounds::Outbounds;
use crate::problem::{Problems, Source};
use crate::setup::{Kind, Refusal};
use crate::tree::print::as_tree;
use crate::tree::{self, Expansion, Lists, LowerContext};

use super::{check_problem, check_setup};

/// Trees with rule sets: what is wrong is told within the text, and what is printed is read back as
/// what was printed.
pub fn check_tree(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (body, problems) = lowered(text);
    told_within(&problems);
    let Some(body) = body else {
        assert!(problems.has_errors(), "no tree, and no reason");
        return;
    };
    let Some(policy) = policy(body) else { return };
    let shown = as_tree(&policy);
    check_list(&policy);
    let (again, problems) = lowered(&shown);
    let again = again.and_then(self::policy);
    assert!(again.is_some(), "{shown}\n{:?}", problems.0);
    if let Some(again) = again {
        assert_eq!(as_tree(&again), shown);
    }
}

/// reflow's `config` beside some zones: it loads or is refused for a reason, and its policies can be
/// printed.
pub fn check_reflow(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let files = Memory::new([
        ("c/config", text),
        ("c/namezone/hidden", "com.hidden\n"),
        ("c/addrzone/home", "10.0.0.0/8\n"),
        // A zone file is text from elsewhere, too.
        ("z/config", "rule r = direct"),
        ("z/namezone/a", text),
        ("z/addrzone/a", text),
    ]);
    for directory in ["c", "z"] {
        let loaded = load(Path::new(directory), None, None, &files);
        told_within(&loaded.problems);
        let Some(setup) = loaded.setup else {
            assert!(loaded.problems.has_errors(), "refused without a reason");
            continue;
        };
        check_setup(&setup);
        for policy in setup.policies {
            assert!(!as_tree(&policy).is_empty());
            check_list(&policy);
        }
    }
}

/// A list, or the reasons why there is none.
fn check_list(policy: &Policy) {
    match as_list(policy) {
        Ok(list) => assert!(list.contains("- FALLBACK, ")),
        Err(unsaid) => assert!(!unsaid.is_empty() && !unsaid[0].to_string().is_empty()),
    }
}

/// The names of the rule sets that [`lowered`] knows.
const SETS: [&str; 2] = ["ads", "my set"];

fn outbounds() -> Outbounds {
    let direct = Kind::direct;
    Outbounds::with_builtins([
        ("direct", direct()),
        ("reset", Kind::Refuse(Refusal::Reset)),
        ("reject", Kind::Refuse(Refusal::Reject)),
        ("blackhole", Kind::Refuse(Refusal::Blackhole)),
        ("proxy", direct()),
        ("My Proxy", direct()),
        ("any", direct()),
    ])
}

/// A tree with rule sets, lowered; `named` is a named tree. `None` where there is an error.
#[must_use]
pub fn lowered(text: &str) -> (Option<Vec<Node>>, Problems) {
    let mut problems = Problems::default();
    let source = Source::open("t", text.to_owned());
    let names = SETS.map(Arc::from);
    let named = Source::open("n", "any [ reset ]".into());
    let named = tree::parse(&named, 0..named.text.len(), &mut problems);
    let trees: BTreeMap<_, _> = named
        .map(|tree| ("named".to_owned(), tree))
        .into_iter()
        .collect();
    let outbounds = outbounds();
    let context = LowerContext {
        outbounds: &outbounds,
        lists: Lists::Sets(&names),
        trees: &trees,
        concerns: Concerns::Answers,
        upstreams: &[],
    };
    let ast = tree::parse(&source, 0..text.len(), &mut problems);
    let body =
        ast.and_then(|ast| tree::lower(&ast, &context, &mut Expansion::default(), &mut problems));
    (body.filter(|_| !problems.has_errors()), problems)
}

/// A policy of this body; `None` never happens.
#[must_use]
pub fn policy(body: Vec<Node>) -> Option<Policy> {
    let outbounds = outbounds();
    let direct = outbounds.find("direct")?;
    let (_, infos) = outbounds.finish();
    Some(Policy {
        name: "main".into(),
        outbounds: infos,
        direct,
        body: body.into(),
        sets: SETS.map(|name| Arc::new(RuleSet::new(name, "x"))).into(),
        zones: Arc::new(Zones::default()),
        databases: Arc::new(GeoDatabases::default()),
        domain_order: DomainOrder::default(),
        on_unknown: OnUnknown::default(),
    })
}

fn told_within(problems: &Problems) {
    problems.0.iter().for_each(check_problem);
}

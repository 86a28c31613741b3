//! What must hold for any bytes at all: functions that panic where it does not, shared by the fuzz
//! targets, the replay of their corpus and the tests with damaged samples.

use std::path::PathBuf;

use crate::case;
use crate::explain::{Detail, First, explain};
use crate::files::Memory;
use crate::flow::Query;
use crate::input::Input;
use crate::list::Shelf;
use crate::load::load_text;
use crate::problem::{Problem, Problems, Source};
use crate::setup::{Dialect, Setup};

mod binary_lists;
mod lists;
#[cfg(test)]
mod tests;
mod trees;
#[cfg(test)]
mod trees_tests;

pub use binary_lists::check_binary_list;
#[cfg(test)]
pub(crate) use binary_lists::list_of;
pub use lists::check_list;
pub use trees::{check_reflow, check_tree, lowered, policy};

/// Checks the bitflow reader; see [`check_dialect`].
pub fn check_bitflow(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_dialect(Dialect::Bitflow, "config.yaml", text);
    }
}

/// Checks the BoltConn reader; see [`check_dialect`].
pub fn check_boltconn(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_dialect(Dialect::Boltconn, "config.yml", text);
    }
}

/// Checks the native reader; see [`check_dialect`].
pub fn check_native(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_dialect(Dialect::Native, "pointsman.yaml", text);
    }
}

/// Checks the policy-router reader; see [`check_dialect`].
pub fn check_policy_router(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_dialect(Dialect::PolicyRouter, "config.toml", text);
    }
}

/// Checks flows in words, as JSON and in case files: what is read puts itself into a configuration
/// and is explained, and what is refused says why.
///
/// # Panics
/// When a promise is broken.
pub fn check_flow_words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let setup = flow_setup();
    match Query::parse(text) {
        Ok(query) => match explain(&setup, &query, &First, Detail::Full) {
            Ok(explanation) => {
                assert!(explanation.decision.outbound.is_some(), "{text}");
                assert!(!explanation.reason.is_empty() && !explanation.trace.is_empty());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        },
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let (cases, failures) = case::parse("x.case", text);
    assert!(cases.len() + failures.len() <= text.lines().count());
    for case in cases {
        // A case is read again as it was written, where it holds no line end.
        assert!(
            !case.expect.is_empty() && !case.flow.contains('\n'),
            "{case:?}"
        );
    }
}

/// A policy that has a way out for every flow.
fn flow_setup() -> Setup {
    let text =
        "[defaults]\negress = \"d\"\n[egress.d]\ntype = \"direct\"\n[rules.app]\nd = [\"a\"]\n";
    let files = Memory::default();
    let input = Input {
        source: Source::new("config.toml", text.to_owned()),
        path: PathBuf::from("config.toml"),
        directory: PathBuf::new(),
        files: &files,
        state: None,
        shelf: &Shelf::fresh(),
        lists: Default::default(),
        patience: Default::default(),
    };
    let loaded = load_text(input, Some(Dialect::PolicyRouter), Problems::default());
    let Some(setup) = loaded.setup else {
        unreachable!("the text above is right: {:?}", loaded.problems);
    };
    setup
}

/// Checks that a text gives a configuration or an error, never neither and never both; that every
/// problem's place lies within its text; that numbers in the configuration name what is there.
///
/// # Panics
/// When a promise is broken.
pub fn check_dialect(dialect: Dialect, name: &str, text: &str) {
    let files = Memory::default();
    let input = Input {
        source: Source::new(name, text.to_owned()),
        path: PathBuf::from(name),
        directory: PathBuf::new(),
        files: &files,
        state: None,
        shelf: &Shelf::fresh(),
        lists: Default::default(),
        patience: Default::default(),
    };
    let loaded = load_text(input, Some(dialect), Problems::default());
    assert_ne!(
        loaded.setup.is_some(),
        loaded.problems.has_errors(),
        "a configuration or an error: {text}"
    );
    for problem in &loaded.problems.0 {
        check_problem(problem);
    }
    if let Some(setup) = &loaded.setup {
        check_setup(setup);
    }
}

/// Loads 1000 damaged variants of a text; see [`check_dialect`] for what must hold.
#[cfg(test)]
pub(crate) fn survives_damage(dialect: Dialect, name: &str, text: &str) {
    for bytes in crate::damage::variants(text.as_bytes()) {
        check_dialect(dialect, name, &String::from_utf8_lossy(&bytes));
    }
}

fn check_problem(problem: &Problem) {
    let text = &problem.span.source.text;
    let within = text.get(problem.span.start..problem.span.end);
    assert!(within.is_some(), "a place within the text: {problem:?}");
    assert!(!problem.sentence().is_empty() && !problem.to_string().is_empty());
}

fn check_setup(setup: &Setup) {
    let outbounds = setup.outbounds.len();
    for policy in &setup.policies {
        assert_eq!(policy.outbounds.len(), outbounds);
    }
    for inbound in &setup.inbounds {
        assert!(inbound.policy.0 < setup.policies.len());
        let resolver = inbound.resolver.map_or(0, |id| id.0 + 1);
        assert!(resolver <= setup.resolvers.len());
    }
    for forward in &setup.forwards {
        assert!(forward.policy.0 < setup.policies.len());
        assert!((forward.group.0 as usize) < outbounds);
        assert!(!forward.listen.is_empty() && setup.targets_of(forward).next().is_some());
    }
}

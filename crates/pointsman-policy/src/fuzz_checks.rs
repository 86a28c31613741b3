//! What must hold for any bytes at all: functions that panic where it does not, shared by the fuzz
//! targets and the replay of their corpus.

use std::sync::Arc;

use crate::condition::{Concerns, Condition, DomainTest};
use crate::domain::Domain;
use crate::ids::SetId;
use crate::key::Key;
use crate::line::{
    MAX_LENGTH, Names, RuleLine, Scope, parse_condition, parse_rule, render_condition,
};
use crate::set::{RuleSet, cache};
use crate::zone::Zones;

mod plans;
#[cfg(test)]
mod tests;

pub use plans::check_plan;

/// Surroundings that offer everything.
struct Everything;

impl Scope for Everything {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        (name == "set").then_some(SetId(0))
    }
    fn has_country_db(&self) -> bool {
        true
    }
    fn has_asn_db(&self) -> bool {
        true
    }
    fn ip_rules_resolve(&self) -> bool {
        true
    }
    fn upstream(&self, name: &str) -> Option<Arc<str>> {
        Some(name.into())
    }
    fn concerns(&self) -> Concerns {
        Concerns::Answers
    }
}

/// Checks that a line is a rule or an error whose place lies within it, and that a condition that
/// is printed is read back as the same.
///
/// # Panics
/// When a promise is broken.
pub fn check_rule_line(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else {
        return;
    };
    match parse_rule(line, &Everything) {
        Ok(RuleLine::Rule {
            condition,
            outbound,
            no_resolve: _,
        }) => {
            assert!(line.get(outbound.start..outbound.end).is_some());
            let sets = [Arc::new(RuleSet::new("set", "set"))];
            let names = Names {
                sets: &sets,
                zones: &Zones::default(),
                ip_rules_resolve: true,
            };
            let printed = render_condition(&condition, names);
            // Printing may write more than was read: `[a]` becomes `'[a]'`.
            if printed.len() <= MAX_LENGTH {
                match parse_condition(&printed, &Everything) {
                    Ok(again) => assert_eq!(format!("{condition:?}"), format!("{again:?}")),
                    Err(error) => panic!("{printed}: {error}"),
                }
            }
        }
        Ok(RuleLine::Fallback { outbound }) => {
            assert!(line.get(outbound.start..outbound.end).is_some());
        }
        Err(error) => {
            assert!(line.get(error.start..error.end).is_some(), "{error:?}");
            assert!(!error.message.is_empty());
        }
    }
}

/// Checks that bytes are a rule set or an error, also behind a valid checksum; that such a set answers
/// whatever it is asked; and that it is written and read again.
///
/// # Panics
/// When a promise is broken.
pub fn check_set_cache(bytes: &[u8]) {
    const KEY: Key = Key([1, 2]);
    let read = |bytes: &[u8]| {
        RuleSet::from_bytes("set", "set", KEY, bytes, |_, text| {
            let keyword = Condition::Domain(DomainTest::Keyword(text.into()));
            (!text.is_empty()).then_some(keyword)
        })
    };
    // The checksum keeps chance away from the rest: once as it is, once made valid.
    let mut sealed = bytes.to_vec();
    cache::seal(KEY, &mut sealed);
    for bytes in [bytes, &sealed] {
        let Ok(set) = read(bytes) else {
            continue;
        };
        for name in ["a", "b.a", "c.b.a", "www.example.com"] {
            let Ok(name) = Domain::parse(name) else {
                continue;
            };
            if let Some(found) = set.find_name(&name) {
                assert!(
                    found
                        .name()
                        .is_some_and(|found| name.as_str().ends_with(found))
                );
                assert_eq!(set.entry(found).line, found.line().unwrap_or(0));
            }
        }
        for address in [[10, 0, 0, 1], [192, 168, 1, 1]] {
            if let Some(found) = set.find_address(address.into()) {
                assert!(set.entry(found).file == set.file);
            }
        }
        match read(&set.to_bytes()) {
            Ok(again) => assert_eq!(again.len(), set.len()),
            Err(error) => panic!("{error}"),
        }
    }
}

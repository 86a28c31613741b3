//! What must hold for any bytes at all: functions that panic where it does not, shared by the fuzz
//! targets and the replay of their corpus.

use std::sync::Arc;

use crate::line::{
    MAX_LENGTH, Names, RuleLine, Scope, parse_condition, parse_rule, render_condition,
};
use crate::model::SetId;
use crate::set::RuleSet;
use crate::zone::Zones;

#[cfg(test)]
mod tests;

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

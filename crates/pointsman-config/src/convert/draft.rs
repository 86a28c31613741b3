//! A native configuration that is put together from another program's.
//!
//! Invariant: a rule is added when the native language reads it, else it is reported; no rule is
//! added in a wider form.

use pointsman_policy::line::{Scope, parse_condition};
use pointsman_policy::model::SetId;

use super::emit::{Map, Page};
use super::{Conversion, Report};
use crate::list_print::yaml_text;

/// The parts of the file.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) from: &'static str,
    pub(super) head: Vec<String>,
    pub(super) inbounds: Map,
    pub(super) outbounds: Map,
    pub(super) rule_sets: Map,
    pub(super) dns: Map,
    /// Names of rule sets.
    pub(super) sets: Vec<String>,
    rules: Vec<String>,
    ended: bool,
    pub(super) report: Report,
}

impl Draft {
    /// An empty one.
    pub(super) fn new(from: &'static str) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    /// Adds a rule: a condition in the words of rule lists, and a way out by its name.
    pub(super) fn rule(&mut self, place: &str, written: &str, condition: &str, out: &str) {
        if let Err(error) = parse_condition(condition, &Sets(&self.sets)) {
            self.left_out(place, written, &error.to_string());
            return;
        }
        let rule = match condition.strip_suffix(", no-resolve") {
            Some(condition) => format!("{condition}, {}, no-resolve", line_text(out)),
            None => format!("{condition}, {}", line_text(out)),
        };
        self.add(rule);
    }

    /// Ends the list.
    pub(super) fn fallback(&mut self, out: &str) {
        let rule = format!("FALLBACK, {}", line_text(out));
        self.add(rule);
        self.ended = true;
    }

    /// Adds an item that is no rule.
    pub(super) fn step(&mut self, item: &str) {
        self.add(item.to_owned());
    }

    fn add(&mut self, rule: String) {
        // Behind the fallback nothing is reached.
        if !self.ended {
            self.rules.push(rule);
        }
    }

    /// Says of a rule that it is not there.
    pub(super) fn left_out(&mut self, place: &str, written: &str, why: &str) {
        let what = format!(
            "`{written}` is left out ({why}): flows that it took now fall to the rules below"
        );
        self.report.lost(place, what);
    }

    pub(super) fn finish(mut self) -> Conversion {
        if !self.ended {
            self.fallback("DIRECT");
        }
        let mut page = Page::default();
        page.line(0, &format!("# Converted from {}.", self.from));
        page.line(0, "version: 1");
        for line in &self.head {
            page.line(0, line);
        }
        page.section("inbounds", &self.inbounds);
        page.section("outbounds", &self.outbounds);
        page.section("rule_sets", &self.rule_sets);
        page.section("dns", &self.dns);
        page.line(0, "");
        page.line(0, "rules:");
        for rule in &self.rules {
            page.line(1, &format!("- {}", yaml_text(rule)));
        }
        Conversion {
            text: page.finish(),
            report: self.report.0,
        }
    }
}

/// Whether a rule may be an entry of a set: entries name no sets.
pub(super) fn stands_alone(rule: &str) -> bool {
    parse_condition(rule, &Sets(&[])).is_ok()
}

/// A value as rule lines take it.
pub(super) fn line_text(value: &str) -> String {
    crate::list_print::line_text(value)
}

struct Sets<'a>(&'a [String]);

impl Scope for Sets<'_> {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        let at = self.0.iter().position(|known| known == name)?;
        u32::try_from(at).ok().map(SetId)
    }
    fn has_country_db(&self) -> bool {
        false
    }
    fn has_asn_db(&self) -> bool {
        false
    }
    fn ip_rules_resolve(&self) -> bool {
        true
    }
}

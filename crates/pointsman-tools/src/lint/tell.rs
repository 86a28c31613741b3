//! Findings about rules that never match, in words.

use std::collections::HashSet;

use pointsman_policy::Policy;
use pointsman_policy::model::{Node, Origin};

use super::clipped;
use super::reach::Dead;
use super::search::{Takers, Why};
use pointsman_config::places::Places;
use pointsman_config::problem::{About, Problem, Problems, Severity};

/// A finding about a rule.
pub(super) struct Finding {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    pub(super) origin: Origin,
    pub(super) message: String,
    pub(super) hint: String,
    pub(super) related: Option<(Origin, String)>,
}

impl Finding {
    /// Whether it is about inbounds: of a rule that other inbounds have, too, it must be true there.
    pub(super) fn of_inbounds(&self) -> bool {
        matches!(self.code, "client-elsewhere" | "program-elsewhere")
    }
}

/// Tells of findings.
pub(super) struct Tell<'t, 'a> {
    places: &'t mut Places<'a>,
    problems: &'t mut Problems,
    /// What the dialect's reader said already: file, line, pattern.
    known: HashSet<(String, u32, String)>,
}

impl<'t, 'a> Tell<'t, 'a> {
    pub(super) fn new(places: &'t mut Places<'a>, problems: &'t mut Problems) -> Self {
        let known = problems.0.iter().filter_map(|problem| {
            let Some(About::Pattern(pattern)) = &problem.about else {
                return None;
            };
            let (file, line) = (problem.span.file().to_string(), problem.span.line());
            Some((file, line, pattern.clone()))
        });
        Self {
            known: known.collect(),
            places,
            problems,
        }
    }

    /// Tells of one finding.
    pub(super) fn finding(&mut self, finding: &Finding) {
        let message = finding.message.clone();
        self.push(finding.code, finding.severity, &finding.origin, message);
        let related = finding.related.as_ref();
        let related = related.map(|(origin, why)| (origin, why.as_str()));
        self.finish(&finding.hint, related);
    }

    /// Tells of one rule.
    pub(super) fn dead(&mut self, policy: &Policy, dead: &Dead<'_>) {
        let Some(why) = &dead.why else { return };
        let rule = clipped(&dead.origin.text);
        match why {
            Why::Behind(after, rest) => {
                let behind = match rest {
                    0 => String::new(),
                    1 => " (nor is the one behind it)".to_owned(),
                    more => format!(" (nor are the {more} behind it)"),
                };
                let message = format!(
                    "`{rule}` is never reached{behind}: `{}` before it takes every flow",
                    clipped(&after.text)
                );
                let hint = "remove what is never reached, or move it up";
                self.push("shadowed-rule", Severity::Warning, dead.origin, message);
                self.finish(hint, Some((after, "this one takes every flow")));
            }
            Why::Empty(what) if dead.hangs => {
                let message = format!(
                    "`{rule}` matches nothing with the fetched lists as they are now: {what}"
                );
                self.push("empty-set", Severity::Note, dead.origin, message);
                let hint = "if it stays so, see whether its address and its format are still the right ones";
                self.finish(hint, None);
            }
            Why::Empty(what) => {
                let message = format!("`{rule}` never matches: {what}");
                self.push("empty-set", Severity::Warning, dead.origin, message);
                let hint = "fill the list, or check that its format is the one that is given";
                self.finish(hint, None);
            }
            Why::Given(why) => {
                let message = format!("`{rule}` never matches: {why}");
                self.push("never-given", Severity::Warning, dead.origin, message);
                let hint = "remove it, or add an inbound that gives what it asks for";
                self.finish(hint, None);
            }
            Why::Impossible(why) => {
                let message = format!("`{rule}` never matches: {why}");
                self.impossible(Severity::Warning, dead.origin, message);
            }
            // Whoever writes `NEVER` knows.
            Why::Off => {
                let message = format!("`{rule}` never matches");
                self.impossible(Severity::Note, dead.origin, message);
            }
            Why::Taken(by) => self.taken(policy, dead, by),
        }
    }

    fn impossible(&mut self, severity: Severity, origin: &Origin, message: String) {
        self.push("impossible-rule", severity, origin, message);
        let hint = "remove it, or correct its condition: write `OR` where one of several is enough";
        self.finish(hint, None);
    }

    fn taken(&mut self, policy: &Policy, dead: &Dead<'_>, by: &Takers<'_>) {
        let Some(first) = by.first.first() else {
            return;
        };
        if self.said_already(policy, dead.origin) {
            return;
        }
        let rule = clipped(&dead.origin.text);
        let same = dead.outbound.filter(|own| by.outbounds == [Some(*own)]);
        let (severity, hint) = match same {
            Some(own) => {
                let name = &policy.outbound(own).name;
                let hint = format!("both lead to `{name}`: remove this one");
                (Severity::Note, hint)
            }
            None if dead.hangs => {
                let hint = "leave it for a time when the list is another; else move it above the rule that takes its flows";
                (Severity::Note, hint.to_owned())
            }
            None => {
                let hint = "remove it, or move it above the rule that takes its flows";
                (Severity::Warning, hint.to_owned())
            }
        };
        let takers = by.first.iter().map(|origin| {
            format!(
                "`{}` ({}:{})",
                clipped(&origin.text),
                origin.file,
                origin.line
            )
        });
        let takers = takers.collect::<Vec<_>>().join(", ");
        let takers = match (by.first.len(), by.more()) {
            (1, 0) => format!("an earlier rule takes all its flows: {takers}"),
            (_, 0) => format!("earlier rules together take all its flows: {takers}"),
            (_, more) => {
                format!("earlier rules together take all its flows: {takers} and {more} more")
            }
        };
        let message = match dead.hangs {
            true => {
                format!("`{rule}` never matches with the fetched lists as they are now: {takers}")
            }
            false => format!("`{rule}` never matches: {takers}"),
        };
        self.push("shadowed-rule", severity, dead.origin, message);
        self.finish(&hint, Some((first, "this rule comes first")));
    }

    /// Whether the dialect's reader told of this pattern: app and domain rules of one kind.
    fn said_already(&self, policy: &Policy, origin: &Origin) -> bool {
        if self.known.is_empty() {
            return false;
        }
        let own = policy.body.iter().find_map(|node| match node {
            Node::Rule(rule) if std::ptr::eq(&rule.origin, origin) => rule.class.as_ref(),
            _ => None,
        });
        own.is_some_and(|class| {
            let key = (
                origin.file.to_string(),
                origin.line,
                class.pattern.to_string(),
            );
            self.known.contains(&key)
        })
    }

    fn push(&mut self, code: &'static str, severity: Severity, origin: &Origin, message: String) {
        let span = self.places.of(origin);
        let problem = Problem::new(severity, code, span, message);
        self.problems.add(problem);
    }

    /// Says of the last one what to do.
    fn finish(&mut self, hint: &str, related: Option<(&Origin, &str)>) {
        let related = related.map(|(origin, why)| (self.places.of(origin), why.to_owned()));
        if let Some(problem) = self.problems.last_mut() {
            problem.hint = Some(hint.to_owned());
            problem.related = related;
        }
    }
}

//! What reports say: of alternatives that are lost, in the order of the lines, each sentence once.

use std::collections::HashMap;

use super::Remark;
use super::draft::Draft;

/// So many lines are named.
const MOST_NAMED: usize = 3;

/// Keys, each as it is written.
pub(super) fn words(keys: &[&str]) -> String {
    format!("`{}`", keys.join("`, `"))
}

/// That one thing, or several, are not in the result.
pub(super) fn left(count: usize) -> &'static str {
    match count {
        1 => "is not carried over",
        _ => "are not carried over",
    }
}

impl Draft {
    /// Says of a rule's alternatives that they are not there, each with the reason why.
    pub(super) fn parts_lost(
        &mut self,
        place: &str,
        written: &str,
        parts: &[(String, String)],
        out: &str,
    ) {
        let did = match out {
            "BLACKHOLE" | "REJECT" => "refused",
            _ => "took",
        };
        for (part, why) in parts {
            let what = format!(
                "`{part}` of `{written}` is left out ({why}): flows that the rule {did} only for that now go to the \
                 rules below"
            );
            self.report.lost(place, what);
        }
    }
}

/// Puts remarks in the order of the lines of the file `name`. What is about other files stands behind
/// these, and what is about the whole is last.
pub(super) fn in_order(report: &mut [Remark], name: &str) {
    report.sort_by_key(|remark| (remark.place.is_empty(), line(&remark.place, name)));
}

/// A report for people: what it says alike of several lines of the file `name` stands there once.
#[must_use]
pub fn folded(report: &[Remark], name: &str) -> Vec<Remark> {
    let mut firsts: HashMap<(&str, bool), usize> = HashMap::new();
    let mut kept: Vec<(Remark, Vec<u32>)> = Vec::new();
    for remark in report {
        let here = line(&remark.place, name);
        let first = *firsts
            .entry((&remark.text, remark.equal))
            .or_insert(kept.len());
        match kept.get_mut(first) {
            Some((_, lines)) if here != u32::MAX => lines.push(here),
            _ => kept.push((remark.clone(), Vec::new())),
        }
    }
    kept.into_iter()
        .map(|(mut remark, mut lines)| {
            let times = lines.len() + 1;
            lines.dedup();
            let named: Vec<String> = lines.iter().take(MOST_NAMED).map(u32::to_string).collect();
            let word = if lines.len() == 1 { "line" } else { "lines" };
            let rest = match lines.len().saturating_sub(MOST_NAMED) {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            if times > 1 {
                let also = format!(" ({times} times: also {word} {}{rest})", named.join(", "));
                remark.text.push_str(&also);
            }
            remark
        })
        .collect()
}

/// The line of a place in the file; behind all of them what is elsewhere.
fn line(place: &str, name: &str) -> u32 {
    let rest = place
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(':'));
    let digits = rest.map(|rest| rest.split(':').next().unwrap_or_default());
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(u32::MAX)
}

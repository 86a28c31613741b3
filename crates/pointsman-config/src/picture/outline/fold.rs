//! Rules that lead to the same way out, one after the other, as few rows.
//!
//! Rules that differ in their value alone are a run: one row, which shows the first three. Where many runs in a stretch
//! have the same way out, the whole stretch is one row: in which order it is tried changes nothing.

use pointsman_policy::model::{Node, Rule};

use super::{Outliner, Row, RowKind, row, told};
use crate::picture::scene::Runs;
use crate::tree::print::value_of;

/// How many values of a folded run are shown.
const SHOWN: usize = 3;
/// How many runs of a folded stretch are shown.
const SHOWN_RUNS: usize = 2;
/// The most runs with one way out that stand for themselves.
const LONG: usize = 8;
/// How many lines a tooltip has.
const TOLD: usize = 12;

impl Outliner<'_> {
    /// How many rules from the first on have its way out.
    pub(super) fn stretch(&self, nodes: &[Node]) -> usize {
        let Some(Node::Rule(first)) = nodes.first() else {
            return 1;
        };
        if self.runs == Runs::Open {
            return 1;
        }
        let same =
            |node: &&Node| matches!(node, Node::Rule(rule) if rule.outbound == first.outbound);
        nodes.iter().take_while(same).count().max(1)
    }

    /// The rows of a stretch of rules.
    pub(super) fn rules(&self, stretch: &[Node]) -> Vec<Row> {
        let rules = stretch.iter().filter_map(|node| match node {
            Node::Rule(rule) => Some(rule),
            _ => None,
        });
        let rules: Vec<&Rule> = rules.collect();
        let mut rows = Vec::new();
        let mut rest = &rules[..];
        while !rest.is_empty() {
            let (run, behind) = rest.split_at(self.run(rest));
            rows.push(self.one(run));
            rest = behind;
        }
        match rows.len() > LONG && self.runs == Runs::Folded {
            true => vec![one_of(rows, "; ", SHOWN_RUNS)],
            false => rows,
        }
    }

    /// Arms of one look-up, which lead somewhere each.
    pub(super) fn arms(&self, arms: Vec<Row>) -> Vec<Row> {
        if self.runs == Runs::Open {
            return arms;
        }
        let mut rows: Vec<Row> = Vec::new();
        let mut stretch: Vec<Row> = Vec::new();
        for arm in arms {
            let plain = arm.kind == RowKind::Rule && arm.target.is_some();
            if !plain
                || stretch
                    .first()
                    .is_some_and(|first| first.target != arm.target)
            {
                end(&mut rows, &mut stretch);
            }
            match plain {
                true => stretch.push(arm),
                false => rows.push(arm),
            }
        }
        end(&mut rows, &mut stretch);
        rows
    }

    /// How many rules from the first on differ in their value alone.
    fn run(&self, rules: &[&Rule]) -> usize {
        let key = |rule: &&Rule| {
            let (head, _, behind) = value_of(&rule.condition, self.policy)?;
            Some((subject(&head), behind, rule.outbound))
        };
        let Some(first) = rules.first().and_then(key) else {
            return 1;
        };
        if self.runs == Runs::Open {
            return 1;
        }
        let same = rules
            .iter()
            .take_while(|rule| key(rule).as_ref() == Some(&first));
        same.count().max(1)
    }

    /// A run as one row.
    fn one(&self, rules: &[&Rule]) -> Row {
        let values = rules
            .iter()
            .filter_map(|rule| value_of(&rule.condition, self.policy));
        let values: Vec<_> = values.take(SHOWN + 1).collect();
        let text = match (rules, values.as_slice()) {
            ([only], _) => self.text(&only.condition),
            (_, [(head, _, behind), ..]) => {
                let shown = if rules.len() > SHOWN + 1 {
                    SHOWN
                } else {
                    rules.len()
                };
                let shown: Vec<&str> = values.iter().take(shown).map(|(_, v, _)| &**v).collect();
                let behind = if subject(head) == "set" { "" } else { behind };
                let (more, comma) = match rules.len() - shown.len() {
                    0 => (String::new(), ""),
                    more if behind.is_empty() => (format!(", ... and {more} more"), ""),
                    more => (format!(", ... and {more} more"), ","),
                };
                format!(
                    "{} {}{more}{comma}{behind}",
                    subject(head),
                    shown.join(", ")
                )
            }
            _ => String::new(),
        };
        let mut row = row(RowKind::Rule, text, None);
        row.count = rules.len();
        row.target = rules.first().map(|rule| self.target(rule.outbound));
        row.told = rules
            .iter()
            .take(TOLD)
            .map(|rule| told(&rule.origin))
            .collect();
        if let (Some(last), true) = (rules.last(), rules.len() > TOLD) {
            row.told.push(format!("... to {}", told(&last.origin)));
        }
        row
    }
}

/// Files a stretch of arms with the same way out.
fn end(rows: &mut Vec<Row>, stretch: &mut Vec<Row>) {
    let arms = std::mem::take(stretch);
    match arms.len() > SHOWN + 1 {
        true => rows.push(one_of(arms, ", ", SHOWN)),
        false => rows.extend(arms),
    }
}

/// Rows with the same way out as one, which shows the first ones.
fn one_of(rows: Vec<Row>, between: &str, shown: usize) -> Row {
    let count = rows.iter().map(|row| row.count).sum();
    let rest: usize = rows.iter().skip(shown).map(|row| row.count).sum();
    let mut texts: Vec<&str> = rows.iter().take(shown).map(|row| &*row.text).collect();
    let more = format!("... and {rest} more");
    texts.push(&more);
    let mut one = row(RowKind::Rule, texts.join(between), None);
    one.count = count;
    one.target = rows.first().and_then(|row| row.target.clone());
    let told: Vec<&String> = rows.iter().flat_map(|row| &row.told).collect();
    one.told = told.iter().take(TOLD).map(|line| (*line).clone()).collect();
    if let (Some(last), true) = (told.last(), told.len() > TOLD) {
        one.told.push(match last.starts_with("... to ") {
            true => (*last).clone(),
            false => format!("... to {last}"),
        });
    }
    one
}

/// The words before a value, the same for one value and for several.
fn subject(head: &str) -> String {
    match head.split_once(' ') {
        Some((fact @ ("port" | "source.port"), _)) => fact.to_owned(),
        Some(("domain", _)) | None => head.to_owned(),
        Some((fact, "eq")) => fact.to_owned(),
        Some(_) => head.to_owned(),
    }
}

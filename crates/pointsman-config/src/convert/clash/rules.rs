//! Clash's rules.

use super::super::rules::{self, Ranges};
use super::parts::{Lost, sayable};
use super::{Clash, get, items, place};
use crate::clash_rule::{Parts, within};

impl Clash<'_> {
    pub(super) fn rules(&mut self) {
        for node in items(get(self.root, "rules")) {
            match node.scalar() {
                Some(rule) => self.rule(rule, None, &place(node), 0),
                None => self
                    .draft
                    .report
                    .lost(place(node), "this is no rule: it is left out"),
            }
        }
    }

    /// One rule, perhaps below the condition of a `SUB-RULE`.
    fn rule(&mut self, rule: &str, above: Option<&str>, place: &str, depth: usize) {
        let parts = Parts::of(rule, true);
        if parts.kind == "SUB-RULE" {
            return self.sub_rule(rule, &parts, above, place, depth);
        }
        for flag in parts.ignored() {
            let what = format!("`{flag}` in `{rule}` means nothing to Clash, and nothing here");
            self.draft.report.note(place, what);
        }
        let Some(target) = parts.target else {
            return self.no_way_out(&parts, above, place, rule, "it names no way out");
        };
        if target == "PASS" {
            let what = format!("`{rule}` passes flows on, as if it were not there: it is left out");
            return self.draft.report.note(place, what);
        }
        let Some(out) = self.out(target) else {
            let why = format!("there is no `{target}`");
            return self.no_way_out(&parts, above, place, rule, &why);
        };
        if parts.is_match() && above.is_none() {
            return self.draft.fallback(place, &out);
        }
        let own = match parts.is_match() {
            true => Ok(("ALWAYS".to_owned(), Vec::new())),
            false => self.condition(&parts, place),
        };
        match own {
            Err(why) => self.draft.left_out(place, rule, &why),
            Ok((own, lost)) => {
                self.draft.parts_lost(place, rule, &lost, &out);
                let all: Vec<&str> = match above {
                    None => vec![&own],
                    // What adds nothing is not written.
                    Some(above) if own == "ALWAYS" || own == above => vec![above],
                    Some(above) => vec![above, &own],
                };
                self.draft.rule(place, rule, &rules::all(&all), &out);
            }
        }
    }

    /// Leaves a rule out that leads nowhere. What only the last one would have taken is refused: nothing
    /// goes out that should not.
    fn no_way_out(
        &mut self,
        parts: &Parts<'_>,
        above: Option<&str>,
        place: &str,
        rule: &str,
        why: &str,
    ) {
        self.draft.left_out(place, rule, why);
        if parts.is_match() && above.is_none() {
            self.draft.fallback(place, "REJECT");
        }
    }

    fn sub_rule(
        &mut self,
        rule: &str,
        parts: &Parts<'_>,
        above: Option<&str>,
        place: &str,
        depth: usize,
    ) {
        let Some(name) = parts.target else {
            return self.draft.left_out(place, rule, "it names no list");
        };
        let condition = within(&parts.content).and_then(|inner| {
            let inner = Parts::of(inner, false);
            self.condition(&inner, place)
        });
        let condition = match condition {
            Ok((condition, lost)) if depth < 4 && self.draft.has_room() => {
                self.draft.parts_lost(place, rule, &lost, name);
                condition
            }
            Ok(_) => return self.draft.left_out(place, rule, "lists within lists"),
            Err(why) => return self.draft.left_out(place, rule, &why),
        };
        let condition = match above {
            None => condition,
            Some(above) => rules::all(&[above, &condition]),
        };
        let lists = get(self.root, "sub-rules");
        let Some(list) = lists.and_then(|lists| get(lists, name)) else {
            return self
                .draft
                .left_out(place, rule, &format!("there is no list `{name}`"));
        };
        for node in items(Some(list)) {
            let place = super::place(node);
            match node.scalar() {
                Some(rule) => self.rule(rule, Some(&condition), &place, depth + 1),
                None => {
                    let what = "this is no rule: it is left out";
                    self.draft.report.lost(place, what);
                }
            }
        }
    }

    /// A rule without its way out, in native words, and which of its alternatives are left out.
    fn condition(&mut self, parts: &Parts<'_>, place: &str) -> Result<(String, Vec<Lost>), String> {
        let mut found = Vec::new();
        let mut lost = Vec::new();
        let condition = match parts.kind.as_str() {
            "AND" | "OR" => {
                let whole = format!("{},{}", parts.kind, parts.content);
                let mut reads = |rule: &str| {
                    let mut found = Vec::new();
                    let condition = rules::clash(rule, &mut found)?;
                    let names: Vec<String> = found.iter().map(Ranges::name).collect();
                    self.draft.reads(&condition, &names)
                };
                let kept = sayable(&whole, &mut reads, &mut lost, 0)?;
                rules::clash(&kept, &mut found)?
            }
            _ => rules::clash_parts(parts, &mut found)?,
        };
        for ranges in found {
            self.ranges(&ranges, place);
        }
        Ok((condition, lost))
    }
}

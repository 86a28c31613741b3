//! Clash's rules.

use super::super::rules::{self, Ranges};
use super::mode::GLOBAL;
use super::parts::{Lost, sayable};
use super::{Clash, get, items, place};
use pointsman_config::clash_rule::{Parts, within};
use pointsman_config::yaml::Node;

/// Lists stand in so many lists at most, one within the other.
const MOST_LISTS: usize = 8;

/// Lists have so many rules, each counted as often as it is named: else a file of some lines would take minutes.
const MOST_UNFOLDED: usize = 20_000;

/// And so many bytes with the conditions that they stand below: a long condition is written before each of them.
const MOST_BYTES: usize = 8 << 20;

impl Clash<'_> {
    pub(super) fn rules(&mut self) {
        for node in items(get(self.root, "rules")) {
            match node.scalar() {
                Some(rule) => self.rule(rule, None, &place(node), &[]),
                None => self
                    .draft
                    .report
                    .lost(place(node), "this is no rule: it is left out"),
            }
        }
    }

    /// One rule, perhaps below the condition of a `SUB-RULE`.
    fn rule(&mut self, rule: &str, above: Option<&str>, place: &str, lists: &[&str]) {
        let parts = Parts::of(rule, true);
        if parts.kind == "SUB-RULE" {
            return self.sub_rule(rule, &parts, above, place, lists);
        }
        for flag in parts.ignored() {
            let what = format!("`{flag}` in `{rule}` means nothing to Clash, and nothing here");
            self.draft.report.note(place, what);
        }
        let Some(target) = parts.target else {
            return self.no_way_out(&parts, above, place, rule, "it names no way out");
        };
        if target == "PASS" {
            let what = format!("`{rule}` does nothing in Clash: it is left out");
            return self.draft.report.note(place, what);
        }
        let global = target == GLOBAL;
        let Some(out) = self
            .out(target)
            .or_else(|| global.then(|| self.global(place)))
        else {
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
            self.draft.refuse_the_rest(place);
        }
    }

    /// The rules of a list, each below the condition under which Clash asks them. `lists` are those that lead here.
    fn sub_rule(
        &mut self,
        rule: &str,
        parts: &Parts<'_>,
        above: Option<&str>,
        place: &str,
        lists: &[&str],
    ) {
        let Some(name) = parts.target else {
            return self.draft.left_out(place, rule, "it names no list");
        };
        let why = if lists.contains(&name) {
            let circle =
                format!("the list `{name}` leads back to itself, which Clash does not take");
            Some(circle)
        } else if lists.len() >= MOST_LISTS {
            let deep = format!("it stands in {MOST_LISTS} lists, one within the other");
            Some(deep)
        } else if self.unfolded >= MOST_UNFOLDED {
            let many =
                format!("the lists that are named before it have {MOST_UNFOLDED} rules already");
            Some(many)
        } else {
            None
        };
        if let Some(why) = why {
            return self.draft.left_out(place, rule, &why);
        }
        let condition = within(&parts.content).and_then(|inner| {
            let inner = Parts::of(inner, false);
            self.condition(&inner, place)
        });
        let condition = match condition {
            Ok((condition, lost)) => {
                self.draft.parts_lost(place, rule, &lost, name);
                condition
            }
            Err(why) => return self.draft.left_out(place, rule, &why),
        };
        let condition = match above {
            None => condition,
            Some(above) => rules::all(&[above, &condition]),
        };
        let all = get(self.root, "sub-rules");
        let Some(list) = all.and_then(|all| get(all, name)) else {
            return self
                .draft
                .left_out(place, rule, &format!("there is no list `{name}`"));
        };
        let all = items(Some(list));
        let written = |node: &Node| condition.len() + node.scalar().map_or(0, str::len);
        let bytes = self.unfolded_bytes + all.iter().map(written).sum::<usize>();
        if bytes > MOST_BYTES {
            let why = format!(
                "with it the lists that are named would be longer than {} MiB here",
                MOST_BYTES >> 20
            );
            return self.draft.left_out(place, rule, &why);
        }
        self.unfolded_bytes = bytes;
        // An empty list costs a step, too.
        self.unfolded += all.len().max(1);
        let lists = &[lists, &[name]].concat();
        for node in all {
            let place = super::place(node);
            match node.scalar() {
                Some(rule) => self.rule(rule, Some(&condition), &place, lists),
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

//! Clash's rules.

use super::super::rules;
use super::{Clash, get, items, place};

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
        let parts = rules::split(rule);
        let kind = parts
            .first()
            .map(|k| k.to_ascii_uppercase())
            .unwrap_or_default();
        if kind == "SUB-RULE" {
            return self.sub_rule(rule, &parts, above, place, depth);
        }
        let at = if kind == "MATCH" { 1 } else { 2 };
        let Some(target) = parts.get(at) else {
            return self.draft.left_out(place, rule, "it names no way out");
        };
        if target == "PASS" {
            let what = format!("`{rule}` passes flows on, as if it were not there: it is left out");
            return self.draft.report.note(place, what);
        }
        let Some(out) = self.out(target) else {
            return self
                .draft
                .left_out(place, rule, &format!("there is no `{target}`"));
        };
        let udp = self.udp.get(target).copied().unwrap_or(true);
        if kind == "MATCH" && above.is_none() && udp {
            return self.draft.fallback(place, &out);
        }
        let own = match kind.as_str() {
            "MATCH" => Ok("ALWAYS".to_owned()),
            _ => {
                let mut inner = format!("{kind},{}", parts.get(1).map_or("", String::as_str));
                for flag in parts.iter().skip(3) {
                    inner.push(',');
                    inner.push_str(flag);
                }
                self.condition(&inner, place)
            }
        };
        match own {
            Err(why) => self.draft.left_out(place, rule, &why),
            Ok(own) => {
                let tcp = (!udp).then_some("NETWORK, tcp");
                let all: Vec<&str> = above.into_iter().chain([own.as_str()]).chain(tcp).collect();
                let all: Vec<&str> = match all.len() {
                    1 => all,
                    _ => all.into_iter().filter(|part| *part != "ALWAYS").collect(),
                };
                self.draft.rule(place, rule, &rules::all(&all), &out);
            }
        }
    }

    fn sub_rule(
        &mut self,
        rule: &str,
        parts: &[String],
        above: Option<&str>,
        place: &str,
        depth: usize,
    ) {
        let [_, condition, name, ..] = parts else {
            return self.draft.left_out(place, rule, "it names no list");
        };
        let inner = condition
            .strip_prefix('(')
            .and_then(|c| c.strip_suffix(')'));
        let condition = match self.condition(inner.unwrap_or(condition), place) {
            Ok(condition) if depth < 4 && self.draft.has_room() => condition,
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
            if let Some(rule) = node.scalar() {
                let place = super::place(node);
                self.rule(rule, Some(&condition), &place, depth + 1);
            }
        }
    }

    /// A rule without its way out, in native words.
    fn condition(&mut self, rule: &str, place: &str) -> Result<String, String> {
        let mut found = Vec::new();
        let condition = rules::clash(rule, &mut found, 0)?;
        for ranges in found {
            self.ranges(&ranges, place);
        }
        Ok(condition)
    }
}

//! Clash's rules and rule providers.

use std::time::Duration;

use super::super::draft::stands_alone;
use super::super::emit::{Map, list, quoted};
use super::super::rules::{self, Ranges};
use super::{Clash, get, items, pairs, place, scalar};
use crate::yaml::Node;

impl Clash<'_> {
    pub(super) fn providers(&mut self) {
        for (key, node) in pairs(get(self.root, "rule-providers")) {
            let Some(name) = key.scalar() else { continue };
            let behavior = scalar(node, "behavior")
                .unwrap_or("classical")
                .to_ascii_lowercase();
            let mut map = Map::default();
            match scalar(node, "type") {
                Some("inline") => {
                    let rules = self.inline(node, &behavior);
                    map.raw("rules", list(rules));
                }
                kind => {
                    if let Some(url) = scalar(node, "url").filter(|_| kind == Some("http")) {
                        map.raw("url", quoted(url));
                        let seconds = scalar(node, "interval").and_then(|s| s.parse().ok());
                        map.time(
                            "interval",
                            seconds.filter(|s| *s > 0).map(Duration::from_secs),
                        );
                        let via = scalar(node, "proxy").and_then(|via| self.out(via));
                        map.some("via", via.as_deref());
                    }
                    if let Some(path) = scalar(node, "path") {
                        map.raw("path", quoted(path.trim_start_matches("./")));
                    }
                    map.text("format", scalar(node, "format").unwrap_or("yaml"));
                    map.text("behavior", &behavior);
                }
            }
            self.draft.rule_sets.raw(name, map.flow());
            self.draft.sets.push(name.to_owned());
        }
    }

    /// The entries of a list in the configuration. One that cannot be said is left out.
    fn inline(&mut self, node: &Node, behavior: &str) -> Vec<String> {
        let mut rules = Vec::new();
        for item in items(get(node, "payload")) {
            let Some(entry) = item.scalar() else { continue };
            let mut sets = Vec::new();
            let rule = match behavior {
                "ipcidr" => Some(format!("IP-CIDR, {entry}")),
                "domain" => rules::domain_entry(entry),
                _ => rules::clash(entry, &mut sets, 0).ok(),
            };
            let fits = |rule: &String| sets.is_empty() && stands_alone(rule);
            match rule.filter(fits) {
                Some(rule) => rules.push(quoted(&rule)),
                None => {
                    let what = format!(
                        "the entry `{entry}` is left out: flows that it took now fall to the rules below"
                    );
                    self.draft.report.lost(place(item), what);
                }
            }
        }
        rules
    }

    pub(super) fn rules(&mut self) {
        for node in items(get(self.root, "rules")) {
            if let Some(rule) = node.scalar() {
                self.rule(rule, None, &place(node), 0);
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
            return self.draft.fallback(&out);
        }
        let own = match kind.as_str() {
            "MATCH" => Ok("ALWAYS".to_owned()),
            _ => {
                let blind = parts.iter().skip(3).any(|flag| flag == "no-resolve");
                let mut inner = format!("{kind},{}", parts.get(1).map_or("", String::as_str));
                if blind {
                    inner.push_str(",no-resolve");
                }
                self.condition(&inner)
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
        let condition = match self.condition(inner.unwrap_or(condition)) {
            Ok(condition) if depth < 4 => condition,
            Ok(_) => return self.draft.left_out(place, rule, "lists within lists"),
            Err(why) => return self.draft.left_out(place, rule, &why),
        };
        let condition = match above {
            None => condition,
            Some(above) => rules::all(&[above, &condition]),
        };
        let lists = get(self.root, "sub-rules");
        for node in items(lists.and_then(|lists| get(lists, name))) {
            if let Some(rule) = node.scalar() {
                let place = super::place(node);
                self.rule(rule, Some(&condition), &place, depth + 1);
            }
        }
    }

    /// A rule without its way out, in native words.
    fn condition(&mut self, rule: &str) -> Result<String, String> {
        let mut found = Vec::new();
        let condition = rules::clash(rule, &mut found, 0)?;
        for ranges in found {
            self.ranges(&ranges);
        }
        Ok(condition)
    }

    /// A set that stands for Clash's own databases.
    fn ranges(&mut self, ranges: &Ranges) {
        let name = ranges.name();
        if self.draft.sets.contains(&name) {
            return;
        }
        let mut map = Map::default();
        if let Some((key, usual, format, select)) = ranges.database() {
            let given = get(self.root, "geox-url").and_then(|urls| scalar(urls, key));
            map.raw("url", quoted(given.unwrap_or(usual)));
            map.text("format", format).text("select", &select);
            let what = format!("`{name}` is fetched: until then no flow is in it");
            self.draft.report.note("", what);
        } else {
            map.raw(
                "ips",
                list(rules::PRIVATE.iter().map(|range| quoted(range))),
            );
        }
        self.draft.rule_sets.raw(&name, map.flow());
        self.draft.sets.push(name);
    }
}

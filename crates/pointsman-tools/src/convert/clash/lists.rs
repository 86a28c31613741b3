//! Clash's rule providers, and the sets that stand for its databases.

use std::time::Duration;

use super::super::draft::{Section, stands_alone};
use super::super::emit::{Map, list, quoted};
use super::super::rules::{self, Ranges};
use super::{Clash, get, items, pairs, place, scalar};
use pointsman_config::clash_rule;
use pointsman_config::list::Behavior;
use pointsman_config::yaml::Node;

/// Keys of a provider that are written.
const KNOWN: [&str; 9] = [
    "behavior",
    "format",
    "interval",
    "path",
    "payload",
    "proxy",
    "size-limit",
    "type",
    "url",
];

impl Clash<'_> {
    pub(super) fn providers(&mut self) {
        for (key, node) in pairs(get(self.root, "rule-providers")) {
            if let Some(name) = key.scalar() {
                self.provider(name, key, node);
            }
        }
    }

    fn provider(&mut self, name: &str, key: &Node, node: &Node) {
        let at = place(key);
        let behavior = scalar(node, "behavior")
            .unwrap_or("classical")
            .to_ascii_lowercase();
        self.unknown(&format!("`{name}`"), node, &KNOWN, &["path-in-bundle"]);
        let mut map = Map::default();
        if scalar(node, "type") == Some("inline") {
            let (rules, lacks) = self.inline(node, &behavior);
            map.raw("rules", list(rules));
            self.draft.item(Section::RuleSets, name, &map, &at);
            if lacks {
                self.draft.set_lacks();
            }
            return;
        }
        let fetched = scalar(node, "type") == Some("http");
        let mut by = None;
        if let Some(url) = scalar(node, "url").filter(|_| fetched) {
            map.raw("url", quoted(url));
            let number = |key| {
                scalar(node, key)
                    .and_then(|s| s.parse::<u64>().ok())
                    .filter(|s| *s > 0)
            };
            map.time("interval", number("interval").map(Duration::from_secs));
            if let Some(limit) = number("size-limit") {
                map.raw("limit", quoted(&format!("{limit}B")));
            }
            if let Some(via) = scalar(node, "proxy") {
                let Some(own) = self.out(via) else {
                    let what = format!("there is no `{via}`: the rule set `{name}` is left out");
                    return self.draft.report.lost(at, what);
                };
                map.text("via", &own);
                by = Some(own);
            }
        }
        if let Some(path) = scalar(node, "path") {
            map.raw("path", quoted(path.trim_start_matches("./")));
        }
        let format = scalar(node, "format").unwrap_or("yaml");
        if fetched && behavior == "classical" {
            // Of a file that is there each such entry is told.
            let what = format!(
                "entries of the list `{name}` that cannot be read here are left out: the daemon tells of them when it has \
                 fetched the list"
            );
            self.draft.report.note(&at, what);
        }
        if fetched && by.is_none() {
            let what = "this list is fetched directly: Clash fetches it by the outbound that its rules choose. Write \
                        `via: OUTBOUND` where it cannot be had directly";
            self.draft.report.lost(&at, what);
        }
        map.text("format", format);
        let own = match behavior.as_str() {
            "classical" => Behavior::Clash.as_str(),
            other => other,
        };
        map.text("behavior", own);
        self.draft.item(Section::RuleSets, name, &map, &at);
        if fetched {
            self.draft.set_is_fetched(&at, by.as_deref());
        }
    }

    /// The entries of a list in the configuration, and whether any is left out because it cannot be said.
    fn inline(&mut self, node: &Node, behavior: &str) -> (Vec<String>, bool) {
        let mut rules = Vec::new();
        let mut lacks = false;
        for item in items(get(node, "payload")) {
            let entry = item.scalar().unwrap_or_default();
            let mut sets = Vec::new();
            let rule = match behavior {
                "ipcidr" => Some(format!("IP-CIDR, {entry}")),
                "domain" => rules::domain_entry(entry),
                _ => rules::clash(entry, &mut sets).ok(),
            };
            let fits = |rule: &String| sets.is_empty() && stands_alone(rule);
            match rule.filter(fits) {
                Some(rule) => rules.push(quoted(&rule)),
                None => {
                    lacks = true;
                    let what = format!(
                        "the entry `{entry}` is left out: its flows now go to the rules below"
                    );
                    self.draft.report.lost(place(item), what);
                }
            }
        }
        (rules, lacks)
    }

    /// A set that stands for one of Clash's own databases.
    pub(super) fn ranges(&mut self, ranges: &Ranges, at: &str) {
        let name = ranges.name();
        if self.draft.has_set(&name) {
            return;
        }
        let mut map = Map::default();
        let Some((key, usual, format, select)) = ranges.database() else {
            let all = clash_rule::PRIVATE.iter().map(|range| quoted(range));
            map.raw("ips", list(all));
            return self.draft.item(Section::RuleSets, &name, &map, at);
        };
        let given = get(self.root, "geox-url").and_then(|urls| scalar(urls, key));
        map.raw("url", quoted(given.unwrap_or(usual)));
        map.text("format", format).text("select", &select);
        self.draft.item(Section::RuleSets, &name, &map, at);
        self.draft.set_is_fetched(at, None);
        let what = "Clash's database of countries and names is fetched directly: Clash fetches it by the outbound that its rules \
                    choose. Write `via: OUTBOUND` where it cannot be had directly";
        self.draft.report.lost("", what);
    }
}

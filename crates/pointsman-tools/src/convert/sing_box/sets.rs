//! sing-box's rule sets.

use serde_json::Value;

use super::super::draft::{Section, stands_alone};
use super::super::emit::{Map, list, quoted};
use super::conditions::{Found, SetShape};
use super::{SingBox, items, shown, text_of};

impl SingBox<'_> {
    pub(super) fn rule_sets(&mut self) {
        let root = self.root;
        for (number, set) in items(&root["route"]["rule_set"]).iter().enumerate() {
            let part = format!("route.rule_set[{number}]");
            let place = self.place(&part);
            let Some(tag) = set["tag"].as_str() else {
                let what = match &set["tag"] {
                    Value::Null => "a rule set without a tag is left out",
                    _ => "this rule set is left out: its `tag` must be a text",
                };
                self.draft.report.lost(place, what);
                continue;
            };
            if !self.draft.is_taken(Section::RuleSets, tag, &place) {
                self.rule_set(tag, set, &part);
            }
        }
    }

    fn rule_set(&mut self, tag: &str, set: &Value, part: &str) {
        let place = self.place(part);
        let source = match set["format"].as_str() {
            Some(word) => word == "source",
            None => [&set["path"], &set["url"]]
                .iter()
                .any(|p| p.as_str().is_some_and(|p| p.ends_with(".json"))),
        };
        let format = if source { "srs-json" } else { "srs" };
        let known = [
            "download_detour",
            "format",
            "path",
            "rules",
            "tag",
            "type",
            "update_interval",
            "url",
        ];
        self.unknown(part, set, &known, &["http_client"]);
        let mut map = Map::default();
        match set["type"].as_str() {
            Some("remote") => {
                map.raw("url", quoted(set["url"].as_str().unwrap_or_default()));
                let interval = set["update_interval"].as_str().unwrap_or("1d");
                map.raw("interval", quoted(interval));
                let via = match text_of(&set["download_detour"]) {
                    Some(via) => self.names.get(via).cloned().ok_or_else(|| via.to_owned()),
                    None => self.usual(),
                };
                let by = match via {
                    Ok(via) => Some(via).filter(|via| via != "DIRECT"),
                    Err(via) => {
                        let what = format!(
                            "there is no outbound `{via}`: the rule set `{tag}` is left out"
                        );
                        return self.draft.report.lost(place, what);
                    }
                };
                map.some("via", by.as_deref());
                map.text("format", format);
                self.sets.insert(tag.to_owned(), SetShape::unseen());
                self.draft.item(Section::RuleSets, tag, &map, &place);
                self.draft.set_is_fetched(&place, by.as_deref());
            }
            Some("local") => {
                map.raw("path", quoted(set["path"].as_str().unwrap_or_default()));
                map.text("format", format);
                self.sets.insert(tag.to_owned(), SetShape::unseen());
                self.draft.item(Section::RuleSets, tag, &map, &place);
            }
            _ => self.inline(tag, set, part),
        }
    }

    fn inline(&mut self, tag: &str, set: &Value, part: &str) {
        let mut shape = SetShape::default();
        let mut rules = Vec::new();
        let mut lacks = false;
        for (number, rule) in items(&set["rules"]).iter().enumerate() {
            shape.add(rule);
            let place = self.place(&format!("{part}.rules[{number}]"));
            let mut found = Found::default();
            let why = match self.condition(rule, &mut found, 0) {
                Ok(said) if stands_alone(&said) => {
                    rules.push(quoted(&said));
                    lacks |= !found.lost.is_empty();
                    self.draft
                        .parts_lost(&place, &shown(rule), &found.lost, tag);
                    continue;
                }
                Ok(_) => "an entry of a list cannot say it".to_owned(),
                Err(why) => why,
            };
            lacks = true;
            self.draft.entry_left_out(&place, &shown(rule), &why);
        }
        let mut map = Map::default();
        map.raw("rules", list(rules));
        self.sets.insert(tag.to_owned(), shape);
        let place = self.place(part);
        self.draft.item(Section::RuleSets, tag, &map, &place);
        if lacks {
            self.draft.set_lacks();
        }
    }

    /// A set of sing-box's own databases.
    pub(super) fn database(&mut self, name: &str, url: &str, place: &str) {
        if self.draft.has_set(name) {
            return;
        }
        let mut map = Map::default();
        map.raw("url", quoted(url));
        let by = self.usual().ok().filter(|via| via != "DIRECT");
        map.some("via", by.as_deref()).text("format", "srs");
        self.sets.insert(name.to_owned(), SetShape::unseen());
        self.draft.item(Section::RuleSets, name, &map, place);
        self.draft.set_is_fetched(place, by.as_deref());
    }
}

//! sing-box's rules and rule sets.

use super::super::draft::stands_alone;
use super::super::emit::{Map, list, quoted};
use super::{SingBox, items, shown};

impl SingBox<'_> {
    pub(super) fn rule_sets(&mut self) {
        for (number, set) in items(&self.root["route"]["rule_set"]).iter().enumerate() {
            let place = self.place(&format!("route.rule_set[{number}]"));
            let Some(tag) = set["tag"].as_str() else {
                continue;
            };
            let source = match set["format"].as_str() {
                Some(word) => word == "source",
                None => [&set["path"], &set["url"]]
                    .iter()
                    .any(|p| p.as_str().is_some_and(|p| p.ends_with(".json"))),
            };
            let mut map = Map::default();
            match set["type"].as_str() {
                Some("remote") => {
                    map.raw("url", quoted(set["url"].as_str().unwrap_or_default()));
                    let interval = set["update_interval"].as_str().unwrap_or("1d");
                    map.raw("interval", quoted(interval));
                    let via = set["download_detour"]
                        .as_str()
                        .and_then(|via| self.names.get(via));
                    map.some("via", via.map(String::as_str));
                    map.text("format", if source { "srs-json" } else { "srs" });
                }
                Some("local") => {
                    map.raw("path", quoted(set["path"].as_str().unwrap_or_default()));
                    map.text("format", if source { "srs-json" } else { "srs" });
                }
                _ => {
                    let mut rules = Vec::new();
                    for rule in items(&set["rules"]) {
                        match self.condition(rule, 0) {
                            Ok(rule) if stands_alone(&rule) => {
                                rules.push(quoted(&rule));
                            }
                            Ok(_) => self.draft.left_out(
                                &place,
                                &shown(rule),
                                "an entry of a list cannot say it",
                            ),
                            Err(why) => self.draft.left_out(&place, &shown(rule), &why),
                        }
                    }
                    map.raw("rules", list(rules));
                }
            }
            self.draft.rule_sets.raw(tag, map.flow());
            self.draft.sets.push(tag.to_owned());
        }
    }

    pub(super) fn rules(&mut self) {
        let route = &self.root["route"];
        let mut sniffs = false;
        for (number, rule) in items(&route["rules"]).iter().enumerate() {
            let place = self.place(&format!("route.rules[{number}]"));
            let out = match rule["action"].as_str().unwrap_or("route") {
                "sniff" => {
                    sniffs = true;
                    if number > 0 || self.condition(rule, 0).is_ok() {
                        let what = "first bytes are looked at for all rules and flows";
                        self.draft.report.lost(place, what);
                    }
                    continue;
                }
                "resolve" if self.condition(rule, 0).is_ok() => {
                    let why = "a `resolve` for some flows alone";
                    self.draft.left_out(&place, &shown(rule), why);
                    continue;
                }
                "resolve" => {
                    // From here on rules on addresses see those of names, as there.
                    self.draft.step(".LOCAL-RESOLVE");
                    continue;
                }
                "route" => {
                    let out = rule["outbound"]
                        .as_str()
                        .and_then(|out| self.names.get(out));
                    match out {
                        Some(out) => out.clone(),
                        None => {
                            self.draft
                                .left_out(&place, &shown(rule), "there is no such outbound");
                            continue;
                        }
                    }
                }
                "reject" if rule["method"].as_str() == Some("drop") => "BLACKHOLE".to_owned(),
                "reject" => "REJECT".to_owned(),
                other => {
                    let why = format!("there is no action `{other}`");
                    self.draft.left_out(&place, &shown(rule), &why);
                    continue;
                }
            };
            match self.condition(rule, 0) {
                Ok(condition) => self.draft.rule(&place, &shown(rule), &condition, &out),
                Err(why) => self.draft.left_out(&place, &shown(rule), &why),
            }
        }
        let order = if sniffs {
            "sniffed-else-requested"
        } else {
            "requested"
        };
        self.draft.head.push(format!("domain_order: {order}"));
        let first = items(&self.root["outbounds"])
            .first()
            .and_then(|o| o["tag"].as_str());
        let last = route["final"].as_str().or(first);
        let out = last.and_then(|tag| self.names.get(tag)).cloned();
        self.draft.fallback(out.as_deref().unwrap_or("DIRECT"));
    }
}

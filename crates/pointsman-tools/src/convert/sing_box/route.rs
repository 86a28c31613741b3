//! sing-box's rules.

use serde_json::Value;

use super::super::told::{left, words};
use super::conditions::{Found, SNIFFED};
use super::{SingBox, items, shown, strings, tag_of, text_of};

/// Keys of `route` that are carried over.
const KNOWN: [&str; 6] = [
    "default_domain_resolver",
    "default_interface",
    "default_mark",
    "final",
    "rule_set",
    "rules",
];

/// Keys that send no flow elsewhere.
const QUIET: [&str; 5] = [
    "auto_detect_interface",
    "find_process",
    "geoip",
    "geosite",
    "override_android_vpn",
];

/// Keys of a rule that say how its flows are dialled or refused.
const OPTIONS: [&str; 9] = [
    "fallback_delay",
    "network_strategy",
    "no_drop",
    "tls_fragment",
    "tls_fragment_fallback_delay",
    "tls_record_fragment",
    "udp_connect",
    "udp_disable_domain_unmapping",
    "udp_timeout",
];

/// Why a rule of another mode is not there.
pub(super) const OTHER_MODE: &str = "it is for another mode than the one that the file begins with, and modes are not switched here";

/// Keys of a `resolve` and of a `sniff` that are no condition.
const RESOLVE: [&str; 6] = [
    "action",
    "client_subnet",
    "disable_cache",
    "rewrite_ttl",
    "server",
    "strategy",
];
const SNIFF: [&str; 3] = ["action", "sniffer", "timeout"];

impl SingBox<'_> {
    pub(super) fn rules(&mut self) {
        let root = self.root;
        let route = &root["route"];
        self.unknown("route", route, &KNOWN, &QUIET);
        let mut named = false;
        for (number, rule) in items(&route["rules"]).iter().enumerate() {
            let place = self.place(&format!("route.rules[{number}]"));
            let mut found = Found::default();
            let condition = self.condition(rule, &mut found, 0);
            let condition = match condition {
                Ok(condition) => condition,
                // First bytes of too many flows are better than of none.
                Err(_why) if rule["action"] == "sniff" => {
                    self.sniff(rule, "", named, &place);
                    continue;
                }
                Err(why) => {
                    self.draft.left_out(&place, &shown(rule), &why);
                    continue;
                }
            };
            for (name, url) in &found.sets {
                self.database(name, url, &place);
            }
            if let Some(set) = found.guessed {
                let what = format!(
                    "the rule set `{set}` stands beside names or addresses, and is one more alternative here: that is the same \
                     where it has a single rule, which asks for names and addresses alone"
                );
                self.draft.report.lost(&place, what);
            }
            if condition == "NEVER" {
                let why = if found.mode {
                    OTHER_MODE
                } else if found.unsniffed {
                    "no `sniff` comes before it, so it never holds there either"
                } else {
                    "it never holds"
                };
                let what = format!("`{}` is left out: {why}", shown(rule));
                self.draft.report.note(&place, what);
                continue;
            }
            if found.mode {
                let what = "modes are not switched here: the rule holds as in the mode that the file begins with";
                self.draft.report.note(&place, what);
            }
            let action = rule["action"].as_str().unwrap_or("route");
            if action == "sniff" {
                self.sniff(rule, &condition, named, &place);
                continue;
            }
            named |= ["DOMAIN", "RULE-SET"]
                .iter()
                .any(|kind| condition.contains(kind));
            match self.way(rule, action, &condition, &place) {
                Ok(Some(out)) => {
                    let written = shown(rule);
                    let set = |key: &&&str| !rule[**key].is_null() && rule[**key] != false;
                    let options: Vec<&str> = OPTIONS.iter().filter(set).copied().collect();
                    if !options.is_empty() {
                        let what =
                            format!("{} of the rule {}", words(&options), left(options.len()));
                        self.draft.report.note(&place, what);
                    }
                    self.draft.parts_lost(&place, &written, &found.lost, &out);
                    match self.answers_names(rule, action) {
                        None => self.draft.rule(&place, &written, &condition, &out),
                        Some(name) => {
                            self.draft.refusal(&place, &written, &condition, name);
                            let usual = self.final_server();
                            self.draft.may_listen(usual.as_deref().unwrap_or("system"));
                        }
                    }
                }
                Ok(None) => {}
                Err(why) => self.draft.left_out(&place, &shown(rule), &why),
            }
        }
        let order = match self.sniffed {
            true => "sniffed-else-requested",
            false => "requested",
        };
        self.draft.head.push(format!("domain_order: {order}"));
        let place = self.place("route.final");
        let out = match self.usual() {
            Ok(out) => out,
            Err(tag) => {
                let what = format!("there is no outbound `{tag}`: what no rule takes is refused");
                self.draft.report.lost(&place, what);
                self.draft.known.rest_is_refused = true;
                "REJECT".to_owned()
            }
        };
        let first = items(&root["outbounds"]).first();
        let last = text_of(&route["final"]).or_else(|| text_of(&first?["tag"]));
        self.draft.known.rest_is_refused |= last.is_some_and(|tag| self.answering.contains(tag));
        self.draft.fallback(&place, &out);
    }

    /// The outbound for all that names none; the tag of one that there is not.
    pub(super) fn usual(&self) -> Result<String, String> {
        let first = items(&self.root["outbounds"]).first();
        let first = first.map(|outbound| tag_of(0, outbound));
        let named = text_of(&self.root["route"]["final"]).map(str::to_owned);
        match named.or(first) {
            Some(tag) => self.names.get(&tag).cloned().ok_or(tag),
            None => Ok("DIRECT".to_owned()),
        }
    }

    /// The mode that the file begins with, in lower case; there is none where nothing can switch it.
    pub(super) fn mode(&self) -> Option<String> {
        let api = &self.root["experimental"]["clash_api"];
        api.as_object()?;
        let given = text_of(&api["default_mode"]);
        Some(given.unwrap_or("Rule").to_lowercase())
    }

    /// The way out of a rule, or why there is none; `None` where the rule does something else.
    fn way(
        &mut self,
        rule: &Value,
        action: &str,
        condition: &str,
        place: &str,
    ) -> Result<Option<String>, String> {
        match action {
            "resolve" if condition != "ALWAYS" && !self.is_of_all(rule, &RESOLVE) => {
                let what = format!(
                    "`{}` is left out, because it resolves the names of some flows alone: the rules below do not see their \
                     addresses unless they look them up",
                    shown(rule)
                );
                self.draft.report.lost(place, what);
                let changed = "a `resolve` of some flows alone is left out: for their names, rules on addresses below it do not hold unless they look the names up themselves";
                let known = &mut self.draft.known.changed;
                if !known.iter().any(|told| told == changed) {
                    known.push(changed.to_owned());
                }
                Ok(None)
            }
            "resolve" => {
                // From here on rules on addresses see those of names, as there.
                self.draft.step(place, ".LOCAL-RESOLVE");
                let what = "of a name with several addresses rules see the first one alone, and `resolve` has no choice of server or family";
                self.draft.report.lost(place, what);
                Ok(None)
            }
            "route-options" => {
                let what = format!("`{}` is not carried over", shown(rule));
                self.draft.report.lost(place, what);
                Ok(None)
            }
            "route" => {
                let out = rule["outbound"]
                    .as_str()
                    .and_then(|out| self.names.get(out));
                out.cloned()
                    .map(Some)
                    .ok_or_else(|| "there is no such outbound".to_owned())
            }
            "reject" if rule["method"].as_str() == Some("drop") => Ok(Some("BLACKHOLE".to_owned())),
            "reject" => Ok(Some("REJECT".to_owned())),
            "hijack-dns" => {
                let what = format!(
                    "`{}` answers the DNS questions of programs, which is not built yet: its flows are refused. Programs may ask `dns.listen`",
                    shown(rule)
                );
                self.draft.report.lost(place, what);
                Ok(Some("REJECT".to_owned()))
            }
            other => Err(format!("there is no action `{other}`")),
        }
    }

    /// The name of what a rule hands DNS questions to, so that they are answered: not built here.
    fn answers_names<'r>(&self, rule: &'r Value, action: &'r str) -> Option<&'r str> {
        match action {
            "hijack-dns" => Some(action),
            "route" => {
                let tag = rule["outbound"].as_str()?;
                self.answering.contains(tag).then_some(tag)
            }
            _ => None,
        }
    }

    /// Whether a rule asks for nothing but the inbound, and names all that are written.
    fn is_of_all(&self, rule: &Value, apart: &[&str]) -> bool {
        let of: Vec<String> = strings(&rule["inbound"]).unwrap_or_default();
        let mut keys = rule.as_object().into_iter().flatten();
        keys.all(|(key, _)| key == "inbound" || apart.contains(&key.as_str()))
            && self.inbounds.iter().all(|tag| of.contains(tag))
    }

    /// From here on first bytes are known. `named`: whether rules on names came before.
    fn sniff(&mut self, rule: &Value, condition: &str, named: bool, place: &str) {
        let all_flows = condition == "ALWAYS" || self.is_of_all(rule, &SNIFF);
        let mut said = |what: &str| self.draft.report.lost(place, what);
        if !all_flows {
            said("first bytes are looked at for all flows");
        }
        if named && !self.sniffed {
            said("rules on names that stand before this one see the name in the first bytes, too");
        }
        let sniffers = strings(&rule["sniffer"]).unwrap_or_default();
        if !sniffers.is_empty()
            && !SNIFFED
                .iter()
                .all(|known| sniffers.iter().any(|s| s == known))
        {
            said("first bytes are looked at for every protocol");
        }
        self.sniffed = true;
    }
}

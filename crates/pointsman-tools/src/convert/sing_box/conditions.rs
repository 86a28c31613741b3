//! sing-box's rules without their way out.
//!
//! Invariant: in a rule, kinds of the same group are alternatives and groups must all hold, as there;
//! a rule with a field that cannot be said is refused whole.

use pointsman_policy::line::word;
use serde_json::Value;

use super::{SingBox, items, shown, strings};
use pointsman_config::clash_rule;
use pointsman_config::list::from_cased;

/// How deep logic may stand in logic.
const MAX_DEPTH: usize = 16;

/// What sing-box tells by first bytes; the words are ours, too.
pub(super) const SNIFFED: [&str; 10] = [
    "bittorrent",
    "dns",
    "dtls",
    "http",
    "ntp",
    "quic",
    "rdp",
    "ssh",
    "stun",
    "tls",
];

/// Keys that are no condition: what the rule is, and how its flows are dialled.
const APART: [&str; 23] = [
    "action",
    "client_subnet",
    "disable_cache",
    "fallback_delay",
    "invert",
    "method",
    "mode",
    "network_strategy",
    "no_drop",
    "outbound",
    "rewrite_ttl",
    "rules",
    "server",
    "sniffer",
    "strategy",
    "timeout",
    "tls_fragment",
    "tls_fragment_fallback_delay",
    "tls_record_fragment",
    "type",
    "udp_connect",
    "udp_disable_domain_unmapping",
    "udp_timeout",
];

/// The groups of a rule: of each, any; then every other field.
const DESTINATION: usize = 0;
const SOURCE: usize = 1;
const PORT: usize = 2;
const SOURCE_PORT: usize = 3;

/// What the rules of a set ask for. The fields of a set's only rule stand beside those of the rule that names it,
/// as if they were written there; a set of several rules must hold besides (as sing-box 1.14 does).
#[derive(Clone, Copy, Default)]
pub(super) struct SetShape {
    groups: [bool; 4],
    /// Whether there is logic in it.
    logic: bool,
    /// How many rules there are.
    rules: usize,
    /// Whether a rule asks for more than names and addresses.
    more: bool,
    /// Whether its rules are not at hand.
    unseen: bool,
}

impl SetShape {
    /// A list of names and addresses, as nearly all are.
    pub(super) fn unseen() -> Self {
        Self {
            groups: [true, false, false, false],
            rules: 1,
            unseen: true,
            ..Self::default()
        }
    }

    /// Adds a rule of a set.
    pub(super) fn add(&mut self, rule: &Value) {
        self.logic |= rule["type"] == "logical" || rule["invert"] == true;
        self.rules += 1;
        let names = [
            "domain",
            "domain_suffix",
            "domain_keyword",
            "domain_regex",
            "ip_cidr",
        ];
        let mut keys = rule.as_object().into_iter().flatten();
        self.more |= keys.any(|(key, _)| !names.contains(&key.as_str()));
        let has = |key: &str| rule.get(key).is_some();
        self.groups[SOURCE] |= has("source_ip_cidr");
        self.groups[PORT] |= has("port") || has("port_range");
        self.groups[SOURCE_PORT] |= has("source_port") || has("source_port_range");
    }
}

/// A condition, and what else there is to know.
#[derive(Default)]
pub(super) struct Found {
    /// Sets of sing-box's own databases: name and address.
    pub(super) sets: Vec<(String, String)>,
    /// A set beside names, whose rules are not at hand.
    pub(super) guessed: Option<String>,
    /// Whether it asks for what nobody looked at.
    pub(super) unsniffed: bool,
    /// Whether it asks for the mode.
    pub(super) mode: bool,
    /// Alternatives that are left out, and why.
    pub(super) lost: Vec<(String, String)>,
    /// Whether it stands below an `invert`, where nothing may be left out.
    whole: bool,
}

impl SingBox<'_> {
    /// A rule's condition, or why it cannot be said.
    pub(super) fn condition(
        &self,
        rule: &Value,
        found: &mut Found,
        depth: usize,
    ) -> Result<String, String> {
        let (whole, lost) = (found.whole, found.lost.len());
        found.whole |= rule["invert"] == true;
        let condition = self.sayable(rule, found, depth);
        found.whole = whole;
        if condition.is_err() {
            found.lost.truncate(lost);
        }
        condition
    }

    fn sayable(&self, rule: &Value, found: &mut Found, depth: usize) -> Result<String, String> {
        if depth > MAX_DEPTH {
            return Err(format!("logic deeper than {MAX_DEPTH} levels"));
        }
        let object = rule.as_object().ok_or("it is no object")?;
        let condition = if rule["type"] == "logical" {
            let mut parts = Vec::new();
            let mut last = None;
            for part in items(&rule["rules"]) {
                match self.condition(part, found, depth + 1) {
                    Ok(part) => parts.push(part),
                    Err(why) if rule["mode"] == "or" && !found.whole => {
                        found.lost.push((shown(part), why.clone()));
                        last = Some(why);
                    }
                    Err(why) => return Err(why),
                }
            }
            if parts.is_empty() {
                return Err(last.unwrap_or_else(|| "it has no condition".to_owned()));
            }
            joined(if rule["mode"] == "or" { "OR" } else { "AND" }, parts)
        } else {
            let mut groups: [Vec<String>; 4] = Default::default();
            let mut others: Vec<Vec<String>> = Vec::new();
            for (key, value) in object {
                self.field(key, value, found, &mut groups, &mut others)?;
            }
            self.rule_sets_of(rule, found, &mut groups, &mut others)?;
            let all = groups.into_iter().chain(others);
            let all = all.filter(|group| !group.is_empty());
            let all: Vec<String> = all.map(|group| joined("OR", group)).collect();
            if all.is_empty() {
                // A rule without conditions holds, turned around or not.
                return Ok("ALWAYS".to_owned());
            }
            joined("AND", all)
        };
        Ok(match (rule["invert"] == true, condition.as_str()) {
            (false, _) => condition,
            (true, "ALWAYS") => "NEVER".to_owned(),
            (true, "NEVER") => "ALWAYS".to_owned(),
            (true, _) => format!("NOT, [{condition}]"),
        })
    }

    /// Sets: beside names and addresses they are one more alternative.
    fn rule_sets_of(
        &self,
        rule: &Value,
        found: &mut Found,
        groups: &mut [Vec<String>; 4],
        others: &mut Vec<Vec<String>>,
    ) -> Result<(), String> {
        let tags = strings(&rule["rule_set"]).ok_or("`rule_set` is not a list of names")?;
        let (known, missing): (Vec<&String>, Vec<&String>) =
            tags.iter().partition(|tag| self.sets.contains_key(*tag));
        for tag in missing {
            let why = format!("there is no rule set `{tag}`");
            if found.whole || known.is_empty() && groups[DESTINATION].is_empty() {
                return Err(why);
            }
            found.lost.push((format!("\"rule_set\":\"{tag}\""), why));
        }
        for tag in &known {
            let Some(shape) = self.sets.get(*tag) else {
                continue;
            };
            let both = |at: usize| !groups[at].is_empty() && shape.groups[at];
            let any = groups.iter().any(|group| !group.is_empty());
            let beside = !groups[DESTINATION].is_empty();
            let narrow = [SOURCE, PORT, SOURCE_PORT];
            if any && shape.logic
                || narrow.into_iter().any(both)
                || beside && (shape.more || shape.rules != 1)
            {
                return Err(format!(
                    "the rules of `{tag}` ask for more beside its own fields"
                ));
            }
            if beside && shape.unseen {
                found.guessed = Some((*tag).clone());
            }
        }
        let each = known.iter().map(|tag| format!("RULE-SET, {}", word(tag)));
        match groups[DESTINATION].is_empty() {
            true => others.push(each.collect()),
            false => groups[DESTINATION].extend(each),
        }
        Ok(())
    }

    /// One field of a rule.
    fn field(
        &self,
        key: &str,
        value: &Value,
        found: &mut Found,
        groups: &mut [Vec<String>; 4],
        others: &mut Vec<Vec<String>>,
    ) -> Result<(), String> {
        if APART.contains(&key) || key == "rule_set" || *value == false || value.is_null() {
            return Ok(());
        }
        if *value == true {
            return flag(key, groups);
        }
        let values = strings(value).ok_or_else(|| format!("`{key}` is not a list of words"))?;
        let each = |kind: &str| -> Vec<String> {
            values
                .iter()
                .map(|v| format!("{kind}, {}", word(v)))
                .collect()
        };
        let mut set = |kind: &str, value: &String| {
            let name = format!("{kind}-{}", value.to_lowercase());
            let url = format!(
                "https://raw.githubusercontent.com/SagerNet/sing-{kind}/rule-set/{name}.srs"
            );
            let condition = format!("RULE-SET, {}", word(&name));
            found.sets.push((name, url));
            condition
        };
        let destination = &mut groups[DESTINATION];
        match key {
            "domain" => destination.extend(each("DOMAIN")),
            "domain_suffix" => destination.extend(values.iter().map(|v| {
                match v.strip_prefix('.') {
                    // With a dot: names below alone.
                    Some(bare) => {
                        let bare = word(bare);
                        format!("AND, [DOMAIN-SUFFIX, {bare}], [NOT, [DOMAIN, {bare}]]")
                    }
                    None => format!("DOMAIN-SUFFIX, {}", word(v)),
                }
            })),
            "domain_keyword" => destination.extend(each("DOMAIN-KEYWORD")),
            "domain_regex" => destination.extend(values.iter().map(|v| {
                // Case counts there, and names are in lower case.
                format!("DOMAIN-REGEX, {}", word(&from_cased(v)))
            })),
            "geosite" => destination.extend(values.iter().map(|v| set("geosite", v))),
            "geoip" => {
                for value in &values {
                    match value.as_str() {
                        "private" => destination.extend(private("IP-CIDR")),
                        _ => destination.push(set("geoip", value)),
                    }
                }
            }
            "ip_cidr" => destination.extend(each("IP-CIDR")),
            "source_geoip" if values.iter().all(|v| v == "private") => {
                groups[SOURCE].extend(private("SRC-IP-CIDR"));
            }
            "source_ip_cidr" => groups[SOURCE].extend(each("SRC-IP-CIDR")),
            "port" => groups[PORT].extend(each("DST-PORT")),
            "source_port" => groups[SOURCE_PORT].extend(each("SRC-PORT")),
            "port_range" => groups[PORT].extend(ranges("DST-PORT", &values)?),
            "source_port_range" => groups[SOURCE_PORT].extend(ranges("SRC-PORT", &values)?),
            "inbound" => others.push(each("INBOUND-ALIAS")),
            "auth_user" => {
                let user = |v: &String| match v.contains(['@', ',', '[', ']', '"', '\'', '#']) {
                    true => Err(format!("the user `{v}` cannot be written")),
                    false => Ok(format!("INBOUND, {v}@any")),
                };
                others.push(values.iter().map(user).collect::<Result<_, _>>()?);
            }
            "network" => others.push(each("NETWORK")),
            "clash_mode" => {
                let now = self.mode();
                let holds = |mode: &String| Some(mode.to_lowercase()) == now;
                let word = if values.iter().any(holds) {
                    "ALWAYS"
                } else {
                    "NEVER"
                };
                found.mode = true;
                others.push(vec![word.to_owned()]);
            }
            // First bytes that nobody looked at have neither.
            "protocol" | "client" if !self.sniffed => {
                found.unsniffed = true;
                others.push(vec!["NEVER".to_owned()]);
            }
            "protocol" => {
                let is_known = |v: &&String| SNIFFED.contains(&v.as_str());
                let any = values.iter().any(|v| is_known(&v));
                for other in values.iter().filter(|v| !is_known(v)) {
                    let why = format!("there is no protocol `{other}`");
                    if found.whole || !any {
                        return Err(why);
                    }
                    let part = format!("\"protocol\":\"{other}\"");
                    found.lost.push((part, why));
                }
                let said = values.iter().filter(is_known);
                others.push(said.map(|v| format!("PROTOCOL, {v}")).collect());
            }
            "ip_version" => {
                let family = |v: &String| match v.as_str() {
                    "4" => Ok("DST-ADDR-TYPE, ipv4".to_owned()),
                    "6" => Ok("DST-ADDR-TYPE, ipv6".to_owned()),
                    other => Err(format!("there is no IP version {other}")),
                };
                others.push(values.iter().map(family).collect::<Result<_, _>>()?);
            }
            "process_name" => others.push(each("PROCESS-NAME")),
            "process_path" => others.push(each("PROC-PATH")),
            "process_path_regex" => others.push(each("PROC-PATH-REGEX")),
            "user" => others.push(each("PROCESS-USER")),
            other => return Err(format!("the native language has no `{other}`")),
        }
        Ok(())
    }
}

/// A field that is on or off.
fn flag(key: &str, groups: &mut [Vec<String>; 4]) -> Result<(), String> {
    match key {
        "ip_is_private" => groups[DESTINATION].extend(private("IP-CIDR")),
        "source_ip_is_private" => groups[SOURCE].extend(private("SRC-IP-CIDR")),
        other => return Err(format!("the native language has no `{other}`")),
    }
    Ok(())
}

fn private(kind: &'static str) -> impl Iterator<Item = String> {
    clash_rule::PRIVATE
        .iter()
        .map(move |range| format!("{kind}, {range}"))
}

fn ranges(kind: &str, values: &[String]) -> Result<Vec<String>, String> {
    let range = |range: &String| {
        let (from, to) = range
            .split_once(':')
            .ok_or("a range of ports has a colon")?;
        let from = if from.is_empty() { "0" } else { from };
        let to = if to.is_empty() { "65535" } else { to };
        Ok(format!("{kind}, {from}-{to}"))
    };
    values.iter().map(range).collect()
}

/// Logic over at least one condition; what always or never holds is no part of it.
fn joined(word: &str, mut parts: Vec<String>) -> String {
    let (ends, idle) = match word {
        "OR" => ("ALWAYS", "NEVER"),
        _ => ("NEVER", "ALWAYS"),
    };
    if parts.iter().any(|part| part == ends) {
        return ends.to_owned();
    }
    parts.retain(|part| part != idle);
    match parts.as_slice() {
        [] => idle.to_owned(),
        [one] => one.clone(),
        many => format!("{word}, [{}]", many.join("], [")),
    }
}

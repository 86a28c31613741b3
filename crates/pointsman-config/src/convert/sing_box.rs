//! sing-box's JSON.
//!
//! Invariant: in a rule, kinds of the same group are alternatives and groups must all hold, as there;
//! a rule with a field that cannot be said is left out whole.

use std::collections::HashMap;

use serde_json::Value;

use super::draft::Draft;
use super::emit::{Map, list, quoted, text};
use super::outbounds::{is_builtin, later};
use super::rules;

/// How deep logic may stand in logic.
const MAX_DEPTH: usize = 16;

/// The native form of a configuration. `name` is the file's.
pub(super) fn convert(root: &Value, name: &str) -> Draft {
    let draft = Draft::new("sing-box");
    let mut this = SingBox {
        draft,
        file: name.to_owned(),
        names: HashMap::new(),
        root,
    };
    this.inbounds();
    this.outbounds();
    this.rule_sets();
    this.dns();
    this.rules();
    this.draft
}

struct SingBox<'a> {
    draft: Draft,
    file: String,
    /// Native names of outbounds.
    names: HashMap<String, String>,
    root: &'a Value,
}

impl SingBox<'_> {
    fn place(&self, part: &str) -> String {
        format!("{}: {part}", self.file)
    }

    fn inbounds(&mut self) {
        for (number, inbound) in items(&self.root["inbounds"]).iter().enumerate() {
            let place = self.place(&format!("inbounds[{number}]"));
            let kind = inbound["type"].as_str().unwrap_or_default();
            let word = match kind {
                "mixed" | "http" => kind,
                "socks" => "socks5",
                other => {
                    let what = format!(
                        "the inbound of type `{other}` is left out: its flows do not come in"
                    );
                    self.draft.report.lost(place, what);
                    continue;
                }
            };
            let host = inbound["listen"].as_str().unwrap_or("127.0.0.1");
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            let port = inbound["listen_port"].as_u64().unwrap_or(0);
            let mut map = Map::default();
            map.text("type", word)
                .raw("listen", quoted(&format!("{host}:{port}")));
            let mut users = Map::default();
            for user in items(&inbound["users"]) {
                if let (Some(name), Some(password)) =
                    (user["username"].as_str(), user["password"].as_str())
                {
                    users.raw(name, quoted(password));
                }
            }
            if !users.is_empty() {
                map.raw("users", users.flow());
            }
            if inbound.get("tls").is_some_and(|tls| tls["enabled"] == true) {
                self.draft.report.lost(
                    &place,
                    "TLS of the inbound is not built: it is left out whole",
                );
                continue;
            }
            let tag = inbound["tag"]
                .as_str()
                .map_or_else(|| format!("{kind}-{number}"), str::to_owned);
            self.draft.inbounds.raw(&tag, map.flow());
        }
    }

    fn outbounds(&mut self) {
        let all = items(&self.root["outbounds"]);
        for outbound in all {
            let (Some(tag), kind) = (outbound["tag"].as_str(), outbound["type"].as_str()) else {
                continue;
            };
            let plain = outbound.as_object().is_some_and(|keys| keys.len() == 2);
            let own = match kind {
                Some("direct") if plain && tag.eq_ignore_ascii_case("direct") => {
                    "DIRECT".to_owned()
                }
                Some("block") => "REJECT".to_owned(),
                _ if is_builtin(tag) => format!("{tag}-2"),
                _ => tag.to_owned(),
            };
            self.names.insert(tag.to_owned(), own);
        }
        for (number, outbound) in all.iter().enumerate() {
            let place = self.place(&format!("outbounds[{number}]"));
            self.outbound(outbound, &place);
        }
    }

    fn outbound(&mut self, outbound: &Value, place: &str) {
        let kind = outbound["type"].as_str().unwrap_or_default();
        let Some(own) = outbound["tag"]
            .as_str()
            .and_then(|tag| self.names.get(tag))
            .cloned()
        else {
            return;
        };
        if matches!(own.as_str(), "DIRECT" | "REJECT") {
            return;
        }
        let mut map = Map::default();
        let tls = outbound
            .get("tls")
            .is_some_and(|tls| tls["enabled"] == true);
        match kind {
            "direct" => {
                map.text("type", "direct");
                link(outbound, &mut map);
            }
            "socks" | "http"
                if !tls && matches!(outbound["version"].as_str(), None | Some("5")) =>
            {
                let host = outbound["server"].as_str().unwrap_or_default();
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.to_owned()
                };
                let port = outbound["server_port"].as_u64().unwrap_or(0);
                map.text("type", if kind == "http" { "http" } else { "socks5" });
                map.raw("server", quoted(&format!("{host}:{port}")));
                if let (Some(user), Some(password)) =
                    (outbound["username"].as_str(), outbound["password"].as_str())
                {
                    map.raw("username", quoted(user))
                        .raw("password", quoted(password));
                }
                map.flag(
                    "udp",
                    kind == "socks" && outbound["network"].as_str() != Some("tcp"),
                );
                link(outbound, &mut map);
            }
            "selector" | "urltest" => {
                let mut members: Vec<String> = strings(&outbound["outbounds"]);
                if let Some(first) = outbound["default"].as_str()
                    && let Some(at) = members.iter().position(|member| member == first)
                {
                    members.swap(0, at);
                }
                let members = members
                    .iter()
                    .filter_map(|m| self.names.get(m))
                    .map(|m| text(m));
                let mut members: Vec<String> = members.collect();
                if members.is_empty() {
                    members.push("reject".to_owned());
                }
                map.text("type", "select").raw("members", list(members));
                if kind == "urltest" {
                    let what = format!(
                        "`{own}` measures its members: it is one to select from, the first member first"
                    );
                    self.draft.report.lost(place, what);
                }
            }
            kind => {
                let what = format!("`{own}` (`{kind}`) is not built: it refuses every flow");
                self.draft.report.lost(place, what);
                match later(kind) {
                    Some(word) => map.text("type", word),
                    None => map.text("type", "select").raw("members", "[reject]"),
                };
            }
        }
        if outbound["detour"].is_string() {
            let what =
                format!("`{own}` goes through another outbound (`detour`), which is not written");
            self.draft.report.lost(place, what);
        }
        self.draft.outbounds.raw(&own, map.flow());
    }

    fn rule_sets(&mut self) {
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
                            Ok(rule) if super::draft::stands_alone(&rule) => {
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

    fn dns(&mut self) {
        let mut upstreams = Map::default();
        for (number, server) in items(&self.root["dns"]["servers"]).iter().enumerate() {
            let address = match (server["type"].as_str(), server["server"].as_str()) {
                (Some(kind @ ("udp" | "tcp")), Some(host)) => format!("{kind}://{host}"),
                _ => server["address"].as_str().unwrap_or_default().to_owned(),
            };
            let address = match address.parse::<std::net::IpAddr>() {
                Ok(_) => format!("udp://{address}"),
                Err(_full) => address,
            };
            if crate::value::parse_name_server(&address).is_err() {
                let place = self.place(&format!("dns.servers[{number}]"));
                self.draft.report.lost(place, "the name server is left out");
                continue;
            }
            let tag = server["tag"]
                .as_str()
                .map_or_else(|| format!("dns-{number}"), str::to_owned);
            let mut map = Map::default();
            map.raw("address", quoted(&address));
            let via = server["detour"]
                .as_str()
                .and_then(|via| self.names.get(via));
            map.some("via", via.map(String::as_str));
            upstreams.raw(&tag, map.flow());
        }
        if !upstreams.is_empty() {
            self.draft.dns.raw("upstreams", upstreams.flow());
        }
        if !items(&self.root["dns"]["rules"]).is_empty() {
            let place = self.place("dns.rules");
            self.draft.report.lost(
                place,
                "rules of DNS are left out: the first server answers all",
            );
        }
    }

    fn rules(&mut self) {
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

    /// A rule's condition, or why it cannot be said.
    fn condition(&self, rule: &Value, depth: usize) -> Result<String, String> {
        if depth > MAX_DEPTH {
            return Err(format!("logic deeper than {MAX_DEPTH} levels"));
        }
        let object = rule.as_object().ok_or("it is no object")?;
        let invert = rule["invert"] == true;
        let condition = if rule["type"] == "logical" {
            let parts: Result<Vec<String>, String> = items(&rule["rules"])
                .iter()
                .map(|rule| self.condition(rule, depth + 1))
                .collect();
            joined(if rule["mode"] == "or" { "OR" } else { "AND" }, &parts?)?
        } else {
            // Destination, source, ports, source ports: of each, any; then every other field.
            let mut groups: [Vec<String>; 4] = Default::default();
            let mut others: Vec<Vec<String>> = Vec::new();
            for (key, value) in object {
                field(key, value, &mut groups, &mut others)?;
            }
            if object.contains_key("rule_set") && !groups[0].is_empty() {
                return Err("`rule_set` beside other fields on the destination".to_owned());
            }
            let all = groups
                .into_iter()
                .chain(others)
                .filter(|group| !group.is_empty());
            let all: Result<Vec<String>, String> = all.map(|group| joined("OR", &group)).collect();
            joined("AND", &all?)?
        };
        Ok(if invert {
            format!("NOT, [{condition}]")
        } else {
            condition
        })
    }
}

/// One field of a rule.
fn field(
    key: &str,
    value: &Value,
    groups: &mut [Vec<String>; 4],
    others: &mut Vec<Vec<String>>,
) -> Result<(), String> {
    let values = strings(value);
    let word = super::clash::word;
    let each = |kind: &str| {
        values
            .iter()
            .map(|v| format!("{kind}, {}", word(v)))
            .collect::<Vec<_>>()
    };
    match key {
        "type" | "mode" | "rules" | "invert" | "action" | "outbound" | "method" | "no_drop" => {}
        "rule_set_ip_cidr_accept_empty" | "rule_set_ip_cidr_match_source" if *value == false => {}
        "domain" => groups[0].extend(each("DOMAIN")),
        "domain_suffix" => groups[0].extend(values.iter().map(|v| match v.strip_prefix('.') {
            // With a dot: names below alone.
            Some(bare) => format!("AND, [DOMAIN-SUFFIX, {bare}], [NOT, [DOMAIN, {bare}]]"),
            None => format!("DOMAIN-SUFFIX, {v}"),
        })),
        "domain_keyword" => groups[0].extend(each("DOMAIN-KEYWORD")),
        "domain_regex" => groups[0].extend(each("DOMAIN-REGEX")),
        "ip_cidr" => groups[0].extend(each("IP-CIDR")),
        "ip_is_private" if *value == true => {
            groups[0].extend(
                rules::PRIVATE
                    .iter()
                    .map(|range| format!("IP-CIDR, {range}")),
            );
        }
        "source_ip_cidr" => groups[1].extend(each("SRC-IP-CIDR")),
        "source_ip_is_private" if *value == true => {
            groups[1].extend(
                rules::PRIVATE
                    .iter()
                    .map(|range| format!("SRC-IP-CIDR, {range}")),
            );
        }
        "port" => groups[2].extend(each("DST-PORT")),
        "source_port" => groups[3].extend(each("SRC-PORT")),
        "port_range" | "source_port_range" => {
            let (at, kind) = if key == "port_range" {
                (2, "DST-PORT")
            } else {
                (3, "SRC-PORT")
            };
            for range in &values {
                let (from, to) = range
                    .split_once(':')
                    .ok_or("a range of ports has a colon")?;
                let from = if from.is_empty() { "1" } else { from };
                let to = if to.is_empty() { "65535" } else { to };
                groups[at].push(format!("{kind}, {from}-{to}"));
            }
        }
        "rule_set" => others.push(each("RULE-SET")),
        "inbound" => others.push(each("INBOUND-ALIAS")),
        "auth_user" => others.push(values.iter().map(|v| format!("INBOUND, {v}@any")).collect()),
        "network" => others.push(each("NETWORK")),
        "protocol" => others.push(each("PROTOCOL")),
        "ip_version" if value.as_u64() == Some(4) => {
            others.push(vec!["DST-ADDR-TYPE, ipv4".to_owned()]);
        }
        "ip_version" => others.push(vec!["DST-ADDR-TYPE, ipv6".to_owned()]),
        "process_name" => others.push(each("PROCESS-NAME")),
        "process_path" => others.push(each("PROC-PATH")),
        "process_path_regex" => others.push(each("PROC-PATH-REGEX")),
        "user" => others.push(each("PROCESS-USER")),
        other => return Err(format!("the native language has no `{other}`")),
    }
    Ok(())
}

fn joined(word: &str, parts: &[String]) -> Result<String, String> {
    match parts {
        [] => Err("it has no condition".to_owned()),
        [one] => Ok(one.clone()),
        many => Ok(format!("{word}, [{}]", many.join("], ["))),
    }
}

fn link(outbound: &Value, map: &mut Map) {
    map.some("interface", outbound["bind_interface"].as_str());
    map.some("source", outbound["inet4_bind_address"].as_str());
    if let Some(mark) = outbound["routing_mark"].as_u64() {
        map.raw("mark", mark.to_string());
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One value or a list of them, numbers as their digits.
fn strings(value: &Value) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

/// A rule in the report.
fn shown(rule: &Value) -> String {
    let text = rule.to_string();
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

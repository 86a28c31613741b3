//! sing-box's rules without their way out.
//!
//! Invariant: in a rule, kinds of the same group are alternatives and groups must all hold, as there;
//! a rule with a field that cannot be said is refused whole.

use serde_json::Value;

use super::super::rules;
use super::{SingBox, items, strings};

/// How deep logic may stand in logic.
const MAX_DEPTH: usize = 16;

impl SingBox<'_> {
    /// A rule's condition, or why it cannot be said.
    pub(super) fn condition(&self, rule: &Value, depth: usize) -> Result<String, String> {
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
    let word = super::super::clash::word;
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

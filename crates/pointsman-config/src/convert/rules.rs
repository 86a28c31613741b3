//! Clash's rules in the words of native rule lists.

use super::clash::word;

/// Private, loopback, link-local, multicast and unspecified addresses: what Clash calls `LAN`, and
/// sing-box private.
pub(super) const PRIVATE: [&str; 12] = [
    "0.0.0.0/32",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// How deep logic may stand in logic.
const MAX_DEPTH: usize = 16;

/// A set that stands for a database.
pub(super) enum Ranges {
    Asn(String),
    Country(String),
    Lan,
    Site(String),
}

impl Ranges {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Asn(number) => format!("as{number}"),
            Self::Country(code) => format!("geoip-{code}"),
            Self::Lan => "lan".to_owned(),
            Self::Site(name) => format!("geosite-{name}"),
        }
    }

    /// The key in `geox-url`, the usual address, the format, what is selected.
    pub(super) fn database(&self) -> Option<(&'static str, &'static str, &'static str, String)> {
        match self {
            Self::Lan => None,
            Self::Asn(number) => Some((
                "asn",
                "https://github.com/xishang0128/geoip/releases/download/latest/GeoLite2-ASN.mmdb",
                "mmdb",
                format!("as{number}"),
            )),
            Self::Country(code) => Some((
                "geoip",
                "https://github.com/MetaCubeX/meta-rules-dat/releases/download/latest/geoip.dat",
                "dat",
                code.clone(),
            )),
            Self::Site(name) => Some((
                "geosite",
                "https://github.com/MetaCubeX/meta-rules-dat/releases/download/latest/geosite.dat",
                "dat",
                name.clone(),
            )),
        }
    }
}

/// The parts of a rule: commas within brackets do not part.
pub(super) fn split(rule: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for c in rule.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// All of these.
pub(super) fn all(conditions: &[&str]) -> String {
    match conditions {
        [one] => (*one).to_owned(),
        many => {
            let parts: Vec<String> = many.iter().map(|part| format!("[{part}]")).collect();
            format!("AND, {}", parts.join(", "))
        }
    }
}

/// An entry of a list of names.
pub(super) fn domain_entry(entry: &str) -> Option<String> {
    if let Some(suffix) = entry.strip_prefix("+.") {
        return Some(format!("DOMAIN-SUFFIX, {}", word(suffix)));
    }
    if let Some(below) = entry.strip_prefix('.') {
        let below = word(below);
        return Some(format!(
            "AND, [DOMAIN-SUFFIX, {below}], [NOT, [DOMAIN, {below}]]"
        ));
    }
    if !entry.contains('*') {
        return Some(format!("DOMAIN, {}", word(entry)));
    }
    // A star is one label.
    let labels: Option<Vec<String>> = entry
        .split('.')
        .map(|label| match label {
            "*" => Some("[^.]+".to_owned()),
            label => (!label.contains('*')).then(|| regex::escape(label)),
        })
        .collect();
    Some(format!(
        "DOMAIN-REGEX, {}",
        word(&format!("^{}$", labels?.join("\\.")))
    ))
}

/// A rule without its way out; the sets that it needs go into `found`.
pub(super) fn clash(rule: &str, found: &mut Vec<Ranges>, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err(format!("logic deeper than {MAX_DEPTH} levels"));
    }
    let parts = split(rule);
    let kind = parts
        .first()
        .map(|kind| kind.to_ascii_uppercase())
        .unwrap_or_default();
    let value = parts.get(1).map_or("", String::as_str);
    let has = |word: &str| parts.iter().skip(2).any(|flag| flag == word);
    let flag = if has("no-resolve") {
        ", no-resolve"
    } else {
        ""
    };
    if has("src") && !kind.starts_with("IP-CIDR") {
        return Err("a set on the source".to_owned());
    }
    let said = |kind: &str| Ok(format!("{kind}, {}", word(value)));
    let mut set = |ranges: Ranges, flag: &str| {
        let name = ranges.name();
        found.push(ranges);
        Ok(format!("RULE-SET, {}{flag}", word(&name)))
    };
    let lower = value.to_ascii_lowercase();
    match kind.as_str() {
        "AND" | "OR" | "NOT" => {
            let inner = value.strip_prefix('(').and_then(|v| v.strip_suffix(')'));
            let inner = inner.ok_or("its conditions stand in brackets")?;
            let mut conditions = Vec::new();
            for part in split(inner) {
                let part = part.strip_prefix('(').and_then(|v| v.strip_suffix(')'));
                let part = part.ok_or("each condition stands in brackets")?;
                conditions.push(format!("[{}]", clash(part, found, depth + 1)?));
            }
            match (kind.as_str(), conditions.as_slice()) {
                ("NOT", [one]) => Ok(format!("NOT, {one}")),
                ("NOT", _) => Err("`NOT` has one condition".to_owned()),
                (_, [one]) => {
                    let bare = one.strip_prefix('[').and_then(|c| c.strip_suffix(']'));
                    Ok(bare.unwrap_or(one).to_owned())
                }
                (kind, many) => Ok(format!("{kind}, {}", many.join(", "))),
            }
        }
        "DOMAIN" | "DOMAIN-SUFFIX" | "DOMAIN-KEYWORD" | "DOMAIN-REGEX" | "NETWORK" => said(&kind),
        "DOMAIN-WILDCARD" => {
            let pattern: String = value
                .chars()
                .map(|c| match c {
                    '*' => ".*".to_owned(),
                    '?' => ".".to_owned(),
                    c => regex::escape(&c.to_string()),
                })
                .collect();
            Ok(format!("DOMAIN-REGEX, {}", word(&format!("^{pattern}$"))))
        }
        "GEOSITE" => set(Ranges::Site(lower), ""),
        "GEOIP" if matches!(lower.as_str(), "lan" | "private") => set(Ranges::Lan, flag),
        "GEOIP" => set(Ranges::Country(lower), flag),
        "IP-ASN" => set(Ranges::Asn(value.to_owned()), flag),
        "IP-CIDR" | "IP-CIDR6" if has("src") => said("SRC-IP-CIDR"),
        "IP-CIDR" | "IP-CIDR6" => Ok(format!("IP-CIDR, {}{flag}", word(value))),
        "SRC-IP-CIDR" => said("SRC-IP-CIDR"),
        "RULE-SET" => Ok(format!("RULE-SET, {}{flag}", word(value))),
        "DST-PORT" | "SRC-PORT" => Ok(format!("{kind}, {}", value.replace('/', "|"))),
        "DSCP" => Ok(format!("DSCP, {}", value.replace('/', "|"))),
        "IN-TYPE" => {
            let types: Vec<&str> = lower.split('/').collect();
            let known = ["http", "https", "socks", "socks4", "socks5"];
            if let Some(other) = types.iter().find(|word| !known.contains(*word)) {
                return Err(format!("there are no inbounds of type `{other}`"));
            }
            let socks = types.contains(&"socks") || types.contains(&"socks5");
            match (types.contains(&"http"), types.contains(&"https"), socks) {
                (true, true, true) => Ok("INBOUND, mixed".to_owned()),
                (true, true, false) => Ok("INBOUND, http".to_owned()),
                (false, false, true) => Ok("INBOUND, socks5".to_owned()),
                _ => Err("`HTTP` and `HTTPS` are one type here, and `SOCKS4` is none".to_owned()),
            }
        }
        "IN-PORT" => Ok(any_of(value, |port| format!("any:{port}"))),
        "IN-NAME" => Ok(any_name(value)),
        "IN-USER" => Ok(any_of(value, |user| format!("{user}@any"))),
        "PROCESS-NAME" => said("PROCESS-NAME-IGNORE-CASE"),
        "PROCESS-NAME-REGEX" => without_case("PROCESS-NAME-REGEX", value),
        "PROCESS-PATH" => said("PROC-PATH-IGNORE-CASE"),
        "PROCESS-PATH-REGEX" => without_case("PROC-PATH-REGEX", value),
        other => Err(format!("the native language has no `{other}`")),
    }
}

/// Expressions on programs have no regard to case in Clash.
fn without_case(kind: &str, value: &str) -> Result<String, String> {
    Ok(format!("{kind}, {}", word(&format!("(?i){value}"))))
}

/// Inbounds of which any may be the flow's, parted by `/`.
fn any_of(value: &str, inbound: impl Fn(&str) -> String) -> String {
    let each = value
        .split('/')
        .map(|one| format!("INBOUND, {}", word(&inbound(one))));
    any(each.collect())
}

fn any_name(value: &str) -> String {
    let each = value
        .split('/')
        .map(|one| format!("INBOUND-ALIAS, {}", word(one)));
    any(each.collect())
}

fn any(conditions: Vec<String>) -> String {
    match conditions.as_slice() {
        [one] => one.clone(),
        many => format!("OR, [{}]", many.join("], [")),
    }
}

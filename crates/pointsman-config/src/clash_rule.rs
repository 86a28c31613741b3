//! Clash's and mihomo's rule language: a line as the same condition in the words of native rules.
//!
//! Invariant: whoever reads this language reads it here (`rules:`, the `payload` of rule providers,
//! lists), so one line means one thing. A line that cannot be said whole is refused whole, never in a
//! wider form.
//!
//! Deliberately absent: ways out and named sets. The caller knows them.

use pointsman_policy::line::word;

/// How deep logic may stand in logic.
const MAX_DEPTH: usize = 16;

/// Private, loopback, link-local, multicast and unspecified addresses: what Clash calls `LAN`, and
/// sing-box private.
pub const PRIVATE: [&str; 12] = [
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

/// What a rule asks of a database that Clash brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// An autonomous system by its number.
    Asn(String),
    /// A country, lower-case.
    Country(String),
    /// Private, loopback, link-local, multicast and unspecified addresses.
    Lan,
    /// A category of names, lower-case.
    Site(String),
}

/// Finds what stands for a database: a condition without its `no-resolve`.
pub type FindBase<'a> = dyn FnMut(Base) -> Result<String, String> + 'a;

/// A rule as Clash parts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<'r> {
    /// The type, in upper case.
    pub kind: String,
    /// What is asked for; empty for `MATCH`.
    pub content: String,
    /// The way out, or the list of a `SUB-RULE`, where the line has one.
    pub target: Option<&'r str>,
    /// What stands behind it.
    pub flags: Vec<&'r str>,
}

impl<'r> Parts<'r> {
    /// The parts of a rule, with its target where `targeted`.
    ///
    /// Expressions and logic have commas of their own, so their target is the last part but flags.
    pub fn of(rule: &'r str, targeted: bool) -> Self {
        let mut parts: Vec<&str> = rule.split(',').map(str::trim).collect();
        let kind = parts.remove(0).to_ascii_uppercase();
        let mut flags = Vec::new();
        let mut target = None;
        if has_commas(&kind) {
            while parts.len() > 1
                && let Some(flag) = parts.pop_if(|last| is_flag(last))
            {
                flags.insert(0, flag);
            }
            if targeted && parts.len() > 1 {
                target = parts.pop();
            }
            let content = parts.join(",");
            return Self {
                kind,
                content,
                target,
                flags,
            };
        }
        let mut rest = parts.into_iter();
        let content = match is_match(&kind) {
            true => "",
            false => rest.next().unwrap_or_default(),
        };
        if targeted {
            target = rest.next();
        }
        flags.extend(rest);
        Self {
            kind,
            content: content.to_owned(),
            target: target.filter(|target| !target.is_empty()),
            flags,
        }
    }

    /// Whether it takes every flow.
    pub fn is_match(&self) -> bool {
        is_match(&self.kind)
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|own| own.eq_ignore_ascii_case(flag))
    }

    /// What Clash reads and passes over.
    pub fn ignored(&self) -> impl Iterator<Item = &'r str> {
        let flags = self.flags.iter().copied();
        flags.filter(|flag| !is_flag(flag) && !flag.is_empty())
    }
}

/// Whether a rule can only be one of Clash's: of a type that native rules lack, or with logic in its brackets.
pub(crate) fn is_clash(rule: &str) -> bool {
    let parts = Parts::of(rule, false);
    match parts.kind.as_str() {
        "AND" | "NOT" | "OR" => parts.content.starts_with('('),
        kind => parts.is_match() || FOREIGN.contains(&kind),
    }
}

/// Whether a rule of Clash asks for a program.
pub(crate) fn asks_for_program(rule: &str) -> bool {
    let kind = rule.split(',').next().unwrap_or_default().trim();
    let starts = |prefix: &str| {
        let head = kind.get(..prefix.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    let ends = |end: &&str| {
        let (field, test) = kind.split_at_checked(12).unwrap_or((kind, ""));
        field.len() == 12 && test.eq_ignore_ascii_case(end)
    };
    (starts("PROCESS-NAME") || starts("PROCESS-PATH"))
        && ["", "-REGEX", "-WILDCARD"].iter().any(ends)
}

/// Types of Clash that native rules lack or call otherwise.
const FOREIGN: [&str; 19] = [
    "DEST-PORT",
    "DOMAIN-WILDCARD",
    "GEOSITE",
    "IN-NAME",
    "IN-PORT",
    "IN-TYPE",
    "IN-USER",
    "IP-SUFFIX",
    "PROCESS-NAME-WILDCARD",
    "PROCESS-PATH-WILDCARD",
    "SCRIPT",
    "SRC-GEOIP",
    "SRC-IP",
    "SRC-IP-ASN",
    "SRC-IP-SUFFIX",
    "SRC-MAC",
    "SUB-RULE",
    "UID",
    "URL-REGEX",
];

fn is_match(kind: &str) -> bool {
    matches!(kind, "FINAL" | "MATCH")
}

/// Words that may stand behind a rule. The last two are Surge's and ask for no more than is done here:
/// names are looked for in first bytes where the configuration says so.
fn is_flag(word: &str) -> bool {
    let known = ["no-resolve", "src", "extended-matching", "pre-matching"];
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Types whose content may hold commas.
fn has_commas(kind: &str) -> bool {
    matches!(kind, "AND" | "NOT" | "OR" | "SUB-RULE") || kind.ends_with("-REGEX")
}

/// What stands between the brackets of the condition of a `SUB-RULE`, of logic, or of one of its parts.
pub fn within(text: &str) -> Result<&str, String> {
    let inner = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    let inner = inner.ok_or_else(|| match text.starts_with('[') {
        true => format!(
            "`{text}` is in square brackets; Clash has round ones: `AND,((TYPE,CONTENT),(TYPE,CONTENT)),TARGET`"
        ),
        false => format!("`{text}` must be in brackets: `(TYPE,CONTENT)`"),
    })?;
    match pairs(inner) {
        true => Ok(inner.trim()),
        false => Err(format!("`{text}` has a bracket without its pair")),
    }
}

/// Whether each bracket has its other one.
fn pairs(text: &str) -> bool {
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return false,
            ')' => depth -= 1,
            _ => {}
        }
    }
    depth == 0
}

/// The parts between commas that stand in no brackets.
pub fn operands(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let parts = text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim)
}

/// Reads rules of Clash.
pub struct Reader<'a> {
    /// Finds what stands for a database.
    pub base: &'a mut FindBase<'a>,
    /// Whether programs are the same in any case, as they are to Clash.
    pub any_case: bool,
}

impl Reader<'_> {
    /// A rule without its target in the words of native rules.
    pub fn condition(&mut self, rule: &str) -> Result<String, String> {
        self.nested(rule, 0)
    }

    /// A rule whose parts are known, in the words of native rules; its target counts for nothing.
    pub fn of(&mut self, parts: &Parts<'_>) -> Result<String, String> {
        self.parts(parts, 0)
    }

    fn nested(&mut self, rule: &str, depth: usize) -> Result<String, String> {
        if depth > MAX_DEPTH {
            return Err(format!("logic deeper than {MAX_DEPTH} levels"));
        }
        let parts = Parts::of(rule, false);
        if let Some(flag) = parts.ignored().next().filter(|_| !parts.is_match()) {
            return Err(format!("`{flag}` means nothing behind a condition"));
        }
        self.parts(&parts, depth)
    }

    fn parts(&mut self, parts: &Parts<'_>, depth: usize) -> Result<String, String> {
        let (kind, content) = (parts.kind.as_str(), parts.content.as_str());
        if content.is_empty() && !parts.is_match() {
            return Err(format!("`{kind}` needs a content"));
        }
        let flag = if parts.has("no-resolve") {
            ", no-resolve"
        } else {
            ""
        };
        let source = parts.has("src");
        if source && matches!(kind, "GEOIP" | "IP-ASN" | "RULE-SET") {
            return Err(format!("`{kind}` of the source cannot be asked"));
        }
        let said = |kind: &str| Ok(format!("{kind}, {}", word(content)));
        let lower = content.to_ascii_lowercase();
        match kind {
            "AND" | "NOT" | "OR" => self.logic(kind, content, depth),
            "DOMAIN" | "DOMAIN-KEYWORD" | "DOMAIN-REGEX" | "DOMAIN-SUFFIX" | "NETWORK" => {
                said(kind)
            }
            "DOMAIN-WILDCARD" => Ok(format!("DOMAIN-REGEX, {}", word(&wildcard(content)))),
            "DSCP" | "DST-PORT" | "SRC-PORT" => numbers(kind, content),
            // Surge's words.
            "DEST-PORT" => numbers("DST-PORT", content),
            "PROTOCOL" if matches!(lower.as_str(), "tcp" | "udp") => said("NETWORK"),
            "SRC-IP" => said("SRC-IP-CIDR"),
            "GEOIP" if matches!(lower.as_str(), "lan" | "private") => self.base(Base::Lan, flag),
            "GEOIP" => self.base(Base::Country(lower), flag),
            "GEOSITE" => self.base(Base::Site(lower), ""),
            "IN-NAME" => Ok(any_of(content, "INBOUND-ALIAS", str::to_owned)),
            "IN-PORT" => Ok(any_of(content, "INBOUND", |port| format!("any:{port}"))),
            "IN-TYPE" => in_type(&lower),
            "IN-USER" => Ok(any_of(content, "INBOUND", |user| format!("{user}@any"))),
            "IP-ASN" => self.base(Base::Asn(content.to_owned()), flag),
            "IP-CIDR" | "IP-CIDR6" if source => said("SRC-IP-CIDR"),
            "IP-CIDR" | "IP-CIDR6" => Ok(format!("IP-CIDR, {}{flag}", word(content))),
            "PROCESS-NAME" => Ok(self.program("PROCESS-NAME", content)),
            "PROCESS-PATH" => Ok(self.program("PROC-PATH", content)),
            "PROCESS-NAME-REGEX" | "PROCESS-NAME-WILDCARD" => {
                Ok(self.program_regex("PROCESS-NAME", kind, content))
            }
            "PROCESS-PATH-REGEX" | "PROCESS-PATH-WILDCARD" => {
                Ok(self.program_regex("PROC-PATH", kind, content))
            }
            "RULE-SET" => Ok(format!("RULE-SET, {}{flag}", word(content))),
            "SRC-IP-CIDR" => said("SRC-IP-CIDR"),
            "FINAL" | "MATCH" | "SUB-RULE" => Err(format!("`{kind}` stands in `rules` alone")),
            lacking if FOREIGN.contains(&lacking) => {
                Err(format!("the native language has no `{lacking}`"))
            }
            // None of Clash's own; the reader of native rules says what it is.
            other => Ok(format!("{other}, {}{flag}", word(content))),
        }
    }

    fn logic(&mut self, kind: &str, content: &str, depth: usize) -> Result<String, String> {
        let mut conditions = Vec::new();
        for operand in operands(within(content)?) {
            conditions.push(self.nested(within(operand)?, depth + 1)?);
        }
        match (kind, conditions.as_slice()) {
            ("NOT", [one]) => Ok(format!("NOT, [{one}]")),
            ("NOT", _) => Err("`NOT` has one condition".to_owned()),
            (_, [one]) => Ok(one.clone()),
            (kind, many) => Ok(format!("{kind}, [{}]", many.join("], ["))),
        }
    }

    fn base(&mut self, base: Base, flag: &str) -> Result<String, String> {
        let condition = (self.base)(base)?;
        Ok(match (flag, condition.starts_with("OR, ")) {
            ("", _) => condition,
            (flag, false) => condition + flag,
            (flag, true) => condition.replace(']', &format!("{flag}]")),
        })
    }

    fn program(&self, field: &str, content: &str) -> String {
        let test = if self.any_case { "-IGNORE-CASE" } else { "" };
        format!("{field}{test}, {}", word(content))
    }

    fn program_regex(&self, field: &str, kind: &str, content: &str) -> String {
        let expression = match kind.ends_with("-WILDCARD") {
            true => wildcard(content),
            false => content.to_owned(),
        };
        let case = if self.any_case { "(?i)" } else { "" };
        format!("{field}-REGEX, {}", word(&format!("{case}{expression}")))
    }
}

/// A pattern in which `*` is any text and `?` one character, as an expression.
fn wildcard(pattern: &str) -> String {
    let mut expression = String::from("^");
    for c in pattern.chars() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push('$');
    expression
}

/// Numbers and ranges of them, parted by `/`. What native rules have behind a `/` (`443/tcp`) is none
/// of Clash's.
fn numbers(kind: &str, content: &str) -> Result<String, String> {
    let is_number = |text: &str| {
        let text = text.trim();
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
    };
    let is_range = |part: &str| match part.split_once('-') {
        Some((low, high)) => is_number(low) && is_number(high),
        None => is_number(part),
    };
    match content.split('/').find(|part| !is_range(part)) {
        Some(part) => Err(format!("`{part}` is no number and no range of `{kind}`")),
        None => Ok(format!("{kind}, {}", content.replace('/', "|"))),
    }
}

fn in_type(lower: &str) -> Result<String, String> {
    let types: Vec<&str> = lower.split('/').map(str::trim).collect();
    let known = ["http", "https", "socks", "socks4", "socks5"];
    if let Some(other) = types.iter().find(|word| !known.contains(*word)) {
        return Err(format!("there are no inbounds of type `{other}`"));
    }
    let has = |word: &str| types.contains(&word);
    match (has("http"), has("https"), has("socks") || has("socks5")) {
        (true, true, true) => Ok("INBOUND, mixed".to_owned()),
        (true, true, false) => Ok("INBOUND, http".to_owned()),
        (false, false, true) => Ok("INBOUND, socks5".to_owned()),
        _ => Err("`HTTP` and `HTTPS` are one type here, and `SOCKS4` is none".to_owned()),
    }
}

/// Any of several contents, parted by `/`.
fn any_of(content: &str, kind: &str, said: impl Fn(&str) -> String) -> String {
    let each = content.split('/').map(str::trim);
    let each: Vec<String> = each
        .map(|one| format!("{kind}, {}", word(&said(one))))
        .collect();
    match each.as_slice() {
        [one] => one.clone(),
        many => format!("OR, [{}]", many.join("], [")),
    }
}

#[cfg(test)]
mod tests;

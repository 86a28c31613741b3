//! sing-box's rule sets as JSON (source format, versions 1 to 5).
//!
//! Invariant: the file is read twice as a stream, never held. First it is seen of which rules names and
//! addresses are all (their keys may stand in any order); the entries of these then go to the sink one
//! by one, at their lines. Only other rules are in memory whole, each while it is read.

mod whole;

use std::fmt;
use std::io;

use pointsman_policy::Prefix;
use pointsman_policy::condition::{Condition, Side};
use pointsman_policy::near::nearest;
use serde::Deserializer as _;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Value};

use super::headless::{MAX_DEPTH, Other, Rule, logical};
use super::lines::{Line, Lines};
use super::numbered::{Numbered, Test};
use super::{Bytes, Reading, Spot, Unreadable};
use crate::json::{self, At, Relaxed};

/// The newest version that is known.
const NEWEST: u64 = 5;

/// Keys whose values are names or addresses of the destination.
const PLAIN: [&str; 5] = [
    "domain",
    "domain_keyword",
    "domain_regex",
    "domain_suffix",
    "ip_cidr",
];

/// Other keys of a rule that can be said here.
const SAYABLE: [&str; 11] = [
    "invert",
    "network",
    "port",
    "port_range",
    "process_name",
    "process_path",
    "process_path_regex",
    "source_ip_cidr",
    "source_port",
    "source_port_range",
    "type",
];

/// Keys that ask for what is not known here.
const UNSAYABLE: [&str; 10] = [
    "default_interface_address",
    "network_interface_address",
    "network_is_constrained",
    "network_is_expensive",
    "network_type",
    "package_name",
    "package_name_regex",
    "query_type",
    "wifi_bssid",
    "wifi_ssid",
];

/// Keys of sing-box's configurations.
const CONFIGURATION: [&str; 7] = [
    "dns",
    "experimental",
    "inbounds",
    "log",
    "ntp",
    "outbounds",
    "route",
];

/// Keys of a rule that is made of rules, besides.
const LOGICAL: [&str; 2] = ["mode", "rules"];

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let mut shapes = Vec::new();
    let at = At::start();
    pass(bytes, &at, &mut Rules::Look(&mut shapes, &at))?;
    bytes.rewind()?;
    let at = At::start();
    let mut rules = Rules::Take {
        shapes: shapes.iter(),
        to: &mut Numbered::new(reading),
        at: &at,
    };
    pass(bytes, &at, &mut rules)
}

/// Goes through the file once.
fn pass(bytes: &mut dyn Bytes, at: &At, rules: &mut Rules<'_, '_, '_>) -> Result<(), Unreadable> {
    if bytes.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        bytes.consume(3);
    }
    let mut from = Deserializer::from_reader(Relaxed::new(&mut *bytes, at));
    let done = from
        .deserialize_map(Document(rules))
        .and_then(|()| from.end());
    done.map_err(|error| match error.io_error_kind() {
        Some(kind) if kind != io::ErrorKind::InvalidData => Unreadable::Io(error.into()),
        _ => Unreadable::Malformed {
            message: json::message(&error),
            hint: None,
            at: Some(spot(bytes, at)),
        },
    })
}

/// The place of the byte that was read last, with its line where that can be shown.
fn spot(bytes: &mut dyn Bytes, at: &At) -> Spot {
    let (number, column) = (at.line.get(), at.column.get());
    let mut line = String::new();
    if bytes.rewind().is_ok() {
        let mut lines = Lines::new(bytes);
        while let Ok(Some((seen, text))) = lines.next() {
            if let (Line::Text(text), true) = (text, seen == number) {
                line = text.to_owned();
            }
            if seen >= number {
                break;
            }
        }
    }
    match line.get(column..).and_then(|rest| rest.chars().next()) {
        Some(c) => Spot::new(number, &line, column, column + c.len_utf8()),
        None => Spot::new(number, &line, line.len(), line.len()),
    }
}

/// What is done with the rules.
enum Rules<'p, 'r, 'a> {
    /// Notes of which rules names and addresses are all.
    Look(&'p mut Vec<bool>, &'p At),
    /// Hands on their entries.
    Take {
        shapes: std::slice::Iter<'p, bool>,
        to: &'p mut Numbered<'r, 'a>,
        at: &'p At,
    },
}

/// The whole file.
struct Document<'d, 'p, 'r, 'a>(&'d mut Rules<'p, 'r, 'a>);

impl<'de> Visitor<'de> for Document<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `version` and `rules`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut version, mut rules) = (false, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "version" => match map.next_value::<u64>()? {
                    1..=NEWEST => version = true,
                    other => {
                        let message = format!("the version {other} is unknown");
                        return Err(de::Error::custom(message));
                    }
                },
                "rules" if rules => return Err(de::Error::duplicate_field("rules")),
                "rules" => {
                    map.next_value_seed(Each(self.0))?;
                    rules = true;
                }
                other if CONFIGURATION.contains(&other) => {
                    return Err(de::Error::custom(
                        "this is a configuration of sing-box, not a rule set: `pointsman convert` reads it",
                    ));
                }
                other => return Err(unknown(other, &["rules", "version"])),
            }
        }
        if version {
            Ok(())
        } else {
            Err(de::Error::missing_field("version"))
        }
    }
}

fn unknown<E: de::Error>(key: &str, known: &[&str]) -> E {
    let near = nearest(key, known.iter().copied());
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    E::custom(format!("the key `{key}` is unknown{hint}"))
}

/// The list of rules.
struct Each<'d, 'p, 'r, 'a>(&'d mut Rules<'p, 'r, 'a>);

impl<'de> DeserializeSeed<'de> for Each<'_, '_, '_, '_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Each<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rules")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        match self.0 {
            Rules::Look(shapes, at) => {
                while let Some(plain) = list.next_element_seed(Look(at))? {
                    shapes.push(plain);
                }
            }
            Rules::Take { shapes, to, at } => loop {
                let next = match shapes.next() {
                    Some(true) => list.next_element_seed(Plain { to, at })?,
                    Some(false) | None => list.next_element_seed(Whole { to, at })?,
                };
                if next.is_none() {
                    break;
                }
            },
        }
        Ok(())
    }
}

/// Looks at a rule: whether names and addresses are all that it has.
struct Look<'l>(&'l At);

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = bool;
    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut seen = Vec::new();
        let mut plain = true;
        while let Some(key) = map.next_key::<String>()? {
            let known = |keys: &[&'static str]| keys.iter().find(|known| **known == key).copied();
            if let Some(key) = known(&PLAIN) {
                // Of a key said twice the last one counts, which nobody knows before its end.
                plain &= !seen.contains(&key);
                seen.push(key);
                map.next_value::<IgnoredAny>()?;
            } else if known(&SAYABLE).is_some() || known(&UNSAYABLE).is_some() {
                self.0.hold(true);
                plain &= is_nothing(&map.next_value()?);
                self.0.hold(false);
            } else if known(&LOGICAL).is_some() {
                map.next_value::<IgnoredAny>()?;
                plain = false;
            } else {
                let known: Vec<&str> = [&PLAIN[..], &SAYABLE, &UNSAYABLE, &LOGICAL].concat();
                return Err(unknown(&key, &known));
            }
        }
        Ok(plain)
    }
}

/// Whether a value is as good as none: `invert: false`, `port: []`, `type: "default"`.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Bool(yes) => !yes,
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
        Value::String(text) => matches!(text.as_str(), "" | "default"),
    }
}

/// Hands on the entries of a rule that has names and addresses alone.
struct Plain<'d, 'r, 'a> {
    to: &'d mut Numbered<'r, 'a>,
    at: &'d At,
}

impl<'de> DeserializeSeed<'de> for Plain<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Plain<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let before = self.to.count;
        while let Some(key) = map.next_key::<String>()? {
            if let Some(key) = PLAIN.iter().find(|known| **known == key) {
                map.next_value_seed(Entries {
                    key,
                    to: &mut *self.to,
                    at: self.at,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if self.to.count == before {
            self.to.line = Some(self.at.line.get());
            let why = "a rule is left out: the rule asks for nothing".to_owned();
            self.to.leave_out("", why);
        }
        Ok(())
    }
}

/// The value of a key: one text, or a list of them.
struct Entries<'d, 'r, 'a> {
    key: &'d str,
    to: &'d mut Numbered<'r, 'a>,
    at: &'d At,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "for `{}` a text or a list of texts", self.key)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.to.line = Some(self.at.line.get());
        match test(self.key, text) {
            Some(test) => self.to.test(test),
            None => match text.parse::<Prefix>() {
                Ok(prefix) => self.to.prefix(prefix),
                Err(why) => self.to.leave_out(text, why.to_string()),
            },
        }
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { key, to, at } = self;
        while list
            .next_element_seed(Entries {
                key,
                to: &mut *to,
                at,
            })?
            .is_some()
        {}
        Ok(())
    }
}

/// The test that a text is under a key; `None` for addresses.
fn test<'t>(key: &str, text: &'t str) -> Option<Test<'t>> {
    match key {
        "domain" => Some(Test::Exact(text)),
        "domain_keyword" => Some(Test::Keyword(text)),
        "domain_regex" => Some(Test::Regex(text)),
        "domain_suffix" => Some(match text.strip_prefix('.') {
            Some(name) => Test::Below(name),
            None => Test::Suffix(text),
        }),
        _ => None,
    }
}

/// Hands on a rule as one condition.
struct Whole<'d, 'r, 'a> {
    to: &'d mut Numbered<'r, 'a>,
    at: &'d At,
}

impl<'de> DeserializeSeed<'de> for Whole<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.to.line = Some(self.at.line.get());
        self.at.hold(true);
        let mut doubled = Vec::new();
        let whole = whole::Whole(&mut doubled).deserialize(MapAccessDeserializer::new(map))?;
        self.at.hold(false);
        for key in doubled {
            let why = format!(
                "the key `{key}` stands twice in a rule, and only the last one is read: write all under one"
            );
            self.to.tell_besides(why);
        }
        let Value::Object(map) = whole else {
            return Err(de::Error::custom("a rule is an object"));
        };
        match rule(&map, 1).map_err(de::Error::custom)? {
            Ok(condition) => self.to.rule(condition),
            Err(why) => self.to.leave_out("", format!("a rule is left out: {why}")),
        }
        Ok(())
    }
}

/// A rule as a condition; `Err` inside: why it is left out; outside: it is none.
fn rule(map: &Map<String, Value>, depth: usize) -> Result<Result<Condition, String>, String> {
    if depth > MAX_DEPTH {
        return Err("rules are nested too deep (more than 32 levels)".into());
    }
    match map.get("type").unwrap_or(&Value::Null) {
        Value::Null => default(map),
        Value::String(word) if matches!(word.as_str(), "" | "default") => default(map),
        Value::String(word) if word == "logical" => {
            let and = match map.get("mode").and_then(Value::as_str) {
                Some("and") => true,
                Some("or") => false,
                _ => return Err("`mode` is `and` or `or`".into()),
            };
            let mut rules = Vec::new();
            let mut invert = false;
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("rules", Value::Array(list)) => {
                        for inner in list {
                            let Value::Object(inner) = inner else {
                                return Err("a rule is an object".into());
                            };
                            rules.push(rule(inner, depth + 1)?);
                        }
                    }
                    ("invert", value) => invert = yes("invert", value)?,
                    ("mode" | "type", _) => {}
                    (key, _) => {
                        return Err(format!("`{key}` has no place in a rule of type `logical`"));
                    }
                }
            }
            Ok(logical(and, rules, invert))
        }
        other => Err(format!("the type {other} is unknown")),
    }
}

fn default(map: &Map<String, Value>) -> Result<Result<Condition, String>, String> {
    let mut rule = Rule::default();
    for (key, value) in map {
        let (side, bare) = match key.strip_prefix("source_") {
            Some(bare) => (Side::Source, bare),
            None => (Side::Destination, key.as_str()),
        };
        match bare {
            _ if PLAIN[..4].contains(&key.as_str()) => {
                for text in texts(key, value)? {
                    // Each of these keys is a test.
                    test(key, text).into_iter().for_each(|test| rule.test(test));
                }
            }
            "ip_cidr" => {
                for text in texts(key, value)? {
                    match text.parse() {
                        Ok(prefix) => rule.prefix(side, prefix),
                        Err(why) => rule.cannot(format!("{why}")),
                    }
                }
            }
            "port" => {
                for port in list(value) {
                    let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
                    let port =
                        port.ok_or_else(|| format!("`{key}` is a port or a list of them"))?;
                    rule.port(side, port);
                }
            }
            "port_range" => {
                for text in texts(key, value)? {
                    rule.port_range(side, text);
                }
            }
            "network" => rule.other(Other::Network, &texts(key, value)?),
            "process_name" => rule.other(Other::ProcessName, &texts(key, value)?),
            "process_path" => rule.other(Other::ProcessPath, &texts(key, value)?),
            "process_path_regex" => rule.other(Other::ProcessPathRegex, &texts(key, value)?),
            "invert" => rule.invert = yes(key, value)?,
            "type" => {}
            _ if UNSAYABLE.contains(&key.as_str()) => {
                if !is_nothing(value) {
                    rule.unsayable(key);
                }
            }
            _ if LOGICAL.contains(&key.as_str()) => {
                return Err(format!("`{key}` belongs to a rule of type `logical`"));
            }
            _ => {
                let known: Vec<&str> = [&PLAIN[..], &SAYABLE, &UNSAYABLE].concat();
                let error: serde_json::Error = unknown(key, &known);
                return Err(error.to_string());
            }
        }
    }
    Ok(rule.condition())
}

/// A list's items; a value that is no list is its own only item.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn texts<'v>(key: &str, value: &'v Value) -> Result<Vec<&'v str>, String> {
    let texts = list(value).iter().map(Value::as_str);
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| format!("`{key}` is a text or a list of texts"))
}

fn yes(key: &str, value: &Value) -> Result<bool, String> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(yes) => Ok(*yes),
        _ => Err(format!("`{key}` is true or false")),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::{Shown, told_of};

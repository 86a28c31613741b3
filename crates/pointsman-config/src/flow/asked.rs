//! A query for a name, as people and tests describe it: `dns=forum.example type=AAAA answer=192.0.2.1`, or the same keys
//! of a JSON object.
//!
//! Invariant: what is not said is not there: no client, no answer that came.

use std::net::IpAddr;

use pointsman_policy::answered::read_code;
use pointsman_policy::{Domain, record_type};
use serde_json::Value;

use super::words::{key_and_value, split};
use super::{BadFlow, bad, domain, source};
use crate::problem::nearest;

/// What is said of one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameQuery {
    /// The name that is asked for.
    pub name: Domain,
    /// The type that is asked for: that of IPv4 addresses, where nothing is said.
    pub kind: u16,
    /// Who asks.
    pub client: Option<IpAddr>,
    /// What the upstream answers.
    pub answer: Option<GivenAnswer>,
}

/// What an upstream answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenAnswer {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// The names that it leads to.
    pub aliases: Vec<Domain>,
    /// Its code.
    pub code: u16,
}

/// Every key, and what it takes.
pub const NAME_KEYS: [(&str, &str); 4] = [
    ("dns", "the name that is asked for"),
    ("type", "the type that is asked for: A, AAAA, HTTPS, 65"),
    ("src", "who asks"),
    (
        "answer",
        "what the upstream answers, comma-separated: addresses, names that it leads to, a code such as NXDOMAIN",
    ),
];

/// The type of IPv4 addresses: what names are usually asked for with.
const A: u16 = 1;

impl NameQuery {
    /// One for the addresses of a name, of which nothing else is said.
    #[must_use]
    pub fn of(name: Domain) -> Self {
        Self {
            name,
            kind: A,
            client: None,
            answer: None,
        }
    }

    /// Whether a text describes a query, and not a flow.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        match text.trim_start().strip_prefix('{') {
            Some(_) => object(text).is_some_and(|object| object.contains_key("dns")),
            None => text.split_whitespace().any(|word| word.starts_with("dns=")),
        }
    }

    /// Reads words, or a JSON object.
    ///
    /// # Errors
    /// [`BadFlow`] names the key.
    pub fn parse(text: &str) -> Result<Self, BadFlow> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        if text.trim_start().starts_with('{') {
            let object = object(text).ok_or_else(|| BadFlow::NotJson("no JSON object".into()))?;
            for (key, value) in object {
                let text = match value {
                    Value::String(text) => text,
                    Value::Array(all) => {
                        let texts = all.iter().filter_map(Value::as_str);
                        texts.collect::<Vec<_>>().join(",")
                    }
                    other => other.to_string(),
                };
                pairs.push((key, text));
            }
        } else {
            for word in split(text)? {
                let (key, value) = key_and_value(&word)?;
                pairs.push((key.to_owned(), value.to_owned()));
            }
        }
        Self::of_pairs(&pairs)
    }

    fn of_pairs(pairs: &[(String, String)]) -> Result<Self, BadFlow> {
        let keys = NAME_KEYS.map(|(key, _)| key);
        for (at, (key, _)) in pairs.iter().enumerate() {
            if !keys.contains(&key.as_str()) {
                return Err(BadFlow::UnknownKey {
                    key: key.clone(),
                    near: nearest(key, keys).map(str::to_owned),
                });
            }
            if pairs.iter().take(at).any(|(other, _)| other == key) {
                return Err(BadFlow::Twice(key.clone()));
            }
        }
        let value = |wanted: &str| {
            let found = pairs.iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let mut query = Self::of(domain("dns", value("dns").unwrap_or_default())?);
        if let Some(kind) = value("type") {
            query.kind = kind_of(kind)?;
        }
        query.client = value("src")
            .map(|text| source("src", text).map(|client| client.ip()))
            .transpose()?;
        query.answer = value("answer").map(answer_of).transpose()?;
        Ok(query)
    }
}

/// The type of a word.
///
/// # Errors
/// [`BadFlow`]: it is none.
pub fn kind_of(text: &str) -> Result<u16, BadFlow> {
    record_type::read(text)
        .ok_or_else(|| bad("type", "is no type of a record, such as `AAAA` or `65`"))
}

/// What an upstream answers, in words.
///
/// # Errors
/// [`BadFlow`] says which word is none.
pub fn answer_of(text: &str) -> Result<GivenAnswer, BadFlow> {
    let mut answer = GivenAnswer::default();
    for word in text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        if let Ok(address) = word.parse::<IpAddr>() {
            answer.addresses.push(address.to_canonical());
        } else if let Some(code) = read_code(word) {
            answer.code = code;
        } else {
            answer.aliases.push(domain("answer", word)?);
        }
    }
    Ok(answer)
}

fn object(text: &str) -> Option<serde_json::Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_in_words_and_json() {
        let check = |text: &str, expected: &str| {
            assert!(NameQuery::is_meant(text), "{text}");
            let told = match NameQuery::parse(text) {
                Ok(NameQuery {
                    name,
                    kind,
                    client,
                    answer,
                }) => {
                    let client = client.map(|it| format!(" from {it}")).unwrap_or_default();
                    let answer = answer
                        .map(|it| format!(" {:?} {:?} {}", it.addresses, it.aliases, it.code));
                    format!("{name} {kind}{client}{}", answer.unwrap_or_default())
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(told, expected, "{text}");
        };
        check("dns=A.test", "a.test 1");
        check(
            "dns=a.test type=https src=192.168.1.9",
            "a.test 65 from 192.168.1.9",
        );
        check(
            "dns=a.test answer=10.0.0.1,b.test",
            "a.test 1 [10.0.0.1] [Domain(b.test)] 0",
        );
        check("dns=a.test answer=servfail", "a.test 1 [] [] 2");
        check(
            "{\"dns\": \"a.test\", \"type\": 28, \"answer\": [\"::1\"]}",
            "a.test 28 [::1] [] 0",
        );
        check(
            "dns=a.test type=AAA",
            "`type`: is no type of a record, such as `AAAA` or `65`",
        );
        check(
            "dns=a.test typ=A",
            "there is no key `typ`; did you mean `type`?",
        );
        check("dns=a.test dns=b.test", "`dns` is given twice");
        for flow in ["a.test:443", "dst=dns.test:1", "{\"dst\": \"a.test:1\"}"] {
            assert!(!NameQuery::is_meant(flow), "{flow}");
        }
    }
}

//! Conditions in the words of Clash's rules, as mihomo reads them in the `payload` of a rule set.
//!
//! Invariant: what has no word there is not written in another's words: mihomo drops a rule that it does not know.

use std::ops::RangeInclusive;

use pointsman_policy::condition::{
    AddressOf, Asks, Condition, DomainTest, Side, TextField, TextTest,
};
use pointsman_policy::line;

use crate::clash_rule::Reader;
use crate::list::Surroundings;
use crate::list::numbered::canonical;

/// The rule of a condition; `None`: Clash has no word for it, or it would be read otherwise.
pub(super) fn rule(condition: &Condition) -> Option<String> {
    let rule = said(condition)?;
    is_read_again(&rule, condition).then_some(rule)
}

fn said(condition: &Condition) -> Option<String> {
    Some(match condition {
        Condition::Address { of, prefix, asks } => match of {
            AddressOf::Destination if prefix.address().is_ipv6() => {
                format!("IP-CIDR6,{prefix}{}", flag(*asks))
            }
            AddressOf::Destination => format!("IP-CIDR,{prefix}{}", flag(*asks)),
            AddressOf::Source => format!("SRC-IP-CIDR,{prefix}"),
            _ => return None,
        },
        Condition::And(parts) => logic("AND", parts)?,
        Condition::Asn(number, asks) => format!("IP-ASN,{number}{}", flag(*asks)),
        Condition::Country(code, asks) => format!("GEOIP,{code}{}", flag(*asks)),
        Condition::Domain(test) => match test {
            DomainTest::Exact(name) => format!("DOMAIN,{name}"),
            DomainTest::Keyword(word) => format!("DOMAIN-KEYWORD,{word}"),
            DomainTest::Regex(pattern) => format!("DOMAIN-REGEX,{}", pattern.as_str()),
            DomainTest::Suffix(name) => format!("DOMAIN-SUFFIX,{name}"),
        },
        Condition::Network(_) => canonical(condition).replacen(", ", ",", 1),
        Condition::Not(inner) => format!("NOT,(({}))", said(inner)?),
        Condition::Or(parts) => logic("OR", parts)?,
        Condition::Port {
            side,
            ranges,
            network: None,
        } => {
            let kind = match side {
                Side::Destination => "DST-PORT",
                Side::Source => "SRC-PORT",
            };
            let ranges: Vec<String> = ranges.iter().map(range).collect();
            format!("{kind},{}", ranges.join("/"))
        }
        Condition::Text(field, TextTest::Exact(text)) => match field {
            TextField::ProcessName => format!("PROCESS-NAME,{text}"),
            TextField::ProcessPath => format!("PROCESS-PATH,{text}"),
            _ => return None,
        },
        _ => return None,
    })
}

fn logic(kind: &str, parts: &[Condition]) -> Option<String> {
    let parts: Option<Vec<String>> = parts.iter().map(said).collect();
    Some(format!("{kind},(({}))", parts?.join("),(")))
}

fn flag(asks: Asks) -> &'static str {
    match asks {
        Asks::Never => ",no-resolve",
        _ => "",
    }
}

fn range(range: &RangeInclusive<u16>) -> String {
    match (range.start(), range.end()) {
        (low, high) if low == high => low.to_string(),
        (low, high) => format!("{low}-{high}"),
    }
}

/// Whether a rule is read as this condition in a list.
fn is_read_again(rule: &str, condition: &Condition) -> bool {
    if rule.contains(['\n', '\r']) || line::without_comment(rule) != rule {
        return false;
    }
    let scope = Surroundings::with_databases();
    let read = line::parse_condition(rule, &scope).ok().or_else(|| {
        let mut reader = Reader {
            base: &mut |_| Err(String::new()),
            any_case: false,
        };
        let native = reader.condition(rule).ok()?;
        line::parse_condition(&native, &scope).ok()
    });
    read.is_some_and(|read| canonical(&read) == canonical(condition))
}

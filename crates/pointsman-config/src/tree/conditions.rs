//! The policy's conditions in the words of the tree language; [`super::facts`] reads them.

use pointsman_policy::answered::print_code;
use pointsman_policy::condition::{
    AddressKind, AddressOf, AnswerTest, Asks, DomainTest, Side, TextField, TextTest, ZoneOf,
};
use pointsman_policy::fact::{InboundKind, Network};
use pointsman_policy::zone::ZoneId;
use pointsman_policy::{Condition, Policy};

use super::lex::{quote, word};
use super::words::{ADDRESSES, TEXT_FIELDS};

/// A condition as it stands behind `cond`.
pub(super) fn print(condition: &Condition, policy: &Policy) -> String {
    match bare(condition) {
        Condition::Always => "always".into(),
        Condition::Never => "never".into(),
        Condition::And(parts) => match parts.as_slice() {
            [] => "always".into(),
            parts => joined(parts, " and ", policy),
        },
        Condition::Or(parts) => match parts.as_slice() {
            [] => "never".into(),
            parts => one_list(parts, policy).unwrap_or_else(|| joined(parts, " or ", policy)),
        },
        Condition::Not(inner) => format!("not {}", part(inner, policy)),
        plain => {
            let Simple {
                head,
                value,
                behind,
            } = simple(plain, policy);
            format!("{head} {value}{behind}")
        }
    }
}

/// Whether it is printed as `always`.
pub(super) fn is_always(condition: &Condition) -> bool {
    match bare(condition) {
        Condition::Always => true,
        Condition::And(parts) => parts.is_empty(),
        _ => false,
    }
}

/// A condition without the `and` and `or` of one part around it, which have no spelling.
pub(super) fn bare(condition: &Condition) -> &Condition {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => match parts.as_slice() {
            [only] => bare(only),
            _ => condition,
        },
        _ => condition,
    }
}

fn joined(parts: &[Condition], with: &str, policy: &Policy) -> String {
    let parts: Vec<String> = parts.iter().map(|p| part(p, policy)).collect();
    parts.join(with)
}

/// A condition inside another: in parentheses where it could be taken apart.
fn part(condition: &Condition, policy: &Policy) -> String {
    let text = print(condition, policy);
    let apart = match bare(condition) {
        Condition::And(parts) => parts.len() > 1,
        Condition::Or(parts) => parts.len() > 1 && one_list(parts, policy).is_none(),
        _ => false,
    };
    if apart { format!("({text})") } else { text }
}

/// `ip in A, B` for conditions that differ in their value alone.
fn one_list(parts: &[Condition], policy: &Policy) -> Option<String> {
    let mut values = Vec::with_capacity(parts.len());
    let mut common: Option<(String, String)> = None;
    for part in parts.iter().map(bare) {
        let listed = matches!(
            part,
            Condition::Address { .. }
                | Condition::AddressKind(_)
                | Condition::Answer(_)
                | Condition::Asn(..)
                | Condition::Country(..)
                | Condition::Domain(_)
                | Condition::Inbound { .. }
                | Condition::Network(_)
                | Condition::Number(..)
                | Condition::Protocol(_)
                | Condition::Text(..)
        );
        if !listed {
            return None;
        }
        let Simple {
            mut head,
            value,
            behind,
        } = simple(part, policy);
        // A number and a range of numbers stand in one list.
        if parts.len() > 1
            && let Condition::Number(field, _) = part
        {
            head = format!("{} eq", field.fact());
        }
        match &common {
            None => common = Some((head, behind)),
            Some(known) if *known == (head, behind) => {}
            Some(_) => return None,
        }
        values.push(value);
    }
    let (mut head, behind) = common?;
    // `domain in` means all below, too.
    if values.len() > 1
        && head != "domain eq"
        && let Some(fact) = head.strip_suffix(" eq")
    {
        head = format!("{fact} in");
    }
    Some(format!("{head} {}{behind}", values.join(", ")))
}

/// A condition on one value: the words before it, the value, the words behind it.
pub(super) fn value_of(condition: &Condition, policy: &Policy) -> Option<(String, String, String)> {
    let condition = bare(condition);
    if matches!(
        condition,
        Condition::Always
            | Condition::And(_)
            | Condition::Never
            | Condition::Not(_)
            | Condition::Or(_)
    ) {
        return None;
    }
    let Simple {
        head,
        value,
        behind,
    } = simple(condition, policy);
    Some((head, value, behind))
}

/// Fact and operator, value, and flags.
struct Simple {
    head: String,
    value: String,
    behind: String,
}

fn simple(condition: &Condition, policy: &Policy) -> Simple {
    let (head, value, asks) = match condition {
        Condition::Address { of, prefix, asks } => {
            let fact = ADDRESSES.iter().find(|(_, known)| known == of);
            let value = match prefix.is_single() {
                true => prefix.address().to_string(),
                false => prefix.to_string(),
            };
            let asked = matches!(of, AddressOf::Destination | AddressOf::Either);
            let asks = if asked { *asks } else { Asks::Resolve };
            (
                format!("{} in", fact.map_or("ip", |(name, _)| name)),
                value,
                asks,
            )
        }
        Condition::AddressKind(kind) => {
            let kind = match kind {
                AddressKind::Domain => "domain",
                AddressKind::Ip => "ip",
                AddressKind::Ipv4 => "ipv4",
                AddressKind::Ipv6 => "ipv6",
            };
            ("destination eq".into(), kind.into(), Asks::Resolve)
        }
        Condition::Answer(test) => {
            let (head, value) = answer(test, policy);
            (head.to_owned(), value, Asks::Resolve)
        }
        Condition::Asn(number, asks) => ("asn eq".into(), number.to_string(), *asks),
        Condition::Country(code, asks) => ("country eq".into(), word(code), *asks),
        Condition::Domain(test) => {
            let (operator, value) = match test {
                DomainTest::Exact(name) => ("eq", word(name.as_str())),
                DomainTest::Suffix(name) => ("under", word(name.as_str())),
                DomainTest::Keyword(text) => ("has", quote(text)),
                DomainTest::Regex(regex) => ("matches", quote(regex.as_str())),
            };
            (format!("domain {operator}"), value, Asks::Resolve)
        }
        Condition::Inbound {
            kind: None,
            port: Some(port),
            user: None,
        } => ("inbound.port eq".into(), port.to_string(), Asks::Resolve),
        Condition::Inbound {
            kind: None,
            port: None,
            user: Some(user),
        } => ("inbound.user eq".into(), word(user), Asks::Resolve),
        Condition::Inbound { kind, port, user } => {
            let user = user.as_ref().map(|u| format!("{u}@")).unwrap_or_default();
            let port = port.map(|p| format!(":{p}")).unwrap_or_default();
            let value = word(&format!("{user}{}{port}", inbound_word(*kind)));
            ("inbound eq".into(), value, Asks::Resolve)
        }
        Condition::Network(network) => (
            "network eq".into(),
            network_word(*network).into(),
            Asks::Resolve,
        ),
        Condition::Number(field, range) => {
            let one = range.start() == range.end();
            let operator = if one { "eq" } else { "in" };
            let head = format!("{} {operator}", field.fact());
            (head, field.print_range(range), Asks::Resolve)
        }
        Condition::Port {
            side,
            ranges,
            network,
        } => {
            let fact = match side {
                Side::Destination => "port",
                Side::Source => "source.port",
            };
            let behind = network
                .map(|n| format!("/{}", network_word(n)))
                .unwrap_or_default();
            let ranges: Vec<String> = ranges
                .iter()
                .map(|range| match (range.start(), range.end()) {
                    (first, last) if first == last => format!("{first}{behind}"),
                    (first, last) => format!("{first}-{last}{behind}"),
                })
                .collect();
            let one = ranges.len() == 1 && !ranges[0].contains('-');
            let operator = if one { "eq" } else { "in" };
            (
                format!("{fact} {operator}"),
                ranges.join(", "),
                Asks::Resolve,
            )
        }
        Condition::Protocol(protocol) => (
            "protocol eq".into(),
            protocol.as_str().into(),
            Asks::Resolve,
        ),
        Condition::Set(id, asks) => {
            let set = policy.sets.get(id.0 as usize);
            let name = set.map_or_else(|| "?".to_owned(), |set| word(&set.name));
            ("set".into(), name, *asks)
        }
        Condition::Text(field, test) => return text(*field, test),
        Condition::Zone(of, zone, asks) => {
            let head = format!("{} zone", zone_subject(*of));
            let asks = match of {
                ZoneOf::Address => *asks,
                ZoneOf::Domain => Asks::Resolve,
            };
            (head, zone_name(policy, *of, *zone), asks)
        }
        // These have no value; `print` has them.
        Condition::Always
        | Condition::And(_)
        | Condition::Never
        | Condition::Not(_)
        | Condition::Or(_) => ("always".into(), String::new(), Asks::Resolve),
    };
    let behind = match asks {
        Asks::Never => " no-resolve".to_owned(),
        Asks::Resolve => String::new(),
    };
    Simple {
        head,
        value,
        behind,
    }
}

fn answer(test: &AnswerTest, policy: &Policy) -> (&'static str, String) {
    match test {
        AnswerTest::Address(prefix) if prefix.is_single() => {
            ("answer.ip in", prefix.address().to_string())
        }
        AnswerTest::Address(prefix) => ("answer.ip in", prefix.to_string()),
        AnswerTest::AliasIn(id) => {
            let set = policy.sets.get(id.0 as usize);
            let name = set.map_or_else(|| "?".to_owned(), |set| word(&set.name));
            ("answer.alias in", name)
        }
        AnswerTest::AliasUnder(name) => ("answer.alias under", word(name.as_str())),
        AnswerTest::Code(code) => ("answer.code eq", print_code(*code).to_ascii_lowercase()),
        AnswerTest::Upstream(name) => ("dns.upstream eq", word(name)),
    }
}

fn text(field: TextField, test: &TextTest) -> Simple {
    let known = TEXT_FIELDS.iter().find(|(_, known)| *known == field);
    let fact = known.map_or("?", |(name, _)| name);
    let (operator, value, behind) = match test {
        TextTest::AppName(pattern) => {
            let head = match field {
                TextField::ProcessName => "app eq".to_owned(),
                _ => format!("{fact} app"),
            };
            return Simple {
                head,
                value: quote(pattern),
                behind: String::new(),
            };
        }
        TextTest::Exact(text) => ("eq", word(text), ""),
        TextTest::ExactIgnoreCase(text) => ("eq", word(text), " nocase"),
        TextTest::Keyword(text) => ("has", quote(text), ""),
        TextTest::KeywordIgnoreCase(text) => ("has", quote(text), " nocase"),
        TextTest::Regex(regex) => ("matches", quote(regex.as_str()), ""),
    };
    Simple {
        head: format!("{fact} {operator}"),
        value,
        behind: behind.to_owned(),
    }
}

pub(super) fn zone_subject(of: ZoneOf) -> &'static str {
    match of {
        ZoneOf::Address => "ip",
        ZoneOf::Domain => "domain",
    }
}

pub(super) fn zone_name(policy: &Policy, of: ZoneOf, zone: ZoneId) -> String {
    let names = match of {
        ZoneOf::Address => policy.zones.address_names(),
        ZoneOf::Domain => policy.zones.domain_names(),
    };
    match names.get(zone.0 as usize) {
        Some(name) if **name == *"else" => quote(name),
        Some(name) => word(name),
        None => "?".to_owned(),
    }
}

fn network_word(network: Network) -> &'static str {
    match network {
        Network::Icmp => "icmp",
        Network::Tcp => "tcp",
        Network::Udp => "udp",
    }
}

fn inbound_word(kind: Option<InboundKind>) -> &'static str {
    kind.map_or("any", InboundKind::as_str)
}

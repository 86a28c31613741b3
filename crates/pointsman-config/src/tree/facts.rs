//! Conditions of a tree, from words to the policy's closed set.
//!
//! One table of facts, one of operators for each kind of fact; what is in neither is an error that
//! offers what there is.

use std::ops::RangeInclusive;

use regex::RegexBuilder;

use pointsman_policy::condition::{
    AddressKind, AddressOf, Asks, Concerns, DomainTest, NumberField, Side, TextField, TextTest,
    ZoneOf,
};
use pointsman_policy::fact::{InboundKind, Network};
use pointsman_policy::{Condition, NamePattern};

use super::answers;
use super::lowering::{Lists, Lowerer, below};
use super::values::{name, operator, prefixes};
use super::words::{ADDRESSES, ANSWERS, TEXT_FIELDS};
use super::{Name, Test, When};
use crate::problem::nearest;

const OTHERS: [&str; 16] = [
    "domain",
    "port",
    "source.port",
    "protocol",
    "network",
    "country",
    "asn",
    "destination",
    "inbound",
    "inbound.kind",
    "inbound.port",
    "inbound.user",
    "app",
    "set",
    "always",
    "never",
];

/// What a condition as written means.
pub(super) fn condition(lowerer: &mut Lowerer<'_>, when: &When) -> Option<Condition> {
    match when {
        When::And(all) => list(lowerer, all).map(Condition::And),
        When::Or(any) => list(lowerer, any).map(Condition::Or),
        When::Not(inner) => condition(lowerer, inner).map(|inner| Condition::Not(Box::new(inner))),
        When::Test(test) => self::test(lowerer, test),
    }
}

fn list(lowerer: &mut Lowerer<'_>, parts: &[When]) -> Option<Vec<Condition>> {
    let parts: Vec<Option<Condition>> = parts.iter().map(|part| condition(lowerer, part)).collect();
    parts.into_iter().collect()
}

fn test(lowerer: &mut Lowerer<'_>, test: &Test) -> Option<Condition> {
    let asks = if test.no_resolve {
        Asks::Never
    } else {
        Asks::Resolve
    };
    let fact = test.fact.text.as_str();
    let condition = match fact {
        "always" => Some(Condition::Always),
        "never" => Some(Condition::Never),
        "set" => set(lowerer, test, asks),
        "port" | "source.port" => port(lowerer, test),
        _ if ANSWERS.contains(&fact) => {
            is_here(lowerer, &test.fact, Concerns::Answers)?;
            each(lowerer, test, |lowerer, op, value| {
                answers::test(lowerer, fact, op, value)
            })
        }
        "domain" => each(lowerer, test, |lowerer, op, value| {
            domain(lowerer, op, value, asks)
        }),
        "app" => each(lowerer, test, |lowerer, op, value| {
            operator(lowerer, op, &["eq", "in"])?;
            Some(Condition::Text(TextField::ProcessName, app(&value.text)))
        }),
        "protocol" => each(lowerer, test, |lowerer, op, value| {
            operator(lowerer, op, &["eq", "in"])?;
            lowerer.protocol(value).map(Condition::Protocol)
        }),
        "network" | "country" | "asn" | "destination" | "inbound" | "inbound.kind"
        | "inbound.port" | "inbound.user" => each(lowerer, test, |lowerer, op, value| {
            operator(lowerer, op, &["eq", "in"])?;
            word(lowerer, fact, value, asks)
        }),
        _ => {
            let address = ADDRESSES.iter().find(|(name, _)| *name == fact);
            let text = TEXT_FIELDS.iter().find(|(name, _)| *name == fact);
            let number = NumberField::ALL.iter().find(|known| known.fact() == fact);
            if let Some(field) = number {
                is_here(lowerer, &test.fact, field.concerns())?;
                each(lowerer, test, |lowerer, op, value| {
                    number_in(lowerer, *field, op, value)
                })
            } else if let Some((_, of)) = address {
                each(lowerer, test, |lowerer, op, value| {
                    self::address(lowerer, *of, op, value, asks)
                })
            } else if let Some((_, field)) = text {
                each(lowerer, test, |lowerer, op, value| {
                    self::text(lowerer, *field, op, value, test.nocase)
                })
            } else {
                unknown(lowerer, &test.fact);
                None
            }
        }
    };
    if condition.is_some() {
        signs(lowerer, test);
    }
    condition
}

/// Tells of a fact that what is decided on does not have.
fn is_here(lowerer: &mut Lowerer<'_>, fact: &Name, concerns: Concerns) -> Option<()> {
    if concerns <= lowerer.context.concerns {
        return Some(());
    }
    let (what, hint) = match concerns {
        Concerns::Answers => (
            "answers to queries",
            "write it in `dns.answers`, which are looked at when an answer has come",
        ),
        Concerns::Flows | Concerns::Queries => (
            "queries",
            "write it in `dns.policy`, which decides on names that are asked for",
        ),
    };
    let message = format!("`{}` is for {what}, and this tree is not", fact.text);
    let hint = hint.to_owned();
    lowerer.error("rule-elsewhere", &fact.span, message, hint);
    None
}

fn unknown(lowerer: &mut Lowerer<'_>, fact: &Name) {
    let texts = TEXT_FIELDS.iter().map(|(name, _)| *name);
    let numbers = NumberField::ALL.map(NumberField::fact);
    let known = texts
        .chain(OTHERS)
        .chain(numbers)
        .chain(ANSWERS)
        .chain(ADDRESSES.iter().map(|(name, _)| *name));
    let message = format!("`cond` knows no `{}`", fact.text);
    let last = |known: &&str| known.ends_with(&format!(".{}", fact.text));
    let near = known.clone().find(last);
    let hint = match near.or_else(|| nearest(&fact.text, known.clone())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "it knows: {}",
            below(&fact.text, known.collect()).join(", ")
        ),
    };
    lowerer.error("unknown-subject", &fact.span, message, hint);
}

/// `nocase` and `no-resolve` where they mean nothing.
fn signs(lowerer: &mut Lowerer<'_>, test: &Test) {
    let fact = test.fact.text.as_str();
    let text = TEXT_FIELDS.iter().any(|(name, _)| *name == fact);
    if test.nocase && !text {
        let message = format!("`nocase` means nothing for `{fact}`");
        let hint = "remove it".to_owned();
        lowerer.error("unexpected-text", &test.span, message, hint);
    }
}

/// One condition for each value, any of which may hold.
fn each<'a>(
    lowerer: &mut Lowerer<'a>,
    test: &Test,
    mut one: impl FnMut(&mut Lowerer<'a>, &Name, &Name) -> Option<Condition>,
) -> Option<Condition> {
    let op = test.operator.as_ref()?;
    let parts: Vec<Option<Condition>> = test
        .values
        .iter()
        .map(|value| one(lowerer, op, value))
        .collect();
    let parts: Vec<Condition> = parts.into_iter().collect::<Option<_>>()?;
    // A range of addresses is several prefixes.
    let flat = parts.into_iter().flat_map(|part| match part {
        Condition::Or(parts) => parts,
        part => vec![part],
    });
    let mut parts: Vec<Condition> = flat.collect();
    if parts.len() == 1 {
        parts.pop()
    } else {
        Some(Condition::Or(parts))
    }
}

fn set(lowerer: &mut Lowerer<'_>, test: &Test, asks: Asks) -> Option<Condition> {
    let name = test.values.first()?;
    lowerer.set(name).map(|id| Condition::Set(id, asks))
}

fn word(lowerer: &mut Lowerer<'_>, fact: &str, value: &Name, asks: Asks) -> Option<Condition> {
    let text = value.text.as_str();
    let asks_database = matches!(fact, "country" | "asn");
    if asks_database && matches!(lowerer.context.lists, Lists::Zones(_)) {
        // A configuration with zones is reflow's, which has no key for a database; with rule sets
        // whoever knows the databases looks.
        let message = format!("`{fact}` needs a database, and this dialect names none");
        let hint = "`pointsman convert` makes a native file, which can".to_owned();
        lowerer.error("missing-database", &value.span, message, hint);
        return None;
    }
    let found = match fact {
        "network" => match text {
            "tcp" => Some(Condition::Network(Network::Tcp)),
            "udp" => Some(Condition::Network(Network::Udp)),
            "icmp" => Some(Condition::Network(Network::Icmp)),
            _ => None,
        },
        "country" => (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()))
            .then(|| Condition::Country(text.to_ascii_uppercase().into(), asks)),
        "asn" => {
            let number = text.strip_prefix("AS").unwrap_or(text);
            number.parse().ok().map(|n| Condition::Asn(n, asks))
        }
        "destination" => match text {
            "domain" => Some(Condition::AddressKind(AddressKind::Domain)),
            "ip" => Some(Condition::AddressKind(AddressKind::Ip)),
            "ipv4" => Some(Condition::AddressKind(AddressKind::Ipv4)),
            "ipv6" => Some(Condition::AddressKind(AddressKind::Ipv6)),
            _ => None,
        },
        "inbound.user" => (!text.is_empty()).then(|| Condition::Inbound {
            kind: None,
            port: None,
            user: Some(text.into()),
        }),
        "inbound.port" => number(text).map(|port| Condition::Inbound {
            kind: None,
            port: Some(port),
            user: None,
        }),
        "inbound.kind" => inbound_kind(text).map(|kind| Condition::Inbound {
            kind: Some(kind),
            port: None,
            user: None,
        }),
        _ => inbound(text),
    };
    if found.is_none() {
        let hint = match fact {
            "network" => "there is: tcp, udp, icmp",
            "country" => "two letters, such as `CN`",
            "asn" => "a number, such as `13335`",
            "destination" => "there is: domain, ip, ipv4, ipv6",
            "inbound.kind" => "there is: http, socks5, mixed, tun, redirect, tproxy, forward, dns",
            "inbound.port" => "a number from 1 to 65535",
            "inbound.user" => "the name of a user",
            _ => {
                "`[user@]TYPE[:port]`, TYPE: http, socks5, mixed, tun, redirect, tproxy, forward, dns"
            }
        };
        let message = format!("`{text}` is no value of `{fact}`");
        lowerer.error("invalid-value", &value.span, message, hint.to_owned());
    }
    found
}

fn number_in(
    lowerer: &mut Lowerer<'_>,
    field: NumberField,
    op: &Name,
    value: &Name,
) -> Option<Condition> {
    operator(lowerer, op, &["eq", "in"])?;
    let range = field.read_range(&value.text);
    if range.is_none() {
        let message = format!("`{}` is no value of `{}`", value.text, field.fact());
        let hint = field.hint().to_owned();
        lowerer.error("invalid-value", &value.span, message, hint);
    }
    range.map(|range| Condition::Number(field, range))
}

fn inbound(text: &str) -> Option<Condition> {
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (kind, port) = match rest.split_once(':') {
        Some((kind, port)) => (kind, Some(number(port)?)),
        None => (rest, None),
    };
    let kind = match kind {
        "any" => None,
        word => Some(inbound_kind(word)?),
    };
    if user == Some("") {
        return None;
    }
    let user = user.map(Into::into);
    Some(Condition::Inbound { kind, port, user })
}

/// A port that something listens on.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = digits.then(|| text.parse().ok()).flatten();
    port.filter(|port| *port > 0)
}

fn inbound_kind(word: &str) -> Option<InboundKind> {
    let mut kinds = InboundKind::ALL.into_iter();
    kinds.find(|kind| kind.as_str() == word)
}

fn domain(lowerer: &mut Lowerer<'_>, op: &Name, value: &Name, asks: Asks) -> Option<Condition> {
    operator(
        lowerer,
        op,
        &["eq", "under", "in", "has", "matches", "zone"],
    )?;
    let text = match op.text.as_str() {
        "zone" => {
            let zone = lowerer.zone(ZoneOf::Domain, value)?;
            return Some(Condition::Zone(ZoneOf::Domain, zone, asks));
        }
        "in" => match named_list(lowerer, ZoneOf::Domain, value, asks) {
            Some(condition) => return Some(condition),
            None if !value.text.contains('.') => {
                lowerer.set(value)?;
                return None;
            }
            None => name(lowerer, value).map(DomainTest::Suffix),
        },
        "eq" => name(lowerer, value).map(DomainTest::Exact),
        "under" => name(lowerer, value).map(DomainTest::Suffix),
        "has" => Some(DomainTest::Keyword(value.text.to_lowercase().into())),
        // Names are in lower case; patterns need not be.
        _ => match NamePattern::new(&value.text) {
            Ok(pattern) => Some(DomainTest::Regex(pattern)),
            Err(why) => broken(lowerer, value, &why.to_string()),
        },
    };
    text.map(Condition::Domain)
}

/// The rule set or zone of this name, where there is one.
fn named_list(
    lowerer: &mut Lowerer<'_>,
    of: ZoneOf,
    value: &Name,
    asks: Asks,
) -> Option<Condition> {
    match lowerer.context.lists {
        Lists::Sets(names) => {
            names.iter().find(|known| ***known == *value.text)?;
            let id = lowerer.set(value)?;
            Some(Condition::Set(id, asks))
        }
        Lists::Zones(zones) => {
            let zone = match of {
                ZoneOf::Domain => zones.domain_zone(&value.text)?,
                ZoneOf::Address => zones.address_zone(&value.text)?,
            };
            Some(Condition::Zone(of, zone, asks))
        }
    }
}

fn address(
    lowerer: &mut Lowerer<'_>,
    of: AddressOf,
    op: &Name,
    value: &Name,
    asks: Asks,
) -> Option<Condition> {
    operator(lowerer, op, &["eq", "in", "zone"])?;
    if of == AddressOf::Destination && op.text == "zone" {
        let zone = lowerer.zone(ZoneOf::Address, value)?;
        return Some(Condition::Zone(ZoneOf::Address, zone, asks));
    }
    if of == AddressOf::Destination
        && let Some(condition) = named_list(lowerer, ZoneOf::Address, value, asks)
    {
        return Some(condition);
    }
    match prefixes(&value.text) {
        Ok(found) => {
            let one = |prefix| Condition::Address { of, prefix, asks };
            let mut all: Vec<Condition> = found.into_iter().map(one).collect();
            match all.len() {
                1 => all.pop(),
                _ => Some(Condition::Or(all)),
            }
        }
        Err(why) => {
            let hint = match lowerer.context.lists {
                Lists::Sets(names) if names.iter().any(|known| **known == *value.text) => {
                    "a rule set holds destinations: `ip in SET`".to_owned()
                }
                _ => "an address, a range of them such as `10.0.0.0/8`, or `FIRST-LAST`".to_owned(),
            };
            lowerer.error("invalid-value", &value.span, why, hint);
            None
        }
    }
}

/// A program's file name, as app rules compare it.
fn app(text: &str) -> TextTest {
    let name = text.trim().replace('\\', "/");
    let base = name.rsplit('/').next().unwrap_or("").trim();
    TextTest::AppName(base.to_ascii_lowercase().into())
}

fn text(
    lowerer: &mut Lowerer<'_>,
    field: TextField,
    op: &Name,
    value: &Name,
    nocase: bool,
) -> Option<Condition> {
    operator(lowerer, op, &["eq", "in", "has", "matches", "app"])?;
    if op.text == "app" {
        return Some(Condition::Text(field, app(&value.text)));
    }
    let text = value.text.as_str();
    // Names are in lower case, without a final dot.
    let is_name = matches!(field, TextField::HttpHost | TextField::ServerName);
    let lower = text.trim_end_matches('.').to_lowercase();
    let (text, nocase) = match (is_name, op.text.as_str()) {
        (true, "matches") => (text, true),
        (true, _) => (lower.as_str(), nocase),
        (false, _) => (text, nocase),
    };
    let test = match (op.text.as_str(), nocase) {
        ("has", false) => TextTest::Keyword(text.into()),
        ("has", true) => TextTest::KeywordIgnoreCase(text.to_ascii_lowercase().into()),
        ("matches", false) => TextTest::Regex(regex(lowerer, value)?),
        ("matches", true) => {
            // Within the pattern, so that it is seen where the pattern is shown.
            let text = format!("(?i){}", value.text);
            let span = value.span.clone();
            TextTest::Regex(regex(lowerer, &Name { text, span })?)
        }
        (_, false) => TextTest::Exact(text.into()),
        (_, true) => TextTest::ExactIgnoreCase(text.into()),
    };
    Some(Condition::Text(field, test))
}

fn regex(lowerer: &mut Lowerer<'_>, value: &Name) -> Option<regex::Regex> {
    let built = RegexBuilder::new(&value.text).size_limit(1 << 20).build();
    built.map_or_else(|why| broken(lowerer, value, &why.to_string()), Some)
}

fn broken<T>(lowerer: &mut Lowerer<'_>, value: &Name, told: &str) -> Option<T> {
    // The parser draws the place, too; its last line says what is wrong.
    let last = told.lines().last().unwrap_or("").trim();
    let why = last.strip_prefix("error: ").unwrap_or(last);
    let message = format!("this regular expression is broken: {why}");
    let hint = match value.span.text().starts_with(['"', '\'']) {
        true => "a sign that is meant as text needs a backslash before it, two in double quotes",
        false => "write it in quotes",
    };
    lowerer.error("invalid-value", &value.span, message, hint.to_owned());
    None
}

// === ports ===

fn port(lowerer: &mut Lowerer<'_>, test: &Test) -> Option<Condition> {
    let op = test.operator.as_ref()?;
    operator(lowerer, op, &["eq", "in"])?;
    let side = match test.fact.text.as_str() {
        "port" => Side::Destination,
        _ => Side::Source,
    };
    let mut groups: Vec<(Option<Network>, Vec<RangeInclusive<u16>>)> = Vec::new();
    let mut good = true;
    for value in &test.values {
        let Some((network, range)) = port_range(&value.text) else {
            let message = format!("`{}` is no port", value.text);
            let hint = "a number from 0 to 65535, a range `8000-8100`, or `443/tcp`".to_owned();
            lowerer.error("invalid-value", &value.span, message, hint);
            good = false;
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == network) {
            Some((_, ranges)) => ranges.push(range),
            None => groups.push((network, vec![range])),
        }
    }
    let mut parts: Vec<Condition> = groups
        .into_iter()
        .map(|(network, ranges)| Condition::Port {
            side,
            ranges,
            network,
        })
        .collect();
    match (good, parts.len()) {
        (false, _) => None,
        (true, 1) => parts.pop(),
        (true, _) => Some(Condition::Or(parts)),
    }
}

fn port_range(text: &str) -> Option<(Option<Network>, RangeInclusive<u16>)> {
    let (range, network) = match text.split_once('/') {
        Some((range, "tcp")) => (range, Some(Network::Tcp)),
        Some((range, "udp")) => (range, Some(Network::Udp)),
        Some(_) => return None,
        None => (text, None),
    };
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(range)?, number(range)?),
    };
    (first <= last).then_some((network, first..=last))
}

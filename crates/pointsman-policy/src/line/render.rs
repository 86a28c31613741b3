//! Conditions as text, in the one canonical spelling.

use std::fmt::Write as _;
use std::sync::Arc;

use super::kind::{TestKind, spelling};
use crate::answered::print_code;
use crate::condition::{
    AddressKind, AddressOf, AnswerTest, Asks, Condition, DomainTest, Side, TextField, TextTest,
    ZoneOf,
};
use crate::fact::{InboundKind, Network};
use crate::ids::{SetId, ZoneId};
use crate::set::RuleSet;
use crate::zone::Zones;

/// What the numbers in a condition are called.
#[derive(Clone, Copy, Debug)]
pub struct Names<'p> {
    /// Rule sets, by [`SetId`].
    pub sets: &'p [Arc<RuleSet>],
    /// Zones, by [`ZoneId`].
    pub zones: &'p Zones,
    /// Whether the text will be read where rules on addresses resolve: only then a rule that does
    /// not says `no-resolve`.
    pub ip_rules_resolve: bool,
}

/// A condition in canonical spelling: `DOMAIN-SUFFIX, google.com`.
///
/// What only trees can say is printed too and not read back: zones (`DOMAIN-ZONE, NAME`,
/// `IP-ZONE, NAME`).
#[must_use]
pub fn render_condition(condition: &Condition, names: Names<'_>) -> String {
    let mut text = String::new();
    write(condition, names, &mut text);
    text
}

fn write(condition: &Condition, names: Names<'_>, to: &mut String) {
    match condition {
        Condition::Address { of, prefix, asks } => {
            let word = match of {
                AddressOf::Destination if prefix.address().is_ipv6() => "IP-CIDR6",
                AddressOf::Destination => "IP-CIDR",
                AddressOf::Source => "SRC-IP-CIDR",
                AddressOf::Either => "LOCAL-IP-CIDR",
                AddressOf::Outgoing => "OUT-IP-CIDR",
            };
            pair(word, &prefix.to_string(), to);
            if matches!(of, AddressOf::Destination | AddressOf::Either) {
                flag(*asks, names, to);
            }
        }
        Condition::AddressKind(kind) => pair("DST-ADDR-TYPE", address_kind(*kind), to),
        Condition::Always => to.push_str("ALWAYS"),
        Condition::Answer(test) => answer(test, names, to),
        Condition::And(parts) => several("AND", "ALWAYS", parts, names, to),
        Condition::Asn(number, asks) => {
            pair("ASN", &number.to_string(), to);
            flag(*asks, names, to);
        }
        Condition::Country(code, asks) => {
            pair("GEOIP", code, to);
            flag(*asks, names, to);
        }
        Condition::Domain(test) => domain(test, to),
        Condition::Inbound { kind, port, user } => inbound(*kind, *port, user.as_deref(), to),
        Condition::Network(network) => pair("NETWORK", network_word(*network), to),
        Condition::Never => to.push_str("NEVER"),
        Condition::Not(inner) => {
            to.push_str("NOT, [");
            write(inner, names, to);
            to.push(']');
        }
        Condition::Number(field, range) => {
            pair(field.rule_type(), &field.print_range(range), to);
        }
        Condition::Or(parts) => several("OR", "NEVER", parts, names, to),
        Condition::Port {
            side,
            ranges,
            network,
        } => {
            let word = match side {
                Side::Destination => "DST-PORT",
                Side::Source => "SRC-PORT",
            };
            let one = |range: &std::ops::RangeInclusive<u16>| {
                let (low, high) = (range.start(), range.end());
                let mut text = low.to_string();
                if low != high {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "-{high}");
                }
                if let Some(network) = network {
                    let _ = write!(text, "/{}", network_word(*network));
                }
                text
            };
            let all: Vec<String> = ranges.iter().map(one).collect();
            pair(word, &all.join("|"), to);
        }
        Condition::Protocol(protocol) => pair("PROTOCOL", protocol.as_str(), to),
        Condition::Set(id, asks) => {
            pair("RULE-SET", set_name(*id, names), to);
            flag(*asks, names, to);
        }
        Condition::Text(field, test) => text(*field, test, to),
        Condition::Zone(of, id, asks) => {
            let (word, known) = match of {
                ZoneOf::Address => ("IP-ZONE", names.zones.address_names()),
                ZoneOf::Domain => ("DOMAIN-ZONE", names.zones.domain_names()),
            };
            pair(word, zone_name(*id, known), to);
            if *of == ZoneOf::Address {
                flag(*asks, names, to);
            }
        }
    }
}

fn answer(test: &AnswerTest, names: Names<'_>, to: &mut String) {
    match test {
        AnswerTest::Address(prefix) => pair("ANSWER-IP", &prefix.to_string(), to),
        AnswerTest::AliasIn(id) => pair("ANSWER-ALIAS", set_name(*id, names), to),
        AnswerTest::AliasUnder(name) => {
            let name = name.as_str();
            // A rule set of that name, or what could be one, would be meant instead.
            let clear = name.contains('.') && !names.sets.iter().any(|set| &*set.name == name);
            let dot = if clear { "" } else { "." };
            pair("ANSWER-ALIAS", &format!("{dot}{name}"), to);
        }
        AnswerTest::Code(code) => pair("ANSWER-CODE", &print_code(*code), to),
        AnswerTest::Upstream(name) => pair("DNS-UPSTREAM", name, to),
    }
}

fn set_name(id: SetId, names: Names<'_>) -> &str {
    names.sets.get(id.0 as usize).map_or("?", |set| &*set.name)
}

fn zone_name(id: ZoneId, known: &[Arc<str>]) -> &str {
    known.get(id.0 as usize).map_or("?", |name| &**name)
}

fn flag(asks: Asks, names: Names<'_>, to: &mut String) {
    if names.ip_rules_resolve && asks == Asks::Never {
        to.push_str(", no-resolve");
    }
}

/// `AND` of none always holds, of one is that one: neither has a spelling of its own.
fn several(word: &str, of_none: &str, parts: &[Condition], names: Names<'_>, to: &mut String) {
    match parts {
        [] => to.push_str(of_none),
        [only] => write(only, names, to),
        parts => {
            to.push_str(word);
            for part in parts {
                to.push_str(", [");
                write(part, names, to);
                to.push(']');
            }
        }
    }
}

fn domain(test: &DomainTest, to: &mut String) {
    match test {
        DomainTest::Exact(name) => pair("DOMAIN", name.as_str(), to),
        DomainTest::Keyword(keyword) => pair("DOMAIN-KEYWORD", keyword, to),
        DomainTest::Regex(regex) => pair("DOMAIN-REGEX", regex.as_str(), to),
        DomainTest::Suffix(name) => pair("DOMAIN-SUFFIX", name.as_str(), to),
    }
}

fn inbound(kind: Option<InboundKind>, port: Option<u16>, user: Option<&str>, to: &mut String) {
    let word = kind.map_or("any", InboundKind::as_str);
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    pair("INBOUND", &format!("{user}{word}{port}"), to);
}

fn text(field: TextField, test: &TextTest, to: &mut String) {
    let (test, content) = match test {
        TextTest::AppName(name) => (TestKind::App, &**name),
        TextTest::Exact(text) => (TestKind::Exact, &**text),
        TextTest::ExactIgnoreCase(text) => (TestKind::ExactIgnoreCase, &**text),
        TextTest::Keyword(text) => (TestKind::Keyword, &**text),
        TextTest::KeywordIgnoreCase(text) => (TestKind::KeywordIgnoreCase, &**text),
        TextTest::Regex(regex) => (TestKind::Regex, regex.as_str()),
    };
    pair(&spelling(field, test), content, to);
}

fn pair(word: &str, content: &str, to: &mut String) {
    to.push_str(word);
    to.push_str(", ");
    quoted(content, to);
}

/// A word of a line as it is read back: bare where that says the same, else in quotes.
#[must_use]
pub fn word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    quoted(text, &mut word);
    word
}

/// Bare where that says the same; in single quotes else, for they take no escapes; in double ones
/// where a control character must be escaped.
pub(super) fn quoted(content: &str, to: &mut String) {
    let bare = !content.is_empty()
        && content.trim() == content
        && !content.starts_with(['"', '\''])
        && !content.contains([',', '[', ']', '#'])
        && !content.contains(char::is_control)
        && !content.eq_ignore_ascii_case("no-resolve");
    if bare {
        to.push_str(content);
    } else if !content.contains(char::is_control) {
        to.push('\'');
        to.push_str(&content.replace('\'', "''"));
        to.push('\'');
    } else {
        to.push('"');
        for c in content.chars() {
            match c {
                '"' | '\\' => to.extend(['\\', c]),
                c if c.is_control() => {
                    let _ = write!(to, "\\U{:08x}", u32::from(c));
                }
                c => to.push(c),
            }
        }
        to.push('"');
    }
}

fn address_kind(kind: AddressKind) -> &'static str {
    match kind {
        AddressKind::Domain => "DOMAIN",
        AddressKind::Ip => "IP",
        AddressKind::Ipv4 => "IPV4",
        AddressKind::Ipv6 => "IPV6",
    }
}

fn network_word(network: Network) -> &'static str {
    match network {
        Network::Icmp => "icmp",
        Network::Tcp => "tcp",
        Network::Udp => "udp",
    }
}

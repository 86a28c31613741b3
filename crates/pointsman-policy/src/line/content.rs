//! Contents of rules: one function for each form.

use std::ops::RangeInclusive;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::kind::TestKind;
use crate::address::Prefix;
use crate::answered;
use crate::condition::{
    AddressKind, AddressOf, AnswerTest, Asks, Condition, DomainTest, NumberField, Side, TextField,
    TextTest,
};
use crate::domain::Domain;
use crate::fact::{InboundKind, Network, Protocol};
use crate::interpret::base_name;
use crate::near::nearest;
use crate::pattern::NamePattern;

/// The most memory that one compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// What is wrong with a content.
pub(super) struct Bad {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// Which bytes of the content, where it is a part.
    pub(super) part: Option<(usize, usize)>,
}

impl Bad {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            part: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

type Made = Result<Condition, Bad>;

pub(super) fn domain(text: &str, suffix: bool) -> Made {
    let name = Domain::parse(text).map_err(|why| {
        let bad = Bad::new(format!("`{text}` is no domain: {why}"));
        let stripped = text.trim_start_matches(['*', '+', '.']);
        if text.parse::<Prefix>().is_ok() {
            return bad.hint(format!("for addresses there is `IP-CIDR, {text}`"));
        }
        if let Some(hint) = more_than_a_name(text, suffix) {
            return bad.hint(hint);
        }
        if !text.starts_with(['*', '+', '.']) || Domain::parse(stripped).is_err() {
            bad
        } else if suffix {
            bad.hint(format!(
                "write `{stripped}`: a suffix stands for all names below it"
            ))
        } else {
            bad.hint(format!("write `DOMAIN-SUFFIX, {stripped}`"))
        }
    })?;
    Ok(Condition::Domain(if suffix {
        DomainTest::Suffix(name)
    } else {
        DomainTest::Exact(name)
    }))
}

/// What to write for a name with a port, or a URL.
fn more_than_a_name(text: &str, suffix: bool) -> Option<String> {
    let place = text.split_once("://").map_or(text, |(_, rest)| rest);
    let place = place.split(['/', '?', '#']).next()?;
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let (name, port) = match place.split_once(':') {
        Some((name, port)) => (name, Some(port.parse::<u16>().ok()?)),
        None => (place, None),
    };
    let name = Domain::parse(name).ok()?;
    Some(match port {
        Some(port) if text == place => {
            let word = if suffix { "DOMAIN-SUFFIX" } else { "DOMAIN" };
            format!(
                "a port is a condition of its own: write `AND, [{word}, {name}], [DST-PORT, {port}], OUTBOUND`"
            )
        }
        _ => format!("write the name alone: `{name}`"),
    })
}

pub(super) fn domain_keyword(text: &str) -> Made {
    let keyword = text.to_lowercase();
    let foreign = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    match keyword.chars().find(foreign) {
        Some(c) => Err(Bad::new(format!("no domain holds the character {c:?}"))
            .hint("for patterns there is `DOMAIN-REGEX`; names beyond ASCII are matched in A-labels (`xn--...`)")),
        None if keyword.is_empty() => Err(Bad::new("an empty keyword is in every name")),
        None => Ok(Condition::Domain(DomainTest::Keyword(keyword.into()))),
    }
}

pub(super) fn domain_regex(text: &str) -> Made {
    let pattern = NamePattern::new(text)
        .map_err(|error| Bad::new(format!("no regular expression: {error}")))?;
    Ok(Condition::Domain(DomainTest::Regex(pattern)))
}

/// A bounded pattern.
fn pattern(text: &str, ignore_case: bool) -> Result<Regex, Bad> {
    RegexBuilder::new(text)
        .case_insensitive(ignore_case)
        .size_limit(PATTERN_SIZE)
        .dfa_size_limit(PATTERN_SIZE)
        .nest_limit(64)
        .build()
        .map_err(|error| {
            // The last line of a long message says what; the others draw what the caret shows.
            let shown = error.to_string();
            let what = shown.lines().last().unwrap_or_default();
            let what = what.strip_prefix("error: ").unwrap_or(what);
            Bad::new(format!("no regular expression: {what}"))
        })
}

pub(super) fn prefix(text: &str, of: AddressOf, asks: Asks) -> Made {
    let prefix: Prefix = text.parse().map_err(|why| {
        let bad = Bad::new(format!("{why}"));
        match (of, name_rule(text)) {
            (AddressOf::Destination, Some(rule)) => {
                bad.hint(format!("for names there is `{rule}`"))
            }
            _ => bad,
        }
    })?;
    Ok(Condition::Address { of, prefix, asks })
}

/// The rule on names that was meant, where the text is a name.
fn name_rule(text: &str) -> Option<String> {
    let name = text.trim_start_matches(['*', '+', '.']);
    // An address with a mistake in it is no name.
    let last = name.rsplit('.').next()?;
    if !last.contains(|c: char| c.is_alphabetic()) || Domain::parse(name).is_err() {
        return None;
    }
    Some(match name == text {
        true => format!("DOMAIN, {name}` or, with all below it, `DOMAIN-SUFFIX, {name}"),
        false => format!("DOMAIN-SUFFIX, {name}"),
    })
}

pub(super) fn country(text: &str) -> Result<Arc<str>, Bad> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_uppercase().into());
    }
    Err(Bad::new(format!("`{text}` is no country code")).hint("two letters (ISO 3166-1 alpha-2)"))
}

pub(super) fn asn(text: &str) -> Result<u32, Bad> {
    let digits = match text.get(..2) {
        Some(head) if head.eq_ignore_ascii_case("as") => &text[2..],
        Some(_) | None => text,
    };
    plain_number(digits)
        .ok_or_else(|| Bad::new(format!("`{text}` is no number of an autonomous system")))
}

/// A number in plain digits: no sign, no other base.
fn plain_number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

pub(super) fn address_kind(text: &str) -> Made {
    Ok(Condition::AddressKind(
        match text.to_ascii_uppercase().as_str() {
            "DOMAIN" => AddressKind::Domain,
            "IP" => AddressKind::Ip,
            "IPV4" => AddressKind::Ipv4,
            "IPV6" => AddressKind::Ipv6,
            _ => return Err(one_of(text, "DOMAIN, IP, IPV4, IPV6")),
        },
    ))
}

fn one_of(text: &str, known: &str) -> Bad {
    Bad::new(format!("`{text}` is none of {known}"))
}

fn network_word(text: &str) -> Option<Network> {
    Some(match text.to_ascii_lowercase().as_str() {
        "tcp" => Network::Tcp,
        "udp" => Network::Udp,
        "icmp" => Network::Icmp,
        _ => return None,
    })
}

pub(super) fn network(text: &str) -> Made {
    network_word(text)
        .map(Condition::Network)
        .ok_or_else(|| one_of(text, "tcp, udp, icmp"))
}

pub(super) fn protocol(text: &str) -> Made {
    Protocol::of(text)
        .map(Condition::Protocol)
        .ok_or_else(|| one_of(text, &Protocol::ALL.map(Protocol::as_str).join(", ")))
}

/// A value or a range, and several of them with `|` between.
pub(super) fn numbers(text: &str, field: NumberField) -> Made {
    let mut all = Vec::new();
    let mut at = 0;
    for part in text.split('|') {
        let place = (at, at + part.len());
        at += part.len() + 1;
        let range = field.read_range(part.trim()).ok_or_else(|| Bad {
            message: format!("`{}` is no value of `{}`", part.trim(), field.fact()),
            hint: Some(format!("write {}", field.hint())),
            part: Some(place),
        })?;
        all.push(Condition::Number(field, range));
    }
    Ok(match all.len() {
        1 => all.remove(0),
        _ => Condition::Or(all),
    })
}

/// Codes of answers, several with `|` between.
pub(super) fn codes(text: &str) -> Made {
    let mut all = Vec::new();
    let mut at = 0;
    for part in text.split('|') {
        let place = (at, at + part.len());
        at += part.len() + 1;
        let code = answered::read_code(part.trim()).ok_or_else(|| Bad {
            message: format!("`{}` is no code of an answer", part.trim()),
            hint: Some(match nearest(part.trim(), answered::codes()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `NXDOMAIN`, `SERVFAIL|REFUSED`, or a number".to_owned(),
            }),
            part: Some(place),
        })?;
        all.push(Condition::Answer(AnswerTest::Code(code)));
    }
    Ok(match all.len() {
        1 => all.remove(0),
        _ => Condition::Or(all),
    })
}

/// An address in an answer.
pub(super) fn answer_prefix(text: &str) -> Made {
    let prefix: Prefix = text.parse().map_err(|why| {
        let bad = Bad::new(format!("{why}"));
        match name_rule(text) {
            Some(_) => bad.hint(format!(
                "for names that an answer leads to there is `ANSWER-ALIAS, {text}`"
            )),
            None => bad,
        }
    })?;
    Ok(Condition::Answer(AnswerTest::Address(prefix)))
}

/// A name that an answer leads to, with all below it.
pub(super) fn alias_under(text: &str) -> Made {
    let name = Domain::parse(text).map_err(|why| {
        let bad = Bad::new(format!("`{text}` is no domain: {why}"));
        match text.parse::<Prefix>() {
            Ok(_) => bad.hint(format!("for addresses there is `ANSWER-IP, {text}`")),
            Err(_) => bad,
        }
    })?;
    Ok(Condition::Answer(AnswerTest::AliasUnder(name)))
}

/// `443`, `443/tcp`, `tcp`, `8000-8100/udp`, and several of them with `|` between.
pub(super) fn ports(text: &str, side: Side) -> Made {
    let mut groups: Vec<(Option<Network>, Vec<RangeInclusive<u16>>)> = Vec::new();
    let mut alone = Vec::new();
    let mut at = 0;
    for part in text.split('|') {
        let place = (at, at + part.len());
        at += part.len() + 1;
        let part = part.trim();
        if let Some(network @ (Network::Tcp | Network::Udp)) = network_word(part) {
            alone.push(Condition::Network(network));
            continue;
        }
        let bad = || Bad {
            message: format!("`{part}` is no port"),
            hint: Some("write `443`, `443/tcp`, `tcp`, `8000-8100` or `80|443`".into()),
            part: Some(place),
        };
        let (range, network) = match part.split_once('/') {
            Some((range, word)) => {
                let network = network_word(word.trim()).filter(|n| *n != Network::Icmp);
                let network = network.ok_or_else(|| misspelt(range, word.trim(), bad()))?;
                (range, Some(network))
            }
            None => (part, None),
        };
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (Some(low), Some(high)) = (plain_number(low.trim()), plain_number(high.trim())) else {
            return Err(bad());
        };
        if low > high {
            let mut bad = bad();
            bad.message = format!("`{part}` ends before it begins");
            return Err(bad);
        }
        match groups.iter_mut().find(|(known, _)| *known == network) {
            Some((_, ranges)) => ranges.push(low..=high),
            None => groups.push((network, vec![low..=high])),
        }
    }
    let ported = groups.into_iter().map(|(network, ranges)| Condition::Port {
        side,
        ranges,
        network,
    });
    let mut all: Vec<Condition> = ported.chain(alone).collect();
    match (all.len(), all.pop()) {
        (1, Some(only)) => Ok(only),
        (_, last) => {
            all.extend(last);
            Ok(Condition::Or(all))
        }
    }
}

/// `443/upd`: what follows the port is what is wrong.
fn misspelt(range: &str, word: &str, bad: Bad) -> Bad {
    let word = word.to_ascii_lowercase();
    match nearest(&word, ["tcp", "udp"]) {
        // `http` is no slip.
        Some(meant) if word.starts_with(&meant[..1]) => Bad {
            message: format!("`{word}` is neither `tcp` nor `udp`"),
            hint: Some(format!("did you mean `{}/{meant}`?", range.trim())),
            ..bad
        },
        _ => bad,
    }
}

/// `[user@]type[:port]`; `user/type` too.
pub(super) fn inbound(text: &str) -> Made {
    let (user, service) = match text.rsplit_once('@').or_else(|| text.rsplit_once('/')) {
        Some((user, service)) => (Some(user), service),
        None => (None, text),
    };
    let (word, port) = match service.split_once(':') {
        Some((word, port)) => (word, Some(port)),
        None => (service, None),
    };
    let shape = "`[user@]http|socks5|mixed|tun|redirect|tproxy|forward|dns|any[:port]`";
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let kind = InboundKind::ALL.into_iter().find(|kind| is(kind.as_str()));
    if kind.is_none() && !is("any") {
        return Err(Bad::new(format!("`{text}` is no inbound")).hint(format!("write {shape}")));
    }
    let port = match port.map(plain_number::<u16>) {
        None => None,
        Some(Some(port)) if port > 0 => Some(port),
        Some(_) => {
            return Err(Bad::new(
                "the port of an inbound is a number from 1 to 65535",
            ));
        }
    };
    if user == Some("") {
        return Err(Bad::new("the user is empty").hint(format!("write {shape}")));
    }
    Ok(Condition::Inbound {
        kind,
        port,
        user: user.map(Into::into),
    })
}

pub(super) fn text(text: &str, field: TextField, test: TestKind) -> Made {
    if text.is_empty() {
        return Err(Bad::new("the content is empty"));
    }
    // Names are in lower case, without a final dot.
    let is_name = matches!(field, TextField::HttpHost | TextField::ServerName);
    let lower = text.trim_end_matches('.').to_lowercase();
    let text = if is_name && test != TestKind::Regex {
        &lower
    } else {
        text
    };
    let test = match test {
        TestKind::App => match base_name(text).trim() {
            "" => return Err(Bad::new("the pattern names no program")),
            name => TextTest::AppName(name.to_ascii_lowercase().into()),
        },
        TestKind::Exact => TextTest::Exact(text.into()),
        TestKind::ExactIgnoreCase => TextTest::ExactIgnoreCase(text.into()),
        TestKind::Keyword => TextTest::Keyword(text.into()),
        TestKind::KeywordIgnoreCase => {
            TextTest::KeywordIgnoreCase(text.to_ascii_lowercase().into())
        }
        TestKind::Regex => TextTest::Regex(pattern(text, is_name)?),
    };
    Ok(Condition::Text(field, test))
}

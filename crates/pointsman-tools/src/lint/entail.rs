//! What one test says of another: whenever `a` holds, `b` does, or `b` does not.
//!
//! Invariant: both say nothing rather than something wrong. "Does not hold" means false, never
//! unknown: the fact that `a` looked at is there, so a test on the same fact comes out.

use std::ops::RangeInclusive;

use pointsman_policy::condition::{
    AddressKind, AddressOf, AnswerTest, Condition, DomainTest, NumberField, Side, TextField,
    TextTest, ZoneOf,
};
use pointsman_policy::fact::{InboundKind, Network, Protocol};
use pointsman_policy::model::SetId;
use pointsman_policy::set::{Reach, RuleSet};
use pointsman_policy::{Domain, Policy, Prefix};

use super::logic::{Atom, Test, View};

/// The most entries of a set besides names and ranges that are compared.
const MOST_OTHERS: usize = 64;

/// Whether `b` holds whenever `a` does.
pub(super) fn entails(policy: &Policy, a: &Atom<'_>, b: &Atom<'_>) -> bool {
    if let Condition::Set(id, _) = &*b.test
        && let Some(set) = policy.sets.get(id.0 as usize)
        && holds_all(policy, set, a, b)
    {
        return true;
    }
    let seen = b.view >= a.view;
    match (&*a.test, &*b.test) {
        (Condition::Never, _) | (_, Condition::Always) => true,
        (Condition::Address { .. }, Condition::Address { .. }) => {
            address_entails(&a.test, &b.test, seen)
        }
        (Condition::AddressKind(a), Condition::AddressKind(b)) => kind_within(*a, *b),
        (Condition::Answer(a), Condition::Answer(b)) => answer_entails(a, b),
        (Condition::Asn(a, _), Condition::Asn(b, _)) => seen && a == b,
        (Condition::Country(a, _), Condition::Country(b, _)) => seen && a == b,
        (Condition::Domain(a), Condition::Domain(b)) => name_entails(a, b),
        (
            Condition::Inbound {
                kind: a_kind,
                port: a_port,
                user: a_user,
            },
            Condition::Inbound { kind, port, user },
        ) => {
            let fits = |rule: &InboundKind| match a_kind {
                Some(InboundKind::Mixed) => *rule == InboundKind::Mixed,
                Some(own) => rule.fits(*own),
                None => false,
            };
            kind.as_ref().is_none_or(fits)
                && port.is_none_or(|port| *a_port == Some(port))
                && user
                    .as_ref()
                    .is_none_or(|user| a_user.as_ref() == Some(user))
        }
        (Condition::Network(a), Condition::Network(b)) => a == b,
        (Condition::Number(a, own), Condition::Number(b, other)) => {
            a == b && other.contains(own.start()) && other.contains(own.end())
        }
        (Condition::Port { network, .. }, Condition::Network(b)) => *network == Some(*b),
        (Condition::Port { .. }, Condition::Port { .. }) => port_entails(&a.test, &b.test),
        (Condition::Protocol(a), Condition::Protocol(b)) => a == b,
        (Condition::Set(a_id, a_asks), Condition::Set(b_id, b_asks)) => {
            let same = match a.turns {
                true => a.view == b.view && a_asks == b_asks,
                false => seen || !set_on_addresses(policy, *a_id),
            };
            a_id == b_id && same
        }
        (Condition::Text(a_field, a), Condition::Text(b_field, b)) => {
            a_field == b_field && text_entails(a, b)
        }
        (Condition::Zone(a_of, a, _), Condition::Zone(b_of, b, _)) => {
            a_of == b_of && a == b && (*a_of == ZoneOf::Domain || seen)
        }
        (Condition::Domain(DomainTest::Exact(name)), Condition::Zone(ZoneOf::Domain, zone, _)) => {
            policy
                .zones
                .zone_of_domain(name)
                .is_some_and(|(own, _)| own == *zone)
        }
        _ => false,
    }
}

/// Whether `b` is false whenever `a` holds.
pub(super) fn refutes(policy: &Policy, a: &Atom<'_>, b: &Atom<'_>) -> bool {
    match (&*a.test, &*b.test) {
        (Condition::Never, _) | (_, Condition::Never) => true,
        (Condition::Address { .. }, Condition::Address { .. }) => address_refutes(&a.test, &b.test),
        // Of a named destination no address is seen here, and a literal one is of its own family.
        (
            Condition::AddressKind(kind),
            Condition::Address {
                of: AddressOf::Destination,
                prefix,
                ..
            },
        ) => match kind {
            AddressKind::Domain => b.view == View::Since(0),
            AddressKind::Ip => false,
            AddressKind::Ipv4 => prefix.address().is_ipv6(),
            AddressKind::Ipv6 => prefix.address().is_ipv4(),
        },
        (
            Condition::AddressKind(AddressKind::Domain),
            Condition::Asn(..) | Condition::Country(..),
        ) => b.view == View::Since(0),
        (Condition::AddressKind(a), Condition::AddressKind(b)) => {
            !kind_within(*a, *b) && !kind_within(*b, *a)
        }
        // An answer has one code, and is of one upstream; addresses and aliases may be several.
        (Condition::Answer(a), Condition::Answer(b)) => match (a, b) {
            (AnswerTest::Code(a), AnswerTest::Code(b)) => a != b,
            (AnswerTest::Upstream(a), AnswerTest::Upstream(b)) => a != b,
            _ => false,
        },
        (Condition::Asn(a, _), Condition::Asn(b, _)) => a != b,
        (Condition::Country(a, _), Condition::Country(b, _)) => a != b,
        (Condition::Domain(a), Condition::Domain(b)) => name_refutes(a, b),
        (Condition::Domain(DomainTest::Exact(name)), Condition::Set(id, _)) => {
            let set = policy.sets.get(id.0 as usize);
            set.is_some_and(|set| {
                !set.has_prefixes() && set.others().is_empty() && set.find_name(name).is_none()
            })
        }
        (Condition::Domain(DomainTest::Exact(name)), Condition::Zone(ZoneOf::Domain, zone, _)) => {
            policy
                .zones
                .zone_of_domain(name)
                .is_none_or(|(own, _)| own != *zone)
        }
        (
            Condition::Inbound {
                kind: a_kind,
                port: a_port,
                user: a_user,
            },
            Condition::Inbound { kind, port, user },
        ) => {
            let apart = |a: InboundKind, b: InboundKind| !a.fits(b) && !b.fits(a);
            a_kind.zip(*kind).is_some_and(|(a, b)| apart(a, b))
                || a_port.zip(*port).is_some_and(|(a, b)| a != b)
                || a_user
                    .as_ref()
                    .zip(user.as_ref())
                    .is_some_and(|(a, b)| a != b)
        }
        (Condition::Network(a), Condition::Network(b)) => a != b,
        (Condition::Number(a, own), Condition::Number(b, other)) => {
            a == b && (own.end() < other.start() || other.end() < own.start())
        }
        (Condition::Network(a), Condition::Port { network, .. })
        | (Condition::Port { network, .. }, Condition::Network(a)) => {
            network.is_some_and(|network| network != *a)
        }
        (Condition::Port { .. }, Condition::Port { .. }) => port_refutes(&a.test, &b.test),
        (Condition::Protocol(a), Condition::Protocol(b)) => a != b,
        (Condition::Text(a_field, a), Condition::Text(b_field, b)) => {
            a_field == b_field && is_single(*a_field) && text_refutes(a, b)
        }
        (Condition::Zone(a_of, a, _), Condition::Zone(b_of, b, _)) => a_of == b_of && a != b,
        _ => false,
    }
}

fn answer_entails(a: &AnswerTest, b: &AnswerTest) -> bool {
    match (a, b) {
        (AnswerTest::Address(a), AnswerTest::Address(b)) => {
            a.length() >= b.length() && b.contains(a.address())
        }
        (AnswerTest::AliasUnder(a), AnswerTest::AliasUnder(b)) => a.is_within(b),
        _ => a == b,
    }
}

/// Whether no flow meets both.
pub(super) fn clash(policy: &Policy, a: &Atom<'_>, b: &Atom<'_>) -> bool {
    if let (Some(one), Some(other)) = (a.test.network(), b.test.network())
        && one != other
    {
        return true;
    }
    let apart = match (&*a.test, &*b.test) {
        (Condition::Protocol(protocol), Condition::Text(field, _))
        | (Condition::Text(field, _), Condition::Protocol(protocol)) => !spoken(*field, *protocol),
        (Condition::Text(a, _), Condition::Text(b, _)) => {
            let both = |protocol| spoken(*a, protocol) && spoken(*b, protocol);
            !Protocol::ALL.into_iter().any(both)
        }
        (Condition::Protocol(protocol), Condition::Number(field, _))
        | (Condition::Number(field, _), Condition::Protocol(protocol)) => match field {
            NumberField::DnsType | NumberField::Dscp | NumberField::Pid => false,
            NumberField::Ech => !matches!(protocol, Protocol::Tls | Protocol::Quic),
            NumberField::QuicVersion => *protocol != Protocol::Quic,
            NumberField::TlsVersion => !matches!(protocol, Protocol::Tls | Protocol::Quic),
        },
        _ => false,
    };
    apart || refutes(policy, a, b) || refutes(policy, b, a)
}

/// Whether a set holds all that `a` does: by one entry, so that it can be named.
fn holds_all(policy: &Policy, set: &RuleSet, a: &Atom<'_>, b: &Atom<'_>) -> bool {
    if let Condition::Domain(DomainTest::Exact(name)) = &*a.test
        && set.find_name(name).is_some()
    {
        return true;
    }
    // A name that is excepted is not held whatever else fits the flow.
    if set.has_exceptions() {
        return false;
    }
    let held = match &*a.test {
        Condition::Domain(DomainTest::Suffix(name)) => covers(set, name, Reach::Suffix),
        Condition::Address {
            of: AddressOf::Destination,
            prefix,
            ..
        } => b.view >= a.view && holds_range(set, prefix),
        _ => false,
    };
    held || set.others().iter().take(MOST_OTHERS).any(|other| {
        let plain = matches!(
            other.condition,
            Condition::Domain(_)
                | Condition::Port { .. }
                | Condition::Protocol(_)
                | Condition::Text(..)
        );
        plain && {
            let entry = Atom {
                test: Test::Own(&other.condition),
                view: b.view,
                turns: false,
            };
            entails(policy, a, &entry)
        }
    })
}

/// Whether one entry of a set that stands for more than one name holds a name in its whole reach.
///
/// Nobody lists a name like the one that is tried, so what holds it holds its neighbours.
pub(super) fn covers(set: &RuleSet, name: &Domain, reach: Reach) -> bool {
    probe(name).is_some_and(|below| {
        set.find_name(&below).is_some_and(|found| {
            let entry = found.name();
            let itself = found.reach() != Some(Reach::Below) || entry != Some(name.as_str());
            entry != Some(below.as_str()) && (itself || reach == Reach::Below)
        })
    })
}

/// A name below another that nobody lists; `None` where it would be too long.
pub(super) fn probe(name: &Domain) -> Option<Domain> {
    Domain::parse(&format!("no-such-label--1.{name}")).ok()
}

/// Whether one range of a set holds all of `prefix`.
pub(super) fn holds_range(set: &RuleSet, prefix: &Prefix) -> bool {
    let found = set.find_address(prefix.address());
    let entry = found.and_then(|found| found.prefix());
    entry.is_some_and(|entry| within(prefix, &entry))
}

fn set_on_addresses(policy: &Policy, id: SetId) -> bool {
    let set = policy.sets.get(id.0 as usize);
    set.is_some_and(|set| set.has_prefixes())
}

/// Whether all of `a` lies in `b`.
pub(super) fn within(a: &Prefix, b: &Prefix) -> bool {
    a.length() >= b.length() && b.contains(a.address())
}

fn address_parts(condition: &Condition) -> Option<(AddressOf, &Prefix)> {
    match condition {
        Condition::Address { of, prefix, .. } => Some((*of, prefix)),
        _ => None,
    }
}

fn address_entails(a: &Condition, b: &Condition, seen: bool) -> bool {
    let (Some((a_of, a)), Some((b_of, b))) = (address_parts(a), address_parts(b)) else {
        return false;
    };
    let same = match (a_of, b_of) {
        (AddressOf::Destination, AddressOf::Destination)
        | (AddressOf::Destination | AddressOf::Either, AddressOf::Either) => seen,
        (AddressOf::Source, AddressOf::Source | AddressOf::Either)
        | (AddressOf::Outgoing, AddressOf::Outgoing) => true,
        _ => false,
    };
    same && within(a, b)
}

fn address_refutes(a: &Condition, b: &Condition) -> bool {
    let (Some((a_of, a)), Some((b_of, b))) = (address_parts(a), address_parts(b)) else {
        return false;
    };
    let same = a_of == b_of && a_of != AddressOf::Either;
    same && !within(a, b) && !within(b, a)
}

fn kind_within(a: AddressKind, b: AddressKind) -> bool {
    a == b || (b == AddressKind::Ip && matches!(a, AddressKind::Ipv4 | AddressKind::Ipv6))
}

fn name_entails(a: &DomainTest, b: &DomainTest) -> bool {
    match (a, b) {
        (DomainTest::Exact(name), DomainTest::Exact(other)) => name == other,
        (DomainTest::Exact(name) | DomainTest::Suffix(name), DomainTest::Suffix(suffix)) => {
            name.is_within(suffix)
        }
        (DomainTest::Exact(name) | DomainTest::Suffix(name), DomainTest::Keyword(text)) => {
            name.as_str().contains(&**text)
        }
        (DomainTest::Exact(name), DomainTest::Regex(regex)) => regex.is_match(name),
        (DomainTest::Keyword(long), DomainTest::Keyword(short)) => long.contains(&**short),
        (DomainTest::Regex(a), DomainTest::Regex(b)) if a.as_str() == b.as_str() => true,
        (_, DomainTest::Regex(regex)) => finds_all(regex.as_str()),
        _ => false,
    }
}

/// Whether an expression finds something in every name, for those that people write.
fn finds_all(expression: &str) -> bool {
    let bare = expression.strip_prefix('^').unwrap_or(expression);
    let bare = bare.strip_suffix('$').unwrap_or(bare);
    matches!(bare, ".*" | ".+" | "(.*)" | "(.+)" | ".*?" | ".+?")
}

fn name_refutes(a: &DomainTest, b: &DomainTest) -> bool {
    match (a, b) {
        (DomainTest::Exact(_), _) => !name_entails(a, b),
        (DomainTest::Suffix(a), DomainTest::Exact(b)) => !b.is_within(a),
        (DomainTest::Suffix(a), DomainTest::Suffix(b)) => !a.is_within(b) && !b.is_within(a),
        _ => false,
    }
}

type PortParts<'c> = (Side, &'c [RangeInclusive<u16>], Option<Network>);

fn port_parts(condition: &Condition) -> Option<PortParts<'_>> {
    match condition {
        Condition::Port {
            side,
            ranges,
            network,
        } => Some((*side, ranges, *network)),
        _ => None,
    }
}

fn port_entails(a: &Condition, b: &Condition) -> bool {
    let (Some((a_side, a, a_network)), Some((b_side, b, b_network))) =
        (port_parts(a), port_parts(b))
    else {
        return false;
    };
    let one = |range: &RangeInclusive<u16>| {
        b.iter()
            .any(|wide| wide.start() <= range.start() && range.end() <= wide.end())
    };
    let networks = b_network.is_none() || a_network == b_network;
    a_side == b_side && networks && a.iter().all(one)
}

fn port_refutes(a: &Condition, b: &Condition) -> bool {
    let (Some((a_side, a, a_network)), Some((b_side, b, b_network))) =
        (port_parts(a), port_parts(b))
    else {
        return false;
    };
    let meets = |range: &RangeInclusive<u16>| {
        b.iter()
            .any(|other| other.start() <= range.end() && range.start() <= other.end())
    };
    let networks = a_network.zip(b_network).is_some_and(|(a, b)| a != b);
    networks || (a_side == b_side && !a.iter().any(meets))
}

/// Whether first bytes of this protocol can say this.
fn spoken(field: TextField, protocol: Protocol) -> bool {
    match field {
        TextField::Alpn => matches!(protocol, Protocol::Tls | Protocol::Quic),
        TextField::HttpHost | TextField::Method | TextField::UserAgent => {
            protocol == Protocol::Http
        }
        TextField::ServerName => matches!(protocol, Protocol::Tls | Protocol::Quic),
        TextField::SshSoftware => protocol == Protocol::Ssh,
        _ => true,
    }
}

/// Whether a flow has one such text at most.
fn is_single(field: TextField) -> bool {
    !matches!(field, TextField::Alpn | TextField::ParentName)
}

fn text_entails(a: &TextTest, b: &TextTest) -> bool {
    match (a, b) {
        (TextTest::Exact(text), test) => test.passes(text),
        (
            TextTest::ExactIgnoreCase(text),
            TextTest::AppName(_) | TextTest::ExactIgnoreCase(_) | TextTest::KeywordIgnoreCase(_),
        ) => b.passes(text),
        (TextTest::AppName(a), TextTest::AppName(b)) => a == b,
        (TextTest::Keyword(long), TextTest::Keyword(short)) => long.contains(&**short),
        (
            TextTest::Keyword(long) | TextTest::KeywordIgnoreCase(long),
            TextTest::KeywordIgnoreCase(_),
        ) => b.passes(long),
        (TextTest::Regex(a), TextTest::Regex(b)) => a.as_str() == b.as_str(),
        _ => false,
    }
}

fn text_refutes(a: &TextTest, b: &TextTest) -> bool {
    match (a, b) {
        (TextTest::Exact(text), test) => !test.passes(text),
        (
            TextTest::ExactIgnoreCase(text),
            TextTest::AppName(_) | TextTest::ExactIgnoreCase(_) | TextTest::KeywordIgnoreCase(_),
        ) => !b.passes(text),
        (TextTest::AppName(a), TextTest::AppName(b)) => a != b,
        _ => false,
    }
}

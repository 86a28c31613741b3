//! Keys: what must be so for a condition to be more than a silent no.
//!
//! Invariant, by which rules are skipped. Let no class among the [`Keys::classes`] and [`Keys::asked`] of a
//! condition have to be asked for, and no key of a known class be met. Then testing the condition asks nothing and
//! has no effect, and it is no; or, where one of its `classes` is broken, no or unknown. If one of
//! [`Keys::broken`] is broken, testing may ask all the same.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use regex::Regex;

use super::class::{Class, Classes};
use super::hash::{self, Hasher, Tag};
use crate::address::Prefix;
use crate::condition::{AddressOf, Condition, DomainTest, Side, TextTest, ZoneOf};
use crate::domain::Domain;
use crate::fact::{InboundKind, Protocol};
use crate::key::Key;
use crate::pattern::NamePattern;
use crate::set::fingerprint;

/// How a key of a class is looked up; the numbers tell kinds of one class apart.
pub(crate) const EXACT: u8 = 0;
pub(crate) const SUFFIX: u8 = 1;
const V4: u8 = 0;
const V6: u8 = 1;
pub(crate) const KIND: u8 = 0;
pub(crate) const PORT: u8 = 1;
pub(crate) const USER: u8 = 2;
pub(crate) const FOLDED: u8 = 1;
pub(crate) const APP_NAME: u8 = 2;

/// One thing that a value may be or hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sought<'c> {
    /// Something with this hash; `size` are the labels of a name, less one, else 0.
    Hash { kind: u8, size: u8, hash: u32 },
    /// A range of addresses or ports; and its hash, by which such rules are counted.
    Range { range: Between, hash: u32 },
    /// A part of a text.
    Keyword(&'c Arc<str>),
    /// A match within a text.
    Pattern(&'c Regex),
    /// A match within a name.
    NamePattern(&'c NamePattern),
}

/// First and last.
#[derive(Clone, Copy, Debug)]
pub(super) enum Between {
    /// IPv4 addresses, or ports in the upper half.
    V4(u32, u32),
    V6(u128, u128),
}

/// What must be so for a condition to be more than a silent no; see the module's invariant.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys<'c> {
    pub(super) sought: Vec<(Class, Sought<'c>)>,
    /// The classes that it is found by.
    pub(super) classes: Classes,
    /// Further classes that it asks for before it is known to be a no.
    pub(super) asked: Classes,
    /// Classes behind whose breaking it may ask for others.
    pub(super) broken: Classes,
    /// The likelihood that a flow meets a key, roughly.
    chance: f64,
}

/// Finds keys, and chooses between them by how often each occurs.
pub(super) struct Chooser {
    pub(super) hasher: Hasher,
    /// Of names' fingerprints.
    pub(super) key: Key,
    /// How many conditions look for each hash.
    pub(super) counts: HashMap<u32, u32>,
    /// How many rules there are.
    pub(super) rules: usize,
}

impl Chooser {
    /// The keys of a condition; `None` where it may hold whatever the facts are.
    pub(super) fn keys<'c>(&self, condition: &'c Condition) -> Option<Keys<'c>> {
        let number = |class, kind, number: u64, chance| {
            let hash = self.hasher.number(tag(class, kind), number);
            Keys::one(class, hashed(kind, 0, hash), chance)
        };
        Some(match condition {
            Condition::Address { of, prefix, asks } => match of {
                AddressOf::Destination => self.prefix(Class::Destination(*asks), prefix),
                AddressOf::Source => self.prefix(Class::Source, prefix),
                AddressOf::Outgoing => self.prefix(Class::Outgoing, prefix),
                AddressOf::Either => {
                    let mut keys = self.prefix(Class::Source, prefix);
                    keys.join(self.prefix(Class::Destination(*asks), prefix));
                    keys
                }
            },
            Condition::AddressKind(kind) => number(Class::AddressKind, 0, *kind as u64, 0.5),
            Condition::And(all) => self.rarest(all)?,
            Condition::Asn(asn, asks) => number(Class::Asn(*asks), 0, u64::from(*asn), 0.0),
            Condition::Country(code, asks) => {
                let class = Class::Country(*asks);
                let hash = self.hasher.text(tag(class, 0), code);
                Keys::one(class, hashed(0, 0, hash), 0.05)
            }
            Condition::Domain(test) => self.domain(test),
            Condition::Inbound { kind, port, user } => {
                let class = Class::Inbound;
                match (user, port, kind) {
                    (Some(user), _, _) => {
                        let hash = self.hasher.text(tag(class, USER), user);
                        Keys::one(class, hashed(USER, 0, hash), 0.02)
                    }
                    (None, Some(port), _) => number(class, PORT, u64::from(*port), 0.1),
                    (None, None, Some(kind)) => {
                        let mut keys = Keys::default();
                        for fits in InboundKind::ALL.into_iter().filter(|k| kind.fits(*k)) {
                            keys.join(number(class, KIND, fits as u64, 0.25));
                        }
                        keys
                    }
                    (None, None, None) => return None,
                }
            }
            Condition::Network(network) => number(Class::Network, 0, *network as u64, 0.5),
            Condition::Never => Keys::default(),
            Condition::Or(any) => {
                let mut keys = Keys::default();
                for inner in any {
                    keys.join(self.keys(inner)?);
                }
                keys
            }
            Condition::Port { side, ranges, .. } => {
                let class = match side {
                    Side::Destination => Class::Port,
                    Side::Source => Class::SourcePort,
                };
                let mut keys = Keys {
                    classes: Classes::of(class),
                    ..Keys::default()
                };
                for range in ranges {
                    keys.chance += range.len() as f64 / 65536.0;
                    aligned(*range.start(), *range.end(), |port, length| {
                        let first = u32::from(port) << 16;
                        let range = Between::V4(first, first | rest32(length));
                        let hash = self.hasher.ports(tag(class, 0), port, length);
                        keys.sought.push((class, Sought::Range { range, hash }));
                    });
                }
                keys
            }
            Condition::Protocol(protocol) => self.protocol(*protocol),
            Condition::Text(field, test) => {
                let class = Class::Text(*field);
                let (sought, chance) = match test {
                    TextTest::AppName(name) => {
                        let hash = self.hasher.folded(tag(class, APP_NAME), name);
                        (hashed(APP_NAME, 0, hash), 0.0)
                    }
                    TextTest::Exact(text) => {
                        let hash = self.hasher.text(tag(class, EXACT), text);
                        (hashed(EXACT, 0, hash), 0.0)
                    }
                    TextTest::ExactIgnoreCase(text) => {
                        let hash = self.hasher.folded(tag(class, FOLDED), text);
                        (hashed(FOLDED, 0, hash), 0.0)
                    }
                    TextTest::Keyword(word) | TextTest::KeywordIgnoreCase(word) => {
                        (Sought::Keyword(word), 0.02)
                    }
                    TextTest::Regex(regex) => (Sought::Pattern(regex), 0.1),
                };
                Keys::one(class, sought, chance)
            }
            Condition::Always
            | Condition::Answer(_)
            | Condition::Not(_)
            | Condition::Number(..)
            | Condition::Set(..)
            | Condition::Zone(..) => {
                return None;
            }
        })
    }

    pub(super) fn protocol(&self, protocol: Protocol) -> Keys<'static> {
        let class = Class::Protocol(protocol.network());
        let hash = self.hasher.number(tag(class, 0), protocol as u64);
        Keys::one(class, hashed(0, 0, hash), 0.5)
    }

    fn domain<'c>(&self, test: &'c DomainTest) -> Keys<'c> {
        let name = |kind, name: &Domain| {
            let (print, labels) = fingerprint(self.key, name.into());
            // A name has at most 127 labels.
            let size = u8::try_from(labels - 1).unwrap_or(u8::MAX);
            hashed(kind, size, hash::of_name(print, kind))
        };
        let (sought, chance) = match test {
            DomainTest::Exact(exact) => (name(EXACT, exact), 0.0),
            DomainTest::Keyword(word) => (Sought::Keyword(word), 0.02),
            DomainTest::Regex(pattern) => (Sought::NamePattern(pattern), 0.1),
            DomainTest::Suffix(suffix) => {
                let chance = if suffix.as_str().contains('.') {
                    0.0
                } else {
                    0.1
                };
                (name(SUFFIX, suffix), chance)
            }
        };
        Keys::one(Class::Domain, sought, chance)
    }

    fn prefix(&self, class: Class, prefix: &Prefix) -> Keys<'static> {
        let (address, length) = (prefix.address(), prefix.length());
        let (kind, range) = match address {
            IpAddr::V4(first) => {
                let first = first.to_bits();
                (V4, Between::V4(first, first | rest32(length)))
            }
            IpAddr::V6(first) => {
                let first = first.to_bits();
                let rest = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                (V6, Between::V6(first, first | rest))
            }
        };
        let hash = self.hasher.prefix(tag(class, kind), address, length);
        let chance = 0.5_f64.powi(i32::from(length.min(32)));
        Keys::one(class, Sought::Range { range, hash }, chance)
    }

    /// The keys of the part of a conjunction that fewest flows meet. Where one part is a no, the whole is, and
    /// what stands behind it is not tested; what stands before it must be settled.
    fn rarest<'c>(&self, all: &'c [Condition]) -> Option<Keys<'c>> {
        let mut before = Classes::default();
        let mut best: Option<(f64, Keys<'c>)> = None;
        for (at, inner) in all.iter().enumerate() {
            if let Some(mut keys) = self.keys(inner) {
                let silent = |class: &Class| !class.may_ask();
                let mut weight = self.weight(&keys);
                // Until the facts are there all such rules are visited: only for much gain.
                let waits =
                    !before.is_empty() || !keys.sought.iter().all(|(class, _)| silent(class));
                if best.is_some() && waits {
                    weight = weight * 4.0 + 16.0;
                }
                keys.asked.join(&before);
                let behind = all_asked(&all[at + 1..]);
                if behind.is_none_or(|behind| !behind.within(&keys.classes, &keys.asked)) {
                    keys.broken.join(&keys.classes);
                }
                if best.as_ref().is_none_or(|(least, _)| weight < *least) {
                    best = Some((weight, keys));
                }
            }
            match asked(inner) {
                Some(classes) => before.join(&classes),
                None => break,
            }
        }
        best.map(|(_, keys)| keys)
    }

    /// How many rules a flow is likely to meet by these keys, and how many it may.
    fn weight(&self, keys: &Keys<'_>) -> f64 {
        let count = |(_, sought): &(Class, Sought<'_>)| match sought {
            Sought::Hash { hash, .. } | Sought::Range { hash, .. } => {
                self.counts.get(hash).copied().map_or(1.0, f64::from)
            }
            Sought::Keyword(_) => 4.0,
            Sought::NamePattern(_) | Sought::Pattern(_) => 16.0,
        };
        keys.sought.iter().map(count).sum::<f64>() + keys.chance * self.rules as f64
    }
}

impl<'c> Keys<'c> {
    fn one(class: Class, sought: Sought<'c>, chance: f64) -> Self {
        Self {
            sought: vec![(class, sought)],
            classes: Classes::of(class),
            chance,
            ..Self::default()
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.sought.extend(other.sought);
        self.classes.join(&other.classes);
        self.asked.join(&other.asked);
        self.broken.join(&other.broken);
        self.chance += other.chance;
    }
}

/// The tag of hashes of a class.
pub(crate) fn tag(class: Class, kind: u8) -> Tag {
    Tag((class.number() as u16) << 8 | u16::from(kind))
}

fn hashed(kind: u8, size: u8, hash: u32) -> Sought<'static> {
    Sought::Hash { kind, size, hash }
}

/// The classes that testing a condition may ask for; `None` where nobody can tell from its text.
fn asked(condition: &Condition) -> Option<Classes> {
    let class = match condition {
        Condition::Address { of, asks, .. } => match of {
            AddressOf::Destination | AddressOf::Either => Class::Destination(*asks),
            AddressOf::Outgoing => Class::Outgoing,
            AddressOf::Source => Class::Source,
        },
        Condition::And(all) | Condition::Or(all) => {
            return all_asked(all);
        }
        Condition::Asn(_, asks) => Class::Asn(*asks),
        Condition::Country(_, asks) => Class::Country(*asks),
        Condition::Domain(_) => Class::Domain,
        Condition::Not(inner) => return asked(inner),
        Condition::Protocol(protocol) => Class::Protocol(protocol.network()),
        // No class of its own; what is known at accept asks for nothing.
        Condition::Number(field, _) if field.need().is_none() => return Some(Classes::default()),
        Condition::Number(..) | Condition::Set(..) => return None,
        Condition::Text(field, _) => Class::Text(*field),
        Condition::Zone(ZoneOf::Address, _, asks) => Class::Destination(*asks),
        Condition::Zone(ZoneOf::Domain, ..) => Class::Domain,
        Condition::AddressKind(_)
        | Condition::Always
        | Condition::Answer(_)
        | Condition::Inbound { .. }
        | Condition::Network(_)
        | Condition::Never
        | Condition::Port { .. } => return Some(Classes::default()),
    };
    let mut classes = Classes::default();
    if class.may_ask() {
        classes.add(class);
    }
    Some(classes)
}

fn all_asked(conditions: &[Condition]) -> Option<Classes> {
    let mut classes = Classes::default();
    for condition in conditions {
        classes.join(&asked(condition)?);
    }
    Some(classes)
}

/// The bits behind the first `length` of 32.
fn rest32(length: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

/// The fewest aligned ranges that make up `start..=end`: at most thirty.
fn aligned(start: u16, end: u16, mut each: impl FnMut(u16, u8)) {
    let (mut at, end) = (u32::from(start), u32::from(end) + 1);
    while at < end {
        let widest = (end - at).ilog2();
        let bits = widest.min(at.trailing_zeros()).min(16);
        // Both fit: `at` is below 65536, and `bits` at most 16.
        each(at as u16, 16 - bits as u8);
        at += 1 << bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_ranges_make_up_the_whole() {
        let check = |start: u16, end: u16, expected: &[(u16, u8)]| {
            let mut got = Vec::new();
            aligned(start, end, |port, length| got.push((port, length)));
            assert_eq!(got, expected, "{start}..={end}");
        };
        check(443, 443, &[(443, 16)]);
        check(0, 65535, &[(0, 0)]);
        check(0, 1023, &[(0, 6)]);
        check(80, 83, &[(80, 14)]);
        check(1, 4, &[(1, 16), (2, 15), (4, 16)]);
        check(65535, 65535, &[(65535, 16)]);
        check(9, 8, &[]);
        let mut most = 0;
        aligned(1, 65534, |_, _| most += 1);
        assert_eq!(most, 30);
    }
}

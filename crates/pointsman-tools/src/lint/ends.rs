//! What ended walks so far, by what it asks: finds the rule before that takes all of a case.
//!
//! Invariant: an answer is verified by [`entails`] and [`refutes`]; the index only says where to look,
//! and looks at a bounded number, so that a list of 100,000 rules is gone through in seconds. What it
//! does not find is missed, never made up.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use pointsman_policy::condition::{
    AddressOf, Condition, DomainTest, Side, TextField, TextTest, ZoneOf,
};
use pointsman_policy::fact::{Network, Protocol};
use pointsman_policy::model::{Origin, OutboundId};
use pointsman_policy::{Policy, Prefix, base_name};

use super::entail::{entails, refutes};
use super::logic::{Atom, Case, Literal, Test};
use super::ports::Ports;

/// The most ends under one key that are looked at.
const MOST_SAME: usize = 16;

/// The most ends of a kind that no key tells apart.
const MOST_ALIKE: usize = 256;

/// The most expressions and keywords that are tried on a name.
const MOST_TEXTS: usize = 64;

/// Where an end is filed: by one of the tests that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key<'p> {
    Asn(u32),
    Country(&'p str),
    Exact(&'p str),
    /// All of a kind.
    Kind(&'static str),
    Network(&'static str),
    Protocol(Protocol),
    Range(u8, Prefix),
    Set(u32),
    Suffix(&'p str),
    Text(&'static str, Cow<'p, str>),
    Zone(bool, u32),
}

/// One end.
#[derive(Debug)]
pub(super) struct Found<'p> {
    case: Case<'p>,
    pub(super) origin: &'p Origin,
    pub(super) outbound: Option<OutboundId>,
}

/// All ends so far.
pub(super) struct Ends<'p> {
    policy: &'p Policy,
    all: Vec<Found<'p>>,
    keyed: HashMap<Key<'p>, Vec<usize>>,
    /// Those that need an entry of a set.
    sets: Vec<usize>,
    /// The lengths of ranges that are filed, by whose address and family.
    lengths: HashMap<(u8, bool), Vec<u8>>,
    /// Those ranges: whose address, where it begins, its length.
    ranges: BTreeSet<(u8, IpAddr, u8)>,
    ports: Ports,
    /// Whether one of them is about one transport.
    networks: bool,
    /// Whether one of them is about some inbounds.
    inbounds: bool,
}

impl<'p> Ends<'p> {
    pub(super) fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            all: Vec::new(),
            keyed: HashMap::new(),
            sets: Vec::new(),
            lengths: HashMap::new(),
            ranges: BTreeSet::new(),
            ports: Ports::default(),
            networks: false,
            inbounds: false,
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether one of them is about one transport.
    pub(super) fn tell_networks(&self) -> bool {
        self.networks
    }

    /// Whether one of them is about some inbounds.
    pub(super) fn tell_inbounds(&self) -> bool {
        self.inbounds
    }

    /// Whether one of them is about a part of this range.
    pub(super) fn splits(&self, of: AddressOf, prefix: &Prefix) -> bool {
        let (first, last) = (prefix.address(), last(prefix));
        let either = [whose(of), whose(AddressOf::Either)];
        // Ranges that begin within it are parts of it, but for those that begin where it begins.
        either.iter().any(|of| {
            let mut within = self.ranges.range((*of, first, 0)..=(*of, last, u8::MAX));
            within.any(|(_, _, length)| *length > prefix.length())
        })
    }

    /// Files one end: every flow of this case goes no further.
    pub(super) fn add(&mut self, case: Case<'p>, origin: &'p Origin, outbound: Option<OutboundId>) {
        let number = self.all.len();
        for literal in &case {
            match &*literal.atom.test {
                Condition::Network(_)
                | Condition::Port {
                    network: Some(_), ..
                } => self.networks = true,
                Condition::Inbound { .. } | Condition::Text(TextField::InboundName, _) => {
                    self.inbounds = true;
                }
                _ => {}
            }
        }
        if let [
            Literal {
                atom:
                    Atom {
                        test:
                            Test::Own(Condition::Port {
                                side,
                                ranges,
                                network,
                            }),
                        ..
                    },
                holds: true,
            },
        ] = case.as_slice()
        {
            for range in ranges {
                self.ports.cover(*side, *network, range, number);
            }
            self.all.push(Found {
                case,
                origin,
                outbound,
            });
            return;
        }
        let held = case.iter().filter(|literal| literal.holds);
        let best = held
            .filter_map(|literal| filed(&literal.atom))
            .min_by_key(|(rank, _)| *rank);
        let key = best.map_or(Key::Kind("none"), |(_, key)| key);
        let most = match key {
            // Each of these is tried on every name that follows.
            Key::Kind("keyword" | "regex") => MOST_TEXTS,
            Key::Kind(_) | Key::Protocol(_) | Key::Network(_) => MOST_ALIKE,
            _ => MOST_SAME,
        };
        let filed = self.keyed.entry(key.clone()).or_default();
        if filed.len() >= most {
            return;
        }
        filed.push(number);
        match key {
            Key::Range(of, prefix) => {
                let lengths = self
                    .lengths
                    .entry((of, prefix.address().is_ipv6()))
                    .or_default();
                if !lengths.contains(&prefix.length()) {
                    lengths.push(prefix.length());
                }
                self.ranges.insert((of, prefix.address(), prefix.length()));
            }
            Key::Set(_) if self.sets.len() < MOST_ALIKE => self.sets.push(number),
            _ => {}
        }
        self.all.push(Found {
            case,
            origin,
            outbound,
        });
    }

    /// An end that takes every flow of this case.
    pub(super) fn taking(&self, case: &Case<'p>) -> Option<&Found<'p>> {
        let tried = |number: &usize| {
            let found = self.all.get(*number)?;
            let proved = found.case.iter().all(|literal| self.proved(literal, case));
            proved.then_some(found)
        };
        let under = |key: &Key<'_>| {
            self.keyed
                .get(key)
                .and_then(|same| same.iter().find_map(tried))
        };
        under(&Key::Kind("none")).or_else(|| {
            let held = case.iter().filter(|literal| literal.holds);
            held.into_iter()
                .find_map(|literal| self.by_literal(&literal.atom, case, &under, &tried))
        })
    }

    fn by_literal<'s>(
        &'s self,
        atom: &Atom<'p>,
        case: &Case<'p>,
        under: &dyn Fn(&Key<'_>) -> Option<&'s Found<'p>>,
        tried: &dyn Fn(&usize) -> Option<&'s Found<'p>>,
    ) -> Option<&'s Found<'p>> {
        let by_sets = || self.sets.iter().find_map(tried);
        match &*atom.test {
            Condition::Address { of, prefix, .. } => {
                let wide = self.ranges(*of, prefix, under);
                let wide = wide.or_else(|| match of {
                    AddressOf::Destination | AddressOf::Source => {
                        self.ranges(AddressOf::Either, prefix, under)
                    }
                    AddressOf::Either | AddressOf::Outgoing => None,
                });
                wide.or_else(by_sets)
            }
            Condition::AddressKind(_) => under(&Key::Kind("kind")),
            Condition::Asn(number, _) => under(&Key::Asn(*number)),
            Condition::Country(code, _) => under(&Key::Country(code)),
            Condition::Domain(test) => {
                let by_name = match test {
                    DomainTest::Exact(name) => under(&Key::Exact(name.as_str()))
                        .or_else(|| {
                            name.ancestors()
                                .find_map(|above| under(&Key::Suffix(above)))
                        })
                        .or_else(|| under(&Key::Kind("regex"))),
                    DomainTest::Suffix(name) => name
                        .ancestors()
                        .find_map(|above| under(&Key::Suffix(above)))
                        .or_else(|| under(&Key::Kind("regex"))),
                    DomainTest::Keyword(_) => under(&Key::Kind("regex")),
                    DomainTest::Regex(_) => under(&Key::Kind("regex")),
                };
                let zoned = || match test {
                    DomainTest::Exact(name) => {
                        let (zone, _) = self.policy.zones.zone_of_domain(name)?;
                        under(&Key::Zone(true, zone.0))
                    }
                    _ => None,
                };
                let by_name = by_name.or_else(|| under(&Key::Kind("keyword")));
                by_name.or_else(zoned).or_else(by_sets)
            }
            Condition::Inbound { .. } => under(&Key::Kind("inbound")),
            Condition::Network(network) => under(&Key::Network(network.as_str())),
            Condition::Number(field, _) => under(&Key::Kind(field.fact())),
            Condition::Port {
                side,
                ranges,
                network,
            } => {
                let whole = self.ports(*side, ranges, *network, case);
                let by_network = || under(&Key::Network((*network)?.as_str()));
                whole
                    .or_else(by_network)
                    .or_else(|| under(&Key::Kind("port")))
                    .or_else(by_sets)
            }
            Condition::Protocol(protocol) => under(&Key::Protocol(*protocol)).or_else(by_sets),
            Condition::Set(id, _) => under(&Key::Set(id.0)),
            Condition::Text(field, test) => {
                let exact = match test {
                    TextTest::Exact(text)
                    | TextTest::ExactIgnoreCase(text)
                    | TextTest::AppName(text) => {
                        let by = |text: &str| under(&Key::Text(field.fact(), folded(text).into()));
                        by(text).or_else(|| by(base_name(text)))
                    }
                    TextTest::Keyword(_) | TextTest::KeywordIgnoreCase(_) | TextTest::Regex(_) => {
                        None
                    }
                };
                exact
                    .or_else(|| under(&Key::Kind(field.fact())))
                    .or_else(by_sets)
            }
            Condition::Answer(_) => under(&Key::Kind("answer")),
            Condition::Zone(of, zone, _) => under(&Key::Zone(*of == ZoneOf::Domain, zone.0)),
            Condition::Always
            | Condition::And(_)
            | Condition::Never
            | Condition::Not(_)
            | Condition::Or(_) => None,
        }
    }

    fn ranges<'s>(
        &'s self,
        of: AddressOf,
        prefix: &Prefix,
        under: &dyn Fn(&Key<'_>) -> Option<&'s Found<'p>>,
    ) -> Option<&'s Found<'p>> {
        let of = whose(of);
        let lengths = self.lengths.get(&(of, prefix.address().is_ipv6()))?;
        let shorter = lengths.iter().filter(|length| **length <= prefix.length());
        shorter
            .map(|length| Prefix::new(prefix.address(), *length))
            .find_map(|wide| under(&Key::Range(of, wide)))
    }

    /// Ranges of ports that several ends take together.
    fn ports(
        &self,
        side: Side,
        ranges: &[std::ops::RangeInclusive<u16>],
        network: Option<Network>,
        case: &Case<'p>,
    ) -> Option<&Found<'p>> {
        let possible = |wanted: Network| {
            network.is_none_or(|own| own == wanted)
                && case.iter().all(|literal| match &*literal.atom.test {
                    Condition::Network(named) => (*named == wanted) == literal.holds,
                    _ => true,
                })
        };
        let networks = [Network::Icmp, Network::Tcp, Network::Udp];
        let mut by = None;
        for network in networks.into_iter().filter(|network| possible(*network)) {
            for range in ranges {
                by = Some(self.ports.covered(side, network, range)?);
            }
        }
        self.all.get(by?)
    }

    fn proved(&self, wanted: &Literal<'p>, case: &Case<'p>) -> bool {
        case.iter().any(|known| match (wanted.holds, known.holds) {
            (true, true) => entails(self.policy, &known.atom, &wanted.atom),
            (true, false) => false,
            (false, true) => refutes(self.policy, &known.atom, &wanted.atom),
            (false, false) => entails(self.policy, &wanted.atom, &known.atom),
        })
    }
}

/// The key of an end that needs this test, and how well it tells ends apart (0: best).
fn filed<'p>(atom: &Atom<'p>) -> Option<(u8, Key<'p>)> {
    let condition = match &atom.test {
        Test::Own(condition) => *condition,
        Test::Key(condition) => {
            return match &**condition {
                Condition::Protocol(protocol) => Some((5, Key::Protocol(*protocol))),
                Condition::Zone(of, zone, _) => Some((3, Key::Zone(*of == ZoneOf::Domain, zone.0))),
                _ => None,
            };
        }
    };
    Some(match condition {
        Condition::Address { of, prefix, .. } => (1, Key::Range(whose(*of), *prefix)),
        Condition::AddressKind(_) => (7, Key::Kind("kind")),
        Condition::Answer(_) => (6, Key::Kind("answer")),
        Condition::Asn(number, _) => (2, Key::Asn(*number)),
        Condition::Country(code, _) => (2, Key::Country(code)),
        Condition::Domain(DomainTest::Exact(name)) => (0, Key::Exact(name.as_str())),
        Condition::Domain(DomainTest::Suffix(name)) => (0, Key::Suffix(name.as_str())),
        Condition::Domain(DomainTest::Regex(_)) => (6, Key::Kind("regex")),
        Condition::Domain(DomainTest::Keyword(_)) => (6, Key::Kind("keyword")),
        Condition::Inbound { .. } => (7, Key::Kind("inbound")),
        Condition::Network(network) => (7, Key::Network(network.as_str())),
        Condition::Number(field, _) => (6, Key::Kind(field.fact())),
        Condition::Port { .. } => (6, Key::Kind("port")),
        Condition::Protocol(protocol) => (5, Key::Protocol(*protocol)),
        Condition::Set(id, _) => (3, Key::Set(id.0)),
        Condition::Text(field, test) => (2, text_key(*field, test)),
        Condition::Zone(of, zone, _) => (3, Key::Zone(*of == ZoneOf::Domain, zone.0)),
        Condition::Always
        | Condition::And(_)
        | Condition::Never
        | Condition::Not(_)
        | Condition::Or(_) => return None,
    })
}

fn text_key<'p>(field: TextField, test: &'p TextTest) -> Key<'p> {
    match test {
        TextTest::AppName(text) | TextTest::Exact(text) | TextTest::ExactIgnoreCase(text) => {
            Key::Text(field.fact(), folded(text).into())
        }
        TextTest::Keyword(_) | TextTest::KeywordIgnoreCase(_) | TextTest::Regex(_) => {
            Key::Kind(field.fact())
        }
    }
}

fn folded(text: &str) -> String {
    text.to_ascii_lowercase()
}

fn whose(of: AddressOf) -> u8 {
    match of {
        AddressOf::Destination => 0,
        AddressOf::Source => 1,
        AddressOf::Either => 2,
        AddressOf::Outgoing => 3,
    }
}

/// The last address of a range.
fn last(prefix: &Prefix) -> IpAddr {
    let length = u32::from(prefix.length());
    match prefix.address() {
        IpAddr::V4(address) => {
            let others = u32::MAX.checked_shr(length).unwrap_or(0);
            IpAddr::from((address.to_bits() | others).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let others = u128::MAX.checked_shr(length).unwrap_or(0);
            IpAddr::from((address.to_bits() | others).to_be_bytes())
        }
    }
}

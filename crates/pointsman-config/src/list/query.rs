//! Which entry of a list holds a host: asked of the list itself, entry by entry.
//!
//! Invariant: names are compared whole, so what is answered stands in the file. The most specific
//! entry is named: of names the name itself, else the longest with all below; of ranges the longest;
//! else the first other condition. Of entries said twice it is the first.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::IpAddr;

use pointsman_policy::condition::{AddressKind, AddressOf, Condition, DomainTest};
use pointsman_policy::set::{Fingerprints, Held, Item, Place, RuleSet, Sink};
use pointsman_policy::{Domain, Host, Prefix};

/// Where an entry stands, and how it is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// From 1; in binary formats the entry's number.
    pub line: u32,
    /// As written.
    pub text: String,
}

/// What a list says of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The entry that holds it.
    pub entry: Option<Standing>,
    /// The exception that takes it out, whatever entries there are.
    pub exception: Option<Standing>,
    /// How many conditions could hold for it, depending on more than the host.
    pub open: usize,
}

/// Asks a list for one host while it is read: nothing of it is kept.
#[derive(Debug)]
pub struct Query {
    host: Host,
    best: Option<(Rank, Standing)>,
    exception: Option<Standing>,
    open: usize,
}

/// How specific an entry is; the greater the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Other,
    /// By its length.
    Within(usize),
    Exact,
}

impl Query {
    /// Asks for this host.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self {
            host,
            best: None,
            exception: None,
            open: 0,
        }
    }

    /// The answer, when the list was read.
    #[must_use]
    pub fn answer(self) -> Answer {
        match self.exception {
            Some(exception) => Answer {
                exception: Some(exception),
                ..Answer::default()
            },
            None => Answer {
                entry: self.best.map(|(_, standing)| standing),
                exception: None,
                open: self.open,
            },
        }
    }

    fn rank(&mut self, item: &Item<'_>) -> Option<Rank> {
        match (item, &self.host) {
            (Item::Exact(name), Host::Name(host)) => {
                (name.as_str() == host.as_str()).then_some(Rank::Exact)
            }
            (Item::Suffix(name), Host::Name(host)) => {
                is_within(host, name.as_str()).then_some(Rank::Within(name.as_str().len()))
            }
            (Item::Prefix(prefix), Host::Address(address)) => prefix
                .contains(*address)
                .then_some(Rank::Within(prefix.length().into())),
            (Item::Other(condition), host) => match holds(condition, host) {
                Some(true) => Some(Rank::Other),
                Some(false) => None,
                None => {
                    self.open += 1;
                    None
                }
            },
            _ => None,
        }
    }
}

impl Sink for Query {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let item = plain(item);
        if self.exception.is_some() {
            return;
        }
        let excepted = match (&item, &self.host) {
            (Item::ExceptExact(name), Host::Name(host)) => name.as_str() == host.as_str(),
            (Item::ExceptSuffix(name), Host::Name(host)) => is_within(host, name.as_str()),
            _ => false,
        };
        if excepted {
            self.exception = Some(place.into());
        } else if let Some(rank) = self.rank(&item)
            && self.best.as_ref().is_none_or(|(best, _)| *best < rank)
        {
            self.best = Some((rank, place.into()));
        }
    }
}

impl From<Place<'_>> for Standing {
    fn from(place: Place<'_>) -> Self {
        Self {
            line: place.line,
            text: place.written.to_owned(),
        }
    }
}

/// A list in memory, with the texts of its entries, to be asked for many hosts.
#[derive(Debug, Default)]
pub struct Table {
    exact: HashMap<Box<str>, Standing>,
    except: HashMap<Box<str>, Standing>,
    except_below: HashMap<Box<str>, Standing>,
    others: Vec<(Condition, Standing)>,
    prefixes: HashMap<Prefix, Standing>,
    suffix: HashMap<Box<str>, Standing>,
}

impl Table {
    /// What the list says of a host.
    #[must_use]
    pub fn answer(&self, host: &Host) -> Answer {
        let mut answer = Answer::default();
        match host {
            Host::Name(name) => {
                let ancestors = || name.ancestors();
                let except = self.except.get(name.as_str());
                answer.exception = except
                    .or_else(|| ancestors().find_map(|a| self.except_below.get(a)))
                    .cloned();
                if answer.exception.is_some() {
                    return answer;
                }
                answer.entry = self
                    .exact
                    .get(name.as_str())
                    .or_else(|| ancestors().find_map(|a| self.suffix.get(a)))
                    .cloned();
            }
            Host::Address(address) => {
                let longest = if address.is_ipv4() { 32 } else { 128 };
                let mut lengths = (0..=longest).rev();
                answer.entry = lengths
                    .find_map(|length| self.prefixes.get(&Prefix::new(*address, length)))
                    .cloned();
            }
        }
        for (condition, standing) in &self.others {
            match holds(condition, host) {
                Some(true) if answer.entry.is_none() => answer.entry = Some(standing.clone()),
                Some(_) => {}
                None => answer.open += 1,
            }
        }
        answer
    }
}

impl Sink for Table {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let (map, name) = match plain(item) {
            Item::Exact(name) => (&mut self.exact, name),
            Item::ExceptExact(name) => (&mut self.except, name),
            Item::ExceptSuffix(name) => (&mut self.except_below, name),
            Item::Suffix(name) => (&mut self.suffix, name),
            Item::Other(condition) => return self.others.push((condition, place.into())),
            Item::Prefix(prefix) => {
                if let Slot::Vacant(slot) = self.prefixes.entry(prefix) {
                    slot.insert(place.into());
                }
                return;
            }
        };
        if !map.contains_key(name.as_str()) {
            map.insert(name.as_str().into(), place.into());
        }
    }
}

/// What a rule set that was loaded says of a host. Its exceptions have no place.
#[must_use]
pub fn ask(set: &RuleSet, host: &Host) -> Answer {
    let mut answer = Answer::default();
    let found = match host {
        Host::Name(name) => match set.hold(&Fingerprints::of(set.key(), name)) {
            Held::Excepted => {
                answer.exception = Some(Standing {
                    line: 0,
                    text: String::new(),
                });
                return answer;
            }
            Held::No => None,
            Held::Yes(found) => Some(found),
        },
        Host::Address(address) => set.find_address(*address),
    };
    answer.entry = found.map(|found| {
        let entry = set.entry(found);
        Standing {
            line: entry.line,
            text: entry.text.to_string(),
        }
    });
    for other in set.others() {
        match holds(&other.condition, host) {
            Some(true) if answer.entry.is_none() => {
                answer.entry = Some(Standing {
                    line: other.line,
                    text: other.text.to_string(),
                });
            }
            Some(_) => {}
            None => answer.open += 1,
        }
    }
    answer
}

/// A range that never asks for addresses is a range here, where none are asked for.
fn plain(item: Item<'_>) -> Item<'_> {
    match item {
        Item::Other(Condition::Address {
            of: AddressOf::Destination,
            prefix,
            asks: _,
        }) => Item::Prefix(prefix),
        item => item,
    }
}

fn is_within(host: &Domain, suffix: &str) -> bool {
    match host.as_str().strip_suffix(suffix) {
        Some(head) => head.is_empty() || head.ends_with('.'),
        None => false,
    }
}

/// Whether a condition holds for a destination of which nothing else is known; `None`: that depends.
fn holds(condition: &Condition, host: &Host) -> Option<bool> {
    match (condition, host) {
        (Condition::Always, _) => Some(true),
        (Condition::Never, _) => Some(false),
        (Condition::Not(inner), _) => holds(inner, host).map(|holds| !holds),
        (Condition::And(parts), _) => {
            let parts: Vec<_> = parts.iter().map(|part| holds(part, host)).collect();
            match () {
                () if parts.contains(&Some(false)) => Some(false),
                () if parts.contains(&None) => None,
                () => Some(true),
            }
        }
        (Condition::Or(parts), _) => {
            let parts: Vec<_> = parts.iter().map(|part| holds(part, host)).collect();
            match () {
                () if parts.contains(&Some(true)) => Some(true),
                () if parts.contains(&None) => None,
                () => Some(false),
            }
        }
        (Condition::Domain(_), Host::Address(_)) => Some(false),
        (Condition::Domain(test), Host::Name(name)) => Some(match test {
            DomainTest::Exact(exact) => name == exact,
            DomainTest::Keyword(word) => name.as_str().contains(&**word),
            DomainTest::Regex(regex) => regex.is_match(name),
            DomainTest::Suffix(suffix) => name.is_within(suffix),
        }),
        (
            Condition::Address {
                of: AddressOf::Destination,
                prefix,
                ..
            },
            Host::Address(address),
        ) => Some(prefix.contains(*address)),
        (Condition::AddressKind(kind), host) => Some(match (kind, host.address()) {
            (AddressKind::Domain, address) => address.is_none(),
            (AddressKind::Ip, address) => address.is_some(),
            (AddressKind::Ipv4, address) => address.is_some_and(|a| IpAddr::is_ipv4(&a)),
            (AddressKind::Ipv6, address) => address.is_some_and(|a| IpAddr::is_ipv6(&a)),
        }),
        _ => None,
    }
}

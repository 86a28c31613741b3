//! Which entry of a list holds a host: asked of the list itself, entry by entry.
//!
//! Invariant: names are compared whole, so what is answered stands in the file. The most specific
//! entry is named: of names the name itself, else the longest with all below, of two for one name that for
//! itself, too; of ranges the longest; else the first other condition. Of entries said twice it is the first.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::IpAddr;

use pointsman_policy::condition::{AddressKind, AddressOf, Condition, DomainTest};
use pointsman_policy::domain::Name;
use pointsman_policy::set::{Fingerprints, Item, NameMatch, Place, Reach, RuleSet, Sink};
use pointsman_policy::{Domain, Host, Prefix};

use super::{ListFile, Unreadable};
use crate::files::Files;

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
    important: Option<(Rank, Standing)>,
    important_exception: Option<Standing>,
    open: usize,
}

/// How specific an entry is; the greater the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Other,
    /// By its length; and whether it stands for itself, too.
    Within(usize, bool),
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
            important: None,
            important_exception: None,
            open: 0,
        }
    }

    /// The answer, when the list was read.
    #[must_use]
    pub fn answer(self) -> Answer {
        let exception = match self.important {
            Some(_) => self.important_exception,
            None => self.important_exception.or(self.exception),
        };
        if exception.is_some() {
            return Answer {
                exception,
                ..Answer::default()
            };
        }
        Answer {
            entry: self.important.or(self.best).map(|(_, standing)| standing),
            exception,
            open: self.open,
        }
    }

    fn rank(&mut self, item: &Item<'_>) -> Option<Rank> {
        match (item, &self.host) {
            (Item::Below(name), Host::Name(host)) => rank_of(host, *name, Reach::Below),
            (Item::Exact(name), Host::Name(host)) => rank_of(host, *name, Reach::Exact),
            (Item::Suffix(name), Host::Name(host)) => rank_of(host, *name, Reach::Suffix),
            (Item::Prefix(prefix), Host::Address(address)) => prefix
                .contains(*address)
                .then_some(Rank::Within(prefix.length().into(), true)),
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
        let excepted = match (&item, &self.host) {
            (Item::Except(test), Host::Name(host)) => test.holds(host),
            (Item::ExceptBelow(name), Host::Name(host)) => holds_name(host, *name, Reach::Below),
            (Item::ExceptExact(name), Host::Name(host)) => holds_name(host, *name, Reach::Exact),
            (Item::ExceptSuffix(name), Host::Name(host)) => holds_name(host, *name, Reach::Suffix),
            _ => false,
        };
        if excepted {
            self.exception.get_or_insert_with(|| place.into());
        } else if let Item::Important {
            name,
            reach,
            except,
        } = item
        {
            let rank = match &self.host {
                Host::Name(host) => rank_of(host, name, reach),
                Host::Address(_) => None,
            };
            match rank {
                Some(_) if except => {
                    self.important_exception.get_or_insert_with(|| place.into());
                }
                Some(rank) => better(&mut self.important, rank, place),
                None => {}
            }
        } else if let Some(rank) = self.rank(&item) {
            better(&mut self.best, rank, place);
        }
    }
}

fn better(best: &mut Option<(Rank, Standing)>, rank: Rank, place: Place<'_>) {
    if best.as_ref().is_none_or(|(known, _)| *known < rank) {
        *best = Some((rank, place.into()));
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
pub struct ListIndex {
    important: Names,
    names: Names,
    except: Vec<(DomainTest, Standing)>,
    others: Vec<(Condition, Standing)>,
    prefixes: HashMap<Prefix, Standing>,
}

/// Names of a list, and those that it excepts.
#[derive(Debug, Default)]
struct Names {
    held: Reaches,
    except: Reaches,
}

/// Names by what they stand for.
#[derive(Debug, Default)]
struct Reaches {
    below: HashMap<Box<str>, Standing>,
    exact: HashMap<Box<str>, Standing>,
    suffix: HashMap<Box<str>, Standing>,
}

impl Reaches {
    fn find(&self, name: &Domain) -> Option<&Standing> {
        let own = self.exact.get(name.as_str());
        own.or_else(|| {
            name.ancestors().find_map(|ancestor| {
                let suffix = self.suffix.get(ancestor);
                suffix.or_else(|| {
                    let below = self.below.get(ancestor);
                    below.filter(|_| ancestor != name.as_str())
                })
            })
        })
    }

    fn add(&mut self, name: Name<'_>, reach: Reach, place: Place<'_>) {
        let map = match reach {
            Reach::Below => &mut self.below,
            Reach::Exact => &mut self.exact,
            Reach::Suffix => &mut self.suffix,
        };
        if !map.contains_key(name.as_str()) {
            map.insert(name.as_str().into(), place.into());
        }
    }
}

impl ListIndex {
    /// What the list says of a host.
    #[must_use]
    pub fn answer(&self, host: &Host) -> Answer {
        let mut answer = Answer::default();
        match host {
            Host::Name(name) => {
                let important = self.important.held.find(name);
                let by_pattern = || {
                    let mut all = self.except.iter();
                    let found = all.find(|(test, _)| test.holds(name));
                    found.map(|(_, standing)| standing)
                };
                let exception = self
                    .important
                    .except
                    .find(name)
                    .or_else(|| match important {
                        Some(_) => None,
                        None => self.names.except.find(name).or_else(by_pattern),
                    });
                answer.exception = exception.cloned();
                if answer.exception.is_some() {
                    return answer;
                }
                answer.entry = important.or_else(|| self.names.held.find(name)).cloned();
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

impl Sink for ListIndex {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let Names { held, except } = &mut self.names;
        match plain(item) {
            Item::Below(name) => held.add(name, Reach::Below, place),
            Item::Exact(name) => held.add(name, Reach::Exact, place),
            Item::Suffix(name) => held.add(name, Reach::Suffix, place),
            Item::Except(test) => self.except.push((test, place.into())),
            Item::ExceptBelow(name) => except.add(name, Reach::Below, place),
            Item::ExceptExact(name) => except.add(name, Reach::Exact, place),
            Item::ExceptSuffix(name) => except.add(name, Reach::Suffix, place),
            Item::Important {
                name,
                reach,
                except: false,
            } => self.important.held.add(name, reach, place),
            Item::Important { name, reach, .. } => self.important.except.add(name, reach, place),
            Item::Other(condition) => self.others.push((condition, place.into())),
            Item::Prefix(prefix) => {
                if let Slot::Vacant(slot) = self.prefixes.entry(prefix) {
                    slot.insert(place.into());
                }
            }
        }
    }
}

/// What a rule set that was loaded says of a host. Its exceptions have no place.
#[must_use]
pub fn ask(set: &RuleSet, host: &Host) -> Answer {
    let mut answer = Answer::default();
    let found = match host {
        Host::Name(name) => match set.hold(&Fingerprints::of(set.key(), name)) {
            NameMatch::Excepted => {
                answer.exception = Some(Standing {
                    line: 0,
                    text: String::new(),
                });
                return answer;
            }
            NameMatch::No => None,
            NameMatch::Yes(found) => Some(found),
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

/// Whether an entry of a set that was loaded still stands in its file, by its number and as it is written.
///
/// # Errors
/// The list cannot be read (any more).
pub fn stands(list: &ListFile, files: &dyn Files, entry: &Standing) -> Result<bool, Unreadable> {
    let mut sought = Sought {
        entry,
        found: false,
    };
    list.each(files, &mut sought)?;
    Ok(sought.found)
}

/// Looks for one entry.
struct Sought<'e> {
    entry: &'e Standing,
    found: bool,
}

impl Sink for Sought<'_> {
    fn add(&mut self, _item: Item<'_>, place: Place<'_>) {
        self.found |= place.line == self.entry.line && place.written == self.entry.text;
    }
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

fn holds_name(host: &Domain, name: Name<'_>, reach: Reach) -> bool {
    let head = host.as_str().strip_suffix(name.as_str());
    head.is_some_and(|head| match reach {
        Reach::Below => head.ends_with('.'),
        Reach::Exact => head.is_empty(),
        Reach::Suffix => head.is_empty() || head.ends_with('.'),
    })
}

/// How specific an entry for a name is, if it holds the host.
fn rank_of(host: &Domain, name: Name<'_>, reach: Reach) -> Option<Rank> {
    holds_name(host, name, reach).then(|| match reach {
        Reach::Below => Rank::Within(name.as_str().len(), false),
        Reach::Exact => Rank::Exact,
        Reach::Suffix => Rank::Within(name.as_str().len(), true),
    })
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
        (Condition::Domain(test), Host::Name(name)) => Some(test.holds(name)),
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

//! Lists written in another format: plain text, YAML, mihomo's `.mrs`, sing-box's `.srs`.
//!
//! Invariant: what is written is read again as the same entries, and what the format cannot say is
//! named, never said otherwise.

mod clash;
mod mrs;
mod srs;
mod text;

use pointsman_policy::Prefix;
use pointsman_policy::condition::{AddressOf, Condition, DomainTest};
use pointsman_policy::domain::Name;
use pointsman_policy::set::{Item, Place, Reach, Sink};

use super::numbered::canonical;
use super::shown;

/// The formats that lists are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// mihomo's binary rule set: names or addresses.
    Mrs,
    /// sing-box's binary rule set, version 2 (sing-box 1.10 and later).
    Srs,
    /// One entry a line.
    Text,
    /// A YAML mapping with the list `payload`.
    Yaml,
}

/// Which entries are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// Those on addresses.
    Addresses,
    /// All.
    #[default]
    All,
    /// Those on names.
    Names,
}

/// The entries of a list, kept to be written.
#[derive(Debug, Default)]
pub struct Collected {
    only: Only,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    line: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A name that the set does not hold.
    Except(Box<str>, Reach),
    /// Names that the set does not hold.
    ExceptPattern(DomainTest),
    /// A name that no exception takes out but an important one.
    Important(Box<str>, Reach),
    /// A name that the set does not hold, whatever is important.
    ImportantExcept(Box<str>, Reach),
    Name(Box<str>, Reach),
    Other(Box<Condition>),
    Prefix(Prefix),
}

/// A list that was written.
#[derive(Debug, Default)]
pub struct WrittenList {
    /// The file.
    pub bytes: Vec<u8>,
    /// How many entries it says.
    pub count: usize,
    /// What it does not say.
    pub left_out: Vec<LeftOut>,
}

/// An entry that the format cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its line or number in the list that was read.
    pub line: u32,
    /// The entry in the syntax of rules, as it is shown.
    pub text: String,
    /// Why.
    pub why: &'static str,
}

impl Collected {
    /// Keeps these entries.
    #[must_use]
    pub fn new(only: Only) -> Self {
        Self {
            only,
            entries: Vec::new(),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes them.
    #[must_use]
    pub fn write(&self, target: OutputFormat) -> WrittenList {
        let mut written = WrittenList::default();
        match target {
            OutputFormat::Mrs => mrs::write(&self.entries, &mut written),
            OutputFormat::Srs => srs::write(&self.entries, &mut written),
            OutputFormat::Text => text::write(&self.entries, text::Form::Text, &mut written),
            OutputFormat::Yaml => text::write(&self.entries, text::Form::Yaml, &mut written),
        }
        written
    }
}

impl Sink for Collected {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let text = |name: Name<'_>| name.as_str().into();
        let what = match item {
            Item::Below(name) => What::Name(text(name), Reach::Below),
            Item::Exact(name) => What::Name(text(name), Reach::Exact),
            Item::Except(test) => What::ExceptPattern(test),
            Item::ExceptBelow(name) => What::Except(text(name), Reach::Below),
            Item::ExceptExact(name) => What::Except(text(name), Reach::Exact),
            Item::ExceptSuffix(name) => What::Except(text(name), Reach::Suffix),
            Item::Important {
                name,
                reach,
                except: false,
            } => What::Important(text(name), reach),
            Item::Important { name, reach, .. } => What::ImportantExcept(text(name), reach),
            Item::Other(condition) => What::Other(Box::new(condition)),
            Item::Prefix(prefix) => What::Prefix(prefix),
            Item::Suffix(name) => What::Name(text(name), Reach::Suffix),
        };
        let line = place.line;
        let entry = Entry { line, what };
        let wanted = match self.only {
            Only::Addresses => entry.prefix().is_some(),
            Only::All => true,
            Only::Names => entry.prefix().is_none(),
        };
        if wanted {
            self.entries.push(entry);
        }
    }
}

impl Entry {
    /// The range of an entry on destination addresses, be it one that never asks for them.
    fn prefix(&self) -> Option<Prefix> {
        match &self.what {
            What::Prefix(prefix) => Some(*prefix),
            What::Other(condition) => match &**condition {
                Condition::Address {
                    of: AddressOf::Destination,
                    prefix,
                    asks: _,
                } => Some(*prefix),
                _ => None,
            },
            _ => None,
        }
    }

    /// Says that it cannot be said.
    fn leave_out(&self, why: &'static str, to: &mut WrittenList) {
        to.left_out.push(LeftOut {
            line: self.line,
            text: shown(&self.what.rule()).into_owned(),
            why,
        });
    }
}

impl What {
    /// The entry in the syntax of rules.
    fn rule(&self) -> String {
        match self {
            Self::Except(name, reach) => format!("@@{}{name}^", anchor(*reach)),
            Self::ExceptPattern(test) => {
                format!("NOT, [{}]", canonical(&Condition::Domain(test.clone())))
            }
            Self::Important(name, reach) => format!("{}{name}^$important", anchor(*reach)),
            Self::ImportantExcept(name, reach) => {
                format!("@@{}{name}^$important", anchor(*reach))
            }
            Self::Name(name, reach) => name_rule(name, *reach),
            Self::Other(condition) => canonical(condition),
            Self::Prefix(prefix) if prefix.address().is_ipv6() => format!("IP-CIDR6,{prefix}"),
            Self::Prefix(prefix) => format!("IP-CIDR,{prefix}"),
        }
    }
}

/// A name in the syntax of rules.
fn name_rule(name: &str, reach: Reach) -> String {
    match reach {
        Reach::Below => format!("AND, [DOMAIN-SUFFIX, {name}], [NOT, [DOMAIN, {name}]]"),
        Reach::Exact => format!("DOMAIN,{name}"),
        Reach::Suffix => format!("DOMAIN-SUFFIX,{name}"),
    }
}

/// How AdGuard writes what a name stands for.
fn anchor(reach: Reach) -> &'static str {
    match reach {
        Reach::Below => "||*.",
        Reach::Exact => "|",
        Reach::Suffix => "||",
    }
}

#[cfg(test)]
mod tests;

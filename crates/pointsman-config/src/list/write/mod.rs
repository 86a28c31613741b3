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
use pointsman_policy::set::{Item, Place, Sink};

use super::numbered::canonical;
use super::shown;

/// The formats that lists are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
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
pub struct Kept {
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
    /// All names below this one, without itself.
    Below(Box<str>),
    Exact(Box<str>),
    /// A name that the set does not hold; with all below or alone.
    Except(Box<str>, bool),
    /// Names that the set does not hold.
    ExceptPattern(DomainTest),
    /// A name that no exception takes out but an important one.
    Important(Box<str>, bool),
    /// A name that the set does not hold, whatever is important.
    ImportantExcept(Box<str>, bool),
    Other(Box<Condition>),
    Prefix(Prefix),
    Suffix(Box<str>),
}

/// A list that was written.
#[derive(Debug, Default)]
pub struct Written {
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

impl Kept {
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
    pub fn write(&self, target: Target) -> Written {
        let mut written = Written::default();
        match target {
            Target::Mrs => mrs::write(&self.entries, &mut written),
            Target::Srs => srs::write(&self.entries, &mut written),
            Target::Text => text::write(&self.entries, text::Form::Text, &mut written),
            Target::Yaml => text::write(&self.entries, text::Form::Yaml, &mut written),
        }
        written
    }
}

impl Sink for Kept {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let what = match item {
            Item::Exact(name) => What::Exact(name.as_str().into()),
            Item::Except(test) => What::ExceptPattern(test),
            Item::ExceptExact(name) => What::Except(name.as_str().into(), false),
            Item::ExceptSuffix(name) => What::Except(name.as_str().into(), true),
            Item::Important {
                name,
                below,
                except: false,
            } => What::Important(name.as_str().into(), below),
            Item::Important { name, below, .. } => {
                What::ImportantExcept(name.as_str().into(), below)
            }
            Item::Other(condition) => match below(&condition) {
                Some(name) => What::Below(name.into()),
                None => What::Other(Box::new(condition)),
            },
            Item::Prefix(prefix) => What::Prefix(prefix),
            Item::Suffix(name) => What::Suffix(name.as_str().into()),
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
    fn leave_out(&self, why: &'static str, to: &mut Written) {
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
            Self::Below(name) => format!("AND, [DOMAIN-SUFFIX, {name}], [NOT, [DOMAIN, {name}]]"),
            Self::Exact(name) => format!("DOMAIN,{name}"),
            Self::Except(name, below) => format!("@@{}{name}^", anchor(*below)),
            Self::ExceptPattern(test) => {
                format!("NOT, [{}]", canonical(&Condition::Domain(test.clone())))
            }
            Self::Important(name, below) => format!("{}{name}^$important", anchor(*below)),
            Self::ImportantExcept(name, below) => format!("@@{}{name}^$important", anchor(*below)),
            Self::Other(condition) => canonical(condition),
            Self::Prefix(prefix) if prefix.address().is_ipv6() => format!("IP-CIDR6,{prefix}"),
            Self::Prefix(prefix) => format!("IP-CIDR,{prefix}"),
            Self::Suffix(name) => format!("DOMAIN-SUFFIX,{name}"),
        }
    }
}

/// How AdGuard writes that a name stands for all below it, or for itself alone.
fn anchor(below: bool) -> &'static str {
    if below { "||" } else { "|" }
}

/// The name whose names below, without itself, the condition is about.
fn below(condition: &Condition) -> Option<&str> {
    let Condition::And(parts) = condition else {
        return None;
    };
    let [
        Condition::Domain(DomainTest::Suffix(name)),
        Condition::Not(not),
    ] = parts.as_slice()
    else {
        return None;
    };
    match &**not {
        Condition::Domain(DomainTest::Exact(itself)) if itself == name => Some(name.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! Rule sets: named lists of entries, any of which makes the set hold.
//!
//! Invariant: of entries said twice the first one stays, so an explanation names the line that a
//! reader of the file finds first. An entry's text is not kept but rebuilt: a list writes all its
//! names in a handful of ways (`x`, `+.x`, `||x^`), so each entry holds the number of its way.
//!
//! Deliberately absent: readers of list formats; they hand their entries to a [`Sink`].

mod build;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

pub use build::{Item, Key, Place, RuleSetBuilder, Sink};

use crate::address::Prefix;
use crate::condition::Condition;
use crate::decision::Entry;
use crate::domain::Domain;

/// A rule set. Built once, immutable, shared between policies and generations.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Its name.
    pub name: Arc<str>,
    /// The file that it came from, relative to the configuration's directory.
    pub file: Arc<str>,
    /// Names that match themselves alone.
    exact: HashMap<Domain, At>,
    /// Names that match themselves and all below.
    suffix: HashMap<Domain, At>,
    /// Destination prefixes, of either family.
    prefixes: HashMap<Prefix, At>,
    /// The lengths in `prefixes`, per family, so that a look-up tries no others.
    lengths: [BTreeSet<u8>; 2],
    /// All else: keywords, regular expressions, processes, ports, logic.
    others: Vec<Other>,
    /// The ways of writing that entries refer to.
    forms: Vec<Form>,
    /// Finds a way again while the set is built.
    form_numbers: HashMap<Form, u32>,
}

/// An entry that is neither a name nor a prefix.
#[derive(Clone, Debug)]
pub struct Other {
    /// What it asks.
    pub condition: Condition,
    /// From 1.
    pub line: u32,
    /// As written.
    pub text: Arc<str>,
}

/// Which entry of a set matched; [`RuleSet::entry`] makes it readable.
#[derive(Clone, Copy, Debug)]
pub struct Found<'s> {
    what: What<'s>,
    place: At,
}

#[derive(Clone, Copy, Debug)]
enum What<'s> {
    Name(&'s Domain),
    Prefix(&'s Prefix),
}

/// Where an entry stands, and how it is written.
#[derive(Clone, Copy, Debug)]
struct At {
    line: u32,
    form: u32,
}

/// How an entry is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// The canonical text between these.
    Around(Box<str>, Box<str>),
    /// A whole-address prefix without its length, between these.
    Bare(Box<str>, Box<str>),
    /// Just so: upper case, U-labels, host bits.
    Verbatim(Arc<str>),
}

impl RuleSet {
    /// An empty set.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, file: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            file: file.into(),
            ..Self::default()
        }
    }

    fn add_exact(&mut self, name: Domain, line: u32, written: &str) {
        let form = self.form(around(written, name.as_str()), written);
        self.exact.entry(name).or_insert(At { line, form });
    }

    fn add_suffix(&mut self, name: Domain, line: u32, written: &str) {
        let form = self.form(around(written, name.as_str()), written);
        self.suffix.entry(name).or_insert(At { line, form });
    }

    fn add_prefix(&mut self, prefix: Prefix, line: u32, written: &str) {
        let canonical = around(written, &prefix.to_string());
        let form = match canonical {
            Some(form) => Some(form),
            None if prefix.is_single() => match around(written, &prefix.address().to_string()) {
                Some(Form::Around(before, after)) => Some(Form::Bare(before, after)),
                _ => None,
            },
            None => None,
        };
        let form = self.form(form, written);
        self.lengths[family(prefix.address())].insert(prefix.length());
        self.prefixes.entry(prefix).or_insert(At { line, form });
    }

    fn add_other(&mut self, condition: Condition, line: u32, written: &str) {
        let text = written.into();
        self.others.push(Other {
            condition,
            line,
            text,
        });
    }

    /// Gives back what only building needs.
    fn finish(&mut self) {
        self.form_numbers = HashMap::new();
        self.exact.shrink_to_fit();
        self.suffix.shrink_to_fit();
        self.prefixes.shrink_to_fit();
        self.others.shrink_to_fit();
        self.forms.shrink_to_fit();
    }

    /// How many entries it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len() + self.suffix.len() + self.prefixes.len() + self.others.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it holds names.
    #[must_use]
    pub fn has_names(&self) -> bool {
        !self.exact.is_empty() || !self.suffix.is_empty()
    }

    /// Whether it holds prefixes.
    #[must_use]
    pub fn has_prefixes(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// The entries that are neither names nor prefixes, in the order of their lines.
    #[must_use]
    pub fn others(&self) -> &[Other] {
        &self.others
    }

    /// The most specific entry that holds `name`: the name itself, else the longest suffix.
    #[must_use]
    pub fn find_name(&self, name: &Domain) -> Option<Found<'_>> {
        let (key, place) = match self.exact.get_key_value(name) {
            Some(found) => found,
            None if self.suffix.is_empty() => return None,
            None => name
                .ancestors()
                .find_map(|ancestor| self.suffix.get_key_value(ancestor))?,
        };
        Some(Found {
            what: What::Name(key),
            place: *place,
        })
    }

    /// The longest prefix that holds `address` (canonical).
    #[must_use]
    pub fn find_address(&self, address: IpAddr) -> Option<Found<'_>> {
        let mut lengths = self.lengths[family(address)].iter().rev();
        lengths.find_map(|length| {
            let (key, place) = self
                .prefixes
                .get_key_value(&Prefix::new(address, *length))?;
            Some(Found {
                what: What::Prefix(key),
                place: *place,
            })
        })
    }

    /// The entry as written. Allocates, unless it is a bare name.
    #[must_use]
    pub fn entry(&self, found: Found<'_>) -> Entry {
        let text = match (self.forms.get(found.place.form as usize), found.what) {
            (Some(Form::Verbatim(text)), _) => text.clone(),
            (Some(Form::Around(before, after)), What::Name(name)) => {
                if before.is_empty() && after.is_empty() {
                    name.text().clone()
                } else {
                    format!("{before}{name}{after}").into()
                }
            }
            (Some(Form::Around(before, after)), What::Prefix(prefix)) => {
                format!("{before}{prefix}{after}").into()
            }
            (Some(Form::Bare(before, after)), What::Prefix(prefix)) => {
                format!("{before}{}{after}", prefix.address()).into()
            }
            // `add_exact` and `add_suffix` never make a `Bare`, and every number is of `forms`.
            (Some(Form::Bare(..)) | None, What::Name(name)) => name.text().clone(),
            (None, What::Prefix(prefix)) => prefix.to_string().into(),
        };
        Entry {
            text,
            file: self.file.clone(),
            line: found.place.line,
        }
    }

    /// Every name with whether it stands for those below it too; in no order.
    pub fn names(&self) -> impl Iterator<Item = (&Domain, bool)> {
        let exact = self.exact.keys().map(|name| (name, false));
        exact.chain(self.suffix.keys().map(|name| (name, true)))
    }

    /// Every prefix; in no order.
    pub fn prefixes(&self) -> impl Iterator<Item = &Prefix> {
        self.prefixes.keys()
    }

    fn form(&mut self, form: Option<Form>, written: &str) -> u32 {
        let form = form.unwrap_or_else(|| Form::Verbatim(written.into()));
        let next = u32::try_from(self.forms.len()).unwrap_or(u32::MAX);
        match self.form_numbers.get(&form) {
            Some(number) => *number,
            None => {
                self.forms.push(form.clone());
                self.form_numbers.insert(form, next);
                next
            }
        }
    }
}

impl<'s> Found<'s> {
    /// The line of the entry, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.place.line
    }

    /// The name of the entry, where it is one, without the signs around it.
    #[must_use]
    pub fn name(&self) -> Option<&'s Domain> {
        match self.what {
            What::Name(name) => Some(name),
            What::Prefix(_) => None,
        }
    }

    /// The range of the entry, where it is one.
    #[must_use]
    pub fn prefix(&self) -> Option<Prefix> {
        match self.what {
            What::Name(_) => None,
            What::Prefix(prefix) => Some(*prefix),
        }
    }
}

/// The signs before and behind the only `canonical` in `written`.
fn around(written: &str, canonical: &str) -> Option<Form> {
    let at = written.rfind(canonical)?;
    Some(Form::Around(
        written[..at].into(),
        written[at + canonical.len()..].into(),
    ))
}

fn family(address: IpAddr) -> usize {
    usize::from(address.is_ipv6())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> RuleSet {
        let mut set = RuleSetBuilder::new("ads", "lists/ads.txt", Key::default());
        let name = |text| Domain::parse(text).unwrap();
        set.add_exact(name("test.google.com"), 1, "test.google.com");
        set.add_suffix(name("telemetry.google.com"), 2, "+.telemetry.google.com");
        set.add_suffix(name("com"), 3, "DOMAIN-SUFFIX,com");
        set.add_suffix(name("xn--p1ai"), 4, "*.рф");
        set.add_suffix(name("com"), 5, ".com");
        set.add_prefix("10.0.0.0/8".parse().unwrap(), 6, "10.0.0.0/8");
        set.add_prefix("10.3.0.0/16".parse().unwrap(), 7, "10.3.9.9/16");
        set.add_prefix("10.3.0.1".parse().unwrap(), 8, "10.3.0.1");
        set.add_prefix(
            "2001:db8::/32".parse().unwrap(),
            9,
            "IP-CIDR6,2001:db8::/32,no-resolve",
        );
        set.finish()
    }

    #[test]
    fn the_most_specific_entry_is_named_as_written() {
        let set = set();
        let check = |query: &str, expected: Option<(u32, &str)>| {
            let found = match crate::Host::parse(query).unwrap() {
                crate::Host::Address(address) => set.find_address(address),
                crate::Host::Name(name) => set.find_name(&name),
            };
            let entry = found.map(|f| set.entry(f));
            let got = entry.as_ref().map(|e| (e.line, &*e.text));
            assert_eq!(got, expected, "{query}");
        };
        check("test.google.com", Some((1, "test.google.com")));
        check("a.test.google.com", Some((3, "DOMAIN-SUFFIX,com")));
        check("telemetry.google.com", Some((2, "+.telemetry.google.com")));
        check(
            "a.b.telemetry.google.com",
            Some((2, "+.telemetry.google.com")),
        );
        check("xtelemetry.google.com", Some((3, "DOMAIN-SUFFIX,com")));
        check("com", Some((3, "DOMAIN-SUFFIX,com")));
        check("com.org", None);
        check("a.рф", Some((4, "*.рф")));
        check("10.9.9.9", Some((6, "10.0.0.0/8")));
        check("10.3.0.2", Some((7, "10.3.9.9/16")));
        check("10.3.0.1", Some((8, "10.3.0.1")));
        check("11.0.0.0", None);
        check(
            "2001:db8::1",
            Some((9, "IP-CIDR6,2001:db8::/32,no-resolve")),
        );
        check("::10.3.0.1", None);
        assert_eq!(set.len(), 8);
        let found = set.find_address("10.3.0.2".parse().unwrap()).unwrap();
        assert_eq!(found.prefix(), Some("10.3.0.0/16".parse().unwrap()));
    }

    #[test]
    fn an_empty_set_holds_nothing() {
        let set = RuleSet::new("none", "none.txt");
        assert!(set.is_empty() && !set.has_names() && !set.has_prefixes());
        assert!(set.find_name(&Domain::parse("a.b").unwrap()).is_none());
        assert!(set.find_address("1.1.1.1".parse().unwrap()).is_none());
    }
}

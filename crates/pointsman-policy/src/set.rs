//! Rule sets: named lists of entries, any of which makes the set hold.
//!
//! Invariant: of entries said twice the one with the lowest line stays, so an explanation names the line that
//! a reader of the file finds first. No name's text is kept: a name is a keyed fingerprint ([`Fingerprints`]),
//! and an entry's text is rebuilt from the name that was asked for and the way in which the list writes its
//! names (`x`, `+.x`, `||x^`). Whoever wants to see all names reads the file again.
//!
//! Deliberately absent: readers of list formats; they hand their entries to a [`Sink`].

mod build;
pub(crate) mod cache;
mod fingerprint;
mod forms;
pub(crate) mod jump;
mod matched;
mod names;
mod places;
mod prefixes;
mod ranges;
mod sip;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

pub use build::{Item, Place, RuleSetBuilder, Sink};
pub use cache::BadCache;
pub use fingerprint::Fingerprints;
pub(crate) use fingerprint::fingerprint;
pub use matched::Matched;
pub use names::Reach;
pub use prefixes::{Damaged, PrefixBuilder, PrefixTable};
pub use sip::keyed_hash;

use crate::address::Prefix;
use crate::condition::{Condition, DomainTest};
use crate::domain::Domain;
use crate::entry::Entry;
pub use crate::key::Key;
use forms::Forms;
use jump::Jump;
use names::{NameTable, TableMatch};
use places::At;
use ranges::Ranges;

/// A rule set. Its content is built once, immutable, and shared by whoever uses it.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Its name.
    pub name: Arc<str>,
    /// The file that it came from, relative to the configuration's directory.
    pub file: Arc<str>,
    content: Arc<Content>,
}

/// What a set holds, whatever it is called.
#[derive(Default)]
struct Content {
    key: Key,
    /// Names that are asked for first: what these say holds, whatever the others say.
    important: NameTable,
    names: NameTable,
    /// Exceptions that are patterns.
    except: Vec<ExceptPattern>,
    /// Destination prefixes, of either family.
    ranges: Ranges,
    /// All else: keywords, regular expressions, processes, ports, logic.
    others: Vec<Other>,
    /// Of `others`, where they are many.
    jump: Option<Box<Jump>>,
    /// The ways of writing that entries refer to.
    forms: Forms,
}

/// The content of a set, not kept in memory by this.
#[derive(Clone, Debug, Default)]
pub struct WeakContent(Weak<Content>);

impl WeakContent {
    /// A set of this content, if another set still has it.
    #[must_use]
    pub fn upgrade(&self, name: impl Into<Arc<str>>, file: impl Into<Arc<str>>) -> Option<RuleSet> {
        Some(RuleSet {
            name: name.into(),
            file: file.into(),
            content: self.0.upgrade()?,
        })
    }

    /// Whether a set still has it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.0.strong_count() > 0
    }
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

/// An exception that is a pattern of names.
#[derive(Clone, Debug)]
struct ExceptPattern {
    test: DomainTest,
    /// From 1.
    line: u32,
    /// As written.
    text: Arc<str>,
}

/// What a set's names say of a name.
#[derive(Clone, Copy, Debug)]
pub enum NameMatch<'a> {
    /// An exception: the set does not hold, whatever else is in it.
    Excepted,
    /// No entry for it; prefixes and other entries may hold yet.
    No,
    /// This entry holds it.
    Yes(SetMatch<'a>),
}

/// Which entry of a set matched.
#[derive(Clone, Copy)]
pub struct SetMatch<'a> {
    content: &'a Content,
    what: What<'a>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Name {
        name: &'a Domain,
        entry: u32,
        labels: u8,
        reach: Reach,
        important: bool,
    },
    Prefix {
        prefix: Prefix,
        line: u32,
    },
}

impl RuleSet {
    /// An empty set.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, file: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            file: file.into(),
            content: Arc::default(),
        }
    }

    /// A set of the same content, which both share.
    #[must_use]
    pub fn shared_as(&self, name: impl Into<Arc<str>>, file: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            file: file.into(),
            content: Arc::clone(&self.content),
        }
    }

    /// Whether both share one content.
    #[must_use]
    pub fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
    }

    /// Its content without keeping it: for whoever wants to find it again as long as somebody does.
    #[must_use]
    pub fn downgrade(&self) -> WeakContent {
        WeakContent(Arc::downgrade(&self.content))
    }

    /// The key of its names' fingerprints.
    #[must_use]
    pub fn key(&self) -> Key {
        self.content.key
    }

    /// How many entries it holds, exceptions among them.
    #[must_use]
    pub fn len(&self) -> usize {
        let content = &*self.content;
        let names = content.important.count as usize + content.names.count as usize;
        let patterns = content.except.len() + content.others.len();
        names + content.ranges.table.len() + patterns
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it holds names, be they exceptions.
    #[must_use]
    pub fn has_names(&self) -> bool {
        !self.content.names.is_empty()
            || !self.content.important.is_empty()
            || !self.content.except.is_empty()
    }

    /// Whether it has exceptions: names that it does not hold, whatever else fits the flow.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        let tables = [&self.content.names, &self.content.important];
        !self.content.except.is_empty() || tables.iter().any(|table| table.has_exceptions())
    }

    /// Whether it holds prefixes.
    #[must_use]
    pub fn has_prefixes(&self) -> bool {
        !self.content.ranges.table.is_empty()
    }

    /// The entries that are neither names nor prefixes, in the order of their lines.
    #[must_use]
    pub fn others(&self) -> &[Other] {
        &self.content.others
    }

    /// The index of [`Self::others`], where they are many.
    pub(crate) fn jump(&self) -> Option<&Jump> {
        self.content.jump.as_deref()
    }

    /// Bytes of memory that the index of its keywords and expressions takes.
    #[must_use]
    pub fn jump_bytes(&self) -> usize {
        self.content.jump.as_ref().map_or(0, |jump| jump.bytes())
    }

    /// Bytes of memory that its names take.
    #[must_use]
    pub fn name_bytes(&self) -> usize {
        self.content.names.bytes() + self.content.important.bytes()
    }

    /// Bytes of memory that its prefixes take.
    #[must_use]
    pub fn prefix_bytes(&self) -> usize {
        self.content.ranges.bytes()
    }

    /// What the set's names say of the name that `fingerprints` are of: the entry for the name itself, else
    /// that of the longest suffix, of two for one suffix that for itself, too; unless an exception is for the name or a suffix of it. If important names say
    /// anything of it, that is the answer. Allocates nothing.
    /// Those of another key than the set's are computed anew.
    #[must_use]
    pub fn hold<'a>(&'a self, fingerprints: &Fingerprints<'a>) -> NameMatch<'a> {
        let content = &*self.content;
        let name = fingerprints.name();
        let anew;
        let prints = if fingerprints.key() == content.key {
            fingerprints
        } else {
            anew = Fingerprints::of(content.key, name);
            &anew
        };
        let first = content.important.find(prints);
        let important = first != TableMatch::No;
        let answer = if important {
            first
        } else if content.except.iter().any(|except| except.test.holds(name)) {
            TableMatch::Excepted
        } else {
            content.names.find(prints)
        };
        match answer {
            TableMatch::Excepted => NameMatch::Excepted,
            TableMatch::No => NameMatch::No,
            TableMatch::Yes {
                entry,
                labels,
                reach,
            } => NameMatch::Yes(SetMatch {
                content,
                what: What::Name {
                    name,
                    entry,
                    labels,
                    reach,
                    important,
                },
            }),
        }
    }

    /// The entry that holds `name`; see [`Self::hold`], which asks many sets faster.
    #[must_use]
    pub fn find_name<'a>(&'a self, name: &'a Domain) -> Option<SetMatch<'a>> {
        match self.hold(&Fingerprints::of(self.content.key, name)) {
            NameMatch::Excepted | NameMatch::No => None,
            NameMatch::Yes(found) => Some(found),
        }
    }

    /// The longest prefix that holds `address` (canonical).
    #[must_use]
    pub fn find_address(&self, address: IpAddr) -> Option<SetMatch<'_>> {
        let (prefix, line) = self.content.ranges.find(address)?;
        Some(SetMatch {
            content: &self.content,
            what: What::Prefix { prefix, line },
        })
    }

    /// An entry of this set, to be kept. Allocates nothing.
    #[must_use]
    pub fn matched(&self, found: SetMatch<'_>) -> Matched {
        let at = found.at();
        let from = matched::From {
            file: self.file.clone(),
            line: at.map_or(0, |at| at.line),
            form: at.and_then(|at| found.content.forms.get(at.form).cloned()),
        };
        match found.what {
            What::Name { name, labels, .. } => Matched::of_name(name.clone(), labels, from),
            What::Prefix { prefix, .. } => Matched::of_prefix(prefix, from),
        }
    }

    /// The entry as written. Allocates its text. In the small form it has no line (0) and stands there in the
    /// canonical way.
    #[must_use]
    pub fn entry(&self, found: SetMatch<'_>) -> Entry {
        self.matched(found).entry()
    }
}

impl<'a> SetMatch<'a> {
    /// The line of the entry, from 1; `None` in the small form.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        self.at().map(|at| at.line)
    }

    /// The name of the entry, where it is one, without the signs around it.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        match self.what {
            What::Name { name, labels, .. } => Some(matched::last_labels(name, labels)),
            What::Prefix { .. } => None,
        }
    }

    /// Which names the entry stands for, where it is a name.
    #[must_use]
    pub fn reach(&self) -> Option<Reach> {
        match self.what {
            What::Name { reach, .. } => Some(reach),
            What::Prefix { .. } => None,
        }
    }

    fn at(&self) -> Option<At> {
        match self.what {
            What::Name {
                entry,
                important: true,
                ..
            } => self.content.important.place(entry),
            What::Name { entry, .. } => self.content.names.place(entry),
            What::Prefix { prefix, line } => self.content.ranges.at(prefix, line),
        }
    }

    /// The range of the entry, where it is one.
    #[must_use]
    pub fn prefix(&self) -> Option<Prefix> {
        match self.what {
            What::Name { .. } => None,
            What::Prefix { prefix, .. } => Some(prefix),
        }
    }
}

impl fmt::Debug for SetMatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = match self.what {
            What::Name { .. } => self.name().unwrap_or_default().to_owned(),
            What::Prefix { prefix, .. } => prefix.to_string(),
        };
        write!(f, "Found({entry}, line {:?})", self.line())
    }
}

/// Tells its size, not a million entries.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("names", &self.names.count)
            .field("prefixes", &self.ranges.table.len())
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> RuleSetBuilder {
        RuleSetBuilder::new("ads", "lists/ads.txt", Key([1, 2]))
    }

    fn fill(mut set: RuleSetBuilder) -> RuleSet {
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
        let set = fill(builder());
        let check = |query: &str, expected: Option<(u32, &str)>| {
            let host = crate::Host::parse(query).unwrap();
            let found = match &host {
                crate::Host::Address(address) => set.find_address(*address),
                crate::Host::Name(name) => set.find_name(name),
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

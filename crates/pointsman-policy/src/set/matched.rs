//! The entry that decided, before anybody reads it.
//!
//! Invariant: making one allocates nothing; it shares what the set has and keeps no set alive.

use std::fmt;
use std::sync::Arc;

use super::forms::Form;
use crate::address::Prefix;
use crate::domain::Domain;
use crate::entry::Entry;

/// A list entry that matched; [`Self::entry`] makes it readable.
#[derive(Clone, PartialEq, Eq)]
pub struct Matched(What);

#[derive(Clone, PartialEq, Eq)]
enum What {
    /// The entry of the last `labels` labels of a name that was asked for.
    Name {
        name: Domain,
        labels: u8,
        from: From,
    },
    Prefix(Prefix, From),
    Written(Entry),
}

/// Where an entry is from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct From {
    pub(super) file: Arc<str>,
    /// 0 where it is not known.
    pub(super) line: u32,
    /// `None` where it is not known: the canonical text stands for the entry then.
    pub(super) form: Option<Arc<Form>>,
}

impl Matched {
    pub(super) fn of_name(name: Domain, labels: u8, from: From) -> Self {
        Self(What::Name { name, labels, from })
    }

    pub(super) fn of_prefix(prefix: Prefix, from: From) -> Self {
        Self(What::Prefix(prefix, from))
    }

    /// The entry as written. Allocates its text.
    #[must_use]
    pub fn entry(&self) -> Entry {
        let (text, from) = match &self.0 {
            What::Name { name, labels, from } => {
                let ancestor = last_labels(name, *labels);
                let text = match &from.form {
                    Some(form) => form.name(ancestor),
                    None => ancestor.into(),
                };
                (text, from)
            }
            What::Prefix(prefix, from) => {
                let text = match &from.form {
                    Some(form) => form.prefix(prefix),
                    None => prefix.to_string().into(),
                };
                (text, from)
            }
            What::Written(entry) => return entry.clone(),
        };
        Entry {
            text,
            file: from.file.clone(),
            line: from.line,
        }
    }
}

/// The ancestor of so many labels.
pub(super) fn last_labels(name: &Domain, labels: u8) -> &str {
    let name = name.as_str();
    let mut dots = name
        .bytes()
        .enumerate()
        .rev()
        .filter(|(_, byte)| *byte == b'.');
    match usize::from(labels)
        .checked_sub(1)
        .and_then(|before| dots.nth(before))
    {
        Some((dot, _)) => &name[dot + 1..],
        None => name,
    }
}

impl std::convert::From<Entry> for Matched {
    fn from(entry: Entry) -> Self {
        Self(What::Written(entry))
    }
}

/// As the entry is displayed.
impl fmt::Display for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry().fmt(f)
    }
}

impl fmt::Debug for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry().fmt(f)
    }
}

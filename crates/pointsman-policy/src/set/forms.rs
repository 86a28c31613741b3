//! How entries are written, so that their texts need not be kept.
//!
//! Invariant: a form and the canonical name or prefix that it was made for give the text as written. A list
//! writes its entries in a handful of ways (`x`, `+.x`, `||x^`): forms are few, and entries hold numbers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::address::Prefix;

/// How an entry is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// The canonical text between these.
    Around(Box<str>, Box<str>),
    /// A whole-address prefix without its length, between these.
    Bare(Box<str>, Box<str>),
    /// Just so: upper case, U-labels, host bits.
    Verbatim(Arc<str>),
}

/// The forms of a set, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Forms(pub(super) Box<[Arc<Form>]>);

/// Numbers forms while a set is built.
#[derive(Debug, Default)]
pub(super) struct FormsBuilder {
    forms: Vec<Arc<Form>>,
    /// By [`Self::key`].
    numbers: HashMap<Box<str>, u32>,
    /// Lists keep to one way for long.
    last: u32,
    /// To look a form up without an allocation.
    key: String,
}

impl Forms {
    pub(super) fn get(&self, number: u32) -> Option<&Arc<Form>> {
        self.0.get(number as usize)
    }
}

impl Form {
    /// The text of the name `canonical` in this form.
    pub(crate) fn name(&self, canonical: &str) -> Arc<str> {
        match self {
            Self::Around(before, after) if before.is_empty() && after.is_empty() => {
                canonical.into()
            }
            Self::Around(before, after) | Self::Bare(before, after) => {
                format!("{before}{canonical}{after}").into()
            }
            Self::Verbatim(text) => text.clone(),
        }
    }

    /// The text of `prefix` in this form.
    pub(crate) fn prefix(&self, prefix: &Prefix) -> Arc<str> {
        match self {
            Self::Around(before, after) => format!("{before}{prefix}{after}").into(),
            Self::Bare(before, after) => format!("{before}{}{after}", prefix.address()).into(),
            Self::Verbatim(text) => text.clone(),
        }
    }
}

impl FormsBuilder {
    /// The number of the form of a name.
    pub(super) fn of_name(&mut self, written: &str, canonical: &str) -> u32 {
        let Some((before, after)) = part(written, canonical).or_else(|| around(written, canonical))
        else {
            return self.verbatim(written);
        };
        if let Some(form) = self.forms.get(self.last as usize)
            && let Form::Around(known_before, known_after) = &**form
            && same(known_before, before)
            && same(known_after, after)
        {
            return self.last;
        }
        self.around(before, after, Form::Around)
    }

    /// The number of the form of a prefix.
    pub(super) fn of_prefix(&mut self, written: &str, prefix: &Prefix) -> u32 {
        if let Some((before, after)) = around(written, &prefix.to_string()) {
            return self.around(before, after, Form::Around);
        }
        let bare = prefix.is_single().then(|| prefix.address().to_string());
        match bare.and_then(|bare| around(written, &bare)) {
            Some((before, after)) => self.around(before, after, Form::Bare),
            None => self.verbatim(written),
        }
    }

    pub(super) fn finish(self) -> Forms {
        Forms(self.forms.into_boxed_slice())
    }

    fn around(&mut self, before: &str, after: &str, form: fn(Box<str>, Box<str>) -> Form) -> u32 {
        let bare = matches!(form("".into(), "".into()), Form::Bare(..));
        self.key.clear();
        self.key.push(if bare { 'b' } else { 'a' });
        self.key.push_str(before);
        self.key.push('\n');
        self.key.push_str(after);
        self.number(|| form(before.into(), after.into()))
    }

    fn verbatim(&mut self, written: &str) -> u32 {
        self.key.clear();
        self.key.push('v');
        self.key.push_str(written);
        self.number(|| Form::Verbatim(written.into()))
    }

    fn number(&mut self, form: impl FnOnce() -> Form) -> u32 {
        self.last = match self.numbers.get(&*self.key) {
            Some(number) => *number,
            None => {
                // No set has four thousand million forms: each takes tens of bytes.
                let next = u32::try_from(self.forms.len()).unwrap_or(u32::MAX);
                self.forms.push(Arc::new(form()));
                self.numbers.insert(self.key.as_str().into(), next);
                next
            }
        };
        self.last
    }
}

/// Compares a few bytes that were written a moment ago: one by one, for wider reads would wait for the writes.
fn same(known: &str, text: &str) -> bool {
    known.len() == text.len() && known.bytes().eq(text.bytes())
}

/// What stands before and behind `canonical` where it is a part of `written`, in the same memory: readers
/// of lists give names so, and no text is compared.
fn part<'w>(written: &'w str, canonical: &str) -> Option<(&'w str, &'w str)> {
    let from = canonical.as_ptr().addr();
    let from = from.checked_sub(written.as_ptr().addr())?;
    let rest = written.get(from..)?;
    Some((written.get(..from)?, rest.get(canonical.len()..)?))
}

/// What stands before and behind the last `canonical` in `written`.
fn around<'w>(written: &'w str, canonical: &str) -> Option<(&'w str, &'w str)> {
    let at = written.rfind(canonical)?;
    Some((&written[..at], &written[at + canonical.len()..]))
}

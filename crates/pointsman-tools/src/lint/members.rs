//! Entries of rule sets as conditions, for who asks whether each of them is taken.
//!
//! Sets in memory do not know their names, so lists are read again: the first entries of each are kept, for most
//! questions end with one of them, and a longer list is gone through as a stream.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use pointsman_policy::Domain;
use pointsman_policy::condition::{AddressOf, Asks, Condition, DomainTest};
use pointsman_policy::set::{Item, Place, Reach, RuleSet, Sink};

use pointsman_config::files::Files;
use pointsman_config::list::ListFile;

/// The entries of a list that are kept.
const MOST_KEPT: usize = 1_024;

/// The most entries of longer lists that are gone through in one run.
const MOST_STREAMED: usize = 4_000_000;

/// Where the entries of sets are found.
pub(super) struct Members<'s> {
    lists: HashMap<&'s str, &'s ListFile>,
    files: &'s dyn Files,
    kept: RefCell<HashMap<Arc<str>, Rc<Kept>>>,
    left: Cell<usize>,
}

/// The first entries of a list.
struct Kept {
    first: Vec<Rc<Condition>>,
    /// Whether there are others.
    more: bool,
}

impl<'s> Members<'s> {
    pub(super) fn new(lists: &'s [ListFile], files: &'s dyn Files) -> Self {
        Self {
            lists: lists.iter().map(|list| (&*list.name, list)).collect(),
            files,
            kept: RefCell::default(),
            left: Cell::new(MOST_STREAMED),
        }
    }

    /// Whether each name and range of a set, asked so, is one of which `each` is true; `false` where that cannot be
    /// found out. Exceptions are none of them: they hold nothing.
    pub(super) fn all(
        &self,
        set: &RuleSet,
        asks: Asks,
        each: &mut dyn FnMut(&Rc<Condition>) -> bool,
    ) -> bool {
        if !set.has_names() && !set.has_prefixes() {
            return true;
        }
        let Some(list) = self.lists.get(&*set.name) else {
            return false;
        };
        let known = self.kept.borrow().get(&set.name).cloned();
        let kept = known.unwrap_or_else(|| {
            let kept = Rc::new(self.keep(list));
            self.kept
                .borrow_mut()
                .insert(Arc::clone(&set.name), Rc::clone(&kept));
            kept
        });
        if kept.first.is_empty() || !kept.first.iter().all(|entry| each(&asked(entry, asks))) {
            return false;
        }
        !kept.more || self.stream(list, asks, each)
    }

    fn keep(&self, list: &ListFile) -> Kept {
        let mut first = Vec::new();
        let mut more = false;
        let mut take = |condition: Condition| {
            more = first.len() == MOST_KEPT;
            if !more {
                first.push(Rc::new(condition));
            }
            !more
        };
        let mut visit = Visit {
            each: &mut take,
            going: true,
        };
        // A list that was read a moment ago and cannot be now has no entries that could be told of.
        let read = list.each(self.files, &mut visit).is_ok();
        if !read {
            first.clear();
        }
        Kept { first, more }
    }

    fn stream(
        &self,
        list: &ListFile,
        asks: Asks,
        each: &mut dyn FnMut(&Rc<Condition>) -> bool,
    ) -> bool {
        let mut take = |condition: Condition| {
            let left = self.left.get();
            self.left.set(left.saturating_sub(1));
            left > 0 && each(&asked(&Rc::new(condition), asks))
        };
        let mut visit = Visit {
            each: &mut take,
            going: true,
        };
        list.each(self.files, &mut visit).is_ok() && visit.going
    }
}

/// An entry as the rule asks it.
fn asked(entry: &Rc<Condition>, wanted: Asks) -> Rc<Condition> {
    match &**entry {
        Condition::Address { of, prefix, asks } if *asks != wanted => Rc::new(Condition::Address {
            of: *of,
            prefix: *prefix,
            asks: wanted,
        }),
        _ => Rc::clone(entry),
    }
}

/// Goes through names and ranges as long as it is worth while.
struct Visit<'v> {
    each: &'v mut dyn FnMut(Condition) -> bool,
    going: bool,
}

impl Sink for Visit<'_> {
    fn add(&mut self, item: Item<'_>, _: Place<'_>) {
        if !self.going {
            return;
        }
        let (name, reach) = match item {
            Item::Below(name) => (name, Reach::Below),
            Item::Exact(name) => (name, Reach::Exact),
            Item::Suffix(name) => (name, Reach::Suffix),
            Item::Important {
                name,
                reach,
                except: false,
            } => (name, reach),
            Item::Prefix(prefix) => {
                self.going = (self.each)(Condition::Address {
                    of: AddressOf::Destination,
                    prefix,
                    asks: Asks::Resolve,
                });
                return;
            }
            Item::Except(_)
            | Item::ExceptBelow(_)
            | Item::ExceptExact(_)
            | Item::ExceptSuffix(_)
            | Item::Important { .. }
            | Item::Other(_) => return,
        };
        let name = Domain::from(name);
        self.going = (self.each)(Condition::Domain(match reach {
            Reach::Exact => DomainTest::Exact(name),
            // Of names below another alone it is asked for itself, too: what is true of more is true of them.
            Reach::Below | Reach::Suffix => DomainTest::Suffix(name),
        }));
    }
}

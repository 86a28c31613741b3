//! How much of a list there may be, and how much memory it may take.
//!
//! A list's file says little of what it comes to: 90 kB may unfold to gigabytes, and a range of addresses to 254
//! prefixes. So what a list unfolds to is bounded, and what its entries take is counted where they are handed on.
//!
//! Invariant: beyond the room nothing is handed on any more, and the list is none.

use std::cell::Cell;

use pointsman_policy::Condition;
use pointsman_policy::condition::{DomainTest, TextTest};
use pointsman_policy::set::{Item, Place, Sink};

use super::{Recipe, Unreadable};

/// The largest list, in bytes, also what a packed one unfolds to: more than ten million names.
pub const MOST_OF_A_FILE: u64 = 256 << 20;

/// The most entries of a list: eight times the largest that people use.
pub const MOST_ENTRIES: u32 = 16_000_000;

/// What entries may take in memory, for each byte that the list may unfold to: a line of text is seldom longer than
/// what is kept of it, a prefix in a packed list is twice as large.
const HELD_A_BYTE: u64 = 4;

/// What a name takes in a set while it is built, at most.
const NAME: u64 = 48;

/// What a prefix takes in a set while it is built, at most.
const PREFIX: u64 = 48;

/// The room that is left for a list.
pub(super) struct Room {
    limit: u64,
    entries: Cell<u32>,
    bytes: Cell<u64>,
    over: Cell<bool>,
}

impl Room {
    pub(super) fn of(recipe: &Recipe) -> Self {
        let limit = recipe.limit.unwrap_or(MOST_OF_A_FILE).min(MOST_OF_A_FILE);
        Self {
            limit,
            entries: Cell::new(MOST_ENTRIES),
            bytes: Cell::new(limit.saturating_mul(HELD_A_BYTE)),
            over: Cell::new(false),
        }
    }

    /// The most bytes that the list may unfold to.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes the room of one entry; whether there was.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let entries = self.entries.get().checked_sub(1);
        match (entries, self.bytes.get().checked_sub(bytes)) {
            (Some(entries), Some(bytes)) => {
                self.entries.set(entries);
                self.bytes.set(bytes);
                true
            }
            _ => {
                self.over.set(true);
                false
            }
        }
    }

    /// Whether all that was handed on had room.
    pub(super) fn check(&self) -> Result<(), Unreadable> {
        if !self.over.get() {
            return Ok(());
        }
        if self.entries.get() == 0 {
            let message = format!("the list has more than {MOST_ENTRIES} entries");
            return Err(Unreadable::malformed(message));
        }
        Err(unfolds(self.limit))
    }
}

/// What is said of a list that comes to more than it may.
pub(super) fn unfolds(limit: u64) -> Unreadable {
    let message =
        format!("the list unfolds to more than {limit} bytes, or takes some times that in memory");
    Unreadable::malformed(message)
        .hint("of a list that is fetched `limit` says how many they may be")
}

/// A sink that gets no more than there is room for.
pub(super) struct Measured<'a> {
    pub(super) to: &'a mut dyn Sink,
    pub(super) room: &'a Room,
}

impl Sink for Measured<'_> {
    fn add(&mut self, item: Item<'_>, place: Place<'_>) {
        let size = match &item {
            Item::Below(_)
            | Item::Exact(_)
            | Item::ExceptBelow(_)
            | Item::ExceptExact(_)
            | Item::ExceptSuffix(_)
            | Item::Important { .. }
            | Item::Suffix(_) => NAME,
            Item::Prefix(_) => PREFIX,
            Item::Except(test) => of_test(test) + place.written.len() as u64,
            Item::Other(condition) => held(condition) + place.written.len() as u64,
        };
        if self.room.take(size) {
            self.to.add(item, place);
        }
    }
}

/// What a condition takes in memory, roughly.
pub(super) fn held(condition: &Condition) -> u64 {
    let own = size_of::<Condition>() as u64 + 32;
    let within = match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().map(held).sum(),
        Condition::Not(inner) => held(inner),
        Condition::Domain(test) => of_test(test),
        Condition::Text(_, test) => match test {
            TextTest::AppName(text)
            | TextTest::Exact(text)
            | TextTest::ExactIgnoreCase(text)
            | TextTest::Keyword(text)
            | TextTest::KeywordIgnoreCase(text) => text.len() as u64,
            TextTest::Regex(_) => 0,
        },
        Condition::Port { ranges, .. } => ranges.len() as u64 * 8,
        _ => 0,
    };
    own + within
}

/// Patterns are bounded by their number and work.
fn of_test(test: &DomainTest) -> u64 {
    64 + match test {
        DomainTest::Exact(name) | DomainTest::Suffix(name) => name.as_str().len() as u64,
        _ => 64,
    }
}

//! Modifiers of AdBlock's rules that ask for more than a name: which there are, and in how many rules.
//!
//! Invariant: bounded, however many modifiers a list makes up.

use std::collections::BTreeMap;

use super::report::{ReadReport, Remark};

/// Rules on whole names that are about some requests to them, such as scripts.
pub(super) const SOME_REQUESTS: &str = "rules for some kinds of requests to a name";

/// How many modifiers are counted.
const MOST: usize = 64;

/// How many of them are named.
const MOST_NAMED: usize = 6;

/// What was seen of the rules of a list.
#[derive(Default)]
pub(super) struct Seen {
    /// Rules that are for some requests.
    some: usize,
    /// Rules that may say something of a name, those among them.
    all: usize,
    modifiers: BTreeMap<String, usize>,
}

impl Seen {
    /// Counts a rule that says something else.
    pub(super) fn another(&mut self) {
        self.all += 1;
    }

    /// Counts a rule that is for some requests.
    pub(super) fn some_requests(&mut self, modifiers: &str, except: bool) {
        self.all += 1;
        self.some += 1;
        for modifier in modifiers.split(',').map(str::trim) {
            let word = modifier.split('=').next().unwrap_or(modifier);
            let is_said = match word {
                "" | "important" => true,
                "third-party" | "3p" => !except,
                _ => false,
            };
            if is_said {
                continue;
            }
            if let Some(count) = self.modifiers.get_mut(word) {
                *count += 1;
            } else if self.modifiers.len() < MOST {
                self.modifiers.insert(word.to_owned(), 1);
            }
        }
    }

    /// Adds to what was told of such rules which modifiers they have; it is a warning where they are many.
    pub(super) fn tell(self, told: &mut ReadReport) {
        let known = |r: &&mut super::Reason| r.kind == Remark::Passed && r.message == SOME_REQUESTS;
        let Some(reason) = told.reasons.iter_mut().find(known) else {
            return;
        };
        let mut modifiers: Vec<(String, usize)> = self.modifiers.into_iter().collect();
        modifiers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let named = modifiers.iter().take(MOST_NAMED);
        let mut named: Vec<String> = named
            .map(|(word, count)| format!("`${word}` {count}"))
            .collect();
        if modifiers.len() > MOST_NAMED {
            named.push("and others".to_owned());
        }
        let (some, all) = (self.some, self.all);
        reason.message = format!(
            "{SOME_REQUESTS} (with {}: {some} of {all} rules)",
            named.join(", ")
        );
        if some * 3 > all {
            reason.kind = Remark::MostPassed;
        }
    }
}

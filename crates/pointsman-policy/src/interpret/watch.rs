//! What watchers hear of a walk: the rules visited, what they saw, and messages.
//!
//! Invariant: nothing is built for nobody.

use std::sync::Arc;

use super::{Hit, Truth, Value, Walk};
use crate::decision::{Particular, Seen, Trace, Verdict, Visit};
use crate::origin::Origin;

/// What a caller wants to hear besides the decision.
///
/// Each call clears what an earlier one left, so after the last call of a flow only its own words
/// stand there.
#[derive(Debug, Default)]
pub enum Watch<'w> {
    /// The messages of `.INSTRUMENT` steps.
    Messages {
        /// Local time, RFC 3339 with milliseconds (`2026-01-31T23:59:59.999+01:00`).
        time: &'w str,
        /// Number and text.
        messages: &'w mut Vec<(u32, String)>,
    },
    /// Nothing: no text is built.
    #[default]
    Nothing,
    /// What the conditions that led to the decision name in particular.
    Particular(&'w mut Particular),
    /// Every rule visited, with what it saw, and the messages.
    Trace {
        /// As for messages; an empty text prints `N/A`.
        time: &'w str,
        /// What is heard.
        trace: &'w mut Trace,
    },
}

impl Walk<'_, '_> {
    pub(super) fn visit(&mut self, origin: &Origin, truth: Truth<'_>) {
        self.tried += 1;
        if let Watch::Trace { trace, .. } = &mut self.watch {
            trace.visits.push(Visit {
                origin: origin.clone(),
                verdict: match truth {
                    Truth::No => Verdict::No,
                    Truth::Unknown(why) => Verdict::Unknown(why.clone()),
                    Truth::Yes(_) => Verdict::Yes,
                },
                seen: std::mem::take(&mut self.seen),
            });
        }
    }

    /// Whether somebody hears what rules see.
    pub(super) fn traces(&self) -> bool {
        matches!(self.watch, Watch::Trace { .. })
    }

    pub(super) fn see<T>(
        &mut self,
        fact: &'static str,
        value: &Value<'_, T>,
        text: impl FnOnce(&T) -> Arc<str>,
        hit: Option<Hit<'_>>,
    ) {
        self.see_noted(fact, value, text, hit, None);
    }

    pub(super) fn see_noted<T>(
        &mut self,
        fact: &'static str,
        value: &Value<'_, T>,
        text: impl FnOnce(&T) -> Arc<str>,
        hit: Option<Hit<'_>>,
        note: Option<&'static str>,
    ) {
        if !self.traces() {
            return;
        }
        let (value, from) = match value {
            Value::Absent => (None, None),
            // The verdict says why.
            Value::Failed(_) => return,
            Value::Known(value, from) => (Some(text(value)), Some(*from)),
        };
        let seen = Seen {
            fact,
            value,
            from,
            entry: hit.map(|hit| hit.matched().entry()),
            within: hit.map(|hit| hit.within()),
            note,
        };
        if !self.seen.contains(&seen) {
            self.seen.push(seen);
        }
    }
}

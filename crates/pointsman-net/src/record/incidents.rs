//! What befalls few flows: targets that fail or are passed by, messages of rules, waits for answers, servers that speak first.
//!
//! Invariant: the lists of targets are bounded; a flow that nothing befell keeps a word for all of it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::request::RequestId;
use pointsman_wire::sniff::Banner;

use super::FlowRecord;

/// [`Befell`], on the heap once something did.
#[derive(Clone, Debug, Default)]
pub struct Incidents(Option<Box<Befell>>);

/// What befell one flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Befell {
    /// Targets of a forward that had their turn and were not tried, because they rest after failures; in order, each
    /// once, at most [`MOST`].
    pub passed_by: Vec<PassedBy>,
    /// Attempts at targets of a forward that failed, in order, at most [`MOST`]; equal ones in a row are one.
    pub attempts: Vec<Attempt>,
    /// What rules said on the way: subscription and text.
    pub messages: Vec<(u32, Arc<str>)>,
    /// How long each request waited for its answer, in microseconds.
    pub waits: Vec<(RequestId, u64)>,
    /// What the server said of itself, where it spoke before its client did.
    pub banner: Option<Banner>,
}

/// The most targets of each sort that a record names: more in one forward fail for one reason.
pub const MOST: usize = 16;

/// A target that was passed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedBy {
    /// The target.
    pub target: Arc<str>,
    /// Why.
    pub rest: Rest,
}

/// What keeps flows from a target that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rest {
    /// Failures since it was last reached; those of flows that tried it together are one.
    pub failures: u32,
    /// For how long it is still passed by; zero: its rest is over.
    pub left: Duration,
    /// Its rest is over, and the one flow that may try it does.
    pub tried: bool,
}

/// Attempts that failed: one, or several in a row that failed alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The target.
    pub target: Arc<str>,
    /// What went wrong.
    pub error: Arc<str>,
    /// How many times in a row.
    pub times: u32,
    /// How long they took together, in microseconds, pauses apart.
    pub took_us: u64,
}

static NOTHING: Befell = Befell {
    passed_by: Vec::new(),
    attempts: Vec::new(),
    messages: Vec::new(),
    waits: Vec::new(),
    banner: None,
};

impl Incidents {
    /// To be written to; from now on it has a place on the heap.
    pub fn to_mut(&mut self) -> &mut Befell {
        self.0.get_or_insert_default()
    }

    /// Whether nothing was written down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Befell {
    /// About how many bytes it takes, without the names of targets.
    pub(super) fn weight(&self) -> usize {
        let Self {
            passed_by,
            attempts,
            messages,
            waits,
            banner,
        } = self;
        let messages: usize = messages.iter().map(|(_, text)| 24 + text.len()).sum();
        let software = banner.as_ref().and_then(|it| it.software.as_ref());
        let attempts: usize = attempts
            .iter()
            .map(|attempt| size_of::<Attempt>() + attempt.error.len())
            .sum();
        size_of::<Self>()
            + size_of_val(&passed_by[..])
            + attempts
            + messages
            + size_of_val(&waits[..])
            + software.map_or(0, String::len)
    }
}

impl Deref for Incidents {
    type Target = Befell;

    fn deref(&self) -> &Befell {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl From<Befell> for Incidents {
    fn from(befell: Befell) -> Self {
        Self(Some(Box::new(befell)))
    }
}

impl PartialEq for Incidents {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Incidents {}

impl Rest {
    /// Whether flows pass it by.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.tried || !self.left.is_zero()
    }
}

/// `is not tried for 12 s after 3 failures`.
impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            failures,
            left,
            tried,
        } = self;
        match (left.is_zero(), tried) {
            (false, _) => write!(f, "is not tried for {} s", left.as_millis().div_ceil(1000))?,
            (true, true) => write!(f, "is tried by another connection")?,
            (true, false) => write!(f, "is tried by the next connection")?,
        }
        let s = if *failures == 1 { "" } else { "s" };
        write!(f, " after {failures} failure{s}")
    }
}

impl FlowRecord {
    /// One more attempt at a target failed; where there is no room the last one gives way.
    pub(crate) fn attempted(&mut self, target: &Arc<str>, error: &str, took_us: u64) {
        let attempts = &mut self.incidents.to_mut().attempts;
        if let Some(last) = attempts.last_mut()
            && last.target == *target
            && *last.error == *error
        {
            last.times = last.times.saturating_add(1);
            last.took_us = last.took_us.saturating_add(took_us);
            return;
        }
        attempts.truncate(MOST - 1);
        attempts.push(Attempt {
            target: Arc::clone(target),
            error: error.into(),
            times: 1,
            took_us,
        });
    }

    /// A target that rests was passed by; who is known to be, is, and of more than there is room for nothing is said.
    pub(crate) fn passed_by(&mut self, target: &Arc<str>, rest: Rest) {
        let passed_by = &mut self.incidents.to_mut().passed_by;
        let known = passed_by.iter().any(|it| it.target == *target);
        if !known && passed_by.len() < MOST {
            let target = Arc::clone(target);
            passed_by.push(PassedBy { target, rest });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_told_in_words() {
        let check = |failures, left_ms, tried, expected: &str| {
            let left = Duration::from_millis(left_ms);
            let rest = Rest {
                failures,
                left,
                tried,
            };
            assert_eq!(rest.to_string(), expected);
            assert_eq!(rest.passes(), left_ms > 0 || tried);
        };
        check(3, 11_001, false, "is not tried for 12 s after 3 failures");
        check(1, 1, false, "is not tried for 1 s after 1 failure");
        check(
            2,
            0,
            true,
            "is tried by another connection after 2 failures",
        );
        check(
            1,
            0,
            false,
            "is tried by the next connection after 1 failure",
        );
    }

    #[test]
    fn a_record_names_so_many_targets_and_each_once() {
        let mut record = FlowRecord::default();
        let rest = Rest {
            failures: 1,
            left: Duration::from_secs(2),
            tried: false,
        };
        for _ in 0..2 {
            for number in 0..2 * MOST {
                let target: Arc<str> = number.to_string().into();
                record.passed_by(&target, rest);
                record.attempted(&target, "refused", 1);
            }
        }
        let Befell {
            passed_by,
            attempts,
            ..
        } = &*record.incidents;
        let passed_by: Vec<_> = passed_by.iter().map(|it| &*it.target).collect();
        let expected: Vec<_> = (0..MOST).map(|number| number.to_string()).collect();
        assert_eq!(passed_by, expected);
        assert_eq!(attempts.len(), MOST);
    }
}

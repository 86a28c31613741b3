//! What a policy answers, as data: decisions, reasons, traces, and what they name in particular.

use std::net::IpAddr;
use std::sync::Arc;

use crate::address::Prefix;
use crate::answer::Answer;
pub use crate::entry::Entry;
use crate::fact::{Fact, Need, Provenance};
use crate::ids::OutboundId;
use crate::local::holds;
use crate::origin::{Class, Matcher, Origin};
use crate::set::Matched;

/// One answer of [`crate::Policy::decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The way out.
    Decided(Decision),
    /// The first fact that is missing.
    Need(Need),
    /// Nothing matched, and there is no catch-all: the data plane resets ("no route").
    NoRoute,
}

/// A decision and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The way out; `None` where the policy refuses the flow itself (`on_unknown: reject`).
    pub outbound: Option<OutboundId>,
    /// Why.
    pub reason: Reason,
    /// The rule that decided: for trees the innermost arm, `cond port` line or leaf that named the
    /// outbound.
    pub rule: Option<Origin>,
    /// The list entry that matched, not yet readable: a decision builds no text.
    pub entry: Option<Matched>,
    /// For app and domain rules.
    pub class: Option<(Class, Matcher)>,
}

/// Why a decision was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The last rule, which always matches, after so many others were tried.
    Fallback {
        /// Rules visited before.
        tried: usize,
    },
    /// The flow is of a process that serves an outbound, and the rule chose a proxy.
    LoopGuard {
        /// The outbound served.
        serves: Arc<str>,
    },
    /// A rule matched.
    Rule,
    /// A rule's condition is unknown, and the policy refuses such flows.
    Unknown {
        /// What broke.
        why: Arc<str>,
    },
    /// Somebody outside was asked.
    Verdict {
        /// Who.
        subscriber: u32,
        /// The answer; where there is none, the request's fallback counts.
        answer: Fact<Answer>,
    },
}

/// What a rule's condition came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does not hold.
    No,
    /// It cannot be told, and why.
    Unknown(Arc<str>),
    /// It holds.
    Yes,
}

/// A value that a condition looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The fact's name: `domain`, `ip`, `port`, `process.name` ...
    pub fact: &'static str,
    /// Its value as text; `None` when absent.
    pub value: Option<Arc<str>>,
    /// Where it came from.
    pub from: Option<Provenance>,
    /// The zone's or the list's entry that it fell into.
    pub entry: Option<Entry>,
    /// What the entry belongs to.
    pub within: Option<Within>,
    /// Why it is not what one would expect (an encrypted hello's outer name does not count).
    pub note: Option<&'static str>,
}

/// What an [`Entry`] belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// A rule set, by name.
    Set(Arc<str>),
    /// A zone, by name.
    Zone(Arc<str>),
}

/// One rule visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Which.
    pub origin: Origin,
    /// What it came to.
    pub verdict: Verdict,
    /// What it saw.
    pub seen: Vec<Seen>,
}

/// The rules visited, in order. The last one with [`Verdict::Yes`] is the decision's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// In order.
    pub visits: Vec<Visit>,
    /// Messages of `.INSTRUMENT` steps passed on the way: number and text.
    pub messages: Vec<(u32, String)>,
}

/// What the conditions that led to a decision name in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Particular {
    /// The name that the client asked for: wherever it leads.
    pub name: bool,
    /// Ranges of local addresses.
    pub ranges: Vec<Prefix>,
}

impl Particular {
    /// Whether a destination's address is named.
    #[must_use]
    pub fn names(&self, address: IpAddr) -> bool {
        self.name || self.ranges.iter().any(|range| holds(range, address))
    }

    /// How much is named so far, for [`Self::reset`].
    pub(crate) fn mark(&self) -> (bool, usize) {
        (self.name, self.ranges.len())
    }

    /// Forgets what was named since the mark.
    pub(crate) fn reset(&mut self, (name, ranges): (bool, usize)) {
        self.name = name;
        self.ranges.truncate(ranges);
    }
}

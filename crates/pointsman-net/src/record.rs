//! What is kept of each flow, also of those refused, failed, or never understood.
//!
//! Invariant: one [`FlowRecord`] per flow; the access log, metrics, live lists and replay all read
//! it. Payload, passwords and header values never stand in it.

mod end;
mod incidents;
mod json;
pub(crate) mod line;
pub mod log;
mod note;

use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::decision::Decision;
use pointsman_policy::fact::{Look, Parent, Process};
use pointsman_policy::model::Origin;
pub use pointsman_policy::time::rfc3339;
use pointsman_policy::{Action, Fact, Facts};
pub use pointsman_wire::sniff::{Banner, ServerProtocol};

pub use self::end::{By, End, Fault, Limit, Side};
pub use self::incidents::{Attempt, Befell, Incidents, MOST, PassedBy, Rest};
pub use self::note::Note;
use crate::spec::Number;

/// All that is known of one flow; of a live one, so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowRecord {
    /// Counted from 1 since the start.
    pub id: u64,
    /// The generation that decided it.
    pub generation: Number,
    /// When it was accepted, in milliseconds since 1970 (UTC).
    pub started_ms: u64,
    /// How long it lasted; of a live one, so far.
    pub lasted: Duration,
    /// The listener's name.
    pub listener: Arc<str>,
    /// Index of its policy in [`crate::spec::Spec::policies`].
    pub policy: usize,
    /// What was found out.
    pub facts: Facts,
    /// What the policy said; `None` where it said nothing or was not asked.
    pub decision: Option<Decision>,
    /// The outbound chosen, as the configuration spells it.
    pub outbound: Option<Arc<str>>,
    /// The member of a group.
    pub member: Option<Arc<str>>,
    /// The groups between the outbound chosen and the member, outermost first.
    pub groups: Vec<Arc<str>>,
    /// What was done with it.
    pub action: Option<Action>,
    /// Why nothing was decided, in a sentence (`no route`, what was wrong with a request), or what refuses it above the
    /// rules; else empty.
    pub note: Note,
    /// Whether the client was told of success before the decision.
    pub answered_early: bool,
    /// Payload bytes that the client sent on, without the inbound protocol's own.
    pub bytes_sent: u64,
    /// Payload bytes that the client got.
    pub bytes_received: u64,
    /// How it ended; `None` while it lives.
    pub ended: Option<End>,
    /// How long each step took.
    pub took: Timings,
    /// What befell it that befalls few.
    pub incidents: Incidents,
}

impl FlowRecord {
    /// The rule that decided.
    pub(crate) fn rule(&self) -> Option<&Origin> {
        self.decision.as_ref()?.rule.as_ref()
    }

    /// About how many bytes it takes, without what it shares with others: rules, names of outbounds.
    pub(crate) fn weight(&self) -> usize {
        let text = |fact: &Fact<Arc<str>>| fact.known().map_or(0, |text| text.len());
        let facts = &self.facts;
        let process = facts.sought.owner.known().map_or(0, |process| {
            let parents = process.parents.len() * size_of::<Parent>();
            let texts = [
                &process.name,
                &process.path,
                &process.command_line,
                &process.cgroup,
                &process.unit,
                &process.tag,
            ];
            size_of::<Process>() + parents + texts.into_iter().map(text).sum::<usize>()
        });
        let look = facts.sought.look.known().map_or(0, |look| {
            let name = look.domain.as_ref().map_or(0, |name| name.as_str().len());
            let agent = look.user_agent.as_ref().map_or(0, |text| text.len());
            size_of::<Look>() + name + agent + look.alpn.len() * 32
        });
        let resolved = facts
            .sought
            .resolved
            .known()
            .map_or(0, |all| all.len() * 17);
        let incidents = match self.incidents.is_empty() {
            true => 0,
            false => self.incidents.weight(),
        };
        let ended = self
            .ended
            .as_ref()
            .and_then(End::error)
            .map_or(0, |why| why.len());
        size_of::<Self>() + process + look + resolved + incidents + ended
    }
}

/// How long each step took, in microseconds; 0 where it was not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for and looking at first bytes.
    pub sniff_us: u64,
    /// Resolving the destination's name.
    pub resolve_us: u64,
    /// Finding the process.
    pub owner_us: u64,
    /// Asking the databases.
    pub country_us: u64,
    /// Asking the host by which address the flow would leave.
    pub local_us: u64,
    /// Waiting for subscribers' answers to requests, all together.
    pub verdict_us: u64,
    /// Opening the way out, every hop included.
    pub dial_us: u64,
}

/// An error and what caused it, on one line: `could not connect: 192.0.2.1:443: refused`.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

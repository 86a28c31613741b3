//! Decisions and traces as English sentences.
//!
//! Invariant: the engine builds data, this file builds words; a sentence says nothing that the data
//! does not hold. Folding long runs of visits is for whoever prints them.

use std::fmt;

use crate::decision::{Reason, Seen, Step, Trace, Verdict, Visit, Within};
use crate::entry::Entry;
use crate::fact::{Fact, Provenance};
use crate::model::Policy;
use crate::origin::Origin;

/// The answer of [`Policy::decide`] in one sentence; with the trace of the same call it also says
/// what the deciding rule saw.
#[must_use]
pub fn sentence(policy: &Policy, step: &Step, trace: Option<&Trace>) -> String {
    let decision = match step {
        Step::Decided(decision) => decision,
        Step::Need(need) => return format!("undecided: the fact `{}` is missing", need.as_str()),
        Step::NoRoute => return "no rule matched, and there is no catch-all".to_owned(),
    };
    let rule = decision.rule.as_ref();
    let rule = rule.map_or_else(|| "the policy".to_owned(), ToString::to_string);
    let visits = trace.map_or(&[][..], |trace| &trace.visits);
    // The rule's own visit is the last; an arm's branch may have been visited after it.
    let visit = visits
        .iter()
        .rev()
        .find(|visit| Some(&visit.origin) == decision.rule.as_ref());
    let is_own = |visit: &Visit| Some(&visit.origin) == decision.rule.as_ref();
    let unknown = visits
        .iter()
        .filter(|visit| matches!(visit.verdict, Verdict::Unknown(_)) && !is_own(visit))
        .count();
    let undecided = match unknown {
        0 => String::new(),
        1 => "; 1 rule could not be decided".to_owned(),
        more => format!("; {more} rules could not be decided"),
    };
    match &decision.reason {
        Reason::Fallback { .. } => format!("{}: {rule}{undecided}", decision.reason),
        Reason::LoopGuard { .. } => format!(
            "{}, so the flow goes {} and not as {rule} says",
            decision.reason,
            policy.outbound(policy.direct).name
        ),
        Reason::Verdict { .. } => format!("{rule}: {}", decision.reason),
        Reason::Rule => match (visit, &decision.entry) {
            (Some(visit), _) if !visit.seen.is_empty() => format!("{rule}: {visit}"),
            (_, Some(entry)) => format!("{rule}: by {entry}"),
            (_, None) => rule,
        },
        Reason::Unknown { why } => {
            format!("{rule}: it is unknown whether it matches ({why}), and such flows are refused")
        }
    }
}

/// Why, without saying which rule.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fallback { tried: 0 } => f.write_str("no rule comes before it"),
            Self::Fallback { tried } => write!(f, "no earlier rule decided ({tried} tried)"),
            Self::LoopGuard { serves } => {
                write!(
                    f,
                    "loop guard: the flow's process serves the outbound `{serves}`"
                )
            }
            Self::Rule => f.write_str("a rule matched"),
            Self::Unknown { why } => write!(f, "it is unknown whether the rule matches: {why}"),
            Self::Verdict { subscriber, answer } => match answer {
                Fact::Absent | Fact::Unknown => {
                    write!(f, "the fallback, for subscriber {subscriber} was not asked")
                }
                Fact::Failed(why) => write!(f, "the fallback of subscriber {subscriber}: {why}"),
                Fact::Known(answer, _) => {
                    write!(f, "subscriber {subscriber} answered {}", answer.as_str())
                }
            },
        }
    }
}

/// The `because` of a visit: `domain is www.twitter.com (TLS hello), in zone secret-sites by
/// com.twitter (namezone/secret-sites:5)`.
impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Unknown(why) => {
                write!(f, "unknown: {why}")?;
                if !self.seen.is_empty() {
                    f.write_str("; ")?;
                }
            }
            Verdict::No if self.seen.is_empty() => f.write_str("it never matches")?,
            Verdict::Yes if self.seen.is_empty() => f.write_str("it always matches")?,
            Verdict::No | Verdict::Yes => {}
        }
        for (at, seen) in self.seen.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{seen}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fact = self.fact;
        match (&self.value, self.from, self.note) {
            (None, _, None) => write!(f, "there is no {fact}")?,
            (None, _, Some(note)) => write!(f, "there is no {fact} ({note})")?,
            (Some(value), None, None) => write!(f, "{fact} is {value}")?,
            (Some(value), None, Some(note)) => write!(f, "{fact} is {value} ({note})")?,
            (Some(value), Some(from), None) => write!(f, "{fact} is {value} ({from})")?,
            (Some(value), Some(from), Some(note)) => {
                write!(f, "{fact} is {value} ({from}; {note})")?;
            }
        }
        match (&self.within, &self.entry) {
            (Some(within), Some(entry)) => write!(f, ", in {within} by {entry}"),
            (Some(within), None) => write!(f, ", in {within}"),
            (None, Some(entry)) => write!(f, ", by {entry}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(name) => write!(f, "rule set {name}"),
            Self::Zone(name) => write!(f, "zone {name}"),
        }
    }
}

/// `com.twitter (namezone/secret-sites:5)`.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.text)?;
        place(f, &self.file, self.line)
    }
}

/// `` `DOMAIN, example.com, Proxy` (boltconn.yml:12) ``.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.text)?;
        place(f, &self.file, self.line)
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "database",
            Self::DnsCorrelation => "DNS answer",
            Self::FakeIp => "fake address",
            Self::Given => "given",
            Self::System => "host",
            Self::HttpHost => "HTTP host",
            Self::Inbound => "inbound",
            Self::Quic => "QUIC hello",
            Self::Request => "request",
            Self::Resolver => "resolver",
            Self::SshBanner => "SSH banner",
            Self::Subscriber => "answered",
            Self::TlsHello => "TLS hello",
        })
    }
}

fn place(f: &mut fmt::Formatter<'_>, file: &str, line: u32) -> fmt::Result {
    match (file, line) {
        ("", line) => write!(f, "(line {line})"),
        (file, 0) => write!(f, "({file})"),
        (file, line) => write!(f, "({file}:{line})"),
    }
}

//! Flows that wait for an answer from outside, and the answer.

use serde::{Deserialize, Serialize};

use crate::flow::{Destination, Inbound};

/// The first event of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// By which this subscriber answers.
    pub sub_id: u64,
    /// What it subscribes to.
    pub ids: Vec<u32>,
}

/// A flow that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// By which it is answered; never given twice while the daemon lives.
    pub request_id: u64,
    /// Whose answer counts.
    pub sub_id: u64,
    /// The number that the rule asks.
    pub id: u32,
    /// `CONTINUE`, `REJECT` or `BLACKHOLE`: what the rule suggests.
    pub suggested_route: String,
    /// The same: what counts where nobody answers.
    pub fallback: String,
    /// How long the flow waits, in seconds.
    pub timeout_s: u64,
    /// When it began to wait, in milliseconds since 1970 (UTC).
    pub time_ms: u64,
    /// The flow's number.
    pub flow: u64,
    /// `tcp`, `udp` or `icmp`.
    pub network: String,
    /// The client, `address:port`.
    pub source: Option<String>,
    /// Where the client asked to go.
    pub destination: Destination,
    /// The addresses of its name, where a rule had it resolved.
    pub resolved: Vec<String>,
    /// The name that the rules saw.
    pub domain: Option<String>,
    /// What the first bytes are; `null` where nobody looked.
    pub protocol: Option<String>,
    /// How it came in.
    pub inbound: Inbound,
    /// Whose it is; `null` where that is nobody on this host.
    pub process: Option<Program>,
}

/// A process, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The executable's file name.
    pub name: Option<String>,
    /// Its path.
    pub path: Option<String>,
    /// The command line.
    pub cmdline: Option<String>,
    /// Its number.
    pub pid: Option<u32>,
    /// The login name of its user.
    pub user: Option<String>,
    /// The tag that it was run with.
    pub tag: Option<String>,
    /// Its ancestors' names, nearest first.
    pub parents: Vec<String>,
}

/// The event of a flow that waits no longer, and that nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// Which.
    pub request_id: u64,
}

/// POST: an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Who answers.
    pub sub_id: u64,
    /// `CONTINUE`, `REJECT`, `BLACKHOLE`, or `FALLBACK`: the rule's fallback at once.
    pub route: String,
}

/// An answer that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Which.
    pub request_id: u64,
    /// The answer.
    pub route: String,
}

//! Flows: the record that each leaves, live or ended, also where it was refused.

use serde::{Deserialize, Serialize};

use crate::action::Action;

/// One flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRecord {
    /// Its number, counted from 1 since the daemon started.
    pub id: u64,
    /// The generation that decided it: `7`, or `7.3`.
    pub generation: String,
    /// When it was accepted: RFC 3339 in UTC, with milliseconds.
    #[serde(default)]
    pub time: String,
    /// The same in milliseconds since 1970 (UTC).
    pub start: u64,
    /// How long it lasted, or has lasted so far.
    pub duration_ms: u64,
    /// `tcp`, `udp` or `icmp`.
    pub network: String,
    /// The client, `address:port`.
    pub source: Option<String>,
    /// Where the client asked to go.
    pub destination: Destination,
    /// The name that the rules saw.
    pub domain: Option<String>,
    /// From where that was learned, where the client did not ask for it by itself: `fake` (the name of a fake address),
    /// `sniffed` (the first bytes), `answer` (the DNS server gave the client the address for it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_name_from: Option<String>,
    /// Why it is not known which name the address stands for: `ambiguous: a.test, b.test`; absent where nothing is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_name_error: Option<String>,
    /// What the first bytes are; `null` where nobody looked.
    pub protocol: Option<String>,
    /// What the server said of itself, where it spoke before its client did; absent where not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// How it came in.
    pub inbound: Inbound,
    /// Whether it is the connection of an association: its flows over UDP have records of their own; absent where not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub association: bool,
    /// The outbound chosen; `null` where the policy does not decide.
    pub outbound: Option<String>,
    /// The member of a group, the target of a forward.
    pub member: Option<String>,
    /// Where that target is: `192.0.2.1:80`, `udp://192.0.2.1:53`, `unix:///run/a.sock`; absent where `member` is none, and where
    /// the generation is no longer kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The groups between `outbound` and `member`, outermost first; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Targets of a forward that had their turn and were not tried, because they rest after failures, in order; absent
    /// where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_by: Vec<PassedBy>,
    /// Attempts at targets of a forward that failed before `member` was reached, in order; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What became of it.
    pub action: Action,
    /// The rule that decided.
    pub rule: Option<RuleRef>,
    /// One sentence.
    pub reason: String,
    /// Whether the client was told of success before the decision.
    pub answered_early: bool,
    /// Payload bytes that the client sent, without the inbound protocol's own.
    pub bytes_sent: u64,
    /// Payload bytes that the client got.
    pub bytes_received: u64,
    /// `closed`, `reset`, `refused`, `failed`, `killed`, `timeout` ...; `null` while it lives.
    pub ended: Option<String>,
    /// What ended it where it did not end in order: `client`, `target`, `dial` (no connection was made), or the limit
    /// of time that was over (`idle`, `first_byte`, `lifetime` ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// What broke, or which limit was over, in words.
    pub error: Option<String>,
    /// Whose it is, where that was asked.
    pub process: Option<ProcessRef>,
    /// What rules said of it on the way.
    pub messages: Vec<String>,
    /// How long each step took.
    #[serde(default)]
    pub took_us: Took,
}

/// What a server says of itself by its first bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `ftp`, `imap`, `mysql`, `pop3`, `smtp`, `ssh` or `vnc`.
    pub protocol: String,
    /// Its program and version, where the protocol has a place for it; else null.
    pub software: Option<String>,
}

/// A target that was passed by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedBy {
    /// The target.
    pub target: String,
    /// What kept the flow from it, in words: `is not tried for 12 s after 3 failures`.
    pub reason: String,
}

/// An attempt at a target that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The target.
    pub target: String,
    /// What went wrong.
    pub error: String,
    /// How many times in a row it failed so.
    pub times: u32,
    /// How long that took, pauses apart, in microseconds.
    pub took_us: u64,
}

/// How long the steps of a flow took, in microseconds; 0 where one was not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// Waiting for and looking at first bytes.
    pub sniff: u64,
    /// Resolving the destination's name.
    pub resolve: u64,
    /// Finding the process.
    pub owner: u64,
    /// Asking the databases.
    pub country: u64,
    /// Asking by which address the flow would leave.
    pub local: u64,
    /// Waiting for subscribers' answers.
    #[serde(default)]
    pub verdict: u64,
    /// Opening the way out.
    pub dial: u64,
}

/// Where a client asked to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// A name or an address; `null` for a forward, which knows its own targets.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
}

/// How a flow came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// `http`, `socks5`, `forward` ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The inbound's name.
    pub name: Option<String>,
    /// The port that it listens on.
    pub port: Option<u16>,
    /// Who authenticated.
    pub user: Option<String>,
}

/// A rule and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleRef {
    /// As written, on one line.
    pub text: String,
    /// Relative to the configuration's directory.
    pub file: String,
    /// From 1.
    pub line: u32,
}

/// The process behind a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// The executable's file name.
    pub name: Option<String>,
    /// Its number.
    pub pid: Option<u32>,
}

/// Flows, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowList {
    /// Live ones, and ended ones where they were asked for; by their numbers.
    pub flows: Vec<FlowRecord>,
    /// There are more: ask for those `after` this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Flows that may be meant: all else fits, and no rule asked for what was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<Untold>,
}

/// Flows of which it cannot be told whether they are meant, for no rule asked for what they are chosen by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untold {
    /// What was not asked for: `program` or `first bytes`.
    pub fact: String,
    /// How many flows.
    pub flows: u64,
}

/// A message that a rule sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The flow's number.
    pub flow: u64,
    /// The subscription's number.
    pub id: u32,
    /// The text.
    pub text: String,
}

/// A reader of events was too slow: the event [`crate::route::EVENT_MISSED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Events that it did not hear.
    pub missed: u64,
}

/// A reader of events cannot go on where it was: the event [`crate::route::EVENT_RESET`]. What lay between is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// The id after which it asked to go on.
    pub after: String,
}

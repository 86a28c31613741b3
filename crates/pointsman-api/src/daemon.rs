//! The daemon itself: state, counters, reload, end.

use serde::{Deserialize, Serialize};

use crate::outbound::OutboundState;
use crate::problem::Problem;

/// What `status` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `running` or `draining`.
    pub state: String,
    /// The daemon's version.
    pub version: String,
    /// Its process number.
    pub pid: u32,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// The configuration's path; `null` for the embedded default.
    pub config_path: Option<String>,
    /// The dialect read.
    pub dialect: String,
    /// The generation in force.
    pub generation: String,
    /// Listeners.
    pub inbounds: Vec<InboundState>,
    /// Ways out.
    pub outbounds: Vec<OutboundState>,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundState {
    /// Its name.
    pub name: String,
    /// `mixed`, `http`, `socks5`, `forward`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is bound to: `127.0.0.1:7890`, `unix:/run/x.sock`, `fd:3`.
    pub address: String,
}

/// What `diagnostics` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// The daemon's version.
    pub version: String,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// The configuration's path; `null` for the embedded default.
    pub config_path: Option<String>,
    /// The control socket.
    pub socket: String,
    /// False while it drains.
    pub running: bool,
    /// The generation in force.
    pub generation: String,
    /// How many outbounds there are.
    pub outbound_count: usize,
    /// Requests to the control API, this one too.
    pub ipc_requests: u64,
    /// Reloads that took.
    pub reload_ok: u64,
    /// Reloads that were refused.
    pub reload_err: u64,
    /// Flows that live.
    pub flows_live: u64,
    /// Flows since the start.
    pub flows_total: u64,
    /// Flows that were refused by rule.
    pub flows_refused: u64,
    /// Flows whose outbound failed.
    pub flows_failed: u64,
    /// Payload bytes that clients sent.
    pub bytes_sent: u64,
    /// Payload bytes that clients got.
    pub bytes_received: u64,
    /// Host changes in force, in the order made.
    pub host_changes: Vec<String>,
}

/// What is asked of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Everything but the swap: says which recent flows would go elsewhere.
    #[serde(default)]
    pub plan: bool,
    /// Rolls back unless confirmed within so many milliseconds.
    #[serde(default)]
    pub confirm_within_ms: Option<u64>,
}

/// What a reload came to. One that was refused is a [`crate::Error`] with its problems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// The generation in force now.
    pub generation: String,
    /// Whether the new configuration is in force.
    pub applied: bool,
    /// Warnings and notes of the configuration.
    pub problems: Vec<Problem>,
    /// Recent flows that would go elsewhere; a plan alone has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
}

/// A recent flow that a new configuration would send elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The flow's number.
    pub id: u64,
    /// Where it wanted to go.
    pub destination: String,
    /// The outbound that it took.
    pub from: Option<String>,
    /// The outbound that it would take.
    pub to: Option<String>,
}

/// What `stop` answers, before the daemon drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// `draining`.
    pub state: String,
    /// Flows that may still go on.
    pub flows_live: u64,
    /// For so long at most.
    pub grace_ms: u64,
}

/// The policies as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReply {
    /// `tree` or `list`.
    #[serde(rename = "as")]
    pub form: String,
    /// The policies' text, all of them.
    pub text: String,
}

/// What a name resolves to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsReply {
    /// The name asked for, in A-labels.
    pub name: String,
    /// Its addresses, preferred first; none where there are none.
    pub addresses: Vec<String>,
    /// What broke, where the look-up failed.
    pub error: Option<String>,
}

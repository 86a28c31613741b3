//! The daemon itself: state, counters, reload, end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::outbound::OutboundState;
use crate::problem::Problem;
use crate::replay::Replay;

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
    /// What is rolled back unless it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<Awaiting>,
    /// The configuration that was refused or rolled back since the one in force was taken, or was rolled back before
    /// that was taken again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setback: Option<Setback>,
    /// The policy's own tests that fail with what fetched rule sets hold now; the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing_tests: Vec<FailingTest>,
    /// Listeners.
    pub inbounds: Vec<InboundState>,
    /// Ways out.
    pub outbounds: Vec<OutboundState>,
    /// Upstreams of the DNS server, in the order of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamState>,
    /// How many rule sets there are, those that are fetched too.
    #[serde(default)]
    pub rule_sets: usize,
    /// Rule sets that are fetched, by name.
    #[serde(default)]
    pub lists: Vec<FetchedList>,
    /// How many facts that rules asked for were not found since the start, by kind: `program`, `address`, `country`,
    /// `local-address`, `first-bytes`, `answer`; those of which none was missed are absent.
    #[serde(default)]
    pub lacking: BTreeMap<String, u64>,
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

/// An upstream of the DNS server, and what became of questions to it since its servers were first asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamState {
    /// Its name.
    pub name: String,
    /// Its servers, each with the way to it.
    pub servers: Vec<String>,
    /// Questions; those that were answered from memory are not among them.
    pub asked: u64,
    /// Those that a server answered.
    pub answered: u64,
    /// Those that nobody answered.
    pub failed: u64,
    /// How long an answer took on average, in milliseconds; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

/// A test of the policy that fails with what fetched rule sets hold: the daemon goes on all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingTest {
    /// The file that it stands in.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The flow, as written.
    pub flow: String,
    /// The outbound that it should get.
    pub expected: String,
    /// The one that it gets, or `none`.
    pub got: String,
    /// Why.
    pub reason: String,
    /// The fetched rule sets that its flow looked into.
    pub lists: Vec<String>,
}

/// What `diagnostics` answers. Counts never fall as long as the daemon lives.
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
    /// Flows that were not understood or not admitted.
    #[serde(default)]
    pub flows_denied: u64,
    /// Connections that were closed at once because too few descriptors were left.
    #[serde(default)]
    pub accept_refused: u64,
    /// Lines that access logs lost: nobody read them fast enough, or the disk was full.
    #[serde(default)]
    pub log_lines_dropped: u64,
    /// What was lost over UDP, by word: flows that a limit refused or that gave way to others, and datagrams that were
    /// dropped. Words may be added.
    #[serde(default)]
    pub udp_lost: BTreeMap<String, u64>,
    /// Uplinks by which flows over UDP left, by interface and source (`default`: as the routing table says): 1 where several
    /// datagrams are handed to the system as one, 0 where that failed once, so that each goes by itself.
    #[serde(default)]
    pub udp_offload: BTreeMap<String, u64>,
    /// What came from upstreams of the DNS server that was no answer to what they were asked, by upstream; those of which
    /// nothing such came are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dns_answers_dropped: BTreeMap<String, u64>,
    /// What became of queries of the DNS server, by word: `known` (answered from memory), `asked` (of an upstream), `here`
    /// (answered by rules and by what is fixed), `failed`, `refused`, `dropped`. Words may be added.
    #[serde(default)]
    pub queries: BTreeMap<String, u64>,
    /// Payload bytes that clients sent, those of live flows too.
    pub bytes_sent: u64,
    /// Payload bytes that clients got, those of live flows too.
    pub bytes_received: u64,
    /// Tests of the policy that fail with what fetched rule sets hold now: they may be fewer by and by.
    #[serde(default)]
    pub tests_failing: usize,
    /// Host changes in force, in the order made.
    pub host_changes: Vec<String>,
    /// Rule sets that are fetched, by name.
    #[serde(default)]
    pub lists: Vec<FetchedList>,
    /// How many facts that rules asked for were not found, as `status` has it.
    #[serde(default)]
    pub lacking: BTreeMap<String, u64>,
}

/// A rule set that is fetched, and how that goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedList {
    /// The set's name.
    pub name: String,
    /// From where, without the query.
    pub url: String,
    /// How many entries it has in force; null where no policy uses it.
    #[serde(default)]
    pub entries: Option<u64>,
    /// When the server last confirmed the copy in force, in milliseconds since 1970; null without one.
    pub checked_ms: Option<u64>,
    /// When that copy was fetched, in milliseconds since 1970.
    pub changed_ms: Option<u64>,
    /// Why the last attempt failed; null where it did not.
    pub error: Option<String>,
    /// When it is asked for next, in milliseconds since 1970; null where that is never or under way.
    #[serde(default)]
    pub next_ms: Option<u64>,
    /// Why its copy could not be written: it is in memory, and gone when the daemon ends. Null where it is on the disk.
    #[serde(default)]
    pub unwritten: Option<String>,
}

/// The longest that a reload may wait for confirmation, in milliseconds: a day. Who has not looked by then will not.
pub const LONGEST_TRIAL_MS: u64 = 24 * 3600 * 1000;

/// What is asked of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Everything but the swap: says which recent flows would go elsewhere.
    #[serde(default)]
    pub plan: bool,
    /// Rolls back unless confirmed within so many milliseconds: 1 to [`LONGEST_TRIAL_MS`].
    #[serde(default)]
    pub confirm_within_ms: Option<u64>,
    /// For a plan: whether names, addresses and programs are kept out of the answer.
    #[serde(default)]
    pub redact: bool,
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
    /// What it would change for recent flows; a plan alone has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Replay>,
    /// Until when it must be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<Awaiting>,
    /// The generation whose configuration is back, of a roll-back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    /// That the configuration was rolled back before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// What was selected and is gone with the configuration before; that what is on trial, or that the trial is over, cannot
    /// be kept over a restart. A sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A configuration that was refused or rolled back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// `refused`, `rolled-back`, `unconfirmed`: the daemon ended while it was on trial; `rollback-failed`: nobody confirmed
    /// it, and the one before could not come back.
    pub what: String,
    /// When, as RFC 3339 has it.
    pub time: String,
    /// In one line.
    pub why: String,
    /// When the same text was taken again, as RFC 3339 has it: it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
}

/// A generation that is in force for now: unless it is confirmed, an earlier configuration comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaiting {
    /// The generation to be confirmed.
    pub generation: String,
    /// The one whose configuration comes back.
    pub earlier: String,
    /// When, as RFC 3339 has it.
    pub until: String,
    /// Milliseconds until then.
    pub remaining_ms: u64,
}

/// What became of the configuration: the event [`crate::route::EVENT_GENERATION`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `in-force`, `awaiting-confirmation`, `confirmed`, `rolled-back`, `rollback-failed` or `refused`.
    pub what: String,
    /// The generation in force now.
    pub generation: String,
    /// Until when it must be confirmed, as RFC 3339 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why it was refused, or why it could not be rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
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
    /// It was asked to end before: now it waits for no flow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
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
    /// Why there are none: what broke, or who says that there is no such name or no such address.
    pub error: Option<String>,
    /// What came of it.
    #[serde(default)]
    pub outcome: DnsOutcome,
    /// Who said so: a name server, the configuration, the hosts file; none where nobody could tell.
    #[serde(default)]
    pub from: Option<String>,
    /// For how many seconds the addresses still hold.
    #[serde(default)]
    pub holds_s: Option<u64>,
}

/// What came of a look-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsOutcome {
    /// There are addresses.
    Addresses,
    /// There is no such name.
    NoName,
    /// The name exists, and has no address of the families that are asked for.
    NoAddress,
    /// Nobody could tell.
    Failed,
    /// A word that this reader does not know, or none.
    #[default]
    #[serde(other)]
    Other,
}

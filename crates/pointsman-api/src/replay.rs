//! Recent flows by another configuration: what a reload would change for them.

use serde::{Deserialize, Serialize};

use crate::explain::Decision;
use crate::flow::RuleRef;

/// What is asked of [`crate::route::REPLAY`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// The candidate, an absolute path; the daemon's own configuration as it is now where it is missing. Without `text`
    /// the daemon reads it, for who asks on the control socket's path alone.
    #[serde(default)]
    pub config: Option<String>,
    /// The candidate's text; `config` says under which name, and where relative paths begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The language of the candidate: `native`, `reflow` ...; by its shape where it is missing.
    #[serde(default)]
    pub dialect: Option<String>,
    /// So many flows at most, the latest; all that are kept where it is missing.
    #[serde(default)]
    pub last: Option<usize>,
    /// Whether names, addresses and programs are kept out of the answer.
    #[serde(default)]
    pub redact: bool,
}

/// What a candidate would do with recent flows. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The candidate's path; `null` for the embedded default.
    pub config: Option<String>,
    /// The generation in force.
    pub generation: String,
    /// Flows that were put through the candidate.
    pub flows: u64,
    /// Of those: they go the same way.
    pub same: u64,
    /// Of those that go the same way: another rule says so.
    pub by_another_rule: u64,
    /// They would go elsewhere.
    pub moved: u64,
    /// They cannot be told, for the candidate asks for what was never learned of them.
    pub untold: Vec<Untold>,
    /// They came in where the candidate does not listen.
    pub gone: Vec<Gone>,
    /// Those that would go elsewhere, the most first.
    pub groups: Vec<MovedGroup>,
    /// Whether names, addresses and programs were kept out.
    pub redacted: bool,
    /// What is selected and would be gone, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Flows that lack a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untold {
    /// `sniff`, `resolve`, `owner`, `country` or `local`.
    pub fact: String,
    /// How many.
    pub flows: u64,
}

/// Flows of an inbound that the candidate does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The inbound's or forward's name.
    pub inbound: String,
    /// How many.
    pub flows: u64,
}

/// Flows that would go elsewhere alike: the same ways, by the same rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedGroup {
    /// Where they went.
    pub from: Decision,
    /// Where they would go.
    pub to: Decision,
    /// Where both are the same by name, and another server stands behind it; absent where names differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_server: Option<OtherServer>,
    /// The rule that decided; `null` where none did.
    pub old_rule: Option<RuleRef>,
    /// The rule that would decide.
    pub new_rule: Option<RuleRef>,
    /// How many.
    pub flows: u64,
    /// Why the first example went there.
    pub old_reason: String,
    /// Why it would go there.
    pub new_reason: String,
    /// The first few.
    pub examples: Vec<MovedFlow>,
}

/// What stands behind a name that stays: kind, server and link, hop by hop; never a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherServer {
    /// Where its flows went; `null` where that is kept out.
    pub from: Option<String>,
    /// Where they would go.
    pub to: Option<String>,
    /// The server stays, and would be asked with another login.
    pub other_login: bool,
}

/// A flow that would go elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedFlow {
    /// Its number.
    pub id: u64,
    /// Where it wanted to go; `null` where that is kept out.
    pub destination: Option<String>,
    /// Its program, where it is known and not kept out.
    pub process: Option<String>,
}

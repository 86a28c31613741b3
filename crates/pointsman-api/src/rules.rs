//! Rules and what they decided.

use serde::{Deserialize, Serialize};

use crate::flow::RuleRef;

/// The rules of the generation in force, in order, policy by policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleList {
    /// The generation in force.
    pub generation: String,
    /// Since when is counted, in milliseconds since 1970 (UTC); restarts of the daemon do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The rules.
    pub rules: Vec<RuleState>,
    /// How many recent flows were looked through for what rules shadow; absent where that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<u64>,
}

/// A rule and what it decided, also over reloads and restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleState {
    /// The policy that it belongs to.
    pub policy: String,
    /// The rule.
    #[serde(flatten)]
    pub rule: RuleRef,
    /// Whether it takes all that reach it, as `FALLBACK` does.
    pub last_word: bool,
    /// Flows that it decided, live ones too.
    pub hits: u64,
    /// Payload bytes that their clients sent.
    pub bytes_sent: u64,
    /// Payload bytes that their clients got.
    pub bytes_received: u64,
    /// When the last of them came, in milliseconds since 1970 (UTC); `null`: never.
    pub last_hit: Option<u64>,
    /// Earlier rules that decided recent flows that this one would have taken, the most flows first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadowed_by: Vec<Shadow>,
}

/// A rule that came before another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// The earlier rule.
    #[serde(flatten)]
    pub rule: RuleRef,
    /// Flows that it took.
    pub flows: u64,
    /// How many of them would have gone another way by the later rule.
    pub elsewhere: u64,
}

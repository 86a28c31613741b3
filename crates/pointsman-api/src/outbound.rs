//! Outbounds as the daemon runs them.

use serde::{Deserialize, Serialize};

/// All outbounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboundList {
    /// In the order of the configuration.
    pub outbounds: Vec<OutboundState>,
}

/// One outbound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboundState {
    /// As the configuration spells it.
    pub name: String,
    /// Other spellings of a built-in outbound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `direct`, `socks5`, `http`, `chain`, `select`, `forward`, `reject`, `reset`, `blackhole`, or
    /// the name of a type that is not built yet.
    #[serde(rename = "type")]
    pub kind: String,
    /// The type in the configuration's own language, where that has words of its own (policy-router's `singbox`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// The server's `host:port`, where there is one.
    pub endpoint: Option<String>,
    /// The interface that it leaves by, where the configuration says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The address that it leaves from, where the configuration says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether it carries UDP.
    pub udp: bool,
    /// For a group: its members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// For a forward: where its members are, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// For a group: the one selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<String>,
    /// For a forward: targets that could not be reached and are passed by for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<Failing>,
    /// Live flows.
    #[serde(default)]
    pub flows: u64,
    /// After a selection: why it does not outlive the daemon, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<String>,
}

/// A target that could not be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Its name.
    pub target: String,
    /// For how long it is still passed by, in milliseconds; 0: the next flow tries it.
    pub rests_ms: u64,
}

/// Selects a member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectRequest {
    /// The member's name.
    pub member: String,
}

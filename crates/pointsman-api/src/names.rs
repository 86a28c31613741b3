//! Explanations of names: who is asked for one, and why.

use serde::{Deserialize, Serialize};

use crate::explain::Rule;

/// Who the DNS server asks for a name, or what it answers by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameExplanation {
    /// The name, in A-labels.
    pub name: String,
    /// The client who asks; none where nobody was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// What becomes of it: `asked`, or an answer: `nxdomain`, `nodata`, `zero`, `refused`, `drop`, `hosts`, `local`, or
    /// `nobody` where nobody is asked. Words may be added.
    pub end: String,
    /// The upstream that is asked.
    pub upstream: Option<String>,
    /// Its servers, each with its way: `udp 192.0.2.1:53 by privacy`.
    pub servers: Vec<String>,
    /// One sentence.
    pub reason: String,
    /// The rule of the DNS server that decided.
    pub rule: Option<Rule>,
    /// The ways that flows to the name may take, where they were followed.
    pub ways: Vec<NameWay>,
    /// The generation that decided: the daemon's answers alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
}

/// A way that flows to a name may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameWay {
    /// The outbound; none where no rule decides.
    pub outbound: Option<String>,
    /// The upstream that is asked for names whose flows leave so; none of refusals.
    pub upstream: Option<String>,
    /// The first rule that may lead there.
    pub rule: Option<Rule>,
}

/// The names that an address stands for, as clients were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNames {
    /// The address.
    pub address: String,
    /// By client; a flow of a client that was told several has none of them.
    pub names: Vec<KnownName>,
}

/// A name that an address stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownName {
    /// Who was told; absent for programs of the daemon's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The name, in A-labels.
    pub name: String,
    /// For how many seconds more it counts.
    pub left_s: u64,
    /// The same client was told others for the address, or may have been: its flows have no name.
    pub ambiguous: bool,
}

//! Explanations of names: who is asked for one, and why.

use serde::{Deserialize, Serialize};

use crate::explain::{Rule, TraceLine};

/// Who the DNS server asks for a name, or what it answers by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NameExplanation {
    /// The name, in A-labels.
    pub name: String,
    /// The type that is asked for: `A`, `HTTPS`, `65280`.
    #[serde(default = "usual_type", rename = "type")]
    pub kind: String,
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
    /// The code of the reply, where it is known: `NOERROR`, `NXDOMAIN`. None where nothing is answered, or somebody has to be
    /// asked first.
    #[serde(default)]
    pub rcode: Option<String>,
    /// The records of the reply, as far as they are known, or what was said to be answered.
    #[serde(default)]
    pub answers: Vec<String>,
    /// The outbound by which the upstream is asked; none where that is from here.
    #[serde(default)]
    pub via: Option<String>,
    /// Where the reply comes from: `upstream`, `cache`, `stale`, `fake`, `hosts`, `policy`. Words may be added.
    #[serde(default)]
    pub from: Option<String>,
    /// How long it took, in milliseconds; only of what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// The extended error of the reply (RFC 8914).
    #[serde(default)]
    pub ede: Option<NameError>,
    /// The rules visited, in order, those on answers behind the others.
    #[serde(default)]
    pub trace: Vec<TraceLine>,
    /// The upstreams that are asked, in order.
    #[serde(default)]
    pub asked: Vec<String>,
    /// The generation that decided: the daemon's answers alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
}

/// Why a reply is as it is (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameError {
    /// The number: 15 is what a rule blocked, 22 that no upstream was reached.
    pub code: u16,
    /// Words.
    pub text: String,
}

fn usual_type() -> String {
    "A".to_owned()
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

/// A name, and the addresses that stand for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeName {
    /// The name, in A-labels.
    pub name: String,
    /// That of IPv4; absent where there is no such range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4: Option<String>,
    /// That of IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<String>,
}

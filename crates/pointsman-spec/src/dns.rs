//! A DNS server: who is asked for which names, and what is answered here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Domain, Policy, Prefix};

use crate::ids::PolicyId;
use crate::resolver::Servers;

/// What a DNS server is made of. Doors that speak DNS lead to it.
#[derive(Clone, Debug)]
pub struct DnsSpec {
    /// Decides on queries. Its outbounds are not those of flows: they are [`Self::ends`], in their order.
    pub policy: Arc<Policy>,
    /// How it is decided on answers, when they have come; what is left undecided is given as it came.
    pub answers: Option<AnswersSpec>,
    /// What may become of a query.
    pub ends: Vec<DnsEnd>,
    /// Who may be asked.
    pub upstreams: Vec<UpstreamSpec>,
    /// How [`DnsEnd::Follow`] goes; there where an end is.
    pub follow: Option<FollowSpec>,
    /// Names with fixed addresses, before all rules: exact, or with all names below (`true`).
    pub hosts: Vec<(Domain, bool, IpAddr)>,
    /// Names that mean nothing to the world (`printer.local`, `router`, reverse names of private addresses) are asked for as
    /// others are: the upstreams may be of the network where they mean something.
    pub asks_for_local_names: bool,
    /// Addresses that stand for names, where [`DnsEnd::Fake`] is an end.
    pub fake: Option<FakeSpec>,
    /// What clients may take.
    pub limits: DnsLimits,
}

/// How it begins why a query is answered here: for what an answer leads to.
pub const BY_ANSWER: &str = "what it leads to: ";
/// ... because all flows to the name are refused.
pub const FLOWS_REFUSED: &str = "all its flows are refused: ";
/// The number of the extended error of what rules answer by themselves (RFC 8914 §4.16).
pub const BLOCKED: u16 = 15;

/// Rules that are looked at when an answer has come.
#[derive(Clone, Debug)]
pub struct AnswersSpec {
    /// Its ends are [`DnsSpec::ends`], too. One that asks means: ask again there, each upstream once.
    pub policy: Arc<Policy>,
    /// Whether answers without aliases are given as they came, whatever else they are.
    pub only_aliases: bool,
}

/// The policies of a DNS server.
#[derive(Clone, Debug)]
pub struct QueryPolicies {
    /// [`DnsSpec::policy`].
    pub queries: Arc<Policy>,
    /// [`DnsSpec::answers`].
    pub answers: Option<Arc<Policy>>,
}

/// What becomes of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsEnd {
    /// That one of the upstreams is asked.
    Ask(usize),
    /// Nothing is answered.
    Drop,
    /// An address that stands for the name; what is no address is asked for as [`Self::Follow`] says.
    Fake,
    /// Who is asked for names whose flows leave as they do by [`FollowSpec::policy`].
    Follow,
    /// There is no such record.
    NoData,
    /// There is no such name.
    NoName,
    /// The answer is given as it came; only of answers.
    Pass,
    /// The query is refused.
    Refused,
    /// The address of no host: `0.0.0.0` and `::`; of other types there are none.
    Zero,
}

impl DnsEnd {
    /// Whether it is an answer by itself: nobody is asked.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Drop | Self::NoData | Self::NoName | Self::Refused | Self::Zero => true,
            Self::Ask(_) | Self::Fake | Self::Follow | Self::Pass => false,
        }
    }
}

/// Addresses that stand for names: at least one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FakeSpec {
    /// Those of IPv4; without, there are no such addresses of a name that has a fake one.
    pub v4: Option<Prefix>,
    /// Those of IPv6.
    pub v6: Option<Prefix>,
    /// How long answers hold.
    pub ttl: Duration,
}

impl Default for FakeSpec {
    fn default() -> Self {
        const V6: [u16; 8] = [0xfdfe, 0x706f, 0x696e, 0x7400, 0, 0, 0, 0];
        Self {
            // For benchmarks between networks (RFC 2544), routed by nobody.
            v4: Some(Prefix::new([198, 18, 0, 0].into(), 15)),
            // A range of our own (RFC 4193): a stray packet to it is ours.
            v6: Some(Prefix::new(V6.into(), 64)),
            // A program that keeps it longer still finds its name: what was idle for longest is given again, last.
            ttl: Duration::from_secs(60),
        }
    }
}

/// Who is asked for a name is where its flows leave: one policy decides both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowSpec {
    /// The policy of flows.
    pub policy: PolicyId,
    /// Which upstream is asked for names whose flows leave by an outbound, by its number; `None`: none is.
    pub ask: Vec<Option<usize>>,
    /// Which one is asked where flows may leave by several outbounds that ask differently.
    pub undecided: Option<usize>,
}

/// Name servers that are asked for the same names. Where none answers nobody else is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSpec {
    /// Its name.
    pub name: Arc<str>,
    /// At least one.
    pub servers: Servers,
    /// What a question may take in all.
    pub timeout: Duration,
}

/// What clients of a DNS server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsLimits {
    /// Queries of all clients that wait for answers: some 2 KiB each.
    pub waiting: usize,
    /// ... of one client (one /64 of IPv6).
    pub client_waiting: usize,
    /// Queries of one client in a second, over time.
    pub client_rate: u32,
    /// Connections.
    pub streams: usize,
    /// How long a connection may be without a query.
    pub stream_idle: Duration,
}

impl DnsLimits {
    /// How long upstreams may take where nothing else is said: below the 5 s after which those who asked ask elsewhere, so
    /// that they hear why.
    pub const TIMEOUT: Duration = Duration::from_secs(4);
}

impl Default for DnsLimits {
    fn default() -> Self {
        Self {
            waiting: 10_000,
            // The start of a browser asks some 300 in a second, most of which are answered within 50 ms.
            client_waiting: 200,
            // A page asks some dozens, and a household opens few in a second; a flood is thousands.
            client_rate: 200,
            streams: 256,
            // RFC 7766 §6.2.3: "in the order of seconds".
            stream_idle: Duration::from_secs(10),
        }
    }
}

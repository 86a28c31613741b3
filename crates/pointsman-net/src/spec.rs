//! What is to run: a configuration in the data plane's own words, for it knows nothing of configuration files.
//!
//! Invariant: data alone. Who makes one has checked it; indexes into its lists are checked once more before it comes into
//! force.

pub(crate) mod asks;
pub mod dns;
pub mod listening;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_policy::Policy;
use pointsman_spec::asks::AskSpec;
use pointsman_spec::door::DoorSpec;
use pointsman_spec::limits::{DatagramLimits, SniffLimits, Timeouts};
use pointsman_spec::outbound::Outbound;

use self::dns::DnsServer;
use crate::lookup::Resolve;

/// A generation's number: `7`, or `7.3` after the third refresh of a rule set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number {
    /// Which configuration: grows with each reload.
    pub load: u64,
    /// How many refreshes of rule sets it has seen.
    pub refresh: u32,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refresh {
            0 => write!(f, "{}", self.load),
            refresh => write!(f, "{}.{refresh}", self.load),
        }
    }
}

/// Everything that a generation is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its number.
    pub number: Number,
    /// Policies; inbounds name theirs by index.
    pub policies: Vec<Arc<Policy>>,
    /// Ways out by [`OutboundId`](pointsman_policy::OutboundId), in the order of [`Policy::outbounds`].
    pub outbounds: Vec<Outbound>,
    /// All that flows come in by: proxies, and forwards, whose policies end in groups of targets.
    pub inbounds: Vec<DoorSpec>,
    /// Resolvers; inbounds name theirs by index.
    pub resolvers: Vec<Arc<dyn Resolve>>,
    /// Resolves names of servers, and what is dialled by name.
    pub server_resolver: Arc<dyn Resolve>,
    /// Who of them is asked for which names of flows.
    pub asks: AskSpec,
    /// Resolves names of name servers, and asks none of those.
    pub bootstrap: Bootstrap,
    /// What doors that speak DNS lead to; they are refused where there is none.
    pub dns: Option<Arc<DnsServer>>,
    /// Limits of looking at first bytes.
    pub sniff: SniffLimits,
    /// Which processes serve outbounds: they are not sent to proxies.
    pub guards: Vec<Guard>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Limits of flows over UDP.
    pub datagrams: DatagramLimits,
    /// What is kept of flows.
    pub records: Records,
}

/// Who knows names that have to be known before name servers can be asked.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Is itself found by addresses alone.
    pub resolver: Arc<dyn Resolve>,
    /// Whether it is asked for names of outbounds' servers, too.
    pub for_outbounds: bool,
}

/// What is kept of flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// Where all are logged.
    pub access_log: Option<PathBuf>,
    /// How many of those that ended are kept; fewer where they would take more than some megabytes.
    pub keep: usize,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            access_log: None,
            keep: 1000,
        }
    }
}

/// Which process serves an outbound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The outbound's name.
    pub outbound: Arc<str>,
    /// How it is told.
    pub by: ServedBy,
    /// Where it listens: how it is told as long as this host has no such program or user.
    pub instead: Vec<SocketAddr>,
}

/// How the process is told that serves an outbound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServedBy {
    /// It listens there, where that is an address of this host.
    Endpoint(SocketAddr),
    /// It runs this executable.
    Program(PathBuf),
    /// It is this user's.
    User(Arc<str>),
}

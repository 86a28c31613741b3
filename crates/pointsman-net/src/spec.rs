//! What is to run: a configuration in the data plane's own words, for it knows nothing of configuration files.
//!
//! Invariant: data alone. Who makes one has checked it; indexes into its lists are checked once more before it comes into
//! force.

pub mod door;
pub mod listening;
pub mod outbound;
pub mod target;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Policy;

use self::door::DoorSpec;
use self::outbound::Outbound;
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
    /// Limits of looking at first bytes.
    pub sniff: SniffLimits,
    /// Which processes serve outbounds: they are not sent to proxies.
    pub guards: Vec<Guard>,
    /// Time limits.
    pub limits: Limits,
}

/// Which process serves an outbound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The outbound's name.
    pub outbound: Arc<str>,
    /// How it is told.
    pub by: ServedBy,
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

/// Limits of looking at first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SniffLimits {
    /// How long to wait for them.
    pub timeout: Duration,
    /// How many bytes to look at.
    pub max_bytes: usize,
}

impl Default for SniffLimits {
    fn default() -> Self {
        Self {
            // Covers a phone on a slow link; longer only delays those whose server speaks first.
            timeout: Duration::from_millis(300),
            // Eight times a ClientHello with post-quantum key shares.
            max_bytes: 16 * 1024,
        }
    }
}

/// Time limits of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From accept to the end of the client's request.
    pub handshake: Duration,
    /// From the decision to a connected server, every hop included.
    pub dial: Duration,
    /// A name's look-up.
    pub resolve: Duration,
    /// From the end of a plain request to the first byte of its answer.
    pub first_byte: Option<Duration>,
    /// A relay in which one direction has ended, without a byte in the other.
    pub half_closed: Option<Duration>,
    /// A kept connection of an HTTP client, between two requests.
    pub keep_alive: Duration,
    /// A relay or a plain exchange without a byte in either direction.
    pub idle: Option<Duration>,
    /// How long a blackhole keeps its silence.
    pub blackhole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Three retransmissions of a lost packet fit in.
            handshake: Duration::from_secs(10),
            // Longer than any client of its own waits; shorter would cut off satellite links.
            dial: Duration::from_secs(15),
            // As the resolver's own limits; this is the fence around them.
            resolve: Duration::from_secs(10),
            // What reverse proxies grant an application; long polls answer within it.
            first_byte: Some(Duration::from_secs(60)),
            // A server that computes for an hour without a word is rarer than a peer that has left.
            half_closed: Some(Duration::from_secs(3600)),
            keep_alive: Duration::from_secs(60),
            // Twice the two hours after which TCP's own keepalive speaks on most hosts: only the dead.
            idle: Some(Duration::from_secs(4 * 3600)),
            blackhole: Duration::from_secs(30),
        }
    }
}

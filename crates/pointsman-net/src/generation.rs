//! A generation: everything of one configuration that a flow needs, immutable.
//!
//! Invariant: a flow holds one `Arc<Generation>` from accept to end; a reload makes another. The
//! specs here are the data plane's own words, for it knows nothing of configuration files.
//! Absent: what outlives generations (listeners, live flows, selections): see [`crate::plane`].

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pointsman_os::socket::is_own_address;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::{Node, OutboundId, Policy};

use crate::forward::{Forward, ForwardSpec};
use crate::login::User;
use crate::lookup::Lookup;
use crate::outbound::Outbound;
use crate::plane::{ListenerId, Listening, Rules};

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
    /// Ways out by [`OutboundId`], in the order of [`Policy::outbounds`].
    pub outbounds: Vec<Outbound>,
    /// Proxy listeners.
    pub inbounds: Vec<InboundSpec>,
    /// L4 forwards.
    pub forwards: Vec<ForwardSpec>,
    /// Resolvers; inbounds name theirs by index.
    pub resolvers: Vec<Arc<dyn Lookup>>,
    /// Resolves names of servers, and what is dialled by name.
    pub server_resolver: Arc<dyn Lookup>,
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

/// A proxy listener.
#[derive(Clone, Debug)]
pub struct InboundSpec {
    /// Its name.
    pub name: Arc<str>,
    /// `Socks5`, `Http` or `Mixed`.
    pub kind: InboundKind,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may use it; empty: anybody who reaches it.
    pub users: Vec<User>,
    /// What conditions see as its name where the user brings none.
    pub alias: Option<Arc<str>>,
    /// Index into [`Spec::policies`].
    pub policy: usize,
    /// Index into [`Spec::resolvers`]; `None`: [`Spec::server_resolver`].
    pub resolver: Option<usize>,
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

/// Everything of one configuration that a flow needs.
#[derive(Debug)]
pub struct Generation {
    spec: Spec,
    inbounds: HashMap<ListenerId, Arc<InboundSpec>>,
    forwards: HashMap<ListenerId, Arc<Forward>>,
    /// Which policies have messages to say.
    speaking: Vec<bool>,
    /// Which policies look at the code point of packets.
    marked: Vec<bool>,
    /// Those of the guards that concern this host now.
    guards: ArcSwap<Vec<Guard>>,
    rules: Rules,
    listening: Arc<[Listening]>,
}

/// Which listener leads where.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    /// With the index of the inbound.
    pub(crate) inbounds: Vec<(ListenerId, usize)>,
    pub(crate) forwards: HashMap<ListenerId, Arc<Forward>>,
}

impl Generation {
    /// `doors` lead to the inbounds of `spec` and to forwards, each by any number of listeners.
    pub(crate) fn new(spec: Spec, doors: Doors, rules: Rules, listening: Vec<Listening>) -> Self {
        let Doors {
            inbounds: doors,
            forwards,
        } = doors;
        let specs: Vec<_> = spec.inbounds.iter().cloned().map(Arc::new).collect();
        let of_inbound = |(id, index)| Some((id, Arc::clone(specs.get(index)?)));
        let of_forward =
            |(id, forward): (&ListenerId, &Arc<Forward>)| (*id, Arc::clone(forward.inbound()));
        let inbounds = doors.into_iter().filter_map(of_inbound);
        let inbounds = inbounds.chain(forwards.iter().map(of_forward)).collect();
        let speaking = spec
            .policies
            .iter()
            .map(|policy| policy.body.iter().any(speaks))
            .collect();
        let marked = marked(&spec.policies);
        Self {
            guards: ArcSwap::from_pointee(of_this_host(&spec.guards)),
            spec,
            inbounds,
            forwards,
            speaking,
            marked,
            rules,
            listening: listening.into(),
        }
    }

    /// The same generation with other policies, one for each: what a refreshed rule set needs. Listeners, outbounds
    /// and resolvers stay.
    pub(crate) fn refreshed(
        &self,
        number: Number,
        policies: Vec<Arc<Policy>>,
        rules: Rules,
    ) -> Self {
        Self {
            marked: marked(&policies),
            guards: ArcSwap::new(self.guards.load_full()),
            spec: Spec {
                number,
                policies,
                ..self.spec.clone()
            },
            inbounds: self.inbounds.clone(),
            forwards: self.forwards.clone(),
            speaking: self.speaking.clone(),
            rules,
            listening: Arc::clone(&self.listening),
        }
    }

    /// Who of this host serves outbounds.
    pub(crate) fn guards(&self) -> arc_swap::Guard<Arc<Vec<Guard>>> {
        self.guards.load()
    }

    /// Looks anew which guards concern this host: its addresses come and go.
    pub(crate) fn look_at_guards(&self) {
        if !self.spec.guards.is_empty() {
            self.guards.store(Arc::new(of_this_host(&self.spec.guards)));
        }
    }

    /// Its rules, with what they decided.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> Number {
        self.spec.number
    }

    /// All that is listened on: inbounds in order, then the addresses of forwards.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// What it was made of.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The inbound that a listener belongs to in this generation; `None` where it was closed.
    pub(crate) fn inbound(&self, listener: ListenerId) -> Option<&Arc<InboundSpec>> {
        self.inbounds.get(&listener)
    }

    /// The forward that a listener belongs to.
    pub(crate) fn forward(&self, listener: ListenerId) -> Option<&Arc<Forward>> {
        self.forwards.get(&listener)
    }

    /// The shortest time after which a quiet flow is ended.
    pub(crate) fn shortest_quiet(&self) -> Option<Duration> {
        let Limits {
            idle, half_closed, ..
        } = self.spec.limits;
        let own = self.spec.forwards.iter().map(|forward| forward.half_closed);
        own.chain([idle, half_closed]).flatten().min()
    }

    /// Whether a policy has messages to say.
    pub(crate) fn speaks(&self, policy: usize) -> bool {
        self.speaking.get(policy).copied().unwrap_or(false)
    }

    /// Whether a policy looks at the code point of packets.
    pub(crate) fn reads_dscp(&self, policy: usize) -> bool {
        self.marked.get(policy).copied().unwrap_or(false)
    }

    /// The way out of that number.
    pub(crate) fn outbound(&self, id: OutboundId) -> Option<&Outbound> {
        self.spec.outbounds.get(usize::try_from(id.0).ok()?)
    }

    /// The outbound of that name.
    #[must_use]
    pub fn outbound_named(&self, name: &str) -> Option<(OutboundId, &Outbound)> {
        let found = self
            .spec
            .outbounds
            .iter()
            .position(|outbound| *outbound.name == *name)?;
        let id = OutboundId(u32::try_from(found).ok()?);
        Some((id, &self.spec.outbounds[found]))
    }

    /// The resolver of that number, else the one for servers.
    pub(crate) fn resolver(&self, index: Option<usize>) -> &Arc<dyn Lookup> {
        index
            .and_then(|index| self.spec.resolvers.get(index))
            .unwrap_or(&self.spec.server_resolver)
    }
}

fn of_this_host(guards: &[Guard]) -> Vec<Guard> {
    let here = |guard: &&Guard| match &guard.by {
        ServedBy::Endpoint(endpoint) => is_own_address(endpoint.ip()),
        ServedBy::Program(_) | ServedBy::User(_) => true,
    };
    guards.iter().filter(here).cloned().collect()
}

fn marked(policies: &[Arc<Policy>]) -> Vec<bool> {
    policies.iter().map(|policy| policy.reads_dscp()).collect()
}

fn speaks(node: &Node) -> bool {
    match node {
        Node::Any(nodes) | Node::Sub { body: nodes, .. } => nodes.iter().any(speaks),
        Node::Instrument { .. } => true,
        Node::Leaf { .. } | Node::Request { .. } | Node::Resolve(_) | Node::Rule(_) => false,
        Node::Select(select) => select.arms.iter().any(|arm| speaks(&arm.then)),
        Node::When {
            then, otherwise, ..
        } => speaks(then) || otherwise.as_deref().is_some_and(speaks),
    }
}

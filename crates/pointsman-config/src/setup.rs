//! The checked model that every dialect lowers to: what the daemon runs.
//!
//! Invariant: everything here has been checked. Names are resolved to numbers, addresses are parsed,
//! defaults are filled in. The daemon maps it to the data plane's specs in one file.

mod data;
mod flow_test;

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::fact::InboundKind;
pub use pointsman_policy::model::OnUnknown;
use pointsman_policy::model::{Body, Origin, OutboundInfo};
use pointsman_policy::set::Key;
use pointsman_policy::{Action, OutboundId, Policy, Prefix};
pub use pointsman_spec::address::{Endpoint, Families, Server, Uplink};
pub use pointsman_spec::ids::{PolicyId, ResolverId};
pub use pointsman_spec::limits::{SniffLimits, Timeouts};
pub use pointsman_spec::login::{Credentials, Secret, User};
pub use pointsman_spec::outbound::Retry;
pub use pointsman_spec::resolver::{NameServer, Place, ResolverSpec};
pub use pointsman_spec::target::Keepalive;

pub use self::data::DataFiles;
pub use self::flow_test::{Failing, FlowTest};
pub use crate::list::{ListFile, ListSource};
use crate::problem::Span;

/// The languages that a configuration can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// bitflow: YAML with `server.proxies`.
    Bitflow,
    /// BoltConn: YAML with `rule_local`.
    Boltconn,
    /// Our own YAML.
    Native,
    /// policy-router: TOML.
    PolicyRouter,
    /// reflow: a directory.
    Reflow,
}

impl Dialect {
    /// The word that `--dialect` takes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bitflow => "bitflow",
            Self::Boltconn => "boltconn",
            Self::Native => "native",
            Self::PolicyRouter => "policy-router",
            Self::Reflow => "reflow",
        }
    }
}

/// A configuration, whole and checked.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The language it was written in.
    pub dialect: Dialect,
    /// The directory that relative paths start from.
    pub directory: PathBuf,
    /// Every file that was read, lists that are fetched apart.
    pub files: Vec<PathBuf>,
    /// Proxy listeners.
    pub inbounds: Vec<Inbound>,
    /// Ways out, by [`OutboundId`]. The same order as [`Policy::outbounds`].
    pub outbounds: Vec<Outbound>,
    /// L4 forwards.
    pub forwards: Vec<Forward>,
    /// Policies, by [`PolicyId`]; forwards have theirs here too.
    pub policies: Vec<Arc<Policy>>,
    /// Resolvers, by [`ResolverId`].
    pub resolvers: Vec<Written<ResolverSpec>>,
    /// Resolves the names of servers and what `direct` dials by name; `None`: the system's
    /// configuration (`/etc/hosts`, `/etc/resolv.conf`).
    pub server_resolver: Option<ResolverId>,
    /// Where the daemon logs, and how loudly.
    pub log: Log,
    /// Where flows are logged.
    pub access_log: Option<PathBuf>,
    /// What is kept of flows that ended.
    pub history: History,
    /// Whether changed files are reloaded by themselves.
    pub watch: bool,
    /// How long flows may go on after the first signal to stop.
    pub shutdown_grace: Duration,
    /// Limits of looking at first bytes.
    pub sniff: SniffLimits,
    /// Time limits of flows.
    pub timeouts: Timeouts,
    /// The policy's own tests.
    pub tests: Vec<FlowTest>,
    /// Rule sets that are fetched.
    pub sources: Vec<ListSource>,
    /// How the entries of rule sets are found again, for who must go through them.
    pub lists: Vec<ListFile>,
    /// Where the databases come from.
    pub data: DataFiles,
}

impl Setup {
    /// Compiles every policy, so that decisions cost the same however many rules there are.
    pub fn compile(&mut self, key: Key) {
        let policies = self.policies.iter_mut();
        let mut bodies: Vec<&mut Body> = policies
            .map(|policy| &mut Arc::make_mut(policy).body)
            .collect();
        Body::compile_all(&mut bodies, key);
    }

    /// Sets what an unknown condition does, whatever the file says: for dialects that have no key for
    /// it. Forwards keep theirs: they refuse.
    pub fn set_on_unknown(&mut self, on_unknown: OnUnknown) {
        let forwards = &self.forwards;
        for (number, policy) in self.policies.iter_mut().enumerate() {
            if !forwards.iter().any(|forward| forward.policy.0 == number) {
                Arc::make_mut(policy).on_unknown = on_unknown;
            }
        }
    }
}

/// Something that is to run, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// What is to run.
    pub what: T,
    /// `None`: nowhere, it is there without being written.
    pub span: Option<Span>,
}

impl<T> Deref for Written<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.what
    }
}

/// A proxy listener.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Its name; the key of a reload: an inbound of the same name and address stays open.
    pub name: Arc<str>,
    /// `Socks5`, `Http` or `Mixed`.
    pub kind: InboundKind,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may use it; empty: anybody who reaches it.
    pub users: Vec<User>,
    /// The alias that conditions see where the user brings none.
    pub alias: Option<Arc<str>>,
    /// Its policy.
    pub policy: PolicyId,
    /// Its policy's resolver; `None`: [`Setup::server_resolver`].
    pub resolver: Option<ResolverId>,
    /// The rule of its policy that says who may come in.
    pub allow: Option<Origin>,
    /// Where it is defined.
    pub span: Span,
}

/// A way out.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// As the configuration spells it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: OutboundKind,
    /// Its type in the configuration's own language, where that has another word for it.
    pub declared: Option<&'static str>,
    /// Where it is defined; `None` for built-in ones.
    pub span: Option<Span>,
}

/// What a way out is.
#[derive(Clone, Debug)]
pub enum OutboundKind {
    /// Silence.
    Blackhole,
    /// Through each hop in turn, nearest first.
    Chain {
        /// At least one.
        hops: Vec<OutboundId>,
    },
    /// From this host.
    Direct(Uplink),
    /// Its targets in turn: the group of a forward.
    Forward(usize),
    /// An HTTP proxy, by CONNECT.
    Http {
        /// The proxy.
        server: Server,
        /// Login.
        credentials: Option<Credentials>,
        /// How the proxy itself is reached.
        uplink: Uplink,
        /// The program of this host that is the proxy, as far as the configuration says.
        served_by: Option<ServedBy>,
    },
    /// A type that is understood and not built yet: refuses every flow.
    NotYet {
        /// Its type's name.
        kind: String,
        /// Whether it will carry UDP.
        carries_udp: bool,
    },
    /// The protocol's own refusal.
    Reject,
    /// RST.
    Reset,
    /// A target of a forward, so that the group of a forward has members.
    Target {
        /// Index into [`Setup::forwards`].
        forward: usize,
        /// Index into [`Forward::targets`].
        target: usize,
        /// The outbound by which it is dialled.
        via: Option<OutboundId>,
    },
    /// The selected member; the first until somebody selects another.
    Select {
        /// At least one.
        members: Vec<OutboundId>,
        /// How members that are reached directly leave, where the group says so.
        uplink: Uplink,
    },
    /// A SOCKS5 proxy.
    Socks5 {
        /// The proxy.
        server: Server,
        /// Login.
        credentials: Option<Credentials>,
        /// Whether it carries UDP.
        carries_udp: bool,
        /// How the proxy itself is reached.
        uplink: Uplink,
        /// The program of this host that is the proxy, as far as the configuration says.
        served_by: Option<ServedBy>,
    },
}

/// Whose flows are those of the program that serves an outbound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServedBy {
    /// Of processes that run this executable; absolute.
    Program(PathBuf),
    /// Of processes of this user.
    User(Arc<str>),
}

/// An L4 forward. Its group of targets is the outbound `outbound`, named like the forward.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens; at least one.
    pub listen: Vec<Endpoint>,
    /// The families that names and `::` in `listen` stand for.
    pub listen_families: Families,
    /// Who may connect; empty: anybody. Also lowered into `policy` (others are reset).
    pub allow: Vec<Prefix>,
    /// `allow`, then the group.
    pub policy: PolicyId,
    /// The group.
    pub outbound: OutboundId,
    /// At least one.
    pub targets: Vec<Target>,
    /// How a target is chosen.
    pub balance: Balance,
    /// The most connections at once; 0: any number.
    pub connection_limit: usize,
    /// The longest that a connection may last.
    pub lifetime: Option<Duration>,
    /// The access log of this forward alone: bitflow's keys, a JSON object a line. Relative paths
    /// of the configuration are already joined to its directory.
    pub access_log: Option<PathBuf>,
    /// PROXY protocol version 1 goes to the target first.
    pub proxy_header: bool,
    /// Targets are reached over the client's family alone.
    pub same_family: bool,
    /// The client's side: idle limits of reading and writing.
    pub read_timeout: Option<Duration>,
    /// See `read_timeout`.
    pub write_timeout: Option<Duration>,
    /// The longest that no byte may move once one side has ended; `None`: as all flows.
    pub half_closed: Option<Duration>,
    /// How a connection goes on to the next target.
    pub retry: Retry,
    /// A capability that is understood and not built yet (TLS): every connection is refused and the
    /// reason is this text.
    pub not_yet: Option<String>,
    /// Where it is defined.
    pub span: Span,
}

/// A target of a forward.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name: the member in explanations.
    pub name: Arc<str>,
    /// Where.
    pub address: Endpoint,
    /// The way to it; `None`: plain direct.
    pub via: Option<OutboundId>,
    /// Attempts to connect, at least 1.
    pub attempts: u32,
    /// Pause before the second attempt, doubled for each further one.
    pub backoff: Duration,
    /// Limit of one attempt.
    pub connect_timeout: Option<Duration>,
    /// Limit of resolving its name.
    pub resolve_timeout: Option<Duration>,
    /// Idle limit of reading from it.
    pub read_timeout: Option<Duration>,
    /// Idle limit of writing to it.
    pub write_timeout: Option<Duration>,
    /// TCP keepalive.
    pub keepalive: Keepalive,
    /// The address family to dial, where it was written as `tcp4:` or `tcp6:`.
    pub families: Families,
}

/// How a forward chooses its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The next one where the first cannot be reached.
    Failover,
    /// The first.
    #[default]
    None,
    /// Each in turn.
    RoundRobin,
    /// By server name: not built yet.
    Sni,
}

/// Logging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`; `None`: the daemon's default.
    pub level: Option<String>,
    /// One JSON object a line.
    pub json: bool,
}

/// What is kept of flows that ended, in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// So many of them.
    pub keep: usize,
    /// Whether answers of plans and replays never name where they went and whose they were.
    pub redact: bool,
}

impl Default for History {
    fn default() -> Self {
        Self {
            // Some minutes of a household; less than a megabyte.
            keep: 1000,
            redact: false,
        }
    }
}

impl Outbound {
    /// As the policy sees it.
    #[must_use]
    pub fn info(&self, targets: &[OutboundId]) -> OutboundInfo {
        use pointsman_policy::model::OutboundKind as Seen;
        let plain = |action, carries_udp| (Seen::Plain(action), carries_udp);
        let (kind, carries_udp) = match &self.kind {
            OutboundKind::Blackhole => plain(Action::Blackhole, true),
            // The links of a chain are checked one by one when UDP is built.
            OutboundKind::Chain { hops: _ } => plain(Action::Proxy, false),
            OutboundKind::Direct(_) => plain(Action::Direct, true),
            OutboundKind::Forward(_) => (Seen::Group(targets.to_vec()), false),
            OutboundKind::Http { .. } => plain(Action::Proxy, false),
            OutboundKind::NotYet {
                kind: _,
                carries_udp,
            } => plain(Action::Proxy, *carries_udp),
            OutboundKind::Reject => plain(Action::Reject, true),
            OutboundKind::Reset => plain(Action::Reset, true),
            OutboundKind::Select { members, uplink: _ } => (Seen::Group(members.clone()), true),
            OutboundKind::Target { .. } => plain(Action::Direct, false),
            OutboundKind::Socks5 { carries_udp, .. } => plain(Action::Proxy, *carries_udp),
        };
        OutboundInfo {
            name: Arc::clone(&self.name),
            kind,
            carries_udp,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::OnUnknown;
    use crate::files::Memory;
    use crate::{Dialect, load};

    #[test]
    fn what_unknown_does_is_set_but_for_forwards() {
        let text = "version: 1
inbounds: { desk: { type: mixed, listen: 0 } }
forwards: { web: { listen: 'tcp://127.0.0.1:1', targets: [{ name: a, address: 'tcp://127.0.0.1:2' }] } }
policy: |
  direct
";
        let files = Memory::new([("c.yaml", text)]);
        let loaded = load(Path::new("c.yaml"), Some(Dialect::Native), None, &files);
        let problems: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
        let Some(mut setup) = loaded.setup else {
            panic!("{problems:?}");
        };
        let forward = setup.forwards[0].policy.0;
        for set in [OnUnknown::Reject, OnUnknown::Skip] {
            setup.set_on_unknown(set);
            let of_all: Vec<OnUnknown> = setup.policies.iter().map(|p| p.on_unknown).collect();
            let mut expected = vec![set; of_all.len()];
            expected[forward] = OnUnknown::Reject;
            assert_eq!(of_all, expected);
            assert!(of_all.len() > 1);
        }
    }
}

//! The checked model that every dialect lowers to: what the daemon runs.
//!
//! Invariant: everything here has been checked. Names are resolved to numbers, addresses are parsed,
//! defaults are filled in. What is to run is `pointsman-spec`'s, as the data plane takes it; here it has its places.

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
use pointsman_policy::{OutboundId, Policy, Prefix};
pub use pointsman_spec::address::{Endpoint, Families, Server, Uplink};
pub use pointsman_spec::asks::AskSpec;
pub use pointsman_spec::cache::CacheLimits;
pub use pointsman_spec::dns::{
    AnswersSpec, DnsEnd, DnsLimits, DnsSpec, FakeSpec, FollowSpec, UpstreamSpec,
};
pub use pointsman_spec::door::{DoorSpec, Listen};
pub use pointsman_spec::ids::{PolicyId, ResolverId};
pub use pointsman_spec::limits::{DatagramLimits, Filtering, SniffLimits, Timeouts};
pub use pointsman_spec::login::{Credentials, Secret, User};
use pointsman_spec::outbound as spec;
pub use pointsman_spec::outbound::{
    Balance, Balancing, Carrier, Group, How, Kind, Protocol, Refusal, Retry, ServedBy, Upstream,
};
pub use pointsman_spec::resolver::{
    Authorities, Encrypted, NameServer, Place, ResolverSpec, Servers, Turns,
};
pub use pointsman_spec::target::{Keepalive, Target};

pub use self::data::DataFiles;
pub use self::flow_test::{Failing, FlowTest};
pub use crate::list::{ListFile, ListSource};
use crate::problem::Span;

/// Who knows names that have to be known before name servers can be asked; found by addresses alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The servers, and fixed addresses.
    pub what: ResolverSpec,
    /// Whether names of outbounds' servers are asked of them, too.
    pub for_outbounds: bool,
}

impl Default for Bootstrap {
    /// The system's servers.
    fn default() -> Self {
        Self {
            what: ResolverSpec {
                servers: vec![NameServer::System].into(),
                ..ResolverSpec::default()
            },
            for_outbounds: false,
        }
    }
}

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
    /// Who is asked for the names that flows bring, beside the resolvers of inbounds.
    pub asks: AskSpec,
    /// Resolves the names of name servers.
    pub bootstrap: Bootstrap,
    /// The DNS server, where there is one.
    pub dns: Option<DnsServer>,
    /// What is kept of what name servers answer.
    pub cache: CacheLimits,
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
    /// Limits of flows over UDP.
    pub datagrams: DatagramLimits,
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
    /// The outbound of that number.
    #[must_use]
    pub fn outbound(&self, id: OutboundId) -> Option<&Outbound> {
        self.outbounds.get(id.0 as usize)
    }

    /// The targets of a forward, each with its name.
    pub fn targets_of(&self, forward: &Forward) -> impl Iterator<Item = (&Arc<str>, &Target)> {
        let group = self.outbound(forward.group);
        let members = group.map_or(&[][..], |group| group.kind.members());
        let members = members.iter().filter_map(|id| self.outbound(*id));
        members.filter_map(|member| match &member.kind {
            Kind::Carry(Carrier::Target(target)) => Some((&member.name, target)),
            _ => None,
        })
    }

    /// How a forward tries its targets.
    #[must_use]
    pub fn balancing_of(&self, forward: &Forward) -> Option<&Balancing> {
        self.outbound(forward.group)?.kind.balancing()
    }

    /// Compiles every policy, so that decisions cost the same however many rules there are.
    pub fn compile(&mut self, key: Key) {
        let of_queries = self.dns.iter_mut().flat_map(|dns| {
            let answers = dns.what.answers.as_mut().map(|it| &mut it.policy);
            [Some(&mut dns.what.policy), answers].into_iter().flatten()
        });
        let policies = self.policies.iter_mut().chain(of_queries);
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

/// A DNS server, and where queries come in.
#[derive(Clone, Debug)]
pub struct DnsServer {
    /// What becomes of queries.
    pub what: DnsSpec,
    /// Where they come in.
    pub doors: Vec<Written<DoorSpec>>,
    /// Where it is written.
    pub span: Span,
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
    /// What it is, and its name as the configuration spells it.
    pub what: spec::Outbound,
    /// Its type in the configuration's own language, where that has another word for it.
    pub declared: Option<&'static str>,
    /// Where it is defined; `None` for built-in ones.
    pub span: Option<Span>,
}

impl Deref for Outbound {
    type Target = spec::Outbound;

    fn deref(&self) -> &spec::Outbound {
        &self.what
    }
}

/// An L4 forward: a door whose policy ends in a group of targets.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Where its flows come in.
    pub door: DoorSpec,
    /// Who may connect; empty: anybody. Also lowered into the policy (others are reset).
    pub allow: Vec<Prefix>,
    /// The group of its targets, which is named like the forward; the targets are outbounds that no rule can name.
    pub group: OutboundId,
    /// Targets are to be chosen by server name, which is not built yet: the group refuses every flow.
    pub by_server_name: bool,
    /// Where it is defined.
    pub span: Span,
}

impl Forward {
    /// Whether its flows are datagrams.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        self.listen.iter().any(|listen| listen.at.is_udp())
    }
}

impl Deref for Forward {
    type Target = DoorSpec;

    fn deref(&self) -> &DoorSpec {
        &self.door
    }
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
    pub fn info(&self) -> OutboundInfo {
        use pointsman_policy::model::OutboundKind as Seen;
        let kind = match self.kind.action() {
            Some(action) => Seen::Plain(action),
            None => Seen::Group(self.kind.members().to_vec()),
        };
        OutboundInfo {
            name: Arc::clone(&self.name),
            kind,
            udp: self.kind.udp(),
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

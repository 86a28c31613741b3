//! Facts: what is known of one flow, and from where.
//!
//! Invariant: a fact goes from [`Fact::Unknown`] to one of the others once and never changes, so
//! learning more never changes what was already decided.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use crate::address::Host;
use crate::answer::Answer;
use crate::domain::Domain;
use crate::ids::RequestId;

/// One fact: "not asked yet" is apart from "there is honestly none" and from "the look-up broke".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fact<T> {
    /// There is honestly none: conditions on it are false.
    Absent,
    /// The look-up broke or timed out, and why: conditions on it are unknown.
    Failed(Arc<str>),
    /// The value and where it came from.
    Known(T, Provenance),
    /// Nobody asked yet: a condition on it asks.
    #[default]
    Unknown,
}

impl<T> Fact<T> {
    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value, _) => Some(value),
            Self::Absent | Self::Failed(_) | Self::Unknown => None,
        }
    }

    /// The same with its value on the heap: large facts that most flows never learn are kept so.
    #[must_use]
    pub fn boxed(self) -> Fact<Box<T>> {
        match self {
            Self::Absent => Fact::Absent,
            Self::Failed(why) => Fact::Failed(why),
            Self::Known(value, from) => Fact::Known(Box::new(value), from),
            Self::Unknown => Fact::Unknown,
        }
    }

    /// Why it could not be found, where it was searched in vain.
    #[must_use]
    pub fn failure(&self) -> Option<&Arc<str>> {
        match self {
            Self::Failed(why) => Some(why),
            Self::Absent | Self::Known(..) | Self::Unknown => None,
        }
    }

    /// `Known` or `Absent`.
    pub fn from_option(value: Option<T>, from: Provenance) -> Self {
        match value {
            Some(value) => Self::Known(value, from),
            None => Self::Absent,
        }
    }
}

/// Where the value of a fact came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// A GeoIP or ASN database.
    Database,
    /// DNS correlation: an answer that this daemon gave for the address.
    DnsCorrelation,
    /// The fake address that this daemon gave for the name.
    FakeIp,
    /// Stated by whoever described the flow (`explain`, a policy test).
    Given,
    /// The host: kernel tables, /proc.
    System,
    /// The `Host` header or the target of a plain HTTP request.
    HttpHost,
    /// The inbound that took the flow.
    Inbound,
    /// A QUIC Initial's server name.
    Quic,
    /// The request of the client's proxy protocol (SOCKS, CONNECT).
    Request,
    /// The resolver of the flow's policy.
    Resolver,
    /// The SSH banner.
    SshBanner,
    /// Who subscribes to requests answered.
    Subscriber,
    /// A TLS ClientHello.
    TlsHello,
}

/// The transport that the flow uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// ICMP echo.
    Icmp,
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// What the first bytes turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// BitTorrent, of peers, trackers and the table of peers.
    Bittorrent,
    /// A DNS query.
    Dns,
    /// DTLS.
    Dtls,
    /// HTTP/1.x.
    Http,
    /// An NTP client.
    Ntp,
    /// Looked at, and nothing that we know.
    #[default]
    Other,
    /// A PostgreSQL client.
    Postgresql,
    /// QUIC.
    Quic,
    /// An RDP client.
    Rdp,
    /// SSH.
    Ssh,
    /// STUN, and TURN.
    Stun,
    /// TLS.
    Tls,
}

/// The protocol that the client spoke to the inbound, or the way the flow was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InboundKind {
    /// The DNS server.
    Dns,
    /// An L4 forward.
    Forward,
    /// HTTP proxy.
    Http,
    /// A port that speaks HTTP and SOCKS; never the kind of a flow, only of rules and listeners.
    Mixed,
    /// nftables REDIRECT.
    Redirect,
    /// SOCKS4a or SOCKS5.
    Socks5,
    /// TPROXY.
    Tproxy,
    /// TUN.
    Tun,
}

/// How a flow came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The protocol that the client spoke.
    pub kind: InboundKind,
    /// The inbound's name (BoltConn's alias, of the service or of the user).
    pub name: Option<Arc<str>>,
    /// The port that it listens on.
    pub port: Option<u16>,
    /// The user who authenticated.
    pub user: Option<Arc<str>>,
}

/// What a look at the first bytes found. A look that recognised nothing is `protocol: Other`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What it is.
    pub protocol: Protocol,
    /// The name in it: SNI, or HTTP Host without its port.
    pub domain: Option<Domain>,
    /// The protocols that a TLS client offers, in its order.
    pub alpn: Vec<Arc<str>>,
    /// HTTP User-Agent.
    pub user_agent: Option<Arc<str>>,
    /// HTTP method.
    pub method: Option<Arc<str>>,
    /// Encrypted ClientHello is present: `domain` is only the outer name (RFC 9849).
    pub ech: bool,
    /// The version of QUIC (RFC 9000, 15).
    pub quic_version: Option<u32>,
    /// The software in an SSH banner (RFC 4253, 4.2).
    pub ssh_software: Option<Arc<str>>,
    /// The highest version that a TLS client offers, as on the wire (RFC 8446, 4.2.1).
    pub tls_version: Option<u16>,
}

/// The process that owns a flow's local socket. Each field stands for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The executable's file name; the kernel's short name where the path cannot be read.
    pub name: Fact<Arc<str>>,
    /// The executable's path.
    pub path: Fact<Arc<str>>,
    /// The arguments joined by a space.
    pub command_line: Fact<Arc<str>>,
    /// Its number.
    pub pid: Fact<u32>,
    /// The login name of its user.
    pub user: Fact<Arc<str>>,
    /// Its cgroup's path.
    pub cgroup: Fact<Arc<str>>,
    /// Its systemd unit.
    pub unit: Fact<Arc<str>>,
    /// The tag that `pointsmand --run` gave it.
    pub tag: Fact<Arc<str>>,
    /// Its ancestors' names, nearest first.
    pub parents: Vec<Parent>,
}

/// One ancestor of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// The executable's file name.
    pub name: Option<Arc<str>>,
    /// The executable's path.
    pub path: Option<Arc<str>>,
    /// Its number.
    pub pid: Option<u32>,
}

/// What the databases say of the destination's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Geo {
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<Arc<str>>,
    /// The number of the autonomous system.
    pub asn: Option<u32>,
}

/// All that is known of one flow.
///
/// `network`, `query_type`, `inbound`, `source`, `destination` and `port` are never asked for; there, `Unknown` counts as `Absent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// TCP, UDP or ICMP.
    pub network: Network,
    /// The type of the records that are asked for (RFC 1035 §3.2.2); flows have none.
    pub query_type: Option<u16>,
    /// How it came in.
    pub inbound: Fact<Inbound>,
    /// The client's address.
    pub source: Fact<SocketAddr>,
    /// Where the client asked to go.
    pub destination: Fact<Host>,
    /// The port that it asked for.
    pub port: Fact<u16>,
    /// What not every flow has, or not every policy wants to know.
    pub sought: Sought,
}

/// [`SoughtFacts`], on the heap once there is one: a flow of which none was sought keeps a word for all.
#[derive(Clone, Debug, Default)]
pub struct Sought(Option<Box<SoughtFacts>>);

/// Facts that not every flow has, or that not every policy wants to know.
///
/// `dscp`, `fake_ip`, `correlated` and `serves` are never asked for; there, `Unknown` counts as `Absent`. The others
/// are found when [`crate::Policy::decide`] asks with a [`Need`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoughtFacts {
    /// The differentiated services code point of the client's packets, 0 to 63 (RFC 2474).
    pub dscp: Fact<u8>,
    /// The name whose fake address was asked for.
    pub fake_ip: Fact<Domain>,
    /// The name that DNS correlation gives for the address asked for.
    pub correlated: Fact<Domain>,
    /// The name of the outbound that the flow's process serves: what the loop guard goes by, and found only
    /// where the rules chose a proxy.
    pub serves: Fact<Arc<str>>,
    /// What the first bytes are. [`Need::Sniff`].
    pub look: Fact<Box<Look>>,
    /// The addresses of a named destination, never empty, preferred first. [`Need::Resolve`].
    pub resolved: Fact<Vec<IpAddr>>,
    /// Whose flow it is. [`Need::Owner`].
    pub owner: Fact<Box<Process>>,
    /// What the databases say of the destination's address. [`Need::Country`].
    pub geo: Fact<Geo>,
    /// The address that the flow would leave by. [`Need::Local`].
    pub local: Fact<IpAddr>,
    /// What was answered to the requests of the policy, those that were asked. [`Need::Verdict`].
    pub verdicts: Vec<(RequestId, Fact<Answer>)>,
}

static NONE_SOUGHT: SoughtFacts = SoughtFacts {
    dscp: Fact::Unknown,
    fake_ip: Fact::Unknown,
    correlated: Fact::Unknown,
    serves: Fact::Unknown,
    look: Fact::Unknown,
    resolved: Fact::Unknown,
    owner: Fact::Unknown,
    geo: Fact::Unknown,
    local: Fact::Unknown,
    verdicts: Vec::new(),
};

impl Sought {
    /// Those that may be written to; from now on they have a place on the heap.
    pub fn to_mut(&mut self) -> &mut SoughtFacts {
        self.0.get_or_insert_default()
    }

    /// Whether none was written down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Those alone that no [`Need`] asks for: as a flow is before its first decision.
    #[must_use]
    pub fn unasked(&self) -> Self {
        let SoughtFacts {
            dscp,
            fake_ip,
            correlated,
            serves,
            ..
        } = &**self;
        SoughtFacts {
            dscp: dscp.clone(),
            fake_ip: fake_ip.clone(),
            correlated: correlated.clone(),
            serves: serves.clone(),
            ..SoughtFacts::default()
        }
        .into()
    }
}

impl Deref for Sought {
    type Target = SoughtFacts;

    fn deref(&self) -> &SoughtFacts {
        self.0.as_deref().unwrap_or(&NONE_SOUGHT)
    }
}

impl From<SoughtFacts> for Sought {
    fn from(facts: SoughtFacts) -> Self {
        Self((facts != NONE_SOUGHT).then(|| Box::new(facts)))
    }
}

/// A place on the heap that holds nothing is as good as none.
impl PartialEq for Sought {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Sought {}

/// A fact that a decision lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// `geo`: country and ASN of the destination's address.
    Country,
    /// `local`: the address that the flow would leave by.
    Local,
    /// `owner`: the process.
    Owner,
    /// `resolved`: the addresses of the destination's name.
    Resolve,
    /// `look`: the first bytes.
    Sniff,
    /// `verdicts`: what a subscriber says of the flow to this request.
    Verdict(RequestId),
}

impl Need {
    /// Those that every policy may have; verdicts are one for each request.
    pub const ALL: [Self; 5] = [
        Self::Country,
        Self::Local,
        Self::Owner,
        Self::Resolve,
        Self::Sniff,
    ];

    /// The word that `asked` uses for it in explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Local => "local",
            Self::Owner => "owner",
            Self::Resolve => "resolve",
            Self::Sniff => "sniff",
            Self::Verdict(_) => "verdict",
        }
    }
}

impl Facts {
    /// The name that the client asked for, by itself or by its fake address: what
    /// [`Need::Resolve`] is about.
    #[must_use]
    pub fn destination_name(&self) -> Option<&Domain> {
        let named = self.destination.known().and_then(Host::name);
        named.or_else(|| self.sought.fake_ip.known())
    }

    /// The destination's address, literal or the first resolved: what [`Need::Country`] is about.
    #[must_use]
    pub fn destination_address(&self) -> Option<IpAddr> {
        if self.destination_name().is_some() {
            self.sought.resolved.known()?.first().copied()
        } else {
            self.destination.known()?.address()
        }
    }

    /// Whether nobody found out yet.
    #[must_use]
    pub fn lacks(&self, need: Need) -> bool {
        match need {
            Need::Country => matches!(self.sought.geo, Fact::Unknown),
            Need::Local => matches!(self.sought.local, Fact::Unknown),
            Need::Owner => matches!(self.sought.owner, Fact::Unknown),
            Need::Resolve => matches!(self.sought.resolved, Fact::Unknown),
            Need::Sniff => matches!(self.sought.look, Fact::Unknown),
            Need::Verdict(request) => matches!(self.verdict(request), Fact::Unknown),
        }
    }

    /// Why a fact could not be found, where it was searched in vain.
    #[must_use]
    pub fn failure(&self, need: Need) -> Option<&Arc<str>> {
        match need {
            Need::Country => self.sought.geo.failure(),
            Need::Local => self.sought.local.failure(),
            Need::Owner => self.sought.owner.failure(),
            Need::Resolve => self.sought.resolved.failure(),
            Need::Sniff => self.sought.look.failure(),
            Need::Verdict(request) => self.verdict(request).failure(),
        }
    }

    /// Settles a fact that could not be found.
    pub fn fail(&mut self, need: Need, why: impl Into<Arc<str>>) {
        let why = why.into();
        match need {
            Need::Country => self.sought.to_mut().geo = Fact::Failed(why),
            Need::Local => self.sought.to_mut().local = Fact::Failed(why),
            Need::Owner => self.sought.to_mut().owner = Fact::Failed(why),
            Need::Resolve => self.sought.to_mut().resolved = Fact::Failed(why),
            Need::Sniff => self.sought.to_mut().look = Fact::Failed(why),
            Need::Verdict(request) => self.answer(request, Fact::Failed(why)),
        }
    }

    /// What was answered to a request.
    #[must_use]
    pub fn verdict(&self, request: RequestId) -> &Fact<Answer> {
        let found = self.sought.verdicts.iter().find(|(of, _)| *of == request);
        found.map_or(&Fact::Unknown, |(_, verdict)| verdict)
    }

    /// Settles what is answered to a request.
    pub fn answer(&mut self, request: RequestId, verdict: Fact<Answer>) {
        let verdicts = &mut self.sought.to_mut().verdicts;
        match verdicts.iter_mut().find(|(of, _)| *of == request) {
            Some((_, known)) => *known = verdict,
            None => verdicts.push((request, verdict)),
        }
    }
}

impl Network {
    /// Its word in rules and explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Protocol {
    /// All of them, by their words.
    pub const ALL: [Self; 12] = [
        Self::Bittorrent,
        Self::Dns,
        Self::Dtls,
        Self::Http,
        Self::Ntp,
        Self::Other,
        Self::Postgresql,
        Self::Quic,
        Self::Rdp,
        Self::Ssh,
        Self::Stun,
        Self::Tls,
    ];

    /// Its word in rules and explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bittorrent => "bittorrent",
            Self::Dns => "dns",
            Self::Dtls => "dtls",
            Self::Http => "http",
            Self::Ntp => "ntp",
            Self::Other => "other",
            Self::Postgresql => "postgresql",
            Self::Quic => "quic",
            Self::Rdp => "rdp",
            Self::Ssh => "ssh",
            Self::Stun => "stun",
            Self::Tls => "tls",
        }
    }

    /// The protocol of a word, in any case.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let same = |one: &Self| one.as_str().eq_ignore_ascii_case(word);
        Self::ALL.into_iter().find(same)
    }

    /// The transport that it is told over, if that is one alone.
    #[must_use]
    pub fn network(self) -> Option<Network> {
        match self {
            Self::Bittorrent | Self::Dns | Self::Other => None,
            Self::Http | Self::Postgresql | Self::Rdp | Self::Ssh | Self::Tls => Some(Network::Tcp),
            Self::Dtls | Self::Ntp | Self::Quic | Self::Stun => Some(Network::Udp),
        }
    }
}

impl InboundKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Dns,
        Self::Forward,
        Self::Http,
        Self::Mixed,
        Self::Redirect,
        Self::Socks5,
        Self::Tproxy,
        Self::Tun,
    ];

    /// Its word in rules and explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Forward => "forward",
            Self::Http => "http",
            Self::Mixed => "mixed",
            Self::Redirect => "redirect",
            Self::Socks5 => "socks5",
            Self::Tproxy => "tproxy",
            Self::Tun => "tun",
        }
    }

    /// Whether a rule that names this kind means a flow of `kind`: `mixed` is `http` or `socks5`.
    #[must_use]
    pub fn fits(self, kind: Self) -> bool {
        self == kind || (self == Self::Mixed && matches!(kind, Self::Http | Self::Socks5))
    }
}

//! The seam to the resolver: questions in, answers out.
//!
//! Invariant: whoever looks a name up does it through a [`Resolve`] of the flow's generation; that there is no such name
//! is never said where nobody could tell. Absent: how it is done; other records than addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Domain, OutboundId};
use pointsman_spec::address::{Families, Uplink};
use pointsman_spec::resolver::NameServer;
use tokio::time::Instant;

use crate::dial::Dialer;
use crate::stream::Stream;
use crate::tasks::Tasks;

/// A type of records (RFC 1035, 3.2.2; RFC 3596).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

/// What a name server is asked: for a name's records of one type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name.
    pub name: Domain,
    /// The type.
    pub kind: RecordType,
}

/// A record of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub data: Data,
    /// For how many seconds it held when it was answered.
    pub ttl: u32,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
}

impl Data {
    /// The address, an IPv4 one in IPv6 as what it is: for rules and sockets alike.
    #[must_use]
    pub fn address(self) -> IpAddr {
        match self {
            Self::A(address) => address.into(),
            Self::Aaaa(address) => IpAddr::V6(address).to_canonical(),
        }
    }
}

impl From<IpAddr> for Data {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The fixed addresses of the configuration.
    Configuration,
    /// The system's hosts file.
    HostsFile,
    /// Nobody: a rule for queries says it of the name.
    Rules,
    /// Nobody: what the name means is laid down (RFC 6761).
    Standard,
    /// A name server, in words: `udp 192.0.2.1:53`.
    Server(Arc<str>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("the configuration"),
            Self::HostsFile => f.write_str("the hosts file"),
            Self::Rules => f.write_str("a rule of `dns`"),
            Self::Standard => f.write_str("RFC 6761"),
            Self::Server(server) => f.write_str(server),
        }
    }
}

/// What is known of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name has records of that type: these, at least one.
    Records {
        /// All of them.
        records: Arc<[Record]>,
        /// Until when they hold.
        until: Instant,
        /// Who said so.
        from: Source,
    },
    /// The name exists, and has no record of that type (RFC 2308, 2.2).
    NoData {
        /// Until when that holds.
        until: Instant,
        /// Who said so.
        from: Source,
    },
    /// The name does not exist (RFC 2308, 2.1).
    NoName {
        /// Until when that holds.
        until: Instant,
        /// Who said so.
        from: Source,
    },
    /// Nobody could tell, and why: that says nothing of the name.
    Failed(Arc<str>),
}

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Never empty, preferred first.
    pub list: Vec<IpAddr>,
    /// Until when they hold: as long as the record that ends first.
    pub until: Instant,
    /// Who gave the first of them.
    pub from: Source,
}

impl Addresses {
    /// Addresses of the configuration, which hold for the moment.
    pub fn fixed(list: Vec<IpAddr>) -> Self {
        Self {
            list,
            until: Instant::now(),
            from: Source::Configuration,
        }
    }
}

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// There is no such name.
    #[error("there is no name {name}, says {from}")]
    NoName {
        /// The name.
        name: Domain,
        /// Who said so.
        from: Source,
    },
    /// The name exists, but not with such addresses.
    #[error("{name} has no {}, says {from}", of(*families))]
    NoAddress {
        /// The name.
        name: Domain,
        /// What was asked for.
        families: Families,
        /// Who said so.
        from: Source,
    },
    /// Nobody could tell, and why.
    #[error("{0}")]
    Failed(Arc<str>),
}

fn of(families: Families) -> &'static str {
    match families {
        Families::Ipv4Only => "IPv4 address",
        Families::Ipv6Only => "IPv6 address",
        Families::PreferIpv4 | Families::PreferIpv6 => "address",
    }
}

/// What a look-up of addresses comes to.
pub type AddressResult = Result<Addresses, NotFound>;

/// A question under way. Dropping it gives it up, for oneself alone.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// A look-up under way. Dropping it gives it up, for oneself alone.
pub type LookingUp<'a> = Pin<Box<dyn Future<Output = AddressResult> + Send + 'a>>;

/// Knows names, or asks name servers by the transport given.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// One question, of that very name.
    fn ask<'a>(&'a self, question: &'a Question, transport: &'a dyn Transport) -> Asking<'a>;

    /// The addresses of a name, of the families that the resolver is for; a short name may stand for a longer one.
    fn addresses<'a>(&'a self, name: &'a Domain, transport: &'a dyn Transport) -> LookingUp<'a>;
}

/// A stream to a name server under way, or one sentence that says why there is none.
pub type Streaming<'a> = Pin<Box<dyn Future<Output = Result<Stream, String>> + Send + 'a>>;

/// For whom a name is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behalf {
    /// A client, as clients are counted: a host of IPv6 by its /64.
    Client(IpAddr),
    /// The daemon itself.
    #[default]
    Daemon,
    /// A question that needs it to find its way to a name server.
    Question,
}

/// Groups by name, each with its selected member's name.
pub type Picks = Vec<(Arc<str>, Arc<str>)>;

/// How name servers are reached: from here, or by the outbounds of the generation that asks. A trait, for outbounds
/// look names up themselves.
pub trait Transport: fmt::Debug + Send + Sync {
    /// What makes sockets.
    fn dialer(&self) -> &Dialer;

    /// How datagrams leave by an outbound: as its streams do. `None` where it is not direct.
    fn datagrams(&self, via: OutboundId) -> Option<Uplink>;

    /// Whether datagrams that leave from here for that address would come back to us.
    ///
    /// # Errors
    /// They would: why they are not sent.
    fn refuse_datagrams(&self, _to: SocketAddr) -> Result<(), String> {
        Ok(())
    }

    /// A stream to the first address of a server that answers, by way of an outbound; `None`: from here.
    fn stream<'a>(
        &'a self,
        via: Option<OutboundId>,
        addresses: &'a [SocketAddr],
        limit: Duration,
    ) -> Streaming<'a>;

    /// The addresses of a name server's name, as bootstrap says.
    fn bootstrap<'a>(&'a self, name: &'a Domain) -> LookingUp<'a>;

    /// What the way by an outbound depends on beside what the configuration says: the groups on it, each with the member
    /// that is selected now.
    fn picks(&self, via: OutboundId) -> Picks;

    /// How many look-ups and outbounds this one stands within.
    fn depth(&self) -> u8;

    /// For whom it is looked up.
    fn behalf(&self) -> Behalf {
        Behalf::Daemon
    }

    /// Whether it is asked for clients of our own DNS server, which is then not asked itself.
    fn is_for_query(&self) -> bool {
        false
    }

    /// Whether our own DNS server is asked there. What it tells is decided anew each time, and kept by itself.
    fn asks_own_server(&self, _server: &NameServer) -> bool {
        false
    }

    /// Who owns questions: not those who ask them.
    fn questions(&self) -> &Tasks;

    /// Who owns connections to name servers.
    fn connections(&self) -> &Tasks;

    /// The same, for a question that may outlive whoever asks it, and what that needs itself.
    fn share(&self) -> Arc<dyn Transport>;
}

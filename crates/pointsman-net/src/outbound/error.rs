//! Why no stream came about: which part of the way is to blame, and what to tell the client.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_os::descriptors;
use pointsman_policy::model::MOST_NESTED;
use pointsman_policy::nowhere::Nowhere;
use pointsman_policy::refused::Refused;
use pointsman_policy::{Domain, guard};
use pointsman_wire::WhyNot;
use pointsman_wire::likeness::{self, Likeness};

use crate::exact;
use crate::lookup::NotFound;
use crate::record::Fault;
use crate::spec::listening::At;

/// Why no stream came about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The proxy wants a login, or another one.
    #[error("the proxy `{outbound}` does not accept our login")]
    Login {
        /// The proxy.
        outbound: Arc<str>,
    },
    /// The client is of another host, and the address is for this one alone.
    #[error("{}", guard::local_address(*address))]
    LocalAddress {
        /// The address.
        address: IpAddr,
    },
    /// The address stands for a name, and is no host's.
    #[error("{}", guard::fake_address(*address))]
    FakeAddress {
        /// The address.
        address: IpAddr,
    },
    /// The name leads where no flow of that client is taken.
    #[error("{0}")]
    Nowhere(Nowhere),
    /// Proxies take such a name for an address, which the rules did not see.
    #[error("{}", guard::like_address(name))]
    LikeAddress {
        /// The name.
        name: Domain,
    },
    /// The address is one of our own listeners.
    #[error("{}", guard::own_listener(at))]
    OwnListener {
        /// The address.
        at: At,
    },
    /// Something on the way carries no UDP.
    #[error("{}", guard::no_udp(outbound, why))]
    NoDatagrams {
        /// The outbound.
        outbound: Arc<str>,
        /// Why it does not.
        why: &'static str,
    },
    /// An outbound of a type that is not built yet.
    #[error("outbound `{outbound}` is of type {kind}, which is not built yet")]
    NotYet {
        /// The outbound.
        outbound: Arc<str>,
        /// Its type.
        kind: Arc<str>,
    },
    /// No target of a forward could be reached.
    #[error("no target of `{outbound}` could be reached: {why}")]
    NoTarget {
        /// The forward.
        outbound: Arc<str>,
        /// What happened to each.
        why: String,
        /// What the last one means.
        failure: Failure,
    },
    /// The proxy does not speak the protocol that it should.
    #[error("the proxy `{outbound}` broke its protocol: {why}")]
    ProxyBroke {
        /// The proxy.
        outbound: Arc<str>,
        /// In which way.
        why: String,
    },
    /// The proxy ended the connection where its answer was due.
    #[error("the proxy `{outbound}` closed the connection instead of answering {asked}{}", asked.perhaps())]
    ProxyClosed {
        /// The proxy.
        outbound: Arc<str>,
        /// What it did not answer.
        asked: ProxyStep,
    },
    /// The connection to the proxy broke while it was asked.
    #[error("the connection to the proxy `{outbound}` broke")]
    ProxyGone {
        /// The proxy.
        outbound: Arc<str>,
        /// How.
        source: io::Error,
    },
    /// The proxy could not, or would not, reach the target.
    #[error("the proxy `{outbound}` answered: {answer}")]
    ProxyRefused {
        /// The proxy.
        outbound: Arc<str>,
        /// Its words.
        answer: String,
        /// What it means.
        failure: Failure,
    },
    /// The proxy took the connection, and then said nothing.
    #[error(
        "outbound `{outbound}` connected to {at}, but had no answer to {asked} within {limit:?}"
    )]
    ProxySilent {
        /// The proxy.
        outbound: Arc<str>,
        /// Its server, with the port.
        at: String,
        /// What it did not answer.
        asked: ProxyStep,
        /// The limit, of all of the way.
        limit: Duration,
    },
    /// A refusing outbound stands inside of a chain.
    #[error("outbound `{outbound}` on the way refuses all flows")]
    Refuses {
        /// The outbound.
        outbound: Arc<str>,
    },
    /// A forward, or a target of one, takes no more.
    #[error("`{outbound}` is closed: {why}")]
    Shut {
        /// The forward or the target.
        outbound: Arc<str>,
        /// Why.
        why: Refused,
    },
    /// Time was over.
    #[error("outbound `{outbound}` did not connect within {limit:?}")]
    TimedOut {
        /// The outbound.
        outbound: Arc<str>,
        /// The limit.
        limit: Duration,
    },
    /// Outbounds stand within each other, perhaps without an end.
    #[error(
        "outbound `{outbound}`: groups, chains or look-ups are nested deeper than {MOST_NESTED}"
    )]
    TooDeep {
        /// The outbound.
        outbound: Arc<str>,
    },
    /// No connection.
    #[error("outbound `{outbound}` could not connect")]
    Unreachable {
        /// The outbound.
        outbound: Arc<str>,
        /// The system's words, with the address.
        source: io::Error,
    },
    /// The name to dial has no address, or nobody could tell.
    #[error("{}", unresolved(name, why))]
    Unresolved {
        /// The name.
        name: Domain,
        /// Why.
        why: NotFound,
    },
}

fn unresolved(name: &Domain, why: &NotFound) -> String {
    match why {
        NotFound::NoName { .. } | NotFound::NoAddress { .. } => why.to_string(),
        NotFound::Failed(why) => format!("`{name}` was not resolved: {why}"),
    }
}

/// What a proxy was asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyStep {
    /// By HTTP, to connect.
    Http,
    /// By SOCKS 5, to connect.
    Socks5,
    /// By SOCKS 5, to relay datagrams.
    Socks5Associate,
    /// By SOCKS 5, which methods it takes.
    Socks5Greeting,
    /// By SOCKS 5, whether it takes our login.
    Socks5Login,
}

impl ProxyStep {
    /// What it may mean that the proxy closed the connection then. OpenSSH has no other words for a target that it does
    /// not reach.
    fn perhaps(self) -> &'static str {
        match self {
            Self::Http => ": is it an HTTP proxy?",
            Self::Socks5 => ": it may not reach the target (`ssh -D` says so in this way)",
            Self::Socks5Associate => ": it may carry no UDP",
            Self::Socks5Greeting => ": is it a SOCKS5 proxy?",
            Self::Socks5Login => ": it may not accept our login",
        }
    }

    fn is_http(self) -> bool {
        matches!(self, Self::Http)
    }

    /// What is wrong with an answer that begins with `first`.
    pub(super) fn answered(self, why: WhyNot, first: &[u8]) -> String {
        let expected = if self.is_http() { "HTTP" } else { "SOCKS5" };
        if why != WhyNot::AnotherProtocol {
            return match self.is_http() {
                true => exact::why_no_head(why),
                false => why.to_string(),
            };
        }
        let came = match likeness::of_server(first) {
            Some(Likeness::Http) if !self.is_http() => {
                "it answered like an HTTP server: is `type: http` meant?"
            }
            Some(Likeness::Http) => "it answered in another version of HTTP",
            Some(Likeness::Socks5) => "it answered like a SOCKS5 server: is `type: socks5` meant?",
            Some(Likeness::Socks4) => "it answered like a SOCKS4 server, which is not supported",
            Some(Likeness::Tls) => {
                "it answered like a TLS server: has it another port, without TLS?"
            }
            Some(Likeness::Ssh) => "it answered like an SSH server",
            Some(Likeness::ProxyProtocol) | None => "its answer is of another protocol",
        };
        format!("{expected} was expected, and {came}")
    }
}

impl fmt::Display for ProxyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "the HTTP request to connect (CONNECT)",
            Self::Socks5 => "the SOCKS5 request to connect",
            Self::Socks5Associate => "the SOCKS5 request to relay UDP",
            Self::Socks5Greeting => "the SOCKS5 greeting",
            Self::Socks5Login => "the SOCKS5 login",
        })
    }
}

/// What a failed attempt means to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// None of the others.
    General,
    /// No way to the host, or no such host.
    HostUnreachable,
    /// No way to the network.
    NetworkUnreachable,
    /// The host is there and does not listen.
    Refused,
    /// No answer in time.
    TimedOut,
}

impl From<Nowhere> for Failure {
    fn from(nowhere: Nowhere) -> Self {
        match nowhere {
            Nowhere::Broadcast(_) | Nowhere::Multicast(_) => Self::NetworkUnreachable,
            Nowhere::NoPort => Self::Refused,
        }
    }
}

impl DialError {
    /// Whether another attempt, at the same place or the next, may end otherwise.
    ///
    /// Exhaustive on purpose: a new variant has to answer this question.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::LikeAddress { .. }
            | Self::LocalAddress { .. }
            | Self::NoDatagrams { .. }
            | Self::Nowhere(_)
            | Self::NotYet { .. }
            | Self::FakeAddress { .. }
            | Self::OwnListener { .. }
            | Self::Refuses { .. }
            | Self::Shut { .. }
            | Self::TooDeep { .. } => false,
            Self::Login { .. }
            | Self::NoTarget { .. }
            | Self::ProxyBroke { .. }
            | Self::ProxyClosed { .. }
            | Self::ProxyGone { .. }
            | Self::ProxyRefused { .. }
            | Self::ProxySilent { .. }
            | Self::TimedOut { .. }
            | Self::Unreachable { .. }
            | Self::Unresolved { .. } => true,
        }
    }

    /// What refuses the flow, where it is no failure but a refusal: nothing was tried, and nothing may be.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        match self {
            Self::LikeAddress { name } => Some(guard::like_address(name)),
            Self::LocalAddress { address } => Some(guard::local_address(*address)),
            Self::NoDatagrams { outbound, why } => Some(guard::no_udp(outbound, why)),
            Self::Nowhere(nowhere) => Some(nowhere.refused()),
            Self::FakeAddress { address } => Some(guard::fake_address(*address)),
            Self::OwnListener { at } => Some(guard::own_listener(at)),
            _ => None,
        }
    }

    /// What kind of failure it is, as it is counted and logged.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            // Refusals: nobody counts them as failures.
            Self::LikeAddress { .. }
            | Self::LocalAddress { .. }
            | Self::NoDatagrams { .. }
            | Self::Nowhere(_)
            | Self::FakeAddress { .. }
            | Self::OwnListener { .. }
            | Self::Shut { .. } => Fault::OutboundRefuses,
            Self::Login { .. } => Fault::Login,
            Self::NotYet { .. } => Fault::NotBuilt,
            Self::NoTarget { failure, .. } => match failure {
                Failure::General => Fault::Other,
                Failure::HostUnreachable => Fault::HostUnreachable,
                Failure::NetworkUnreachable => Fault::NetworkUnreachable,
                Failure::Refused => Fault::ConnectionRefused,
                Failure::TimedOut => Fault::TimedOut,
            },
            Self::ProxyBroke { .. } | Self::ProxyClosed { .. } | Self::ProxyGone { .. } => {
                Fault::Proxy
            }
            Self::ProxyRefused { .. } => Fault::ProxyRefused,
            Self::Refuses { .. } => Fault::OutboundRefuses,
            Self::ProxySilent { .. } | Self::TimedOut { .. } => Fault::TimedOut,
            Self::TooDeep { .. } => Fault::Loop,
            Self::Unreachable { source, .. } => of_the_system(source),
            Self::Unresolved { .. } => Fault::NotResolved,
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::LikeAddress { .. }
            | Self::LocalAddress { .. }
            | Self::Login { .. }
            | Self::NoDatagrams { .. }
            | Self::NotYet { .. }
            | Self::OwnListener { .. }
            | Self::ProxyBroke { .. }
            | Self::ProxyClosed { .. }
            | Self::ProxyGone { .. }
            | Self::Refuses { .. }
            | Self::Shut { .. }
            | Self::TooDeep { .. } => Failure::General,
            Self::NoTarget { failure, .. } | Self::ProxyRefused { failure, .. } => *failure,
            Self::Nowhere(nowhere) => Failure::from(*nowhere),
            Self::ProxySilent { .. } | Self::TimedOut { .. } => Failure::TimedOut,
            Self::Unreachable { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => Failure::Refused,
                io::ErrorKind::HostUnreachable => Failure::HostUnreachable,
                io::ErrorKind::NetworkUnreachable => Failure::NetworkUnreachable,
                io::ErrorKind::TimedOut => Failure::TimedOut,
                _ => Failure::General,
            },
            Self::FakeAddress { .. } | Self::Unresolved { .. } => Failure::HostUnreachable,
        }
    }
}

/// What kind of failure an error of the system is.
pub(crate) fn of_the_system(error: &io::Error) -> Fault {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::AddrInUse | Kind::AddrNotAvailable => Fault::Address,
        Kind::ConnectionRefused => Fault::ConnectionRefused,
        Kind::HostUnreachable => Fault::HostUnreachable,
        Kind::NetworkDown | Kind::NetworkUnreachable => Fault::NetworkUnreachable,
        Kind::OutOfMemory => Fault::Exhausted,
        Kind::PermissionDenied => Fault::NotPermitted,
        Kind::TimedOut => Fault::TimedOut,
        _ if descriptors::exhausted(error) => Fault::Exhausted,
        _ => Fault::Other,
    }
}

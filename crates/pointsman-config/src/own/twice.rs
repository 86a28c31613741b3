//! Addresses that cannot be listened on at once.
//!
//! Invariant: told from the text alone, and as the data plane decides when it binds. What names resolve to only that
//! knows. Two inbounds of exactly one address are told by the readers of the dialects.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use pointsman_policy::Host;
use pointsman_spec::overlap::{covers, overlap};

use crate::problem::{Problems, Span};
use crate::setup::{Dialect, Endpoint, Listen, Server, Setup};

/// A listener as the text says it.
struct Claim<'s> {
    what: &'static str,
    name: &'s str,
    at: At<'s>,
    span: &'s Span,
}

#[derive(Clone, Copy, PartialEq)]
enum At<'s> {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Named(&'s Host, u16),
    NamedUdp(&'s Host, u16),
    Unix(&'s Path),
    Fd(i32),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Named(host, port) => write!(f, "{host}:{port}"),
            Self::NamedUdp(host, port) => write!(f, "udp://{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Fd(number) => write!(f, "fd://{number}"),
        }
    }
}

/// How two listeners are in each other's way.
enum Clash {
    Same,
    /// The second is a part of the first.
    Part,
    /// The first is a part of the second.
    Whole,
}

/// Refuses each listener that one before it is in the way of.
pub(super) fn check(setup: &Setup, problems: &mut Problems) {
    let claims = claims(setup);
    for (index, second) in claims.iter().enumerate() {
        let found = claims[..index]
            .iter()
            .find_map(|first| Some((first, clash(first.at, second.at)?)));
        let Some((first, clash)) = found else {
            continue;
        };
        let inbounds = (first.what, second.what) == (INBOUND, INBOUND);
        if inbounds && matches!(clash, Clash::Same) && setup.dialect != Dialect::PolicyRouter {
            continue;
        }
        let (one, other, what) = (&second.at, &first.at, first.what);
        let (name, whose) = (second.name, first.name);
        let message = match clash {
            Clash::Same => {
                format!("`{name}` listens on {one}, and the {what} `{whose}` on {other}")
            }
            Clash::Part => format!(
                "`{name}` listens on {one}, which is a part of {other}, where the {what} `{whose}` listens"
            ),
            Clash::Whole => format!(
                "`{name}` listens on {one}, of which {other} is a part, where the {what} `{whose}` listens"
            ),
        };
        let problem = problems.error("duplicate-listen", second.span, message);
        problem.related = Some((first.span.clone(), "first here".into()));
    }
}

const INBOUND: &str = "inbound";

fn claims<'s>(setup: &'s Setup) -> Vec<Claim<'s>> {
    let inbounds = setup.inbounds.iter().map(|inbound| Claim {
        what: INBOUND,
        name: &inbound.name,
        at: At::Tcp(inbound.listen),
        span: &inbound.span,
    });
    let forwards = setup.forwards.iter().flat_map(|forward| {
        forward.listen.iter().map(|listen| Claim {
            what: "forward",
            name: &forward.name,
            at: place(&listen.at),
            span: &forward.span,
        })
    });
    let dns = setup.dns.iter().flat_map(|dns| &dns.doors);
    let dns = dns.flat_map(|door| {
        let span = door.span.as_ref();
        let claim = move |listen: &'s Listen| {
            Some(Claim {
                what: "DNS server",
                name: &door.name,
                at: place(&listen.at),
                span: span?,
            })
        };
        door.listen.iter().filter_map(claim)
    });
    inbounds.chain(forwards).chain(dns).collect()
}

fn place(at: &Endpoint) -> At<'_> {
    match at {
        Endpoint::Fd(number) => At::Fd(*number),
        Endpoint::Unix(path) => At::Unix(path),
        Endpoint::Tcp(Server { host, port }) => match host {
            Host::Address(address) => At::Tcp(SocketAddr::new(*address, *port)),
            host @ Host::Name(_) => At::Named(host, *port),
        },
        Endpoint::Udp(Server { host, port }) => match host {
            Host::Address(address) => At::Udp(SocketAddr::new(*address, *port)),
            host @ Host::Name(_) => At::NamedUdp(host, *port),
        },
    }
}

fn clash(first: At<'_>, second: At<'_>) -> Option<Clash> {
    match (first, second) {
        (At::Tcp(first), At::Tcp(second)) | (At::Udp(first), At::Udp(second))
            if overlap(first, second) =>
        {
            Some(match first == second {
                true => Clash::Same,
                false if covers(first, second) => Clash::Part,
                false => Clash::Whole,
            })
        }
        (At::Tcp(_) | At::Udp(_), _) => None,
        (At::Named(_, 0) | At::NamedUdp(_, 0), _) => None,
        (first, second) => (first == second).then_some(Clash::Same),
    }
}

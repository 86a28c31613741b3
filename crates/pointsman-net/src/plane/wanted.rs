//! Which listeners a generation asks for.
//!
//! Invariant: which sockets an address needs is said here alone, for all doors.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::address::Endpoint;
use pointsman_spec::address::Families;
use pointsman_spec::address::Server;
use pointsman_spec::door::DoorSpec;
use pointsman_spec::door::Listen;
pub(super) use pointsman_spec::overlap::{covers, overlap};

use super::ApplyError;
use crate::outbound::Ways;
use crate::spec::listening::At;

/// A listener that a generation asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) name: Arc<str>,
    pub(super) kind: InboundKind,
    /// See [`crate::spec::listening::Listening`].
    pub(super) scheme: Option<&'static str>,
    pub(super) at: At,
    /// Where it leads, by its place among the generation's doors.
    pub(super) door: usize,
    /// A host without this family does without it.
    pub(super) spare: bool,
    /// The other family of `::`: it gives way to what is said in words.
    pub(super) implied: bool,
}

impl Wanted {
    pub(super) fn failed(&self, source: io::Error) -> ApplyError {
        ApplyError::Bind {
            kind: in_words(self.kind),
            inbound: Arc::clone(&self.name),
            address: self.at.clone(),
            source,
        }
    }
}

/// All listeners of a generation, door by door.
pub(super) async fn wanted(doors: &[DoorSpec], ways: &Ways) -> Result<Vec<Wanted>, ApplyError> {
    let mut wanted = Vec::new();
    for (index, door) in doors.iter().enumerate() {
        for listen in &door.listen {
            let places = places(door, listen, ways).await?;
            wanted.extend(places.into_iter().map(|place| place.of(door, index)));
        }
    }
    without_conflicts(wanted)
}

/// What a door is called in messages.
pub(super) fn in_words(kind: InboundKind) -> &'static str {
    match kind {
        InboundKind::Forward => "forward",
        _ => "inbound",
    }
}

/// One socket that an address needs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Socket {
    at: At,
    spare: bool,
    implied: bool,
}

impl Socket {
    fn plain(at: At) -> Self {
        Self {
            at,
            spare: false,
            implied: false,
        }
    }

    fn of(self, spec: &DoorSpec, door: usize) -> Wanted {
        Wanted {
            name: Arc::clone(&spec.name),
            kind: spec.speaks.kind(),
            scheme: spec.tls.as_ref().map(|_| match spec.web_path {
                Some(_) => "https",
                None => "tls",
            }),
            at: self.at,
            door,
            spare: self.spare,
            implied: self.implied,
        }
    }
}

/// The sockets that an address needs; only a name is waited for.
async fn places(door: &DoorSpec, listen: &Listen, ways: &Ways) -> Result<Vec<Socket>, ApplyError> {
    let lacks = |what, source| ApplyError::Lacks {
        kind: in_words(door.speaks.kind()),
        inbound: Arc::clone(&door.name),
        what,
        source,
    };
    let Listen { at, families } = listen;
    let (Server { host, port }, of): (_, fn(SocketAddr) -> At) = match at {
        Endpoint::Fd(number) => return Ok(vec![Socket::plain(At::Fd(*number))]),
        Endpoint::Unix(path) => return Ok(vec![Socket::plain(At::Unix(path.clone()))]),
        Endpoint::Tcp(server) => (server, At::Tcp),
        Endpoint::Udp(server) => (server, At::Udp),
    };
    let both = matches!(families, Families::PreferIpv4 | Families::PreferIpv6);
    let any = |address: &IpAddr| both && address.is_ipv6() && address.is_unspecified();
    let mut implied = false;
    let mut addresses = match host {
        Host::Address(address) if any(address) => {
            implied = true;
            vec![Ipv4Addr::UNSPECIFIED.into(), *address]
        }
        Host::Address(address) => vec![*address],
        Host::Name(host) => {
            let generation = ways.generation();
            let limit = generation.spec().timeouts.resolve;
            let answer = ways
                .look_up(&**generation.resolver(None), host, limit)
                .await;
            let found = answer
                .map_err(|why| lacks(format!("to listen on `{host}`"), io::Error::other(why)))?;
            found.list
        }
    };
    match families {
        Families::Ipv4Only => addresses.retain(IpAddr::is_ipv4),
        Families::Ipv6Only => addresses.retain(IpAddr::is_ipv6),
        Families::PreferIpv4 | Families::PreferIpv6 => {}
    }
    if addresses.is_empty() {
        let source = io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "it has no address of the family asked for",
        );
        return Err(lacks(format!("to listen on `{host}`"), source));
    }
    let several = addresses.len() > 1;
    let socket = |address: IpAddr| Socket {
        at: of(SocketAddr::new(address, *port)),
        spare: several && address.is_ipv6(),
        implied: implied && address.is_ipv4(),
    };
    Ok(addresses.into_iter().map(socket).collect())
}

/// Implied ones give way; of two that were said in words and share a part, the second cannot be.
pub(super) fn without_conflicts(mut wanted: Vec<Wanted>) -> Result<Vec<Wanted>, ApplyError> {
    let said: Vec<At> = wanted
        .iter()
        .filter(|wanted| !wanted.implied)
        .map(|wanted| wanted.at.clone())
        .collect();
    wanted
        .retain(|wanted| !wanted.implied || has_no_port(&wanted.at) || !said.contains(&wanted.at));
    for (index, second) in wanted.iter().enumerate() {
        let beside = |first: &Wanted| first.at.beside(&second.at);
        let in_the_way = |first: &Wanted| match (beside(first), second.at.address()) {
            // `::` twice wants the other family twice.
            (Some(first_at), Some(second_at)) if first.implied == second.implied => {
                overlap(first_at, second_at)
            }
            _ => false,
        };
        if wanted[..index].iter().any(in_the_way) {
            return Err(second.failed(io::ErrorKind::AddrInUse.into()));
        }
    }
    Ok(wanted)
}

fn has_no_port(at: &At) -> bool {
    at.address().is_some_and(|address| address.port() == 0)
}

/// Whether the host lacks what the address needs, so that a spare one can be done without.
pub(super) fn is_lacking(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

//! What a plane listens on, over generations.
//!
//! Invariant: a listener whose address is asked for again keeps its sockets and their queues, whoever asks; a listening
//! socket that was handed over is not lost by a generation that was refused.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_os::local::{self, Inherited};
use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;
use tokio::sync::watch;

use super::{ApplyError, ListenerId};
use crate::forward::{Families, ForwardSpec, Listen};
use crate::generation::Spec;
use crate::listen::{Endpoint, Listener};
use crate::outbound::Ways;

/// Something that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The inbound's or forward's name.
    pub name: Arc<str>,
    /// What the inbound speaks; `Forward` for a forward.
    pub kind: InboundKind,
    /// Where, with the port that port 0 got.
    pub at: At,
}

/// An address that can be listened on: `127.0.0.1:5432`, `unix:/run/x.sock`, `fd:3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// An inherited descriptor.
    Fd(i32),
    /// TCP.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

impl At {
    /// The address, where it is TCP.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Fd(_) | Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fd(number) => write!(f, "fd:{number}"),
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The listeners in force.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) kept: Vec<Kept>,
    pub(super) next: u64,
    pub(super) stopped: bool,
    /// Listening sockets that were handed over, by number; each listener has a duplicate.
    pub(super) inherited: HashMap<i32, Inherited>,
    /// What rules decided: here, for it changes with the listeners alone.
    pub(super) tallies: super::tallies::Tallies,
}

/// A listener in force.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: ListenerId,
    pub(super) name: Arc<str>,
    pub(super) kind: InboundKind,
    /// As it was asked for: port 0 stays 0.
    pub(super) asked: At,
    pub(super) bound: Option<SocketAddr>,
    pub(super) listener: Listener,
    /// Opened when the first generation with this listener is in force: connections wait for that.
    pub(super) gate: watch::Sender<bool>,
}

impl Kept {
    /// Where connections reach it.
    pub(super) fn reached_at(&self) -> At {
        self.bound.map_or_else(|| self.asked.clone(), At::Tcp)
    }

    pub(super) fn listening(&self) -> Listening {
        let at = match (&self.asked, self.bound) {
            (At::Tcp(_), Some(bound)) => At::Tcp(bound),
            (asked, _) => asked.clone(),
        };
        Listening {
            name: Arc::clone(&self.name),
            kind: self.kind,
            at,
        }
    }
}

/// A listener that a generation asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) name: Arc<str>,
    pub(super) kind: InboundKind,
    pub(super) at: At,
    /// Index into [`Spec::forwards`].
    pub(super) forward: Option<usize>,
    /// A host without this family does without it.
    pub(super) spare: bool,
}

impl Wanted {
    pub(super) fn failed(&self, source: io::Error) -> ApplyError {
        ApplyError::Bind {
            kind: match self.kind {
                InboundKind::Forward => "forward",
                _ => "inbound",
            },
            inbound: Arc::clone(&self.name),
            address: self.at.clone(),
            source,
        }
    }
}

/// All listeners of a generation: of its inbounds one by one, then those of its forwards.
pub(super) async fn wanted(spec: &Spec, ways: &Ways) -> Result<Vec<Wanted>, ApplyError> {
    let of_inbound = |inbound: &crate::generation::InboundSpec| Wanted {
        name: Arc::clone(&inbound.name),
        kind: inbound.kind,
        at: At::Tcp(inbound.listen),
        forward: None,
        spare: false,
    };
    let mut wanted: Vec<Wanted> = spec.inbounds.iter().map(of_inbound).collect();
    for (index, forward) in spec.forwards.iter().enumerate() {
        for listen in &forward.listen {
            for (at, spare) in places(forward, listen, ways).await? {
                wanted.push(Wanted {
                    name: Arc::clone(&forward.name),
                    kind: InboundKind::Forward,
                    at,
                    forward: Some(index),
                    spare,
                });
            }
        }
    }
    Ok(wanted)
}

async fn places(
    forward: &ForwardSpec,
    listen: &Listen,
    ways: &Ways,
) -> Result<Vec<(At, bool)>, ApplyError> {
    let (host, port, families) = match listen {
        Listen::Fd(number) => return Ok(vec![(At::Fd(*number), false)]),
        Listen::Unix(path) => return Ok(vec![(At::Unix(path.clone()), false)]),
        Listen::Tcp {
            host,
            port,
            families,
        } => (host, *port, *families),
    };
    let both = matches!(families, Families::PreferIpv4 | Families::PreferIpv6);
    let mut addresses = match host {
        Host::Address(any @ IpAddr::V6(v6)) if both && v6.is_unspecified() => {
            vec![Ipv4Addr::UNSPECIFIED.into(), *any]
        }
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            let generation = ways.generation();
            let limit = generation.spec().limits.resolve;
            let answer = ways
                .look_up(&**generation.resolver(None), name, limit)
                .await;
            answer.map_err(|why| ApplyError::Forward {
                forward: Arc::clone(&forward.name),
                what: format!("to listen on `{name}`"),
                source: io::Error::other(why.to_string()),
            })?
        }
    };
    match families {
        Families::Ipv4Only => addresses.retain(IpAddr::is_ipv4),
        Families::Ipv6Only => addresses.retain(IpAddr::is_ipv6),
        Families::PreferIpv4 | Families::PreferIpv6 => {}
    }
    if addresses.is_empty() {
        return Err(ApplyError::Forward {
            forward: Arc::clone(&forward.name),
            what: format!("to listen on `{host}`"),
            source: io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "it has no address of the family asked for",
            ),
        });
    }
    let several = addresses.len() > 1;
    let at = |address: IpAddr| {
        let spare = several && address.is_ipv6();
        (At::Tcp(SocketAddr::new(address, port)), spare)
    };
    Ok(addresses.into_iter().map(at).collect())
}

/// For each listener that is wanted the index of the old one that it takes over: one of the same address, whatever it
/// speaks, for that belongs to the generation.
pub(super) fn take_over(wanted: &[Wanted], old: &[Kept]) -> Vec<Option<usize>> {
    let mut free = vec![true; old.len()];
    let fits = |index: usize, at: &At| old[index].asked == *at;
    let take = |wanted: &Wanted| {
        let found = (0..free.len()).find(|index| free[*index] && fits(*index, &wanted.at))?;
        free[found] = false;
        Some(found)
    };
    wanted.iter().map(take).collect()
}

/// The socket's owner and its group may connect; whoever else should is put into the group.
const UNIX_MODE: u32 = 0o660;

impl Listeners {
    /// What to bind for an address.
    pub(super) fn endpoint(&mut self, at: &At) -> io::Result<Endpoint> {
        match at {
            At::Tcp(address) => Ok(Endpoint::Tcp(*address)),
            At::Unix(path) => Ok(Endpoint::Unix {
                path: path.clone(),
                mode: UNIX_MODE,
            }),
            At::Fd(number) => {
                if !self.inherited.contains_key(number) {
                    let socket = local::inherited_listener(*number)?;
                    self.inherited.insert(*number, socket);
                }
                match &self.inherited[number] {
                    Inherited::TcpListener(socket) => {
                        socket.try_clone().map(Endpoint::InheritedTcp)
                    }
                    Inherited::UnixListener(socket) => {
                        socket.try_clone().map(Endpoint::InheritedUnix)
                    }
                    Inherited::Tcp(_) | Inherited::Udp(_) | Inherited::Unix(_) => {
                        Err(io::ErrorKind::InvalidInput.into())
                    }
                }
            }
        }
    }

    /// Closes what was handed over and is not listened on any more.
    pub(super) fn forget_inherited(&mut self) {
        let kept = &self.kept;
        self.inherited
            .retain(|number, _| kept.iter().any(|kept| kept.asked == At::Fd(*number)));
    }
}

/// Whether the host lacks what the address needs, so that a spare one can be done without.
pub(super) fn is_lacking(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

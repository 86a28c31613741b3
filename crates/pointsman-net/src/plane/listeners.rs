//! What a plane listens on, over generations.
//!
//! Invariant: a listener whose address is asked for again keeps its sockets and their queues, whoever asks; one whose
//! address is a part of what is asked for serves on beside the wider one; a listening socket that was handed over is not
//! lost by a generation that was refused. Which sockets an address needs is said here alone, for inbounds and forwards.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use pointsman_os::local::{self, Inherited};
use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;

use super::ApplyError;
use super::transaction::{Entrance, Place};
use crate::listen::{Endpoint, Listener};
use crate::lookup::Families;
use crate::outbound::Ways;
use crate::spec::Spec;
use crate::spec::forward::Listen;
use crate::spec::listening::{At, ListenerId, Listening};

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
    pub(super) place: Standing,
    pub(super) listener: Listener,
    pub(super) entrance: Arc<Entrance>,
}

/// Where a listener in force stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) id: ListenerId,
    pub(super) name: Arc<str>,
    pub(super) kind: InboundKind,
    /// As it was asked for: port 0 stays 0.
    pub(super) asked: At,
    pub(super) bound: Option<SocketAddr>,
    /// The number under which its socket was handed over, whatever is asked for by now.
    pub(super) inherited: Option<i32>,
    /// A part of a wider address that is asked for, where another socket listens, too.
    pub(super) within: bool,
}

impl Standing {
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

/// Whose a listener is, by its place in the generation's spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Inbound(usize),
    Forward(usize),
}

/// A listener that a generation asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) name: Arc<str>,
    pub(super) kind: InboundKind,
    pub(super) at: At,
    pub(super) owner: Owner,
    /// A host without this family does without it.
    pub(super) spare: bool,
    /// The other family of `::`: it gives way to what is said in words.
    pub(super) implied: bool,
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
    let mut wanted = Vec::new();
    for (index, inbound) in spec.inbounds.iter().enumerate() {
        let listen = Listen::Tcp {
            host: Host::Address(inbound.listen.ip()),
            port: inbound.listen.port(),
            families: Families::default(),
        };
        for place in places(&inbound.name, &listen, ways).await? {
            wanted.push(place.of(&inbound.name, inbound.kind, Owner::Inbound(index)));
        }
    }
    for (index, forward) in spec.forwards.iter().enumerate() {
        for listen in &forward.listen {
            for place in places(&forward.name, listen, ways).await? {
                wanted.push(place.of(&forward.name, InboundKind::Forward, Owner::Forward(index)));
            }
        }
    }
    without_conflicts(wanted)
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

    fn of(self, name: &Arc<str>, kind: InboundKind, owner: Owner) -> Wanted {
        Wanted {
            name: Arc::clone(name),
            kind,
            at: self.at,
            owner,
            spare: self.spare,
            implied: self.implied,
        }
    }
}

/// The sockets that an address needs; only a name is waited for.
async fn places(name: &Arc<str>, listen: &Listen, ways: &Ways) -> Result<Vec<Socket>, ApplyError> {
    let (host, port, families) = match listen {
        Listen::Fd(number) => return Ok(vec![Socket::plain(At::Fd(*number))]),
        Listen::Unix(path) => return Ok(vec![Socket::plain(At::Unix(path.clone()))]),
        Listen::Tcp {
            host,
            port,
            families,
        } => (host, *port, *families),
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
            let limit = generation.spec().limits.resolve;
            let answer = ways
                .look_up(&**generation.resolver(None), host, limit)
                .await;
            answer.map_err(|why| ApplyError::Forward {
                forward: Arc::clone(name),
                what: format!("to listen on `{host}`"),
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
            forward: Arc::clone(name),
            what: format!("to listen on `{host}`"),
            source: io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "it has no address of the family asked for",
            ),
        });
    }
    let several = addresses.len() > 1;
    let socket = |address: IpAddr| Socket {
        at: At::Tcp(SocketAddr::new(address, port)),
        spare: several && address.is_ipv6(),
        implied: implied && address.is_ipv4(),
    };
    Ok(addresses.into_iter().map(socket).collect())
}

/// Implied ones give way; of two that were said in words and share a part, the second cannot be.
fn without_conflicts(mut wanted: Vec<Wanted>) -> Result<Vec<Wanted>, ApplyError> {
    let said: Vec<At> = wanted
        .iter()
        .filter(|wanted| !wanted.implied)
        .map(|wanted| wanted.at.clone())
        .collect();
    wanted
        .retain(|wanted| !wanted.implied || has_no_port(&wanted.at) || !said.contains(&wanted.at));
    for (index, second) in wanted.iter().enumerate() {
        let in_the_way = |first: &Wanted| match (first.at.tcp(), second.at.tcp()) {
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
    at.tcp().is_some_and(|address| address.port() == 0)
}

/// Whether all clients of `part` are clients of `whole`.
pub(super) fn covers(whole: SocketAddr, part: SocketAddr) -> bool {
    whole.port() != 0
        && whole.port() == part.port()
        && whole.is_ipv4() == part.is_ipv4()
        && (whole.ip() == part.ip() || whole.ip().is_unspecified())
}

/// Whether a client may be one of both.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    covers(one, other) || covers(other, one)
}

/// What becomes of the listeners in force, and where the wanted ones come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each wanted listener the one that it takes over, by index; `None`: bound anew.
    pub(super) taken: Vec<Option<usize>>,
    /// Those that serve on as a part of a wider one that is wanted: theirs, and its index.
    pub(super) within: Vec<(usize, usize)>,
}

/// Each wanted listener takes over one that was asked for in the same words, else one of the same address, whatever it
/// speaks, for that belongs to the generation.
pub(super) fn plan(wanted: &[Wanted], old: &[Standing]) -> Plan {
    let mut free = vec![true; old.len()];
    let mut taken = vec![None; wanted.len()];
    let same_words = |old: &Standing, at: &At| match at {
        At::Fd(number) => old.inherited == Some(*number),
        at => old.asked == *at && !old.within,
    };
    let same_address = |old: &Standing, at: &At| {
        at.tcp()
            .is_some_and(|at| at.port() != 0 && old.bound == Some(at))
    };
    let fits: [fn(&Standing, &At) -> bool; 2] = [same_words, same_address];
    for fits in fits {
        for (wanted, taken) in wanted.iter().zip(&mut taken) {
            if taken.is_some() {
                continue;
            }
            *taken = (0..old.len()).find(|index| free[*index] && fits(&old[*index], &wanted.at));
            if let Some(index) = *taken {
                free[index] = false;
            }
        }
    }
    let part_of = |index: usize| {
        let bound = old[index].bound?;
        let whole = |wanted: &Wanted| wanted.at.tcp().is_some_and(|at| covers(at, bound));
        Some((index, wanted.iter().position(whole)?))
    };
    let within = (0..old.len())
        .filter(|index| free[*index])
        .filter_map(part_of)
        .collect();
    Plan { taken, within }
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

    /// Where a wanted listener will stand.
    pub(super) fn standing(&self, wanted: &Wanted, place: &Place) -> Standing {
        let (id, bound, inherited) = match place {
            Place::Kept(id) => {
                let old = self.kept.iter().find(|kept| kept.place.id == *id);
                let place = old.map(|kept| &kept.place);
                let inherited = place.and_then(|place| place.inherited);
                (*id, place.and_then(|place| place.bound), inherited)
            }
            Place::New(id, bound) => {
                let inherited = match &wanted.at {
                    At::Fd(number) => Some(*number),
                    At::Tcp(_) | At::Unix(_) => None,
                };
                (*id, bound.address(), inherited)
            }
        };
        Standing {
            id,
            name: Arc::clone(&wanted.name),
            kind: wanted.kind,
            asked: wanted.at.clone(),
            bound,
            inherited,
            within: false,
        }
    }

    /// Lets `address` be listened on beside what was handed over for a part of it, as all sockets of ours allow. Where
    /// the system refuses, binding tells.
    pub(super) fn share(&self, address: SocketAddr) {
        for kept in &self.kept {
            let place = &kept.place;
            let socket = place
                .inherited
                .and_then(|number| self.inherited.get(&number));
            if let (Some(Inherited::TcpListener(socket)), Some(bound)) = (socket, place.bound)
                && overlap(bound, address)
            {
                let _refused = pointsman_os::socket::share_port(socket);
            }
        }
    }

    /// Closes what was handed over and is not listened on any more.
    pub(super) fn forget_inherited(&mut self) {
        let kept = &self.kept;
        self.inherited.retain(|number, _| {
            kept.iter()
                .any(|kept| kept.place.inherited == Some(*number))
        });
    }
}

/// Whether the host lacks what the address needs, so that a spare one can be done without.
pub(super) fn is_lacking(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

#[cfg(test)]
mod tests;

//! What a plane listens on, over generations.
//!
//! Invariant: a listener whose address is asked for again keeps its sockets and their queues, whoever asks; one whose
//! address is a part of what is asked for serves on beside the wider one; a listening socket that was handed over is not
//! lost by a generation that was refused.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pointsman_os::local::{self, Inherited};
use pointsman_policy::fact::InboundKind;

use super::entrance::Entrance;
use super::wanted::{Wanted, covers, overlap};
use crate::ledger::Tallies;
use crate::listen::{Endpoint, Listener};
use crate::spec::listening::{At, ListenerId, Listening};

/// The listeners in force.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) kept: Vec<ActiveListener>,
    pub(super) next: u64,
    pub(super) stopped: bool,
    /// Listening sockets that were handed over, by number; each listener has a duplicate.
    pub(super) inherited: HashMap<i32, Inherited>,
    /// What rules decided: here, for it changes with the listeners alone.
    pub(super) tallies: Tallies,
}

/// A listener in force.
#[derive(Debug)]
pub(super) struct ActiveListener {
    pub(super) place: Standing,
    pub(super) listener: Listener,
    pub(super) entrance: Arc<Entrance>,
}

impl ActiveListener {
    /// Whether it is gone, and still takes those who began to connect before that.
    pub(super) fn lingers(&self) -> bool {
        let farewell = self.entrance.farewell.load();
        farewell.as_ref().is_some_and(|told| told.heirs.is_some())
    }
}

/// Where a listener in force stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) id: ListenerId,
    pub(super) name: Arc<str>,
    pub(super) kind: InboundKind,
    pub(super) scheme: Option<&'static str>,
    /// As it was asked for: port 0 stays 0.
    pub(super) asked: At,
    pub(super) bound: Option<SocketAddr>,
    /// The number under which its socket was handed over, whatever is asked for by now.
    pub(super) inherited: Option<i32>,
    /// A part of a wider address that is asked for, where another socket listens, too.
    pub(super) within: bool,
}

impl Standing {
    /// One that was bound as it is wanted.
    pub(super) fn new(id: ListenerId, wanted: &Wanted, bound: Option<SocketAddr>) -> Self {
        Self {
            id,
            name: Arc::clone(&wanted.name),
            kind: wanted.kind,
            scheme: wanted.scheme,
            asked: wanted.at.clone(),
            bound,
            inherited: match &wanted.at {
                At::Fd(number) => Some(*number),
                At::Tcp(_) | At::Udp(_) | At::Unix(_) => None,
            },
            within: false,
        }
    }

    /// The same socket for what is wanted now.
    pub(super) fn asked_anew(&self, wanted: &Wanted) -> Self {
        Self {
            inherited: self.inherited,
            ..Self::new(self.id, wanted, self.bound)
        }
    }

    /// The same socket as a part of a wider one that is wanted now.
    pub(super) fn within(&self, whole: &Wanted) -> Self {
        Self {
            name: Arc::clone(&whole.name),
            kind: whole.kind,
            scheme: whole.scheme,
            within: true,
            ..self.clone()
        }
    }

    pub(super) fn listening(&self) -> Listening {
        let at = match (&self.asked, self.bound) {
            (At::Tcp(_), Some(bound)) => At::Tcp(bound),
            (At::Udp(_), Some(bound)) => At::Udp(bound),
            (asked, _) => asked.clone(),
        };
        Listening {
            id: self.id,
            name: Arc::clone(&self.name),
            kind: self.kind,
            scheme: self.scheme,
            at,
            reached: self.bound.filter(|_| !self.asked.is_udp()),
        }
    }

    /// Where it is bound, as far as it may be in the way of one there: both are of one transport.
    pub(super) fn bound_beside(&self, at: &At) -> Option<SocketAddr> {
        self.bound.filter(|_| self.asked.is_udp() == at.is_udp())
    }
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
/// speaks, for that belongs to the generation; of UDP one that is served alike, for queries are not taken as flows are.
pub(super) fn plan(wanted: &[Wanted], old: &[Standing]) -> Plan {
    let mut free = vec![true; old.len()];
    let mut taken = vec![None; wanted.len()];
    let alike = |old: &Standing, wanted: &Wanted| {
        let is_dns = |kind| kind == InboundKind::Dns;
        !wanted.at.is_udp() || is_dns(old.kind) == is_dns(wanted.kind)
    };
    let same_words = |old: &Standing, at: &At| match at {
        At::Fd(number) => old.inherited == Some(*number),
        at => old.asked == *at && !old.within,
    };
    let same_address = |old: &Standing, at: &At| {
        at.address()
            .is_some_and(|address| address.port() != 0 && old.bound_beside(at) == Some(address))
    };
    let fits: [fn(&Standing, &At) -> bool; 2] = [same_words, same_address];
    for fits in fits {
        for (wanted, taken) in wanted.iter().zip(&mut taken) {
            if taken.is_some() {
                continue;
            }
            let is_it = |old: &Standing| alike(old, wanted) && fits(old, &wanted.at);
            *taken = (0..old.len()).find(|index| free[*index] && is_it(&old[*index]));
            if let Some(index) = *taken {
                free[index] = false;
            }
        }
    }
    let part_of = |index: usize| {
        let old = &old[index];
        let whole = |wanted: &Wanted| {
            let both = wanted.at.address().zip(old.bound_beside(&wanted.at));
            both.is_some_and(|(whole, part)| covers(whole, part)) && alike(old, wanted)
        };
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
            At::Udp(address) => Ok(Endpoint::Udp(*address)),
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

    /// Where connections reach one, also where its socket was handed over.
    pub(super) fn reached_at(&self, place: &Standing) -> At {
        let inherited = place.inherited;
        let socket = inherited.and_then(|number| self.inherited.get(&number));
        match (place.bound, socket) {
            (Some(bound), _) if place.asked.is_udp() => At::Udp(bound),
            (Some(bound), _) => At::Tcp(bound),
            (None, Some(Inherited::UnixListener(socket))) => {
                let address = socket.local_addr().ok();
                let path = address.and_then(|address| address.as_pathname().map(Path::to_owned));
                path.map_or_else(|| place.asked.clone(), At::Unix)
            }
            (None, _) => place.asked.clone(),
        }
    }

    /// Lets `address` be listened on beside what was handed over for a part of it, as all sockets of ours allow. Where
    /// the system refuses, binding tells.
    pub(super) fn share(&self, at: &At) {
        let Some(address) = at.tcp() else {
            return;
        };
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

#[cfg(test)]
mod tests;

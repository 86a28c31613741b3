//! Ways out for datagrams: from the outbound of a flow over UDP to a socket, and what goes before each datagram.
//!
//! Invariants: what cannot carry UDP refuses the flow and says why, and nothing leaves in its stead; each server of a chain
//! is asked through those before it, and its relay is reached through theirs; a way lives no longer than the connections
//! by which its servers were asked (RFC 1928, section 7).
//!
//! A proxy that is told a name answers from an address, so that two names at one association could not be told apart:
//! a flow to a name has an association of its own there.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pointsman_os::socket::is_own_address;
use pointsman_policy::model::udp::Udp;
use pointsman_policy::{Host, OutboundId, local};
use pointsman_spec::address::Uplink;
use pointsman_spec::asks::Asked;
use pointsman_spec::outbound::{Carrier, Group, How, Kind};
use pointsman_wire::RequestHost;
use pointsman_wire::socks;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::bound::is_believed;
use super::progress::{Limit, Progress};
use super::{Destination, DialError, MAX_DEPTH, Path, Pick, Ways, socks5};
use crate::spec::listening::At;
use crate::stream::Stream;

/// By which way the datagrams of a flow leave: flows with the same one may share a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatagramWay {
    /// The configuration whose outbounds it goes by.
    load: u64,
    /// The outbound that carries, for whoever reads what went wrong.
    outbound: Arc<str>,
    /// Servers on the way, nearest first; none: from here.
    hops: Vec<OutboundId>,
    uplink: Uplink,
    /// The place of a flow that has the way for itself.
    own: Option<(Host, u16)>,
    /// The family of the address that its socket sends to first.
    is_v6: bool,
}

impl DatagramWay {
    /// Whether it leaves from here, with no server between.
    pub(crate) fn is_direct(&self) -> bool {
        self.hops.is_empty()
    }

    /// How many servers are on it.
    pub(crate) fn servers(&self) -> usize {
        self.hops.len()
    }

    /// Whether one flow has it for itself.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// How it leaves this host.
    pub(crate) fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// As a way of its own for a flow to that place, or to an address of that family.
    pub(crate) fn to(mut self, destination: &Destination, address: Option<SocketAddr>) -> Self {
        if self.is_direct() {
            self.is_v6 = address.is_some_and(|address| address.is_ipv6());
        } else if let Host::Name(_) = destination.host {
            self.own = Some((destination.host.clone(), destination.port));
        }
        self
    }
}

/// A way that is open for datagrams.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Arc<UdpSocket>,
    /// Where all of them go first; `None`: each to where its flow goes.
    pub(crate) relay: Option<SocketAddr>,
    /// Goes before the last header: one header for each further relay.
    pub(crate) before: Vec<u8>,
    /// The relays that those are for.
    pub(crate) between: Vec<SocketAddr>,
    /// The connections by which the servers were asked; the way ends with the first of them.
    pub(crate) controls: Vec<Stream>,
}

/// What is left of an outbound on the way to its servers.
#[derive(Debug, Default)]
struct Hops {
    servers: Vec<OutboundId>,
    uplink: Uplink,
    /// Whether the nearest one is known, a server or this host's own way.
    left: bool,
    depth: u8,
}

impl Ways {
    /// By which way the datagrams of a flow leave that was given that outbound.
    ///
    /// # Errors
    /// [`DialError::NoDatagrams`] where something on the way carries none.
    pub(crate) fn datagram_way(&self, pick: &Pick) -> Result<DatagramWay, DialError> {
        let mut hops = Hops::default();
        self.hops(pick.outbound, pick, &mut hops)?;
        Ok(DatagramWay {
            load: self.generation().number().load,
            outbound: self.name(pick.member),
            hops: hops.servers,
            uplink: hops.uplink,
            own: None,
            is_v6: false,
        })
    }

    /// From here, by the host's own routes; `outbound` is told where that goes wrong.
    pub(super) fn direct_datagrams(&self, outbound: &Arc<str>) -> DatagramWay {
        DatagramWay {
            load: self.generation().number().load,
            outbound: Arc::clone(outbound),
            hops: Vec::new(),
            uplink: Uplink::default(),
            own: None,
            is_v6: false,
        }
    }

    /// The servers of an outbound, nearest first.
    ///
    /// A second walk beside [`Self::through`], on purpose. That one goes from the destination back, as each server is
    /// asked for the next: it counts every outbound entered as depth, for the look-ups that begin on its way, and checks
    /// the destination before it looks at nearer hops. This one asks nobody: it goes from here on, counts only what stands
    /// within each other, and refuses what carries no UDP at the first hop that does not. One list for both would change
    /// which error is told, or carry both counts and both orders.
    fn hops(&self, id: OutboundId, pick: &Pick, hops: &mut Hops) -> Result<(), DialError> {
        let name = || self.name(id);
        hops.depth += 1;
        let outbound = self.generation().outbound(id);
        let Some(outbound) = outbound.filter(|_| hops.depth <= MAX_DEPTH) else {
            return Err(DialError::TooDeep { outbound: name() });
        };
        // What a group says is stronger than what its member says; further servers are reached by the nearest.
        if let Some(uplink) = outbound.kind.uplink()
            && !hops.left
            && hops.uplink == Uplink::default()
        {
            hops.uplink = uplink.clone();
        }
        // The same that explanations and `check` know of it.
        if let Udp::Not(why) = outbound.kind.udp() {
            return Err(DialError::NoDatagrams {
                outbound: name(),
                why,
            });
        }
        match &outbound.kind {
            Kind::Carry(Carrier::Direct(_)) => {
                hops.left = true;
                Ok(())
            }
            Kind::Carry(Carrier::Upstream(_)) => {
                hops.left = true;
                hops.servers.push(id);
                Ok(())
            }
            Kind::Choose(Group {
                members: _,
                how: How::Selected { .. },
            }) => {
                match self.picked(id, outbound, &pick.groups) {
                    Some(member) => self.hops(member, pick, hops)?,
                    None => return Err(DialError::TooDeep { outbound: name() }),
                }
                hops.depth -= 1;
                Ok(())
            }
            Kind::Through(all) => {
                for hop in all {
                    let depth = hops.depth;
                    self.hops(*hop, pick, hops)?;
                    hops.depth = depth;
                }
                Ok(())
            }
            Kind::NotYet { kind, .. } => Err(DialError::NotYet {
                outbound: name(),
                kind: Arc::clone(kind),
            }),
            // What asks for a place of its own is not taken to another.
            Kind::Carry(Carrier::Target(_)) | Kind::Choose(_) | Kind::Refuse(_) => {
                Err(DialError::Refuses { outbound: name() })
            }
        }
    }

    /// The address that datagrams go to which leave from here; names are looked up.
    ///
    /// # Errors
    /// Those of the look-up, and refusals of addresses that the client may not be taken to.
    pub(crate) async fn datagram_address(
        &self,
        destination: &Destination,
        lent: &super::Lent,
        uplink: &Uplink,
    ) -> Result<SocketAddr, DialError> {
        let addresses = self.addresses_of(&Path::default(), destination).await?;
        let allowed = || addresses.iter().filter(|address| lent.allows(**address));
        // Nothing tells whether a datagram arrived: of several addresses one that this host has a way to.
        let routed = || allowed().find(|address| self.dialer().has_route(**address, uplink));
        let first = match addresses.len() {
            0 | 1 => allowed().next(),
            _ => routed().or_else(|| allowed().next()),
        };
        match (first, addresses.first()) {
            (Some(address), _) => {
                // As over TCP: to no address in particular is to this host.
                let address = local::loopback_of(*address).unwrap_or(*address);
                let to = SocketAddr::new(address, destination.port);
                self.refuse_own_at(At::Udp(to))?;
                self.refuse_relay(to)?;
                Ok(to)
            }
            (None, Some(address)) => Err(DialError::LocalAddress { address: *address }),
            (None, None) => Err(DialError::TooDeep {
                outbound: "?".into(),
            }),
        }
    }

    /// Refuses an address where an association of ours takes datagrams.
    pub(super) fn refuse_relay(&self, at: SocketAddr) -> Result<(), DialError> {
        let canonical = SocketAddr::new(at.ip().to_canonical(), at.port());
        match self.shared().relays.has(canonical) {
            true => Err(DialError::OwnListener { at: At::Udp(at) }),
            false => Ok(()),
        }
    }

    /// Refuses what a proxy would take for an address that the rules did not see.
    ///
    /// # Errors
    /// [`DialError::LikeAddress`].
    pub(crate) fn refuse_like_address(&self, destination: &Destination) -> Result<(), DialError> {
        match &destination.host {
            Host::Name(name) if name.ends_in_number() => {
                Err(DialError::LikeAddress { name: name.clone() })
            }
            Host::Name(_) | Host::Address(_) => Ok(()),
        }
    }

    /// Opens a way from here; `first` is where the first datagram goes.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn link_directly(
        &self,
        way: &DatagramWay,
        first: Option<SocketAddr>,
    ) -> Result<Link, DialError> {
        // Every flow that leaves from here has an address.
        let first = first.unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
        let socket = self.dialer().datagrams(first, &way.uplink);
        let socket = socket.map_err(|source| DialError::Unreachable {
            outbound: Arc::clone(&way.outbound),
            source,
        })?;
        Ok(Link {
            socket: Arc::new(socket),
            relay: None,
            before: Vec::new(),
            between: Vec::new(),
            controls: Vec::new(),
        })
    }

    /// Opens a way by proxies, asked one after the other.
    ///
    /// # Errors
    /// [`DialError`], as for streams.
    pub(crate) async fn link(&self, way: &DatagramWay) -> Result<Link, DialError> {
        let limit = self.generation().spec().timeouts.dial;
        let progress = Progress::default();
        let within = Limit {
            within: limit,
            progress: &progress,
        };
        match timeout(limit, self.associate(way, within)).await {
            Ok(linked) => linked,
            Err(_elapsed) => Err(progress.over(Arc::clone(&way.outbound), limit)),
        }
    }

    async fn associate(&self, way: &DatagramWay, limit: Limit<'_>) -> Result<Link, DialError> {
        let mut relays = Vec::with_capacity(way.hops.len());
        let mut controls = Vec::with_capacity(way.hops.len());
        for (index, id) in way.hops.iter().enumerate() {
            let (relay, control) = self.ask_for_relay(way, index, *id, limit).await?;
            relays.push(relay);
            controls.push(control);
        }
        let mut before = Vec::new();
        for relay in relays.iter().skip(1) {
            let host = RequestHost::Address(relay.ip());
            // Addresses can always be written.
            let _ = socks::write_udp_header(&mut before, &host, relay.port());
        }
        let relay = relays.first().copied();
        if let Some(relay) = relay {
            // What a proxy says may lead back here, and each datagram would make the next.
            self.refuse_own_at(At::Udp(relay))?;
            self.refuse_relay(relay)?;
        }
        let between = relays.split_off(relays.len().min(1));
        let link = self.link_directly(way, relay)?;
        Ok(Link {
            relay,
            before,
            between,
            controls,
            ..link
        })
    }

    /// The relay of the server `id`, which is asked through those before it, and the connection by which it was.
    async fn ask_for_relay(
        &self,
        way: &DatagramWay,
        index: usize,
        id: OutboundId,
        limit: Limit<'_>,
    ) -> Result<(SocketAddr, Stream), DialError> {
        let name = self.name(id);
        let outbound = self.generation().outbound(id);
        let Some(upstream) = outbound.and_then(|outbound| outbound.kind.upstream()) else {
            return Err(DialError::TooDeep { outbound: name });
        };
        let path = Path {
            before: way.hops[..index].to_vec(),
            uplink: way.uplink.clone(),
            depth: self.depth + 1,
            ..Path::default()
        };
        let path = path.towards_server();
        let server = Destination::of_server(upstream);
        let stream = self.reach(&name, path, server.clone(), limit).await?;
        limit.progress.connected(&name, upstream);
        let login = upstream.protocol.credentials();
        let (stream, bound) = socks5::associate(&name, stream, login, limit.progress).await?;
        let bound = SocketAddr::new(bound.ip().to_canonical(), bound.port());
        let peer = stream.peer_addr().map(|peer| peer.ip().to_canonical());
        let found = match (index, &server.host) {
            (0, _) => peer,
            (_, Host::Address(address)) => Some(*address),
            (_, Host::Name(_)) => None,
        };
        // What further proxies say is reached from those before them.
        let is_own = |address| index == 0 && is_own_address(address);
        if is_believed(bound.ip(), found, is_own) {
            return Ok((bound, stream));
        }
        let at = match (index, peer, &server.host) {
            (0, Some(peer), _) => peer,
            (_, _, Host::Address(address)) => *address,
            (_, _, Host::Name(named)) => {
                let path = Path::default().towards_server();
                let found = self.look_up_for(&path, named, Asked::default()).await?;
                let unspecified = || IpAddr::from([0, 0, 0, 0]);
                found.first().copied().unwrap_or_else(unspecified)
            }
        };
        Ok((SocketAddr::new(at, bound.port()), stream))
    }
}

#[cfg(test)]
mod tests;

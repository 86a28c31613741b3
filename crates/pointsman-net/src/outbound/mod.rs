//! Ways out: from an outbound's number and a destination to a connected stream.
//!
//! Invariant: an outbound that cannot carry a flow refuses it and says why; none ever goes direct in
//! its stead. Proxies get the name that the client asked for; `direct` dials the addresses that the
//! policy saw, else asks whoever is asked for the flow's name ([`Asked`]); names of servers are the server resolver's.
//!
//! A chain is no kind of connection of its own: "through these hops" is a list, and whoever needs
//! a stream to somewhere asks for it through what is left of the list.

mod bound;
mod datagram_target;
mod datagrams;
mod error;
mod from_here;
mod http;
mod lent;
mod members;
mod progress;
mod socks5;
mod target;
mod transport;
mod trials;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::model::MOST_NESTED;
use pointsman_policy::{Action, Domain, Host, OutboundId};
use pointsman_spec::address::Uplink;
use pointsman_spec::asks::Asked;
use pointsman_spec::outbound::{Carrier, Group, How, Kind, Outbound, Protocol, Upstream};
use pointsman_wire::RequestHost;
use tokio::time::timeout;

pub(crate) use self::datagram_target::DatagramTarget;
pub(crate) use self::datagrams::{DatagramWay, Link};
pub(crate) use self::error::of_the_system;
pub use self::error::{DialError, Failure, ProxyStep};
pub use self::lent::Lent;
pub(crate) use self::members::{Pick, Stay};
use self::progress::{Limit, Progress};
pub(crate) use self::target::Errand;
use crate::dial::Dialer;
use crate::ends::Ends;
use crate::generation::Generation;
use crate::lookup::{AddressResult, Behalf, NotFound, Resolve};
use crate::shared::Shared;
use crate::spec::asks::unasked;
use crate::stream::Stream;

/// Where a flow goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Name or address.
    pub host: Host,
    /// Port.
    pub port: u16,
    /// The addresses of a name that the policy already saw; empty: not resolved.
    pub resolved: Vec<IpAddr>,
    /// Who is asked for a name that is not resolved, and is dialled from here.
    pub asked: Asked,
}

impl Destination {
    fn of_server(upstream: &Upstream) -> Self {
        Self {
            host: upstream.server.host.clone(),
            port: upstream.server.port,
            resolved: Vec::new(),
            asked: Asked::default(),
        }
    }

    /// As proxies are told it.
    pub(crate) fn on_the_wire(&self) -> RequestHost {
        match &self.host {
            Host::Address(address) => RequestHost::Address(*address),
            Host::Name(name) => RequestHost::Name(name.as_str().to_owned()),
        }
    }
}

/// The outbounds of one generation, as one flow (or one look-up) uses them.
#[derive(Clone, Debug)]
pub struct Ways {
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    /// Outbounds within look-ups within outbounds ...
    depth: u8,
    /// For whom names are looked up.
    behalf: Behalf,
    /// Whether it is for a query, so that our own DNS server is not asked.
    for_query: bool,
}

/// Outbounds and look-ups that may stand within each other. Configurations that nest outbounds deeper are refused; what
/// gets here too deep is nested by look-ups that go by outbounds whose servers are looked up.
const MAX_DEPTH: u8 = MOST_NESTED;

/// What is left of the way to a destination.
#[derive(Clone, Debug, Default)]
struct Path {
    /// Hops that come before, nearest first.
    before: Vec<OutboundId>,
    /// How a group says that its members leave.
    uplink: Uplink,
    /// Whether the destination is the server of an outbound, and no longer what the flow named.
    to_server: bool,
    /// Outbounds entered so far.
    depth: u8,
    /// Which addresses of this host the destination may be; servers may be any.
    lent: Lent,
    /// What groups had selected when the flow was decided.
    picks: Vec<(OutboundId, OutboundId)>,
}

/// A way that is open for a flow.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    /// What the flow occupies.
    pub(crate) stay: Stay,
    /// The longest that nothing may come from where it leads.
    pub(crate) read_timeout: Option<Duration>,
    /// The longest that it may be that nothing is taken there.
    pub(crate) write_timeout: Option<Duration>,
}

impl From<Stream> for Opened {
    fn from(stream: Stream) -> Self {
        Self {
            stream,
            stay: Stay::default(),
            read_timeout: None,
            write_timeout: None,
        }
    }
}

type Opening<'a> = Pin<Box<dyn Future<Output = Result<Stream, DialError>> + Send + 'a>>;

impl Ways {
    pub(crate) fn new(shared: Arc<Shared>, generation: Arc<Generation>) -> Self {
        Self {
            shared,
            generation,
            depth: 0,
            behalf: Behalf::Daemon,
            for_query: false,
        }
    }

    /// For a flow between these ends.
    pub(crate) fn of(self, ends: &Ends) -> Self {
        let behalf = ends.counted().map_or(Behalf::Daemon, Behalf::Client);
        Self { behalf, ..self }
    }

    /// The generation whose outbounds these are.
    #[must_use]
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What makes sockets.
    #[must_use]
    pub fn dialer(&self) -> &Dialer {
        self.shared.dialer()
    }

    /// What the outbound does to a flow given to it.
    pub(crate) fn action(&self, id: OutboundId) -> Option<Action> {
        self.generation.action(self.member(id))
    }

    /// Opens a stream to `destination` by way of an outbound, within `limit`, every hop included.
    ///
    /// # Errors
    /// [`DialError`] tells which part failed, and whether another way may be better.
    pub async fn open(
        &self,
        id: OutboundId,
        destination: &Destination,
        limit: Duration,
    ) -> Result<Stream, DialError> {
        self.open_picked(self.pick(id), destination, limit, Lent::All)
            .await
    }

    /// As [`Self::open`], by the members that were selected when the flow was decided, and for a client that may be
    /// lent only some addresses of this host.
    ///
    /// # Errors
    /// As [`Self::open`].
    async fn open_picked(
        &self,
        pick: Pick,
        destination: &Destination,
        limit: Duration,
        lent: Lent,
    ) -> Result<Stream, DialError> {
        let id = pick.outbound;
        let mut path = Path {
            depth: self.depth,
            lent,
            picks: pick.groups,
            ..Path::default()
        };
        let progress = Progress::default();
        let within = Limit {
            within: limit,
            progress: &progress,
        };
        let opening = async {
            match self.generation.outbound(id) {
                // The one step of most flows, without the box that longer ways take.
                Some(Outbound {
                    name,
                    kind: Kind::Carry(Carrier::Direct(uplink)),
                }) if path.depth < MAX_DEPTH => {
                    path.depth += 1;
                    self.dial(name, path.or(uplink), destination, limit).await
                }
                _ => self.through(id, path, destination.clone(), within).await,
            }
        };
        match timeout(limit, opening).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(progress.over(self.name(id), limit)),
        }
    }

    /// As [`Self::open_picked`], for a flow, within the usual limit. One that goes on an errand may be taken to a group
    /// that tries its members, each within limits of its own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) async fn open_for(
        &self,
        pick: Pick,
        destination: &Destination,
        lent: Lent,
        errand: Option<Errand<'_>>,
    ) -> Result<Opened, DialError> {
        if let Some(errand) = errand
            && let Some(group) = self.balanced(pick.member)
        {
            return self.try_members(group, errand).await;
        }
        let limit = self.generation.spec().timeouts.dial;
        let opened = self.open_picked(pick, destination, limit, lent).await;
        opened.map(Opened::from)
    }

    /// Asks a resolver, within `limit`.
    ///
    /// # Errors
    /// [`NotFound`] tells a name that has no addresses from one that nobody could tell of.
    pub async fn look_up(
        &self,
        resolver: &dyn Resolve,
        name: &Domain,
        limit: Duration,
    ) -> AddressResult {
        // The last outbound of the longest way may have a name, too.
        if self.depth > MAX_DEPTH {
            let message = format!("outbounds and look-ups are nested deeper than {MAX_DEPTH}");
            return Err(NotFound::Failed(message.into()));
        }
        let deeper = Self {
            depth: self.depth + 1,
            ..self.clone()
        };
        match timeout(limit, resolver.addresses(name, &deeper)).await {
            Ok(found) => found,
            Err(_elapsed) => {
                let why = format!("no answer within {limit:?}");
                Err(NotFound::Failed(why.into()))
            }
        }
    }

    /// Asks whoever is asked for a name, within `limit`.
    ///
    /// # Errors
    /// As [`Self::look_up`]; nobody may be asked.
    pub(crate) async fn look_up_asking(
        &self,
        asked: Asked,
        name: &Domain,
        limit: Duration,
    ) -> AddressResult {
        let resolver = match asked {
            Asked::Resolver(resolver) => self.generation.resolver(resolver),
            Asked::Here(end) => return Err(unasked(name, Some(end))),
            Asked::Local => return Err(unasked(name, None)),
        };
        self.look_up(&**resolver, name, limit).await
    }

    fn through<'a>(
        &'a self,
        id: OutboundId,
        mut path: Path,
        destination: Destination,
        limit: Limit<'a>,
    ) -> Opening<'a> {
        Box::pin(async move {
            let Some(outbound) = self.generation.outbound(id) else {
                return Err(DialError::TooDeep {
                    outbound: "?".into(),
                });
            };
            let name = &outbound.name;
            path.depth += 1;
            if path.depth > MAX_DEPTH {
                return Err(DialError::TooDeep {
                    outbound: Arc::clone(name),
                });
            }
            match &outbound.kind {
                Kind::Carry(Carrier::Direct(uplink)) => {
                    self.reach(name, path.or(uplink), destination, limit).await
                }
                Kind::Carry(Carrier::Upstream(upstream)) => {
                    self.ask(name, upstream, path, &destination, limit).await
                }
                Kind::Choose(Group {
                    members: _,
                    how: How::Selected { uplink },
                }) => match self.picked(id, outbound, &path.picks) {
                    Some(member) => {
                        self.through(member, path.or(uplink), destination, limit)
                            .await
                    }
                    None => Err(DialError::TooDeep {
                        outbound: Arc::clone(name),
                    }),
                },
                Kind::Through(hops) => match hops.split_last() {
                    Some((last, before)) => {
                        path.before.extend_from_slice(before);
                        self.through(*last, path, destination, limit).await
                    }
                    None => Err(DialError::TooDeep {
                        outbound: Arc::clone(name),
                    }),
                },
                Kind::NotYet { kind, .. } => Err(DialError::NotYet {
                    outbound: Arc::clone(name),
                    kind: Arc::clone(kind),
                }),
                // What asks for a place of its own is not taken to another.
                Kind::Carry(Carrier::Target(_))
                | Kind::Choose(Group {
                    how: How::Balanced(_),
                    ..
                }) => Err(DialError::NotYet {
                    outbound: Arc::clone(name),
                    kind: "forward".into(),
                }),
                Kind::Refuse(_) => Err(DialError::Refuses {
                    outbound: Arc::clone(name),
                }),
            }
        })
    }

    /// A stream to the destination that a server was asked for.
    async fn ask(
        &self,
        outbound: &Arc<str>,
        upstream: &Upstream,
        path: Path,
        destination: &Destination,
        limit: Limit<'_>,
    ) -> Result<Stream, DialError> {
        if let (false, Host::Name(name)) = (path.to_server, &destination.host)
            && name.ends_in_number()
        {
            return Err(DialError::LikeAddress { name: name.clone() });
        }
        let path = path.or(&upstream.uplink).towards_server();
        let server = Destination::of_server(upstream);
        let stream = self.reach(outbound, path, server, limit).await?;
        let progress = limit.progress;
        progress.connected(outbound, upstream);
        match &upstream.protocol {
            Protocol::HttpConnect(login) => {
                http::connect(outbound, stream, login.as_ref(), destination, progress).await
            }
            Protocol::Socks5(login) => {
                socks5::connect(outbound, stream, login.as_ref(), destination, progress).await
            }
        }
    }

    /// A stream to a host through the hops that are left, or from here where none is.
    async fn reach(
        &self,
        outbound: &Arc<str>,
        mut path: Path,
        destination: Destination,
        limit: Limit<'_>,
    ) -> Result<Stream, DialError> {
        match path.before.pop() {
            Some(hop) => self.through(hop, path, destination, limit).await,
            None => self.dial(outbound, path, &destination, limit.within).await,
        }
    }

    /// The member of a group where one is selected: as it was when the flow was decided, else as it is now.
    fn picked(
        &self,
        id: OutboundId,
        outbound: &Outbound,
        picks: &[(OutboundId, OutboundId)],
    ) -> Option<OutboundId> {
        let picked = picks.iter().find(|(group, _)| *group == id);
        let picked = picked.map(|(_, member)| *member);
        picked.or_else(|| self.selected(outbound))
    }

    /// By which uplink that outbound goes out directly, by what groups have selected, whose word is stronger than their
    /// members'; `None` where it does not.
    fn direct_by(&self, mut id: OutboundId) -> Option<Uplink> {
        let mut path = Path::default();
        for _ in 0..MAX_DEPTH {
            let outbound = self.generation.outbound(id)?;
            match &outbound.kind {
                Kind::Carry(Carrier::Direct(uplink)) => return Some(path.or(uplink).uplink),
                Kind::Choose(Group {
                    members: _,
                    how: How::Selected { uplink },
                }) => {
                    path = path.or(uplink);
                    id = self.selected(outbound)?;
                }
                _ => return None,
            }
        }
        None
    }

    fn name(&self, id: OutboundId) -> Arc<str> {
        self.generation
            .outbound(id)
            .map_or_else(|| "?".into(), |found| Arc::clone(&found.name))
    }
}

impl Path {
    /// What a group says is stronger than what its member says.
    fn or(mut self, uplink: &Uplink) -> Self {
        if self.uplink == Uplink::default() && self.before.is_empty() {
            self.uplink = uplink.clone();
        }
        self
    }

    /// The way on to a server: it is the operator's choice where that is, and the server resolver's what its name is.
    fn towards_server(mut self) -> Self {
        self.lent = Lent::All;
        self.to_server = true;
        self
    }
}

//! Ways out as look-ups use them: to name servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Domain, Host, OutboundId};
use pointsman_spec::address::Uplink;
use pointsman_spec::asks::Asked;
use pointsman_spec::outbound::Kind;
use pointsman_spec::resolver::NameServer;

use super::{Destination, DialError, Ways};
use crate::dial::Dialer;
use crate::lookup::{Behalf, LookingUp, Picks, Streaming, Transport};
use crate::record::chain;
use crate::spec::listening::At;
use crate::stream::Stream;
use crate::tasks::Tasks;

impl Ways {
    /// For what is asked for clients of our own DNS server.
    pub(crate) fn for_query(self) -> Self {
        Self {
            for_query: true,
            ..self
        }
    }

    /// Whether our own DNS server is asked there, which may be, but by itself.
    fn is_of_our_server(&self, at: &At) -> bool {
        !self.for_query && self.shared.answers_queries_at(at)
    }
}

impl Transport for Ways {
    fn dialer(&self) -> &Dialer {
        self.shared.dialer()
    }

    fn datagrams(&self, via: OutboundId) -> Option<Uplink> {
        self.direct_by(via)
    }

    fn refuse_datagrams(&self, to: SocketAddr) -> Result<(), String> {
        if self.is_of_our_server(&At::Udp(to)) {
            return Ok(());
        }
        let refused = self
            .refuse_own_at(At::Udp(to))
            .and_then(|()| self.refuse_relay(to));
        refused.map_err(|error| chain(&error))
    }

    fn stream<'a>(
        &'a self,
        via: Option<OutboundId>,
        addresses: &'a [SocketAddr],
        limit: Duration,
    ) -> Streaming<'a> {
        Box::pin(async move {
            let direct = match via {
                Some(via) => self.direct_by(via),
                None => Some(Uplink::default()),
            };
            if let ([server], Some(uplink)) = (addresses, &direct)
                && self.is_of_our_server(&At::Tcp(*server))
            {
                let dialer = self.shared.dialer();
                let socket = dialer.tcp_any(addresses, uplink, limit).await;
                let stream = socket.map(Stream::from);
                return stream.map_err(|error| error.to_string());
            }
            let Some(via) = via else {
                let (name, dialer) = ("direct".into(), self.shared.dialer());
                let uplink = Uplink::default();
                let opened = self.connect(&name, addresses, &uplink, dialer, limit).await;
                return opened.map_err(|error| match error {
                    // No outbound was asked.
                    DialError::Unreachable { source, .. } => source.to_string(),
                    other => chain(&other),
                });
            };
            // The link that an address is on means something here alone.
            if let Some(uplink) = self.direct_by(via) {
                let (name, dialer) = (self.name(via), self.shared.dialer());
                let opened = self.connect(&name, addresses, &uplink, dialer, limit).await;
                return opened.map_err(|error| chain(&error));
            }
            let mut failure = "the server has no address".to_owned();
            for (left, server) in (0..addresses.len()).rev().zip(addresses) {
                let destination = Destination {
                    host: Host::Address(server.ip()),
                    port: server.port(),
                    resolved: Vec::new(),
                    asked: Asked::default(),
                };
                // So that a silent address leaves time for those behind it.
                let share = limit / u32::try_from(left + 1).unwrap_or(u32::MAX);
                match self.open(via, &destination, share).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failure = chain(&error),
                }
            }
            Err(failure)
        })
    }

    fn bootstrap<'a>(&'a self, name: &'a Domain) -> LookingUp<'a> {
        let asking = self.clone().for_query();
        Box::pin(async move {
            let resolver = &asking.generation.spec().bootstrap.resolver;
            let most = asking.generation.spec().timeouts.resolve;
            asking.look_up(&**resolver, name, most).await
        })
    }

    fn is_for_query(&self) -> bool {
        self.for_query
    }

    fn asks_own_server(&self, server: &NameServer) -> bool {
        let (at, via) = match server {
            NameServer::Udp(place) => (At::Udp(place.address), place.via),
            NameServer::Tcp(place) => (At::Tcp(place.address), place.via),
            NameServer::Https(_)
            | NameServer::NotYet(_)
            | NameServer::System
            | NameServer::Tls(_) => return false,
        };
        // What a proxy takes for that address is another.
        self.is_of_our_server(&at) && via.is_none_or(|via| self.direct_by(via).is_some())
    }

    fn depth(&self) -> u8 {
        self.depth
    }

    fn picks(&self, via: OutboundId) -> Picks {
        let (mut picks, mut seen, mut left) = (Picks::new(), Vec::new(), vec![via]);
        while let Some(id) = left.pop() {
            let Some(outbound) = self.generation.outbound(id) else {
                continue;
            };
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            match &outbound.kind {
                Kind::Through(hops) => left.extend(hops),
                Kind::Choose(_) => {
                    let (generation, group) = (&self.generation, &outbound.name);
                    let member = self.selected(outbound);
                    let name = member.and_then(|member| generation.outbound(member));
                    let pick = name.map(|member| (Arc::clone(group), Arc::clone(&member.name)));
                    picks.extend(pick);
                    left.extend(member);
                }
                _ => {}
            }
        }
        picks
    }

    fn questions(&self) -> &Tasks {
        &self.shared.questions
    }

    fn connections(&self) -> &Tasks {
        &self.shared.connections
    }

    fn behalf(&self) -> Behalf {
        self.behalf
    }

    fn share(&self) -> Arc<dyn Transport> {
        Arc::new(Self {
            behalf: Behalf::Question,
            ..self.clone()
        })
    }
}

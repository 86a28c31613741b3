//! Where a configuration leads back to itself: its own listeners as destinations.
//!
//! Invariant: told from the text alone. Which other addresses this host has, and what names resolve to, is the
//! data plane's to refuse when it dials.

mod circle;
mod groups;
mod twice;
pub(crate) mod ways;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use pointsman_policy::fact::Network;
use pointsman_policy::local::takes;
use pointsman_policy::{Host, OutboundId};

use self::ways::Ways;
use crate::problem::{Problems, Span};
use crate::setup::{Dialect, Endpoint, Forward, NameServer, Place, Server, Setup, Upstream};

/// Who listens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listener<'s> {
    /// A forward of this name.
    Forward(&'s str),
    /// An inbound of this name.
    Inbound(&'s str),
}

impl<'s> Listener<'s> {
    fn name(self) -> &'s str {
        match self {
            Self::Forward(name) | Self::Inbound(name) => name,
        }
    }
}

/// The addresses that a configuration listens on.
#[derive(Clone, Debug, Default)]
pub struct Listeners<'s> {
    tcp: Vec<(Host, u16, Listener<'s>)>,
    udp: Vec<(Host, u16, Listener<'s>)>,
    unix: Vec<(&'s Path, &'s str)>,
}

impl<'s> Listeners<'s> {
    /// Those of all inbounds and forwards.
    #[must_use]
    pub fn of(setup: &'s Setup) -> Self {
        let mut found = Self::default();
        for inbound in &setup.inbounds {
            let host = Host::Address(inbound.listen.ip().to_canonical());
            let listener = Listener::Inbound(&inbound.name);
            found.tcp.push((host, inbound.listen.port(), listener));
        }
        for forward in &setup.forwards {
            for endpoint in &forward.listen {
                match &endpoint.at {
                    Endpoint::Fd(_) => {}
                    Endpoint::Tcp(Server { host, port }) => {
                        let listener = Listener::Forward(&forward.name);
                        found.tcp.push((host.clone(), *port, listener));
                    }
                    Endpoint::Udp(Server { host, port }) => {
                        let listener = Listener::Forward(&forward.name);
                        found.udp.push((host.clone(), *port, listener));
                    }
                    Endpoint::Unix(path) => found.unix.push((path, &forward.name)),
                }
            }
        }
        found
    }

    /// Those that are listened on in truth, with the port that port 0 got: name, whether it is a forward's, and where
    /// flows of that transport reach it.
    #[must_use]
    pub fn bound(
        listening: impl IntoIterator<Item = (&'s str, bool, Network, SocketAddr)>,
    ) -> Self {
        let mut found = Self::default();
        for (name, is_forward, network, at) in listening {
            let listener = match is_forward {
                true => Listener::Forward(name),
                false => Listener::Inbound(name),
            };
            let all = match network {
                Network::Udp => &mut found.udp,
                Network::Icmp | Network::Tcp => &mut found.tcp,
            };
            all.push((Host::Address(at.ip().to_canonical()), at.port(), listener));
        }
        found
    }

    /// The name of the listener that a flow of that transport to `host` and `port` would arrive at. `is_own` tells further
    /// addresses of this host, loopback apart.
    pub fn at(
        &self,
        network: Network,
        host: &Host,
        port: u16,
        is_own: impl Fn(IpAddr) -> bool,
    ) -> Option<&'s str> {
        let whose = self.whose(network, host, port, is_own);
        whose.map(Listener::name)
    }

    /// As [`Self::at`], with what it is.
    pub(crate) fn whose(
        &self,
        network: Network,
        host: &Host,
        port: u16,
        is_own: impl Fn(IpAddr) -> bool,
    ) -> Option<Listener<'s>> {
        let hit = |(bound, at, _): &&(Host, u16, Listener<'_>)| {
            *at == port
                && port != 0
                && match (bound, host) {
                    (Host::Name(bound), Host::Name(name)) if bound == name => true,
                    _ => addresses(host).iter().any(|ip| {
                        addresses(bound)
                            .iter()
                            .any(|bound| takes(*bound, *ip, &is_own))
                    }),
                }
        };
        let all = match network {
            Network::Udp => &self.udp,
            Network::Icmp | Network::Tcp => &self.tcp,
        };
        all.iter().find(hit).map(|(_, _, whose)| *whose)
    }

    fn unix_at(&self, path: &Path) -> Option<&'s str> {
        let found = self.unix.iter().find(|(bound, _)| *bound == path);
        found.map(|(_, name)| *name)
    }
}

/// Whether nobody but this host's own programs reaches a listener there.
pub(crate) fn is_loopback(host: &Host) -> bool {
    let addresses = addresses(host);
    !addresses.is_empty() && addresses.iter().all(|it| it.to_canonical().is_loopback())
}

/// The addresses that a host certainly is; of names only those that never leave this host.
fn addresses(host: &Host) -> Vec<IpAddr> {
    match host {
        Host::Address(address) => vec![*address],
        Host::Name(name)
            if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") =>
        {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Host::Name(_) => Vec::new(),
    }
}

/// Refuses servers and targets that are listeners of this very configuration, and listeners that are in each other's
/// way, or where no flow comes; tells of guards that go by an endpoint alone.
pub(crate) fn check(setup: &Setup, problems: &mut Problems) {
    groups::check(setup, problems);
    let listeners = Listeners::of(setup);
    let ways = Ways::of(setup);
    let nobody_else = |_| false;
    let mut own = |span: &Span, what: String, whose: &str| {
        let message =
            format!("{what} is the address that `{whose}` listens on: flows would come back to us");
        problems.error("own-listener", span, message).hint =
            Some("name what serves the flows in the end".into());
    };
    for (id, outbound) in (0..).map(OutboundId).zip(&setup.outbounds) {
        let Some(Upstream { server, .. }) = outbound.kind.upstream() else {
            continue;
        };
        if !ways.starts_here(id) {
            continue;
        }
        if let (Some(whose), Some(span)) = (
            listeners.at(Network::Tcp, &server.host, server.port, nobody_else),
            &outbound.span,
        ) {
            own(
                span,
                format!("the server {server} of `{}`", outbound.name),
                whose,
            );
        }
    }
    for forward in &setup.forwards {
        for (name, target) in setup.targets_of(forward) {
            let whose = match &target.address {
                Endpoint::Fd(_) => None,
                Endpoint::Tcp(_) | Endpoint::Udp(_)
                    if target.via.is_some_and(|via| ways.leads_away(via)) =>
                {
                    None
                }
                Endpoint::Tcp(Server { host, port }) => {
                    listeners.at(Network::Tcp, host, *port, nobody_else)
                }
                Endpoint::Udp(Server { host, port }) => {
                    listeners.at(Network::Udp, host, *port, nobody_else)
                }
                Endpoint::Unix(path) => listeners.unix_at(path),
            };
            if let Some(whose) = whose {
                let place = place_of(setup, forward, name).unwrap_or(&forward.span);
                let address = target.address.to_string();
                let place = place.find(&address).unwrap_or_else(|| place.clone());
                own(&place, format!("the target `{name}`"), whose);
            }
        }
    }
    for (place, span) in streams(setup, &ways) {
        let (host, port) = (Host::Address(place.address.ip()), place.address.port());
        if let Some(whose) = listeners.at(Network::Tcp, &host, port, nobody_else) {
            own(span, format!("the name server tcp {place}"), whose);
        }
    }
    twice::check(setup, problems);
    circle::check(setup, problems);
    // Other dialects have no word for it.
    if setup.dialect == Dialect::Native {
        for outbound in &setup.outbounds {
            by_endpoint(outbound, problems);
        }
    }
}

/// Where a forward's target is written.
fn place_of<'s>(setup: &'s Setup, forward: &Forward, name: &str) -> Option<&'s Span> {
    let members = setup.outbound(forward.group)?.kind.members();
    let mut members = members.iter().filter_map(|id| setup.outbound(*id));
    members.find(|member| &*member.name == name)?.span.as_ref()
}

/// The name servers that are asked over TCP from this host, each once. What asks a forward over UDP is answered by its
/// target, which may be another.
fn streams<'s>(setup: &'s Setup, ways: &Ways) -> Vec<(&'s Place, &'s Span)> {
    let mut found: Vec<(&Place, &Span)> = Vec::new();
    for resolver in &setup.resolvers {
        let own = resolver.by_domain.iter().flat_map(|(_, _, own)| own);
        for server in resolver.servers.iter().chain(own) {
            let (NameServer::Tcp(place), Some(span)) = (server, &resolver.span) else {
                continue;
            };
            let here = !place.via.is_some_and(|via| ways.leads_away(via));
            if here && !found.iter().any(|(other, _)| *other == place) {
                found.push((place, span));
            }
        }
    }
    found
}

fn by_endpoint(outbound: &crate::setup::Outbound, problems: &mut Problems) {
    let Some(Upstream {
        server, served_by, ..
    }) = outbound.kind.upstream()
    else {
        return;
    };
    let local = addresses(&server.host).iter().any(IpAddr::is_loopback);
    if let (true, None, Some(span)) = (local, served_by, &outbound.span) {
        let message = format!(
            "any program that listens on {server} is taken for the one behind `{}`: its flows go direct where \
             the rules say proxy, if the daemon may look at it",
            outbound.name
        );
        problems.warning("guard-by-endpoint", span, message).hint =
            Some("say who it is: `served_by: { user: NAME }` or `{ program: PATH }`".into());
    }
}

#[cfg(test)]
mod tests;

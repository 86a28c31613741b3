//! From the checked configuration to the data plane's specs: the one place where the two meet.
//!
//! Destructured without `..`, so that a field which is added to the configuration and forgotten here does
//! not compile.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pointsman_config::Setup;
use pointsman_config::setup as from;
use pointsman_net::dial::Uplink;
use pointsman_net::generation::{InboundSpec, Limits, Number, SniffLimits, Spec};
use pointsman_net::login::{Login, Secret, User};
use pointsman_net::lookup::Lookup;
use pointsman_net::outbound::{Kind, Outbound, Upstream};
use pointsman_net::resolver::{Families, NameServer, Resolver, ResolverSpec, SystemResolver};
use pointsman_policy::Host;

/// The spec of one generation.
pub(crate) fn spec(setup: &Setup, number: Number) -> Spec {
    let resolvers: Vec<Arc<dyn Lookup>> = setup.resolvers.iter().map(resolver).collect();
    let server_resolver = match setup.server_resolver.and_then(|id| resolvers.get(id.0)) {
        Some(named) => Arc::clone(named),
        None => Arc::new(SystemResolver::default()),
    };
    let outbounds: Vec<Outbound> = setup.outbounds.iter().map(outbound).collect();
    let from::Sniff { timeout, max_bytes } = setup.sniff;
    Spec {
        number,
        policies: setup.policies.clone(),
        guards: guards(setup),
        outbounds,
        inbounds: setup.inbounds.iter().map(inbound).collect(),
        resolvers,
        server_resolver,
        sniff: SniffLimits { timeout, max_bytes },
        limits: Limits::default(),
    }
}

fn inbound(inbound: &from::Inbound) -> InboundSpec {
    let from::Inbound {
        name,
        kind,
        listen,
        users,
        alias,
        policy,
        resolver,
        span: _,
    } = inbound;
    InboundSpec {
        name: Arc::clone(name),
        kind: *kind,
        listen: *listen,
        users: users.iter().map(user).collect(),
        alias: alias.clone(),
        policy: policy.0,
        resolver: resolver.map(|id| id.0),
    }
}

fn user(user: &from::User) -> User {
    let from::User {
        name,
        password,
        alias,
    } = user;
    User {
        name: Arc::clone(name),
        password: secret(password),
        alias: alias.clone(),
    }
}

fn secret(secret: &from::Secret) -> Secret {
    Secret::new(Arc::clone(&secret.0))
}

fn outbound(outbound: &from::Outbound) -> Outbound {
    let from::Outbound {
        name,
        kind,
        span: _,
    } = outbound;
    let kind = match kind {
        from::OutboundKind::Blackhole => Kind::Blackhole,
        from::OutboundKind::Chain { hops } => Kind::Chain(hops.clone()),
        from::OutboundKind::Direct(link) => Kind::Direct(uplink(link)),
        from::OutboundKind::Forward(_) => Kind::NotYet {
            kind: "forward".into(),
        },
        from::OutboundKind::Http {
            server,
            credentials,
            uplink: link,
        } => Kind::Http(upstream(server, credentials.as_ref(), link)),
        from::OutboundKind::NotYet {
            kind,
            carries_udp: _,
        } => Kind::NotYet { kind: kind.clone() },
        from::OutboundKind::Reject => Kind::Reject,
        from::OutboundKind::Reset => Kind::Reset,
        from::OutboundKind::Select {
            members,
            uplink: link,
        } => Kind::Select {
            members: members.clone(),
            uplink: uplink(link),
        },
        from::OutboundKind::Socks5 {
            server,
            credentials,
            carries_udp: _,
            uplink: link,
        } => Kind::Socks5(upstream(server, credentials.as_ref(), link)),
        // Named by a forward's group alone, which dials its targets itself.
        from::OutboundKind::Target { .. } => Kind::NotYet {
            kind: "target".into(),
        },
    };
    Outbound {
        name: Arc::clone(name),
        kind,
    }
}

fn upstream(
    server: &from::Server,
    credentials: Option<&from::Credentials>,
    link: &from::Uplink,
) -> Upstream {
    let from::Server { host, port } = server;
    let login = credentials.map(|from::Credentials { user, password }| Login {
        user: Arc::clone(user),
        password: secret(password),
    });
    Upstream {
        host: host.clone(),
        port: *port,
        login,
        uplink: uplink(link),
    }
}

fn uplink(link: &from::Uplink) -> Uplink {
    let from::Uplink {
        interface,
        source,
        mark,
    } = link;
    Uplink {
        interface: interface.clone(),
        source: *source,
        mark: *mark,
    }
}

fn resolver(resolver: &from::Resolver) -> Arc<dyn Lookup> {
    let from::Resolver {
        servers,
        hosts,
        by_domain,
        families,
    } = resolver;
    let by_domain = by_domain
        .iter()
        .map(|(name, below, own)| (name.clone(), *below, own.iter().map(name_server).collect()));
    Arc::new(Resolver::new(ResolverSpec {
        servers: servers.iter().map(name_server).collect(),
        hosts: hosts.clone(),
        by_domain: by_domain.collect(),
        families: families_of(*families),
    }))
}

fn name_server(server: &from::NameServer) -> NameServer {
    match server {
        from::NameServer::NotYet(what) => NameServer::NotYet(what.clone()),
        from::NameServer::Tcp { address, via } => NameServer::Tcp {
            address: *address,
            via: *via,
        },
        from::NameServer::Udp { address, via } => NameServer::Udp {
            address: *address,
            via: *via,
        },
    }
}

fn families_of(families: from::Families) -> Families {
    match families {
        from::Families::Ipv4Only => Families::Ipv4Only,
        from::Families::Ipv6Only => Families::Ipv6Only,
        from::Families::PreferIpv4 => Families::PreferIpv4,
        from::Families::PreferIpv6 => Families::PreferIpv6,
    }
}

/// Upstream proxies by address: where one is served by a process of this host, that process's flows
/// go direct. The data plane tells which addresses are this host's.
fn guards(setup: &Setup) -> Vec<(SocketAddr, Arc<str>)> {
    let endpoint = |outbound: &from::Outbound| match &outbound.kind {
        from::OutboundKind::Http { server, .. } | from::OutboundKind::Socks5 { server, .. } => {
            let ip = match &server.host {
                Host::Address(ip) => *ip,
                Host::Name(name) if name.as_str() == "localhost" => IpAddr::from([127, 0, 0, 1]),
                Host::Name(_) => return None,
            };
            Some((SocketAddr::new(ip, server.port), Arc::clone(&outbound.name)))
        }
        _ => None,
    };
    setup.outbounds.iter().filter_map(endpoint).collect()
}

//! From the checked configuration to the data plane's specs: the one place where the two meet.
//!
//! Destructured without `..`, so that a field which is added to the configuration and forgotten here does
//! not compile.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use pointsman_config::Setup;
use pointsman_config::setup::{self as from, Written};
use pointsman_net::lookup::Resolve;
use pointsman_net::resolver::{Resolver, Station};
use pointsman_net::spec::{Guard, Number, Records, ServedBy, Spec};
use pointsman_policy::fact::InboundKind;
use pointsman_policy::local::loopback_of;
use pointsman_policy::{Host, OutboundId};
use pointsman_spec::address::{Server, Uplink};
use pointsman_spec::door::{Admission, DoorLimits, DoorSpec, Listen, Speaks};
use pointsman_spec::outbound::{
    Balance, Balancing, Carrier, Group, How, Kind, Outbound, Protocol, Refusal, Upstream,
};
use pointsman_spec::resolver::ResolverSpec;
use pointsman_spec::target::Target;

/// The spec of one generation, whose resolvers know what `station` keeps.
pub(crate) fn spec(setup: &Setup, number: Number, station: &Arc<Station>) -> Spec {
    let targets = targets(setup);
    let outbound = |from| outbound(from, setup, &targets);
    let outbounds: Vec<Outbound> = setup.outbounds.iter().map(outbound).collect();
    let made = |from: &Written<ResolverSpec>| -> Arc<dyn Resolve> {
        Arc::new(Resolver::new(from.what.clone(), &outbounds, station))
    };
    let resolvers: Vec<Arc<dyn Resolve>> = setup.resolvers.iter().map(made).collect();
    let server_resolver = match setup.server_resolver.and_then(|id| resolvers.get(id.0)) {
        Some(named) => Arc::clone(named),
        None => Arc::new(Resolver::system(station)),
    };
    let proxies = setup.inbounds.iter().map(inbound);
    Spec {
        number,
        policies: setup.policies.clone(),
        guards: guards(setup),
        outbounds,
        inbounds: proxies.chain(setup.forwards.iter().map(forward)).collect(),
        resolvers,
        server_resolver,
        sniff: setup.sniff,
        timeouts: setup.timeouts,
        records: Records {
            access_log: setup.access_log.clone(),
            keep: setup.history.keep,
        },
    }
}

fn inbound(inbound: &from::Inbound) -> DoorSpec {
    let from::Inbound {
        name,
        kind,
        listen,
        users,
        alias,
        policy,
        resolver,
        allow: _,
        span: _,
    } = inbound;
    DoorSpec {
        name: Arc::clone(name),
        alias: alias.clone(),
        listen: vec![(*listen).into()],
        policy: *policy,
        resolver: *resolver,
        admits: Admission {
            users: users.clone(),
        },
        speaks: match kind {
            InboundKind::Http => Speaks::Http,
            InboundKind::Mixed => Speaks::Mixed,
            _ => Speaks::Socks,
        },
        same_family: false,
        limits: DoorLimits::default(),
        access_log: None,
    }
}

/// The targets of each forward, in their order.
fn targets(setup: &Setup) -> Vec<Vec<OutboundId>> {
    let mut targets = vec![Vec::new(); setup.forwards.len()];
    for (id, outbound) in (0..).map(OutboundId).zip(&setup.outbounds) {
        if let from::OutboundKind::Target { forward, .. } = outbound.kind
            && let Some(targets) = targets.get_mut(forward)
        {
            targets.push(id);
        }
    }
    targets
}

fn outbound(outbound: &from::Outbound, setup: &Setup, targets: &[Vec<OutboundId>]) -> Outbound {
    let from::Outbound {
        name,
        kind,
        declared: _,
        span: _,
    } = outbound;
    let kind = match kind {
        from::OutboundKind::Blackhole => Kind::Refuse(Refusal::Blackhole),
        from::OutboundKind::Chain { hops } => Kind::Through(hops.clone()),
        from::OutboundKind::Direct(link) => Kind::Carry(Carrier::Direct(link.clone())),
        from::OutboundKind::Forward(index) => Kind::Choose(Group {
            members: targets[*index].clone(),
            how: How::Balanced(balancing(&setup.forwards[*index])),
        }),
        from::OutboundKind::Http {
            server,
            credentials,
            uplink: link,
            served_by: _,
        } => {
            let protocol = Protocol::HttpConnect(credentials.clone());
            upstream(server, link, protocol)
        }
        from::OutboundKind::NotYet {
            kind,
            carries_udp: _,
        } => Kind::NotYet(kind.as_str().into()),
        from::OutboundKind::Reject => Kind::Refuse(Refusal::Reject),
        from::OutboundKind::Reset => Kind::Refuse(Refusal::Reset),
        from::OutboundKind::Select {
            members,
            uplink: link,
        } => Kind::Choose(Group {
            members: members.clone(),
            how: How::Selected {
                uplink: link.clone(),
            },
        }),
        from::OutboundKind::Socks5 {
            server,
            credentials,
            carries_udp: _,
            uplink: link,
            served_by: _,
        } => {
            let protocol = Protocol::Socks5(credentials.clone());
            upstream(server, link, protocol)
        }
        from::OutboundKind::Target {
            forward,
            target: index,
            // It stands in the target, too.
            via: _,
        } => {
            let forward = &setup.forwards[*forward];
            Kind::Carry(Carrier::Target(target(&forward.targets[*index], forward)))
        }
    };
    Outbound {
        name: Arc::clone(name),
        kind,
    }
}

/// Where the flows of a forward come in; its policy ends in its group.
fn forward(forward: &from::Forward) -> DoorSpec {
    let from::Forward {
        name,
        listen,
        listen_families,
        // Both stand in the policy.
        allow: _,
        outbound: _,
        policy,
        // The targets', and their group's.
        targets: _,
        balance: _,
        connection_limit: _,
        proxy_header: _,
        retry: _,
        not_yet: _,
        lifetime,
        access_log,
        same_family,
        read_timeout,
        write_timeout,
        half_closed,
        span: _,
    } = forward;
    let listen = listen.iter().map(|at| Listen {
        at: at.clone(),
        families: *listen_families,
    });
    DoorSpec {
        name: Arc::clone(name),
        alias: Some(Arc::clone(name)),
        listen: listen.collect(),
        policy: *policy,
        resolver: None,
        admits: Admission::default(),
        speaks: Speaks::Nothing,
        same_family: *same_family,
        limits: DoorLimits {
            lifetime: *lifetime,
            read_timeout: *read_timeout,
            write_timeout: *write_timeout,
            half_closed: *half_closed,
        },
        access_log: access_log.clone(),
    }
}

/// How the group of a forward tries its targets.
fn balancing(forward: &from::Forward) -> Balancing {
    let mut not_yet = forward.not_yet.as_deref().map(Arc::from);
    let balance = match forward.balance {
        from::Balance::Failover => Balance::Failover,
        from::Balance::None => Balance::None,
        from::Balance::RoundRobin => Balance::RoundRobin,
        from::Balance::Sni => {
            not_yet.get_or_insert_with(|| "choosing by server name is not built yet".into());
            Balance::None
        }
    };
    Balancing {
        balance,
        retry: forward.retry,
        connection_limit: forward.connection_limit,
        not_yet,
    }
}

fn target(target: &from::Target, forward: &from::Forward) -> Target {
    let from::Target {
        // Its outbound's.
        name: _,
        address,
        via,
        attempts,
        backoff,
        connect_timeout,
        resolve_timeout,
        read_timeout,
        write_timeout,
        keepalive,
        families,
    } = target;
    Target {
        address: address.clone(),
        via: *via,
        attempts: *attempts,
        backoff: *backoff,
        connect_timeout: *connect_timeout,
        resolve_timeout: *resolve_timeout,
        read_timeout: *read_timeout,
        write_timeout: *write_timeout,
        keepalive: *keepalive,
        families: *families,
        proxy_header: forward.proxy_header,
    }
}

fn upstream(server: &Server, link: &Uplink, protocol: Protocol) -> Kind {
    Kind::Carry(Carrier::Upstream(Upstream {
        server: server.clone(),
        uplink: link.clone(),
        protocol,
    }))
}

/// Who serves upstream proxies: what the configuration says, else whoever listens at their address, where that is one
/// of this host. The data plane tells which addresses are.
fn guards(setup: &Setup) -> Vec<Guard> {
    let of = |outbound: &from::Outbound| -> Vec<Guard> {
        let (from::OutboundKind::Http {
            server, served_by, ..
        }
        | from::OutboundKind::Socks5 {
            server, served_by, ..
        }) = &outbound.kind
        else {
            return Vec::new();
        };
        let by = match served_by {
            Some(from::ServedBy::Program(path)) => vec![ServedBy::Program(path.clone())],
            Some(from::ServedBy::User(name)) => vec![ServedBy::User(Arc::clone(name))],
            None => addresses(&server.host)
                .into_iter()
                .map(|ip| ServedBy::Endpoint(SocketAddr::new(ip, server.port)))
                .collect(),
        };
        let guard = |by| Guard {
            outbound: Arc::clone(&outbound.name),
            by,
        };
        by.into_iter().map(guard).collect()
    };
    setup.outbounds.iter().flat_map(of).collect()
}

/// The addresses of a server, names but for `localhost` apart.
fn addresses(host: &Host) -> Vec<IpAddr> {
    match host {
        Host::Address(ip) => vec![loopback_of(*ip).unwrap_or(*ip)],
        Host::Name(name) if name.as_str() == "localhost" => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Host::Name(_) => Vec::new(),
    }
}

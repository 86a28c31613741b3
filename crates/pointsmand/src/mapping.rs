//! From the checked configuration to what the data plane runs: what is alive is made here, the rest is the same data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use pointsman_config::Setup;
use pointsman_config::forward::allowed;
use pointsman_config::setup::{Inbound, Written};
use pointsman_net::lookup::Resolve;
use pointsman_net::resolver::{Resolver, Station};
use pointsman_net::spec::dns::DnsServer;
use pointsman_net::spec::{Bootstrap, Guard, Number, Records, ServedBy, Spec};
use pointsman_policy::Host;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::local::loopback_of;
use pointsman_spec::door::{Admission, DoorLimits, DoorSpec, Speaks};
use pointsman_spec::outbound::{self as spec, Outbound, Upstream};
use pointsman_spec::resolver::ResolverSpec;

/// The spec of one generation, whose resolvers know what `station` keeps.
pub(crate) fn spec(setup: &Setup, number: Number, station: &Arc<Station>) -> Spec {
    let outbounds = setup.outbounds.iter();
    let outbounds: Vec<Outbound> = outbounds.map(|outbound| outbound.what.clone()).collect();
    let made = |from: &Written<ResolverSpec>| -> Arc<dyn Resolve> {
        Arc::new(Resolver::new(from.what.clone(), &outbounds, station))
    };
    let resolvers: Vec<Arc<dyn Resolve>> = setup.resolvers.iter().map(made).collect();
    let server_resolver = match setup.server_resolver.and_then(|id| resolvers.get(id.0)) {
        Some(named) => Arc::clone(named),
        None => Arc::new(Resolver::system(station)),
    };
    let bootstrap = Bootstrap {
        resolver: Arc::new(Resolver::new(
            setup.bootstrap.what.clone(),
            &outbounds,
            station,
        )),
        for_outbounds: setup.bootstrap.for_outbounds,
    };
    let proxies = setup.inbounds.iter().map(|it| door(setup, it));
    let forwards = setup.forwards.iter().map(|forward| forward.door.clone());
    let queries = setup.dns.iter().flat_map(|dns| &dns.doors);
    let queries = queries.map(|door| door.what.clone());
    let dns = setup.dns.as_ref();
    let dns = dns.map(|dns| Arc::new(DnsServer::new(&dns.what, &outbounds, station)));
    Spec {
        number,
        policies: setup.policies.clone(),
        guards: guards(&outbounds),
        outbounds,
        inbounds: proxies.chain(forwards).chain(queries).collect(),
        resolvers,
        server_resolver,
        asks: setup.asks.clone(),
        bootstrap,
        dns,
        sniff: setup.sniff,
        timeouts: setup.timeouts,
        datagrams: setup.datagrams.clone(),
        records: Records {
            access_log: setup.access_log.clone(),
            keep: setup.history.keep,
        },
    }
}

/// Where the flows of a proxy come in.
fn door(setup: &Setup, inbound: &Inbound) -> DoorSpec {
    let Inbound {
        name,
        kind,
        listen,
        users,
        alias,
        policy,
        resolver,
        allow,
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
            allow: allow.as_ref().map(|_origin| allowed(setup, inbound)),
        },
        speaks: match kind {
            InboundKind::Http => Speaks::Http,
            InboundKind::Mixed => Speaks::Mixed,
            _ => Speaks::Socks,
        },
        tls: None,
        web_path: None,
        same_family: false,
        limits: DoorLimits::default(),
        access_log: None,
    }
}

/// Who serves upstream proxies: what the configuration says, else whoever listens at their address, where that is one
/// of this host. The data plane tells which addresses are.
pub(crate) fn guards<'o>(outbounds: impl IntoIterator<Item = &'o Outbound>) -> Vec<Guard> {
    let mut guards = Vec::new();
    for outbound in outbounds {
        let Some(Upstream {
            server, served_by, ..
        }) = outbound.kind.upstream()
        else {
            continue;
        };
        let endpoints = addresses(&server.host).into_iter();
        let endpoints = endpoints.map(|ip| SocketAddr::new(ip, server.port));
        let guard = |by, instead| Guard {
            outbound: Arc::clone(&outbound.name),
            by,
            instead,
        };
        let said = match served_by {
            Some(spec::ServedBy::Program(path)) => ServedBy::Program(path.clone()),
            Some(spec::ServedBy::User(name)) => ServedBy::User(Arc::clone(name)),
            None => {
                guards.extend(endpoints.map(|at| guard(ServedBy::Endpoint(at), Vec::new())));
                continue;
            }
        };
        guards.push(guard(said, endpoints.collect()));
    }
    guards
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

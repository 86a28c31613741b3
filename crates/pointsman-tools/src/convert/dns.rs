//! Resolvers in the native language.

use std::net::{IpAddr, SocketAddr};

use super::Report;
use super::emit::{Map, list, quoted, text};
use pointsman_config::setup::{
    Authorities, Encrypted, Families, NameServer, Place, ResolverId, ResolverSpec, Setup,
};

mod server;

pub(super) use server::{LOCAL_NAMES, Served};

/// The address in a name server's URL, where it is no name.
pub(super) fn address_in(url: &str) -> Option<IpAddr> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?']).next()?;
    let with_port = host.parse::<SocketAddr>().map(|at| at.ip());
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    with_port.or_else(|_no_port| bare.parse()).ok()
}

/// The upstream's name.
pub(super) fn name(id: ResolverId, setup: &Setup) -> String {
    match setup.resolvers.get(id.0) {
        Some(resolver) if resolver.servers == [NameServer::System] => "system".to_owned(),
        _ => format!("resolver-{}", id.0 + 1),
    }
}

/// The word of a choice of families.
pub(super) fn families(families: Families) -> &'static str {
    match families {
        Families::Ipv4Only => "ipv4",
        Families::Ipv6Only => "ipv6",
        Families::PreferIpv4 => "prefer-ipv4",
        Families::PreferIpv6 => "prefer-ipv6",
    }
}

/// The section `dns`, without the rules of the DNS server.
pub(super) fn section(
    setup: &Setup,
    names: &[String],
    served: Option<&Served>,
    report: &mut Report,
) -> Map {
    let mut section = Map::default();
    if setup.resolvers.is_empty() && served.is_none() {
        return section;
    }
    let usual = ResolverSpec::default();
    let first = setup.resolvers.first().map_or(&usual, |first| &first.what);
    let mut upstreams = Map::default();
    if let Some(served) = served {
        served.listen(&mut section);
        for (own, value) in &served.upstreams {
            upstreams.raw(own, &**value);
        }
    }
    for (number, resolver) in setup.resolvers.iter().enumerate() {
        let own = name(ResolverId(number), setup);
        if own != "system" {
            upstreams.raw(&own, servers(&resolver.servers, names, &own, report));
        }
        let same = resolver.hosts == first.hosts
            && resolver.by_domain == first.by_domain
            && resolver.families == first.families;
        if !same {
            let what = format!(
                "`{own}` has hosts, domains or a family of its own: those of `{}` serve all",
                name(ResolverId(0), setup)
            );
            let span = resolver.span.as_ref();
            let place = span.map_or_else(String::new, |span| {
                format!("{}:{}", span.file(), span.line())
            });
            report.lost(place, what);
        }
    }
    let mut domains = Map::default();
    for (number, (domain, below, by)) in first.by_domain.iter().enumerate() {
        let own = format!("domain-{}", number + 1);
        upstreams.raw(&own, servers(by, names, &own, report));
        let alone = if *below { "" } else { "=" };
        domains.text(&format!("{alone}{}", domain.as_str()), &own);
    }
    if !upstreams.is_empty() {
        section.raw("upstreams", upstreams.flow());
    }
    let bootstrap = &setup.bootstrap.what.servers;
    if setup.bootstrap.for_outbounds || is_looked_up(setup) && *bootstrap != [NameServer::System] {
        section.raw("bootstrap", servers(bootstrap, names, "bootstrap", report));
        let mut outbounds = setup.outbounds.iter();
        let by_name = outbounds.any(|it| {
            let upstream = it.kind.upstream();
            upstream.is_some_and(|upstream| upstream.server.host.name().is_some())
        });
        if by_name && !setup.bootstrap.for_outbounds {
            let what = "names of outbounds' servers are asked of `dns.bootstrap`, too";
            report.lost("", what);
        }
    }
    section.text(
        "resolver",
        &setup
            .server_resolver
            .map_or_else(|| "system".to_owned(), |id| name(id, setup)),
    );
    let mut hosts = Map::default();
    let mut seen = Vec::new();
    for (domain, below, _) in &first.hosts {
        let key = format!("{}{}", if *below { "." } else { "" }, domain.as_str());
        if !seen.contains(&key) {
            let same = first
                .hosts
                .iter()
                .filter(|(d, b, _)| d == domain && b == below);
            let addresses = same.map(|(.., address)| quoted(&address.to_string()));
            hosts.raw(&key, list(addresses));
            seen.push(key);
        }
    }
    if !hosts.is_empty() {
        section.raw("hosts", hosts.flow());
    }
    if !domains.is_empty() {
        section.raw("domains", domains.flow());
    }
    if first.families != Families::default() {
        section.text("family", families(first.families));
    }
    section
}

/// Whether a name server has to be found by its name.
fn is_looked_up(setup: &Setup) -> bool {
    let by_domain = setup.resolvers.iter().flat_map(|it| &it.by_domain);
    let own = by_domain.flat_map(|(.., servers)| servers);
    let all = setup.resolvers.iter().flat_map(|it| &it.servers);
    all.chain(own).any(|server| match server {
        NameServer::Https(at) | NameServer::Tls(at) => at.name_to_look_up().is_some(),
        NameServer::NotYet(_) | NameServer::System | NameServer::Tcp(_) | NameServer::Udp(_) => {
            false
        }
    })
}

fn servers(servers: &[NameServer], names: &[String], own: &str, report: &mut Report) -> String {
    let mut items = Vec::new();
    for server in servers {
        match server {
            NameServer::NotYet(why) => {
                let what =
                    format!("{why}: in `{own}` a name server that gives no answer replaces it");
                report.note("", what);
                items.push(quoted("https://not-built-yet.invalid"));
            }
            NameServer::Https(at) => {
                let address = format!("https://{}{}", at.server, at.path);
                items.push(encrypted(&address, at, names, report));
            }
            NameServer::System => items.push(text("system")),
            NameServer::Tcp(place) => items.push(upstream("tcp", place, names)),
            NameServer::Tls(at) => {
                let address = format!("tls://{}", at.server);
                items.push(encrypted(&address, at, names, report));
            }
            NameServer::Udp(place) => items.push(upstream("udp", place, names)),
        }
    }
    match items.as_slice() {
        [one] => one.clone(),
        _ => list(items),
    }
}

fn encrypted(address: &str, at: &Encrypted, names: &[String], report: &mut Report) -> String {
    let Encrypted {
        server,
        addresses,
        name,
        authorities,
        path: _,
        via,
    } = at;
    let mut map = Map::default();
    map.raw("address", quoted(address));
    if !addresses.is_empty() {
        let addresses = addresses.iter().map(|it| quoted(&it.to_string()));
        map.raw("addresses", list(addresses));
    }
    if *name != server.host {
        let mut tls = Map::default();
        tls.text("name", &name.to_string());
        map.map("tls", &tls);
    }
    if *authorities != Authorities::System {
        report.lost(
            "",
            format!("the authorities of `{address}` are not written"),
        );
    }
    if let Some(name) = via.and_then(|id| names.get(id.0 as usize)) {
        map.text("via", name);
    }
    match map.len() {
        1 => quoted(address),
        _ => map.flow(),
    }
}

fn upstream(scheme: &str, place: &Place, names: &[String]) -> String {
    let address = quoted(&format!("{scheme}://{place}"));
    match place.via.and_then(|id| names.get(id.0 as usize)) {
        None => address,
        Some(name) => format!("{{ address: {address}, via: {} }}", text(name)),
    }
}

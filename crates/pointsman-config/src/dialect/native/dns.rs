//! `dns:`: resolvers by name.
//!
//! Each upstream is a resolver of its own: where it does not answer the look-up fails, it never
//! falls back to another. `system` is one, too, with the hosts, domains and family of all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use pointsman_policy::{Domain, OutboundId};

use super::{FAMILIES, given, named};
use crate::outbounds::Outbounds;
use crate::problem::{Problems, nearest};
use crate::setup::{Carrier, Kind, NameServer, Place, ResolverId, ResolverSpec, Uplink, Written};
use crate::value::{self, parse_name_server, parse_place};
use crate::yaml::{KeyStyle, Node, Value};

/// The name of the system's own configuration as a resolver.
const SYSTEM: &str = "system";

/// What rules of the DNS server answer by themselves, or mean otherwise.
const RESERVED: [&str; 9] = [
    "drop", "fake", "follow", "hosts", "nodata", "nxdomain", "pass", "refused", "zero",
];

/// Keys that are understood and not built.
const LATER: [&str; 5] = ["bootstrap", "cache", "fake_ip", "log", "strip_ech"];

/// What was read.
#[derive(Default)]
pub(super) struct Dns<'a> {
    /// In the order written.
    pub(super) resolvers: Vec<Written<ResolverSpec>>,
    /// For servers, and what is dialled by name; `None` is the system's.
    pub(super) server_resolver: Option<ResolverId>,
    /// Whether the configuration names it.
    pub(super) names_resolver: bool,
    /// The upstreams as they are named, in the order written, `system` last.
    pub(super) names: Vec<String>,
    /// What each of them is given in all, where it says so.
    pub(super) timeouts: HashMap<ResolverId, Duration>,
    /// The keys of the DNS server.
    pub(super) server: ServerKeys<'a>,
    by_name: HashMap<String, ResolverId>,
}

/// The keys of the DNS server, which are read when rule sets are known.
#[derive(Clone, Copy, Default)]
pub(super) struct ServerKeys<'a> {
    /// The key and its value: without it there is no server.
    pub(super) listen: Option<(&'a Node, &'a Node)>,
    pub(super) rules: Option<(&'a Node, &'a Node)>,
    pub(super) policy: Option<(&'a Node, &'a Node)>,
    pub(super) answers: Option<(&'a Node, &'a Node)>,
    pub(super) limits: Option<&'a Node>,
    pub(super) ask: Option<(&'a Node, &'a Node)>,
    pub(super) undecided: Option<(&'a Node, &'a Node)>,
    /// Names with upstreams of their own.
    pub(super) domains: Option<&'a Node>,
}

impl Dns<'_> {
    /// The resolver that a key names; `None` where all is the system's, and after a problem.
    pub(super) fn find(&self, node: &Node, problems: &mut Problems) -> Option<ResolverId> {
        let name = value::name(node, "`resolver`", problems)?;
        let found = self.by_name.get(name).copied();
        if found.is_none() && name != SYSTEM {
            let message = format!("`dns.upstreams` has no `{name}`");
            let known = self.by_name.keys().map(String::as_str).chain([SYSTEM]);
            problems.error("unknown-resolver", &node.span, message).hint =
                nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        }
        found
    }
}

/// Reads the section.
pub(super) fn read<'a>(
    node: Option<&'a Node>,
    outbounds: &Outbounds,
    problems: &mut Problems,
) -> Dns<'a> {
    let mut dns = Dns::default();
    let Some(node) = node else { return dns };
    let mut keys = node.keys("`dns`", KeyStyle::Exact, problems);
    keys.not_yet(&LATER, problems);
    dns.server = ServerKeys {
        listen: keys.take_pair("listen"),
        rules: keys.take_pair("rules"),
        policy: keys.take_pair("policy"),
        answers: keys.take_pair("answers"),
        limits: given(&mut keys, "limits"),
        ask: keys.take_pair("ask"),
        undecided: keys.take_pair("undecided"),
        domains: None,
    };
    let upstreams = keys.take("upstreams");
    let chosen = given(&mut keys, "resolver");
    let hosts = given(&mut keys, "hosts");
    let domains = given(&mut keys, "domains");
    let families = given(&mut keys, "family")
        .and_then(|node| value::choice(node, "`family`", &FAMILIES, problems))
        .unwrap_or_default();
    keys.finish(problems);

    let resolver = |servers, span| Written {
        what: ResolverSpec {
            servers,
            families,
            ..ResolverSpec::default()
        },
        span,
    };
    for (name, span, node) in named(upstreams, "`upstreams`", problems) {
        if name == SYSTEM {
            let message = "`system` is the system's own configuration and cannot be redefined";
            problems.error("reserved-name", span, message);
            continue;
        }
        let word = RESERVED.iter().find(|word| word.eq_ignore_ascii_case(name));
        if let (Some(word), true) = (word, dns.server.listen.is_some()) {
            let message =
                format!("`{word}` is a word of `dns.rules` and cannot be the name of an upstream");
            problems.error("reserved-name", span, message);
            continue;
        }
        let servers = match &node.value {
            Value::List(items) => items.as_slice(),
            Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(node),
        };
        let mut timeout = None;
        if servers.is_empty() {
            let message = "an upstream needs at least one address";
            problems.error("missing-key", &node.span, message);
        }
        let servers = servers.iter();
        let servers = servers.filter_map(|node| upstream(node, outbounds, &mut timeout, problems));
        let servers = servers.collect();
        let id = ResolverId(dns.resolvers.len());
        dns.by_name.insert(name.to_owned(), id);
        dns.names.push(name.to_owned());
        dns.timeouts.extend(timeout.map(|timeout| (id, timeout)));
        let span = Some(node.span.clone());
        dns.resolvers.push(resolver(servers, span));
    }
    let system = ResolverId(dns.resolvers.len());
    dns.by_name.insert(SYSTEM.to_owned(), system);
    dns.names.push(SYSTEM.to_owned());
    dns.resolvers.push(resolver(vec![NameServer::System], None));
    let hosts = hosts
        .map(|node| read_hosts(node, problems))
        .unwrap_or_default();
    dns.server.domains = domains;
    let domains = domains
        .map(|node| read_domains(node, &dns, problems))
        .unwrap_or_default();
    for resolver in &mut dns.resolvers {
        resolver.what.hosts.clone_from(&hosts);
        resolver.what.by_domain.clone_from(&domains);
    }
    dns.names_resolver = chosen.is_some();
    dns.server_resolver = match chosen {
        Some(node) => dns.find(node, problems),
        // Whoever names an upstream wants it asked; the first is the one on top of the list, the last the system's.
        None => Some(ResolverId(0)),
    };
    dns
}

/// `udp://1.1.1.1`, `system`, or `{ address: ..., via: OUTBOUND }`.
fn upstream(
    node: &Node,
    outbounds: &Outbounds,
    timeout: &mut Option<Duration>,
    problems: &mut Problems,
) -> Option<NameServer> {
    let (address, way) = if matches!(node.value, Value::Map(_)) {
        let mut keys = node.keys("an upstream", KeyStyle::Exact, problems);
        let address = keys.require("address", problems);
        let via = given(&mut keys, "via");
        keys.not_yet(&["addresses", "client_subnet", "tls"], problems);
        let own = given(&mut keys, "timeout");
        let own = own.and_then(|node| value::duration(node, "`timeout`", problems));
        *timeout = own.or(*timeout);
        keys.finish(problems);
        let way = via.and_then(|node| {
            let name = value::name(node, "`via`", problems)?;
            outbounds.resolve(name, &node.span, problems)
        });
        (address?, via.map(|node| (node, way)))
    } else {
        (node, None)
    };
    let text = address.text("an upstream", problems)?;
    let parsed = parse_name_server(text);
    let bare = parsed.is_err() && parse_place(text).is_ok();
    let Some(server) = value::or_problem(parsed, address, "an upstream", problems) else {
        if let (true, Some(problem)) = (bare, problems.last_mut()) {
            problem.hint = Some(format!("write `udp://{text}`"));
        }
        return None;
    };
    Some(match server {
        NameServer::NotYet(_) if is_no_host(text) => {
            let message = format!("`{text}` is no name server: look-ups through it fail");
            problems.note("no-name-server", &address.span, message);
            NameServer::NotYet(format!("`{text}` is no name server"))
        }
        NameServer::NotYet(why) => {
            let message = format!("{why}; look-ups through it fail");
            problems.not_yet(&address.span, message);
            NameServer::NotYet(format!("{why} is not built yet"))
        }
        NameServer::System => {
            if let Some((via, _)) = way {
                let message = "`system` is asked as the system is configured, by no other way";
                problems.error("invalid-value", &via.span, message);
            }
            NameServer::System
        }
        NameServer::Tcp(place) => NameServer::Tcp(by_way(place, address, way, outbounds, problems)),
        NameServer::Udp(place) => NameServer::Udp(by_way(place, address, way, outbounds, problems)),
    })
}

/// Whether a URL leads nowhere by design, as those do that stand for what could not be converted: no host has a name
/// below `invalid` (RFC 6761, 6.4).
fn is_no_host(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', ':', '?']).next().unwrap_or(rest);
    let last = host.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|last| last.eq_ignore_ascii_case("invalid"))
}

/// A server with the way to it, where it can be reached by it.
fn by_way(
    mut place: Place,
    address: &Node,
    way: Option<(&Node, Option<OutboundId>)>,
    outbounds: &Outbounds,
    problems: &mut Problems,
) -> Place {
    if let Some((via, way)) = way {
        if place.interface.is_some() {
            let message = "a link-local server is reached by its interface, by no other way";
            problems.error("invalid-value", &via.span, message);
        }
        place.via = way;
        let kind = way.and_then(|way| outbounds.kind(way));
        if let Some(Kind::Carry(Carrier::Direct(Uplink {
            interface: None, ..
        }))) = kind
        {
            // As without a way: nothing says which link it is on.
            let from_here = Place {
                via: None,
                ..place.clone()
            };
            value::require_interface(&from_here, &address.span, problems);
        }
    }
    value::require_interface(&place, &address.span, problems);
    place
}

/// A name with or without a leading dot (it and all below), and one address or several.
fn read_hosts(node: &Node, problems: &mut Problems) -> Vec<(Domain, bool, IpAddr)> {
    let mut hosts = Vec::new();
    for (name, span, node) in named(Some(node), "`hosts`", problems) {
        let (bare, below) = match name.strip_prefix('.') {
            Some(bare) => (bare, true),
            None => (name, false),
        };
        let domain = match Domain::parse(bare) {
            Ok(domain) => domain,
            Err(error) => {
                problems.error("invalid-address", span, format!("`hosts`: {error}"));
                continue;
            }
        };
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(node),
        };
        for item in items {
            let Some(text) = item.text("an address", problems) else {
                continue;
            };
            match text.parse::<IpAddr>() {
                Ok(address) => hosts.push((domain.clone(), below, address.to_canonical())),
                Err(_unspecific) => {
                    let message = format!("`hosts`: `{text}` is no address");
                    problems.error("invalid-address", &item.span, message);
                }
            }
        }
    }
    hosts
}

/// `corp.example: UPSTREAM`: it and all names below are asked there; `=corp.example`: it alone.
fn read_domains(
    node: &Node,
    dns: &Dns<'_>,
    problems: &mut Problems,
) -> Vec<(Domain, bool, Vec<NameServer>)> {
    let mut domains = Vec::new();
    for (name, span, node) in named(Some(node), "`domains`", problems) {
        let upstream = dns.find(node, problems);
        let (bare, below) = match name.strip_prefix('=') {
            Some(bare) => (bare, false),
            None => (name.strip_prefix('.').unwrap_or(name), true),
        };
        match Domain::parse(bare) {
            Ok(domain) => {
                let servers = upstream.and_then(|id| dns.resolvers.get(id.0));
                let servers = servers.map_or_else(Vec::new, |r| r.servers.clone());
                domains.push((domain, below, servers));
            }
            Err(error) => {
                problems.error("invalid-address", span, format!("`domains`: {error}"));
            }
        }
    }
    // Most specific first: more labels, and a name before all that is below it.
    domains
        .sort_by_key(|(domain, below, _)| (std::cmp::Reverse(domain.ancestors().count()), *below));
    domains
}

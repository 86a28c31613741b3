//! `dns:`: resolvers by name.
//!
//! Each upstream is a resolver of its own: where it does not answer the look-up fails, it never
//! falls back to another. `system` is one, too, with the hosts, domains and family of all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use pointsman_policy::Domain;

use super::upstreams::{self, Surroundings};
use super::{FAMILIES, cache, given, named};
use crate::problem::{Problems, nearest};
use crate::setup::{
    Bootstrap, CacheLimits, NameServer, ResolverId, ResolverSpec, Servers, Written,
};
use crate::value;
use crate::yaml::{KeyStyle, Node, Value};

/// The name of the system's own configuration as a resolver.
const SYSTEM: &str = "system";

/// What rules of the DNS server answer by themselves, or mean otherwise.
const RESERVED: [&str; 9] = [
    "drop", "fake", "follow", "hosts", "nodata", "nxdomain", "pass", "refused", "zero",
];

/// Keys that are understood and not built.
const LATER: [&str; 1] = ["strip_ech"];

/// What was read.
#[derive(Default)]
pub(super) struct Dns<'a> {
    /// In the order written.
    pub(super) resolvers: Vec<Written<ResolverSpec>>,
    /// For servers, and what is dialled by name; `None` is the system's.
    pub(super) server_resolver: Option<ResolverId>,
    /// Whether the configuration names it.
    pub(super) names_resolver: bool,
    /// Who knows the upstreams' own names.
    pub(super) bootstrap: Bootstrap,
    /// ... where they are written.
    pub(super) bootstrap_place: Option<&'a Node>,
    /// The upstreams as they are named, in the order written, `system` last.
    pub(super) names: Vec<String>,
    /// What each of them is given in all, where it says so.
    pub(super) timeouts: HashMap<ResolverId, Duration>,
    /// What is kept of answers.
    pub(super) cache: CacheLimits,
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
    pub(super) log: Option<&'a Node>,
    pub(super) limits: Option<&'a Node>,
    pub(super) ask: Option<(&'a Node, &'a Node)>,
    pub(super) undecided: Option<(&'a Node, &'a Node)>,
    pub(super) fake_ip: Option<(&'a Node, &'a Node)>,
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
    around: &mut Surroundings<'_>,
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
        log: given(&mut keys, "log"),
        limits: given(&mut keys, "limits"),
        ask: keys.take_pair("ask"),
        undecided: keys.take_pair("undecided"),
        fake_ip: keys.take_pair("fake_ip"),
        domains: None,
    };
    dns.cache = given(&mut keys, "cache")
        .map(|node| cache::read(node, problems))
        .unwrap_or_default();
    let upstreams = keys.take("upstreams");
    let bootstrap = given(&mut keys, "bootstrap");
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
        let mut timeout = None;
        let servers = upstreams::read(node, around, &mut timeout, problems);
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
    let of_the_system = vec![NameServer::System].into();
    dns.resolvers.push(resolver(of_the_system, None));
    let hosts = hosts
        .map(|node| read_hosts(node, problems))
        .unwrap_or_default();
    dns.bootstrap_place = bootstrap;
    dns.bootstrap = Bootstrap {
        what: ResolverSpec {
            servers: match bootstrap {
                Some(node) => upstreams::bootstrap(node, problems).into(),
                None => vec![NameServer::System].into(),
            },
            hosts: hosts.clone(),
            families,
            ..ResolverSpec::default()
        },
        for_outbounds: bootstrap.is_some(),
    };
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
) -> Vec<(Domain, bool, Servers)> {
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
                let servers = servers.map_or_else(Servers::default, |r| r.servers.clone());
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

//! `dns`: name servers, fixed hosts, servers for some domains.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use pointsman_policy::Domain;

use super::comma_parts;
use crate::problem::{Problems, Span};
use crate::setup::{Bootstrap, Encrypted, Families, NameServer, Place, ResolverSpec, Written};
use crate::value;
use crate::yaml::{KeyStyle, Node};

/// What the section says.
#[derive(Default)]
pub(super) struct Dns {
    /// `None` where it says nothing.
    pub(super) resolver: Option<Written<ResolverSpec>>,
    pub(super) bootstrap: Bootstrap,
}

/// Reads the section. Names that it gives no server for are the system's to find.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Dns {
    let mut own = Vec::new();
    let resolver = resolver(node, &mut own, problems);
    let mut bootstrap = Bootstrap::default();
    if !own.is_empty() {
        bootstrap.what.servers = own.into();
    }
    if let Some(resolver) = &resolver {
        bootstrap.what.hosts.clone_from(&resolver.what.hosts);
        bootstrap.what.families = resolver.what.families;
    }
    Dns {
        resolver,
        bootstrap,
    }
}

fn resolver(
    node: &Node,
    own: &mut Vec<NameServer>,
    problems: &mut Problems,
) -> Option<Written<ResolverSpec>> {
    let mut keys = node.keys("`dns`", KeyStyle::KebabIsSnake, problems);
    let preference = keys.take("preference");
    let bootstrap = keys.take("bootstrap");
    let nameserver = keys.take("nameserver");
    let hosts = keys.take("hosts");
    let by_domain = keys.take("nameserver_policy");
    keys.not_yet(&["tun_hijack_list", "tun_bypass_list"], problems);
    keys.finish(problems);

    for item in bootstrap.map_or(&[][..], |node| node.list("`bootstrap`", problems)) {
        if let Some(text) = item.text("a bootstrap server", problems) {
            let place = server_address(text, &item.span, problems);
            own.extend(place.map(NameServer::Udp));
        }
    }
    let mut resolver = ResolverSpec {
        families: preference.map_or_else(Families::default, |node| families(node, problems)),
        ..ResolverSpec::default()
    };
    let listed = nameserver.is_some_and(|node| !node.list("`nameserver`", problems).is_empty());
    for item in nameserver.map_or(&[][..], |node| node.list("`nameserver`", problems)) {
        resolver.servers.list.extend(name_server(item, problems));
    }
    for (name, value) in hosts.map_or(&[][..], |node| node.map("`hosts`", problems)) {
        let Some((domain, below)) = pattern(name, problems) else {
            continue;
        };
        let Some(text) = value.text("an address", problems) else {
            continue;
        };
        match text.parse::<IpAddr>() {
            Ok(address) => resolver.hosts.push((domain, below, address.to_canonical())),
            Err(_unspecific) => {
                let message = format!("`{text}` is not an IPv4 or IPv6 address");
                problems.error("invalid-address", &value.span, message);
            }
        }
    }
    for (name, value) in by_domain.map_or(&[][..], |node| node.map("`nameserver_policy`", problems))
    {
        let found = pattern(name, problems);
        let server = name_server(value, problems);
        if let (Some((domain, below)), Some(server)) = (found, server) {
            resolver
                .by_domain
                .push((domain, below, vec![server].into()));
        }
    }
    // Most specific first: more labels, and a name before all that is below it.
    resolver
        .by_domain
        .sort_by_key(|(name, below, _)| (std::cmp::Reverse(name.ancestors().count()), *below));
    if resolver.servers.is_empty() && !listed {
        let said =
            preference.is_some() || !resolver.hosts.is_empty() || !resolver.by_domain.is_empty();
        if !said {
            return None;
        }
        resolver.servers.list.push(NameServer::System);
    }
    Some(Written {
        what: resolver,
        span: nameserver.or(by_domain).map(|node| node.span.clone()),
    })
}

fn families(node: &Node, problems: &mut Problems) -> Families {
    match node.text("`preference`", problems) {
        Some("ipv4-only") => Families::Ipv4Only,
        Some("ipv6-only") => Families::Ipv6Only,
        Some("prefer-ipv4") | None => Families::PreferIpv4,
        Some("prefer-ipv6") => Families::PreferIpv6,
        Some(other) => {
            let message = format!(
                "there is no preference `{other}`; it is `ipv4-only`, `ipv6-only`, `prefer-ipv4` or `prefer-ipv6`"
            );
            problems.error("invalid-value", &node.span, message);
            Families::default()
        }
    }
}

/// `name`, or `*.name` for all below (the name itself included).
fn pattern(node: &Node, problems: &mut Problems) -> Option<(Domain, bool)> {
    let text = node.text("a name", problems)?;
    let below = ["*.", "+."].iter().find_map(|sign| text.strip_prefix(sign));
    match Domain::parse(below.unwrap_or(text)) {
        Ok(name) => Some((name, below.is_some())),
        Err(why) => {
            problems.error(
                "invalid-value",
                &node.span,
                format!("`{text}` is no domain: {why}"),
            );
            None
        }
    }
}

/// `udp, ADDRESS`, `doh, HOST` ...; `plain` behind it is accepted: no server is bound to a link.
fn name_server(node: &Node, problems: &mut Problems) -> Option<NameServer> {
    let text = node.text("a name server", problems)?;
    let parts = comma_parts(text);
    let (kind, value) = match parts.as_slice() {
        [kind, value] => (*kind, *value),
        [kind, value, plain] if plain.eq_ignore_ascii_case("plain") => (*kind, *value),
        _ => {
            problems
                .error(
                    "invalid-value",
                    &node.span,
                    format!("`{text}` is no name server"),
                )
                .hint = Some("write `udp, 1.1.1.1`".into());
            return None;
        }
    };
    let later = |problems: &mut Problems| {
        problems.not_yet(
            &node.span,
            format!("the name server `{text}`: it answers nothing"),
        );
        Some(NameServer::NotYet(format!(
            "the name server `{text}` is not built yet"
        )))
    };
    match kind.to_ascii_lowercase().as_str() {
        "udp" => server_address(value, &node.span, problems).map(NameServer::Udp),
        "tcp" => server_address(value, &node.span, problems).map(NameServer::Tcp),
        "dhcp" => later(problems),
        "dot" => encrypted(&format!("tls://{value}"), node, problems),
        "doh" => encrypted(&format!("https://{value}"), node, problems),
        "dot-preset" | "doh-preset" => {
            let preset = PRESETS.iter().find(|(word, ..)| *word == value);
            let Some((_, host, addresses)) = preset else {
                let known: Vec<&str> = PRESETS.iter().map(|(word, ..)| *word).collect();
                let message = format!("there is no preset `{value}`");
                problems.error("invalid-value", &node.span, message).hint =
                    Some(format!("there are: {}", known.join(", ")));
                return None;
            };
            let scheme = if kind.eq_ignore_ascii_case("dot-preset") {
                "tls"
            } else {
                "https"
            };
            let server = encrypted(&format!("{scheme}://{host}"), node, problems)?;
            Some(with_addresses(server, addresses))
        }
        other => {
            let message = format!("there is no kind `{other}` of name servers");
            problems.error("invalid-value", &node.span, message).hint =
                Some("there are: udp, tcp, dot, doh, dot-preset, doh-preset, dhcp".into());
            None
        }
    }
}

/// Servers that are known by a word: name, and where they are.
const PRESETS: [(&str, &str, [IpAddr; 2]); 4] = [
    ("cloudflare", "cloudflare-dns.com", CLOUDFLARE),
    ("cf", "cloudflare-dns.com", CLOUDFLARE),
    (
        "quad9",
        "dns.quad9.net",
        [v4([9, 9, 9, 9]), v4([149, 112, 112, 112])],
    ),
    ("google", "dns.google", [v4([8, 8, 8, 8]), v4([8, 8, 4, 4])]),
];
const CLOUDFLARE: [IpAddr; 2] = [v4([1, 1, 1, 1]), v4([1, 0, 0, 1])];

const fn v4([a, b, c, d]: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

fn encrypted(url: &str, node: &Node, problems: &mut Problems) -> Option<NameServer> {
    value::or_problem(
        value::parse_name_server(url),
        node,
        "a name server",
        problems,
    )
}

fn with_addresses(server: NameServer, addresses: &[IpAddr]) -> NameServer {
    let at = |at: Arc<Encrypted>| {
        Arc::new(Encrypted {
            addresses: addresses.to_vec(),
            ..Arc::unwrap_or_clone(at)
        })
    };
    match server {
        NameServer::Https(it) => NameServer::Https(at(it)),
        NameServer::Tls(it) => NameServer::Tls(at(it)),
        other => other,
    }
}

fn server_address(text: &str, span: &Span, problems: &mut Problems) -> Option<Place> {
    match value::parse_place(text) {
        Ok(place) => {
            value::require_interface(&place, span, problems);
            Some(place)
        }
        Err(_unspecific) => {
            let message = format!("`{text}` is not the address of a server");
            problems.error("invalid-address", span, message);
            None
        }
    }
}

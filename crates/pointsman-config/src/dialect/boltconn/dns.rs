//! `dns`: name servers, fixed hosts, servers for some domains.

use std::net::IpAddr;

use pointsman_policy::Domain;

use super::comma_parts;
use crate::problem::{Problems, Span};
use crate::setup::{Families, NameServer, Place, ResolverSpec, Written};
use crate::value;
use crate::yaml::{KeyStyle, Node};

/// Reads the section; `None` where it says nothing. Names that it gives no server for are the system's to find.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Written<ResolverSpec>> {
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
            server_address(text, &item.span, problems);
        }
    }
    let mut resolver = ResolverSpec {
        families: preference.map_or_else(Families::default, |node| families(node, problems)),
        ..ResolverSpec::default()
    };
    let listed = nameserver.is_some_and(|node| !node.list("`nameserver`", problems).is_empty());
    for item in nameserver.map_or(&[][..], |node| node.list("`nameserver`", problems)) {
        resolver.servers.extend(name_server(item, problems));
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
            resolver.by_domain.push((domain, below, vec![server]));
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
        resolver.servers.push(NameServer::System);
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
        "dot" | "doh" | "dhcp" => later(problems),
        "dot-preset" | "doh-preset" => {
            let known = ["cloudflare", "cf", "quad9", "google"];
            if known.contains(&value) {
                return later(problems);
            }
            let message = format!("there is no preset `{value}`");
            problems.error("invalid-value", &node.span, message).hint =
                Some(format!("there are: {}", known.join(", ")));
            None
        }
        other => {
            let message = format!("there is no kind `{other}` of name servers");
            problems.error("invalid-value", &node.span, message).hint =
                Some("there are: udp, tcp, dot, doh, dot-preset, doh-preset, dhcp".into());
            None
        }
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

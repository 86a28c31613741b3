//! One target of a proxy, and the dialect's addresses: `[tcp:|tcp4:|tcp6:]host:port`, `unix:/path`,
//! `fd:N`.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Host, OutboundId};

use super::timeout;
use super::{given, tls};
use crate::forward::LONGEST_PROBES;
use crate::outbounds::Outbounds;
use crate::problem::Problems;
use crate::setup::{Carrier, Endpoint, Families, Keepalive, Kind, Protocol, Target, Upstream};
use crate::value::{self, EmptyHost, parse_descriptor, parse_host_port, parse_unix};
use crate::yaml::{KeyStyle, Node};

/// Where a target stands.
pub(super) struct Place<'a> {
    /// Relative paths start from it.
    pub(super) directory: &'a Path,
    /// It is `target:`, whose name may be left out.
    pub(super) singular: bool,
    /// `enable_dual_stack`.
    pub(super) same_family: bool,
    /// `enable_proxy_header`.
    pub(super) proxy_header: bool,
}

/// Reads a target, and why its proxy must refuse every connection, if it must.
pub(super) fn read(
    node: &Node,
    place: &Place<'_>,
    outbounds: &mut Outbounds,
    problems: &mut Problems,
) -> (Option<(Arc<str>, Target)>, Option<&'static str>) {
    let mut keys = node.keys("a target", KeyStyle::Exact, problems);
    let name = if place.singular {
        match given(&mut keys, "name") {
            Some(node) => value::name(node, "`name`", problems),
            // The singular form has no name; this one is what explanations call it.
            None => Some("target"),
        }
    } else {
        let name = keys.require("name", problems);
        name.and_then(|node| value::name(node, "`name`", problems))
    };
    let address_node = keys.require("address", problems);
    let found =
        address_node.and_then(|node| address(node, place.directory, EmptyHost::Refused, problems));
    if let (Some(node), Some((endpoint, families))) = (address_node, &found)
        && place.same_family
        && (!matches!(endpoint, Endpoint::Tcp(_)) || *families != Families::default())
    {
        let message =
            "`enable_dual_stack` needs a target `tcp:host:port`: the client chooses the family";
        problems.error("invalid-value", &node.span, message);
    }
    let via = given(&mut keys, "proxy");
    let via = via.and_then(|node| through(node, place.directory, outbounds, problems));
    let mut limit = |key: &'static str, what| timeout(given(&mut keys, key), what, problems);
    let backoff = limit("connect_backoff", "`connect_backoff`");
    let connect_timeout = limit("connect_timeout", "`connect_timeout`");
    let resolve_timeout = limit("resolve_timeout", "`resolve_timeout`");
    let write_timeout = limit("write_timeout", "`write_timeout`");
    let read_timeout = limit("read_timeout", "`read_timeout`");
    let attempts = given(&mut keys, "connect_attempts")
        .and_then(|node| node.number("`connect_attempts`", 0..=1_000_000, problems));
    let keepalive = given(&mut keys, "keepalive_interval").and_then(|node| {
        let wait = value::go_duration(node, "`keepalive_interval`", problems)?;
        if u64::try_from(wait).is_ok_and(|wait| Duration::from_nanos(wait) > LONGEST_PROBES) {
            let message = "`keepalive_interval` counts as 32767s (9h6m7s), which is the longest that systems wait";
            problems.warning("invalid-value", &node.span, message);
        }
        Some(wait)
    });
    let mut not_yet = None;
    if let Some((key, context)) = keys.take_pair("tls_context")
        && !context.is_null()
    {
        tls::check(context, tls::Side::Target, problems);
        problems.not_yet(&key.span, "TLS to a target; every connection is refused");
        not_yet = Some("TLS to a target is not built yet");
    }
    keys.finish(problems);
    let target = found.map(|(address, families)| Target {
        address,
        via,
        // 0 and 1 are both a single attempt.
        attempts: attempts.and_then(|n| n.try_into().ok()).unwrap_or(1).max(1),
        backoff: backoff.unwrap_or(Duration::ZERO),
        connect_timeout,
        resolve_timeout,
        read_timeout,
        write_timeout,
        keepalive: match keepalive.map(u64::try_from) {
            None | Some(Ok(0)) => Keepalive::Default,
            Some(Ok(nanoseconds)) => Keepalive::Every(Duration::from_nanos(nanoseconds)),
            Some(Err(_negative)) => Keepalive::Off,
        },
        families,
        proxy_header: place.proxy_header,
    });
    (name.map(Arc::from).zip(target), not_yet)
}

/// Reads an address, and the families that it allows.
pub(super) fn address(
    node: &Node,
    directory: &Path,
    empty_host: EmptyHost,
    problems: &mut Problems,
) -> Option<(Endpoint, Families)> {
    let text = node.text("`address`", problems)?;
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme @ ("tcp" | "tcp4" | "tcp6" | "unix" | "fd"), rest)) => (scheme, rest),
        Some(_) | None => ("tcp", text),
    };
    let (families, empty_host) = match (scheme, empty_host) {
        ("tcp4", EmptyHost::Any) => (Families::Ipv4Only, EmptyHost::AnyIpv4),
        ("tcp4", other) => (Families::Ipv4Only, other),
        ("tcp6", other) => (Families::Ipv6Only, other),
        (_, other) => (Families::default(), other),
    };
    let parsed = match scheme {
        "unix" => parse_unix(rest, directory),
        "fd" => parse_descriptor(rest),
        _ => parse_host_port(rest, empty_host).map(Endpoint::Tcp),
    };
    let endpoint = value::or_problem(parsed, node, "`address`", problems)?;
    if let Endpoint::Tcp(server) = &endpoint
        && let Host::Address(address) = server.host
        && !allowed(families, address)
    {
        let message = format!("`{address}` is no address for `{scheme}:`");
        problems.error("invalid-address", &node.span, message);
        return None;
    }
    Some((endpoint, families))
}

fn allowed(families: Families, address: IpAddr) -> bool {
    match families {
        Families::Ipv4Only => address.is_ipv4(),
        Families::Ipv6Only => address.is_ipv6(),
        Families::PreferIpv4 | Families::PreferIpv6 => true,
    }
}

/// The hidden outbound of a target's `proxy`.
fn through(
    node: &Node,
    directory: &Path,
    outbounds: &mut Outbounds,
    problems: &mut Problems,
) -> Option<OutboundId> {
    let (endpoint, families) = address(node, directory, EmptyHost::Refused, problems)?;
    let (name, kind) = match endpoint {
        Endpoint::Tcp(server) if families == Families::default() => (
            format!("socks5://{server}"),
            // bitflow's forwards are TCP alone.
            Kind::Carry(Carrier::Upstream(Upstream::new(
                server,
                Protocol::Socks5(None),
            ))),
        ),
        Endpoint::Tcp(_) | Endpoint::Udp(_) | Endpoint::Unix(_) => {
            let what = "a `proxy` that is not plain `tcp:`; connections through it are refused";
            problems.not_yet(&node.span, what);
            let kind = Kind::NotYet {
                kind: "socks5 at such an address".into(),
                carries_udp: false,
            };
            (format!("socks5:{}", node.scalar().unwrap_or("")), kind)
        }
        Endpoint::Fd(_) => {
            problems.error(
                "invalid-address",
                &node.span,
                "a `proxy` is reached over TCP or a Unix socket",
            );
            return None;
        }
    };
    Some(outbounds.define_hidden(&name, kind, &node.span))
}

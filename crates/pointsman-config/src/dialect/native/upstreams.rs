//! `dns.upstreams` and `dns.bootstrap`: who is asked, where they are, and how they prove who they are.
//!
//! Invariant: what is asked within TLS is believed by its certificate alone; nothing here says to go on without.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::{Host, OutboundId};

use super::given;
use crate::input::Input;
use crate::outbounds::Outbounds;
use crate::problem::Problems;
use crate::setup::{
    Authorities, Carrier, Encrypted, Kind, NameServer, Place, Servers, Turns, Uplink,
};
use crate::value::{self, parse_name_server, parse_place};
use crate::yaml::{KeyStyle, Keys, Node, Value};

/// What upstreams are read with.
pub(super) struct Surroundings<'a> {
    pub(super) outbounds: &'a Outbounds,
    pub(super) input: &'a Input<'a>,
    /// Those that the configuration is made of.
    pub(super) files: &'a mut Vec<PathBuf>,
}

/// The keys of an upstream that is a map.
#[derive(Clone, Copy, Default)]
struct UpstreamKeys<'a> {
    via: Option<(&'a Node, Option<OutboundId>)>,
    addresses: Option<&'a Node>,
    tls: Option<&'a Node>,
}

/// The longest file of authorities, in bytes: a system's whole bundle has a quarter of a megabyte.
const MOST_AUTHORITIES: u64 = 4 << 20;

/// The words for several servers, what they mean, and what has them.
const TURNS: [(&str, Turns, &str); 3] = [
    ("order", Turns::Order, "an upstream with `order`"),
    ("race", Turns::Race, "an upstream with `race`"),
    ("fastest", Turns::Fastest, "an upstream with `fastest`"),
];

/// An upstream: one server, a list of them, which are asked in order, or `{ order | race | fastest: [...] }`.
pub(super) fn read(
    node: &Node,
    around: &mut Surroundings<'_>,
    timeout: &mut Option<Duration>,
    problems: &mut Problems,
) -> Servers {
    let mut servers = Servers::default();
    let no_keys = UpstreamKeys::default();
    match &node.value {
        Value::List(items) => several(
            items,
            node,
            no_keys,
            around,
            (&mut servers, timeout),
            problems,
        ),
        Value::Map(pairs) => {
            let has = |word: &str| {
                let mut pairs = pairs.iter();
                pairs.any(|(key, _)| key.scalar() == Some(word))
            };
            let turns = TURNS.iter().find(|(word, ..)| has(word) && !has("address"));
            let what = turns.map_or("an upstream", |(.., what)| what);
            let mut keys = node.keys(what, KeyStyle::Exact, problems);
            let own = UpstreamKeys::take(&mut keys, around.outbounds, problems);
            let reuse = given(&mut keys, "reuse");
            let reuse = reuse.and_then(|node| value::duration_or_off(node, "`reuse`", problems));
            if let Some(reuse) = reuse {
                servers.reuse = reuse.unwrap_or(Duration::ZERO);
            }
            let patience = given(&mut keys, "timeout");
            *timeout = patience.and_then(|node| value::duration(node, "`timeout`", problems));
            match turns {
                Some((word, turns, _)) => {
                    servers.turns = *turns;
                    if let Some(list) = keys.require(word, problems) {
                        let items = list.list("an upstream's servers", problems);
                        several(items, list, own, around, (&mut servers, timeout), problems);
                    }
                }
                None => {
                    if let Some(address) = keys.require("address", problems) {
                        let server = server(address, problems)
                            .and_then(|server| with_keys(server, address, own, around, problems));
                        servers.list.extend(server);
                    }
                }
            }
            keys.finish(problems);
        }
        Value::Scalar(..) => servers
            .list
            .extend(upstream(node, no_keys, around, timeout, problems)),
    }
    servers
}

/// Servers of a list, each with the keys of all where it has none of its own.
fn several(
    items: &[Node],
    list: &Node,
    keys: UpstreamKeys<'_>,
    around: &mut Surroundings<'_>,
    (servers, timeout): (&mut Servers, &mut Option<Duration>),
    problems: &mut Problems,
) {
    if items.is_empty() {
        let message = "an upstream needs at least one address";
        problems.error("missing-key", &list.span, message);
    }
    for item in items {
        let server = upstream(item, keys, around, timeout, problems);
        servers.list.extend(server);
    }
    let mut ways = servers.iter().map(NameServer::via);
    let first = ways.next();
    if servers.turns != Turns::Order && ways.any(|way| Some(way) != first) {
        let message = "all of these hear each name, and they are reached by different ways";
        problems.note("told-to-all", &list.span, message).hint = Some(
            "a list is asked in order: the next one hears what the one before did not answer"
                .into(),
        );
    }
}

/// `udp://1.1.1.1`, `system`, or `{ address: ..., via: OUTBOUND }`.
fn upstream<'a>(
    node: &'a Node,
    of_all: UpstreamKeys<'a>,
    around: &mut Surroundings<'_>,
    timeout: &mut Option<Duration>,
    problems: &mut Problems,
) -> Option<NameServer> {
    let (address, keys) = if matches!(node.value, Value::Map(_)) {
        let mut keys = node.keys("a server of an upstream", KeyStyle::Exact, problems);
        let address = keys.require("address", problems);
        let own = UpstreamKeys::take(&mut keys, around.outbounds, problems);
        let patience = given(&mut keys, "timeout");
        let patience = patience.and_then(|node| value::duration(node, "`timeout`", problems));
        *timeout = patience.or(*timeout);
        keys.finish(problems);
        (address?, own.or(of_all))
    } else {
        (node, of_all)
    };
    let server = server(address, problems)?;
    with_keys(server, address, keys, around, problems)
}

/// `dns.bootstrap`: addresses alone, for who asks for their names is who they are for.
pub(super) fn bootstrap(node: &Node, problems: &mut Problems) -> Vec<NameServer> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(node),
    };
    if items.is_empty() {
        let message = "`bootstrap` needs at least one address";
        problems.error("missing-key", &node.span, message).hint =
            Some("leave the key out for the servers of this host".into());
    }
    let mut servers = Vec::new();
    for item in items {
        let Some(server) = server(item, problems) else {
            continue;
        };
        match &server {
            NameServer::Https(at) | NameServer::Tls(at) if at.name_to_look_up().is_some() => {
                let message = "`bootstrap` takes addresses: nobody could be asked for this name";
                problems.error("invalid-address", &item.span, message);
            }
            NameServer::Tcp(place) | NameServer::Udp(place) => {
                value::require_interface(place, &item.span, problems);
                servers.push(server);
            }
            NameServer::Https(_)
            | NameServer::NotYet(_)
            | NameServer::System
            | NameServer::Tls(_) => {
                servers.push(server);
            }
        }
    }
    servers
}

impl<'a> UpstreamKeys<'a> {
    fn or(self, all: Self) -> Self {
        Self {
            via: self.via.or(all.via),
            addresses: self.addresses.or(all.addresses),
            tls: self.tls.or(all.tls),
        }
    }

    fn take(keys: &mut Keys<'a>, outbounds: &Outbounds, problems: &mut Problems) -> Self {
        let via = given(keys, "via").map(|node| {
            let name = value::name(node, "`via`", problems);
            let way = name.and_then(|name| outbounds.resolve(name, &node.span, problems));
            (node, way)
        });
        keys.not_yet(&["client_subnet"], problems);
        Self {
            via,
            addresses: given(keys, "addresses"),
            tls: given(keys, "tls"),
        }
    }
}

/// The server of an address alone.
fn server(address: &Node, problems: &mut Problems) -> Option<NameServer> {
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
        _ if is_no_host(text) => {
            let message = format!("`{text}` is no name server: look-ups through it fail");
            problems.note("no-name-server", &address.span, message);
            NameServer::NotYet(format!("`{text}` is no name server"))
        }
        NameServer::NotYet(why) => {
            let message = format!("{why}; look-ups through it fail");
            problems.not_yet(&address.span, message);
            NameServer::NotYet(format!("{why} is not built yet"))
        }
        other => other,
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

fn with_keys(
    server: NameServer,
    address: &Node,
    keys: UpstreamKeys<'_>,
    around: &mut Surroundings<'_>,
    problems: &mut Problems,
) -> Option<NameServer> {
    let UpstreamKeys {
        via,
        addresses,
        tls,
    } = keys;
    let is_encrypted = matches!(server, NameServer::Https(_) | NameServer::Tls(_));
    for (key, node) in [("addresses", addresses), ("tls", tls)] {
        if let (Some(node), false) = (node, is_encrypted) {
            let message = format!("`{key}` is for servers by `tls://` and `https://`");
            problems.error("conflicting-keys", &node.span, message);
        }
    }
    let mut encrypted = |at: Arc<Encrypted>| {
        let mut at = Arc::unwrap_or_clone(at);
        at.via = via.and_then(|(_, way)| way);
        if let Some(node) = addresses {
            at.addresses = own_addresses(node, &at, problems);
        }
        if let Some(node) = tls {
            proof(node, &mut at, around, problems);
        }
        let is_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let own = at.server.host.address();
        if at.addresses.iter().chain(&own).any(is_local) {
            let message = "a link-local address is on every link: it is for `udp://` and `tcp://`";
            problems.error("invalid-address", &address.span, message);
        }
        Arc::new(at)
    };
    Some(match server {
        NameServer::Https(at) => NameServer::Https(encrypted(at)),
        NameServer::Tls(at) => NameServer::Tls(encrypted(at)),
        NameServer::System => {
            if let Some((via, _)) = via {
                let message = "`system` is asked as the system is configured, by no other way";
                problems.error("invalid-value", &via.span, message);
            }
            NameServer::System
        }
        NameServer::Tcp(place) => {
            NameServer::Tcp(by_way(place, address, via, around.outbounds, problems))
        }
        NameServer::Udp(place) => {
            NameServer::Udp(by_way(place, address, via, around.outbounds, problems))
        }
        other @ NameServer::NotYet(_) => other,
    })
}

/// Where a server is that is called by a name.
fn own_addresses(node: &Node, at: &Encrypted, problems: &mut Problems) -> Vec<IpAddr> {
    if at.server.host.name().is_none() {
        let message = "the server is an address already";
        problems.error("conflicting-keys", &node.span, message);
    }
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(node),
    };
    let mut addresses = Vec::new();
    for item in items {
        let Some(text) = item.text("an address", problems) else {
            continue;
        };
        match text.parse::<IpAddr>() {
            Ok(address) => addresses.push(address.to_canonical()),
            Err(_unspecific) => {
                let message = format!("`addresses`: `{text}` is no address");
                let problem = problems.error("invalid-address", &item.span, message);
                problem.hint = Some("the port stands in `address`".into());
            }
        }
    }
    addresses
}

/// `tls: { name, authorities }`
fn proof(node: &Node, at: &mut Encrypted, around: &mut Surroundings<'_>, problems: &mut Problems) {
    let mut keys = node.keys("`tls` of an upstream", KeyStyle::Exact, problems);
    let name = given(&mut keys, "name");
    let authorities = given(&mut keys, "authorities");
    keys.finish(problems);
    if let Some(node) = name
        && let Some(text) = value::name(node, "`name`", problems)
    {
        match Host::parse(text) {
            Ok(name) => at.name = name,
            Err(_unspecific) => {
                let message = format!("`{text}` is neither a name nor an address");
                problems.error("invalid-address", &node.span, message);
            }
        }
    }
    if let Some(node) = authorities {
        at.authorities = read_authorities(node, around, problems).unwrap_or_default();
    }
}

fn read_authorities(
    node: &Node,
    around: &mut Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Authorities> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let path = value::path(node, "`authorities`", &around.input.directory, problems)?;
    let shown = node.scalar().unwrap_or_default();
    let pem = match around.input.files.read(&path, MOST_AUTHORITIES) {
        Ok(pem) => pem,
        Err(error) => {
            let message = format!("`authorities`: `{shown}` cannot be read: {error}");
            problems.error("missing-file", &node.span, message);
            return None;
        }
    };
    around.files.push(path);
    if !pem.windows(BEGIN.len()).any(|part| part == BEGIN) {
        let message = format!("`authorities`: `{shown}` holds no certificate");
        problems.error("invalid-value", &node.span, message).hint = Some(
            "certificates in PEM are meant, each begins with `-----BEGIN CERTIFICATE-----`".into(),
        );
        return None;
    }
    Some(Authorities::Given(pem.into()))
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

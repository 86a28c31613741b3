//! One `[egress.NAME]`: its type, and the endpoint that the type asks for or forbids.

use std::net::Ipv6Addr;

use pointsman_policy::Host;
use pointsman_spec::outbound;

use crate::problem::{Problems, nearest};
use crate::setup::{Carrier, Protocol, Refusal, Server, Upstream};
use crate::yaml::{KeyStyle, Node};

use super::{EgressKind, text};

/// Reads one `[egress.NAME]`.
pub(super) fn read(
    name: &str,
    key: &Node,
    node: &Node,
    problems: &mut Problems,
) -> Option<(EgressKind, outbound::Kind)> {
    let what = format!("`egress.{name}`");
    if name.trim().is_empty() {
        problems.error("missing-key", &key.span, "an egress needs a name");
    }
    let mut keys = node.keys(&what, KeyStyle::Exact, problems);
    let kind = keys.require("type", problems);
    let endpoint = keys.take_pair("endpoint");
    keys.finish(problems);
    let kind = kind?;
    let word = text(kind, "the type of an egress", problems)?;
    let found = KINDS.into_iter().find(|kind| self::word(*kind) == word);
    let Some(found) = found else {
        let hint = match nearest(word, KINDS.into_iter().map(self::word)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "one of `singbox`, `socks5`, `direct`, `block`".to_owned(),
        };
        let message = format!("there is no egress type `{word}`");
        problems.error("invalid-value", &kind.span, message).hint = Some(hint);
        return None;
    };
    let made = match (found, endpoint) {
        (EgressKind::Singbox | EgressKind::Socks5, Some((_, endpoint))) => {
            let server = self::endpoint(endpoint, problems)?;
            outbound::Kind::Carry(Carrier::Upstream(Upstream {
                // Both cores speak UDP ASSOCIATE; one that does not refuses the flow itself.
                carries_udp: true,
                ..Upstream::new(server, Protocol::Socks5(None))
            }))
        }
        (EgressKind::Singbox | EgressKind::Socks5, None) => {
            let message = format!("{what} is of type `{word}` and needs an `endpoint`");
            let problem = problems.error("missing-key", &key.span, message);
            problem.hint = Some("endpoint = \"socks5://127.0.0.1:1080\"".into());
            return None;
        }
        (EgressKind::Block | EgressKind::Direct, Some((key, _))) => {
            let message = format!("{what} is of type `{word}`, which has no endpoint");
            problems.error("endpoint-forbidden", &key.span, message);
            return None;
        }
        (EgressKind::Direct, None) => outbound::Kind::direct(),
        (EgressKind::Block, None) => outbound::Kind::Refuse(Refusal::Reject),
    };
    Some((found, made))
}

/// The word of a type.
pub(super) fn word(kind: EgressKind) -> &'static str {
    match kind {
        EgressKind::Block => "block",
        EgressKind::Singbox => "singbox",
        EgressKind::Socks5 => "socks5",
        EgressKind::Direct => "direct",
    }
}

/// Reads `socks5://host:port`.
fn endpoint(node: &Node, problems: &mut Problems) -> Option<Server> {
    let raw = text(node, "an endpoint", problems)?.trim();
    // Problems end in logs: a login is not shown there.
    let login = raw
        .rfind('@')
        .map(|at| (raw.find("://").map_or(0, |scheme| scheme + 3), at));
    let shown = match login {
        Some((from, at)) if from < at => {
            format!("{}***{}", &raw[..from], &raw[at..])
        }
        Some(_) | None => raw.to_owned(),
    };
    match parse_endpoint(raw) {
        Ok(server) => Some(server),
        Err(why) => {
            let why = if login.is_some() {
                "a login has no place here"
            } else {
                &*why
            };
            let message = format!("`{shown}`: {why}");
            let problem = problems.error("invalid-address", &node.span, message);
            let scheme = raw.split("://").next().unwrap_or_default();
            let hint = if ["http", "https"].contains(&scheme) {
                "an endpoint is `socks5://host:port`; by an HTTP proxy flows go in a native configuration (`type: http`)"
            } else {
                "an endpoint is `socks5://host:port`"
            };
            problem.hint = Some(hint.into());
            None
        }
    }
}

fn parse_endpoint(raw: &str) -> Result<Server, String> {
    let Some((scheme, rest)) = raw.split_once("://") else {
        return Err("there is no scheme".into());
    };
    if scheme != "socks5" {
        return Err(format!("the scheme `{scheme}` is not `socks5`"));
    }
    if rest.contains('@') {
        return Err("a login has no place here".into());
    }
    if rest.contains(['/', '?', '#']) {
        return Err("nothing may follow the port".into());
    }
    let Some((host, port)) = rest
        .rsplit_once(':')
        .filter(|(host, _)| !host.ends_with(':'))
    else {
        return Err("there is no port".into());
    };
    let inside = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if inside.is_none() && host.contains(':') {
        return Err("an IPv6 address stands in brackets".into());
    }
    if inside.is_some_and(|inside| inside.parse::<Ipv6Addr>().is_err()) {
        return Err("what stands in brackets is no IPv6 address".into());
    }
    let port = match port.parse::<u16>() {
        Ok(port) if port > 0 && port_is_plain(rest) => port,
        _ => return Err(format!("`{port}` is no port from 1 to 65535")),
    };
    let host = Host::parse(host).map_err(|error| error.to_string())?;
    Ok(Server { host, port })
}

/// Digits alone: `u16` would take a sign.
fn port_is_plain(rest: &str) -> bool {
    rest.rsplit(':')
        .next()
        .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

const KINDS: [EgressKind; 4] = [
    EgressKind::Singbox,
    EgressKind::Socks5,
    EgressKind::Direct,
    EgressKind::Block,
];

//! One proxy: the keys that its type has.

use pointsman_policy::Host;

use crate::problem::{Problems, nearest};
use crate::setup::{Carrier, Credentials, Kind, Protocol, Secret, Server, Uplink, Upstream};
use crate::yaml::{KeyStyle, Keys, Node};

/// The types that are understood and not built yet, with the keys that each has, and whether it
/// carries UDP where no key says so.
const LATER: [(&str, &[&str], bool); 4] = [
    (
        "ss",
        &["server", "port", "password", "cipher", "udp"],
        false,
    ),
    (
        "trojan",
        &[
            "server",
            "port",
            "password",
            "sni",
            "skip_cert_verify",
            "websocket_path",
            "udp",
        ],
        false,
    ),
    (
        "wireguard",
        &[
            "local_addr",
            "local_addr_v6",
            "local_addr6",
            "private_key",
            "public_key",
            "endpoint",
            "dns",
            "dns_preference",
            "mtu",
            "preshared_key",
            "keepalive",
            "reserved",
            "over_tcp",
        ],
        true,
    ),
    (
        "ssh",
        &[
            "server",
            "port",
            "user",
            "password",
            "private_key",
            "key_passphrase",
            "host_pubkey",
        ],
        false,
    ),
];

/// Reads a proxy; takes the keys of its type.
pub(super) fn read(keys: &mut Keys<'_>, uplink: &Uplink, problems: &mut Problems) -> Option<Kind> {
    let node = keys.require("type", problems)?;
    let kind = node.text("`type`", problems)?;
    let (server, protocol, carries_udp) = match kind {
        "http" => {
            let (server, credentials) = server_and_login(keys, problems);
            (server, Protocol::HttpConnect(credentials), false)
        }
        "socks5" => {
            let (server, credentials) = server_and_login(keys, problems);
            let udp = keys.take("udp");
            let udp = udp.and_then(|node| node.boolean("`udp`", problems));
            (server, Protocol::Socks5(credentials), udp.unwrap_or(true))
        }
        other => return later(other, node, keys, problems),
    };
    Some(Kind::Carry(Carrier::Upstream(Upstream {
        uplink: uplink.clone(),
        carries_udp,
        ..Upstream::new(server?, protocol)
    })))
}

fn later(kind: &str, node: &Node, keys: &mut Keys<'_>, problems: &mut Problems) -> Option<Kind> {
    let Some((_, known, carries_udp)) = LATER.iter().find(|(name, ..)| *name == kind) else {
        let message = format!("there is no type `{kind}` of proxies");
        let names = LATER.iter().map(|(name, ..)| *name);
        problems.error("invalid-value", &node.span, message).hint =
            nearest(kind, names.chain(["http", "socks5"]))
                .map(|near| format!("did you mean `{near}`?"));
        // Its keys are unknown too, and nobody wants to read that once for each.
        keys.take_all();
        return None;
    };
    let mut carries_udp = *carries_udp;
    for key in *known {
        let Some(value) = keys.take(key) else {
            continue;
        };
        if *key == "udp" {
            carries_udp = value.boolean("`udp`", problems).unwrap_or(false);
        }
    }
    problems.not_yet(
        &node.span,
        format!("proxies of type `{kind}`: they refuse every flow"),
    );
    Some(Kind::NotYet {
        kind: kind.into(),
        carries_udp,
    })
}

fn server_and_login(
    keys: &mut Keys<'_>,
    problems: &mut Problems,
) -> (Option<Server>, Option<Credentials>) {
    let server = keys.require("server", problems);
    let port = keys.require("port", problems);
    let auth = keys.take("auth");
    let host = server.and_then(|node| {
        let text = node.text("`server`", problems)?;
        match Host::parse(text) {
            Ok(host) => Some(host),
            Err(why) => {
                let message = format!("`{text}` is neither a name nor an address: {why}");
                problems.error("invalid-address", &node.span, message);
                None
            }
        }
    });
    let port = port
        .and_then(|node| node.number("`port`", 1..=i64::from(u16::MAX), problems))
        .and_then(|port| u16::try_from(port).ok());
    let server = host.zip(port).map(|(host, port)| Server { host, port });
    (server, auth.and_then(|node| credentials(node, problems)))
}

fn credentials(node: &Node, problems: &mut Problems) -> Option<Credentials> {
    let mut keys = node.keys("`auth`", KeyStyle::KebabIsSnake, problems);
    let user = keys.require("username", problems);
    let password = keys.require("password", problems);
    keys.finish(problems);
    Some(Credentials {
        user: user?.text("`username`", problems)?.into(),
        password: Secret::new(password?.text("`password`", problems)?),
    })
}

//! A destination as people paste it: `a.test:443`, `[::1]:22`, `https://a.test/x`, `git@a.test:a/b.git`, `udp/a.test:53`.
//!
//! Invariant: a login that stands before the host is dropped here; neither an answer nor an error repeats it.

use std::net::IpAddr;

use pointsman_policy::Host;
use pointsman_policy::fact::{Network, Protocol};

use super::{BadFlow, bad, port};

/// What a pasted text says of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pasted {
    pub(super) host: Host,
    /// As written, else the scheme's.
    pub(super) port: Option<u16>,
    /// By `udp://` and its like.
    pub(super) network: Option<Network>,
    /// What the scheme says of the first bytes.
    pub(super) speaks: Option<Protocol>,
}

/// What a scheme says.
struct Scheme {
    name: &'static str,
    /// By the registries of IANA, and by use where those have none; `None`: it must be written.
    port: Option<u16>,
    network: Network,
    speaks: Option<Protocol>,
}

const fn tcp(name: &'static str, port: u16) -> Scheme {
    Scheme {
        name,
        port: Some(port),
        network: Network::Tcp,
        speaks: None,
    }
}

const fn speaking(name: &'static str, port: u16, protocol: Protocol) -> Scheme {
    Scheme {
        speaks: Some(protocol),
        ..tcp(name, port)
    }
}

const fn bare(name: &'static str, network: Network) -> Scheme {
    Scheme {
        name,
        port: None,
        network,
        speaks: None,
    }
}

const SCHEMES: [Scheme; 47] = [
    speaking("http", 80, Protocol::Http),
    speaking("https", 443, Protocol::Tls),
    speaking("ws", 80, Protocol::Http),
    speaking("wss", 443, Protocol::Tls),
    speaking("ssh", 22, Protocol::Ssh),
    speaking("sftp", 22, Protocol::Ssh),
    speaking("scp", 22, Protocol::Ssh),
    speaking("git+ssh", 22, Protocol::Ssh),
    tcp("git", 9418),
    tcp("socks", 1080),
    tcp("socks4", 1080),
    tcp("socks4a", 1080),
    tcp("socks5", 1080),
    tcp("socks5h", 1080),
    tcp("ftp", 21),
    speaking("ftps", 990, Protocol::Tls),
    tcp("telnet", 23),
    tcp("smtp", 25),
    speaking("smtps", 465, Protocol::Tls),
    tcp("submission", 587),
    tcp("imap", 143),
    speaking("imaps", 993, Protocol::Tls),
    tcp("pop3", 110),
    speaking("pop3s", 995, Protocol::Tls),
    tcp("ldap", 389),
    speaking("ldaps", 636, Protocol::Tls),
    tcp("rdp", 3389),
    tcp("vnc", 5900),
    tcp("smb", 445),
    tcp("postgres", 5432),
    tcp("postgresql", 5432),
    tcp("mysql", 3306),
    tcp("redis", 6379),
    speaking("rediss", 6379, Protocol::Tls),
    tcp("mongodb", 27017),
    tcp("amqp", 5672),
    speaking("amqps", 5671, Protocol::Tls),
    tcp("mqtt", 1883),
    speaking("mqtts", 8883, Protocol::Tls),
    tcp("irc", 6667),
    speaking("ircs", 6697, Protocol::Tls),
    tcp("rtsp", 554),
    tcp("rtmp", 1935),
    Scheme {
        speaks: Some(Protocol::Tls),
        ..bare("tls", Network::Tcp)
    },
    bare("tcp", Network::Tcp),
    bare("udp", Network::Udp),
    Scheme {
        port: Some(53),
        ..bare("dns", Network::Udp)
    },
];

/// Reads one.
///
/// # Errors
/// [`BadFlow::BadValue`] of `key`, which quotes the host alone.
pub(super) fn read(key: &str, text: &str) -> Result<Pasted, BadFlow> {
    if let Some((scheme, rest)) = text.split_once("://") {
        return url(key, scheme, rest);
    }
    let plain = |(host, port)| Pasted {
        host,
        port,
        network: None,
        speaks: None,
    };
    if let Some((network, place)) = with_network(text) {
        return Ok(Pasted {
            network: Some(network),
            ..plain(host_and_port(key, place)?)
        });
    }
    if let Some((_login, rest)) = text.rsplit_once('@') {
        // As ssh and scp take it: `login@host`, `login@host:path`.
        let path = rest.rsplit_once(':').filter(|_| !rest.ends_with(']'));
        let secure = match path {
            Some((host, path)) if !path.bytes().all(|b| b.is_ascii_digit()) => {
                host_and_port(key, host)?
            }
            _ => host_and_port(key, rest)?,
        };
        return Ok(Pasted {
            port: secure.1.or(Some(22)),
            speaks: secure.1.is_none().then_some(Protocol::Ssh),
            ..plain(secure)
        });
    }
    if let Some((range, length)) = text.split_once('/')
        && range.parse::<IpAddr>().is_ok()
        && length.parse::<u8>().is_ok()
    {
        let why = format!("`{text}` is a range: a flow goes to one address");
        return Err(bad(key, why));
    }
    host_and_port(key, before_path(text)).map(plain)
}

/// `udp 192.0.2.1:53`, `udp/192.0.2.1:53` and `192.0.2.1:53/udp`: what tools and rules write. Nobody has such a path on a
/// server that is written without a scheme.
fn with_network(text: &str) -> Option<(Network, &str)> {
    [Network::Tcp, Network::Udp]
        .into_iter()
        .find_map(|network| {
            let before = text.strip_prefix(network.as_str());
            let before = before.and_then(|rest| rest.strip_prefix([' ', '/']));
            let behind = text.strip_suffix(network.as_str());
            let behind = behind.and_then(|rest| rest.strip_suffix([' ', '/']));
            let place = before.or(behind)?.trim();
            let (_, port) = place.rsplit_once(':')?;
            port.parse::<u16>().ok().map(|_| (network, place))
        })
}

fn url(key: &str, scheme: &str, rest: &str) -> Result<Pasted, BadFlow> {
    let authority = before_path(rest);
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_login, place)| place);
    if place.is_empty() {
        return Err(bad(key, format!("`{scheme}://` is followed by no host")));
    }
    // An empty port is the scheme's (RFC 3986, 3.2.3).
    let (host, port) =
        host_and_port(key, place.strip_suffix(':').unwrap_or(place)).map_err(|error| {
            // A login with a `/` in it: what was taken for the host is a part of it.
            match rest[authority.len()..].contains('@') {
                true => bad(key, format!("`{scheme}://...` is followed by no host")),
                false => error,
            }
        })?;
    let known = SCHEMES
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(scheme));
    let port = port.or_else(|| known?.port);
    if port.is_none() {
        let why = format!("`{scheme}://` has no port of its own: write `{place}:PORT`");
        return Err(bad(key, why));
    }
    Ok(Pasted {
        host,
        port,
        network: known.map(|known| known.network),
        speaks: known.and_then(|known| known.speaks),
    })
}

/// Browsers take a backslash for a slash (WHATWG URL, 4.4).
fn before_path(text: &str) -> &str {
    text.split(['/', '\\', '?', '#']).next().unwrap_or(text)
}

/// `host:port`, `[v6]:port`, or a host alone.
fn host_and_port(key: &str, text: &str) -> Result<(Host, Option<u16>), BadFlow> {
    let host = |text: &str| {
        let inner = text.trim_start_matches('[').trim_end_matches(']');
        match inner.split_once('%') {
            Some((address, _zone)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                let why = format!("`{text}`: leave out the zone behind `%`: rules do not see it");
                Err(bad(key, why))
            }
            _ => Host::parse(text).map_err(|why| bad(key, format!("`{text}`: {why}"))),
        }
    };
    // An address of IPv6 without brackets has no port.
    if text.parse::<IpAddr>().is_ok() {
        return Ok((host(text)?, None));
    }
    match text.rsplit_once(':') {
        Some((name, written)) if !(text.starts_with('[') && text.ends_with(']')) => {
            if name.contains(':') && !name.starts_with('[') {
                return Err(bad(
                    key,
                    format!("`{text}`: an IPv6 address before a port stands in brackets"),
                ));
            }
            Ok((host(name)?, Some(port(key, written)?)))
        }
        Some(_) | None => Ok((host(text)?, None)),
    }
}

//! Addresses as texts: servers, endpoints of forwards, name servers, listening addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use pointsman_policy::Host;

use crate::setup::{Encrypted, Endpoint, NameServer, Place, Server};

/// Why a text is no address of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// A Linux abstract socket.
    #[error("`{0}` names an abstract socket; only sockets with a path are supported")]
    Abstract(String),
    /// Not a descriptor's number.
    #[error("`{0}` is no descriptor; write its number, as in `3`")]
    Descriptor(String),
    /// Not a name or address.
    #[error("`{0}` is neither a name nor an address")]
    Host(String),
    /// An interface behind an address that is not link-local, or none that could be one.
    #[error(
        "`{0}`: only a link-local IPv6 address has an interface behind it, as in `fe80::1%eth0`"
    )]
    Interface(String),
    /// A name server by name would need another to be found.
    #[error("`{0}` must be an address: a name server is not looked up by name")]
    NamedServer(String),
    /// There is no port.
    #[error("`{0}` has no port; write `host:port`")]
    NoPort(String),
    /// The port is no number.
    #[error("the port `{0}` is not a number from {1} to 65535")]
    Port(String, u16),
    /// No such scheme here.
    #[error("`{0}` must begin with one of {1}")]
    Scheme(String, &'static str),
    /// Other programs' word for every address; holds the port.
    #[error("`*` is no address; write `:{0}` for every address of this host")]
    Star(u16),
    /// `a::b:53` could be read in two ways.
    #[error("`{0}` must have its IPv6 address in brackets, as in `[::1]:53`")]
    Unbracketed(String),
    /// A URL's path with what no URL has.
    #[error("`{0}` is no path of a URL")]
    UrlPath(String),
    /// A Unix socket without a path.
    #[error("`{0}` has no path")]
    NoPath(String),
}

/// What a missing host (`:80`) means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyHost {
    /// Every address of this host.
    Any,
    /// Every IPv4 address of this host.
    AnyIpv4,
    /// An error: it is a place to go to.
    Refused,
}

/// Parses `host:port` of a place to go to.
///
/// # Errors
/// [`BadAddress`], saying which part is wrong.
pub fn parse_server(text: &str) -> Result<Server, BadAddress> {
    parse_host_port(text, EmptyHost::Refused)
}

/// Parses `host:port`; where the host may be missing, port 0 is allowed too (any free port).
///
/// # Errors
/// [`BadAddress`], saying which part is wrong.
pub fn parse_host_port(text: &str, empty_host: EmptyHost) -> Result<Server, BadAddress> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(BadAddress::NoPort(text.to_owned()));
    };
    if host.starts_with('[') != host.ends_with(']') || host == "[" {
        return Err(BadAddress::NoPort(text.to_owned()));
    }
    let port = parse_port(port, u16::from(empty_host == EmptyHost::Refused))?;
    let host = match (host, empty_host) {
        ("", EmptyHost::Any) => Host::Address(Ipv6Addr::UNSPECIFIED.into()),
        ("", EmptyHost::AnyIpv4) => Host::Address(Ipv4Addr::UNSPECIFIED.into()),
        ("*", EmptyHost::Any | EmptyHost::AnyIpv4) => return Err(BadAddress::Star(port)),
        _ if host.contains(':') && !host.starts_with('[') => {
            return Err(BadAddress::Unbracketed(text.to_owned()));
        }
        _ => Host::parse(host).map_err(|_unspecific| BadAddress::Host(host.to_owned()))?,
    };
    Ok(Server { host, port })
}

/// Parses a decimal port from `lowest`.
fn parse_port(text: &str, lowest: u16) -> Result<u16, BadAddress> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|port| plain && *port >= lowest)
        .ok_or_else(|| BadAddress::Port(text.to_owned(), lowest))
}

/// Parses `tcp://host:port`, `udp://host:port`, `unix:///path`, `fd://N`. Relative paths start from `directory`.
///
/// # Errors
/// [`BadAddress`], saying which part is wrong.
pub fn parse_endpoint(
    text: &str,
    directory: &Path,
    empty_host: EmptyHost,
) -> Result<Endpoint, BadAddress> {
    match text.split_once("://") {
        Some(("tcp", rest)) => parse_host_port(rest, empty_host).map(Endpoint::Tcp),
        Some(("udp", rest)) => parse_host_port(rest, empty_host).map(Endpoint::Udp),
        Some(("unix", rest)) => parse_unix(rest, directory),
        Some(("fd", rest)) => parse_descriptor(rest),
        Some(_) | None => Err(BadAddress::Scheme(
            text.to_owned(),
            "`tcp://`, `udp://`, `unix://`, `fd://`",
        )),
    }
}

/// Parses a Unix socket's path; relative ones start from `directory`.
///
/// # Errors
/// [`BadAddress`] where it is empty or abstract (`@name`).
pub fn parse_unix(path: &str, directory: &Path) -> Result<Endpoint, BadAddress> {
    if path.is_empty() || path.contains('\0') {
        return Err(BadAddress::NoPath(path.replace('\0', "\\0")));
    }
    if path.starts_with('@') {
        return Err(BadAddress::Abstract(path.to_owned()));
    }
    Ok(Endpoint::Unix(directory.join(path)))
}

/// Parses a descriptor's number.
///
/// # Errors
/// [`BadAddress`] where it is none.
pub fn parse_descriptor(text: &str) -> Result<Endpoint, BadAddress> {
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
        .map(Endpoint::Fd)
        .ok_or_else(|| BadAddress::Descriptor(text.to_owned()))
}

/// Parses where a proxy listens: `address:port`, `:port` (every address), or a bare port, which is
/// on loopback. Port 0 is any free port.
///
/// # Errors
/// [`BadAddress`], saying which part is wrong; names are not looked up, but `localhost` is known.
pub fn parse_bind(text: &str) -> Result<SocketAddr, BadAddress> {
    if !text.contains(':') && text.bytes().all(|b| b.is_ascii_digit()) {
        let port = parse_port(text, 0)?;
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let server = parse_host_port(text, EmptyHost::Any)?;
    match &server.host {
        Host::Address(address) => Ok(SocketAddr::new(*address, server.port)),
        Host::Name(name) if name.as_str() == "localhost" => {
            Ok((Ipv4Addr::LOCALHOST, server.port).into())
        }
        Host::Name(name) => Err(BadAddress::Host(name.as_str().to_owned())),
    }
}

/// Parses a name server: `udp://1.1.1.1`, `tcp://1.1.1.1:53`, port 53 where none is given; `tls://dns.example` (port
/// 853), `https://dns.example/dns-query` (443); `system`; `quic://` and `h3://` are kinds of later. The way to it is the
/// caller's.
///
/// # Errors
/// [`BadAddress`], saying which part is wrong.
pub fn parse_name_server(text: &str) -> Result<NameServer, BadAddress> {
    let schemes = "`udp://`, `tcp://`, `tls://`, `https://`";
    match text.split_once("://") {
        None if text == "system" => Ok(NameServer::System),
        Some(("udp", rest)) => parse_place(rest).map(NameServer::Udp),
        Some(("tcp", rest)) => parse_place(rest).map(NameServer::Tcp),
        Some(("tls", rest)) => {
            let server = parse_with_port(rest, 853)?;
            Ok(NameServer::Tls(Arc::new(Encrypted::at(server, "".into()))))
        }
        Some(("https", rest)) => parse_https(rest),
        Some((scheme @ ("h3" | "quic"), rest)) if !rest.is_empty() => {
            Ok(NameServer::NotYet(format!("DNS over `{scheme}://`")))
        }
        Some(_) | None => Err(BadAddress::Scheme(text.to_owned(), schemes)),
    }
}

/// What everybody calls it; RFC 8484 leaves it open.
const USUAL_PATH: &str = "/dns-query";

fn parse_https(text: &str) -> Result<NameServer, BadAddress> {
    let (server, path) = match text.find('/') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    // What servers publish is a template; a POST leaves its variable out (RFC 8484 §4.1).
    let path = path.strip_suffix("{?dns}").unwrap_or(path);
    let path = if path.is_empty() { USUAL_PATH } else { path };
    // RFC 3986 §3.3 and §3.4.
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%?".contains(&byte);
    if !path.bytes().all(usual) {
        return Err(BadAddress::UrlPath(path.to_owned()));
    }
    let server = parse_with_port(server, 443)?;
    Ok(NameServer::Https(Arc::new(Encrypted::at(
        server,
        path.into(),
    ))))
}

/// A name or an address, with a port or the usual one.
fn parse_with_port(text: &str, usual: u16) -> Result<Server, BadAddress> {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(Server {
            host: Host::Address(address.to_canonical()),
            port: usual,
        });
    }
    if text.contains(':') {
        return parse_server(text);
    }
    let host = Host::parse(text).map_err(|_unspecific| BadAddress::Host(text.to_owned()))?;
    Ok(Server { host, port: usual })
}

/// Parses where a name server is: an address with or without a port, a link-local one with its interface
/// (`fe80::1%eth0`, `[fe80::1%eth0]:53`; RFC 4007, section 11).
///
/// # Errors
/// [`BadAddress`], saying which part is wrong.
pub fn parse_place(text: &str) -> Result<Place, BadAddress> {
    let Some((before, after)) = text.split_once('%') else {
        return parse_dns_address(text).map(Place::at);
    };
    let bad = || BadAddress::Interface(text.to_owned());
    let (ip, interface, port) = match before.strip_prefix('[') {
        None => (before, after, 53),
        Some(ip) => {
            let (interface, port) = after.split_once(']').ok_or_else(bad)?;
            match port.strip_prefix(':') {
                Some(port) => (ip, interface, parse_port(port, 1)?),
                None if port.is_empty() => (ip, interface, 53),
                None => return Err(bad()),
            }
        }
    };
    let ip: Ipv6Addr = ip.parse().map_err(|_unspecific| bad())?;
    // As the kernel takes them: 15 bytes, no slash, no blank.
    let usual =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'[' | b']' | b'%');
    if !ip.is_unicast_link_local()
        || !(1..=15).contains(&interface.len())
        || !interface.bytes().all(usual)
    {
        return Err(bad());
    }
    Ok(Place {
        interface: Some(interface.into()),
        ..Place::at(SocketAddr::new(ip.into(), port))
    })
}

fn parse_dns_address(text: &str) -> Result<SocketAddr, BadAddress> {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address.to_canonical(), 53));
    }
    if !text.contains(':') {
        return Err(BadAddress::NamedServer(text.to_owned()));
    }
    let server = parse_server(text)?;
    match server.host {
        Host::Address(address) => Ok(SocketAddr::new(address, server.port)),
        Host::Name(name) => Err(BadAddress::NamedServer(name.as_str().to_owned())),
    }
}

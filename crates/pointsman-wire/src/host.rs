//! The host a client names: a name or an address, and the authority form `host[:port]`.
//!
//! Invariant: text that is an IP literal is always an address, whatever way it came.
//! Absent: what makes a valid domain name; a name here is text without white space or controls.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The most bytes a name may have (one byte of length in SOCKS 5, and 253 in DNS).
pub const MAX_NAME: usize = 255;

/// Where a client asks to go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RequestHost {
    /// An address, also when the client wrote it as text.
    Address(IpAddr),
    /// A name as the client wrote it, not yet checked to be a domain.
    Name(String),
}

impl RequestHost {
    /// Reads `text` as an address, bare or in brackets, or else as a name.
    ///
    /// `None` when it is empty, longer than [`MAX_NAME`] bytes, or holds a byte that no name has
    /// (white space, a control character, `/?#@\:[]`).
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
        {
            return inner
                .parse()
                .ok()
                .map(|address: Ipv6Addr| Self::Address(address.into()));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let allowed = |c: char| !c.is_control() && !c.is_whitespace() && !"/?#@\\:[]".contains(c);
        let fits = !text.is_empty() && text.len() <= MAX_NAME;
        (fits && text.chars().all(allowed)).then(|| Self::Name(text.to_owned()))
    }
}

impl From<IpAddr> for RequestHost {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

/// Writes the form that stands in an authority: IPv6 in brackets.
impl fmt::Display for RequestHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Splits `host[:port]` (RFC 3986 §3.2) without user information.
///
/// `Some((host, None))` when there is no port or an empty one; `None` when the text is no
/// authority, has user information, or a port that is not within 1 to 65535.
pub fn parse_authority(text: &str) -> Option<(RequestHost, Option<u16>)> {
    let (host, port) = split_port(text)?;
    let port = match port {
        None | Some("") => None,
        Some(digits) => Some(parse_port(digits)?),
    };
    Some((RequestHost::parse(host)?, port))
}

/// Splits text at the colon before the port; brackets protect the colons of an IPv6 literal.
pub(crate) fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let after_literal = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        0
    };
    let tail = text.get(after_literal..)?;
    match tail.find(':') {
        Some(0) if after_literal == 0 => None,
        Some(colon) => {
            let (host, port) = text.split_at(after_literal + colon);
            Some((host, port.get(1..)))
        }
        None => Some((text, None)),
    }
}

/// A decimal port within 1 to 65535, digits only.
pub(crate) fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|port| *port != 0)
}

/// The socket address of a request whose host is an address.
pub(crate) fn socket_address(host: &RequestHost, port: u16) -> Option<SocketAddr> {
    match host {
        RequestHost::Address(address) => Some(SocketAddr::new(*address, port)),
        RequestHost::Name(_) => None,
    }
}

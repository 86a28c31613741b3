//! The PROXY protocol, versions 1 and 2: who the client is, said before the first byte of a stream.
//!
//! Invariant: `parse(write(x)) == x`, save that a mixed pair comes back as IPv6 both.
//! Absent: UNIX addresses (read as [`ProxyHeader::Unknown`]), and who may be believed.
//! Source: HAProxy's `proxy-protocol.txt`, revision 2.2 and later.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::read::{Reader, Stop, bounded, malformed};
use crate::{Parse, WhyNot};

#[cfg(test)]
mod tests;

/// The longest header of version 1, in bytes, with its line end.
pub const MAX_V1: usize = 107;
/// The longest header of version 2 that is read, in bytes; senders of TLS details need some hundreds.
pub const MAX_V2: usize = 4_096;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the sender says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// A relayed datagram flow (version 2 only).
    Datagram {
        /// The client.
        source: SocketAddr,
        /// Where the client connected to.
        destination: SocketAddr,
    },
    /// The sender speaks for itself, as in a health check (version 2 only).
    Local,
    /// A relayed stream.
    Stream {
        /// The client.
        source: SocketAddr,
        /// Where the client connected to.
        destination: SocketAddr,
    },
    /// Relayed, for whom cannot be said.
    Unknown,
}

/// Writes a header of version 1.
///
/// A pair of different families becomes IPv6 both, IPv4 as `::ffff:a.b.c.d`; where either is `None`
/// (a UNIX socket, say) it is `PROXY UNKNOWN`.
pub fn write_v1(source: Option<SocketAddr>, destination: Option<SocketAddr>) -> Vec<u8> {
    let (Some(source), Some(destination)) = (source, destination) else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let ports = format!("{} {}", source.port(), destination.port());
    match pair(source, destination) {
        Pair::V4(a, b) => format!("PROXY TCP4 {a} {b} {ports}\r\n"),
        Pair::V6(a, b) => format!("PROXY TCP6 {a} {b} {ports}\r\n"),
    }
    .into_bytes()
}

/// Writes a header of version 2, without additional fields.
pub fn write_v2(header: &ProxyHeader) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    let (transport, source, destination) = match header {
        ProxyHeader::Local => {
            out.extend_from_slice(&[0x20, 0, 0, 0]);
            return out;
        }
        ProxyHeader::Unknown => {
            out.extend_from_slice(&[0x21, 0, 0, 0]);
            return out;
        }
        ProxyHeader::Stream {
            source,
            destination,
        } => (1, source, destination),
        ProxyHeader::Datagram {
            source,
            destination,
        } => (2, source, destination),
    };
    match pair(*source, *destination) {
        Pair::V4(a, b) => {
            out.extend_from_slice(&[0x21, 0x10 | transport, 0, 12]);
            out.extend_from_slice(&a.octets());
            out.extend_from_slice(&b.octets());
        }
        Pair::V6(a, b) => {
            out.extend_from_slice(&[0x21, 0x20 | transport, 0, 36]);
            out.extend_from_slice(&a.octets());
            out.extend_from_slice(&b.octets());
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    out
}

/// Reads a header of either version, told apart by the first byte; at most [`MAX_V2`] bytes.
pub fn parse(bytes: &[u8]) -> Parse<ProxyHeader> {
    if bytes.first() == SIGNATURE.first() {
        parse_v2(bytes)
    } else {
        parse_v1(bytes)
    }
}

/// Reads a header of version 1, at most [`MAX_V1`] bytes.
pub fn parse_v1(bytes: &[u8]) -> Parse<ProxyHeader> {
    bounded(bytes, MAX_V1, |reader| {
        reader.literal(b"PROXY ", WhyNot::AnotherProtocol)?;
        let rest = reader.rest();
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(Stop::More)?;
        let line = reader.take(end + 1)?.strip_suffix(b"\r\n");
        let Some(line) = line.and_then(|line| std::str::from_utf8(line).ok()) else {
            return malformed("line of the PROXY protocol");
        };
        // What follows UNKNOWN must be ignored.
        if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
            return Ok(ProxyHeader::Unknown);
        }
        match stream(line) {
            Some((source, destination)) => Ok(ProxyHeader::Stream {
                source,
                destination,
            }),
            None => malformed("addresses of the PROXY protocol"),
        }
    })
}

/// Reads a header of version 2, at most [`MAX_V2`] bytes; additional fields are read over.
pub fn parse_v2(bytes: &[u8]) -> Parse<ProxyHeader> {
    bounded(bytes, MAX_V2, |reader| {
        reader.literal(SIGNATURE, WhyNot::AnotherProtocol)?;
        let command = reader.u8()?;
        let local = match command {
            0x20 => true,
            0x21 => false,
            _ => return malformed("version or command of the PROXY protocol"),
        };
        let family = reader.u8()?;
        let length = usize::from(reader.u16()?);
        if length > MAX_V2 - SIGNATURE.len() - 4 {
            return Err(WhyNot::TooLong.into());
        }
        let mut block = Reader::new(reader.take(length)?);
        if local {
            return Ok(ProxyHeader::Local);
        }
        let addresses = match family >> 4 {
            1 => v2_addresses(
                &mut block,
                |block| Ok(Ipv4Addr::from(block.array()?).into()),
            ),
            2 => v2_addresses(
                &mut block,
                |block| Ok(Ipv6Addr::from(block.array()?).into()),
            ),
            0 | 3 => return Ok(ProxyHeader::Unknown),
            _ => return malformed("address family of the PROXY protocol"),
        };
        let Ok((source, destination)) = addresses else {
            return malformed("addresses of the PROXY protocol");
        };
        match family & 0x0f {
            0 => Ok(ProxyHeader::Unknown),
            1 => Ok(ProxyHeader::Stream {
                source,
                destination,
            }),
            2 => Ok(ProxyHeader::Datagram {
                source,
                destination,
            }),
            _ => malformed("transport of the PROXY protocol"),
        }
    })
}

/// Two addresses brought to one family.
enum Pair {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

fn pair(source: SocketAddr, destination: SocketAddr) -> Pair {
    let wide = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Pair::V4(source, destination),
        (source, destination) => Pair::V6(wide(source), wide(destination)),
    }
}

/// `TCP4 source destination port port`, single spaces.
fn stream(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.split(' ');
    let family = words.next()?;
    let address = |word: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (address(words.next()?)?, address(words.next()?)?);
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    let ended = words.next().is_none();
    ended.then(|| {
        (
            SocketAddr::new(source, from),
            SocketAddr::new(destination, to),
        )
    })
}

/// A decimal port without sign or leading zeros; 0 is a port here.
fn port(word: &str) -> Option<u16> {
    let plain =
        word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    plain.then(|| word.parse().ok()).flatten()
}

/// Two addresses and two ports.
fn v2_addresses(
    block: &mut Reader<'_>,
    address: impl Fn(&mut Reader<'_>) -> Result<IpAddr, Stop>,
) -> Result<(SocketAddr, SocketAddr), Stop> {
    let (source, destination) = (address(block)?, address(block)?);
    let (from, to) = (block.u16()?, block.u16()?);
    Ok((
        SocketAddr::new(source, from),
        SocketAddr::new(destination, to),
    ))
}

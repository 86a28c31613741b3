//! The address field that requests, replies and datagrams share (RFC 1928 §5).
//!
//! Invariant: a name that is an IP literal is read as the address it spells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::host::{MAX_NAME, socket_address};
use crate::read::{Reader, Stop, malformed};
use crate::{RequestHost, Unwritable, WhyNot};

pub(super) const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The longest field: type, length, name, port.
pub(super) const MAX_ADDRESS: usize = 1 + 1 + MAX_NAME + 2;

/// Reads type, address and port.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<(RequestHost, u16), Stop> {
    let host = match reader.u8()? {
        IPV4 => RequestHost::Address(Ipv4Addr::from(reader.array()?).into()),
        IPV6 => RequestHost::Address(Ipv6Addr::from(reader.array()?).into()),
        NAME => name(reader.vec8()?)?,
        _ => return Err(Stop::Not(WhyNot::Unsupported("address type"))),
    };
    Ok((host, reader.u16()?))
}

/// Reads type, address and port of what a server bound; a name there is read over, whatever it is.
pub(super) fn read_bound(reader: &mut Reader<'_>) -> Result<Option<SocketAddr>, Stop> {
    if reader.rest().first() == Some(&NAME) {
        reader.u8()?;
        reader.vec8()?;
        reader.u16()?;
        return Ok(None);
    }
    read(reader).map(|(host, port)| socket_address(&host, port))
}

/// A name as a host.
pub(super) fn name(bytes: &[u8]) -> Result<RequestHost, Stop> {
    match std::str::from_utf8(bytes).ok().and_then(RequestHost::parse) {
        Some(host) => Ok(host),
        None => malformed("host name"),
    }
}

/// Appends type, address and port.
///
/// A name longer than [`MAX_NAME`] bytes, or empty, is declined.
pub(super) fn write(out: &mut Vec<u8>, host: &RequestHost, port: u16) -> Result<(), Unwritable> {
    match host {
        RequestHost::Address(address) => write_address(out, *address),
        RequestHost::Name(name) => {
            let length = u8::try_from(name.len()).ok().filter(|length| *length != 0);
            let length = length.ok_or(Unwritable("a name of no or more than 255 bytes"))?;
            out.extend_from_slice(&[NAME, length]);
            out.extend_from_slice(name.as_bytes());
        }
    }
    out.extend_from_slice(&port.to_be_bytes());
    Ok(())
}

/// Appends type and address.
pub(super) fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            out.push(IPV4);
            out.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.push(IPV6);
            out.extend_from_slice(&address.octets());
        }
    }
}

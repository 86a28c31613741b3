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

/// How many bytes [`read()`] takes, from the type on; of a name its first byte is looked at alone.
pub(super) fn spelled_length(kind: u8, behind: &[u8]) -> Option<usize> {
    let host = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => 1 + usize::from(*behind.first()?),
        _ => return None,
    };
    Some(1 + host + 2)
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
pub(super) fn write(
    out: &mut impl Extend<u8>,
    host: &RequestHost,
    port: u16,
) -> Result<(), Unwritable> {
    match host {
        RequestHost::Address(address) => write_address(out, *address),
        RequestHost::Name(name) => {
            out.extend([NAME, name_length(name)?]);
            out.extend(name.bytes());
        }
    }
    out.extend(port.to_be_bytes());
    Ok(())
}

/// How many bytes [`write()`] makes.
pub(super) fn length(host: &RequestHost) -> Result<usize, Unwritable> {
    let address = match host {
        RequestHost::Address(IpAddr::V4(_)) => 4,
        RequestHost::Address(IpAddr::V6(_)) => 16,
        RequestHost::Name(name) => 1 + usize::from(name_length(name)?),
    };
    Ok(1 + address + 2)
}

fn name_length(name: &str) -> Result<u8, Unwritable> {
    let length = u8::try_from(name.len()).ok().filter(|length| *length != 0);
    length.ok_or(Unwritable("a name of no or more than 255 bytes"))
}

/// Appends type and address.
pub(super) fn write_address(out: &mut impl Extend<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            out.extend([IPV4]);
            out.extend(address.octets());
        }
        IpAddr::V6(address) => {
            out.extend([IPV6]);
            out.extend(address.octets());
        }
    }
}

//! SOCKS 4 and its extension 4a, which carries a name.
//!
//! Invariant: user and name are bounded although the protocol bounds neither.
//! Absent: ident, by which a server was meant to check the user.

use std::net::Ipv4Addr;

use crate::host::MAX_NAME;
use crate::read::{bounded, malformed};
use crate::socks::address;
use crate::socks::{Command, VERSION_4};
use crate::{Parse, RequestHost, WhyNot};

/// The longest user name that is read, in bytes.
const MAX_USER: usize = 255;
/// The longest request that is read, in bytes.
pub const MAX_SOCKS4: usize = 8 + MAX_USER + 1 + MAX_NAME + 1;

/// What a SOCKS 4 client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socks4Request {
    /// The command; datagrams are unknown to SOCKS 4.
    pub command: Command,
    /// The host to reach.
    pub host: RequestHost,
    /// The port.
    pub port: u16,
    /// Who the client says it is, unproved and often empty; bytes that are not UTF-8 are replaced.
    pub user: String,
}

/// Reads a client's request, at most [`MAX_SOCKS4`] bytes.
pub fn parse_socks4(bytes: &[u8]) -> Parse<Socks4Request> {
    bounded(bytes, MAX_SOCKS4, |reader| {
        reader.literal(&[VERSION_4], WhyNot::AnotherProtocol)?;
        let command = match reader.u8()? {
            1 => Command::Connect,
            2 => Command::Bind,
            other => Command::Other(other),
        };
        let port = reader.u16()?;
        let address: [u8; 4] = reader.array()?;
        let user = reader.until_nul(MAX_USER)?;
        let user = String::from_utf8_lossy(user).into_owned();
        let host = match address {
            [0, 0, 0, 0] => return malformed("unspecified address"),
            // 0.0.0.x says that a name follows.
            [0, 0, 0, _] => address::name(reader.until_nul(MAX_NAME)?)?,
            _ => RequestHost::Address(Ipv4Addr::from(address).into()),
        };
        Ok(Socks4Request {
            command,
            host,
            port,
            user,
        })
    })
}

/// Writes the answer to a request; the bound address is left unspecified, as clients ignore it.
pub fn write_socks4_reply(granted: bool) -> [u8; 8] {
    let code = if granted { 90 } else { 91 };
    [0, code, 0, 0, 0, 0, 0, 0]
}

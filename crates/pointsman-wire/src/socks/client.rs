//! What a client of a SOCKS 5 server writes and reads.
//!
//! Invariant: each answer is consumed exactly, so bytes that the far end sent early are kept.

use std::net::SocketAddr;

use crate::read::bounded;
use crate::socks::address::{self, MAX_ADDRESS};
use crate::socks::{Command, Method, ReplyCode, VERSION_5};
use crate::{Parse, RequestHost, Unwritable, WhyNot};

/// The longest reply, in bytes.
pub const MAX_REPLY: usize = 3 + MAX_ADDRESS;

/// A server's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// How it went.
    pub code: ReplyCode,
    /// The address that the server bound; `None` where it sent a name.
    pub bound: Option<SocketAddr>,
}

/// Writes the greeting: no authentication, and with `auth` also user name and password.
pub fn write_client_greeting(auth: bool) -> Vec<u8> {
    let (none, password) = (Method::NoAuthentication.byte(), Method::Password.byte());
    if auth {
        vec![VERSION_5, 2, none, password]
    } else {
        vec![VERSION_5, 1, none]
    }
}

/// Reads the server's choice among the methods: 2 bytes.
pub fn parse_method_choice(bytes: &[u8]) -> Parse<Method> {
    bounded(bytes, 2, |reader| {
        reader.literal(&[VERSION_5], WhyNot::AnotherProtocol)?;
        Ok(Method::from_byte(reader.u8()?))
    })
}

/// Writes a user name and password (RFC 1929 §2); each at most 255 bytes.
pub fn write_userpass(user: &str, password: &str) -> Result<Vec<u8>, Unwritable> {
    let mut out = vec![1];
    for field in [user, password] {
        let length = u8::try_from(field.len()).ok();
        out.push(length.ok_or(Unwritable("a user name or password of more than 255 bytes"))?);
        out.extend_from_slice(field.as_bytes());
    }
    Ok(out)
}

/// Reads whether the server took the user name and password: 2 bytes.
///
/// The version byte is not looked at: some servers send 5 there.
pub fn parse_auth_status(bytes: &[u8]) -> Parse<bool> {
    bounded(bytes, 2, |reader| {
        let _version = reader.u8()?;
        Ok(reader.u8()? == 0)
    })
}

/// Writes a request for a stream to `host`.
pub fn write_connect(host: &RequestHost, port: u16) -> Result<Vec<u8>, Unwritable> {
    write_request(Command::Connect, host, port)
}

/// Writes a request; a name must have 1 to 255 bytes.
pub fn write_request(
    command: Command,
    host: &RequestHost,
    port: u16,
) -> Result<Vec<u8>, Unwritable> {
    let mut out = vec![VERSION_5, command.byte(), 0];
    address::write(&mut out, host, port)?;
    Ok(out)
}

/// Reads a server's answer to a request (RFC 1928 §6), at most [`MAX_REPLY`] bytes.
pub fn parse_reply(bytes: &[u8]) -> Parse<Reply> {
    bounded(bytes, MAX_REPLY, |reader| {
        reader.literal(&[VERSION_5], WhyNot::AnotherProtocol)?;
        let code = ReplyCode::from_byte(reader.u8()?);
        let _reserved = reader.u8()?;
        Ok(Reply {
            code,
            bound: address::read_bound(reader)?,
        })
    })
}

//! What a SOCKS 5 server reads and answers.
//!
//! Invariant: passwords never reach `Debug`. Absent: which users there are, and what they may do.

use std::fmt;
use std::net::SocketAddr;

use crate::read::{bounded, malformed};
use crate::socks::address::{self, MAX_ADDRESS};
use crate::socks::{Command, Method, ReplyCode, VERSION_5};
use crate::{Parse, RequestHost, WhyNot};

/// The longest greeting, in bytes.
pub const MAX_GREETING: usize = 2 + 255;
/// The longest user name and password message, in bytes.
pub const MAX_USERPASS: usize = 3 + 255 + 255;
/// The longest request, in bytes.
pub const MAX_REQUEST: usize = 3 + MAX_ADDRESS;

/// The version of the user name and password exchange.
const AUTH_VERSION: u8 = 1;

/// The methods that a client offers, at least one. Their order says nothing: the server chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// A bit for each byte that a method may be.
    offered: [u64; 4],
}

impl Greeting {
    fn of(methods: &[u8]) -> Self {
        let mut offered = [0; 4];
        for method in methods {
            offered[usize::from(method / 64)] |= 1 << (method % 64);
        }
        Self { offered }
    }

    /// Whether the client offers `method`.
    pub fn offers(&self, method: Method) -> bool {
        let method = method.byte();
        self.offered[usize::from(method / 64)] & (1 << (method % 64)) != 0
    }
}

/// A user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct UserPass {
    /// The user's name; clients that only have a password send it empty.
    pub user: String,
    /// The password, kept out of `Debug`.
    pub password: String,
}

impl fmt::Debug for UserPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPass")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The command.
    pub command: Command,
    /// The host to reach; of an association, where the client will send from (usually unspecified).
    pub host: RequestHost,
    /// The port.
    pub port: u16,
}

/// Reads a client's greeting (RFC 1928 §3), at most [`MAX_GREETING`] bytes.
pub fn parse_greeting(bytes: &[u8]) -> Parse<Greeting> {
    bounded(bytes, MAX_GREETING, |reader| {
        reader.literal(&[VERSION_5], WhyNot::AnotherProtocol)?;
        let methods = reader.vec8()?;
        if methods.is_empty() {
            return malformed("greeting that offers no method");
        }
        Ok(Greeting::of(methods))
    })
}

/// Writes the choice among the offered methods; after [`Method::NoneAcceptable`] close.
pub fn write_method(method: Method) -> [u8; 2] {
    [VERSION_5, method.byte()]
}

/// Reads a user name and password (RFC 1929 §2), at most [`MAX_USERPASS`] bytes; both in UTF-8.
pub fn parse_userpass(bytes: &[u8]) -> Parse<UserPass> {
    bounded(bytes, MAX_USERPASS, |reader| {
        reader.literal(
            &[AUTH_VERSION],
            WhyNot::Malformed("version of the authentication"),
        )?;
        let user = reader.vec8()?.to_vec();
        let password = reader.vec8()?.to_vec();
        match (String::from_utf8(user), String::from_utf8(password)) {
            (Ok(user), Ok(password)) => Ok(UserPass { user, password }),
            _ => malformed("user name or password that is not UTF-8"),
        }
    })
}

/// Writes whether the user name and password were right; after `false` close.
pub fn write_auth_status(accepted: bool) -> [u8; 2] {
    [AUTH_VERSION, u8::from(!accepted)]
}

/// Reads a client's request (RFC 1928 §4), at most [`MAX_REQUEST`] bytes.
///
/// [`WhyNot::Unsupported`] is to be answered with [`ReplyCode::AddressTypeNotSupported`].
pub fn parse_request(bytes: &[u8]) -> Parse<Request> {
    bounded(bytes, MAX_REQUEST, |reader| {
        reader.literal(&[VERSION_5], WhyNot::Malformed("version of the request"))?;
        let command = Command::from_byte(reader.u8()?);
        // Reserved: "must be 0" binds who sends; some clients leave garbage.
        let _reserved = reader.u8()?;
        let (host, port) = address::read(reader)?;
        Ok(Request {
            command,
            host,
            port,
        })
    })
}

/// Writes the answer to a request, with the address that the server bound for it.
pub fn write_reply(code: ReplyCode, bound: SocketAddr) -> Vec<u8> {
    // An IPv6 address is the longest.
    let mut out = Vec::with_capacity(3 + 17 + 2);
    out.extend_from_slice(&[VERSION_5, code.byte(), 0]);
    address::write_address(&mut out, bound.ip());
    out.extend_from_slice(&bound.port().to_be_bytes());
    out
}

/// As [`write_reply`], where nothing was bound: `0.0.0.0:0` is what clients expect.
pub fn write_unbound_reply(code: ReplyCode) -> [u8; 10] {
    [VERSION_5, code.byte(), 0, address::IPV4, 0, 0, 0, 0, 0, 0]
}

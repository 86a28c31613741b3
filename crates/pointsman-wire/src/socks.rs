//! SOCKS 5 (RFC 1928, RFC 1929) for both sides, SOCKS 4 and 4a for the server side.
//!
//! Invariant: what a writer wrote, the parser of the other side reads back. A server tells the
//! versions apart by the first byte: 5 or 4.
//! Absent: GSS-API, fragments of datagrams, the strong methods nobody deployed.

mod address;
mod client;
mod server;
mod udp;
mod v4;

#[cfg(test)]
mod tests;

pub use crate::host::RequestHost;
pub use client::{
    MAX_REPLY, Reply, parse_auth_status, parse_method_choice, parse_reply, write_client_greeting,
    write_connect, write_request, write_userpass,
};
pub use server::{
    Greeting, MAX_GREETING, MAX_REQUEST, MAX_USERPASS, Request, UserPass, parse_greeting,
    parse_request, parse_userpass, write_auth_status, write_method, write_reply,
    write_unbound_reply,
};
pub use udp::{
    MAX_UDP_HEADER, UdpHeader, parse_udp_header, udp_header_length, write_udp_header,
    write_udp_header_before,
};
pub use v4::{MAX_SOCKS4, Socks4Request, parse_socks4, write_socks4_reply};

/// The first byte of SOCKS 5.
pub const VERSION_5: u8 = 5;
/// The first byte of SOCKS 4 and 4a.
pub const VERSION_4: u8 = 4;

/// How a client may show who it is (RFC 1928 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all (0).
    NoAuthentication,
    /// By user name and password (2, RFC 1929).
    Password,
    /// None of the offered methods will do (255); only a server says so.
    NoneAcceptable,
    /// A method that is not spoken here.
    Other(u8),
}

impl Method {
    /// The method of a byte on the wire.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::NoAuthentication,
            2 => Self::Password,
            0xff => Self::NoneAcceptable,
            other => Self::Other(other),
        }
    }

    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        match self {
            Self::NoAuthentication => 0,
            Self::Password => 2,
            Self::NoneAcceptable => 0xff,
            Self::Other(other) => other,
        }
    }
}

/// What a client asks for (RFC 1928 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A stream to the address (1).
    Connect,
    /// A listener for one stream (2).
    Bind,
    /// A relay for datagrams (3, SOCKS 5 only).
    UdpAssociate,
    /// A command that is not known.
    Other(u8),
}

impl Command {
    /// The command of a byte on the wire.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Connect,
            2 => Self::Bind,
            3 => Self::UdpAssociate,
            other => Self::Other(other),
        }
    }

    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        match self {
            Self::Connect => 1,
            Self::Bind => 2,
            Self::UdpAssociate => 3,
            Self::Other(other) => other,
        }
    }
}

/// How a server answers a request (RFC 1928 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyCode {
    /// 0.
    Succeeded,
    /// 1.
    GeneralFailure,
    /// 2: the ruleset does not allow it.
    NotAllowed,
    /// 3.
    NetworkUnreachable,
    /// 4.
    HostUnreachable,
    /// 5.
    ConnectionRefused,
    /// 6; also what servers say of a connection attempt that ran out of time.
    TtlExpired,
    /// 7.
    CommandNotSupported,
    /// 8.
    AddressTypeNotSupported,
    /// A code the RFC does not assign.
    Unassigned(u8),
}

impl ReplyCode {
    /// The code of a byte on the wire.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Succeeded,
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            other => Self::Unassigned(other),
        }
    }

    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::GeneralFailure => 1,
            Self::NotAllowed => 2,
            Self::NetworkUnreachable => 3,
            Self::HostUnreachable => 4,
            Self::ConnectionRefused => 5,
            Self::TtlExpired => 6,
            Self::CommandNotSupported => 7,
            Self::AddressTypeNotSupported => 8,
            Self::Unassigned(other) => other,
        }
    }
}

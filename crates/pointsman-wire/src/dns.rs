//! DNS messages as views over their bytes (RFC 1035 §4): queries of clients, responses of servers, and replies.
//!
//! Invariant: whatever the bytes are, reading ends within a few passes over them and allocates nothing; what is not
//! understood (records of types that came later) is passed on byte for byte. A message comes whole, in a datagram or
//! behind its length ([`frame`]), so no verdict here asks for more bytes.
//!
//! Deliberately absent: zones, DNSSEC validation, signatures, cookies, updates, notifications, transfers.

mod cached;
mod frame;
mod leads;
mod name;
mod options;
mod own;
mod padding;
mod query;
mod record;
mod response;
mod service;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod web;

pub use cached::Cached;
pub use frame::{MAX_FRAME, frame, write_frame};
pub use name::{MAX_NAME, WireName};
pub use own::{Ask, ExtendedError, OwnData, OwnRecord, Reply, write_refusal};
pub use padding::{PADDED_BLOCK, pad};
pub use query::{Edns, Query, Unanswerable, parse_query};
pub use record::{Record, Records, Section};
pub use response::{Lifetime, Response, parse_response};
pub use web::{MEDIA_TYPE, NoMessage, max_age, message_of};

/// The bytes of a header (RFC 1035 §4.1.1).
pub const HEADER: usize = 12;
/// The longest message in bytes: its length over a stream has two bytes.
pub const MAX_MESSAGE: usize = 0xffff;
/// The longest message in bytes to a client that says nothing of its room (RFC 1035 §2.3.4).
pub const PLAIN_LIMIT: usize = 512;
/// The longest message in bytes that is sent by datagram, whatever the client says: it passes every path in one piece
/// (RFC 9715 §3.1).
pub const DATAGRAM_LIMIT: usize = 1232;

/// A number of a record's type (RFC 1035 §3.2.2 and later).
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// Another name of the owner.
    pub const CNAME: u16 = 5;
    /// The start of a zone's authority.
    pub const SOA: u16 = 6;
    /// The host that a reverse name stands for.
    pub const PTR: u16 = 12;
    /// About a host; the answer to [`ANY`] (RFC 8482 §4.2).
    pub const HINFO: u16 = 13;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// Extensions of the message itself (RFC 6891).
    pub const OPT: u16 = 41;
    /// How to reach a service (RFC 9460).
    pub const SVCB: u16 = 64;
    /// ... of the web.
    pub const HTTPS: u16 = 65;
    /// A transfer of what changed in a zone.
    pub const IXFR: u16 = 251;
    /// A transfer of a zone.
    pub const AXFR: u16 = 252;
    /// All that is known of a name.
    pub const ANY: u16 = 255;
}

/// A number of a response's code (RFC 1035 §4.1.1, RFC 6891 §9).
pub mod code {
    /// It is as the records say.
    pub const NO_ERROR: u16 = 0;
    /// The query is malformed.
    pub const FORM_ERR: u16 = 1;
    /// The server could not find out.
    pub const SERV_FAIL: u16 = 2;
    /// The name does not exist.
    pub const NX_DOMAIN: u16 = 3;
    /// That kind of query is not spoken.
    pub const NOT_IMP: u16 = 4;
    /// The server will not say.
    pub const REFUSED: u16 = 5;
    /// That version of EDNS is not spoken.
    pub const BAD_VERS: u16 = 16;

    /// The name that people and tools know it by; a number, where it has none here.
    #[must_use]
    pub fn name(code: u16) -> String {
        match code {
            NO_ERROR => "NOERROR",
            FORM_ERR => "FORMERR",
            SERV_FAIL => "SERVFAIL",
            NX_DOMAIN => "NXDOMAIN",
            NOT_IMP => "NOTIMP",
            REFUSED => "REFUSED",
            BAD_VERS => "BADVERS",
            _ => return format!("code {code}"),
        }
        .to_owned()
    }
}

/// The class of the Internet.
pub const CLASS_IN: u16 = 1;

/// Bits of the two bytes of flags, the first byte high.
pub(crate) mod flag {
    pub(crate) const RESPONSE: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const TRUNCATED: u16 = 0x0200;
    pub(crate) const RECURSION_DESIRED: u16 = 0x0100;
    pub(crate) const RECURSION_AVAILABLE: u16 = 0x0080;
    pub(crate) const AUTHENTIC_DATA: u16 = 0x0020;
    pub(crate) const CHECKING_DISABLED: u16 = 0x0010;
    pub(crate) const CODE: u16 = 0x000f;
}

/// The big-endian number of two bytes at a place.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*number))
}

/// The big-endian number of four bytes at a place.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*number))
}

/// Overwrites bytes in place; where there is no room, nothing.
pub(crate) fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(room) = bytes.get_mut(at..at + new.len()) {
        room.copy_from_slice(new);
    }
}

//! What a client asks (RFC 1035 §4.1.2, RFC 6891, RFC 9619), and which answer a query that is none deserves.
//!
//! Invariant: a [`Query`] has one question of the Internet's class, in one piece at a fixed place, and at most one OPT.

use super::options::{PADDING, has_option};
use super::{
    CLASS_IN, DATAGRAM_LIMIT, HEADER, PLAIN_LIMIT, Records, Section, WireName, code, flag, kind,
    u16_at,
};

/// A query that can be answered.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    bytes: &'a [u8],
    question_end: usize,
    edns: Option<Edns>,
    padded: bool,
}

/// What a message says by its OPT record (RFC 6891 §6.1). Options of clients go nowhere, and are not read but
/// for padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The longest datagram that the sender takes, in bytes; at least [`PLAIN_LIMIT`].
    pub payload: u16,
    /// Whether the sender wants signatures (RFC 3225).
    pub dnssec_ok: bool,
}

/// Why a message is no query that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswerable {
    /// Nothing is said to it: it is no message, or a response, and answering could go round in circles.
    Silent,
    /// This code is the answer.
    Code(u16),
}

/// Reads a message from a client.
///
/// # Errors
/// The answer to what is no query.
pub fn parse_query(bytes: &[u8]) -> Result<Query<'_>, Unanswerable> {
    let flags = u16_at(bytes, 2).ok_or(Unanswerable::Silent)?;
    if bytes.len() < HEADER || flags & flag::RESPONSE != 0 {
        return Err(Unanswerable::Silent);
    }
    if flags & flag::OPCODE != 0 {
        return Err(Unanswerable::Code(code::NOT_IMP));
    }
    let malformed = Unanswerable::Code(code::FORM_ERR);
    let counts = [4, 6, 8].map(|at| u16_at(bytes, at));
    if flags & flag::TRUNCATED != 0 || counts != [Some(1), Some(0), Some(0)] {
        return Err(malformed);
    }
    let name_end = plain_name_end(bytes).ok_or(malformed)?;
    let (kind, class) = u16_at(bytes, name_end)
        .zip(u16_at(bytes, name_end + 2))
        .ok_or(malformed)?;
    let question_end = name_end + 4;
    let mut query = Query {
        bytes,
        question_end,
        edns: None,
        padded: false,
    };
    let mut records = Records::new(bytes, question_end);
    for record in records.by_ref() {
        if record.kind != kind::OPT {
            continue;
        }
        let root = bytes.get(record.owner) == Some(&0);
        if !root || record.section != Section::Additional || query.edns.is_some() {
            return Err(malformed);
        }
        // The time's second byte is the version (RFC 6891 §6.1.3).
        if bytes.get(record.ttl_at() + 1) != Some(&0) {
            return Err(Unanswerable::Code(code::BAD_VERS));
        }
        query.edns = Some(Edns {
            payload: record.class.max(PLAIN_SIZE),
            dnssec_ok: bytes
                .get(record.ttl_at() + 2)
                .is_some_and(|it| it & 0x80 != 0),
        });
        query.padded = has_option(bytes.get(record.data).unwrap_or(&[]), PADDING);
    }
    if records.is_broken() || records.at() != bytes.len() {
        return Err(malformed);
    }
    match (kind, class) {
        // Types that only exist in additional sections, and those that RFC 6895 §3.1 keeps for such.
        (kind::OPT | 0 | 128..=250 | 253 | 254, _) => Err(malformed),
        (kind::AXFR | kind::IXFR, _) => Err(Unanswerable::Code(code::REFUSED)),
        (_, CLASS_IN) => Ok(query),
        _ => Err(Unanswerable::Code(code::REFUSED)),
    }
}

const PLAIN_SIZE: u16 = 512;

impl Edns {
    /// What we say: datagrams of up to [`DATAGRAM_LIMIT`] bytes are taken.
    #[must_use]
    pub fn ours(dnssec_ok: bool) -> Self {
        Self {
            payload: u16::try_from(DATAGRAM_LIMIT).unwrap_or(PLAIN_SIZE),
            dnssec_ok,
        }
    }
}

/// Where the name of the question ends. It is not compressed: there is nothing before it to point to.
pub(super) fn plain_name_end(bytes: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        let length = *bytes.get(at)?;
        if length > 63 {
            return None;
        }
        at += 1 + usize::from(length);
        if at - HEADER > super::MAX_NAME {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}

impl<'a> Query<'a> {
    /// The number by which the client knows the reply.
    #[must_use]
    pub fn id(&self) -> u16 {
        u16_at(self.bytes, 0).unwrap_or(0)
    }

    /// The question as the client spelt it: name, type, class.
    #[must_use]
    pub fn question(&self) -> &'a [u8] {
        self.bytes.get(HEADER..self.question_end).unwrap_or(&[])
    }

    /// The name that is asked for.
    #[must_use]
    pub fn name(&self) -> WireName {
        // `None` cannot be: the name was passed over without a pointer.
        WireName::read(self.bytes, HEADER).unwrap_or_else(WireName::root)
    }

    /// The number of the type that is asked for.
    #[must_use]
    pub fn kind(&self) -> u16 {
        u16_at(self.bytes, self.question_end - 4).unwrap_or(0)
    }

    /// What its OPT record says, where it has one.
    #[must_use]
    pub fn edns(&self) -> Option<Edns> {
        self.edns
    }

    /// Whether the client wants what fails DNSSEC's checks as well (RFC 4035 §3.2.2).
    #[must_use]
    pub fn checking_disabled(&self) -> bool {
        self.flags() & flag::CHECKING_DISABLED != 0
    }

    /// Whether the client wants signatures.
    #[must_use]
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether it is padded, so that its reply shall be, too ([`super::pad`]).
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.padded
    }

    /// The longest reply that may be sent by datagram, in bytes.
    #[must_use]
    pub fn datagram_limit(&self) -> usize {
        match self.edns {
            Some(edns) => usize::from(edns.payload).min(DATAGRAM_LIMIT),
            None => PLAIN_LIMIT,
        }
    }

    pub(super) fn flags(&self) -> u16 {
        u16_at(self.bytes, 2).unwrap_or(0)
    }
}

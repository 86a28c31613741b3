//! Messages of our own: replies that no server gave, queries to servers, and the OPT record of both.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::query::plain_name_end;
use super::{CLASS_IN, Edns, HEADER, MAX_MESSAGE, Query, WireName, code, flag, kind, put, u16_at};

/// Why a reply is as it is, for the person who looks (RFC 8914).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError<'a> {
    /// The number of the kind of error: 15 blocked, 18 prohibited, 22 no reachable authority, 23 network error.
    pub number: u16,
    /// Words; what does not fit is left out.
    pub text: &'a str,
}

/// A record of our own, of the name that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct OwnRecord<'a> {
    /// How long it holds, in seconds.
    pub ttl: u32,
    /// Its data.
    pub data: OwnData<'a>,
}

/// The data of a record.
#[derive(Clone, Copy, Debug)]
pub enum OwnData<'a> {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The host of a reverse name.
    Ptr(&'a WireName),
    /// The answer to ANY: a refusal that caches understand (RFC 8482 §4.2).
    HostInfo,
}

/// A reply that is made here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// Its code.
    pub code: u16,
    /// What is answered.
    pub records: &'a [OwnRecord<'a>],
    /// How many seconds it holds that there is no such name or record; with a SOA record that says so (RFC 2308 §3).
    pub negative: Option<u32>,
    /// Why.
    pub error: Option<ExtendedError<'a>>,
}

impl Reply<'_> {
    /// Appends it to `out` as the reply to a query, at most `limit` bytes long: what does not fit is cut as in
    /// [`super::Cached::write`], which is what it returns, too.
    pub fn write(&self, query: &Query<'_>, limit: usize, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        let asked = query.flags() & (flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
        let code = match (query.edns(), self.code) {
            (None, 16..) => code::SERV_FAIL,
            (_, code) => code,
        };
        let flags = flag::RESPONSE | flag::RECURSION_AVAILABLE | asked | (code & flag::CODE);
        let answers = u16::try_from(self.records.len()).unwrap_or(u16::MAX);
        let authority = u16::from(self.negative.is_some());
        for number in [query.id(), flags, 1, answers, authority, 0] {
            out.extend(number.to_be_bytes());
        }
        out.extend_from_slice(query.question());
        for record in self.records.iter().take(usize::from(answers)) {
            write_record(record, out);
        }
        if let Some(seconds) = self.negative {
            write_soa(seconds, out);
        }
        write_opt(query, code, self.error.as_ref(), begin, limit, out)
    }
}

/// A pointer to the name of the question.
pub(super) const ASKED: [u8; 2] = [0xc0, 0x0c];

fn write_record(record: &OwnRecord<'_>, out: &mut Vec<u8>) {
    let fields = |kind: u16, out: &mut Vec<u8>| {
        out.extend(ASKED);
        out.extend(kind.to_be_bytes());
        out.extend(CLASS_IN.to_be_bytes());
        out.extend(record.ttl.to_be_bytes());
    };
    match &record.data {
        OwnData::A(address) => {
            fields(kind::A, out);
            out.extend([0, 4]);
            out.extend(address.octets());
        }
        OwnData::Aaaa(address) => {
            fields(kind::AAAA, out);
            out.extend([0, 16]);
            out.extend(address.octets());
        }
        OwnData::Ptr(name) => {
            fields(kind::PTR, out);
            // A name has at most 255 bytes.
            out.extend([0, u8::try_from(name.as_bytes().len()).unwrap_or(u8::MAX)]);
            out.extend_from_slice(name.as_bytes());
        }
        OwnData::HostInfo => {
            fields(kind::HINFO, out);
            out.extend_from_slice(b"\x00\x09\x07RFC8482\x00");
        }
    }
}

/// A SOA record of the name itself, which says that for so many seconds nothing else is there.
pub(super) fn write_soa(seconds: u32, out: &mut Vec<u8>) {
    const HOST: &[u8] = b"\x09localhost\x00";
    const MAILBOX: &[u8] = b"\x06nobody\x07invalid\x00";
    const NUMBERS: [u32; 4] = [1, 3600, 1200, 604_800];
    let length = u16::try_from(HOST.len() + MAILBOX.len() + 20).unwrap_or(0);
    out.extend(ASKED);
    out.extend(kind::SOA.to_be_bytes());
    out.extend(CLASS_IN.to_be_bytes());
    out.extend(seconds.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend_from_slice(HOST);
    out.extend_from_slice(MAILBOX);
    for number in NUMBERS.into_iter().chain([seconds]) {
        out.extend(number.to_be_bytes());
    }
}

/// Ends the reply that begins at `begin` and whose records are all written: adds the OPT record to one who speaks
/// EDNS, and cuts what is longer than `limit`. Returns whether nothing was cut.
pub(super) fn write_opt(
    query: &Query<'_>,
    code: u16,
    error: Option<&ExtendedError<'_>>,
    begin: usize,
    limit: usize,
    out: &mut Vec<u8>,
) -> bool {
    let length = out.len() - begin;
    // Where no message can be longer, the records are worth more; a code of more than four bits cannot be said without.
    let fills = length + OPT > MAX_MESSAGE && length <= limit && code <= flag::CODE;
    let edns = query.edns().filter(|_| !fills);
    let opt = if edns.is_some() { OPT } else { 0 };
    let whole = out.len() - begin + opt <= limit;
    if !whole {
        let flags = u16_at(out, begin + 2).unwrap_or(0) | flag::TRUNCATED;
        put(out, begin + 2, &flags.to_be_bytes());
        put(out, begin + 6, &[0; 6]);
        out.truncate(begin + HEADER + query.question().len());
    }
    let Some(edns) = edns else {
        return whole;
    };
    let additional = u16_at(out, begin + 10).unwrap_or(0).saturating_add(1);
    put(out, begin + 10, &additional.to_be_bytes());
    let room = limit.saturating_sub(out.len() - begin + OPT);
    extend_opt(
        Edns::ours(edns.dnssec_ok),
        code,
        error.filter(|_| whole),
        room,
        out,
    );
    whole
}

/// The bytes of an OPT record without options.
const OPT: usize = 11;

fn extend_opt(
    edns: Edns,
    code: u16,
    error: Option<&ExtendedError<'_>>,
    room: usize,
    out: &mut Vec<u8>,
) {
    const EXTENDED_ERROR: [u8; 2] = [0, 15];
    out.push(0);
    out.extend(kind::OPT.to_be_bytes());
    out.extend(edns.payload.to_be_bytes());
    let upper = u8::try_from(code >> 4).unwrap_or(0);
    out.extend([upper, 0, u8::from(edns.dnssec_ok) << 7, 0]);
    // Number and length of the option, and the number of the error.
    let Some((error, room)) = error.zip(room.checked_sub(6)) else {
        out.extend([0, 0]);
        return;
    };
    let mut end = error.text.len().min(room).min(MAX_WORDS);
    while !error.text.is_char_boundary(end) {
        end -= 1;
    }
    let text = error.text.get(..end).unwrap_or_default().as_bytes();
    let length = u16::try_from(text.len()).unwrap_or(0);
    out.extend((length + 6).to_be_bytes());
    out.extend(EXTENDED_ERROR);
    out.extend((length + 2).to_be_bytes());
    out.extend(error.number.to_be_bytes());
    out.extend_from_slice(text);
}

/// Longer explanations, in bytes, help nobody and amplify.
const MAX_WORDS: usize = 200;

/// Appends the reply with a code and nothing else to a message that is no query; the question is repeated where it can be
/// read. What is shorter than a header gets none.
pub fn write_refusal(message: &[u8], code: u16, out: &mut Vec<u8>) {
    let (Some(id), Some(flags)) = (u16_at(message, 0), u16_at(message, 2)) else {
        return;
    };
    let plain = u16_at(message, 4) == Some(1) && flags & flag::OPCODE == 0;
    let end = plain_name_end(message).filter(|_| plain).map(|end| end + 4);
    let question = end.and_then(|end| message.get(HEADER..end)).unwrap_or(&[]);
    let kept = flags & (flag::OPCODE | flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
    let flags = flag::RESPONSE | flag::RECURSION_AVAILABLE | kept | (code & flag::CODE);
    let opt = code > flag::CODE;
    for number in [
        id,
        flags,
        u16::from(!question.is_empty()),
        0,
        0,
        u16::from(opt),
    ] {
        out.extend(number.to_be_bytes());
    }
    out.extend_from_slice(question);
    if opt {
        extend_opt(Edns::ours(false), code, None, 0, out);
    }
}

/// What a server is asked. Recursion is desired; no option of a client goes along.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The number by which the response is known.
    pub id: u16,
    /// Name, type and class in bytes of the wire.
    pub question: &'a [u8],
    /// With EDNS, or as servers that do not know it want it.
    pub edns: Option<Edns>,
    /// Whether it is filled up, with EDNS, to a multiple of 128 bytes (RFC 7830).
    pub is_padded: bool,
    /// Whether the server shall say if it checked the answer's signatures (RFC 6840 §5.7).
    pub authentic_data: bool,
    /// Whether the server shall answer what it found to be forged, too.
    pub checking_disabled: bool,
}

/// Lengths of padded queries are multiples of that, in bytes (RFC 8467 §4.1).
const BLOCK: usize = 128;

impl Ask<'_> {
    /// Appends the query.
    pub fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        let mut flags = flag::RECURSION_DESIRED;
        for (wanted, bit) in [
            (self.authentic_data, flag::AUTHENTIC_DATA),
            (self.checking_disabled, flag::CHECKING_DISABLED),
        ] {
            flags |= if wanted { bit } else { 0 };
        }
        for number in [self.id, flags, 1, 0, 0, u16::from(self.edns.is_some())] {
            out.extend(number.to_be_bytes());
        }
        out.extend_from_slice(self.question);
        if let Some(edns) = self.edns {
            extend_opt(edns, code::NO_ERROR, None, 0, out);
            if self.is_padded {
                pad(begin, out);
            }
        }
    }
}

/// Fills the message that begins at `begin`, and ends with an OPT record without options, up to a multiple of [`BLOCK`].
fn pad(begin: usize, out: &mut Vec<u8>) {
    const PADDING: [u8; 2] = [0, 12];
    /// Number and length.
    const OPTION: usize = 4;
    let bare = out.len() - begin + OPTION;
    let fill = bare.next_multiple_of(BLOCK) - bare;
    let number = |count: usize| u16::try_from(count).unwrap_or(0).to_be_bytes();
    let at = out.len() - 2;
    put(out, at, &number(OPTION + fill));
    out.extend(PADDING);
    out.extend(number(fill));
    out.resize(out.len() + fill, 0);
}

//! Long headers, and the packets that share a datagram (RFC 9000 §12.2, §17.2; RFC 9369 §3.2).
//!
//! Invariant: what is yielded lies within the datagram. Absent: short headers, which no flow begins with.

use crate::WhyNot;
use crate::read::{Reader, Stop, malformed};

/// The longest connection ID of the versions known here (RFC 9000 §17.2).
pub(crate) const MAX_ID: usize = 20;
/// How many bytes of a packet the mask of its header is made of (RFC 9001 §5.4.2).
pub(super) const SAMPLE: usize = 16;
/// The shortest protected part: a packet number taken for four bytes, and the sample.
const MIN_PROTECTED: usize = 4 + SAMPLE;

/// A version whose Initial packets can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// RFC 9000.
    One,
    /// RFC 9369.
    Two,
}

impl Version {
    /// The version of a number on the wire.
    pub(crate) fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            0x6b33_43cf => Some(Self::Two),
            _ => None,
        }
    }

    /// Its number on the wire.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 0x6b33_43cf,
        }
    }

    /// The two bits that say "Initial" in a first byte.
    pub(crate) fn initial_bits(self) -> u8 {
        match self {
            Self::One => 0b00,
            Self::Two => 0b01,
        }
    }

    fn retry_bits(self) -> u8 {
        match self {
            Self::One => 0b11,
            Self::Two => 0b00,
        }
    }
}

/// Whether an unknown version is one that clients are known to send: greased, to have the server name
/// those that it speaks (RFC 9000 §15), or a draft's.
pub(super) fn may_be_quic(version: u32) -> bool {
    version & 0x0f0f_0f0f == 0x0a0a_0a0a || (0xff00_0001..=0xff00_00ff).contains(&version)
}

/// A packet with a long header.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) version: u32,
    /// The connection ID of the server, or what the client chose for it.
    pub(super) destination: &'a [u8],
    /// The packet, if it is an Initial of a version that is known.
    pub(super) initial: Option<Protected<'a>>,
}

/// An Initial packet as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protected<'a> {
    /// From the first byte to the end that its header tells.
    pub(super) bytes: &'a [u8],
    /// Where the packet number begins; [`MIN_PROTECTED`] bytes follow at least.
    pub(super) number_at: usize,
}

/// The packets of a datagram, up to the first that has no long header or breaks its rules.
///
/// Of a version that is not known, and of a Retry, the length is not known: such a packet is the last.
pub(super) struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let (header, used) = read(self.rest).ok()?;
        self.rest = self.rest.get(used..).unwrap_or_default();
        Some(header)
    }
}

/// Reads a packet; how many bytes it takes is told as well.
fn read(bytes: &[u8]) -> Result<(Header<'_>, usize), Stop> {
    let mut reader = Reader::new(bytes);
    let first = reader.u8()?;
    // The form of the header, and the bit that is fixed.
    if first & 0xc0 != 0xc0 {
        return Err(Stop::Not(WhyNot::AnotherProtocol));
    }
    let number = reader.array().map(u32::from_be_bytes)?;
    let destination = reader.vec8()?;
    let source = reader.vec8()?;
    if destination.len() > MAX_ID || source.len() > MAX_ID {
        return malformed("connection ID");
    }
    let mut header = Header {
        version: number,
        destination,
        initial: None,
    };
    let Some(version) = Version::of(number) else {
        return Ok((header, bytes.len()));
    };
    let kind = first >> 4 & 0b11;
    if kind == version.retry_bits() {
        return Ok((header, bytes.len()));
    }
    let initial = kind == version.initial_bits();
    if initial {
        let token = varint(&mut reader)?;
        reader.take(length(token))?;
    }
    let protected = length(varint(&mut reader)?);
    if protected < MIN_PROTECTED {
        return malformed("QUIC packet without room for its sample");
    }
    let number_at = bytes.len() - reader.rest().len();
    reader.take(protected)?;
    let end = number_at + protected;
    if initial {
        let bytes = bytes.get(..end).unwrap_or_default();
        header.initial = Some(Protected { bytes, number_at });
    }
    Ok((header, end))
}

/// A number of one, two, four or eight bytes (RFC 9000 §16).
pub(super) fn varint(reader: &mut Reader<'_>) -> Result<u64, Stop> {
    let first = reader.u8()?;
    let mut value = u64::from(first & 0x3f);
    for byte in reader.take((1 << (first >> 6)) - 1)? {
        value = value << 8 | u64::from(*byte);
    }
    Ok(value)
}

/// A length, where one that no slice has means "more than there is".
pub(super) fn length(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

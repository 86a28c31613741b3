//! A chunked body (RFC 9112 §7.1), read and written again while the bytes pass by.
//!
//! Invariant: of the framing nothing goes on but what was understood: sizes are written again, and extensions
//! and trailers are left behind. So no reader behind us can take a line of the sender's for anything else,
//! and a password or a length in a trailer (RFC 9110 §6.5.1) reaches nobody. RFC 9110 allows that, and nobody
//! was promised them: no server hears `TE: trailers` from us. Nothing is buffered, nothing is allocated for a
//! chunk, and the outcome does not depend on how the bytes are cut.
//! Strict: CR LF only, hexadecimal digits only, trailers that are fields, bounded lines.

use crate::WhyNot;
use crate::http::is_token_byte;

/// The longest size line with its extensions, in bytes.
const MAX_SIZE_LINE: u16 = 4_096;
/// The most bytes of extensions in a body beyond those of its data: who sends a page of them for each byte
/// has us read for nothing. Signatures of chunks, the longest that are known, are shorter than their chunks.
const MAX_IDLE: u16 = 16_384;
/// The longest trailer section, in bytes.
const MAX_TRAILERS: u16 = 16_384;
/// The most digits of a size: more would not fit 64 bits.
const MAX_DIGITS: u8 = 16;

/// How far one feeding got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// How many of the bytes belong to the body, trailers included.
    pub used: usize,
    /// Whether the body ended with them; otherwise all bytes were used.
    pub done: bool,
}

/// How a chunked body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunks {
    /// In chunks again.
    Kept,
    /// As its data alone, to a reader of HTTP/1.0, who knows no chunks (RFC 9112 §6.1): for whom it ends with
    /// the connection.
    Joined,
}

impl Chunks {
    /// What a reader of HTTP/1.`version_minor` gets.
    pub fn of(version_minor: u8) -> Self {
        match version_minor {
            0 => Self::Joined,
            _ => Self::Kept,
        }
    }
}

/// Follows a chunked body and writes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedBody {
    goes_on: Chunks,
    state: State,
    /// How many bytes of extensions the data so far do not make up for.
    idle: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within the digits of a size.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the digits, within white space: old servers fill their lines up.
    Blank {
        size: u64,
        line: u16,
    },
    /// Within extensions.
    Extension {
        size: u64,
        line: u16,
    },
    /// After the CR of a size line.
    SizeLf {
        size: u64,
        line: u16,
    },
    /// So many bytes of data are left, at least one.
    Data {
        left: u64,
    },
    /// After the data.
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the last, empty one.
    TrailerStart {
        total: u16,
    },
    TrailerName {
        total: u16,
    },
    TrailerValue {
        total: u16,
    },
    TrailerLf {
        total: u16,
    },
    /// After the CR of the empty line.
    LastLf,
    Done,
    Failed(WhyNot),
}

impl ChunkedBody {
    /// Starts before the first size.
    pub fn new(goes_on: Chunks) -> Self {
        Self {
            goes_on,
            state: State::Size { size: 0, digits: 0 },
            idle: 0,
        }
    }

    /// Reads on and appends to `out` what goes on; after an error or the end, says the same again and uses
    /// nothing.
    ///
    /// # Errors
    /// [`WhyNot::Malformed`] or [`WhyNot::TooLong`] when this is no chunked body.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Scan, WhyNot> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            match self.state {
                State::Done => return Ok(Scan { used, done: true }),
                State::Failed(why) => return Err(why),
                State::Data { left } => {
                    let passed = usize::try_from(left).unwrap_or(usize::MAX);
                    let passed = rest.get(..passed).unwrap_or(rest);
                    out.extend_from_slice(passed);
                    used += passed.len();
                    let left = left - passed.len() as u64;
                    if left > 0 {
                        self.state = State::Data { left };
                        return Ok(Scan { used, done: false });
                    }
                    self.state = State::DataCr;
                }
                state => {
                    let Some(byte) = rest.first() else {
                        return Ok(Scan { used, done: false });
                    };
                    used += 1;
                    let next = state
                        .after(*byte)
                        .and_then(|next| self.heard(state, next, out));
                    self.state = next.unwrap_or_else(State::Failed);
                }
            }
        }
    }

    /// Writes what is known of the body by the step from `state` to `next`.
    fn heard(&mut self, state: State, next: State, out: &mut Vec<u8>) -> Result<State, WhyNot> {
        let kept = self.goes_on == Chunks::Kept;
        match (state, next) {
            (State::SizeLf { line, size }, _) => {
                let data = u16::try_from(size).unwrap_or(u16::MAX);
                self.idle = (self.idle + line).saturating_sub(data);
                if self.idle > MAX_IDLE {
                    return Err(WhyNot::TooLong);
                }
                if size > 0 && kept {
                    write_size(out, size);
                }
            }
            (State::DataLf, _) if kept => out.extend_from_slice(b"\r\n"),
            (_, State::Done) if kept => out.extend_from_slice(b"0\r\n\r\n"),
            _ => {}
        }
        Ok(next)
    }
}

/// Appends a size line.
fn write_size(out: &mut Vec<u8>, size: u64) {
    let digits = (u64::BITS - size.leading_zeros()).div_ceil(4);
    out.extend((0..digits).rev().map(|place| {
        let digit = (size >> (4 * place) & 0xf) as u8;
        digit + if digit < 10 { b'0' } else { b'a' - 10 }
    }));
    out.extend_from_slice(b"\r\n");
}

impl State {
    /// The state after one byte of a line.
    fn after(self, byte: u8) -> Result<Self, WhyNot> {
        match (self, byte) {
            (Self::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                if digits == MAX_DIGITS {
                    return Err(WhyNot::Malformed("chunk size"));
                }
                let digit = match byte {
                    b'0'..=b'9' => byte - b'0',
                    _ => byte.to_ascii_lowercase() - b'a' + 10,
                };
                Ok(Self::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                })
            }
            (Self::Size { digits: 0, .. }, _) => Err(WhyNot::Malformed("chunk size")),
            (Self::Size { size, .. }, b'\r') => Ok(Self::SizeLf { size, line: 0 }),
            (Self::Size { size, .. }, b';') => Ok(Self::Extension { size, line: 0 }),
            (Self::Size { size, .. }, b' ' | b'\t') => Ok(Self::Blank { size, line: 0 }),
            (Self::Size { .. }, _) => Err(WhyNot::Malformed("chunk size")),
            (Self::Blank { size, line } | Self::Extension { size, line }, b'\r') => {
                Ok(Self::SizeLf { size, line })
            }
            (Self::Blank { size, line }, b';') => Ok(Self::Extension { size, line }),
            (Self::Blank { size, line }, b' ' | b'\t') => {
                let line = count(byte, line, MAX_SIZE_LINE)?;
                Ok(Self::Blank { size, line })
            }
            (Self::Blank { .. }, _) => Err(WhyNot::Malformed("chunk size")),
            (Self::Extension { size, line }, _) => {
                let line = count(byte, line, MAX_SIZE_LINE)?;
                Ok(Self::Extension { size, line })
            }
            (Self::SizeLf { size: 0, .. }, b'\n') => Ok(Self::TrailerStart { total: 0 }),
            (Self::SizeLf { size, .. }, b'\n') => Ok(Self::Data { left: size }),
            (Self::DataCr, b'\r') => Ok(Self::DataLf),
            (Self::DataLf, b'\n') => Ok(Self::Size { size: 0, digits: 0 }),
            (Self::DataCr | Self::DataLf, _) => Err(WhyNot::Malformed("end of a chunk")),
            (Self::TrailerStart { .. }, b'\r') => Ok(Self::LastLf),
            (Self::TrailerName { total }, b':') => Ok(Self::TrailerValue {
                total: count(byte, total, MAX_TRAILERS)?,
            }),
            (Self::TrailerStart { total } | Self::TrailerName { total }, _) => {
                let total = count(byte, total, MAX_TRAILERS)?;
                match is_token_byte(byte) {
                    true => Ok(Self::TrailerName { total }),
                    false => Err(WhyNot::Malformed("trailer")),
                }
            }
            (Self::TrailerValue { total }, b'\r') => Ok(Self::TrailerLf { total }),
            (Self::TrailerValue { total }, _) => Ok(Self::TrailerValue {
                total: count(byte, total, MAX_TRAILERS)?,
            }),
            (Self::TrailerLf { total }, b'\n') => Ok(Self::TrailerStart { total }),
            (Self::LastLf, b'\n') => Ok(Self::Done),
            (Self::SizeLf { .. } | Self::TrailerLf { .. } | Self::LastLf, _) => {
                Err(WhyNot::Malformed("line without CR LF"))
            }
            (state @ (Self::Data { .. } | Self::Done | Self::Failed(_)), _) => Ok(state),
        }
    }
}

/// Counts a byte of a line, which must be text, up to `max`.
fn count(byte: u8, counted: u16, max: u16) -> Result<u16, WhyNot> {
    match byte {
        _ if counted == max => Err(WhyNot::TooLong),
        b'\t' | b' '..=b'~' | 0x80.. => Ok(counted + 1),
        _ => Err(WhyNot::Malformed("control character in a chunk's line")),
    }
}

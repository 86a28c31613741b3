//! Where a chunked body ends (RFC 9112 §7.1), told while the bytes pass by.
//!
//! Invariant: nothing is buffered, and the verdict does not depend on how the bytes are cut.
//! Strict: CR LF only, hexadecimal digits only, bounded lines; what is passed on unread must
//! mean the same to the next reader.

use crate::WhyNot;

/// The longest size line with its extensions, in bytes.
const MAX_SIZE_LINE: u16 = 4_096;
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

/// Follows a chunked body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedScanner {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within the digits of a size.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the digits, within white space and extensions.
    Extension {
        size: u64,
        line: u16,
    },
    /// After the CR of a size line.
    SizeLf {
        size: u64,
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
    Trailer {
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

impl Default for ChunkedScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedScanner {
    /// Starts before the first size.
    pub fn new() -> Self {
        Self {
            state: State::Size { size: 0, digits: 0 },
        }
    }

    /// Reads on; after an error or the end, says the same again and uses nothing.
    ///
    /// # Errors
    /// [`WhyNot::Malformed`] or [`WhyNot::TooLong`] when this is no chunked body.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Scan, WhyNot> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            match self.state {
                State::Done => return Ok(Scan { used, done: true }),
                State::Failed(why) => return Err(why),
                State::Data { left } => {
                    let passed = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    used += passed;
                    let left = left - passed as u64;
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
                    self.state = state.after(*byte).unwrap_or_else(State::Failed);
                }
            }
        }
    }
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
            (Self::Size { size, .. }, b'\r') => Ok(Self::SizeLf { size }),
            (Self::Size { size, .. }, b';' | b' ' | b'\t') => Ok(Self::Extension { size, line: 0 }),
            (Self::Size { .. }, _) => Err(WhyNot::Malformed("chunk size")),
            (Self::Extension { size, .. }, b'\r') => Ok(Self::SizeLf { size }),
            (Self::Extension { size, line }, _) => {
                let line = count(byte, line, MAX_SIZE_LINE)?;
                Ok(Self::Extension { size, line })
            }
            (Self::SizeLf { size: 0 }, b'\n') => Ok(Self::TrailerStart { total: 0 }),
            (Self::SizeLf { size }, b'\n') => Ok(Self::Data { left: size }),
            (Self::DataCr, b'\r') => Ok(Self::DataLf),
            (Self::DataLf, b'\n') => Ok(Self::Size { size: 0, digits: 0 }),
            (Self::DataCr | Self::DataLf, _) => Err(WhyNot::Malformed("end of a chunk")),
            (Self::TrailerStart { .. }, b'\r') => Ok(Self::LastLf),
            (Self::Trailer { total }, b'\r') => Ok(Self::TrailerLf { total }),
            (Self::TrailerStart { total } | Self::Trailer { total }, _) => Ok(Self::Trailer {
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

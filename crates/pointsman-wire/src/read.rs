//! A cursor over bytes that may be incomplete, and the frame that turns its outcome into a verdict.
//!
//! Invariant: a parser that only reads forward through [`Reader`] keeps the three promises by
//! construction, for each of its verdicts depends on nothing but the bytes before the cursor.

use crate::{Parse, WhyNot};

/// Why reading stopped before the value was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The bytes ended inside the value.
    More,
    /// The bytes are wrong.
    Not(WhyNot),
}

impl From<WhyNot> for Stop {
    fn from(why: WhyNot) -> Self {
        Self::Not(why)
    }
}

/// Ends reading with [`WhyNot::Malformed`].
pub(crate) fn malformed<T>(what: &'static str) -> Result<T, Stop> {
    Err(Stop::Not(WhyNot::Malformed(what)))
}

/// Runs `parser` on at most the first `max` bytes of `bytes`.
///
/// A parser that wants more than `max` bytes ends with [`WhyNot::TooLong`].
pub(crate) fn bounded<T>(
    bytes: &[u8],
    max: usize,
    parser: impl FnOnce(&mut Reader<'_>) -> Result<T, Stop>,
) -> Parse<T> {
    let seen = bytes.get(..max).unwrap_or(bytes);
    let mut reader = Reader::new(seen);
    match parser(&mut reader) {
        Ok(value) => Parse::Done(value, reader.at),
        Err(Stop::More) if seen.len() < max => Parse::NeedMore,
        Err(Stop::More) => Parse::Not(WhyNot::TooLong),
        Err(Stop::Not(why)) => Parse::Not(why),
    }
}

/// A forward-only cursor.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What lies after the cursor.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let taken = self.rest().get(..count).ok_or(Stop::More)?;
        self.at += count;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let taken = self.rest().first_chunk::<N>().ok_or(Stop::More)?;
        self.at += N;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Stop> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A big-endian 16-bit number.
    pub(crate) fn u16(&mut self) -> Result<u16, Stop> {
        self.array().map(u16::from_be_bytes)
    }

    /// Bytes preceded by their count in one byte.
    pub(crate) fn vec8(&mut self) -> Result<&'a [u8], Stop> {
        let count = self.u8()?;
        self.take(usize::from(count))
    }

    /// Bytes preceded by their count in two bytes.
    pub(crate) fn vec16(&mut self) -> Result<&'a [u8], Stop> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }

    /// Bytes up to a NUL, which is consumed; at most `max` of them.
    pub(crate) fn until_nul(&mut self, max: usize) -> Result<&'a [u8], Stop> {
        let rest = self.rest();
        let window = rest.get(..=max).unwrap_or(rest);
        match window.iter().position(|byte| *byte == 0) {
            Some(end) => {
                let text = self.take(end)?;
                self.at += 1;
                Ok(text)
            }
            None if window.len() > max => Err(Stop::Not(WhyNot::TooLong)),
            None => Err(Stop::More),
        }
    }

    /// Consumes `literal`; bytes that differ from it end the parse with `otherwise` at once.
    pub(crate) fn literal(&mut self, literal: &[u8], otherwise: WhyNot) -> Result<(), Stop> {
        let rest = self.rest();
        let comparable = rest.len().min(literal.len());
        if rest.get(..comparable) != literal.get(..comparable) {
            return Err(Stop::Not(otherwise));
        }
        self.take(literal.len()).map(|_| ())
    }
}

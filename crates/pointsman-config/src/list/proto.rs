//! Protocol buffers, as much of them as lists need: fields one after the other.
//!
//! Invariant: a field never reaches behind what holds it, and nothing is allocated on a promise.

use std::io::{self, SeekFrom};

use super::packed::cut;
use super::{Bytes, Unreadable};

/// The content of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// This many bytes follow: a text, bytes, or fields in turn.
    Bytes(u64),
    /// A number; those of a fixed width are skipped and count as 0.
    Number(u64),
}

/// Reads fields.
pub(super) struct Proto<'r> {
    from: &'r mut dyn Bytes,
    /// How many bytes were passed.
    pub(super) at: u64,
}

impl<'r> Proto<'r> {
    /// Reads from where `from` stands: at its beginning.
    pub(super) fn new(from: &'r mut dyn Bytes) -> Self {
        Self { from, at: 0 }
    }

    /// Whether nothing follows.
    pub(super) fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.from.fill_buf()?.is_empty())
    }

    /// The number of the next field and what it holds; `end` is where what holds it ends.
    pub(super) fn field(&mut self, end: u64) -> Result<(u64, Value), Unreadable> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => {
                self.skip(8)?;
                Value::Number(0)
            }
            2 => Value::Bytes(self.varint()?),
            5 => {
                self.skip(4)?;
                Value::Number(0)
            }
            _ => {
                return Err(Unreadable::malformed(
                    "the file is no `geosite.dat` or `geoip.dat` of v2ray, or it is damaged",
                ));
            }
        };
        let length = match value {
            Value::Bytes(length) => length,
            Value::Number(_) => 0,
        };
        if self
            .at
            .checked_add(length)
            .is_none_or(|behind| behind > end)
        {
            return Err(Unreadable::malformed(
                "an entry reaches behind the list that holds it",
            ));
        }
        Ok((key >> 3, value))
    }

    /// A text of this many bytes, in place of what `to` holds.
    pub(super) fn text(&mut self, length: u64, to: &mut String) -> Result<(), Unreadable> {
        let bytes = self.bytes(length)?;
        *to = String::from_utf8(bytes)
            .map_err(|_unspecific| Unreadable::malformed("a text in the list is not UTF-8"))?;
        Ok(())
    }

    /// This many bytes.
    pub(super) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Unreadable> {
        let mut bytes = Vec::new();
        self.pass(length, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Passes over this many bytes.
    pub(super) fn skip(&mut self, length: u64) -> Result<(), Unreadable> {
        self.pass(length, |_| {})
    }

    /// Passes over what comes before this place.
    pub(super) fn skip_to(&mut self, place: u64) -> Result<(), Unreadable> {
        self.skip(place.saturating_sub(self.at))
    }

    /// Goes back to a place that was passed.
    pub(super) fn seek(&mut self, place: u64) -> Result<(), Unreadable> {
        self.from.seek(SeekFrom::Start(place))?;
        self.at = place;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = match self.from.fill_buf()?.first() {
                Some(byte) => *byte,
                None => return Err(cut(io::ErrorKind::UnexpectedEof.into())),
            };
            self.from.consume(1);
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Unreadable::malformed(
            "the list is damaged: a number in it is too long",
        ))
    }

    fn pass(&mut self, length: u64, mut each: impl FnMut(&[u8])) -> Result<(), Unreadable> {
        let mut left = length;
        while left > 0 {
            let available = self.from.fill_buf()?;
            if available.is_empty() {
                return Err(cut(io::ErrorKind::UnexpectedEof.into()));
            }
            let now = usize::try_from(left).map_or(available.len(), |n| n.min(available.len()));
            each(&available[..now]);
            self.from.consume(now);
            self.at += now as u64;
            left -= now as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn fields_stay_within_what_holds_them() {
        let check = |bytes: &[u8], end: u64, expected: Option<(u64, Value)>| {
            let mut from = Cursor::new(bytes);
            assert_eq!(
                Proto::new(&mut from).field(end).ok(),
                expected,
                "{bytes:x?}"
            );
        };
        check(&[0x0a, 0x02, 1, 2], 4, Some((1, Value::Bytes(2))));
        check(&[0x0a, 0x02, 1, 2], 3, None);
        check(&[0x10, 0x96, 0x01], 3, Some((2, Value::Number(150))));
        check(&[0x10, 0x96], 3, None);
        check(
            &[0x11, 1, 2, 3, 4, 5, 6, 7, 8],
            9,
            Some((2, Value::Number(0))),
        );
        check(&[0x15, 1, 2, 3, 4], 5, Some((2, Value::Number(0))));
        check(&[0x15, 1, 2, 3, 4], 4, None);
        check(&[0x0b], 9, None);
        check(&[], 9, None);
        check(&[0xff; 12], 99, None);
    }
}

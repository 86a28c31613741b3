//! Packed of binary lists: numbers, texts and why a list cannot be read on.
//!
//! Invariant: what a length promises is never allocated before its bytes arrive, and never more than the list's room.
//! Whoever keeps many small things says so: each counts as some bytes more.

use std::io::{self, Read};

use super::room::{Room, unfolds};
use super::{Bytes, Unreadable};

/// The most bytes of one text of a list.
const MAX_TEXT: u64 = 64 << 10;

/// What a text, a trie or a rule takes in memory besides its bytes, at most: packed it may be a single one.
pub(super) const KEPT: u64 = 128;

/// Reads the numbers and texts that binary lists are made of.
pub(super) struct Packed<'r> {
    from: &'r mut dyn Read,
    /// How many bytes there may be in all.
    limit: u64,
    /// How many may still come.
    left: u64,
}

impl<'r> Packed<'r> {
    /// Reads from bytes that are unpacked already.
    pub(super) fn new(from: &'r mut dyn Read, room: &Room) -> Self {
        let limit = room.limit();
        Self {
            from,
            limit,
            left: limit,
        }
    }

    /// Counts what is kept besides the bytes themselves.
    pub(super) fn keep(&mut self, more: u64) -> Result<(), Unreadable> {
        let left = self.left.checked_sub(more);
        self.left = left.ok_or_else(|| unfolds(self.limit))?;
        Ok(())
    }

    /// Exactly as many bytes as `to` has.
    pub(super) fn fill(&mut self, to: &mut [u8]) -> Result<(), Unreadable> {
        self.keep(to.len() as u64)?;
        self.from.read_exact(to).map_err(cut)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Unreadable> {
        let mut one = [0];
        self.fill(&mut one)?;
        Ok(one[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Unreadable> {
        let mut two = [0; 2];
        self.fill(&mut two)?;
        Ok(u16::from_be_bytes(two))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Unreadable> {
        let mut eight = [0; 8];
        self.fill(&mut eight)?;
        Ok(u64::from_be_bytes(eight))
    }

    /// A number in groups of seven bits, the lowest first (LEB128).
    pub(super) fn varint(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                break;
            }
            number |= group << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Unreadable::malformed(
            "the list is damaged: a number in it is too long",
        ))
    }

    /// Packed of this many; they are taken piece by piece, so a lie costs nothing.
    pub(super) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Unreadable> {
        const PIECE: usize = 64 << 10;
        let length = self.promised(length, 1)?;
        let mut all = Vec::new();
        while all.len() < length {
            let at = all.len();
            all.resize(length.min(at + PIECE), 0);
            self.fill(&mut all[at..])?;
        }
        Ok(all)
    }

    /// Words of 64 bits, the highest byte first.
    pub(super) fn words(&mut self, count: u64) -> Result<Vec<u64>, Unreadable> {
        let count = self.promised(count, 8)?;
        let mut all = Vec::new();
        let mut piece = [0; 4096];
        while all.len() < count {
            let now = (count - all.len()).min(piece.len() / 8) * 8;
            self.fill(&mut piece[..now])?;
            let words = piece[..now].as_chunks::<8>().0;
            all.extend(words.iter().map(|eight| u64::from_be_bytes(*eight)));
        }
        Ok(all)
    }

    /// A text behind its length.
    pub(super) fn text(&mut self) -> Result<String, Unreadable> {
        let length = self.varint()?;
        if length > MAX_TEXT {
            return Err(Unreadable::malformed(format!(
                "a text of {length} bytes is too long"
            )));
        }
        self.keep(KEPT)?;
        String::from_utf8(self.bytes(length)?)
            .map_err(|_unspecific| Unreadable::malformed("a text in the list is not UTF-8"))
    }

    /// Sees that nothing follows, and that the checksum fits.
    pub(super) fn end(&mut self) -> Result<(), Unreadable> {
        match self.from.read(&mut [0]).map_err(cut)? {
            0 => Ok(()),
            _ => Err(Unreadable::malformed(
                "there are bytes behind the end of the list: it is damaged",
            )),
        }
    }

    /// Refuses a count that the bytes which may still come cannot hold.
    pub(super) fn promised(&self, count: u64, each: u64) -> Result<usize, Unreadable> {
        count
            .checked_mul(each)
            .filter(|bytes| *bytes <= self.left)
            .and_then(|_fits| usize::try_from(count).ok())
            .ok_or_else(|| {
                Unreadable::malformed(format!(
                    "the list is damaged: it says that it has {count} items"
                ))
            })
    }
}

/// What is said where an unpacker gives up. What it says itself are the words of its own trade.
const DAMAGED: &str = "the list is damaged: it cannot be unpacked";

/// Unpackers tell of damage by errors of these kinds.
pub(super) fn cut(error: io::Error) -> Unreadable {
    match error.kind() {
        _ if is_end(&error) => Unreadable::malformed("the list is cut off"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            Unreadable::malformed(DAMAGED)
        }
        _ => error.into(),
    }
}

/// Whether an error, or one that it comes from, is that nothing more came.
pub(super) fn is_end(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    if io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
        return true;
    }
    let within = io.and_then(io::Error::get_ref);
    let within = within.map(|within| within as &(dyn std::error::Error + 'static));
    within.or_else(|| error.source()).is_some_and(is_end)
}

/// Says how far a list was read, where it could not be unpacked on.
pub(super) fn located(mut error: Unreadable, bytes: &mut dyn Bytes) -> Unreadable {
    if let Unreadable::Malformed { message, .. } = &mut error
        && message == DAMAGED
        && let Ok(at) = bytes.stream_position()
    {
        message.push_str(&format!(" beyond byte {at}"));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{MOST_OF_A_FILE, Recipe};

    #[test]
    fn numbers_end_where_they_say() {
        let room = Room::of(&Recipe::default());
        let check = |bytes: &[u8], expected: Option<u64>| {
            let mut from = bytes;
            assert_eq!(
                Packed::new(&mut from, &room).varint().ok(),
                expected,
                "{bytes:x?}"
            );
        };
        check(&[0], Some(0));
        check(&[0x7f], Some(127));
        check(&[0x97, 0x01], Some(151));
        check(&[0x80, 0x00], Some(0));
        check(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            Some(u64::MAX),
        );
        check(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            None,
        );
        check(&[0x80], None);
        check(&[0x80; 11], None);
        check(&[], None);
    }

    #[test]
    fn a_promise_is_no_allocation() {
        let mut from: &[u8] = &[1, 2, 3];
        let room = Room::of(&Recipe::default());
        let mut bytes = Packed::new(&mut from, &room);
        assert!(bytes.bytes(u64::MAX).is_err());
        assert!(bytes.words(MOST_OF_A_FILE / 8).is_err());
    }
}

//! The records of a message (RFC 1035 §4.1.3).

use std::ops::Range;

use super::{HEADER, WireName, u16_at, u32_at};

/// Where in a message a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What was asked for, and the aliases on the way there.
    Answer,
    /// Who is responsible; of a negative response the SOA that says how long it holds.
    Authority,
    /// What may help.
    Additional,
}

/// A record; all places are offsets in bytes from the start of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its section.
    pub section: Section,
    /// Where its owner's name begins, and so where the record does.
    pub owner: usize,
    /// The number of its type.
    pub kind: u16,
    /// The number of its class.
    pub class: u16,
    /// How long it holds, in seconds; a number with the highest bit set counts as none (RFC 2181 §8).
    pub ttl: u32,
    /// Where its data lie.
    pub data: Range<usize>,
}

impl Record {
    /// Where its four bytes of time to live stand.
    #[must_use]
    pub fn ttl_at(&self) -> usize {
        self.data.start - 6
    }
}

/// The records of a message in their order. It ends early where the message breaks off or a name is malformed.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    message: &'a [u8],
    at: usize,
    left: [u16; 3],
    broken: bool,
}

impl<'a> Records<'a> {
    /// Those behind the question, which ends at `at`, as many as the header says.
    pub(super) fn new(message: &'a [u8], at: usize) -> Self {
        let count = |nth: usize| u16_at(message, 6 + 2 * nth).unwrap_or(0);
        debug_assert!(at >= HEADER);
        Self {
            message,
            at,
            left: [count(0), count(1), count(2)],
            broken: false,
        }
    }

    /// Where the next record begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether it ended before the header's counts were reached.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    fn read(&mut self, section: Section) -> Option<Record> {
        let message = self.message;
        let owner = self.at;
        let fields = WireName::skip(message, owner)?;
        let ttl = u32_at(message, fields + 4)?;
        let start = fields + 10;
        let end = start + usize::from(u16_at(message, fields + 8)?);
        message.get(start..end)?;
        self.at = end;
        Some(Record {
            section,
            owner,
            kind: u16_at(message, fields)?,
            class: u16_at(message, fields + 2)?,
            ttl: if ttl >> 31 == 0 { ttl } else { 0 },
            data: start..end,
        })
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        const SECTIONS: [Section; 3] = [Section::Answer, Section::Authority, Section::Additional];
        let (section, left) = SECTIONS
            .into_iter()
            .zip(&mut self.left)
            .find(|(_, left)| **left > 0)?;
        *left -= 1;
        let record = self.read(section);
        if record.is_none() {
            self.left = [0; 3];
            self.broken = true;
        }
        record
    }
}

//! The ClientHello from the CRYPTO frames of several packets (RFC 9000 §19.6), in any order.
//!
//! Invariant: each byte is set once; a frame that says otherwise of one is remembered as a
//! contradiction, for then nobody knows which of them the server reads.
//! Absent: frames that no Initial packet has (RFC 9000 §12.4); the rest of their packet is not read.

use std::ops::RangeInclusive;

use super::packet::{length, varint};
use crate::read::{Reader, Stop, malformed};
use crate::sniff::MAX_LOOK;

const PADDING: u64 = 0;
const PING: u64 = 1;
const ACK: RangeInclusive<u64> = 2..=3;
const CRYPTO: u64 = 6;

/// What is there of the first [`MAX_LOOK`] bytes.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// Which of `bytes` are set; as many.
    set: Vec<bool>,
    /// How many are set from the first on, without a gap.
    prefix: usize,
    contradicted: bool,
}

impl Pieces {
    /// The bytes before the first gap.
    pub(super) fn prefix(&self) -> &[u8] {
        self.bytes.get(..self.prefix).unwrap_or_default()
    }

    /// Whether two frames differed in a byte.
    pub(super) fn contradicted(&self) -> bool {
        self.contradicted
    }

    /// Takes what the frames of an opened packet bring, as far as they can be read.
    pub(super) fn take_frames(&mut self, frames: &[u8]) {
        let mut reader = Reader::new(frames);
        while !reader.is_empty() && self.take_frame(&mut reader).is_ok() {}
    }

    fn take_frame(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop> {
        let kind = varint(reader)?;
        match kind {
            PADDING | PING => Ok(()),
            _ if ACK.contains(&kind) => skip_ack(reader, kind == *ACK.end()),
            CRYPTO => {
                let offset = length(varint(reader)?);
                let count = length(varint(reader)?);
                self.add(offset, reader.take(count)?);
                Ok(())
            }
            _ => malformed("frame in an Initial packet"),
        }
    }

    fn add(&mut self, offset: usize, piece: &[u8]) {
        let end = offset.saturating_add(piece.len()).min(MAX_LOOK);
        if offset >= end {
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.set.resize(end, false);
        }
        let slots = self.bytes.iter_mut().zip(&mut self.set).skip(offset);
        for ((slot, set), byte) in slots.zip(piece) {
            self.contradicted |= *set && *slot != *byte;
            if !*set {
                (*slot, *set) = (*byte, true);
            }
        }
        let unset = |set: &bool| !*set;
        let more = self.set.iter().skip(self.prefix).position(unset);
        self.prefix = more.map_or(self.set.len(), |more| self.prefix + more);
    }
}

/// Passes over an acknowledgement (RFC 9000 §19.3).
fn skip_ack(reader: &mut Reader<'_>, with_counts: bool) -> Result<(), Stop> {
    let (_largest, _delay) = (varint(reader)?, varint(reader)?);
    let ranges = varint(reader)?;
    let _first = varint(reader)?;
    for _ in 0..ranges {
        // A number that is too great ends where the packet does.
        let (_gap, _range) = (varint(reader)?, varint(reader)?);
    }
    if with_counts {
        for _ in 0..3 {
            varint(reader)?;
        }
    }
    Ok(())
}

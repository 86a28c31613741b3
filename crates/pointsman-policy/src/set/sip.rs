//! SipHash-1-3 (Aumasson and Bernstein, 2012) over messages of whole 64-bit words.
//!
//! Invariant: [`Sip::finish`] leaves the state as it is, so one pass over a message gives the hash of each of
//! its beginnings. Deliberately absent: messages that end within a word; callers encode theirs in words.

use crate::key::Key;

/// The state of one pass.
#[derive(Clone, Copy)]
pub(super) struct Sip {
    v: [u64; 4],
    /// Words taken.
    words: u64,
}

impl Sip {
    #[inline]
    pub(super) fn new(key: Key) -> Self {
        let Key([low, high]) = key;
        Self {
            v: [
                low ^ 0x736f_6d65_7073_6575,
                high ^ 0x646f_7261_6e64_6f6d,
                low ^ 0x6c79_6765_6e65_7261,
                high ^ 0x7465_6462_7974_6573,
            ],
            words: 0,
        }
    }

    #[inline]
    pub(super) fn take(&mut self, word: u64) {
        self.v[3] ^= word;
        round(&mut self.v);
        self.v[0] ^= word;
        self.words += 1;
    }

    /// The hash of what was taken.
    #[inline]
    pub(super) fn finish(&self) -> u64 {
        let mut v = self.v;
        // The last block holds the rest of the message, which is empty, and its length in bytes modulo 256.
        let last = (self.words << 3) << 56;
        v[3] ^= last;
        round(&mut v);
        v[0] ^= last;
        v[2] ^= 0xff;
        round(&mut v);
        round(&mut v);
        round(&mut v);
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

/// The hash of some bytes under a key: the same on every system and in every version, for what is kept.
#[must_use]
pub fn keyed_hash(key: Key, bytes: &[u8]) -> u64 {
    let mut sip = Sip::new(key);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sip.take(u64::from_le_bytes(word));
    }
    sip.take(bytes.len() as u64);
    sip.finish()
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hasher as _};

    use super::*;

    /// The standard library's default hasher is SipHash-1-3 with the key 0.
    #[test]
    fn it_agrees_with_the_standard_library() {
        let mut ours = Sip::new(Key([0, 0]));
        let mut theirs = DefaultHasher::new();
        for at in 0..300_u64 {
            assert_eq!(ours.finish(), theirs.finish(), "{at} words");
            let word = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ours.take(word);
            theirs.write(&word.to_le_bytes());
        }
    }

    /// The first of the vectors that accompany the reference implementation: key 00 01 .. 0f, empty message.
    #[test]
    fn the_key_counts() {
        let key = Key([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        let published = u64::from_le_bytes([0xdc, 0xc4, 0x0f, 0x05, 0x58, 0x01, 0xac, 0xab]);
        assert_eq!(Sip::new(key).finish(), published);
    }
}

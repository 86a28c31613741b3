//! What protects a client's Initial packets: keys that anybody derives from the connection ID
//! (RFC 9001 §5, RFC 9369 §3.3).
//!
//! Invariant: a packet is opened into the caller's room, and only if it is whole and unaltered.
//! Absent: keys of servers, of later packets, and secrets of any kind: these keys hide nothing.

use std::fmt;

use ring::aead::quic::HeaderProtectionKey;
use ring::aead::{self, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;

use super::packet::{Protected, SAMPLE, Version};

/// AES-128-GCM's key, and that of the header.
const KEY: usize = 16;
/// A secret of SHA-256.
const SECRET: usize = 32;

#[cfg(test)]
thread_local! {
    /// How often keys were derived by this thread.
    pub(crate) static DERIVED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The keys of a client's Initial packets.
pub(crate) struct Keys {
    header: HeaderProtectionKey,
    iv: [u8; NONCE_LEN],
    payload: LessSafeKey,
}

impl Keys {
    /// Derives the keys from the connection ID that the client chose for the server, or was told by
    /// a Retry. `None` never happens: the lengths are those that the algorithms take.
    pub(crate) fn of_client(version: Version, id: &[u8]) -> Option<Self> {
        #[cfg(test)]
        DERIVED.with(|derived| derived.set(derived.get() + 1));
        let [key, iv, header] = match version {
            Version::One => ["quic key", "quic iv", "quic hp"],
            Version::Two => ["quicv2 key", "quicv2 iv", "quicv2 hp"],
        };
        let initial = hkdf::Salt::new(hkdf::HKDF_SHA256, salt(version)).extract(id);
        let client: [u8; SECRET] = expand(&initial, "client in")?;
        let client = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &client);
        let key: [u8; KEY] = expand(&client, key)?;
        let header: [u8; KEY] = expand(&client, header)?;
        Some(Self {
            header: HeaderProtectionKey::new(&aead::quic::AES_128, &header).ok()?,
            iv: expand(&client, iv)?,
            payload: LessSafeKey::new(UnboundKey::new(&aead::AES_128_GCM, &key).ok()?),
        })
    }

    /// Opens a packet: `plain` holds its frames then, and anything if it could not be opened.
    pub(super) fn open(&self, packet: Protected<'_>, plain: &mut Vec<u8>) -> bool {
        self.opened(packet, plain).is_some()
    }

    fn opened(&self, packet: Protected<'_>, plain: &mut Vec<u8>) -> Option<()> {
        let (header, sealed) = packet.bytes.split_at_checked(packet.number_at)?;
        let mask = self.header.new_mask(sealed.get(4..4 + SAMPLE)?).ok()?;
        let [first_mask, number_mask @ ..] = mask;
        // The reserved bits and the length of the packet number.
        let first = header.first()? ^ first_mask & 0x0f;
        let length = usize::from(first & 0b11) + 1;
        let mut associated = header.to_vec();
        *associated.first_mut()? = first;
        let mut number = 0_u64;
        for (byte, mask) in sealed.get(..length)?.iter().zip(number_mask) {
            associated.push(byte ^ mask);
            number = number << 8 | u64::from(byte ^ mask);
        }
        plain.clear();
        plain.extend_from_slice(sealed.get(length..)?);
        let nonce = self.nonce(number);
        let opened = self
            .payload
            .open_in_place(nonce, aead::Aad::from(&associated), plain)
            .ok()?
            .len();
        plain.truncate(opened);
        Some(())
    }

    /// Makes an Initial packet of a header up to its packet number, whose first byte says that this
    /// has four bytes, and of frames. For tests and fuzzing alone.
    pub(crate) fn seal(&self, header: &[u8], number: u32, frames: &[u8]) -> Option<Vec<u8>> {
        let mut packet = [header, &number.to_be_bytes()].concat();
        let mut sealed = frames.to_vec();
        self.payload
            .seal_in_place_append_tag(
                self.nonce(u64::from(number)),
                aead::Aad::from(&packet),
                &mut sealed,
            )
            .ok()?;
        let mask = self.header.new_mask(sealed.get(..SAMPLE)?).ok()?;
        *packet.first_mut()? ^= mask.first()? & 0x0f;
        for (byte, mask) in packet.iter_mut().skip(header.len()).zip(&mask[1..]) {
            *byte ^= mask;
        }
        packet.extend(sealed);
        Some(packet)
    }

    /// The packet number is within the first 2^32: Initials are the first that a client sends.
    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, part) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte ^= part;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// The salt of a version (RFC 9001 §5.2, RFC 9369 §3.3.1).
fn salt(version: Version) -> &'static [u8; 20] {
    match version {
        Version::One => {
            b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
        }
        Version::Two => {
            b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"
        }
    }
}

/// HKDF-Expand-Label without a context (RFC 8446 §7.1).
fn expand<const N: usize>(secret: &hkdf::Prk, label: &str) -> Option<[u8; N]> {
    const PREFIX: &str = "tls13 ";
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let label_length = u8::try_from(PREFIX.len() + label.len()).ok()?;
    let info = [
        &length[..],
        &[label_length],
        PREFIX.as_bytes(),
        label.as_bytes(),
        &[0],
    ];
    let mut out = [0; N];
    secret.expand(&info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

/// How much is expanded.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

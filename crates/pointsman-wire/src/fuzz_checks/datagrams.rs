//! Checks of what first datagrams tell; inputs are several datagrams, each behind its length in two bytes.
//!
//! Nothing random is ever opened by a QUIC key: [`check_quic_frames`] seals what it is given first.

use crate::Parse;
use crate::sniff::quic::MIN_INITIAL;
use crate::sniff::quic::keys::Keys;
use crate::sniff::quic::packet::{MAX_ID, Version};
use crate::sniff::{FirstDatagrams, Glance, MAX_DATAGRAMS, MAX_HELD, Protocol, claims, header_of};

/// The parts of an input; the last may be cut.
pub(crate) fn parts(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
        let (part, behind) = behind.split_at(length);
        parts.push(part);
        rest = behind;
    }
    parts
}

/// Parts as an input.
#[cfg(test)]
pub(crate) fn joined<P: AsRef<[u8]>>(parts: &[P]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let part = part.as_ref();
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(part.iter().take(usize::from(length)));
    }
    bytes
}

/// First datagrams of every protocol.
pub fn check_datagrams(bytes: &[u8]) {
    let parts = parts(bytes);
    pushed(&parts);
    for part in parts {
        let mut claims = claims(part);
        claims.retain(|protocol| *protocol != Protocol::Ntp);
        assert!(claims.len() <= 1, "{claims:?}");
    }
}

/// The frames of QUIC's Initial packets, one packet of each part; the first byte chooses the version
/// and how long the connection ID is.
pub fn check_quic_frames(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let version = match choice & 1 {
        0 => Version::One,
        _ => Version::Two,
    };
    let id = [*choice; MAX_ID];
    let id = id.get(..usize::from(choice >> 1)).unwrap_or(&id);
    let sealed: Vec<_> = (0..)
        .zip(parts(bytes))
        .map(|(number, frames)| initial(version, id, number, frames))
        .collect();
    if let Some(glance) = pushed(&sealed) {
        assert_eq!(glance.protocol, Protocol::Quic);
        assert_eq!(glance.quic_version, Some(version.number()));
    }
}

/// A datagram with one Initial packet of `frames`, padded to the least size by frames of padding.
pub(crate) fn initial(version: Version, id: &[u8], number: u32, frames: &[u8]) -> Vec<u8> {
    let mut header = vec![0xc3 | version.initial_bits() << 4];
    header.extend(version.number().to_be_bytes());
    header.push(u8::try_from(id.len()).unwrap_or_default());
    header.extend_from_slice(id);
    // No source ID, no token.
    header.extend([0, 0]);
    let mut frames = frames.to_vec();
    let overhead = header.len() + 4 + 4 + 16;
    frames.resize(frames.len().max(MIN_INITIAL - overhead), 0);
    let length = u32::try_from(4 + frames.len() + 16).unwrap_or_default();
    header.extend((length | 0x8000_0000).to_be_bytes());
    let keys = Keys::of_client(version, id);
    keys.and_then(|keys| keys.seal(&header, number, &frames))
        .unwrap_or_default()
}

/// Asserts the promises and returns what was told.
fn pushed<P: AsRef<[u8]>>(datagrams: &[P]) -> Option<Glance> {
    let mut first = FirstDatagrams::default();
    let mut verdict = Parse::NeedMore;
    let mut bytes = 0;
    for (at, datagram) in datagrams.iter().enumerate() {
        let datagram = datagram.as_ref();
        bytes += datagram.len();
        let now = first.push(datagram);
        match &now {
            Parse::NeedMore => assert!(at + 1 < MAX_DATAGRAMS && bytes < MAX_HELD),
            Parse::Done(glance, used) => {
                assert_eq!(*used, datagram.len());
                assert_eq!(first.so_far().as_ref(), Some(glance));
                super::check_name(glance);
            }
            Parse::Not(_) => assert_eq!(first.so_far(), None),
        }
        let told = |verdict: &Parse<Glance>| verdict.clone().map(Some);
        match verdict {
            Parse::NeedMore => {}
            Parse::Done(before, _) => {
                assert_eq!(told(&now), Parse::Done(Some(before), datagram.len()));
            }
            Parse::Not(_) => assert_eq!(now, verdict),
        }
        verdict = now;
    }
    let header = datagrams
        .first()
        .and_then(|first| header_of(first.as_ref()));
    assert_eq!(header, first.so_far().map(|glance| glance.protocol));
    first.so_far()
}

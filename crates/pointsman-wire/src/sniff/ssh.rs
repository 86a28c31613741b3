//! The SSH identification line (RFC 4253 §4.2).
//!
//! Invariant: decided within [`MAX_BANNER`] bytes. Absent: lines before the banner, which only
//! servers send.

use crate::WhyNot;
use crate::read::{Reader, Stop, malformed};
use crate::sniff::{Glance, Protocol};

/// The longest identification line, with its line end (RFC 4253 §4.2).
const MAX_BANNER: usize = 255;

pub(super) fn look(bytes: &[u8]) -> Result<(Glance, usize), Stop> {
    let mut reader = Reader::new(bytes);
    reader.literal(b"SSH-", WhyNot::AnotherProtocol)?;
    match reader.rest().first() {
        Some(b'1') => reader.literal(b"1.99-", WhyNot::Unsupported("SSH 1"))?,
        Some(_) => reader.literal(b"2.0-", WhyNot::Malformed("SSH version"))?,
        None => return Err(Stop::More),
    }
    let window = bytes.get(..MAX_BANNER).unwrap_or(bytes);
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        let full = window.len() == MAX_BANNER;
        return Err(if full {
            Stop::Not(WhyNot::TooLong)
        } else {
            Stop::More
        });
    };
    let line = reader.take(end - (bytes.len() - reader.rest().len()))?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let software = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    if software.is_empty() || !line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return malformed("SSH software version");
    }
    let mut glance = Glance::of(Protocol::Ssh);
    glance.ssh_software = Some(String::from_utf8_lossy(software).into_owned());
    Ok((glance, end + 1))
}

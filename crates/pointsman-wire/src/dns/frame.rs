//! Messages over a stream: each behind its length in two bytes (RFC 1035 §4.2.2, RFC 7766).

use super::MAX_MESSAGE;
use crate::read::bounded;
use crate::{Parse, Unwritable};

/// The longest frame in bytes.
pub const MAX_FRAME: usize = 2 + MAX_MESSAGE;

/// The message of the first frame.
pub fn frame(bytes: &[u8]) -> Parse<&[u8]> {
    let verdict = bounded(bytes, MAX_FRAME, |reader| {
        reader.vec16().map(|message| message.len())
    });
    verdict.map(|length| bytes.get(2..2 + length).unwrap_or_default())
}

/// Appends a frame.
///
/// # Errors
/// The message is longer than [`MAX_MESSAGE`]; `out` is as it was.
pub fn write_frame(out: &mut Vec<u8>, message: &[u8]) -> Result<(), Unwritable> {
    let Ok(length) = u16::try_from(message.len()) else {
        return Err(Unwritable("longer than 65535 bytes"));
    };
    out.extend(length.to_be_bytes());
    out.extend_from_slice(message);
    Ok(())
}

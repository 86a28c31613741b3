//! Lists in UTF-16, as some editors and shells of Windows save them.
//!
//! Invariant: a list in UTF-16 is bounded, for it is in memory whole.

use std::io::{Cursor, Read as _};

use super::{Bytes, Unreadable};

/// The largest list in UTF-16, in bytes: half a million names.
const MOST: u64 = 32 << 20;

/// The list as UTF-8, where a mark at its beginning says that it is UTF-16; else nothing.
pub(super) fn as_utf8(bytes: &mut dyn Bytes) -> Result<Option<Cursor<Vec<u8>>>, Unreadable> {
    bytes.rewind()?;
    let mut mark = Vec::new();
    (&mut *bytes).take(2).read_to_end(&mut mark)?;
    let unit: fn([u8; 2]) -> u16 = match mark.as_slice() {
        b"\xff\xfe" => u16::from_le_bytes,
        b"\xfe\xff" => u16::from_be_bytes,
        _ => return Ok(None),
    };
    let mut wide = Vec::new();
    (&mut *bytes).take(MOST + 1).read_to_end(&mut wide)?;
    if wide.len() as u64 > MOST {
        let error = Unreadable::malformed("the list is UTF-16 and has more than 32 MiB");
        return Err(error.hint("save it as UTF-8"));
    }
    let units = wide.chunks_exact(2).map(|pair| match pair {
        [a, b] => unit([*a, *b]),
        _ => 0,
    });
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Ok(Some(Cursor::new(text.into_bytes())))
}

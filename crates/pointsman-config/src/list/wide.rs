//! Lists in UTF-16, as some editors and shells of Windows save them, with line ends of old Macs, or as base64.
//!
//! Invariant: such a list is bounded, for it is in memory whole.

use std::io::{Cursor, Read as _};

use super::{Bytes, Unreadable, base64};

/// The largest list in UTF-16, in bytes: half a million names.
const MOST: u64 = 32 << 20;

/// How many bytes at the beginning tell the line ends.
const BEGINNING: u64 = 4096;

/// The list as UTF-8, where a mark at its beginning says that it is UTF-16; with line feeds; or as the text that its
/// base64 stands for; else nothing.
pub(super) fn as_utf8(bytes: &mut dyn Bytes) -> Result<Option<Cursor<Vec<u8>>>, Unreadable> {
    bytes.rewind()?;
    let mut mark = Vec::new();
    (&mut *bytes).take(2).read_to_end(&mut mark)?;
    let unit: fn([u8; 2]) -> u16 = match mark.as_slice() {
        b"\xff\xfe" => u16::from_le_bytes,
        b"\xfe\xff" => u16::from_be_bytes,
        _ => return with_line_feeds(bytes),
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

/// The list with line feeds, where each of its lines ends with a carriage return alone; else nothing.
fn with_line_feeds(bytes: &mut dyn Bytes) -> Result<Option<Cursor<Vec<u8>>>, Unreadable> {
    bytes.rewind()?;
    let mut first = Vec::new();
    (&mut *bytes).take(BEGINNING).read_to_end(&mut first)?;
    if base64::is_list(&first) {
        return unpacked(bytes);
    }
    // Binary lists may have any byte.
    let binary = first
        .iter()
        .any(|b| *b < b' ' && !matches!(b, b'\t' | b'\r'));
    if binary || !first.contains(&b'\r') {
        return Ok(None);
    }
    bytes.rewind()?;
    let mut text = Vec::new();
    (&mut *bytes).take(MOST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST || text.contains(&b'\n') {
        return Ok(None);
    }
    for byte in &mut text {
        if *byte == b'\r' {
            *byte = b'\n';
        }
    }
    Ok(Some(Cursor::new(text)))
}

/// A list that is published as base64; nothing where it has other characters.
fn unpacked(bytes: &mut dyn Bytes) -> Result<Option<Cursor<Vec<u8>>>, Unreadable> {
    bytes.rewind()?;
    let mut text = Vec::new();
    (&mut *bytes).take(MOST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST {
        let error = Unreadable::malformed("the list is base64 and has more than 32 MiB");
        return Err(error.hint("decode it first: `base64 -d FILE`"));
    }
    Ok(base64::decoded(&text).map(Cursor::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriage_returns_alone_end_lines() {
        let check = |text: &str, expected: Option<&str>| {
            let read = as_utf8(&mut Cursor::new(text)).unwrap();
            let read = read.map(|text| String::from_utf8(text.into_inner()).unwrap());
            assert_eq!(read.as_deref(), expected, "{text:?}");
        };
        check("a.test\rb.test\r", Some("a.test\nb.test\n"));
        check("payload:\r  - a.test", Some("payload:\n  - a.test"));
        check("a.test\r\nb.test\r\n", None);
        check("a.test\n", None);
        check("SRS\u{3}\r", None);
        check("", None);
    }
}

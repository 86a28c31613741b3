//! Texts that are published as base64 (RFC 4648), as GFWList is.
//!
//! Invariant: of a text that is none nothing is kept; one that is takes no more memory than itself.

/// The beginnings of lists that are published so: what AdBlock and AutoProxy head theirs with.
const HEADS: [&[u8]; 3] = [b"[AutoProxy", b"[Adblock", b"[uBlock"];

/// So many characters tell what the text is.
const BEGINNING: usize = 24;

/// Whether a text is the base64 of a list, told by its beginning.
pub(super) fn is_list(text: &[u8]) -> bool {
    let head = beginning(text);
    HEADS.iter().any(|known| head.starts_with(known))
}

/// What the first characters of a text stand for; nothing where they are no base64.
pub(super) fn beginning(text: &[u8]) -> Vec<u8> {
    decoded(text.get(..BEGINNING).unwrap_or(text)).unwrap_or_default()
}

/// What a text stands for, white space apart; `None`: it has characters that base64 does not have.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' | b'\n' | b'\r' | b' ' | b'\t' => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_stands_for_its_text() {
        let check = |text: &str, expected: Option<&str>| {
            let read = decoded(text.as_bytes());
            let read = read.map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        check("", Some(""));
        check("YQ==", Some("a"));
        check("YWI=", Some("ab"));
        check("YW\r\nJj\n", Some("abc"));
        check("a.test", None);
    }
}

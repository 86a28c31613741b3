//! Types of DNS records, by their words and numbers.
//!
//! Invariant: what is printed is read back as the same type.

use std::borrow::Cow;

/// The types that people ask for or block; a type that is not here has its number as a word.
const WORDS: [(&str, u16); 36] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("NULL", 10),
    ("PTR", 12),
    ("HINFO", 13),
    ("MX", 15),
    ("TXT", 16),
    ("RP", 17),
    ("AFSDB", 18),
    ("SIG", 24),
    ("KEY", 25),
    ("AAAA", 28),
    ("LOC", 29),
    ("SRV", 33),
    ("NAPTR", 35),
    ("CERT", 37),
    ("DNAME", 39),
    ("DS", 43),
    ("SSHFP", 44),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("NSEC3", 50),
    ("NSEC3PARAM", 51),
    ("TLSA", 52),
    ("SMIMEA", 53),
    ("CDS", 59),
    ("CDNSKEY", 60),
    ("OPENPGPKEY", 61),
    ("CSYNC", 62),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("URI", 256),
    ("CAA", 257),
];

/// Reads a type by its word in any case, by its number, or as `TYPE65` (RFC 3597 §5). Total.
#[must_use]
pub fn read(text: &str) -> Option<u16> {
    let known = WORDS
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    if let Some((_, number)) = known {
        return Some(*number);
    }
    let digits = match text.get(..4) {
        Some(head) if head.eq_ignore_ascii_case("TYPE") => &text[4..],
        Some(_) | None => text,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// A type as people write it; one without a word of its own by its number.
#[must_use]
pub fn print(number: u16) -> Cow<'static, str> {
    match WORDS.iter().find(|(_, known)| *known == number) {
        Some((word, _)) => Cow::Borrowed(word),
        None => Cow::Owned(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{print, read};

    #[test]
    fn every_type_is_read_as_it_is_printed() {
        for number in 0..=u16::MAX {
            assert_eq!(read(&print(number)), Some(number));
        }
        assert_eq!(read("Type0065"), Some(65));
        for bad in ["", "TYPE", "TYPE-1", "65536", "+1", "AA", "é", "TYPé"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

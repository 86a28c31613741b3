//! What is known of an answer to a query, for rules that look at answers.

use std::net::IpAddr;

use crate::domain::Domain;
use crate::ids::OutboundId;

/// An answer that came to a query.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The addresses in its records.
    pub addresses: &'a [IpAddr],
    /// The names that its records say the name is another one for.
    pub aliases: &'a [Domain],
    /// Its code (RFC 1035 §4.1.1, RFC 6895 §2.3).
    pub code: u16,
    /// The name of the upstream that gave it.
    pub upstream: &'a str,
    /// Ends that were tried already: rules that lead there are passed over.
    pub tried: &'a [OutboundId],
}

/// Codes by their words.
const CODES: [(&str, u16); 6] = [
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
];

/// The most that a code may be: twelve bits (RFC 6891 §6.1.3).
const MOST: u16 = 0xfff;

/// Reads a code by its word in any case, or by its number.
#[must_use]
pub fn read_code(text: &str) -> Option<u16> {
    let known = CODES
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    if let Some((_, code)) = known {
        return Some(*code);
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u16> = plain.then(|| text.parse().ok())?;
    number.filter(|code| *code <= MOST)
}

/// A code as people write it.
#[must_use]
pub fn print_code(code: u16) -> String {
    let known = CODES.iter().find(|(_, known)| *known == code);
    known.map_or_else(|| code.to_string(), |(word, _)| (*word).to_owned())
}

/// The words of codes, for hints.
pub fn codes() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|(word, _)| *word)
}

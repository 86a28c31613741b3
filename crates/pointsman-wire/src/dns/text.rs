//! Records as people write them (RFC 1035 §5.1, RFC 3597 §5).
//!
//! Invariant: total; what is malformed, or of a type without a spelling here, is written as bytes.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Record, Response, WireName, kind, u16_at};

impl Response<'_> {
    /// Calls `each` with the type, the time to live in seconds and the data of every record in its answer.
    pub fn each_answer_text(&self, each: &mut impl FnMut(u16, u32, String)) {
        for record in self.answers() {
            let text = self.known_text(&record);
            let text = text.unwrap_or_else(|| self.unknown_text(&record));
            each(record.kind, record.ttl, text);
        }
    }

    fn known_text(&self, record: &Record) -> Option<String> {
        let start = record.data.start;
        let data = self.bytes().get(record.data.clone())?;
        let name = |at: usize| {
            let lies = at < record.data.end;
            WireName::read(self.bytes(), at).filter(|_| lies)
        };
        let number = |at: usize| u16_at(data, at);
        Some(match record.kind {
            kind::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
            kind::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
            NS | kind::CNAME | kind::PTR | DNAME => name(start)?.to_string(),
            MX => format!("{} {}", number(0)?, name(start + 2)?),
            SRV => format!(
                "{} {} {} {}",
                number(0)?,
                number(2)?,
                number(4)?,
                name(start + 6)?
            ),
            TXT => texts(data)?,
            _ => return None,
        })
    }

    fn unknown_text(&self, record: &Record) -> String {
        let data = self.bytes().get(record.data.clone()).unwrap_or(&[]);
        let mut text = format!("\\# {}", data.len());
        for (at, byte) in data.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = match at {
                0 => write!(text, " {byte:02x}"),
                _ => write!(text, "{byte:02x}"),
            };
        }
        text
    }
}

const NS: u16 = 2;
const MX: u16 = 15;
const TXT: u16 = 16;
const SRV: u16 = 33;
const DNAME: u16 = 39;

/// Strings with their lengths before them, each in quotes.
fn texts(mut data: &[u8]) -> Option<String> {
    let mut text = String::new();
    while let Some((length, rest)) = data.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        if !text.is_empty() {
            text.push(' ');
        }
        text.push('"');
        for byte in string {
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
                b' '..=b'~' => text.push(char::from(*byte)),
                // Writing to a String cannot fail.
                _ => drop(write!(text, "\\{byte:03}")),
            }
        }
        text.push('"');
        data = rest;
    }
    Some(text)
}

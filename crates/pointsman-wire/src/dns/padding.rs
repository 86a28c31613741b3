//! Replies to who pads: so long that their length says little of what they say (RFC 7830, RFC 8467).

use super::options::{HEAD, PADDING};
use super::{MAX_MESSAGE, Query, kind, parse_response, put, u16_at};

/// Replies are of a multiple of so many bytes (RFC 8467 §4.1).
pub const PADDED_BLOCK: usize = 468;

/// Pads the reply that begins at `begin`, where the query it answers was padded. For those that nobody can read on the
/// way: elsewhere it hides nothing.
pub fn pad(query: &Query<'_>, begin: usize, out: &mut Vec<u8>) {
    if !query.is_padded() {
        return;
    }
    let Some(length_at) = opt_length_at(out.get(begin..).unwrap_or(&[])) else {
        return;
    };
    let length = out.len() - begin;
    let padded = (length + HEAD).div_ceil(PADDED_BLOCK) * PADDED_BLOCK;
    let Some(zeros) = padded.min(MAX_MESSAGE).checked_sub(length + HEAD) else {
        return;
    };
    let at = begin + length_at;
    let data = usize::from(u16_at(out, at).unwrap_or(0)) + HEAD + zeros;
    let (Ok(data), Ok(option)) = (u16::try_from(data), u16::try_from(zeros)) else {
        return;
    };
    put(out, at, &data.to_be_bytes());
    out.extend(PADDING.to_be_bytes());
    out.extend(option.to_be_bytes());
    out.resize(out.len() + zeros, 0);
}

/// Where the length of the OPT record's data stands. It is the last one of replies that are written here.
fn opt_length_at(reply: &[u8]) -> Option<usize> {
    let response = parse_response(reply).ok()?;
    let opt = response.records().find(|record| record.kind == kind::OPT)?;
    (opt.data.end == reply.len()).then(|| opt.data.start - 2)
}

#[cfg(test)]
mod tests {
    use super::super::{ExtendedError, Reply, parse_query};
    use super::*;

    /// A query for the address of `a.test`, with these options.
    fn query(options: &[u8]) -> Vec<u8> {
        let mut query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\x01\x01a\x04test\0\0\x01\0\x01".to_vec();
        query.extend(b"\0\0\x29\x04\xd0\0\0\0\0");
        query.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        query.extend(options);
        query
    }

    fn padded(options: &[u8], text: &str) -> usize {
        let query = query(options);
        let query = parse_query(&query).unwrap();
        let error = Some(ExtendedError { number: 15, text });
        let reply = Reply {
            negative: Some(10),
            error,
            ..Reply::default()
        };
        let mut out = b"before".to_vec();
        reply.write(&query, MAX_MESSAGE, &mut out);
        pad(&query, 6, &mut out);
        let read = parse_response(&out[6..]).unwrap();
        assert_eq!(read.extended_error().map(|(number, _)| number), Some(15));
        out.len() - 6
    }

    #[test]
    fn padded_queries_have_padded_replies() {
        let padding = [0, 12, 0, 3, 0, 0, 0];
        assert_eq!(padded(&padding, "short"), PADDED_BLOCK);
        assert_eq!(padded(&padding, &"x".repeat(190)), PADDED_BLOCK);
        // A cookie before it; and one alone.
        let cookie = [0, 10, 0, 2, 1, 2];
        assert_eq!(padded(&[&cookie[..], &padding].concat(), ""), PADDED_BLOCK);
        assert!(padded(&cookie, "") < 150);
        // What claims to be longer than it is.
        assert!(padded(&[0, 10, 0, 99, 0, 12, 0, 0], "") < 150);
    }
}

//! Where a body ends (RFC 9112 §6).
//!
//! Invariant: what two readers could understand differently is refused: both lengths and codings,
//! lengths that differ, lengths that are not plain digits, codings in HTTP/1.0, and any coding but `chunked`:
//! nobody was asked for one, as `TE` goes on to nobody, and readers differ in what they do with it.

use crate::read::{Stop, malformed};
use crate::{WhyNot, http::head};

use super::head::{Header, is_identity};

/// How the body of a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// In chunks, see [`ChunkedBody`](super::ChunkedBody).
    Chunked,
    /// After so many bytes.
    Length(u64),
    /// There is none.
    None,
}

/// How the body of a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseBody {
    /// In chunks, see [`ChunkedBody`](super::ChunkedBody).
    Chunked,
    /// After so many bytes.
    Length(u64),
    /// There is none.
    None,
    /// With the connection.
    UntilClose,
}

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// A client's.
    Request,
    /// A server's.
    Response,
}

/// What the headers say of the body, the same for both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// `Content-Length`.
    Length(u64),
    /// Nothing.
    Nothing,
}

/// Reads `Content-Length` and `Transfer-Encoding`, refusing what is ambiguous.
///
/// Of a response, `identity` is no coding: RFC 2616 had it, and servers still say it.
pub(super) fn declared(
    headers: &[Header],
    version_minor: u8,
    of: Message,
) -> Result<Declared, Stop> {
    let length = content_length(headers)?;
    let mut codings: Vec<&[u8]> = head::items(headers, "transfer-encoding").collect();
    let said = head::values(headers, "transfer-encoding").next().is_some();
    let plain = of == Message::Response && codings.iter().any(|coding| is_identity(coding));
    codings.retain(|coding| !(plain && is_identity(coding)));
    if !said || (plain && codings.is_empty()) {
        return Ok(length.map_or(Declared::Nothing, Declared::Length));
    }
    if length.is_some() {
        return malformed("both Content-Length and Transfer-Encoding");
    }
    if version_minor == 0 {
        return malformed("Transfer-Encoding in HTTP/1.0");
    }
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match codings.split_last() {
        None => malformed("empty Transfer-Encoding"),
        Some((_, before)) if before.iter().any(|coding| is_chunked(coding)) => {
            malformed("Transfer-Encoding with chunked before its end")
        }
        Some((last, [])) if is_chunked(last) => Ok(Declared::Chunked),
        Some(_) => Err(WhyNot::Unsupported("transfer coding").into()),
    }
}

/// The length that all values agree on.
fn content_length(headers: &[Header]) -> Result<Option<u64>, Stop> {
    let mut agreed = None;
    for value in head::values(headers, "content-length") {
        for item in value.split(|byte| *byte == b',') {
            let length = plain_digits(item.trim_ascii())?;
            if agreed.is_some_and(|agreed| agreed != length) {
                return malformed("several Content-Lengths that differ");
            }
            agreed = Some(length);
        }
    }
    Ok(agreed)
}

fn plain_digits(text: &[u8]) -> Result<u64, Stop> {
    let mut number = 0_u64;
    if text.is_empty() {
        return malformed("Content-Length");
    }
    for byte in text {
        let digit = match byte {
            b'0'..=b'9' => u64::from(byte - b'0'),
            _ => return malformed("Content-Length"),
        };
        let next = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(digit));
        number = next.ok_or(WhyNot::Malformed("Content-Length"))?;
    }
    Ok(number)
}

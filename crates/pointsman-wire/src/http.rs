//! HTTP/1 as a proxy meets it (RFC 9110, RFC 9112): heads, where bodies end, and CONNECT for both sides.
//!
//! Invariant: two readers of what is sent on agree where each message ends. Ambiguous framing is
//! refused, never repaired, and heads are written anew from what was understood.
//! Absent: caching, content codings, HTTP/2, a `Via` header (it would tell the far end of the proxy).

mod chunked;
mod client;
mod framing;
mod head;
mod refusal;
mod request;
mod response;

#[cfg(test)]
mod tests;

pub use chunked::{ChunkedBody, Chunks, Scan};
pub use client::{ConnectResponse, parse_connect_response, write_connect_request};
pub use framing::{BodyLength, ResponseBody};
pub use head::{Header, MAX_HEAD, MAX_HEADERS, Persistence};
pub use refusal::write_refusal;
pub use request::{Credentials, RequestHead, Target, parse_request_head};
pub use response::{ResponseHead, parse_response_head};

/// Whether `byte` may stand in a token, such as a method or a header's name (RFC 9110 §5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

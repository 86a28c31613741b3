//! What a client of an HTTP proxy writes and reads to get a tunnel.
//!
//! Invariant: no name, user or password can end the line it stands in.

use data_encoding::BASE64;

use crate::http::response::parse_response_head;
use crate::{Parse, RequestHost, Unwritable};

/// A proxy's answer to `CONNECT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectResponse {
    /// The status; the tunnel stands with 200 to 299 and only then.
    pub status: u16,
}

impl ConnectResponse {
    /// Whether the tunnel stands.
    pub fn is_open(self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Writes a request for a tunnel to `host`, with user name and password where given (RFC 7617).
///
/// A name must be ASCII without white space or controls, a user name without a colon.
pub fn write_connect_request(
    host: &RequestHost,
    port: u16,
    auth: Option<(&str, &str)>,
) -> Result<Vec<u8>, Unwritable> {
    if let RequestHost::Name(name) = host
        && !(name.is_ascii() && matches!(RequestHost::parse(name), Some(RequestHost::Name(_))))
    {
        return Err(Unwritable("a name that no authority has"));
    }
    let authority = format!("{host}:{port}");
    let mut text = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some((user, password)) = auth {
        if user.contains(':') {
            return Err(Unwritable("a user name with a colon"));
        }
        let token = BASE64.encode(format!("{user}:{password}").as_bytes());
        text.push_str("Proxy-Authorization: Basic ");
        text.push_str(&token);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    Ok(text.into_bytes())
}

/// Reads a proxy's answer to `CONNECT`, at most [`MAX_HEAD`](super::MAX_HEAD) bytes.
///
/// The bytes after those used are the tunnel's when it stands; otherwise the connection is of no
/// further use. Interim answers (1xx) are told like others; ask again after them.
pub fn parse_connect_response(bytes: &[u8]) -> Parse<ConnectResponse> {
    parse_response_head(bytes, "CONNECT").map(|head| ConnectResponse {
        status: head.status,
    })
}

//! The small answers a proxy gives by itself.
//!
//! Invariant: complete messages; nothing of the request is echoed but what the caller says.

/// Writes an answer of `status` whose body is `reason` as plain text; then the connection is closed.
///
/// 407 asks for Basic credentials.
pub fn write_refusal(status: u16, reason: &str) -> Vec<u8> {
    let phrase = phrase(status);
    let challenge = match status {
        407 => "Proxy-Authenticate: Basic realm=\"pointsman\", charset=\"UTF-8\"\r\n",
        _ => "",
    };
    let length = reason.len() + 1;
    format!(
        "HTTP/1.1 {status} {phrase}\r\n{challenge}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{reason}\n"
    )
    .into_bytes()
}

fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Refused",
    }
}

//! What bytes look like that are not what was expected: for a message to people, never for a decision.
//!
//! Invariant: fewer than two bytes look like nothing.

use std::fmt;

/// A protocol that a peer seems to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// HTTP/1: a status line or a request line.
    Http,
    /// The PROXY protocol, version 1 or 2.
    ProxyProtocol,
    /// SSH: its version line.
    Ssh,
    /// SOCKS 4.
    Socks4,
    /// SOCKS 5.
    Socks5,
    /// TLS: an alert or a handshake.
    Tls,
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::ProxyProtocol => "the PROXY protocol",
            Self::Ssh => "SSH",
            Self::Socks4 => "SOCKS4",
            Self::Socks5 => "SOCKS5",
            Self::Tls => "TLS",
        })
    }
}

/// What the first bytes of a server's answer look like; `None`: nothing that is known.
pub fn of_server(bytes: &[u8]) -> Option<Likeness> {
    match bytes {
        [0x15 | 0x16, 3, ..] => Some(Likeness::Tls),
        [5, 0..=8 | 0xff, ..] => Some(Likeness::Socks5),
        [0, 90..=93, ..] => Some(Likeness::Socks4),
        _ if begins(bytes, "HTTP/") => Some(Likeness::Http),
        _ if begins(bytes, "SSH-") => Some(Likeness::Ssh),
        _ => None,
    }
}

/// What the first bytes of a client look like; `None`: nothing that is known.
pub fn of_client(bytes: &[u8]) -> Option<Likeness> {
    match bytes {
        [0x16, 3, ..] => Some(Likeness::Tls),
        [5, 1..=255, ..] => Some(Likeness::Socks5),
        [4, 1 | 2, ..] => Some(Likeness::Socks4),
        _ if begins(bytes, "SSH-") => Some(Likeness::Ssh),
        _ if begins(bytes, "PROXY ") || begins(bytes, "\r\n\r\n\0\r\nQUIT\n") => {
            Some(Likeness::ProxyProtocol)
        }
        _ if METHODS.iter().any(|method| begins(bytes, method)) => Some(Likeness::Http),
        _ => None,
    }
}

/// Those of RFC 9110 §9 and RFC 5789.
const METHODS: [&str; 9] = [
    "CONNECT ", "DELETE ", "GET ", "HEAD ", "OPTIONS ", "PATCH ", "POST ", "PUT ", "TRACE ",
];

/// Whether `bytes` are the begin of `text`, or begin with it.
fn begins(bytes: &[u8], text: &str) -> bool {
    let common = bytes.len().min(text.len());
    common >= 2 && bytes.get(..common) == text.as_bytes().get(..common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_by_two_bytes() {
        let check = |bytes: &[u8], expected| assert_eq!(of_server(bytes), expected, "{bytes:?}");
        check(b"HTTP/1.1 400 Bad Request\r\n", Some(Likeness::Http));
        check(b"HT", Some(Likeness::Http));
        check(b"SSH-2.0-x", Some(Likeness::Ssh));
        check(b"\x15\x03\x01\0\x02\x02\x0a", Some(Likeness::Tls));
        check(b"\x16\x03", Some(Likeness::Tls));
        check(b"\x05\xff", Some(Likeness::Socks5));
        check(b"\0\x5b\0\0", Some(Likeness::Socks4));
        for unknown in [&b"H"[..], b"", b"220 mail", b"HTML", b"\x05\x47"] {
            check(unknown, None);
        }
    }

    #[test]
    fn clients_are_told_by_two_bytes() {
        let check = |bytes: &[u8], expected| assert_eq!(of_client(bytes), expected, "{bytes:?}");
        check(b"GET / HTTP/1.1\r\n", Some(Likeness::Http));
        check(b"CO", Some(Likeness::Http));
        check(b"\x16\x03\x01", Some(Likeness::Tls));
        check(b"\x05\x01\0", Some(Likeness::Socks5));
        check(b"\x04\x01\0\x50", Some(Likeness::Socks4));
        check(b"PROXY TCP4 ", Some(Likeness::ProxyProtocol));
        for unknown in [&b"G"[..], b"", b"EHLO x", b"\x05\0", b"GETS"] {
            check(unknown, None);
        }
    }
}

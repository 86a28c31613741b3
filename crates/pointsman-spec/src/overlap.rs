//! Which addresses that are listened on are in each other's way.

use std::net::SocketAddr;

/// Whether all clients of `part` are clients of `whole`. Port 0 is any that is free, so it is in nobody's way.
#[must_use]
pub fn covers(whole: SocketAddr, part: SocketAddr) -> bool {
    whole.port() != 0
        && whole.port() == part.port()
        && whole.is_ipv4() == part.is_ipv4()
        && (whole.ip() == part.ip() || whole.ip().is_unspecified())
}

/// Whether a client may be one of both.
#[must_use]
pub fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    covers(one, other) || covers(other, one)
}

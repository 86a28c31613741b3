//! Which addresses are this host's, on a system that Pointsman has not been taught.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Whether `address` is assigned to this host, asked by binding to it.
#[expect(clippy::disallowed_methods, reason = "nothing is sent by it")]
pub(crate) fn is_local(address: IpAddr) -> io::Result<bool> {
    Ok(UdpSocket::bind(SocketAddr::new(address, 0)).is_ok())
}

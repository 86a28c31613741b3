//! What is told of datagrams that did not arrive.

use std::net::SocketAddr;

use crate::imp;
use crate::socket::AsSocket;

/// A datagram that did not arrive, as its destination's host, a router, or this host says.
///
/// Anybody who guesses addresses and ports can say so: it is a reason to give a flow up early, not a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whom it was sent to. The port is 0 where this host itself says something of IPv4: whoever sent it knows already, by
    /// [`Stop::Refused`](super::Stop::Refused).
    pub to: SocketAddr,
    /// What is said.
    pub what: Fault,
    /// A packet said so, and not this host.
    pub from_network: bool,
}

/// Why a datagram did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens there.
    PortUnreachable,
    /// The host is not there, or not now.
    HostUnreachable,
    /// No way leads to its network.
    NetUnreachable,
    /// A router or a firewall forbids it.
    Prohibited,
    /// It is longer than the path takes.
    TooBig {
        /// Bytes of the longest packet, headers included; 0 where a router did not say.
        mtu: u32,
    },
    /// It went through too many routers, or its fragments did not all come.
    TimeExceeded,
    /// Something else, as the number of the system's error.
    Other(i32),
}

/// What was told since the last call, oldest first; at most 64, so that where so many come more may wait.
///
/// Of sockets with [`tell_errors`](super::Options::tell_errors) alone.
pub fn errors(socket: &impl AsSocket) -> Vec<Failure> {
    imp::datagram::errors(socket)
}

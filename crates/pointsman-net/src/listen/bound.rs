//! Sockets that listen, before anybody accepts on them.
//!
//! Invariants: what is bound beside a listener of ours takes no client of that one before [`Bound::listen`]; where the kernel can balance, every
//! TCP socket of ours may be joined by another one of ours, so that a wider or a narrower address can take over from
//! one that is in service. A v6 address takes v6 only: the other family has a socket of its own.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::path::PathBuf;

use pointsman_os::datagram;
use pointsman_os::local::{self, OwnLocalListener, UnixEndpoint};
use pointsman_os::socket as os;

use crate::dial::DATAGRAM_BUFFER;

/// What to listen on.
#[derive(Debug)]
pub enum Endpoint {
    /// An address; port 0 takes a free one.
    Tcp(SocketAddr),
    /// The same, for datagrams.
    Udp(SocketAddr),
    /// A path; a dead socket there is replaced, a living one is an error.
    Unix {
        /// Where.
        path: PathBuf,
        /// Permission bits, for instance 0o666.
        mode: u32,
    },
    /// A listening TCP socket that somebody handed over.
    InheritedTcp(StdTcpListener),
    /// A listening local socket that somebody handed over.
    InheritedUnix(OwnLocalListener),
}

/// Who else listens on a part of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nobody: whoever does is in the way.
    Nobody,
    /// Listeners of ours. Of others the kernel still refuses all that are of another user or do not share.
    Ours,
}

/// What listens and has no handler yet: clients wait. Beside one of ours it is only bound: [`Self::listen`].
#[derive(Debug)]
pub struct Bound {
    pub(super) address: Option<SocketAddr>,
    /// Whether there is a socket for each worker.
    pub(super) each: bool,
    pub(super) listening: Listening,
    pub(super) path: Option<UnixEndpoint>,
    beside: Beside,
}

/// What a listener accepts on: sockets of which each has a worker of its own, or one for all.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(Vec<StdTcpListener>),
    /// What comes is there from the moment that they are bound.
    Udp(Vec<StdUdpSocket>),
    Unix(OwnLocalListener),
}

impl Bound {
    /// Listens, with a socket for each worker where the kernel can balance between them.
    ///
    /// # Errors
    /// `AddrInUse` also where somebody else of this user listens; else those of the system.
    pub fn new(endpoint: Endpoint, workers: usize, beside: Beside) -> io::Result<Self> {
        let mut bound = Self {
            address: None,
            each: false,
            listening: Listening::Tcp(Vec::new()),
            path: None,
            beside,
        };
        bound.listening = match endpoint {
            Endpoint::Tcp(wanted) => {
                let first = match beside {
                    Beside::Nobody => os::first_tcp_listener(wanted, os::CAN_SHARE_PORTS)?,
                    Beside::Ours => os::bound_tcp(wanted, os::CAN_SHARE_PORTS)?,
                };
                let address = first.local_addr()?;
                bound.address = Some(address);
                bound.each = os::CAN_SHARE_PORTS && workers > 1;
                let mut sockets = vec![first];
                while bound.each && sockets.len() < workers {
                    sockets.push(match beside {
                        Beside::Nobody => os::tcp_listener(address, true)?,
                        Beside::Ours => os::bound_tcp(address, true)?,
                    });
                }
                Listening::Tcp(sockets)
            }
            Endpoint::Udp(wanted) => {
                let options = datagrams(wanted);
                let shared = os::CAN_SHARE_PORTS;
                let first = match beside {
                    Beside::Nobody => datagram::first_listener(wanted, shared, &options)?,
                    Beside::Ours => datagram::listener(wanted, shared, &options)?,
                };
                let address = first.local_addr()?;
                bound.address = Some(address);
                bound.each = shared && workers > 1;
                let mut sockets = vec![first];
                while bound.each && sockets.len() < workers {
                    sockets.push(datagram::listener(address, true, &options)?);
                }
                Listening::Udp(sockets)
            }
            Endpoint::Unix { path, mode } => {
                let (socket, endpoint) = local::bind_unix(&path, mode)?;
                bound.path = Some(endpoint);
                Listening::Unix(socket)
            }
            Endpoint::InheritedTcp(socket) => {
                socket.set_nonblocking(true)?;
                bound.address = Some(socket.local_addr()?);
                Listening::Tcp(vec![socket])
            }
            Endpoint::InheritedUnix(socket) => {
                socket.set_nonblocking(true)?;
                Listening::Unix(socket)
            }
        };
        Ok(bound)
    }

    /// Takes clients beside a listener of ours; from now on its end is theirs.
    ///
    /// # Errors
    /// `AddrInUse` where another process has come to listen there since it was bound.
    pub fn listen(&self) -> io::Result<()> {
        if let (Listening::Tcp(sockets), Beside::Ours) = (&self.listening, self.beside) {
            for socket in sockets {
                os::start_to_listen(socket)?;
            }
        }
        Ok(())
    }

    /// Whether it is of datagrams.
    pub fn is_udp(&self) -> bool {
        matches!(self.listening, Listening::Udp(_))
    }

    /// The bound address, with its port; none for a local socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

/// What is asked of a socket that takes datagrams there. Of all addresses, the one that was asked is the one that
/// answers.
fn datagrams(at: SocketAddr) -> datagram::Options {
    datagram::Options {
        coalesce: true,
        tell_address: at.ip().is_unspecified(),
        tell_class: true,
        tell_hops: true,
        receive_buffer: DATAGRAM_BUFFER,
        send_buffer: DATAGRAM_BUFFER,
        ..datagram::Options::default()
    }
}

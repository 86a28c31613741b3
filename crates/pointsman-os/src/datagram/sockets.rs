//! Sockets for datagrams, with what is asked of them.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::imp;
use crate::socket::{AsSocket, Uplink, bound_datagram};

/// What is asked of a socket. The default asks for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Datagrams of one sender may come put together (see [`Datagram::segment`](super::Datagram::segment)), where the
    /// system can.
    pub coalesce: bool,
    /// Tell the address that each was sent to: who listens on all addresses answers from the one that was asked.
    pub tell_address: bool,
    /// Tell the traffic class.
    pub tell_class: bool,
    /// Tell how many hops each had left, where the system can.
    pub tell_hops: bool,
    /// Keep what is told of datagrams that did not arrive, for [`errors`](super::errors).
    pub tell_errors: bool,
    /// Never cut a datagram for the path: one that is too long is refused, here or by a router. For a client that asked
    /// for it (`DF`). Where nothing is known of that, as of a client of SOCKS, cutting is right: it is what happens to
    /// the datagrams of a program that asks for nothing, and a client behind a proxy has no way to learn that one was
    /// lost for its length.
    pub whole: bool,
    /// At least so many bytes may wait to be received, as far as the system lets an ordinary user
    /// (`net.core.rmem_max`); 0: what is usual.
    pub receive_buffer: usize,
    /// As before, to be sent (`net.core.wmem_max`).
    pub send_buffer: usize,
}

/// A socket that leaves by `uplink` to a first destination and to whatever others of its family, non-blocking, bound to a
/// port of its own. One for v6 takes v6 only.
///
/// Where the uplink has a source and no interface, the first destination tells by which interface it leaves.
///
/// # Errors
/// As [`connect_prepare`](crate::socket::connect_prepare).
pub fn mapping_socket(
    first: SocketAddr,
    uplink: Uplink<'_>,
    options: &Options,
) -> io::Result<UdpSocket> {
    bound_datagram(first, uplink, |socket| {
        if first.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        set(socket, first.is_ipv6(), options)
    })
}

/// A socket that takes datagrams of clients, non-blocking; a v6 one takes v6 only.
///
/// `shared`: others of this process may listen on the same address, a client's datagrams all come to one of them. The
/// first of them must be made by [`first_listener`].
///
/// # Errors
/// Those of `socket`, `setsockopt` and `bind`.
pub fn listener(address: SocketAddr, shared: bool, options: &Options) -> io::Result<UdpSocket> {
    let socket = unbound(address)?;
    if shared {
        imp::socket::set_reuse_port(&socket)?;
    }
    set(&socket, address.is_ipv6(), options)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The first of several shared listeners: an address in use is an error, also when its user would share it.
///
/// # Errors
/// As [`listener`].
pub fn first_listener(
    address: SocketAddr,
    shared: bool,
    options: &Options,
) -> io::Result<UdpSocket> {
    if shared && address.port() != 0 {
        // As for TCP: a second daemon of this user would take half of the clients, silently. Without `SO_REUSEADDR`, by
        // which datagram sockets take the whole address over.
        unbound(address)?.bind(&address.into())?;
    }
    listener(address, shared, options)
}

/// Has the system keep as little as it can of what comes: nobody wants it. It is to be read all the same: a socket that is
/// full is not told of datagrams that did not arrive.
///
/// # Errors
/// Those of `setsockopt`.
pub fn keep_little(socket: &impl AsSocket) -> io::Result<()> {
    SockRef::from(socket).set_recv_buffer_size(0)
}

/// Whether an error of sending is the socket's own, so that whatever is sent by it meets the same: the interface or the
/// address that it is bound to is gone, also where there is another interface of that name by now.
pub fn is_unbound(socket: &impl AsSocket, error: &io::Error) -> bool {
    imp::datagram::is_unbound(socket, error)
}

fn unbound(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = imp::socket::non_blocking(domain, Type::DGRAM, Protocol::UDP)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn set(socket: &Socket, v6: bool, options: &Options) -> io::Result<()> {
    imp::datagram::set(socket, v6, options)?;
    // The system gives as much as an ordinary user may have, and says nothing where that is less.
    if options.receive_buffer > socket.recv_buffer_size()? {
        socket.set_recv_buffer_size(options.receive_buffer)?;
    }
    if options.send_buffer > socket.send_buffer_size()? {
        socket.set_send_buffer_size(options.send_buffer)?;
    }
    Ok(())
}

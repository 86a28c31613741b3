//! Sockets and their options: made here, marked and bound here, never elsewhere.
//!
//! Invariant: a socket that should leave by an [`Uplink`] either does or is not made; no option fails silently.
//! Absent: connecting, timeouts, names: those are the dialer's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::imp;

/// By which way a connection leaves this host; the default leaves it to the routing table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uplink<'a> {
    /// Name of a network interface.
    pub interface: Option<&'a str>,
    /// Source address; its family must be that of the destination. Without `interface` the socket leaves by the
    /// interface that owns it, unless that is the loopback or a routing rule is on it.
    pub source: Option<IpAddr>,
    /// A mark which routing rules may look at; needs privilege.
    pub mark: Option<u32>,
}

/// Dead peers are noticed after about `time + 3 * interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub time: Duration,
    /// Between probes.
    pub interval: Duration,
}

impl Default for Keepalive {
    /// Two minutes and 20 seconds: under the five minutes after which home routers forget a mapping.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(120),
            interval: Duration::from_secs(20),
        }
    }
}

/// A TCP socket, not yet connected, non-blocking, that leaves by `uplink`.
///
/// # Errors
/// Those of the system (`PermissionDenied` for a mark without privilege, `NotFound`-like ones for an unknown interface),
/// with the option's name in front; `AddrNotAvailable` when the source's family is not the destination's.
pub fn connect_prepare(destination: SocketAddr, uplink: Uplink<'_>) -> io::Result<TcpStream> {
    let socket = prepared(destination, Type::STREAM, Protocol::TCP, uplink)?;
    if let Some(source) = source_of(destination, uplink)? {
        imp::socket::bind_without_port(&socket).map_err(|e| named("IP_BIND_ADDRESS_NO_PORT", e))?;
        socket
            .bind(&source.into())
            .map_err(|e| named_owned(format!("source {}", source.ip()), e))?;
    }
    Ok(socket.into())
}

/// A UDP socket, bound to the uplink's source (or to any address of the destination's family), not connected, non-blocking.
///
/// # Errors
/// As [`connect_prepare`].
pub fn datagram_prepare(destination: SocketAddr, uplink: Uplink<'_>) -> io::Result<UdpSocket> {
    bound_datagram(destination, uplink, |_| Ok(()))
}

/// As [`datagram_prepare`], with options set before anything can come.
pub(crate) fn bound_datagram(
    destination: SocketAddr,
    uplink: Uplink<'_>,
    set: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<UdpSocket> {
    let socket = prepared(destination, Type::DGRAM, Protocol::UDP, uplink)?;
    set(&socket)?;
    let source =
        source_of(destination, uplink)?.unwrap_or_else(|| SocketAddr::new(any_of(destination), 0));
    socket
        .bind(&source.into())
        .map_err(|e| named_owned(format!("source {}", source.ip()), e))?;
    Ok(socket.into())
}

/// A listening TCP socket, non-blocking; a v6 one takes v6 only, for v4 has its own listener.
///
/// `shared`: others of this process may listen on the same address, the kernel balances between them. The first of
/// them must be made by [`first_tcp_listener`], which refuses an address that somebody else listens on.
///
/// # Errors
/// Those of `bind` and `listen`.
pub fn tcp_listener(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = bound_tcp(address, shared)?;
    start_to_listen(&socket)?;
    Ok(socket)
}

/// As [`tcp_listener`], but nobody reaches it before [`start_to_listen`].
///
/// # Errors
/// Those of `socket`, `setsockopt` and `bind`.
pub fn bound_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if shared {
        imp::socket::set_reuse_port(&socket)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Has a bound socket take clients.
///
/// # Errors
/// Those of `listen`: `AddrInUse` where another process listens there by now.
pub fn start_to_listen(socket: &impl AsSocket) -> io::Result<()> {
    SockRef::from(socket).listen(BACKLOG)
}

/// The first of several shared listeners: an address in use is an error, also when its user would share it.
///
/// # Errors
/// As [`tcp_listener`].
pub fn first_tcp_listener(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    if shared && address.port() != 0 {
        // Sharing is granted to every process of this user: without a bind of the unshared kind first, a second
        // daemon would take half of the connections, silently.
        let probe = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            probe.set_only_v6(true)?;
        }
        probe.set_reuse_address(true)?;
        probe.bind(&address.into())?;
    }
    tcp_listener(address, shared)
}

/// Lets others of this user listen on the same address, or on a part of it.
///
/// # Errors
/// Those of `setsockopt`.
pub fn share_port(socket: &impl AsSocket) -> io::Result<()> {
    imp::socket::set_reuse_port(&SockRef::from(socket))
}

/// The kernel caps it by `net.core.somaxconn` (4096 by default since Linux 5.4).
const BACKLOG: i32 = 4096;

/// Whether several listeners may share an address with the kernel balancing between them.
pub const CAN_SHARE_PORTS: bool = cfg!(target_os = "linux");

/// Whether accepted connections have the options that were set on their listening socket.
pub const ACCEPTED_INHERIT_OPTIONS: bool = cfg!(target_os = "linux");

/// Closing `socket` from now on sends a reset and discards what was not sent.
///
/// # Errors
/// Those of `setsockopt`; on a Unix socket it does nothing visible.
pub fn reset_on_close(socket: &impl AsSocket) -> io::Result<()> {
    SockRef::from(socket).set_linger(Some(Duration::ZERO))
}

/// Probes a silent peer.
///
/// # Errors
/// Those of `setsockopt`.
pub fn set_keepalive(socket: &impl AsSocket, keepalive: &Keepalive) -> io::Result<()> {
    let params = TcpKeepalive::new()
        .with_time(keepalive.time)
        .with_interval(keepalive.interval);
    SockRef::from(socket).set_tcp_keepalive(&params)
}

/// Sends small writes at once: a relay must not add delay of its own.
///
/// # Errors
/// Those of `setsockopt`.
pub fn set_nodelay(socket: &impl AsSocket) -> io::Result<()> {
    SockRef::from(socket).set_tcp_nodelay(true)
}

/// The socket is not readable before it holds `bytes` (or has ended); 1 is the default.
///
/// # Errors
/// Those of `setsockopt`.
pub fn set_receive_low_water(socket: &impl AsSocket, bytes: usize) -> io::Result<()> {
    imp::socket::set_receive_low_water(socket, i32::try_from(bytes).unwrap_or(i32::MAX))
}

/// Whether the connection is dead in both directions (reset, or failed), without reading from it.
///
/// # Errors
/// Those of `poll`.
pub fn hung_up(socket: &impl AsSocket) -> io::Result<bool> {
    imp::socket::hung_up(socket)
}

/// The differentiated services code point of the packet that opened a TCP connection to us, 0 to 63 (RFC 2474);
/// `None` where the system does not tell.
///
/// # Errors
/// Those of `setsockopt` and `getsockopt`.
pub fn dscp(socket: &impl AsSocket) -> io::Result<Option<u8>> {
    let address = SockRef::from(socket).local_addr()?;
    // The other two bits of the octet are for congestion (RFC 3168, 5).
    imp::socket::traffic_class(socket, address.is_ipv6()).map(|class| class.map(|octet| octet >> 2))
}

/// Reads without consuming.
///
/// # Errors
/// Those of `recv`; `WouldBlock` when there is nothing.
pub fn peek(socket: &impl AsSocket, buf: &mut [u8]) -> io::Result<usize> {
    let (read, _) = rustix::net::recv(socket, buf, rustix::net::RecvFlags::PEEK)?;
    Ok(read)
}

/// Reads once.
///
/// # Errors
/// Those of `recv`; `WouldBlock` when there is nothing.
pub fn receive(socket: &impl AsSocket, buf: &mut [u8]) -> io::Result<usize> {
    let (read, _) = rustix::net::recv(socket, buf, rustix::net::RecvFlags::empty())?;
    Ok(read)
}

/// Writes once, without a signal for a closed peer.
///
/// # Errors
/// Those of `send`; `WouldBlock` when nothing fits.
pub fn send(socket: &impl AsSocket, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, buf, QUIETLY)?)
}

#[cfg(not(windows))]
const QUIETLY: rustix::net::SendFlags = rustix::net::SendFlags::NOSIGNAL;
/// There are no signals.
#[cfg(windows)]
const QUIETLY: rustix::net::SendFlags = rustix::net::SendFlags::empty();

/// Says "no more bytes from this side"; the other direction lives on.
///
/// # Errors
/// Those of `shutdown`.
pub fn shutdown_write(socket: &impl AsSocket) -> io::Result<()> {
    SockRef::from(socket).shutdown(std::net::Shutdown::Write)
}

/// Whether a peer's address is one of this host's own, so that the owner of its socket can be asked for.
pub fn peer_is_local(peer: IpAddr, local: IpAddr) -> bool {
    let (peer, local) = (peer.to_canonical(), local.to_canonical());
    peer.is_loopback() || peer == local || is_own_address(peer)
}

/// Whether connections to `address` stay on this host; loopback costs nothing, others a question to the kernel.
/// Where that cannot be asked it counts as another host's.
pub fn is_own_address(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_multicast() {
        return false;
    }
    address.is_loopback() || imp::route::is_local(address).unwrap_or(false)
}

/// The number of an interface, by its name or as it is; what link-local addresses are bound to (RFC 4007).
///
/// # Errors
/// `NotFound` where there is none of that name.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let missing = |error: io::Error| {
        let text = format!("there is no interface {name}: {error}");
        io::Error::new(io::ErrorKind::NotFound, text)
    };
    match imp::socket::interface_index(name) {
        Ok(index) => Ok(index),
        Err(error) => name.parse().map_err(|_not_a_number| missing(error)),
    }
}

/// A descriptor that socket calls may borrow.
#[cfg(unix)]
pub trait AsSocket: std::os::fd::AsFd {}
#[cfg(unix)]
impl<S: std::os::fd::AsFd> AsSocket for S {}
/// A socket handle that socket calls may borrow.
#[cfg(windows)]
pub trait AsSocket: std::os::windows::io::AsSocket {}
#[cfg(windows)]
impl<S: std::os::windows::io::AsSocket> AsSocket for S {}

fn prepared(
    destination: SocketAddr,
    kind: Type,
    protocol: Protocol,
    uplink: Uplink<'_>,
) -> io::Result<Socket> {
    let socket = imp::socket::non_blocking(Domain::for_address(destination), kind, protocol)?;
    if let Some(mark) = uplink.mark {
        imp::socket::set_mark(&socket, mark).map_err(|e| named("mark", e))?;
    }
    if let Some(interface) = uplink.interface {
        imp::socket::bind_interface(&socket, interface)
            .map_err(|e| named_owned(format!("interface {interface}"), e))?;
    } else if let Some(source) = source_of(destination, uplink)? {
        let (from, to) = (source.ip(), destination.ip().to_canonical());
        imp::socket::bind_owner(&socket, from, to, uplink.mark.unwrap_or(0))
            .map_err(|e| named_owned(format!("source {from}"), e))?;
    }
    Ok(socket)
}

fn source_of(destination: SocketAddr, uplink: Uplink<'_>) -> io::Result<Option<SocketAddr>> {
    match uplink.source {
        None => Ok(None),
        Some(source) if source.is_ipv4() == destination.is_ipv4() => {
            Ok(Some(SocketAddr::new(source, 0)))
        }
        Some(source) => Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!(
                "source {source} is of another family than destination {}",
                destination.ip()
            ),
        )),
    }
}

fn any_of(destination: SocketAddr) -> IpAddr {
    if destination.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    }
}

fn named(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn named_owned(what: String, error: io::Error) -> io::Error {
    named(&what, error)
}

#[cfg(test)]
mod tests;

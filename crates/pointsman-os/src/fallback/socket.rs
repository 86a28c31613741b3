//! Socket options on a system that Pointsman has not been taught: only what every system has.

use std::io;
use std::net::IpAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// A socket that never blocks.
pub(crate) fn non_blocking(domain: Domain, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub(crate) fn bind_interface(_: &Socket, interface: &str) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("binding to interface {interface} is not built for this system"),
    ))
}

/// Other systems route by source themselves, or not at all.
pub(crate) fn bind_owner(_: &Socket, _: IpAddr, _: IpAddr, _: u32) -> io::Result<()> {
    Ok(())
}

pub(crate) fn interface_index(_: &str) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn set_mark(_: &Socket, _: u32) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "marking sockets is not built for this system",
    ))
}

pub(crate) fn bind_without_port(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Other systems share a port without balancing it: one listener must do.
pub(crate) fn set_reuse_port(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "sharing a port is not built for this system",
    ))
}

pub(crate) fn set_receive_low_water<S>(_: &S, _: i32) -> io::Result<()> {
    Ok(())
}

pub(crate) fn traffic_class<S>(_: &S, _: bool) -> io::Result<Option<u8>> {
    Ok(None)
}

pub(crate) fn hung_up<S>(_: &S) -> io::Result<bool> {
    Ok(false)
}

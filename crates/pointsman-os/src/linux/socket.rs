//! Socket options that neither rustix nor socket2 offer, and those that name a Linux mechanism.

#![expect(
    unsafe_code,
    reason = "setsockopt on integer options that no safe crate wraps"
)]

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use socket2::{Domain, Protocol, Socket, Type};

use super::{control, links, route};
use crate::leaving::{Leaving, Owner, Wanted, leaving};

/// A socket that never blocks, by one call.
pub(crate) fn non_blocking(domain: Domain, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    Socket::new(domain, kind.nonblocking(), Some(protocol))
}

pub(crate) fn bind_interface(socket: &Socket, interface: &str) -> io::Result<()> {
    socket.bind_device(Some(interface.as_bytes()))
}

/// Binds a socket with a source address to the interface that owns it, as [`leaving`](crate::leaving) decides.
pub(crate) fn bind_owner(
    socket: &Socket,
    source: IpAddr,
    destination: IpAddr,
    mark: u32,
) -> io::Result<()> {
    let wanted = Wanted {
        source,
        destination,
        mark,
    };
    // What stays on this host goes over the loopback, whoever owns the source.
    if source.is_loopback() || source.is_unspecified() || route::is_local(destination)? {
        return Ok(());
    }
    let (v4, now) = (source.is_ipv4(), Instant::now());
    let loopback = interface_index("lo").unwrap_or(0);
    let name = |index| rustix::net::netdevice::index_to_name(socket, index);
    let unavailable = |text: String| io::Error::new(io::ErrorKind::AddrNotAvailable, text);
    let by = |owners: &[Owner]| leaving(&wanted, owners, loopback, || links::rules(v4, now));
    let left = match by(&links::addresses(v4, now)?)? {
        // The address may have come, or gone from one of them, since that was asked for.
        Leaving::Nobody | Leaving::Several(_) => by(&links::addresses_anew(v4, now)?)?,
        told => told,
    };
    match left {
        Leaving::Kernel => Ok(()),
        Leaving::Interface(index) => {
            let name = name(index)?;
            bind_interface(socket, &name).map_err(|error| {
                let text = format!("interface {name}, which owns it: {error}");
                io::Error::new(error.kind(), text)
            })
        }
        // A route of type `local` stands for its addresses: they are on the loopback.
        Leaving::Nobody if route::is_local(source)? => Ok(()),
        Leaving::Nobody => Err(unavailable("no interface of this host owns it".to_owned())),
        Leaving::Several(indices) => {
            let names: Vec<String> = indices
                .into_iter()
                .filter_map(|index| name(index).ok())
                .collect();
            Err(unavailable(format!(
                "several interfaces own it ({}): name one by `interface`",
                names.join(", ")
            )))
        }
    }
}

pub(crate) fn interface_index(name: &str) -> io::Result<u32> {
    let any = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    Ok(rustix::net::netdevice::name_to_index(&any, name)?)
}

pub(crate) fn set_mark(socket: &Socket, mark: u32) -> io::Result<()> {
    socket.set_mark(mark)
}

/// Lets the kernel choose the port at `connect`, so that one source address serves more than 28,000 destinations' flows.
pub(crate) fn bind_without_port(socket: &Socket) -> io::Result<()> {
    set_int(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

pub(crate) fn set_reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

pub(crate) fn set_receive_low_water(socket: &impl AsFd, bytes: i32) -> io::Result<()> {
    set_int(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}

pub(crate) fn hung_up(socket: &impl AsFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket, PollFlags::empty())];
    rustix::event::poll(
        &mut fds,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )?;
    // HUP alone says that both sides have said "no more"; bytes may still wait to be read.
    Ok(fds[0].revents().contains(PollFlags::ERR))
}

/// The traffic class octet of the packet that opened a TCP connection to us: the kernel keeps it and gives it with
/// the options of that packet (`IP_PKTOPTIONS`, ip(7); RFC 2292, 4.1).
pub(crate) fn traffic_class(socket: &impl AsFd, v6: bool) -> io::Result<Option<u8>> {
    const IPV6_2292PKTOPTIONS: i32 = 6;
    let (level, wish, packet, kind) = if v6 {
        let kind = libc::IPV6_TCLASS;
        (
            libc::IPPROTO_IPV6,
            libc::IPV6_RECVTCLASS,
            IPV6_2292PKTOPTIONS,
            kind,
        )
    } else {
        (
            libc::IPPROTO_IP,
            libc::IP_RECVTOS,
            libc::IP_PKTOPTIONS,
            libc::IP_TOS,
        )
    };
    set_int(socket, level, wish, 1)?;
    // Aligned as `cmsghdr` is.
    let mut words = [0_usize; 32];
    let mut length = size_of_val(&words) as libc::socklen_t;
    // SAFETY: the descriptor is borrowed for the call; the pointer and the length describe `words`, which outlives it,
    // and the kernel writes at most `length` bytes.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            packet,
            words.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let told = bytes.get(..length as usize).unwrap_or_default();
    let mut messages = control::messages(told);
    let class = messages.find(|message| (message.level, message.kind) == (level, kind));
    Ok(class.and_then(|message| message.octet()))
}

pub(super) fn set_int(socket: &impl AsFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the call; the pointer and the length describe `value`, which outlives it.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

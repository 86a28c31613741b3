//! `recvmmsg(2)` and `sendmmsg(2)`.

#![expect(
    unsafe_code,
    reason = "no safe crate wraps recvmmsg and sendmmsg without an allocation for each call"
)]

mod address;
mod errors;
mod options;
mod receive;
mod send;

use std::io;
use std::os::fd::AsFd;

use socket2::SockRef;

pub(crate) use self::errors::errors;
pub(crate) use self::options::set;
pub(crate) use self::receive::Inbox;
pub(crate) use self::send::Outbox;
use crate::datagram::Blame;

/// A header that names nothing.
fn no_header() -> libc::mmsghdr {
    // SAFETY: it holds numbers and pointers alone, for which zero is a value; nothing is read by a null pointer, for the
    // lengths are zero too. Some C libraries have private padding in it, so that it cannot be written as a literal.
    unsafe { std::mem::zeroed() }
}

/// What an error of sending says.
pub(crate) fn blame(error: &io::Error) -> Blame {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Blame::Full,
        Some(libc::EINTR) => Blame::Interrupted,
        Some(libc::EINVAL) => Blame::Wish,
        Some(libc::EIO) => Blame::Segments,
        Some(libc::EMSGSIZE) => Blame::Size,
        // What ICMP's codes become (icmp_err_convert, icmpv6_err_convert) and what a route or a firewall may say at once.
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES) => Blame::Route,
        Some(
            libc::ECONNREFUSED
            | libc::ENOPROTOOPT
            | libc::EOPNOTSUPP
            | libc::EPROTO
            | libc::EHOSTDOWN
            | libc::ENONET,
        ) => Blame::Told,
        _ => Blame::Other,
    }
}

/// As [`is_unbound`](crate::datagram::is_unbound). v6 has the word for "no way leads there" also for this, so that the
/// interface is asked for.
pub(crate) fn is_unbound(socket: &impl AsFd, error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO | libc::EADDRNOTAVAIL) => true,
        Some(libc::ENETUNREACH) => SockRef::from(socket).device().is_err(),
        _ => false,
    }
}

/// Has a socket for v4 send datagrams without checksums, which excludes that the kernel cuts them.
#[cfg(test)]
pub(crate) fn without_checksums(socket: &impl AsFd) -> io::Result<()> {
    super::socket::set_int(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1)
}

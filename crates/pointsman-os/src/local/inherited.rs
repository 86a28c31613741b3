//! Descriptors that the starting process handed over: by `LISTEN_FDS` (systemd's protocol) or by number.
//!
//! Invariants: only what is inherited is taken (our own descriptors close on exec, inherited ones do not, and a taken one
//! does from then on, so that nothing is taken twice or given to children); only sockets are taken.
//! The environment is left as it is: `LISTEN_PID` names us, so that children ignore it.

#![expect(unsafe_code, reason = "a descriptor's number becomes an owner")]

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Mutex, PoisonError};

use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};

/// A socket that somebody else made; non-blocking.
#[derive(Debug)]
pub enum Inherited {
    /// Listens on TCP.
    TcpListener(TcpListener),
    /// Listens on a local path.
    UnixListener(UnixListener),
    /// Receives datagrams.
    Udp(UdpSocket),
    /// A connection.
    Tcp(TcpStream),
    /// A local connection.
    Unix(UnixStream),
}

/// One of the descriptors of `LISTEN_FDS`.
#[derive(Debug)]
pub struct InheritedFd {
    /// Its number.
    pub number: RawFd,
    /// Its name in `LISTEN_FDNAMES`, if it has one.
    pub name: Option<String>,
    /// The socket, or why it is none for us.
    pub socket: io::Result<Inherited>,
}

/// The first descriptor of `LISTEN_FDS`.
const FIRST: RawFd = 3;
/// More than this is a broken environment.
const MOST: RawFd = 1024;

/// Takes all descriptors that the service manager handed over; none when it did not, or handed them to somebody else.
pub fn listen_fds() -> Vec<InheritedFd> {
    let variable = |name| std::env::var(name).ok();
    let count = promised(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        std::process::id(),
    );
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names
        .split(':')
        .map(|name| (!name.is_empty()).then(|| name.to_owned()));
    let numbers = FIRST..FIRST + count;
    numbers
        .map(|number| InheritedFd {
            number,
            name: names.next().flatten(),
            socket: inherited(number),
        })
        .collect()
}

fn promised(pid: Option<&str>, count: Option<&str>, own: u32) -> RawFd {
    let ours = pid.and_then(|pid| pid.parse().ok()) == Some(own);
    count
        .filter(|_| ours)
        .and_then(|count| count.parse().ok())
        .filter(|count| (0..=MOST).contains(count))
        .unwrap_or(0)
}

/// Takes the listening socket of number `number`.
///
/// # Errors
/// `NotFound`: no such descriptor was inherited, or it was taken. `InvalidInput`: it is not a listening socket.
pub fn inherited_listener(number: RawFd) -> io::Result<Inherited> {
    match inherited(number)? {
        socket @ (Inherited::TcpListener(_) | Inherited::UnixListener(_)) => Ok(socket),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {number} does not listen"),
        )),
    }
}

/// Takes the connection of number `number`.
///
/// # Errors
/// `NotFound`: no such descriptor was inherited, or it was taken. `InvalidInput`: it is not a connection.
pub fn inherited_stream(number: RawFd) -> io::Result<Inherited> {
    match inherited(number)? {
        socket @ (Inherited::Tcp(_) | Inherited::Unix(_)) => Ok(socket),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {number} is not a connection"),
        )),
    }
}

/// Takes the socket of number `number`, of whatever kind.
///
/// # Errors
/// `NotFound`: no such descriptor was inherited, or it was taken. `InvalidInput`: it is not a socket for us.
pub fn inherited(number: RawFd) -> io::Result<Inherited> {
    let fd = take(number)?;
    let unfit = |what: &str| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {number} is {what}"),
        )
    };
    let kind = socket_type(&fd).map_err(|_errno| unfit("not a socket"))?;
    let domain = socket_domain(&fd)?;
    let listens = kind == SocketType::STREAM && socket_acceptconn(&fd)?;
    let internet = domain == AddressFamily::INET || domain == AddressFamily::INET6;
    let local = domain == AddressFamily::UNIX;
    rustix::io::ioctl_fionbio(&fd, true)?;
    match kind {
        SocketType::STREAM if internet && listens => Ok(Inherited::TcpListener(fd.into())),
        SocketType::STREAM if internet => Ok(Inherited::Tcp(fd.into())),
        SocketType::STREAM if local && listens => Ok(Inherited::UnixListener(fd.into())),
        SocketType::STREAM if local => Ok(Inherited::Unix(fd.into())),
        SocketType::DGRAM if internet => Ok(Inherited::Udp(fd.into())),
        _ => Err(unfit("a socket of a kind that is not used here")),
    }
}

/// Takes ownership of an inherited descriptor, and makes it close on exec.
fn take(number: RawFd) -> io::Result<OwnedFd> {
    /// Held from the look at the flag until it is set: two takers of one number must not both succeed.
    static TAKING: Mutex<()> = Mutex::new(());
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let none = || {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("no descriptor {number} was inherited"),
        )
    };
    if number < FIRST {
        return Err(none());
    }
    // SAFETY: F_GETFD reads a flag, and answers EBADF for a number that is not open.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return Err(none());
    }
    // SAFETY: as above; the number is open and the flag set is the only one there is.
    if unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and nobody in this process owns it: everything that Rust's libraries open closes on exec, and
    // so does everything that was taken here before, while this one did not.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use rustix::io::{FdFlags, fcntl_setfd};

    use super::*;

    #[test]
    fn promises_to_others_are_not_ours() {
        for (pid, count, expected) in [
            (Some("7"), Some("2"), 2),
            (Some("8"), Some("2"), 0),
            (None, Some("2"), 0),
            (Some("7"), None, 0),
            (Some("7"), Some("-2"), 0),
            (Some("7"), Some("99999999"), 0),
            (Some("7"), Some("two"), 0),
        ] {
            assert_eq!(promised(pid, count, 7), expected, "{pid:?} {count:?}");
        }
    }

    #[test]
    fn an_inherited_socket_is_taken_once() {
        use std::os::fd::IntoRawFd;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Our own descriptors are not for taking.
        let number = std::os::fd::AsRawFd::as_raw_fd(&listener);
        assert_eq!(
            inherited(number).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fcntl_setfd(&listener, FdFlags::empty()).unwrap();
        let number = listener.into_raw_fd();
        let Inherited::TcpListener(taken) = inherited_listener(number).unwrap() else {
            panic!("of another kind")
        };
        assert_eq!(taken.local_addr().unwrap(), address);
        assert_eq!(
            inherited(number).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(inherited(-1).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(
            inherited(1 << 20).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn what_is_no_socket_is_refused() {
        use std::os::fd::IntoRawFd;
        let file = tempfile::tempfile().unwrap();
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        assert_eq!(
            inherited(file.into_raw_fd()).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}

//! Sockets by `SOCK_DIAG`, processes by `/proc`.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::diag::{self, DiagReply, Query};
pub(crate) use super::process::{
    command_line, may_see_others, owns, parents, pids_by_user, process, user_name, user_named,
    variable,
};
use crate::owner::{Network, SocketOwner};

pub(crate) fn lookup(
    network: Network,
    local: SocketAddr,
    remote: SocketAddr,
) -> io::Result<Option<SocketOwner>> {
    let (local, remote) = (canonical(local), canonical(remote));
    let answer = match network {
        Network::Tcp => ask(Query {
            protocol: libc::IPPROTO_TCP as u8,
            source: local,
            destination: remote,
        })?,
        // "src and dst are swapped for historical reasons" (udp_diag): the kernel looks for the receiver of a datagram.
        Network::Udp => ask(Query {
            protocol: libc::IPPROTO_UDP as u8,
            source: remote,
            destination: local,
        })?,
    };
    Ok(answer
        // Where no connection matches, the kernel answers with a listener of that port; with an unconnected UDP socket
        // it is the owner indeed, with a TCP one it is somebody else.
        .filter(|found| found.local_port == local.port())
        .filter(|found| network == Network::Udp || found.remote_port == remote.port())
        .and_then(owner))
}

pub(crate) fn listener(address: SocketAddr) -> io::Result<Option<SocketOwner>> {
    let source = canonical(address);
    let any = if source.is_ipv4() {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let query = Query {
        protocol: libc::IPPROTO_TCP as u8,
        source,
        destination: SocketAddr::new(any, 0),
    };
    Ok(ask(query)?
        .filter(|found| found.listening && found.local_port == source.port())
        .and_then(owner))
}

/// A socket without an inode is one that the kernel finishes alone.
fn owner(found: diag::DiagSocket) -> Option<SocketOwner> {
    (found.inode != 0).then_some(SocketOwner {
        inode: found.inode.into(),
        uid: found.uid,
        cgroup_id: found.cgroup_id,
    })
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

thread_local! {
    /// One for each thread: no lock, and no answers to the questions of others.
    static NETLINK: RefCell<Option<Netlink>> = const { RefCell::new(None) };
}

struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

fn ask(query: Query) -> io::Result<Option<diag::DiagSocket>> {
    NETLINK.with_borrow_mut(|kept| {
        let mut netlink = match kept.take() {
            Some(netlink) => netlink,
            None => Netlink::open()?,
        };
        let answer = netlink.ask(query)?;
        // Kept only after success: after a failure an answer may still be on its way.
        *kept = Some(netlink);
        Ok(answer)
    })
}

impl Netlink {
    fn open() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        rustix::net::connect(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    fn ask(&mut self, query: Query) -> io::Result<Option<diag::DiagSocket>> {
        self.sequence = self.sequence.wrapping_add(1);
        rustix::net::send(
            &self.socket,
            &query.encode(self.sequence),
            SendFlags::empty(),
        )?;
        // The kernel answers within the send: this never waits.
        let mut buf = [0; 4096];
        let (read, _) = rustix::net::recv(&self.socket, &mut buf, RecvFlags::DONTWAIT)?;
        match diag::decode(&buf[..read], self.sequence) {
            DiagReply::Found(found) => Ok(Some(found)),
            DiagReply::Error(libc::ENOENT) => Ok(None),
            DiagReply::Error(code) => Err(io::Error::from_raw_os_error(code)),
            DiagReply::Nonsense => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "an answer of sock_diag is cut short",
            )),
        }
    }
}

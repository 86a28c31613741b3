//! The error queue of a socket (`IP_RECVERR`, ip(7)).

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use super::super::control::{self, Message, Room};
use super::address::Name;
use super::no_header;
use crate::datagram::{Failure, Fault, MOST_MESSAGES};

/// Reads what is told, without the datagrams themselves.
pub(crate) fn errors(socket: &impl AsFd) -> Vec<Failure> {
    let mut failures = Vec::new();
    // What is no failure (a time stamp, another's wish) counts too: the queue has its limit in the receive buffer alone.
    for _ in 0..MOST_MESSAGES {
        let (mut name, mut control) = (Name::new(), Room::new());
        let mut header = no_header().msg_hdr;
        (header.msg_name, header.msg_namelen) = name.raw();
        let (room, length) = control.raw();
        (header.msg_control, header.msg_controllen) = (room, length as _);
        // SAFETY: the descriptor is borrowed for the call; the header points to a name and a control room that outlive it,
        // with their lengths, and to no vector. The kernel writes no more than these lengths, and the header.
        let read = unsafe {
            libc::recvmsg(
                socket.as_fd().as_raw_fd(),
                &raw mut header,
                libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
            )
        };
        // It fails only where the queue is empty.
        if read < 0 {
            break;
        }
        let to = name.address(header.msg_namelen as usize);
        let told = control.bytes().get(..header.msg_controllen as _);
        let mut messages = control::messages(told.unwrap_or_default());
        failures.extend(to.and_then(|to| messages.find_map(|message| failure(to, &message))));
    }
    failures
}

/// The failure in a message of `IP_RECVERR`: `sock_extended_err`.
fn failure(to: SocketAddr, message: &Message<'_>) -> Option<Failure> {
    let wanted = [
        (libc::IPPROTO_IP, libc::IP_RECVERR),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    ];
    if !wanted.contains(&(message.level, message.kind)) {
        return None;
    }
    let errno = message.int()?;
    let [origin, kind, code, _] = *message.data.get(4..)?.first_chunk::<4>()?;
    let info = u32::from_ne_bytes(*message.data.get(8..)?.first_chunk()?);
    let what = match (origin, kind, code) {
        (libc::SO_EE_ORIGIN_LOCAL, ..) if errno == libc::EMSGSIZE => {
            Some(Fault::TooBig { mtu: info })
        }
        (libc::SO_EE_ORIGIN_ICMP, kind, code) => of_icmp(kind, code, info),
        (libc::SO_EE_ORIGIN_ICMP6, kind, code) => of_icmp6(kind, code, info),
        _ => None,
    };
    Some(Failure {
        to,
        what: what.unwrap_or(Fault::Other(errno)),
        from_network: matches!(origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6),
    })
}

/// RFC 792; codes from 6 on: RFC 1812, 5.2.7.1.
fn of_icmp(kind: u8, code: u8, info: u32) -> Option<Fault> {
    match (kind, code) {
        (3, 0 | 6 | 11) => Some(Fault::NetUnreachable),
        (3, 1 | 7 | 8 | 12) => Some(Fault::HostUnreachable),
        (3, 3) => Some(Fault::PortUnreachable),
        (3, 4) => Some(Fault::TooBig { mtu: info }),
        (3, 9 | 10 | 13..=15) => Some(Fault::Prohibited),
        (11, _) => Some(Fault::TimeExceeded),
        _ => None,
    }
}

/// RFC 4443, 3.
fn of_icmp6(kind: u8, code: u8, info: u32) -> Option<Fault> {
    match (kind, code) {
        (1, 0) => Some(Fault::NetUnreachable),
        (1, 2 | 3) => Some(Fault::HostUnreachable),
        (1, 4) => Some(Fault::PortUnreachable),
        (1, 1 | 5 | 6) => Some(Fault::Prohibited),
        (2, _) => Some(Fault::TooBig { mtu: info }),
        (3, _) => Some(Fault::TimeExceeded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read() {
        let check = |v6: bool, errno: i32, origin: u8, kind: u8, code: u8, what: Fault| {
            let mut data = errno.to_ne_bytes().to_vec();
            data.extend([origin, kind, code, 0]);
            data.extend(1280_u32.to_ne_bytes());
            let (level, kind) = match v6 {
                true => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
                false => (libc::IPPROTO_IP, libc::IP_RECVERR),
            };
            let to = SocketAddr::from(([192, 0, 2, 1], 1));
            let message = |data| Message { level, kind, data };
            let expected = Failure {
                to,
                what,
                from_network: origin != libc::SO_EE_ORIGIN_LOCAL,
            };
            assert_eq!(failure(to, &message(&data)), Some(expected));
            assert_eq!(failure(to, &message(&data[..11])), None);
        };
        let (icmp, icmp6) = (libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6);
        let mtu = 1280;
        check(false, 111, icmp, 3, 3, Fault::PortUnreachable);
        check(false, 113, icmp, 3, 1, Fault::HostUnreachable);
        check(false, 101, icmp, 3, 0, Fault::NetUnreachable);
        check(false, 113, icmp, 3, 13, Fault::Prohibited);
        check(false, 90, icmp, 3, 4, Fault::TooBig { mtu });
        check(false, 92, icmp, 3, 2, Fault::Other(92));
        check(false, 113, icmp, 11, 0, Fault::TimeExceeded);
        check(false, 71, icmp, 12, 0, Fault::Other(71));
        check(true, 111, icmp6, 1, 4, Fault::PortUnreachable);
        check(true, 13, icmp6, 1, 1, Fault::Prohibited);
        check(true, 113, icmp6, 1, 3, Fault::HostUnreachable);
        check(true, 101, icmp6, 1, 0, Fault::NetUnreachable);
        check(true, 90, icmp6, 2, 0, Fault::TooBig { mtu });
        check(true, 113, icmp6, 3, 1, Fault::TimeExceeded);
        let local = libc::SO_EE_ORIGIN_LOCAL;
        check(false, libc::EMSGSIZE, local, 0, 0, Fault::TooBig { mtu });
        check(true, libc::EPERM, local, 3, 3, Fault::Other(libc::EPERM));
    }
}

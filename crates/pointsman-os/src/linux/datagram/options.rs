//! What is asked of sockets for datagrams.

use std::io;

use socket2::Socket;

use super::super::socket::set_int;
use crate::datagram::Options;

/// Asks for everything but buffers.
pub(crate) fn set(socket: &Socket, v6: bool, options: &Options) -> io::Result<()> {
    use libc::{IPPROTO_IP, IPPROTO_IPV6};
    let one_of = |wanted, name, v4: i32, six: i32, value| match wanted {
        false => Ok(()),
        true => {
            let (level, option) = if v6 {
                (IPPROTO_IPV6, six)
            } else {
                (IPPROTO_IP, v4)
            };
            set_int(socket, level, option, value)
                .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
        }
    };
    one_of(
        options.tell_address,
        "IP_PKTINFO",
        libc::IP_PKTINFO,
        libc::IPV6_RECVPKTINFO,
        1,
    )?;
    one_of(
        options.tell_class,
        "IP_RECVTOS",
        libc::IP_RECVTOS,
        libc::IPV6_RECVTCLASS,
        1,
    )?;
    // Linux always can; a kernel that only looks like it may not, and datagrams go on all the same.
    let _untold = one_of(
        options.tell_hops,
        "IP_RECVTTL",
        libc::IP_RECVTTL,
        libc::IPV6_RECVHOPLIMIT,
        1,
    );
    one_of(
        options.tell_errors,
        "IP_RECVERR",
        libc::IP_RECVERR,
        libc::IPV6_RECVERR,
        1,
    )?;
    // Where it is not asked for, what the operator chose for the host (`ip_no_pmtu_disc`) counts; usually that is
    // "as long as the path takes it, else cut" (IP_PMTUDISC_WANT).
    one_of(
        options.whole,
        "IP_MTU_DISCOVER",
        libc::IP_MTU_DISCOVER,
        libc::IPV6_MTU_DISCOVER,
        libc::IP_PMTUDISC_DO,
    )?;
    if options.coalesce {
        // Linux 5.0; before, each comes by itself, which is as good.
        let _ = set_int(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    }
    Ok(())
}

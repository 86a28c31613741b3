//! Sending in batches.

use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use super::super::control::Room;
use super::address::Name;
use super::no_header;
use crate::datagram::{Batch, MOST_MESSAGES, Outgoing};

/// Addresses and wishes of a batch. The headers that point to them live as long as a call.
#[derive(Debug)]
pub(crate) struct Outbox(Box<[Slot; MOST_MESSAGES]>);

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Name,
    control: Room,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        let slot = Slot {
            name: Name::new(),
            control: Room::new(),
        };
        Self(Box::new([slot; MOST_MESSAGES]))
    }

    /// Sends a batch; how many of its pieces went.
    pub(crate) fn transmit(&mut self, socket: &impl AsFd, batch: &Batch<'_>) -> io::Result<usize> {
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MOST_MESSAGES];
        let mut offered = 0;
        let places = headers.iter_mut().zip(self.0.iter_mut());
        for ((header, slot), index) in places.zip(0..batch.len()) {
            let piece = batch.piece(index);
            let mut blank = no_header();
            let message = &mut blank.msg_hdr;
            message.msg_namelen = slot.name.set(piece.message.to);
            message.msg_name = slot.name.raw().0;
            // `IoSlice` is an `iovec` by its contract; the kernel reads these alone.
            message.msg_iov = piece.parts.as_ptr().cast_mut().cast();
            message.msg_iovlen = piece.parts.len() as _;
            let used = wishes(&mut slot.control, piece.message, piece.segment);
            if used > 0 {
                message.msg_control = slot.control.raw().0;
                message.msg_controllen = used as _;
            }
            header.write(blank);
            offered += 1;
        }
        let count: libc::c_uint = offered;
        let flags: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // By its number: musl's function of this name sends one by one. The headers are as the kernel has them in every C
        // library, for what some have as padding is zero.
        //
        // SAFETY: the descriptor is borrowed for the call. The first `count` headers are written; each points to a name
        // and a control room of its own slot, borrowed until the call returns, with the lengths that were written to them,
        // and to the parts of its piece, which `batch` borrows, with their number. The kernel reads all these, and writes
        // to the headers alone: how much of each went. The arguments have the types of the call.
        let count = unsafe {
            libc::syscall(
                libc::SYS_sendmmsg,
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                flags,
            )
        };
        usize::try_from(count).map_err(|_negative| io::Error::last_os_error())
    }
}

/// Writes what is asked for beside the datagram; bytes used.
fn wishes(room: &mut Room, message: &Outgoing<'_>, segment: Option<u16>) -> usize {
    let mut used = 0;
    match message.from {
        Some(IpAddr::V4(from)) => {
            // in_pktinfo: interface, source, and a destination that is not looked at.
            let mut data = [0; 12];
            data[4..8].copy_from_slice(&from.octets());
            used = room.push(used, libc::IPPROTO_IP, libc::IP_PKTINFO, &data);
        }
        Some(IpAddr::V6(from)) => {
            // in6_pktinfo: source, interface.
            let mut data = [0; 20];
            data[..16].copy_from_slice(&from.octets());
            used = room.push(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
        }
        None => {}
    }
    if let Some(class) = message.class {
        let (level, kind) = if message.to.is_ipv6() {
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
        } else {
            (libc::IPPROTO_IP, libc::IP_TOS)
        };
        used = room.push(used, level, kind, &i32::from(class).to_ne_bytes());
    }
    if let Some(hops) = message.hops {
        let (level, kind) = if message.to.is_ipv6() {
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)
        } else {
            (libc::IPPROTO_IP, libc::IP_TTL)
        };
        used = room.push(used, level, kind, &i32::from(hops).to_ne_bytes());
    }
    if let Some(segment) = segment {
        used = room.push(
            used,
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            &segment.to_ne_bytes(),
        );
    }
    used
}

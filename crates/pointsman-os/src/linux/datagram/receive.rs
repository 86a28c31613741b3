//! Receiving in batches.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};

use super::super::control::{self, Room};
use super::address::Name;
use super::no_header;
use crate::datagram::{Datagram, MOST_MESSAGES};

/// What a batch is received into. The headers that point to it live as long as a call.
#[derive(Debug)]
pub(crate) struct Inbox {
    each: usize,
    /// For so many calls all room is offered, and then little again.
    busy: u8,
    /// For how many messages the last call had room.
    offered: usize,
    /// Not zeroed, for that would touch them all: the C library has fresh pages only where it asks the system for them.
    bytes: Box<[MaybeUninit<u8>]>,
    rooms: Box<[Slot]>,
}

/// For how many messages room is offered while sockets have few: to write the headers of all costs more than the call that
/// tells that there is more.
const FEW: usize = 8;
/// So many calls follow one that found more.
const BUSY: u8 = 32;

/// What is told of one datagram.
#[derive(Clone, Copy, Debug)]
struct Slot {
    name: Name,
    control: Room,
    length: usize,
    name_length: usize,
    control_length: usize,
    flags: i32,
}

impl Inbox {
    pub(crate) fn new(messages: usize, each: usize) -> Self {
        let slot = Slot {
            name: Name::new(),
            control: Room::new(),
            length: 0,
            name_length: 0,
            control_length: 0,
            flags: 0,
        };
        Self {
            each,
            busy: 0,
            offered: 0,
            bytes: Box::new_uninit_slice(messages * each),
            rooms: vec![slot; messages].into_boxed_slice(),
        }
    }

    /// For how many messages the last filling had room.
    pub(crate) fn offered(&self) -> usize {
        self.offered
    }

    pub(crate) fn fill(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; MOST_MESSAGES];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MOST_MESSAGES];
        let mut offered = 0;
        let room = if self.busy > 0 { self.rooms.len() } else { FEW };
        let places = headers.iter_mut().zip(&mut vectors).take(room);
        let rooms = self
            .rooms
            .iter_mut()
            .zip(self.bytes.chunks_exact_mut(self.each));
        for ((header, vector), (slot, bytes)) in places.zip(rooms) {
            let vector = vector.write(libc::iovec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: bytes.len(),
            });
            let mut blank = no_header();
            let message = &mut blank.msg_hdr;
            (message.msg_name, message.msg_namelen) = slot.name.raw();
            (message.msg_iov, message.msg_iovlen) = (vector, 1);
            let (control, length) = slot.control.raw();
            (message.msg_control, message.msg_controllen) = (control, length as _);
            header.write(blank);
            offered += 1;
        }
        // SAFETY: the descriptor is borrowed for the call. The first `offered` headers are written; each points to one
        // written vector, and these to a chunk of `bytes`, a name and a control room of a slot, no two of which overlap and
        // none of which is touched by anybody else before the call returns, for `self` and the arrays are borrowed here.
        // The lengths are those of what they point to; the kernel writes no more. No time-out is pointed to.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr().cast(),
                offered as _,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        self.offered = offered;
        let count = usize::try_from(count).map_err(|_negative| io::Error::last_os_error())?;
        self.busy = match count >= FEW {
            true => BUSY,
            false => self.busy.saturating_sub(1),
        };
        for (slot, header) in self.rooms.iter_mut().zip(&headers).take(count) {
            // SAFETY: `count` is no more than `offered`, and the first `offered` headers are written.
            let header = unsafe { header.assume_init_ref() };
            slot.length = header.msg_len as usize;
            slot.name_length = header.msg_hdr.msg_namelen as usize;
            slot.control_length = header.msg_hdr.msg_controllen as _;
            slot.flags = header.msg_hdr.msg_flags;
        }
        Ok(count)
    }

    /// What the last filling brought at `index`; `None` where the sender has no address.
    pub(crate) fn datagram(&self, index: usize) -> Option<Datagram<'_>> {
        let slot = self.rooms.get(index)?;
        let from = slot.name.address(slot.name_length)?;
        let bytes = self.bytes.chunks_exact(self.each).nth(index)?;
        // SAFETY: `length` is zero, or what the kernel said that it wrote to this chunk when it last wrote to it; without
        // MSG_TRUNC among the flags of the call that is what it wrote, and not what the datagram had.
        let payload = unsafe { bytes.get(..slot.length)?.assume_init_ref() };
        let mut datagram = Datagram {
            payload,
            from,
            segment: payload.len(),
            to: None,
            class: None,
            hops: None,
            truncated: slot.flags & libc::MSG_TRUNC != 0,
        };
        let told = slot.control.bytes().get(..slot.control_length);
        for message in control::messages(told.unwrap_or_default()) {
            match (message.level, message.kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let segment = message.int().and_then(|it| usize::try_from(it).ok());
                    datagram.segment = segment.filter(|it| *it > 0).unwrap_or(payload.len());
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => datagram.to = sent_to_v4(message.data),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => datagram.to = sent_to_v6(message.data),
                (libc::IPPROTO_IP, libc::IP_TOS) | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    datagram.class = message.octet();
                }
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    datagram.hops = message.octet();
                }
                _ => {}
            }
        }
        Some(datagram)
    }
}

/// The last member of `in_pktinfo`: the destination in the packet's header.
fn sent_to_v4(data: &[u8]) -> Option<IpAddr> {
    let octets = *data.get(8..)?.first_chunk::<4>()?;
    Some(Ipv4Addr::from(octets).into())
}

/// The first member of `in6_pktinfo`.
fn sent_to_v6(data: &[u8]) -> Option<IpAddr> {
    Some(Ipv6Addr::from(*data.first_chunk::<16>()?).into())
}

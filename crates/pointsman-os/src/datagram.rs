//! Datagrams in batches: the only place with system calls for UDP.
//!
//! Invariants: nothing is sent twice, and what was not sent is told; what the kernel does not say of a datagram is
//! `None`, not a guess. Scratch memory is the caller's, one for each worker. Absent: flows, mappings, time-outs, and
//! when to give up.

mod failure;
mod offload;
mod sending;
mod sockets;
mod waiting;

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};

pub use self::failure::{Failure, Fault, errors};
pub use self::offload::Offload;
pub(crate) use self::sending::{Batch, Blame};
pub use self::sockets::{
    Options, first_listener, is_unbound, keep_little, listener, mapping_socket,
};
pub use self::waiting::{ready, try_errors};
use crate::imp;
use crate::socket::AsSocket;

/// The most messages of one system call: more of them would hold other sockets up, and save nothing worth telling.
pub(crate) const MOST_MESSAGES: usize = 64;

/// A datagram that came, or several of one sender that the kernel put together.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What was said, without headers; of several, one behind the other.
    pub payload: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// Bytes of each of them, only the last may be shorter; the payload's length where there is one.
    pub segment: usize,
    /// The address that it was sent to, which may be of many hosts (multicast, broadcast). Known where
    /// the socket was asked to tell it.
    pub to: Option<IpAddr>,
    /// The traffic class octet: code point and congestion bits (RFC 2474, RFC 3168). Known where the socket was asked
    /// to tell it.
    pub class: Option<u8>,
    /// How many hops it had left: the TTL or hop limit. Known where the socket was asked to tell it.
    pub hops: Option<u8>,
    /// It was longer than the room for it: its end is lost.
    pub truncated: bool,
}

impl<'a> Datagram<'a> {
    /// Each as it was sent; an empty one too.
    pub fn each(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let payload = self.payload;
        let empty = payload.is_empty().then_some(payload);
        payload.chunks(self.segment.max(1)).chain(empty)
    }
}

/// Room for a batch of datagrams to come in.
#[derive(Debug)]
pub struct Inbox(imp::datagram::Inbox);

impl Inbox {
    /// Room for `messages` (1 to 64) of at most `each` bytes.
    ///
    /// A socket that coalesces needs 65,535 for each, or loses the ends. It costs the pages that datagrams have touched.
    pub fn new(messages: usize, each: usize) -> Self {
        let messages = messages.clamp(1, MOST_MESSAGES);
        Self(imp::datagram::Inbox::new(messages, each.max(1)))
    }

    /// Takes what is there, by one call: of many datagrams the first, see [`Received::is_all`]. Never waits.
    ///
    /// # Errors
    /// `WouldBlock` where there is nothing. Those that a destination's host or a router told of what was sent before
    /// come once each and cost no datagram: [`is_told`] says so.
    pub fn receive(&mut self, socket: &impl AsSocket) -> io::Result<Received<'_>> {
        let count = self.0.fill(socket)?;
        Ok(self.received(count))
    }

    fn received(&self, count: usize) -> Received<'_> {
        Received {
            inbox: &self.0,
            count,
        }
    }
}

/// A batch that came in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    inbox: &'a imp::datagram::Inbox,
    count: usize,
}

impl<'a> Received<'a> {
    /// Whether the socket had no more: what comes from now on is announced anew.
    pub fn is_all(&self) -> bool {
        self.count < self.inbox.offered()
    }

    /// In the order of their coming.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'a>> + use<'a> {
        let inbox = self.inbox;
        (0..self.count).filter_map(|index| inbox.datagram(index))
    }
}

/// A datagram to send, or several of equal size to one destination.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Who gets it.
    pub to: SocketAddr,
    /// The address of this host that it comes from; `None`: the socket's, or what the routing table says.
    pub from: Option<IpAddr>,
    /// The traffic class octet, congestion bits included; `None`: the socket's.
    pub class: Option<u8>,
    /// How many hops it may go, at least one; `None`: the socket's.
    pub hops: Option<u8>,
    /// It is several datagrams of so many bytes each, only the last may be shorter; [`Offload::run`] says how many fit.
    pub segment: Option<u16>,
    /// What is sent, one part behind the other; at most 1024 of them.
    pub parts: &'a [IoSlice<'a>],
}

/// A place within a batch to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// So many messages lie before it.
    pub message: usize,
    /// So many datagrams of this message lie before it.
    pub segment: usize,
}

impl Place {
    /// Behind the message that it lies in.
    pub fn skip(self) -> Self {
        Self {
            message: self.message + 1,
            segment: 0,
        }
    }
}

/// How far a batch came.
#[derive(Debug)]
pub struct Sent {
    /// All before it was sent, once; nothing behind it was.
    pub until: Place,
    /// Why it came no further; `None` where all was sent.
    pub stopped: Option<Stop>,
}

/// Why a batch came no further.
#[derive(Debug)]
pub enum Stop {
    /// The socket takes nothing now.
    Full,
    /// The datagram at [`Sent::until`] was refused; those behind it were not tried. Also where the link's queue is full
    /// (`ENOBUFS`): sent again, some of its segments could go twice.
    Refused(io::Error),
}

/// Room for a batch on its way out.
#[derive(Debug)]
pub struct Outbox(imp::datagram::Outbox);

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// Some 10 KiB.
    pub fn new() -> Self {
        Self(imp::datagram::Outbox::new())
    }

    /// Sends `messages` from a place on, in their order. Never waits.
    ///
    /// Datagrams of a message with a segment go by one call where `offload` allows it; where the kernel or a device
    /// refuses that, they go one by one, and `offload` learns.
    ///
    /// What a destination's host or a router told of earlier datagrams is not taken for a refusal of these.
    pub fn send(
        &mut self,
        socket: &impl AsSocket,
        offload: &Offload,
        messages: &[Outgoing<'_>],
        from: Place,
    ) -> Sent {
        sending::send(offload, messages, from, |batch| {
            self.0.transmit(socket, batch)
        })
    }
}

/// Whether an error of [`Inbox::receive`] is what was told of an earlier datagram, to whomever it went: no datagram was
/// lost by it, and [`errors`] has it where the socket keeps them.
pub fn is_told(error: &io::Error) -> bool {
    let blame = imp::datagram::blame(error);
    matches!(blame, Blame::Told | Blame::Route | Blame::Size)
}

#[cfg(test)]
mod tests;

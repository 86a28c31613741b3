//! QUIC's Initial packets, versions 1 and 2 (RFC 9000, 9001, 9369): the ClientHello within.
//!
//! What protects an Initial is derived from a number that stands in it, so that whoever sees the
//! packet can read it. A hello with post-quantum key shares fills two packets, which may come in any
//! order, in one datagram or in several, among retransmissions.
//! Invariant: holds no more than [`MAX_LOOK`](super::MAX_LOOK) bytes of hello and two keys, whatever
//! comes; a datagram that a server would drop (too short, not opened by its key) changes nothing.
//! Absent: what a server sends, everything after the hello, versions of drafts.

pub(crate) mod keys;
pub(crate) mod packet;
mod pieces;

use self::keys::Keys;
use self::packet::{Header, Packets, Version};
use self::pieces::Pieces;
use super::{Glance, Protocol, tls};
use crate::read::Stop;

/// The least payload of a datagram with an Initial packet; servers drop shorter ones (RFC 9000 §14.1).
pub(crate) const MIN_INITIAL: usize = 1_200;

/// The most packets of a datagram that are opened; clients put three kinds into one.
const MAX_COALESCED: usize = 8;

/// The Initial packets of one flow, from its first datagram on.
#[derive(Debug)]
pub(super) struct Initials {
    /// The version of the first packet, and then of the packets that are opened.
    version: u32,
    /// The keys of the first connection ID, and of the last other one: a client that was sent a
    /// Retry goes on with the keys of the ID which that told (RFC 9001 §5.2), one that was answered
    /// with those of its own first ID.
    keys: [Option<Keys>; 2],
    hello: Pieces,
    /// A packet as it is opened.
    scratch: Vec<u8>,
}

impl Initials {
    /// Begins with a flow's first datagram; `None`: that is no QUIC that a client sends first.
    ///
    /// The datagram is yet to be pushed.
    pub(super) fn begin(datagram: &[u8]) -> Option<Self> {
        let version = Self::is_first(datagram)?;
        Some(Self {
            version,
            keys: [None, None],
            hello: Pieces::default(),
            scratch: Vec::new(),
        })
    }

    /// The version of the first packet of what a client of QUIC may send first: its header tells, nothing is opened.
    pub(super) fn is_first(datagram: &[u8]) -> Option<u32> {
        let first = Packets::new(datagram).next()?;
        let known = Version::of(first.version).is_some();
        let likely = known || (packet::may_be_quic(first.version) && datagram.len() >= MIN_INITIAL);
        likely.then_some(first.version)
    }

    /// Takes a datagram; `Some` once there is no more to learn.
    pub(super) fn push(&mut self, datagram: &[u8]) -> Option<Glance> {
        if Version::of(self.version).is_none() {
            // The server will name the versions that it speaks, and the client begin anew: that is
            // after the flow's first datagrams have gone to it.
            return Some(self.cut());
        }
        if datagram.len() >= MIN_INITIAL {
            for header in Packets::new(datagram).take(MAX_COALESCED) {
                self.read(&header);
            }
        }
        self.hello().or_else(|| {
            let contradicted = self.hello.contradicted();
            contradicted.then(|| self.nameless())
        })
    }

    /// What is known if no more datagrams are looked at: the part of the hello that is there tells.
    pub(super) fn cut(&self) -> Glance {
        let mut glance = self.nameless();
        let read = match self.hello.contradicted() {
            true => Err(Stop::More),
            false => tls::look_at_message(self.hello.prefix(), true, &mut glance),
        };
        match read {
            Ok(()) => glance,
            Err(_) => self.nameless(),
        }
    }

    fn read(&mut self, header: &Header<'_>) {
        let Some(version) = Version::of(header.version) else {
            return;
        };
        let Some(protected) = header.initial else {
            return;
        };
        if !self.open(version, header.destination, protected) {
            return;
        }
        self.version = header.version;
        self.hello.take_frames(&self.scratch);
    }

    /// Opens a packet into `scratch`, by a key at hand or by that of its own connection ID.
    fn open(&mut self, version: Version, id: &[u8], packet: packet::Protected<'_>) -> bool {
        for keys in self.keys.iter().flatten() {
            if keys.open(packet, &mut self.scratch) {
                return true;
            }
        }
        let Some(keys) = Keys::of_client(version, id) else {
            return false;
        };
        if !keys.open(packet, &mut self.scratch) {
            return false;
        }
        let [first, last] = &mut self.keys;
        if first.is_none() {
            *first = Some(keys);
        } else {
            *last = Some(keys);
        }
        true
    }

    /// The glance, if the hello is whole. One that breaks its rules tells nothing but the protocol,
    /// which the opened packet has proved.
    fn hello(&self) -> Option<Glance> {
        if self.hello.contradicted() {
            return None;
        }
        let mut glance = self.nameless();
        match tls::look_at_message(self.hello.prefix(), false, &mut glance) {
            Ok(()) => Some(glance),
            Err(Stop::More) => None,
            Err(Stop::Not(_)) => Some(self.nameless()),
        }
    }

    fn nameless(&self) -> Glance {
        let mut glance = Glance::of(Protocol::Quic);
        glance.quic_version = Some(self.version);
        glance
    }
}

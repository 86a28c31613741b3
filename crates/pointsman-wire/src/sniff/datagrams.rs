//! What the first datagrams of a flow say.
//!
//! Most protocols show in the first; a QUIC hello may need several, so the looks at them share a state.
//! Invariant: the first datagram tells the protocol; those that follow only tell more of it. After
//! [`MAX_DATAGRAMS`] datagrams or [`MAX_HELD`] bytes there is a verdict.
//! Its user is what decides flows over UDP: it holds datagrams back while it asks.

use super::quic::Initials;
use super::{Glance, Protocol, bittorrent, dns, dtls, ntp, stun};
use crate::{Parse, WhyNot};

/// The most datagrams that are ever looked at: a client sends at most two before the first answer,
/// and repeats them once.
pub const MAX_DATAGRAMS: usize = 4;

/// The bytes after which no more datagrams are looked at.
pub const MAX_HELD: usize = 16_384;

/// The first datagrams of a flow, as they come.
///
/// The promises of the crate hold for the datagrams pushed so far: a verdict is final, and
/// [`Parse::NeedMore`] is never said at [`MAX_DATAGRAMS`] datagrams or [`MAX_HELD`] bytes.
///
/// ```
/// use pointsman_wire::{Parse, sniff::FirstDatagrams};
///
/// let mut first = FirstDatagrams::default();
/// assert!(matches!(first.push(b"neither this nor that"), Parse::Not(_)));
/// assert_eq!(first.so_far(), None);
/// ```
#[derive(Debug, Default)]
pub struct FirstDatagrams {
    datagrams: usize,
    bytes: usize,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    Quic(Box<Initials>),
    Told(Box<Glance>),
    Not(WhyNot),
}

impl FirstDatagrams {
    /// Looks at the next datagram that the client sent.
    ///
    /// `Done` tells of all of them, and uses the whole of the last: datagrams are held back and sent
    /// on by the caller, and nothing is taken out of them. After a verdict, more are not looked at.
    pub fn push(&mut self, datagram: &[u8]) -> Parse<Glance> {
        self.datagrams += 1;
        self.bytes = self.bytes.saturating_add(datagram.len());
        let full = self.datagrams >= MAX_DATAGRAMS || self.bytes >= MAX_HELD;
        if matches!(self.state, State::Nothing) {
            self.state = begin(datagram);
        }
        if let State::Quic(initials) = &mut self.state {
            let told = initials.push(datagram);
            let told = told.or_else(|| full.then(|| initials.cut()));
            if let Some(glance) = told {
                self.state = State::Told(Box::new(glance));
            }
        }
        match &self.state {
            State::Nothing | State::Quic(_) => Parse::NeedMore,
            State::Told(glance) => Parse::Done(Glance::clone(glance), datagram.len()),
            State::Not(why) => Parse::Not(*why),
        }
    }

    /// What is known if no more datagrams come, or there is no time for them; `None`: nothing.
    pub fn so_far(&self) -> Option<Glance> {
        match &self.state {
            State::Nothing | State::Not(_) => None,
            State::Quic(initials) => Some(initials.cut()),
            State::Told(glance) => Some(Glance::clone(glance)),
        }
    }
}

/// A protocol that a first datagram tells by itself, and whether it does.
type Sniffer = (Protocol, fn(&[u8]) -> bool);

/// In the order in which they are asked. No datagram is told by two of them but for NTP, whose
/// questions have the least to be known by.
const SNIFFERS: [Sniffer; 5] = [
    (Protocol::Stun, stun::datagram),
    (Protocol::Dtls, dtls::datagram),
    (Protocol::Bittorrent, bittorrent::datagram),
    (Protocol::Dns, dns::datagram),
    (Protocol::Ntp, ntp::datagram),
];

/// What a first datagram begins.
fn begin(datagram: &[u8]) -> State {
    if let Some(initials) = Initials::begin(datagram) {
        return State::Quic(Box::new(initials));
    }
    match SNIFFERS.iter().find(|(_, tells)| tells(datagram)) {
        Some((protocol, _)) => State::Told(Box::new(Glance::of(*protocol))),
        None => State::Not(WhyNot::AnotherProtocol),
    }
}

/// What a flow's first datagram is by its header: nothing of it is opened, and nothing kept; `None`: nothing that is known.
///
/// The same that [`FirstDatagrams`] says of the protocol, for whoever asks for nothing else.
///
/// ```
/// use pointsman_wire::sniff::{Protocol, header_of};
///
/// let question = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";
/// assert_eq!(header_of(question), Some(Protocol::Dns));
/// assert_eq!(header_of(b"neither this nor that"), None);
/// ```
pub fn header_of(datagram: &[u8]) -> Option<Protocol> {
    if Initials::is_first(datagram).is_some() {
        return Some(Protocol::Quic);
    }
    let told = SNIFFERS.iter().find(|(_, tells)| tells(datagram));
    told.map(|(protocol, _)| *protocol)
}

/// The protocols that would each tell a first datagram, for the checks.
pub(crate) fn claims(datagram: &[u8]) -> Vec<Protocol> {
    let quic = Initials::begin(datagram).map(|_| Protocol::Quic);
    let others = SNIFFERS.iter().filter(|(_, tells)| tells(datagram));
    quic.into_iter()
        .chain(others.map(|(protocol, _)| *protocol))
        .collect()
}

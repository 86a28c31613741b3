//! A flow of the table: in which state it is, and when it ends by itself.

use std::net::SocketAddr;

use super::{Client, Seconds};

/// One client's datagrams to one place.
#[derive(Debug)]
pub(in crate::datagram) struct Flow<F> {
    pub(in crate::datagram) kept: F,
    pub(super) client: Client,
    pub(super) place: Box<[u8]>,
    pub(super) state: State,
    /// When a datagram last went either way.
    pub(super) last: Seconds,
    /// For how long none may.
    pub(super) idle: Seconds,
    /// When it is looked at next.
    pub(super) due: Seconds,
    pub(super) answer: Answer,
    /// Whether another flow of its mapping goes, or went, to the same place.
    pub(super) shares: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is decided on, or its way out is opened.
    Waiting,
    /// By the mapping at that place.
    Carried { mapping: u32, to: SocketAddr },
    /// Its datagrams go nowhere, until it is forgotten.
    Refused,
}

/// What came back to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing so far.
    Awaited,
    /// Something.
    Came,
    /// Something, and its client said more afterwards: whoever forges an address hears no answer.
    Followed,
    /// Nothing, and nobody waits for it.
    Never,
}

impl<F> Flow<F> {
    /// The place, as the client's datagrams spell it.
    pub(in crate::datagram) fn spelled(&self) -> &[u8] {
        &self.place
    }

    pub(in crate::datagram) fn client(&self) -> Client {
        self.client
    }

    /// The mapping that carries it, and where it goes from there.
    pub(in crate::datagram) fn way(&self) -> Option<(u32, SocketAddr)> {
        match self.state {
            State::Carried { mapping, to } => Some((mapping, to)),
            State::Refused | State::Waiting => None,
        }
    }

    /// When it ends where nothing more comes. The last datagram may have come at the end of its second: who was promised a
    /// time has it. A cool-down is nobody's, and may be shorter.
    pub(super) fn end(&self) -> Seconds {
        let cut_off = Seconds::from(self.state != State::Refused);
        self.last + self.idle + cut_off
    }

    /// When a datagram last went either way.
    pub(in crate::datagram) fn last(&self) -> Seconds {
        self.last
    }

    /// Whether anything came back.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.answer, Answer::Came | Answer::Followed)
    }

    /// Whether its client said more after something came back.
    pub(in crate::datagram) fn is_followed(&self) -> bool {
        self.answer == Answer::Followed
    }

    /// Whether it waits.
    pub(in crate::datagram) fn waits(&self) -> bool {
        self.state == State::Waiting
    }
}

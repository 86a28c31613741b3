//! Memory for the batch that a worker has in hand: one for each worker, whatever it serves.
//!
//! Invariant: nothing in it is anybody's between two turns.

use std::cell::Cell;
use std::cmp::Ordering;
use std::io::{self, IoSlice};
use std::ops::Range;

use pointsman_os::datagram::{Inbox, Offload, Outbox, Outgoing, Place, Stop};
use tokio::net::UdpSocket;

use super::entries::FlowId;
use super::marks::Marks;

/// Datagrams that are taken by one call. More would let others wait longer, and few sockets have so many.
const BATCH: usize = 32;
/// The longest message: datagrams that the kernel put together.
const EACH: usize = 65_535;

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// A datagram of the batch in hand.
#[derive(Clone, Debug)]
pub(super) struct Move<'a> {
    /// The flow that it belongs to.
    pub(super) flow: Option<FlowId>,
    /// What goes before it, where the flow does not say: a part of [`Batch::heads`].
    pub(super) head: Range<usize>,
    pub(super) payload: &'a [u8],
    pub(super) marks: Marks,
}

/// What became of messages.
#[derive(Debug)]
pub(crate) enum Fate {
    /// These datagrams of that message went.
    Sent(usize, Range<usize>),
    /// A datagram of that message was not taken, and why; those behind it in the message are dropped with it.
    Refused(usize, io::Error),
}

/// Memory for one batch.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) inbox: Inbox,
    pub(crate) batch: Batch,
}

/// Memory for what goes out.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    outbox: Outbox,
    moves: Vec<Move<'static>>,
    slices: Vec<IoSlice<'static>>,
    messages: Vec<Outgoing<'static>>,
    /// Headers that stand nowhere else.
    pub(super) heads: Vec<u8>,
}

impl Scratch {
    /// That of this worker; another one where it is in use.
    pub(crate) fn take() -> Box<Self> {
        let kept = SCRATCH.try_with(Cell::take).ok().flatten();
        kept.unwrap_or_else(|| {
            Box::new(Self {
                inbox: Inbox::new(BATCH, EACH),
                batch: Batch::default(),
            })
        })
    }

    /// For the next turn.
    pub(crate) fn give_back(self: Box<Self>) {
        // Where the thread ends there is no next one.
        let _ending = SCRATCH.try_with(|scratch| scratch.set(Some(self)));
    }
}

impl Batch {
    /// Room for a batch, as large as the largest before: no allocation.
    pub(crate) fn lists<'a>(&mut self) -> (Vec<IoSlice<'a>>, Vec<Outgoing<'a>>) {
        let slices = std::mem::take(&mut self.slices);
        let messages = std::mem::take(&mut self.messages);
        (emptied(slices), emptied(messages))
    }

    /// The same for what is to be sorted.
    pub(super) fn moves<'a>(&mut self) -> Vec<Move<'a>> {
        emptied(std::mem::take(&mut self.moves))
    }

    pub(super) fn keep_moves(&mut self, moves: Vec<Move<'_>>) {
        self.moves = emptied(moves);
    }

    /// Sends all messages that the system takes now; `hears` what became of them. Two parts of a message are a datagram.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        offload: &Offload,
        messages: &[Outgoing<'_>],
        mut hears: impl FnMut(Fate),
    ) {
        let mut at = Place::default();
        while at.message < messages.len() {
            let sent = self.outbox.send(socket, offload, messages, at);
            let until = sent.until;
            for (message, outgoing) in messages.iter().enumerate().skip(at.message) {
                let from = if message == at.message { at.segment } else { 0 };
                let to = match message.cmp(&until.message) {
                    Ordering::Less => outgoing.parts.len() / 2,
                    Ordering::Equal => until.segment,
                    Ordering::Greater => break,
                };
                if from < to {
                    hears(Fate::Sent(message, from..to));
                }
            }
            at = until;
            match sent.stopped {
                None | Some(Stop::Full) => return,
                Some(Stop::Refused(error)) => {
                    hears(Fate::Refused(at.message, error));
                    at = at.skip();
                }
            }
        }
    }

    pub(crate) fn keep_messages(&mut self, messages: Vec<Outgoing<'_>>) {
        self.messages = emptied(messages);
    }

    pub(crate) fn keep_slices(&mut self, slices: Vec<IoSlice<'_>>) {
        self.slices = emptied(slices);
    }
}

/// The same memory for entries of the same shape: of an empty list the library keeps it.
fn emptied<A, B>(mut list: Vec<A>) -> Vec<B> {
    list.clear();
    list.into_iter()
        .map(|_| unreachable!("it is empty"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_memory() {
        let list: Vec<IoSlice<'_>> = (0..100).map(|_| IoSlice::new(b"x")).collect();
        let (at, capacity) = (list.as_ptr().addr(), list.capacity());
        let again: Vec<IoSlice<'static>> = emptied(list);
        assert_eq!((again.as_ptr().addr(), again.capacity()), (at, capacity));
    }
}

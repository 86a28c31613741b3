//! The order in which a batch is sent, whatever the system call.
//!
//! Invariants: a place moves only behind what the system took; what was refused is tried again only where the refusal
//! says that nothing of it went. Pure but for the call that it is given.

use std::io::{self, IoSlice};
use std::ops::Range;

use super::offload::{self, Offload};
use super::{MOST_MESSAGES, Outgoing, Place, Sent, Stop};

/// What one message of the system call sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    /// Where it goes, and how.
    pub(crate) message: &'a Outgoing<'a>,
    /// What of it.
    pub(crate) parts: &'a [IoSlice<'a>],
    /// The kernel is to cut it.
    pub(crate) segment: Option<u16>,
}

/// What an error of sending says.
#[allow(
    dead_code,
    reason = "a system that we were not taught tells fewer of them apart"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The socket takes nothing now.
    Full,
    /// The call was interrupted before it did anything.
    Interrupted,
    /// Anything that was asked for; some kernels say it of segments that are too long for the path.
    Wish,
    /// This device takes no segments.
    Segments,
    /// Too long for the path: this datagram, or an earlier one.
    Size,
    /// There is no way for this datagram, or was none for an earlier one.
    Route,
    /// Only ever told of an earlier datagram.
    Told,
    /// Anything else.
    Other,
}

/// What one system call sends.
#[derive(Debug)]
pub(crate) enum Batch<'a> {
    /// Messages as they are.
    Whole(&'a [Outgoing<'a>]),
    /// Datagrams of one message, one by one.
    Cut(Cut<'a>),
}

#[derive(Debug)]
pub(crate) struct Cut<'a> {
    message: &'a Outgoing<'a>,
    slices: Vec<IoSlice<'a>>,
    /// Which slices are of which datagram.
    datagrams: Vec<Range<usize>>,
    /// Whether the last of them is the message's last.
    ends: bool,
}

/// So many datagrams of others may have failed just before one of ours.
const MOST_TOLD: usize = 8;

/// Sends `messages` from a place on by `transmit`, which says how many pieces of its batch went, in their order; it fails
/// where the first of them did not.
pub(super) fn send(
    offload: &Offload,
    messages: &[Outgoing<'_>],
    from: Place,
    mut transmit: impl FnMut(&Batch<'_>) -> io::Result<usize>,
) -> Sent {
    let mut at = from;
    // The message which goes one by one though segments are allowed; the segment that may be to blame, and whether its
    // size may be.
    let mut alone = None;
    let mut suspect: Option<(u16, bool)> = None;
    let mut told = 0;
    while at.message < messages.len() {
        let batch = Batch::next(offload, messages, at, alone);
        if batch.len() == 0 {
            at = at.skip();
            continue;
        }
        let error = match transmit(&batch) {
            Ok(0) => return stopped(at, Stop::Full),
            Ok(count) => {
                at = batch.behind(count, at);
                told = 0;
                if let Some((segment, perhaps_too_large)) = suspect.take() {
                    offload.learn(segment, perhaps_too_large);
                }
                continue;
            }
            Err(error) => error,
        };
        let blame = crate::imp::datagram::blame(&error);
        let most_told = match blame {
            Blame::Told => MOST_TOLD,
            // Told of an earlier one it does not come twice; said of this one it does.
            Blame::Size | Blame::Route => 1,
            _ => 0,
        };
        match (blame, batch.piece(0).segment) {
            (Blame::Full, _) => return stopped(at, Stop::Full),
            (Blame::Interrupted, _) => {}
            _ if told < most_told => told += 1,
            (Blame::Wish, Some(segment)) => {
                (alone, suspect) = (Some(at.message), Some((segment, true)));
            }
            (Blame::Segments, Some(segment)) => {
                (alone, suspect) = (Some(at.message), Some((segment, false)));
            }
            // It does not fit the path to one destination: the device is not to blame.
            (Blame::Size, Some(_)) => alone = Some(at.message),
            _ => return stopped(at, Stop::Refused(error)),
        }
    }
    Sent {
        until: at,
        stopped: None,
    }
}

fn stopped(until: Place, why: Stop) -> Sent {
    Sent {
        until,
        stopped: Some(why),
    }
}

impl<'a> Batch<'a> {
    /// What goes next: as many whole messages as there are, or what is left of one that goes one by one.
    fn next(
        offload: &Offload,
        messages: &'a [Outgoing<'a>],
        at: Place,
        alone: Option<usize>,
    ) -> Self {
        let goes_whole = |(index, message): &(usize, &Outgoing<'_>)| match segment_of(message) {
            None => true,
            Some((segment, total)) => {
                Some(*index) != alone
                    && offload.allows(segment)
                    && offload::is_legal(message.to.ip(), segment, total)
            }
        };
        let waiting = messages.iter().enumerate().skip(at.message);
        let count = if at.segment > 0 {
            0
        } else {
            waiting.take(MOST_MESSAGES).take_while(goes_whole).count()
        };
        if count > 0 {
            return Self::Whole(&messages[at.message..at.message + count]);
        }
        Self::Cut(Cut::new(&messages[at.message], at.segment))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Whole(messages) => messages.len(),
            Self::Cut(cut) => cut.datagrams.len(),
        }
    }

    /// One of them; the index is below [`Self::len`].
    pub(crate) fn piece(&self, index: usize) -> Piece<'_> {
        match self {
            Self::Whole(messages) => Piece {
                message: &messages[index],
                parts: messages[index].parts,
                segment: segment_of(&messages[index]).map(|(segment, _)| segment),
            },
            Self::Cut(cut) => Piece {
                message: cut.message,
                parts: &cut.slices[cut.datagrams[index].clone()],
                segment: None,
            },
        }
    }

    /// The place behind the first `count` of them.
    fn behind(&self, count: usize, at: Place) -> Place {
        let count = count.min(self.len());
        match self {
            Self::Whole(_) => Place {
                message: at.message + count,
                segment: 0,
            },
            Self::Cut(cut) if cut.ends && count == self.len() => at.skip(),
            Self::Cut(_) => Place {
                segment: at.segment + count,
                ..at
            },
        }
    }
}

impl<'a> Cut<'a> {
    /// The datagrams of a message from the one with number `first` on, at most as many as one call takes.
    fn new(message: &'a Outgoing<'a>, first: usize) -> Self {
        let mut cut = Self {
            message,
            slices: Vec::new(),
            datagrams: Vec::new(),
            ends: true,
        };
        let (segment, total) = segment_of(message).map_or_else(
            || (usize::MAX, 0),
            |(segment, total)| (segment.into(), total),
        );
        let mut from = first.saturating_mul(segment);
        while from < total {
            if cut.datagrams.len() == MOST_MESSAGES {
                cut.ends = false;
                break;
            }
            let until = total.min(from + segment);
            cut.push(from..until);
            from = until;
        }
        cut
    }

    fn push(&mut self, bytes: Range<usize>) {
        let begin = self.slices.len();
        let mut before = 0;
        for part in self.message.parts {
            let within = |at: usize| at.clamp(before, before + part.len()) - before;
            let range = within(bytes.start)..within(bytes.end);
            if !range.is_empty() {
                self.slices.push(IoSlice::new(&part[range]));
            }
            before += part.len();
        }
        self.datagrams.push(begin..self.slices.len());
    }
}

/// The segment of a message that is more than one datagram, and its length. A segment which is as long as the message is
/// none: some devices fail on it.
fn segment_of(message: &Outgoing<'_>) -> Option<(u16, usize)> {
    let segment = message.segment.filter(|segment| *segment > 0)?;
    let total = message.parts.iter().map(|part| part.len()).sum();
    (usize::from(segment) < total).then_some((segment, total))
}

//! Reading exactly one message off a stream.
//!
//! Invariant: the message's bytes are consumed and no more; what follows it is put back. The buffer
//! never exceeds what the parser can want.

use std::cell::Cell;
use std::io;

use pointsman_wire::{Parse, WhyNot, http};

use crate::stream::Stream;

/// Why there is no message.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stream ended first.
    Ended,
    /// The stream broke.
    Io(io::Error),
    /// The bytes are something else, and how they begin.
    Not(WhyNot, Vec<u8>),
}

/// Reads until `parse` has a message, of at most `max` bytes.
///
/// Not cancel-safe: a caller that gives up gives the stream up too.
pub(crate) async fn read<T>(
    stream: &mut Stream,
    max: usize,
    parse: impl Fn(&[u8]) -> Parse<T>,
) -> Result<T, Broken> {
    read_when(stream, max, parse, |_, _| true).await
}

/// As [`read`] for the head of an HTTP message.
pub(crate) async fn read_head<T>(
    stream: &mut Stream,
    parse: impl Fn(&[u8]) -> Parse<T>,
) -> Result<T, Broken> {
    read_when(stream, http::MAX_HEAD, parse, worth_a_look).await
}

/// Whether a head of which the bytes from `new` on have just come may be told by now.
///
/// Long heads are looked at again only when a line more has come, and there is a limit to their lines: whoever
/// drips bytes would have us read all of the head again for each.
pub(crate) fn worth_a_look(seen: &[u8], new: usize) -> bool {
    const SHORT: usize = 512;
    let more = seen.get(new..).unwrap_or_default();
    seen.len() <= SHORT || seen.len() >= http::MAX_HEAD || more.contains(&b'\n')
}

/// Why bytes are no head, with the limits where they are too many.
pub(crate) fn why_no_head(why: WhyNot) -> String {
    match why {
        WhyNot::TooLong => format!(
            "its head is longer than {} KiB or has more than {} fields",
            http::MAX_HEAD / 1024,
            http::MAX_HEADERS
        ),
        why => why.to_string(),
    }
}

/// Room to read a message into: what the conversation before gave back, where it did.
pub(crate) fn room() -> Vec<u8> {
    SPARE.try_with(Cell::take).unwrap_or_default()
}

/// Keeps room for the next conversation of this thread, where it is of the usual size: one, for as long as nobody
/// begins.
pub(crate) fn give_back(mut room: Vec<u8>) {
    if (1..=STEP).contains(&room.capacity()) {
        room.clear();
        // Where the thread ends there is no next one.
        let _ending = SPARE.try_with(|spare| spare.set(room));
    }
}

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

async fn read_when<T>(
    stream: &mut Stream,
    max: usize,
    parse: impl Fn(&[u8]) -> Parse<T>,
    worth: impl Fn(&[u8], usize) -> bool,
) -> Result<T, Broken> {
    let mut seen = Vec::new();
    loop {
        let before = seen.len();
        let room = (max - seen.len().min(max)).clamp(1, STEP);
        match stream.read_some(&mut seen, room).await {
            Ok(0) => return Err(Broken::Ended),
            Ok(_) => {}
            Err(error) => return Err(Broken::Io(error)),
        }
        if !worth(&seen, before) {
            continue;
        }
        match parse(&seen) {
            Parse::Done(message, used) => {
                // What is left, or else the buffer alone: the next message is read into it.
                seen.drain(..used);
                stream.unread(seen);
                return Ok(message);
            }
            // The parsers promise never to say so at `max`; this is the belt to those braces.
            Parse::NeedMore if seen.len() >= max => {
                return Err(Broken::Not(WhyNot::TooLong, first(&seen)));
            }
            Parse::NeedMore => {}
            Parse::Not(why) => return Err(Broken::Not(why, first(&seen))),
        }
    }
}

/// Enough of them to tell what they look like.
fn first(seen: &[u8]) -> Vec<u8> {
    seen.iter().take(16).copied().collect()
}

/// Enough for any SOCKS message and most heads at once.
pub(crate) const STEP: usize = 2048;

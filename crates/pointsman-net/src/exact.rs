//! Reading exactly one message off a stream.
//!
//! Invariant: the message's bytes are consumed and no more; what follows it is put back. The buffer
//! never exceeds what the parser can want.

use std::io;

use pointsman_wire::{Parse, WhyNot};

use crate::stream::Stream;

/// Why there is no message.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stream ended first.
    Ended,
    /// The stream broke.
    Io(io::Error),
    /// The bytes are something else.
    Not(WhyNot),
}

/// Reads until `parse` has a message, of at most `max` bytes.
///
/// Not cancel-safe: a caller that gives up gives the stream up too.
pub(crate) async fn read<T>(
    stream: &mut Stream,
    max: usize,
    parse: impl Fn(&[u8]) -> Parse<T>,
) -> Result<T, Broken> {
    let (message, _raw) = read_raw(stream, max, parse).await?;
    Ok(message)
}

/// As [`read`], with the message's bytes.
pub(crate) async fn read_raw<T>(
    stream: &mut Stream,
    max: usize,
    parse: impl Fn(&[u8]) -> Parse<T>,
) -> Result<(T, Vec<u8>), Broken> {
    let mut seen = Vec::new();
    loop {
        // Enough for any SOCKS message and most heads at once.
        let room = (max - seen.len().min(max)).clamp(1, STEP);
        match stream.read_some(&mut seen, room).await {
            Ok(0) => return Err(Broken::Ended),
            Ok(_) => {}
            Err(error) => return Err(Broken::Io(error)),
        }
        match parse(&seen) {
            Parse::Done(message, used) => {
                let rest = seen.split_off(used);
                if !rest.is_empty() {
                    stream.unread(rest);
                }
                return Ok((message, seen));
            }
            // The parsers promise never to say so at `max`; this is the belt to those braces.
            Parse::NeedMore if seen.len() >= max => return Err(Broken::Not(WhyNot::TooLong)),
            Parse::NeedMore => {}
            Parse::Not(why) => return Err(Broken::Not(why)),
        }
    }
}

const STEP: usize = 2048;

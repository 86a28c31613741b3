//! PostgreSQL's client (its manual, "Frontend/Backend Protocol", §55.7): what it says first.
//!
//! Invariant: told by a length and a code that fit each other; a startup message also by its parameters.
//! Absent: their values, which name a user and a database; versions before 3.

use crate::WhyNot;
use crate::read::{Reader, Stop};

const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// The longest startup message that servers take.
const MAX_STARTUP: u32 = 10_000;
/// Length, code, process and key; keys have up to 256 bytes since version 3.2.
const CANCELS: std::ops::RangeInclusive<u32> = 16..=12 + 256;
/// The longest name of a parameter that is still taken for one.
const MAX_PARAMETER: usize = 63;

pub(super) fn stream(bytes: &[u8]) -> Result<usize, Stop> {
    let not = Stop::Not(WhyNot::AnotherProtocol);
    let mut reader = Reader::new(bytes);
    let length = reader.array().map(u32::from_be_bytes)?;
    if !(8..=MAX_STARTUP).contains(&length) {
        return Err(not);
    }
    let code = reader.array().map(u32::from_be_bytes)?;
    let fits = match code {
        TLS | GSS => length == 8,
        CANCEL => CANCELS.contains(&length),
        _ => code >> 16 == 3 && length > 9,
    };
    if !fits {
        return Err(not);
    }
    if code >> 16 == 3 {
        let name = reader.until_nul(MAX_PARAMETER)?;
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(not);
        }
    }
    Ok(bytes.len() - reader.rest().len())
}

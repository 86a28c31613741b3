//! Durations: the native spelling with one unit, and Go's with several.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// Go's grammar is not met.
    #[error("`{0}` is no duration; write it as `100ms`, `30s` or `1m30s`")]
    Go(String),
    /// The native grammar is not met.
    #[error(
        "`{0}` is no duration; write a whole number and `ms`, `s`, `m`, `h` or `d`, as in `30s`"
    )]
    Native(String),
    /// More than some 290 years.
    #[error("`{0}` is too long a time")]
    TooLong(String),
}

/// Parses `100ms`, `30s`, `5m`, `1h`, `1d`: one whole number, one unit.
///
/// # Errors
/// [`BadDuration`] for all else.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(BadDuration::Native(text.to_owned())),
    };
    if number.is_empty() {
        return Err(BadDuration::Native(text.to_owned()));
    }
    let total = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(milliseconds))
        .filter(|total| *total <= i64::MAX as u64 / 1_000_000);
    total
        .map(Duration::from_millis)
        .ok_or_else(|| BadDuration::TooLong(text.to_owned()))
}

/// Parses what Go's `time.ParseDuration` takes: an optional sign, then decimal numbers with a unit
/// each (`1h15m30.5s`), or a bare `0`. In nanoseconds.
///
/// # Errors
/// [`BadDuration`] for all else.
pub fn parse_go_duration(text: &str) -> Result<i64, BadDuration> {
    let bad = || BadDuration::Go(text.to_owned());
    let long = || BadDuration::TooLong(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(bad());
        }
        let length = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(bad()),
        };
        total += number(whole).ok_or_else(long)?.saturating_mul(unit);
        // More digits than a nanosecond has in an hour say nothing.
        let fraction = &fraction[..fraction.len().min(15)];
        let scale = fraction.bytes().fold(1_i128, |scale, _| scale * 10);
        total += number(fraction).ok_or_else(long)? * unit / scale;
        if total > i128::from(i64::MAX) {
            return Err(long());
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_overflow| long())
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// An empty text is 0; `None` for more than 64 bits.
fn number(digits: &str) -> Option<i128> {
    if digits.is_empty() {
        return Some(0);
    }
    digits.parse::<u64>().ok().map(i128::from)
}

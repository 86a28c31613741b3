//! What a parser says of the bytes seen so far, and why a writer may decline.
//!
//! Invariant: `Done` and `Not` are final; a parser that said one says the same of any longer input.

use std::error::Error;
use std::fmt;

/// The verdict of a parser on the bytes received so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parse<T> {
    /// The value, and how many bytes from the start of the input it took (never more than given).
    Done(T, usize),
    /// A prefix of something valid: ask again when there are more bytes.
    NeedMore,
    /// No continuation can make this valid.
    Not(WhyNot),
}

impl<T> Parse<T> {
    /// Applies `f` to the parsed value, keeping the verdict.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Parse<U> {
        match self {
            Self::Done(value, used) => Parse::Done(f(value), used),
            Self::NeedMore => Parse::NeedMore,
            Self::Not(why) => Parse::Not(why),
        }
    }
}

/// Why bytes are not what the parser reads; `Display` gives words fit for a log or a refusal.
///
/// It never quotes the bytes: they may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// The first bytes belong to something else altogether.
    AnotherProtocol,
    /// The protocol is right and its rules are broken; the text names what.
    Malformed(&'static str),
    /// Longer than the parser's documented maximum.
    TooLong,
    /// Well-formed, but a feature that is not spoken here; the text names it.
    Unsupported(&'static str),
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherProtocol => f.write_str("not the expected protocol"),
            Self::Malformed(what) => write!(f, "malformed: {what}"),
            Self::TooLong => f.write_str("too long"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
        }
    }
}

impl Error for WhyNot {}

/// Why a value cannot be written in a protocol's form; the text names what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritable(pub &'static str);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot be written: {}", self.0)
    }
}

impl Error for Unwritable {}

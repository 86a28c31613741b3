//! A response that is kept, ready to be sent to whoever asks the same.
//!
//! Invariant: what is sent is what the server said, but for the header, the question in the client's own spelling, the
//! times to live, and the OPT record, which is ours. Writing it allocates nothing but what `out` lacks.

use super::own::write_opt;
use super::{
    ExtendedError, HEADER, Query, Response, code, flag, parse_response, put, u16_at, u32_at,
};

/// A response that is kept. One allocation: the message, then the places of its times to live, two bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    bytes: Box<[u8]>,
    message_end: u16,
    question_end: u16,
    code: u16,
}

impl Cached {
    /// Keeps a response; its times to live are at most `longest` seconds from now on.
    ///
    /// `None` where it was cut, or repeats no question.
    #[must_use]
    pub fn new(response: &Response<'_>, longest: u32) -> Option<Self> {
        if response.is_truncated() || response.question().is_empty() {
            return None;
        }
        let (message, counts) = response.kept();
        let kept = response.records();
        let places: Vec<u16> = kept
            .map_while(|it| (it.data.end <= message.len()).then(|| it.ttl_at()))
            .filter_map(|at| u16::try_from(at).ok())
            .collect();
        let mut bytes = Vec::with_capacity(message.len() + 2 * places.len());
        bytes.extend_from_slice(message);
        for (count, at) in counts.into_iter().zip([6, 8, 10]) {
            put(&mut bytes, at, &count.to_be_bytes());
        }
        for at in places {
            let at_wide = usize::from(at);
            let ttl = u32_at(&bytes, at_wide).unwrap_or(0);
            let ttl = if ttl >> 31 == 0 { ttl } else { 0 };
            put(&mut bytes, at_wide, &ttl.min(longest).to_be_bytes());
            bytes.extend(at.to_be_bytes());
        }
        Some(Self {
            bytes: bytes.into_boxed_slice(),
            message_end: u16::try_from(message.len()).ok()?,
            question_end: u16::try_from(response.question_end()).ok()?,
            code: response.code(),
        })
    }

    /// The same, so many seconds later.
    #[must_use]
    pub fn older(mut self, seconds: u32) -> Self {
        let (message, places) = self.bytes.split_at_mut(usize::from(self.message_end));
        for place in places.chunks_exact(2) {
            let at = usize::from(u16_at(place, 0).unwrap_or(0));
            let ttl = message.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>);
            if let Some(ttl) = ttl {
                let left = u32::from_be_bytes(*ttl).saturating_sub(seconds);
                *ttl = left.to_be_bytes();
            }
        }
        self
    }

    /// The question as it is kept: name, type, class.
    #[must_use]
    pub fn question(&self) -> &[u8] {
        let end = usize::from(self.question_end);
        self.bytes.get(HEADER..end).unwrap_or(&[])
    }

    /// Keeps the question as it was asked, where the server spelt it otherwise. One of another length is none.
    pub fn spell(&mut self, question: &[u8]) {
        if question.len() == self.question().len() {
            put(&mut self.bytes, HEADER, question);
        }
    }

    /// Makes its times to live no less and no more than so many seconds.
    pub fn limit(&mut self, least: u32, most: u32) {
        let (message, places) = self.bytes.split_at_mut(usize::from(self.message_end));
        for place in places.chunks_exact(2) {
            let at = usize::from(u16_at(place, 0).unwrap_or(0));
            let ttl = u32_at(message, at).unwrap_or(0);
            put(message, at, &ttl.max(least).min(most).to_be_bytes());
        }
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// The response that was kept, as it came but for its times to live; without the OPT record and what stood behind
    /// it.
    #[must_use]
    pub fn response(&self) -> Option<Response<'_>> {
        let message = self.bytes.get(..usize::from(self.message_end))?;
        parse_response(message).ok()
    }

    /// The number of the type that was asked for.
    #[must_use]
    pub fn kind(&self) -> u16 {
        let at = usize::from(self.question_end).saturating_sub(4);
        u16_at(&self.bytes, at).unwrap_or(0)
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Appends to `out` the reply to a query of the same name, type and class, `age` seconds after it was kept, at most
    /// `limit` bytes long: where it does not fit, the question alone, marked as truncated (RFC 2181 §9).
    ///
    /// Returns whether all of it was written.
    pub fn write(
        &self,
        query: &Query<'_>,
        age: u32,
        limit: usize,
        error: Option<&ExtendedError<'_>>,
        out: &mut Vec<u8>,
    ) -> bool {
        self.write_with(query, |ttl| ttl.saturating_sub(age), limit, error, out)
    }

    /// As [`Cached::write`], of a response that holds no longer: each time to live is `ttl` seconds (RFC 8767 §4).
    pub fn write_stale(
        &self,
        query: &Query<'_>,
        ttl: u32,
        limit: usize,
        error: Option<&ExtendedError<'_>>,
        out: &mut Vec<u8>,
    ) -> bool {
        self.write_with(query, |_| ttl, limit, error, out)
    }

    fn write_with(
        &self,
        query: &Query<'_>,
        ttl: impl Fn(u32) -> u32,
        limit: usize,
        error: Option<&ExtendedError<'_>>,
        out: &mut Vec<u8>,
    ) -> bool {
        let begin = out.len();
        let question = query.question();
        let (message, places) = self.bytes.split_at(usize::from(self.message_end));
        let behind = usize::from(self.question_end);
        debug_assert_eq!(behind, HEADER + question.len(), "another question");
        out.extend_from_slice(message.get(..HEADER).unwrap_or(&[]));
        out.extend_from_slice(question);
        out.extend_from_slice(message.get(behind..).unwrap_or(&[]));
        put(out, begin, &query.id().to_be_bytes());
        // A code of more than four bits cannot be said without EDNS.
        let code = match (query.edns(), self.code) {
            (None, 16..) => code::SERV_FAIL,
            (_, code) => code,
        };
        let stored = u16_at(message, 2).unwrap_or(0);
        put(out, begin + 2, &flags(query, stored, code).to_be_bytes());
        for place in places.chunks_exact(2) {
            let at = begin + usize::from(u16_at(place, 0).unwrap_or(0));
            let new = ttl(u32_at(out, at).unwrap_or(0));
            put(out, at, &new.to_be_bytes());
        }
        write_opt(query, code, error, begin, limit, out)
    }
}

/// The flags of a reply: the client's wishes, what the server said of signatures to those who want to know
/// (RFC 6840 §5.8), and never its authority, which is not ours.
fn flags(query: &Query<'_>, stored: u16, code: u16) -> u16 {
    let asked = query.flags();
    let mut flags = flag::RESPONSE | flag::RECURSION_AVAILABLE | (code & flag::CODE);
    flags |= asked & (flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
    if query.dnssec_ok() || asked & flag::AUTHENTIC_DATA != 0 {
        flags |= stored & flag::AUTHENTIC_DATA;
    }
    flags
}

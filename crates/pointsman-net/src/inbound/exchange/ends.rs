//! Bodies on their way: where they end, and what of their bytes goes on.

use pointsman_wire::WhyNot;
use pointsman_wire::http::{BodyLength, ChunkedBody, Chunks, ResponseBody};

/// How a body ends, whichever direction.
#[derive(Debug)]
pub(super) enum Ends {
    Chunked(ChunkedBody),
    Length(u64),
    UntilClose,
}

impl Ends {
    /// Of a request.
    pub(super) fn of_request(body: BodyLength) -> Self {
        match body {
            BodyLength::Chunked => Self::Chunked(ChunkedBody::new(Chunks::Kept)),
            BodyLength::Length(length) => Self::Length(length),
            BodyLength::None => Self::Length(0),
        }
    }

    /// Of an answer.
    pub(super) fn of_answer(body: ResponseBody, chunks: Chunks) -> Self {
        match body {
            ResponseBody::Chunked => Self::Chunked(ChunkedBody::new(chunks)),
            ResponseBody::Length(length) => Self::Length(length),
            ResponseBody::None => Self::Length(0),
            ResponseBody::UntilClose => Self::UntilClose,
        }
    }

    /// How many of `bytes` belong to the body, and whether it ends with them; what goes on is appended to `out`.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, bool), WhyNot> {
        let used = match self {
            Self::Chunked(chunks) => {
                let scan = chunks.feed(bytes, out)?;
                return Ok((scan.used, scan.done));
            }
            Self::Length(left) => {
                let used = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= used as u64;
                used
            }
            Self::UntilClose => bytes.len(),
        };
        out.extend_from_slice(&bytes[..used]);
        Ok((used, matches!(self, Self::Length(0))))
    }
}

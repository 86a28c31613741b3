//! Where a body ends, told while its bytes pass by.

use pointsman_wire::WhyNot;
use pointsman_wire::http::{BodyLength, ChunkedScanner, ResponseBody};

/// How a body ends, whichever direction.
#[derive(Debug)]
pub(super) enum Ends {
    Chunked(ChunkedScanner),
    Length(u64),
    UntilClose,
}

impl From<BodyLength> for Ends {
    fn from(body: BodyLength) -> Self {
        match body {
            BodyLength::Chunked => Self::Chunked(ChunkedScanner::new()),
            BodyLength::Length(length) => Self::Length(length),
            BodyLength::None => Self::Length(0),
        }
    }
}

impl From<ResponseBody> for Ends {
    fn from(body: ResponseBody) -> Self {
        match body {
            ResponseBody::Chunked => Self::Chunked(ChunkedScanner::new()),
            ResponseBody::Length(length) => Self::Length(length),
            ResponseBody::None => Self::Length(0),
            ResponseBody::UntilClose => Self::UntilClose,
        }
    }
}

impl Ends {
    /// How many of `bytes` belong to the body, and whether it ends with them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), WhyNot> {
        match self {
            Self::Chunked(scanner) => scanner.feed(bytes).map(|scan| (scan.used, scan.done)),
            Self::Length(left) => {
                let used = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= used as u64;
                Ok((used, *left == 0))
            }
            Self::UntilClose => Ok((bytes.len(), false)),
        }
    }
}

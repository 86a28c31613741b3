//! Two families, two look-ups: how long one waits for the other (RFC 8305, section 3).
//!
//! Invariant: a family with addresses that can be reached waits a little for the other; one with none, or with those
//! that this host has no route to, waits to the end.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::lookup::Answer;

/// "Resolution Delay" of RFC 8305, section 8.
pub(super) const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// A lost datagram of the other family is sent again within that time.
const NO_NAME_DELAY: Duration = Duration::from_secs(1);

/// One of two families.
pub(super) enum Half {
    Told(Answer),
    Asking(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

/// What is known beforehand of a half that is still out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Out {
    /// Another look-up has waited for this very question already.
    pub(super) late: bool,
    /// Nobody said anything of this family for a whole budget.
    pub(super) silent: bool,
}

impl Out {
    /// How long it is waited for when the other half is told; `None`: to the end.
    fn worth(self, told: &Answer, reachable: impl Fn(IpAddr) -> bool) -> Option<Duration> {
        match told {
            Answer::Records { records, .. } => {
                let mut addresses = records.iter().map(|record| record.data.address());
                match self.late {
                    _ if !addresses.any(reachable) => None,
                    true => Some(Duration::ZERO),
                    false => Some(RESOLUTION_DELAY),
                }
            }
            // In no family: but there are servers that say so of the one that they lack.
            Answer::NoName { .. } if self.silent => Some(RESOLUTION_DELAY),
            Answer::NoName { .. } => Some(NO_NAME_DELAY),
            Answer::NoData { .. } | Answer::Failed(_) => None,
        }
    }
}

/// Asks for both at once. Addresses that are not `reachable` are not worth going on with; what is not waited for is
/// given back as it is.
pub(super) async fn both(
    mut halves: [Half; 2],
    out: [Out; 2],
    reachable: impl Fn(IpAddr) -> bool,
) -> [Half; 2] {
    let mut wait: Option<Option<Pin<Box<Sleep>>>> = None;
    poll_fn(|cx| {
        for half in &mut halves {
            if let Half::Asking(asking) = half
                && let Poll::Ready(told) = asking.as_mut().poll(cx)
            {
                *half = Half::Told(told);
            }
        }
        let (out, told) = match &halves {
            [Half::Told(_), Half::Told(_)] => return Poll::Ready(()),
            [Half::Told(told), Half::Asking(_)] => (out[1], told),
            [Half::Asking(_), Half::Told(told)] => (out[0], told),
            [Half::Asking(_), Half::Asking(_)] => return Poll::Pending,
        };
        let begin = || {
            out.worth(told, &reachable)
                .map(|worth| Box::pin(sleep(worth)))
        };
        match wait.get_or_insert_with(begin) {
            Some(wait) => wait.as_mut().poll(cx),
            None => Poll::Pending,
        }
    })
    .await;
    halves
}

#[cfg(test)]
mod tests;

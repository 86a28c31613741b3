//! What is lost over UDP that no record tells one by one: how often each limit was reached, and what was dropped.
//!
//! Invariant: a datagram that is carried touches nothing here.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Something that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Flows that were refused because there were `udp.flows`: each of their datagrams.
    Flows,
    /// The same where their client had `udp.flows_by_client`.
    FlowsByClient,
    /// Flows of forwards that were refused because there were as many as descriptors allow: each of their datagrams.
    Descriptors,
    /// Flows of a forward that were refused because as many as may be were not answered: each of their datagrams.
    Unanswered,
    /// Datagrams to a forward from senders that it does not allow.
    NotAllowed,
    /// Datagrams to a forward that had no hop left, as those have that go round.
    Hops,
    /// Associations that were refused because their client had `udp.flows_by_client`, and flows by all of them.
    Associations,
    /// Flows to names by proxies that were refused because there were as many as there may be.
    Names,
    /// Flows that ended for others, and associations that had none.
    GaveWay,
    /// Datagrams that came while their flow was decided, where their client had its share of what waits.
    Held,
    /// Datagrams that the system did not take.
    Unsent,
}

impl Loss {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Flows,
        Self::FlowsByClient,
        Self::Descriptors,
        Self::Unanswered,
        Self::NotAllowed,
        Self::Hops,
        Self::Associations,
        Self::Names,
        Self::GaveWay,
        Self::Held,
        Self::Unsent,
    ];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::FlowsByClient => "flows-by-client",
            Self::Descriptors => "descriptors",
            Self::Unanswered => "unanswered",
            Self::NotAllowed => "not-allowed",
            Self::Hops => "hops",
            Self::Associations => "associations",
            Self::Names => "names",
            Self::GaveWay => "gave-way",
            Self::Held => "held",
            Self::Unsent => "unsent",
        }
    }
}

/// Between two lines that say the same.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// How often each was.
#[derive(Debug, Default)]
pub(super) struct Losses {
    counts: [AtomicU64; Loss::ALL.len()],
    held_told: LastTold,
    hops_told: LastTold,
    not_allowed_told: LastTold,
}

/// When something was told last.
#[derive(Debug, Default)]
struct LastTold(Mutex<Option<Instant>>);

impl Losses {
    /// So many more. What has no record of its own is told once a minute.
    pub(super) fn add(&self, loss: Loss, more: usize) {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        self.counts[loss as usize].fetch_add(more, Ordering::Relaxed);
        if loss == Loss::Held && self.held_told.is_news(Instant::now()) {
            tracing::warn!(
                "more datagrams wait for decisions on their flows than there is room for: those of the clients that have \
                 most are dropped, as `diagnostics` counts"
            );
        }
    }

    /// One more datagram of that sender had no hop left.
    pub(super) fn no_hop(&self, forward: &str, sender: SocketAddr) {
        self.add(Loss::Hops, 1);
        if self.hops_told.is_news(Instant::now()) {
            tracing::warn!(
                "a datagram of {sender} to `{forward}` had no hop left, and was dropped: do two forwards lead to each other? \
                 This is told once a minute, and all are counted by `diagnostics`"
            );
        }
    }

    /// One more datagram of that sender, who may not send to that forward.
    pub(super) fn not_allowed(&self, forward: &str, sender: SocketAddr) {
        self.add(Loss::NotAllowed, 1);
        if self.not_allowed_told.is_news(Instant::now()) {
            tracing::info!(
                "a datagram of {sender} was dropped, whom `{forward}` does not allow; this is told once a minute, and all \
                 are counted by `diagnostics`"
            );
        }
    }

    /// How many so far.
    pub(super) fn count(&self, loss: Loss) -> u64 {
        self.counts[loss as usize].load(Ordering::Relaxed)
    }
}

impl LastTold {
    fn is_news(&self, now: Instant) -> bool {
        let told = self.0.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        let is_news = told.is_none_or(|at| now.saturating_duration_since(at) >= TOLD_AGAIN);
        if is_news {
            *told = Some(now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_and_told_once_a_minute() {
        let losses = Losses::default();
        for loss in Loss::ALL {
            losses.add(loss, 2);
            assert_eq!(losses.count(loss), 2, "{}", loss.as_str());
        }
        let told = LastTold::default();
        let begun = Instant::now();
        let told = |after| told.is_news(begun + Duration::from_secs(after));
        assert_eq!(
            [0, 1, 59, 60, 61, 120].map(told),
            [true, false, false, true, false, true]
        );
    }
}

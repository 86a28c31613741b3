//! What the plane tells of itself: flows, news, tallies of rules; and where it writes that down.

use std::sync::Arc;

use pointsman_spec::address::Uplink;

use super::Plane;
use crate::datagram::Loss;
use crate::ledger::{Decisions, Lack, LiveFlow, Remembered, Tail, TroubleEvent};
use crate::record::FlowRecord;

impl<S> Plane<S> {
    /// Live flows, oldest first.
    #[must_use]
    pub fn flows(&self) -> Vec<Arc<LiveFlow>> {
        self.shared.flows.live()
    }

    /// The record of a live or recent flow.
    #[must_use]
    pub fn record(&self, id: u64) -> Option<Arc<FlowRecord>> {
        self.shared.flows.record(id)
    }

    /// The last flows that ended, oldest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Arc<FlowRecord>> {
        self.shared.flows.recent()
    }

    /// Flows as they end and what rules say, from now on. A reader that is too slow is told how many it missed.
    #[must_use]
    pub fn tail(&self) -> Tail {
        self.shared.flows.readers().tail()
    }

    /// Flows as they are decided, from now on; see [`Self::tail`].
    #[must_use]
    pub fn decisions(&self) -> Decisions {
        self.shared.flows.readers().decisions()
    }

    /// The next flow that failed or was refused, or message of a rule, for the daemon's log: at most ten a second of one
    /// kind, and how many were left out. Nothing is kept until it is called first; for one caller.
    pub async fn trouble(&self) -> TroubleEvent {
        self.shared.flows.troubles().next().await
    }

    /// How many facts that rules asked for were not found since the start, by kind; those of which none was missed are
    /// left out.
    #[must_use]
    pub fn lacking(&self) -> Vec<(Lack, u64)> {
        let counts = self.shared.flows.lacking();
        let all = Lack::ALL.into_iter().zip(counts);
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// What rules decided, to be kept over a restart: those of the generation in force and of the last ones before.
    /// Flows count when they end.
    #[must_use]
    pub fn remember(&self) -> Vec<Remembered> {
        self.listeners().tallies.remember()
    }

    /// What rules decided before this plane was; called before the first generation.
    pub fn recall(&self, remembered: Vec<Remembered>) {
        self.listeners().tallies.recall(remembered);
    }

    /// Lines that access logs lost since the start, those of forwards too, and those that are given up by now.
    #[must_use]
    pub fn access_log_dropped(&self) -> u64 {
        self.shared.dropped.count()
    }

    /// What was lost over UDP since the start, beyond what records tell.
    pub fn lost(&self) -> impl Iterator<Item = (Loss, u64)> {
        let room = &self.shared.datagrams;
        Loss::ALL.into_iter().map(|loss| (loss, room.lost(loss)))
    }

    /// Uplinks by which flows over UDP left, and whether several datagrams may leave them as one.
    #[must_use]
    pub fn offloads(&self) -> Vec<(Uplink, bool)> {
        self.shared.offloads()
    }

    /// Opens the access logs again, those of forwards too, after they were moved away.
    pub fn reopen_access_log(&self) {
        if let Some(log) = self.shared.flows.log() {
            log.reopen();
        }
        self.shared.logs.reopen();
    }
}

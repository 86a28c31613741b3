//! Who gives way where few descriptors are left: the client with most connections that carry nothing yet, with the half
//! of them that waits longest.
//!
//! Invariant: what carries bytes never gives way, and neither does a client with few such connections: they are not what
//! took the descriptors. Absent: limits that hold while there is plenty; flows over UDP (`datagram/quota.rs`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_os::descriptors;
use pointsman_policy::fact::Network;
use tokio::time::Instant;

use crate::ends::counted;
use crate::ledger::{Flows, LiveFlow};
use crate::seldom::Seldom;

/// Between two looks at all flows: what was ended by the last one is given back by then.
const PAUSE: Duration = Duration::from_millis(100);
/// ... and so many times longer than the last one took.
const REST: u32 = 10;
/// That part of the descriptors of flows is much for connections of one client that carry nothing.
const OF_DESCRIPTORS: usize = 8;
/// ... but fewer than these never are.
const LEAST: usize = 16;

/// When it was looked last for who is to give way.
#[derive(Debug, Default)]
pub(crate) struct Scarcity {
    next: Mutex<Option<Instant>>,
    told: Seldom,
}

impl Scarcity {
    /// Has somebody give way, if it is time to look.
    pub(crate) fn relieve(&self, flows: &Flows) {
        let begun = Instant::now();
        if !self.claim(begun, begun + PAUSE) {
            return;
        }
        let many = descriptors::of_flows().unwrap_or(usize::MAX) / OF_DESCRIPTORS;
        if let Some((client, waiting)) = most(flows.live(), many.max(LEAST)) {
            let ended = waiting.iter().take(waiting.len() / 2);
            let ended = ended.filter(|flow| flow.give_way()).count();
            if ended > 0 && self.told.is_due(begun) {
                tracing::warn!(
                    "few descriptors are left, and {client} has most of the connections that carry nothing yet: {ended} of \
                     its {} end",
                    waiting.len()
                );
            }
        }
        let took = begun.elapsed();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(begun + PAUSE.max(took * REST));
    }

    /// Whether it is time, and the caller the one who looks.
    fn claim(&self, now: Instant, next: Instant) -> bool {
        let mut at = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = at.is_none_or(|at| at <= now);
        if is_due {
            *at = Some(next);
        }
        is_due
    }
}

/// The client with most connections that carry nothing yet, and these, the oldest first; `None` where that is less than
/// `many`.
fn most(live: Vec<Arc<LiveFlow>>, many: usize) -> Option<(IpAddr, Vec<Arc<LiveFlow>>)> {
    let mut clients: HashMap<IpAddr, Vec<Arc<LiveFlow>>> = HashMap::new();
    for flow in live.into_iter().filter(|flow| flow.is_waiting()) {
        let known = flow.known();
        let facts = &known.facts;
        if let (Network::Tcp, Some(source)) = (facts.network, facts.source.known()) {
            // Of no link: those on one share a /64.
            let client = counted(source.ip(), Ipv4Addr::UNSPECIFIED.into());
            clients.entry(client).or_default().push(flow);
        }
    }
    let most = clients.into_iter().max_by_key(|(_, flows)| flows.len());
    most.filter(|(_, flows)| flows.len() >= many)
}

//! What all flows of a plane share.
//!
//! Invariant: what is taken per flow is behind short locks that nobody holds over a wait; nothing
//! here is touched per packet.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use pointsman_os::datagram::Offload;
use pointsman_os::local::is_one_file;
use pointsman_os::socket::is_own_address;
use pointsman_policy::OutboundId;
use pointsman_policy::fact::InboundKind;
use pointsman_policy::local::takes;
use pointsman_spec::address::Uplink;
use pointsman_spec::limits::DatagramLimits;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::correlation::Correlation;
use crate::datagram::quota::FlowQuota;
use crate::datagram::relays::Relays;
use crate::dial::Dialer;
use crate::dns::{Counts, Rates, Streams, Waits};
use crate::doubt::Doubtful;
use crate::generation::Generation;
use crate::guard::Own;
use crate::ledger::Flows;
use crate::login::throttle::LoginThrottle;
use crate::owner::Memory;
use crate::record::log::Dropped;
use crate::relay::PipePool;
use crate::requests::Requests;
use crate::scarcity::Scarcity;
use crate::seldom::Seldom;
use crate::spec::listening::At;
use crate::tasks::Tasks;
use crate::{door, group};

/// What all flows of a plane share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) flows: Arc<Flows>,
    pub(crate) own: Arc<Own>,
    pub(crate) memory: Arc<Memory>,
    /// Flows that may be those of a loop.
    pub(crate) doubtful: Arc<Doubtful>,
    pub(crate) pipes: PipePool,
    /// Flows that wait for somebody's word.
    pub(crate) requests: Arc<Requests>,
    /// Questions to name servers.
    pub(crate) questions: Tasks,
    /// Connections to name servers, which several questions use.
    pub(crate) connections: Tasks,
    /// What became of queries of clients.
    pub(crate) dns: Counts,
    /// A query that nobody could answer is told now and then.
    pub(crate) dns_failures: Seldom,
    /// A client that comes to no handshake is told of now and then.
    pub(crate) dns_handshakes: Seldom,
    /// Those that wait for answers.
    pub(crate) dns_waits: Arc<Waits>,
    /// Connections by which they come.
    pub(crate) dns_streams: Arc<Streams>,
    /// What clients asked of late.
    pub(crate) dns_rates: Rates,
    /// What clients were answered of late: which names they mean by addresses.
    pub(crate) correlation: Correlation,
    /// Who guessed passwords of late.
    pub(crate) throttle: LoginThrottle,
    /// Where associations take datagrams.
    pub(crate) relays: Arc<Relays>,
    /// How many flows over UDP there may be, and how much may wait for decisions on them.
    pub(crate) datagrams: Arc<FlowQuota>,
    /// What each uplink showed that it can send as one.
    offloads: Mutex<Vec<(Uplink, Arc<Offload>)>>,
    /// Flows that may be kept in silence at once: each holds a descriptor for nothing.
    pub(crate) silences: Silences,
    /// Who gives way where few descriptors are left.
    pub(crate) scarcity: Scarcity,
    dialer: Dialer,
    generation: ArcSwapOption<Generation>,
    listening: ArcSwap<Vec<At>>,
    /// Group's name to member's name.
    selections: Mutex<HashMap<Arc<str>, Arc<str>>>,
    pub(crate) groups: group::GroupStates,
    /// Of doors.
    pub(crate) logs: door::Logs,
    /// Set at the beginning of an end: who comes from now on comes too late.
    pub(crate) stopped: AtomicBool,
    /// Lines that access logs lost.
    pub(crate) dropped: Arc<Dropped>,
}

pub(crate) const SILENCES: usize = 1024;

/// Uplinks of which it is kept what they can send.
const UPLINKS: usize = 64;

/// Places for flows that are kept in silence.
#[derive(Debug)]
pub(crate) struct Silences {
    places: Semaphore,
    full: Seldom,
}

impl Default for Silences {
    fn default() -> Self {
        Self {
            places: Semaphore::new(SILENCES),
            full: Seldom::default(),
        }
    }
}

impl Silences {
    /// A place, as long as it is held; `None` where all are taken, which is told now and then.
    pub(crate) fn place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        if self.full.is_due(Instant::now()) {
            tracing::warn!(
                "{SILENCES} flows are kept in silence (`blackhole`), which is the most: others like them are reset"
            );
        }
        None
    }

    /// How many places are left.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.places.available_permits()
    }
}

/// Whether what goes there arrives at what is listened on.
fn leads_to(to: &At, listening: &At) -> bool {
    let both = listening.beside(to).zip(to.address());
    both.is_some_and(|(bound, to)| {
        bound.port() == to.port() && takes(bound.ip(), to.ip(), is_own_address)
    })
}

impl Shared {
    /// `clock` tells milliseconds since 1970 (UTC).
    pub(crate) fn new(dialer: Dialer, clock: fn() -> u64) -> Self {
        Self {
            flows: Arc::new(Flows::new(clock)),
            own: Arc::default(),
            memory: Arc::default(),
            doubtful: Arc::default(),
            pipes: PipePool::default(),
            requests: Arc::default(),
            questions: Tasks::new(),
            connections: Tasks::new(),
            dns: Counts::default(),
            dns_failures: Seldom::default(),
            dns_handshakes: Seldom::default(),
            dns_waits: Arc::default(),
            dns_streams: Arc::default(),
            dns_rates: Rates::default(),
            correlation: Correlation::default(),
            throttle: LoginThrottle::default(),
            relays: Arc::default(),
            datagrams: Arc::default(),
            offloads: Mutex::default(),
            silences: Silences::default(),
            scarcity: Scarcity::default(),
            dialer,
            generation: ArcSwapOption::empty(),
            listening: ArcSwap::default(),
            selections: Mutex::default(),
            groups: group::GroupStates::default(),
            logs: door::Logs::default(),
            stopped: AtomicBool::new(false),
            dropped: Arc::default(),
        }
    }

    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    pub(crate) fn generation(&self) -> Option<Arc<Generation>> {
        self.generation.load_full()
    }

    pub(crate) fn swap(&self, generation: Arc<Generation>) {
        let dns = generation.spec().dns.as_ref();
        if let Some((fakes, _)) = dns.and_then(|dns| dns.fakes()) {
            self.dialer.refuse(fakes.ranges());
        }
        self.generation.store(Some(generation));
    }

    pub(crate) fn listens_at(&self, listening: Vec<At>) {
        self.listening.store(Arc::new(listening));
    }

    /// What is known of how datagrams leave by that uplink, where they may leave as one.
    pub(crate) fn offload(&self, uplink: &Uplink, limits: &DatagramLimits) -> Arc<Offload> {
        if !limits.offload {
            return Arc::new(Offload::off());
        }
        let mut all = self.offloads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = all.iter().find(|(known, _)| known == uplink) {
            return Arc::clone(known);
        }
        let offload = Arc::<Offload>::default();
        // Of more uplinks than any host has, those that come last learn each for itself.
        if all.len() < UPLINKS {
            all.push((uplink.clone(), Arc::clone(&offload)));
        }
        offload
    }

    /// What each uplink showed: whether several datagrams may leave it as one.
    pub(crate) fn offloads(&self) -> Vec<(Uplink, bool)> {
        let all = self.offloads.lock().unwrap_or_else(PoisonError::into_inner);
        let told = all.iter();
        told.map(|(uplink, offload)| (uplink.clone(), offload.is_on()))
            .collect()
    }

    /// Whether a connection to that port of some address of this host might arrive at us: cheap, for each that is made.
    pub(crate) fn might_arrive(&self, port: u16) -> bool {
        let of = |at: &At| at.tcp().is_some_and(|bound| bound.port() == port);
        self.listening.load().iter().any(of)
    }

    /// Whether what goes to an address of TCP or UDP, however it is spelled, arrives at a listener of ours.
    pub(crate) fn arrives_at(&self, to: &At) -> bool {
        self.listening.load().iter().any(|at| leads_to(to, at))
    }

    /// Whether a listener of ours there answers queries.
    pub(crate) fn answers_queries_at(&self, to: &At) -> bool {
        let generation = self.generation.load();
        let all = generation.as_ref().map_or(&[][..], |now| now.listening());
        let mut queries = all.iter().filter(|it| it.kind == InboundKind::Dns);
        queries.any(|it| leads_to(to, &it.at))
    }

    /// Whether a listener of ours is at that path, by whatever way the path leads there.
    pub(crate) fn arrives_at_path(&self, path: &Path) -> bool {
        let hit = |at: &At| match at {
            At::Unix(bound) => bound == path || is_one_file(bound, path),
            At::Fd(_) | At::Tcp(_) | At::Udp(_) => false,
        };
        self.listening.load().iter().any(hit)
    }

    pub(crate) fn select(&self, group: Arc<str>, member: Arc<str>) {
        self.selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(group, member);
    }

    /// Group's name and member's name.
    pub(crate) fn selections(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let selections = self
            .selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let each = selections.iter();
        each.map(|(group, member)| (Arc::clone(group), Arc::clone(member)))
            .collect()
    }

    /// The member that a group gives its flows: the one selected, else the first.
    pub(crate) fn selected(
        &self,
        generation: &Generation,
        group: &str,
        members: &[OutboundId],
    ) -> Option<OutboundId> {
        let selections = self
            .selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let selected = selections.get(group).and_then(|name| {
            let is_it =
                |id: &&OutboundId| generation.outbound(**id).is_some_and(|o| o.name == *name);
            members.iter().find(is_it)
        });
        selected.or_else(|| members.first()).copied()
    }
}

//! The data plane's handle: workers, listeners, and what outlives generations.
//!
//! Invariants: a generation comes into force wholly or not at all (`transaction`): either every listener of it is
//! bound and new flows get it, or nothing has changed. What is in force is said here alone: whoever puts a generation
//! in force leaves here what belongs to it (`S`), and asks for it. A listener whose address did not change keeps its
//! sockets and their queues; flows under way keep the generation that they began with. Stopping waits for no generation
//! that is being prepared.
//! Absent: where generations come from, and the policy's own tests: the daemon's.

mod binding;
mod checks;
mod connection;
mod entrance;
mod in_force;
mod listeners;
mod rooms;
mod telling;
mod transaction;
mod wanted;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pointsman_policy::{Domain, Fact};

pub use self::in_force::InForce;
use self::listeners::{ActiveListener, Listeners};
pub use self::transaction::{Prepared, PreparedRefresh, Retired};
use crate::correlation;
pub use crate::correlation::KnownName;
pub use crate::datagram::Loss;
use crate::dial::Dialer;
pub use crate::dns::{DnsCounts, NameReply, ReplySource};
pub use crate::fake::Fake;
use crate::fake::Fakes;
pub use crate::ledger::{
    Counters, Decisions, FLOW_LOG, Gravity, Lack, LiveFlow, News, Remembered, RuleTally, Tail,
    Tallied, Tally, TargetTrouble, Trouble, TroubleEvent,
};
use crate::relay::Closed;
use crate::requests::Requests;
use crate::shared::Shared;
use crate::spec::listening::At;
use crate::tasks::Tasks;
use crate::workers::Workers;

/// Names of an address that are told at once.
const MOST_NAMES: usize = 1000;

/// How a plane is set up; the same over all generations.
#[derive(Clone, Debug)]
pub struct PlaneSetup {
    /// Threads that carry flows; 0: as many as the machine runs at once.
    pub workers: usize,
    /// Makes all outgoing sockets.
    pub dialer: Dialer,
    /// Milliseconds since 1970 (UTC), for records.
    pub clock: fn() -> u64,
}

/// The data plane, which keeps an `S` with what is in force.
#[derive(Debug)]
pub struct Plane<S = ()> {
    shared: Arc<Shared>,
    /// The generation that flows get is this one: both are swapped together.
    in_force: ArcSwapOption<InForce<S>>,
    workers: Workers,
    /// Connections and their flows.
    tasks: Tasks,
    /// What is gone and not closed yet.
    closing: Tasks,
    listeners: Mutex<Listeners>,
    /// One generation is prepared at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Connections that were closed at once because no descriptor was left: of all listeners there ever were.
    refused: Arc<AtomicU64>,
}

/// Why a generation was not taken into service; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An address cannot be listened on.
    #[error("{kind} `{inbound}` cannot listen on {address}")]
    Bind {
        /// `inbound` or `forward`.
        kind: &'static str,
        /// Its name.
        inbound: Arc<str>,
        /// Its address.
        address: At,
        /// The system's words.
        source: io::Error,
    },
    /// An inbound lacks something that it needs.
    #[error("{kind} `{inbound}` does not get {what}")]
    Lacks {
        /// `inbound` or `forward`.
        kind: &'static str,
        /// Its name.
        inbound: Arc<str>,
        /// What it needs.
        what: String,
        /// The system's words.
        source: io::Error,
    },
    /// The log of all flows cannot be opened.
    #[error("the access log {path} cannot be opened", path = path.display())]
    Log {
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The specification contradicts itself, and how.
    #[error("the configuration cannot be applied: {0}")]
    Spec(String),
    /// The plane is being stopped.
    #[error("the data plane is stopping")]
    Stopping,
}

/// Why a group's member was not selected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// There is no group of that name.
    #[error("there is no group `{0}`")]
    NoGroup(String),
    /// The group has no such member.
    #[error("`{1}` is no member of `{0}`")]
    NoMember(String, String),
}

impl<S> Plane<S> {
    /// Starts the workers. Nothing is listened on until [`Self::commit`].
    ///
    /// # Errors
    /// When the system has no thread or descriptor left.
    pub fn start(setup: PlaneSetup) -> io::Result<Self> {
        let workers = match setup.workers {
            0 => Workers::start_default()?,
            count => Workers::start(count)?,
        };
        let shared = Arc::new(Shared::new(setup.dialer, setup.clock));
        let listeners = Mutex::default();
        workers.spawn_on(0, end_the_quiet(Arc::downgrade(&shared)));
        Ok(Self {
            shared,
            in_force: ArcSwapOption::empty(),
            workers,
            tasks: Tasks::new(),
            closing: Tasks::new(),
            listeners,
            turn: Arc::default(),
            refused: Arc::default(),
        })
    }

    /// Who is asked by the requests of policies, over all generations.
    #[must_use]
    pub fn requests(&self) -> &Arc<Requests> {
        &self.shared.requests
    }

    /// What is in force; `None` before the first [`Self::commit`].
    #[must_use]
    pub fn in_force(&self) -> Option<Arc<InForce<S>>> {
        self.in_force.load_full()
    }

    /// Ends a live flow, and answers with it: its record says how it ended once it has; `None` where there is none of that
    /// number.
    pub fn close(&self, id: u64) -> Option<Arc<LiveFlow>> {
        let flow = self.shared.flows.find(id)?;
        flow.close(Closed::Operator);
        Some(flow)
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            accept_refused: self.refused.load(Ordering::Relaxed),
            ..self.shared.flows.counters()
        }
    }

    /// Which name a client means by an address, as far as the DNS server told it one; `None`: programs of this host.
    pub fn name_of(&self, client: Option<IpAddr>, address: IpAddr) -> Fact<Domain> {
        let (known, now) = (&self.shared.correlation, correlation::now());
        let mut found = correlation::said(client).map(|it| known.find(it, address, false, now));
        found
            .find(|name| *name != Fact::Absent)
            .unwrap_or(Fact::Absent)
    }

    /// The name that a fake address stands for.
    pub fn fake_name(&self, address: IpAddr) -> Option<Domain> {
        self.with_fakes(|fakes| fakes.name(address))
    }

    /// The fake addresses that a name has.
    pub fn fake_addresses(&self, name: &Domain) -> Option<Fake> {
        self.with_fakes(|fakes| fakes.look_up(name))
    }

    fn with_fakes<T>(&self, look: impl FnOnce(&Fakes) -> Option<T>) -> Option<T> {
        let generation = self.shared.generation()?;
        let (fakes, _) = generation.spec().dns.as_ref()?.fakes()?;
        look(fakes)
    }

    /// The names that clients were told for an address: one client, or all.
    pub fn known_names(&self, address: IpAddr, client: Option<IpAddr>) -> Vec<KnownName> {
        let (known, now) = (&self.shared.correlation, correlation::now());
        let Some(client) = client else {
            return known.of(address, None, MOST_NAMES, now);
        };
        let found = correlation::said(Some(client));
        found
            .map(|client| known.of(address, Some(client), MOST_NAMES, now))
            .find(|names| !names.is_empty())
            .unwrap_or_default()
    }

    /// What became of queries of clients since the start.
    #[must_use]
    pub fn dns_counts(&self) -> DnsCounts {
        self.shared.dns.now()
    }

    /// Selects a group's member for flows from now on, also over reloads.
    ///
    /// # Errors
    /// [`SelectError`] where the generation in force knows no such group or member.
    pub fn select(&self, group: &str, member: &str) -> Result<(), SelectError> {
        let no_group = || SelectError::NoGroup(group.to_owned());
        let generation = self.shared.generation().ok_or_else(no_group)?;
        let found = generation.outbound_named(group);
        let members = found.and_then(|(_, outbound)| outbound.kind.selectable());
        let members = members.ok_or_else(no_group)?;
        let mut names = members
            .iter()
            .filter_map(|id| generation.outbound(*id))
            .map(|o| &o.name);
        match names.find(|name| ***name == *member) {
            Some(name) => {
                self.shared.select(group.into(), Arc::clone(name));
                Ok(())
            }
            None => Err(SelectError::NoMember(group.to_owned(), member.to_owned())),
        }
    }

    /// Selections of before, group and member by name, for this generation and those to come; what one does not know
    /// waits for one that does.
    pub fn restore(&self, selections: impl Iterator<Item = (Arc<str>, Arc<str>)>) {
        for (group, member) in selections {
            self.shared.select(group, member);
        }
    }

    /// What is selected, group and member by name, whether or not what is in force knows them.
    #[must_use]
    pub fn selections(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.shared.selections()
    }

    /// Accepts no more, lets flows end for up to `grace`, then ends the rest; `true` when all ended
    /// by themselves.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.close_listeners().await;
        // Flows under way may have to ask yet.
        let ended = self.tasks.stop(grace).await;
        self.end_questions().await;
        ended
    }

    /// Accepts no more and ends all flows.
    pub async fn stop_now(&self) {
        self.close_listeners().await;
        for flow in self.shared.flows.live() {
            flow.close(Closed::Shutdown);
        }
        self.end_questions().await;
        // Long enough for resets to be sent and records to be written.
        self.tasks.stop(Duration::from_millis(500)).await;
    }

    async fn end_questions(&self) {
        self.shared.questions.stop(Duration::ZERO).await;
        // Long enough to tell name servers that nobody asks any more.
        self.shared
            .connections
            .stop(Duration::from_millis(200))
            .await;
    }

    /// Ends the threads. Blocks for some 100 ms; not for a thread that runs a runtime.
    pub fn end(self) {
        self.workers.stop();
    }

    async fn close_listeners(&self) {
        let gone: Vec<ActiveListener> = {
            let mut listeners = self.listeners();
            listeners.stopped = true;
            self.shared.stopped.store(true, Ordering::Relaxed);
            listeners.kept.drain(..).collect()
        };
        self.closing.ask_to_stop();
        transaction::close_all(gone).await;
        self.closing.stop(CLOSED_WITHIN).await;
    }

    /// Nobody waits while they hold it.
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends flows that are quiet for too long, as long as there is a plane. A flow ends up to an eighth of
/// the limit late, half a minute at most.
async fn end_the_quiet(plane: Weak<Shared>) {
    loop {
        let Some(shared) = plane.upgrade() else {
            return;
        };
        let generation = shared.generation();
        if let Some(generation) = &generation {
            generation.look_at_guards();
        }
        let pause = match generation {
            Some(generation) => generation
                .shortest_quiet()
                .map_or(LOOK_AT_MOST, |limit| limit / 8),
            // It is not long until there is one, whose limit may be short.
            None => LOOK_AT_LEAST,
        };
        shared.flows.look();
        drop(shared);
        tokio::time::sleep(pause.clamp(LOOK_AT_LEAST, LOOK_AT_MOST)).await;
    }
}

/// Listeners that were closing when all were to close: as long as each is given.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

const LOOK_AT_LEAST: Duration = Duration::from_millis(50);
const LOOK_AT_MOST: Duration = Duration::from_secs(30);

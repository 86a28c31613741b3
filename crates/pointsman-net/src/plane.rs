//! The data plane's handle: workers, listeners, and what outlives generations.
//!
//! Invariant: a generation comes into force wholly or not at all (`transaction`): either every listener of it is
//! bound and new flows get it, or nothing has changed. A listener whose address did not change keeps
//! its sockets and their queues; flows under way keep the generation that they began with. Stopping waits for no
//! generation that is being prepared.
//! Absent: where generations come from, and the policy's own tests: the daemon's.

mod connection;
mod entrance;
mod listeners;
mod rooms;
mod telling;
mod transaction;
mod wanted;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use pointsman_policy::{OutboundId, Policy};
use pointsman_spec::address::Endpoint;
use pointsman_spec::door::Listen;
use pointsman_spec::outbound::{Carrier, Group, How, Kind, Outbound};
use pointsman_spec::target;

use self::listeners::{Kept, Listeners};
pub use self::telling::OpenedLog;
pub use self::transaction::{Prepared, Retired};
use crate::dial::Dialer;
use crate::generation::Generation;
pub use crate::ledger::{
    Attempt, Counters, Decisions, FLOW_LOG, Gravity, Lack, LiveFlow, News, Remembered, RuleTally,
    Tail, Tallied, Tally, Told, Trouble,
};
use crate::outbound::{Target, Ways};
use crate::relay::Closed;
use crate::requests::Requests;
use crate::shared::Shared;
use crate::spec::listening::{At, Listening};
use crate::spec::{Number, Spec};
use crate::tasks::Tasks;
use crate::workers::Workers;

/// How a plane is set up; the same over all generations.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Threads that carry flows; 0: as many as the machine runs at once.
    pub workers: usize,
    /// Makes all outgoing sockets.
    pub dialer: Dialer,
    /// Milliseconds since 1970 (UTC), for records.
    pub clock: fn() -> u64,
    /// Where flows are logged.
    pub access_log: Option<PathBuf>,
}

/// The data plane.
#[derive(Debug)]
pub struct Plane {
    shared: Arc<Shared>,
    workers: Workers,
    /// Connections and their flows.
    tasks: Tasks,
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

impl Plane {
    /// Starts the workers. Nothing is listened on until [`Self::apply`].
    ///
    /// # Errors
    /// When the system has no thread or descriptor left, or the access log cannot be opened.
    pub fn start(setup: Setup) -> io::Result<Self> {
        let workers = match setup.workers {
            0 => Workers::start_default()?,
            count => Workers::start(count)?,
        };
        let shared = Arc::new(Shared::new(
            setup.dialer,
            setup.clock,
            setup.access_log.as_deref(),
        )?);
        let listeners = Mutex::default();
        workers.spawn_on(0, end_the_quiet(Arc::downgrade(&shared)));
        Ok(Self {
            shared,
            workers,
            tasks: Tasks::new(),
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

    /// Takes policies with refreshed rule sets into service for new flows, as generation `number`; nothing else
    /// changes. The policies are those in force, in their order, but for what their sets hold.
    ///
    /// # Errors
    /// [`ApplyError`] where they are not, or there is no generation yet; then nothing has changed.
    pub async fn refresh(
        &self,
        number: Number,
        policies: Vec<Arc<Policy>>,
    ) -> Result<(), ApplyError> {
        let _turn = self.turn.lock().await;
        // From here on nothing waits.
        let mut listeners = self.listeners();
        if listeners.stopped {
            return Err(ApplyError::Stopping);
        }
        let Some(now) = self.shared.generation() else {
            return Err(ApplyError::Spec("nothing is in force yet".into()));
        };
        if now.number().load != number.load || now.spec().policies.len() != policies.len() {
            let text = format!("{number} is no refresh of {}", now.number());
            return Err(ApplyError::Spec(text));
        }
        // Checked before rules are counted anew: one that is refused leaves nothing.
        check(&Spec {
            policies: policies.clone(),
            ..now.spec().clone()
        })?;
        let rules = listeners.tallies.of(&policies, false);
        let next = now.refreshed(number, policies, rules);
        self.shared.swap(next);
        Ok(())
    }

    /// All that is listened on: the addresses of inbounds, in order. Nothing before the first
    /// [`Self::apply`].
    #[must_use]
    pub fn listening(&self) -> Vec<Listening> {
        let generation = self.shared.generation();
        generation.map_or_else(Vec::new, |now| now.listening().to_vec())
    }

    /// The generation that new flows get; `None` before the first [`Self::apply`].
    #[must_use]
    pub fn generation(&self) -> Option<Arc<Generation>> {
        self.shared.generation()
    }

    /// Ends a live flow; `false` where there is none of that number.
    #[must_use]
    pub fn close(&self, id: u64) -> bool {
        let found = self.shared.flows.find(id);
        found.map(|flow| flow.close(Closed::Operator)).is_some()
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            accept_refused: self.refused.load(Ordering::Relaxed),
            ..self.shared.flows.counters()
        }
    }

    /// Selects a group's member for flows from now on, also over reloads.
    ///
    /// # Errors
    /// [`SelectError`] where the generation in force knows no such group or member.
    pub fn select(&self, group: &str, member: &str) -> Result<(), SelectError> {
        let no_group = || SelectError::NoGroup(group.to_owned());
        let generation = self.shared.generation().ok_or_else(no_group)?;
        let found = generation
            .outbound_named(group)
            .map(|(_, outbound)| &outbound.kind);
        let Some(Kind::Choose(Group {
            members,
            how: How::Selected { .. },
        })) = found
        else {
            return Err(no_group());
        };
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

    /// The targets of a forward in force that could not be reached, in the order of their names, and for how long each is
    /// still passed by.
    #[must_use]
    pub fn failing(&self, forward: &str) -> Vec<(Arc<str>, Duration)> {
        let Some(generation) = self.shared.generation() else {
            return Vec::new();
        };
        let found = generation.outbound_named(forward);
        let group = found.and_then(|(id, _)| generation.groups().get(id));
        group.map_or_else(Vec::new, |group| group.failing(tokio::time::Instant::now()))
    }

    /// The member that a group gives its flows now.
    #[must_use]
    pub fn selected(&self, group: &str) -> Option<Arc<str>> {
        let generation = self.shared.generation()?;
        let (_, outbound) = generation.outbound_named(group)?;
        let Kind::Choose(Group {
            members,
            how: How::Selected { .. },
        }) = &outbound.kind
        else {
            return None;
        };
        let id = self.shared.selected(&generation, &outbound.name, members)?;
        generation
            .outbound(id)
            .map(|outbound| Arc::clone(&outbound.name))
    }

    /// How long an outbound takes to open a stream to `target`: for probes on demand.
    ///
    /// # Errors
    /// One sentence that says why there is none.
    pub async fn probe(
        &self,
        outbound: &str,
        target: Target,
        limit: Duration,
    ) -> Result<Duration, String> {
        let generation = self
            .shared
            .generation()
            .ok_or("there is no configuration yet")?;
        let found = generation.outbound_named(outbound).map(|(id, _)| id);
        let id = found.ok_or_else(|| format!("there is no outbound `{outbound}`"))?;
        let ways = Ways::new(Arc::clone(&self.shared), generation);
        let begun = tokio::time::Instant::now();
        match ways.open(id, &target, limit).await {
            Ok(_stream) => Ok(begun.elapsed()),
            Err(error) => Err(crate::record::chain(&error)),
        }
    }

    /// The outbounds of the generation in force, for others than flows (look-ups, refreshes).
    #[must_use]
    pub fn ways(&self) -> Option<Ways> {
        Some(Ways::new(
            Arc::clone(&self.shared),
            self.shared.generation()?,
        ))
    }

    /// Accepts no more, lets flows end for up to `grace`, then ends the rest; `true` when all ended
    /// by themselves.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.close_listeners().await;
        self.shared.questions.stop(Duration::ZERO).await;
        self.tasks.stop(grace).await
    }

    /// Accepts no more and ends all flows.
    pub async fn stop_now(&self) {
        self.close_listeners().await;
        for flow in self.shared.flows.live() {
            flow.close(Closed::Shutdown);
        }
        self.shared.questions.stop(Duration::ZERO).await;
        // Long enough for resets to be sent and records to be written.
        self.tasks.stop(Duration::from_millis(500)).await;
    }

    /// Ends the threads. Blocks for some 100 ms; not for a thread that runs a runtime.
    pub fn end(self) {
        self.workers.stop();
    }

    async fn close_listeners(&self) {
        let gone: Vec<Kept> = {
            let mut listeners = self.listeners();
            listeners.stopped = true;
            self.shared.stopped.store(true, Ordering::Relaxed);
            listeners.kept.drain(..).collect()
        };
        transaction::close_all(gone).await;
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

const LOOK_AT_LEAST: Duration = Duration::from_millis(50);
const LOOK_AT_MOST: Duration = Duration::from_secs(30);

/// What would otherwise be found out flow by flow.
fn check(spec: &Spec) -> Result<(), ApplyError> {
    let outbounds = spec.outbounds.len();
    for policy in &spec.policies {
        if policy.outbounds.len() != outbounds {
            let text = format!("policy `{}` knows other outbounds", policy.name);
            return Err(ApplyError::Spec(text));
        }
    }
    for inbound in &spec.inbounds {
        let resolver = inbound
            .resolver
            .is_none_or(|id| id.0 < spec.resolvers.len());
        if inbound.policy.0 >= spec.policies.len() || !resolver {
            let text = format!(
                "inbound `{}` names a policy or resolver that is not there",
                inbound.name
            );
            return Err(ApplyError::Spec(text));
        }
    }
    for outbound in &spec.outbounds {
        check_group(spec, outbound)?;
    }
    Ok(())
}

/// Groups that try their members have targets alone, and no door of theirs is where one of those is.
fn check_group(spec: &Spec, group: &Outbound) -> Result<(), ApplyError> {
    let Kind::Choose(Group {
        members,
        how: How::Balanced(_),
    }) = &group.kind
    else {
        return Ok(());
    };
    let name = &group.name;
    let found = |id: OutboundId| spec.outbounds.get(usize::try_from(id.0).ok()?);
    let target = |id: &OutboundId| {
        let member = found(*id)?;
        match &member.kind {
            Kind::Carry(Carrier::Target(target)) => Some((&member.name, target)),
            _ => None,
        }
    };
    let targets: Option<Vec<_>> = members.iter().map(target).collect();
    let known = |targets: &Vec<(&Arc<str>, &target::Target)>| {
        let mut via = targets.iter().filter_map(|(_, target)| target.via);
        !targets.is_empty() && via.all(|via| found(via).is_some())
    };
    let Some(targets) = targets.filter(known) else {
        let text =
            format!("forward `{name}` has no target, or names an outbound that is not there");
        return Err(ApplyError::Spec(text));
    };
    // Its door has its name.
    let mut doors = spec.inbounds.iter().filter(|door| door.name == *name);
    let mut circle = |address: &Endpoint| match address {
        Endpoint::Unix(path) => doors.any(|door| {
            let at = |listen: &Listen| matches!(&listen.at, Endpoint::Unix(own) if own == path);
            door.listen.iter().any(at)
        }),
        Endpoint::Fd(_) | Endpoint::Tcp(_) => false,
    };
    match targets.iter().find(|(_, target)| circle(&target.address)) {
        Some((target, _)) => {
            let text = format!("forward `{name}` listens where its target `{target}` is");
            Err(ApplyError::Spec(text))
        }
        None => Ok(()),
    }
}

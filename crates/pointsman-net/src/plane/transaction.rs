//! How a generation comes into force: prepared, committed, and what is gone retired.
//!
//! Invariants: preparing may wait, fail and be dropped, and changes nothing of what is in force; committing neither
//! waits nor fails; what is gone closes whoever waits for it. What cannot be had again (sockets that were handed over)
//! and what counts outlives a generation that is on trial, until that has ended. One generation is prepared at a time.
//!
//! A generation has parts, and each the same three steps: its listeners (`binding`), its doors with their logs, its
//! groups, where flows are logged. What else comes into force with it is one more field of [`Prepared`], one more line
//! of [`Plane::put_in_force`] and one more of [`close`] (ADR 16).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pointsman_policy::Policy;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::door::{DoorSpec, Speaks};
use tokio::sync::OwnedMutexGuard;

use super::binding::Binding;
use super::checks::check;
use super::entrance::{Entrance, Farewell};
use super::in_force::InForce;
use super::listeners::{ActiveListener, Listeners, Standing};
use super::wanted::{self, in_words};
use super::{ApplyError, Plane};
use crate::datagram;
use crate::dns;
use crate::door::{Door, Opening};
use crate::generation::Generation;
use crate::group::{Groups, Unfit};
use crate::ledger::Rules;
use crate::listen::{Bound, Listener};
use crate::outbound::Ways;
use crate::record::log::AccessLog;
use crate::spec::dns::QueryPolicies;
use crate::spec::{Number, Spec};
use crate::tasks::Tasks;
use crate::tls::server::Acceptor;

/// A generation that could come into force: dropping it changes nothing.
#[derive(Debug)]
#[must_use = "it is not in force"]
pub struct Prepared {
    spec: Spec,
    binding: Binding,
    /// Those of its inbounds, in order.
    doors: Vec<Arc<Door>>,
    groups: Groups,
    /// Where flows are logged; `None`: where they are logged already.
    log: Option<NewLog>,
    /// Nobody else prepares until this one is committed or dropped.
    _turn: OwnedMutexGuard<()>,
}

/// Policies with refreshed rule sets that could come into force: dropping them changes nothing.
#[derive(Debug)]
#[must_use = "they are not in force"]
pub struct PreparedRefresh {
    number: Number,
    policies: Vec<Arc<Policy>>,
    /// That of the DNS server.
    of_queries: Option<QueryPolicies>,
    /// What is refreshed, which stays in force as long as nobody else may prepare.
    now: Arc<Generation>,
    _turn: OwnedMutexGuard<()>,
}

/// Another place where flows are logged, or none.
#[derive(Debug)]
struct NewLog(Option<AccessLog>);

/// Whether a generation may be followed by the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenure {
    ForGood,
    OnTrial,
}

/// What is gone with a generation that came into force: it closes by itself.
#[derive(Debug)]
pub struct Retired {
    closing: Tasks,
    addresses: Vec<(Arc<str>, SocketAddr)>,
}

impl Retired {
    /// Each inbound's name and first address, in order.
    #[must_use]
    pub fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.addresses
    }

    /// Waits until all that is gone is closed, after who already waited there was taken. Where nobody waits for it, it
    /// is closed all the same.
    pub async fn retire(self) {
        self.closing.idle().await;
    }
}

impl<S> Plane<S> {
    /// Gets all that a generation needs: names of listeners, logs, sockets. Whoever prepared before goes first.
    ///
    /// # Errors
    /// [`ApplyError`]: what it does not get.
    pub async fn prepare(&self, spec: Spec) -> Result<Prepared, ApplyError> {
        check(&spec)?;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let draft = Generation::new(
            spec.clone(),
            HashMap::new(),
            Groups::default(),
            Rules::default(),
            Vec::new(),
        );
        let ways = Ways::new(Arc::clone(&self.shared), Arc::new(draft));
        let wanted = wanted::wanted(&spec.inbounds, &ways).await?;
        // From here on nothing waits.
        let log = self.new_log(spec.records.access_log.as_deref())?;
        let doors = self.doors(&spec)?;
        let groups = self.groups(&spec)?;
        let mut listeners = self.listeners();
        if listeners.stopped {
            return Err(ApplyError::Stopping);
        }
        let binding = listeners.prepare(wanted, self.workers.len())?;
        Ok(Prepared {
            spec,
            binding,
            doors,
            groups,
            log,
            _turn: turn,
        })
    }

    /// Takes a prepared generation into service, at one moment: flows from now on are of it, and `about` is what
    /// [`InForce::about`] answers. Where the plane was stopped meanwhile, nothing is listened on all the same.
    pub fn commit(&self, prepared: Prepared, about: S) -> Retired {
        self.put_in_force(prepared, about, Tenure::ForGood)
    }

    /// As [`Self::commit`], but the generation before may come back: what it had that cannot be had again is held until
    /// [`Self::end_trial`] or the next commit.
    pub fn commit_on_trial(&self, prepared: Prepared, about: S) -> Retired {
        self.put_in_force(prepared, about, Tenure::OnTrial)
    }

    /// Gives up what the generation in force does not need.
    pub fn end_trial(&self) {
        self.give_up(&mut self.listeners());
    }

    /// Gets ready to take policies with refreshed rule sets into service, as generation `number`, and nothing else. They
    /// are those in force, in their order, but for what their sets hold; `of_queries` is that of the DNS server.
    ///
    /// # Errors
    /// [`ApplyError`] where they are not, or there is no generation yet.
    pub async fn prepare_refresh(
        &self,
        number: Number,
        policies: Vec<Arc<Policy>>,
        of_queries: Option<QueryPolicies>,
    ) -> Result<PreparedRefresh, ApplyError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if self.listeners().stopped {
            return Err(ApplyError::Stopping);
        }
        let Some(now) = self.shared.generation() else {
            return Err(ApplyError::Spec("nothing is in force yet".into()));
        };
        let same = now.spec().policies.len() == policies.len()
            && now.spec().dns.is_some() == of_queries.is_some();
        if now.number().load != number.load || !same {
            let text = format!("{number} is no refresh of {}", now.number());
            return Err(ApplyError::Spec(text));
        }
        check(&Spec {
            policies: policies.clone(),
            ..now.spec().clone()
        })?;
        Ok(PreparedRefresh {
            number,
            policies,
            of_queries,
            now,
            _turn: turn,
        })
    }

    /// Takes prepared policies into service, at one moment, as [`Self::commit`] does a generation.
    pub fn commit_refresh(&self, prepared: PreparedRefresh, about: S) {
        let PreparedRefresh {
            number,
            policies,
            of_queries,
            now,
            _turn,
        } = prepared;
        let mut listeners = self.listeners();
        let rules = listeners.tallies.of(&policies, false);
        self.swap(now.refreshed(number, policies, of_queries, rules), about);
    }

    fn put_in_force(&self, prepared: Prepared, about: S, tenure: Tenure) -> Retired {
        let Prepared {
            spec,
            binding,
            doors,
            groups,
            log,
            _turn,
        } = prepared;
        let mut listeners = self.listeners();
        let addresses = binding.addresses(doors.len());
        let gone = listeners.part_with(&binding);
        self.bid_farewell(&gone, &binding);
        self.shared.listens_at(binding.reached_at(&listeners));
        self.shared
            .groups
            .commit(&groups, tenure == Tenure::OnTrial);
        self.shared.logs.commit(&doors);
        self.shared.flows.keep_recent(spec.records.keep);
        let old_log = log.map(|NewLog(log)| self.shared.flows.log_to(log.map(Arc::new)));
        let rules = listeners.tallies.of(&spec.policies, true);
        let (leads_to, listening) = (binding.leads_to(&doors), binding.listening());
        self.swap(
            Generation::new(spec, leads_to, groups, rules, listening),
            about,
        );
        listeners.take_up(binding, |place, bound| self.serve(place, bound));
        if tenure == Tenure::ForGood {
            self.give_up(&mut listeners);
        }
        drop(listeners);
        let closing = self.closing.child();
        closing.spawn_on(self.workers.handle(0), close(gone, closing.clone()));
        if let Some(Some(log)) = old_log {
            close_log(log);
        }
        Retired { closing, addresses }
    }

    /// The one place where what is in force changes. Whoever asks hears of it before the first flow is of it.
    fn swap(&self, generation: Generation, about: S) {
        let generation = Arc::new(generation);
        let shared = Arc::clone(&self.shared);
        let now = InForce::new(about, Arc::clone(&generation), shared);
        self.in_force.store(Some(Arc::new(now)));
        self.shared.swap(generation);
    }

    /// Connections of those listeners belong to the generation that they came to.
    fn bid_farewell(&self, gone: &[ActiveListener], binding: &Binding) {
        let Some(generation) = self.shared.generation() else {
            return;
        };
        for kept in gone {
            let heirs = binding.heirs(&kept.place);
            let generation = Arc::clone(&generation);
            let farewell = Farewell { generation, heirs };
            kept.entrance.farewell.store(Some(Arc::new(farewell)));
        }
    }

    fn give_up(&self, listeners: &mut Listeners) {
        listeners.forget_inherited();
        if let Some(generation) = self.shared.generation() {
            let spec = generation.spec();
            self.shared.groups.prune(&spec.outbounds);
            self.shared.logs.prune(&spec.inbounds);
        }
    }

    fn serve(&self, place: Standing, bound: Bound) -> ActiveListener {
        let entrance = Arc::new(Entrance {
            id: place.id,
            farewell: ArcSwapOption::empty(),
        });
        let listener = match self.shared.generation().filter(|_| bound.is_udp()) {
            Some(generation) => {
                Listener::serve_datagrams(bound, &self.workers, |socket, listening| {
                    let entrance = datagram::Entrance {
                        shared: Arc::clone(&self.shared),
                        tasks: self.tasks.clone(),
                        generation: Arc::clone(&generation),
                        listener: place.id,
                        socket,
                        listening,
                    };
                    serve_datagrams(entrance)
                })
            }
            None => {
                let handler = entrance.handler(&self.shared, &self.tasks);
                let (shared, count) = (Arc::clone(&self.shared), Arc::clone(&self.refused));
                let refused = Arc::new(move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    shared.scarcity.relieve(&shared.flows);
                });
                Listener::serve(bound, &self.workers, handler, refused)
            }
        };
        ActiveListener {
            listener,
            entrance,
            place,
        }
    }

    /// Opens the log of all flows, where it is another than the one in use; nobody writes to it yet.
    fn new_log(&self, path: Option<&Path>) -> Result<Option<NewLog>, ApplyError> {
        if self.shared.flows.log_path().as_deref() == path {
            return Ok(None);
        }
        let open = |path: &Path| {
            AccessLog::open(path, &self.shared.dropped).map_err(|source| ApplyError::Log {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Some(NewLog(path.map(open).transpose()?)))
    }

    /// Doors with their logs.
    fn doors(&self, spec: &Spec) -> Result<Vec<Arc<Door>>, ApplyError> {
        let mut opening = Opening::new(&self.shared.logs, &self.shared.dropped);
        let door = |spec: &DoorSpec| {
            let log = spec.access_log.as_deref().map(|path| {
                let lacks = |source| ApplyError::Lacks {
                    kind: in_words(spec.speaks.kind()),
                    inbound: Arc::clone(&spec.name),
                    what: format!("its log {}", path.display()),
                    source,
                };
                opening.log(path).map_err(lacks)
            });
            let (tls, log) = (acceptor(spec)?, log.transpose()?);
            let spec = spec.clone();
            Ok(Arc::new(Door { spec, tls, log }))
        };
        spec.inbounds.iter().map(door).collect()
    }

    fn groups(&self, spec: &Spec) -> Result<Groups, ApplyError> {
        let lacks = |unfit: Unfit| ApplyError::Lacks {
            // Forwards alone have groups that try their members, each one of its own name.
            kind: in_words(InboundKind::Forward),
            inbound: unfit.group,
            what: unfit.what,
            source: unfit.source,
        };
        let prepared = self.shared.groups.prepare(&spec.outbounds);
        prepared.map_err(lacks)
    }
}

impl Plane {
    /// Takes a generation into service for new flows, and waits until what is gone is closed; answers with each
    /// inbound's name and first bound address, in order.
    ///
    /// # Errors
    /// [`ApplyError`]; then nothing has changed.
    pub async fn apply(&self, spec: Spec) -> Result<Vec<(Arc<str>, SocketAddr)>, ApplyError> {
        let prepared = self.prepare(spec).await?;
        let retired = self.commit(prepared, ());
        let addresses = retired.addresses().to_vec();
        retired.retire().await;
        Ok(addresses)
    }

    /// Takes policies with refreshed rule sets into service.
    ///
    /// # Errors
    /// Those of [`Self::prepare_refresh`]; then nothing has changed.
    pub async fn refresh(
        &self,
        number: Number,
        policies: Vec<Arc<Policy>>,
    ) -> Result<(), ApplyError> {
        let prepared = self.prepare_refresh(number, policies, None).await?;
        self.commit_refresh(prepared, ());
        Ok(())
    }
}

/// What makes TLS of a door's connections, where it speaks that.
fn acceptor(spec: &DoorSpec) -> Result<Option<Acceptor>, ApplyError> {
    let Some(tls) = &spec.tls else {
        return Ok(None);
    };
    let protocols: &[&[u8]] = match &spec.web_path {
        Some(_) => &[b"h2", b"http/1.1"],
        None => &[b"dot"],
    };
    let lacks = |source| ApplyError::Lacks {
        kind: in_words(spec.speaks.kind()),
        inbound: Arc::clone(&spec.name),
        what: "its certificate".to_owned(),
        source,
    };
    Acceptor::new(tls, protocols).map(Some).map_err(lacks)
}

/// Serves what comes by datagrams, as the listener's door speaks.
async fn serve_datagrams(entrance: datagram::Entrance) {
    let door = entrance.generation.door(entrance.listener);
    match door.map(|door| door.spec.speaks) {
        Some(Speaks::Dns) => dns::serve_datagrams(entrance).await,
        _ => datagram::serve(entrance).await,
    }
}

/// How long a listener whose address narrowed takes those who began to connect before that: longer than any network's
/// way there and back.
const LINGER: Duration = Duration::from_secs(1);

/// Closes listeners that are gone; those whose address narrowed linger, unless all end.
async fn close(gone: Vec<ActiveListener>, ending: Tasks) {
    let (lingering, at_once): (Vec<ActiveListener>, Vec<ActiveListener>) =
        gone.into_iter().partition(ActiveListener::lingers);
    close_all(at_once).await;
    if !lingering.is_empty() {
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            () = ending.stopping() => {}
        }
        close_all(lingering).await;
    }
}

/// All at once: a slow one keeps no other.
pub(super) async fn close_all(gone: Vec<ActiveListener>) {
    for kept in &gone {
        kept.listener.begin_to_close();
    }
    for kept in gone {
        kept.listener.close().await;
    }
}

/// Closing writes what is queued, and waits for that.
fn close_log(log: Arc<AccessLog>) {
    let closing = std::thread::Builder::new().name("closes-log".into());
    // Where there is no thread left, it is closed here.
    let _ = closing.spawn(move || drop(log));
}

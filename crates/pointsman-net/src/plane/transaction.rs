//! How a generation comes into force: prepared, committed, and what is gone retired.
//!
//! Invariants: preparing may wait and fail, and shows nothing; committing neither waits nor fails, but for a plane that
//! was stopped meanwhile; retiring may be dropped. What cannot be had again (sockets that were handed over) and what
//! counts outlives a generation that is on trial, until that has ended. One generation is prepared at a time.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::door::DoorSpec;
use tokio::sync::OwnedMutexGuard;

use super::entrance::{Entrance, Farewell};
use super::listeners::{self, Kept, Listeners, Place, Plan, Standing};
use super::wanted::{self, Wanted, covers, in_words, is_lacking, overlap};
use super::{ApplyError, Plane, check};
use crate::door::{Door, Opening};
use crate::generation::Generation;
use crate::group::{Groups, Unfit};
use crate::ledger::Rules;
use crate::listen::{Beside, Bound, Endpoint, Listener};
use crate::outbound::Ways;
use crate::spec::Spec;
use crate::spec::listening::{At, ListenerId};

/// A generation that could come into force: dropping it changes nothing.
#[derive(Debug)]
#[must_use = "it is not in force"]
pub struct Prepared {
    spec: Spec,
    /// Those of its inbounds, in order.
    doors: Vec<Arc<Door>>,
    groups: Groups,
    places: Vec<(Wanted, Place)>,
    /// Listeners that serve on for a wider one, by its index.
    within: Vec<(ListenerId, usize)>,
    /// Nobody else prepares until this one is committed or dropped.
    _turn: OwnedMutexGuard<()>,
}

/// The listeners that are gone with a generation that came into force.
#[derive(Debug)]
#[must_use = "what is gone is closed by its retirement"]
pub struct Retired {
    gone: Vec<Kept>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
}

/// How long a listener whose address narrowed takes those who began to connect before that: longer than any network's
/// way there and back.
const LINGER: Duration = Duration::from_secs(1);

impl Retired {
    /// Each inbound's name and first address, in order.
    #[must_use]
    pub fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.addresses
    }

    /// Closes what is gone, after who already waits there was taken. Where it is dropped, that goes on by itself.
    pub async fn retire(self) {
        let lingers = |kept: &Kept| {
            let farewell = kept.entrance.farewell.load();
            farewell.as_ref().is_some_and(|told| told.heirs.is_some())
        };
        let (lingering, at_once): (Vec<Kept>, Vec<Kept>) = self.gone.into_iter().partition(lingers);
        close_all(at_once).await;
        if !lingering.is_empty() {
            tokio::time::sleep(LINGER).await;
            close_all(lingering).await;
        }
    }
}

/// All at once: a slow one keeps no other.
pub(super) async fn close_all(gone: Vec<Kept>) {
    for kept in &gone {
        kept.listener.begin_to_close();
    }
    for kept in gone {
        kept.listener.close().await;
    }
}

impl Plane {
    /// Takes a generation into service for new flows, and closes what is gone; answers with each inbound's name and
    /// first bound address, in order.
    ///
    /// # Errors
    /// [`ApplyError`]; then nothing has changed.
    pub async fn apply(&self, spec: Spec) -> Result<Vec<(Arc<str>, SocketAddr)>, ApplyError> {
        let prepared = self.prepare(spec).await?;
        let retired = self.commit(prepared)?;
        let addresses = retired.addresses().to_vec();
        retired.retire().await;
        Ok(addresses)
    }

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
        let doors = self.doors(&spec)?;
        let groups = self.groups(&spec)?;
        // From here on nothing waits.
        let mut listeners = self.listeners();
        if listeners.stopped {
            return Err(ApplyError::Stopping);
        }
        let (places, within) = self.places(&mut listeners, wanted)?;
        Ok(Prepared {
            spec,
            doors,
            groups,
            places,
            within,
            _turn: turn,
        })
    }

    /// Takes a prepared generation into service, at one moment: flows from now on are of it.
    ///
    /// # Errors
    /// [`ApplyError::Stopping`] alone; then nothing has changed.
    pub fn commit(&self, prepared: Prepared) -> Result<Retired, ApplyError> {
        self.put_in_force(prepared, false)
    }

    /// As [`Self::commit`], but the generation before may come back: what it had that cannot be had again is held until
    /// [`Self::end_trial`] or the next commit.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_on_trial(&self, prepared: Prepared) -> Result<Retired, ApplyError> {
        self.put_in_force(prepared, true)
    }

    /// Gives up what the generation in force does not need.
    pub fn end_trial(&self) {
        self.give_up(&mut self.listeners());
    }

    fn give_up(&self, listeners: &mut Listeners) {
        listeners.forget_inherited();
        if let Some(generation) = self.shared.generation() {
            let spec = generation.spec();
            self.shared.groups.prune(&spec.outbounds);
            self.shared.logs.prune(&spec.inbounds);
        }
    }

    fn put_in_force(&self, prepared: Prepared, on_trial: bool) -> Result<Retired, ApplyError> {
        let Prepared {
            spec,
            doors,
            groups,
            places,
            within,
            _turn,
        } = prepared;
        let mut listeners = self.listeners();
        if listeners.stopped {
            return Err(ApplyError::Stopping);
        }
        let mut standing: Vec<(Standing, usize)> = Vec::with_capacity(places.len());
        let mut fresh: HashMap<ListenerId, Bound> = HashMap::new();
        for (wanted, place) in &places {
            standing.push((listeners.standing(wanted, place), wanted.door));
        }
        for (id, whole) in within {
            let part = listeners.kept.iter().find(|kept| kept.place.id == id);
            let whole = places.get(whole).map(|(wanted, _)| wanted);
            if let (Some(part), Some(whole)) = (part, whole) {
                let part = Standing {
                    name: Arc::clone(&whole.name),
                    kind: whole.kind,
                    within: true,
                    ..part.place.clone()
                };
                standing.push((part, whole.door));
            }
        }
        for (_, place) in places {
            if let Place::New(id, bound) = place {
                fresh.insert(id, *bound);
            }
        }
        let mut lead_to = HashMap::with_capacity(standing.len());
        let mut addresses: Vec<Option<(Arc<str>, SocketAddr)>> = vec![None; spec.inbounds.len()];
        for (place, door) in &standing {
            let leads = doors.get(*door).map(Arc::clone);
            lead_to.extend(leads.map(|door| (place.id, door)));
            let first = addresses.get_mut(*door).filter(|first| first.is_none());
            if let (Some(first), Some(bound)) = (first, place.bound) {
                *first = Some((Arc::clone(&place.name), bound));
            }
        }
        let told = standing.iter().filter(|(place, _)| !place.within);
        let listening = told.map(|(place, _)| place.listening()).collect();
        let rules = listeners.tallies.of(&spec.policies, true);
        let reached = standing.iter().map(|(place, _)| place.reached_at());
        self.shared.listens_at(reached.collect());
        let all = listeners.kept.drain(..).map(|kept| (kept.place.id, kept));
        let mut old: HashMap<ListenerId, Kept> = all.collect();
        let mut staying = Vec::with_capacity(standing.len());
        for (place, _) in standing {
            staying.push((old.remove(&place.id), place));
        }
        let gone: Vec<Kept> = old.into_values().collect();
        if let Some(generation) = self.shared.generation() {
            for kept in &gone {
                let heirs = heirs(kept.place.bound, &staying);
                let generation = Arc::clone(&generation);
                let farewell = Farewell { generation, heirs };
                kept.entrance.farewell.store(Some(Arc::new(farewell)));
            }
        }
        self.shared.groups.commit(&groups, on_trial);
        self.shared.logs.commit(&doors);
        let next = Generation::new(spec, lead_to, groups, rules, listening);
        self.shared.swap(next);
        for (kept, place) in staying {
            match (kept, fresh.remove(&place.id)) {
                (Some(kept), _) => listeners.kept.push(Kept { place, ..kept }),
                (None, Some(bound)) => {
                    let kept = self.serve(place, bound);
                    listeners.kept.push(kept);
                }
                (None, None) => {}
            }
        }
        if !on_trial {
            self.give_up(&mut listeners);
        }
        drop(listeners);
        let addresses = addresses.into_iter().flatten().collect();
        Ok(Retired { gone, addresses })
    }

    fn serve(&self, place: Standing, bound: Bound) -> Kept {
        let entrance = Arc::new(Entrance {
            id: place.id,
            farewell: ArcSwapOption::empty(),
        });
        let handler = entrance.handler(&self.shared, &self.tasks);
        let refused = Arc::clone(&self.refused);
        Kept {
            listener: Listener::serve(bound, &self.workers, handler, refused),
            entrance,
            place,
        }
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
            let (spec, log) = (spec.clone(), log.transpose()?);
            Ok(Arc::new(Door { spec, log }))
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

    /// Where each wanted listener comes from. Those beside one of ours take clients that were its own once they listen:
    /// they do after all are bound, for what fails then would reset those clients. (What can still fail is that another
    /// process came to listen there in between.)
    fn places(&self, listeners: &mut Listeners, wanted: Vec<Wanted>) -> Result<Places, ApplyError> {
        let old: Vec<Standing> = listeners
            .kept
            .iter()
            .map(|kept| kept.place.clone())
            .collect();
        let Plan { taken, within } = listeners::plan(&wanted, &old);
        let beside = |wanted: &Wanted| {
            let at = wanted.at.tcp()?;
            let ours = |old: &Standing| old.bound.is_some_and(|bound| overlap(bound, at));
            old.iter().any(ours).then_some(at)
        };
        let mut places: Vec<Option<Place>> = taken
            .into_iter()
            .map(|taken| Some(Place::Kept(old.get(taken?)?.id)))
            .collect();
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|index| beside(&wanted[*index]).is_some());
        let mut lacking = vec![false; wanted.len()];
        for index in order {
            if places[index].is_some() {
                continue;
            }
            let this = &wanted[index];
            let bound = |other: usize| places[other].is_some() && at_once(&wanted[other], this);
            let part = (0..wanted.len()).any(bound);
            let beside = match beside(this) {
                Some(_) => Beside::Ours,
                None if part => Beside::Ours,
                None => Beside::Nobody,
            };
            if let Some(at) = this.at.tcp() {
                listeners.share(at);
            }
            // Both families of port 0 get one port, where that is free.
            let first = index
                .checked_sub(1)
                .and_then(|first| places[first].as_ref());
            let port = match first {
                Some(Place::New(_, first)) if wanted[index - 1].implied => {
                    first.address().map(|address| address.port())
                }
                _ => None,
            };
            match self.bind(listeners, this, beside, port) {
                Ok(place) => places[index] = Some(place),
                Err(error) if this.spare && is_lacking(&error) => lacking[index] = true,
                Err(error) => return Err(this.failed(error)),
            }
        }
        for (wanted, place) in wanted.iter().zip(&places) {
            if let Some(Place::New(_, bound)) = place {
                bound.listen().map_err(|error| wanted.failed(error))?;
            }
        }
        // A spare one that is lacking is the whole of no part.
        let within = within.into_iter().filter(|(_, whole)| !lacking[*whole]);
        let mut numbers = Vec::with_capacity(wanted.len());
        let mut found = Vec::with_capacity(wanted.len());
        for (wanted, place) in wanted.into_iter().zip(places) {
            numbers.push(found.len());
            found.extend(place.map(|place| (wanted, place)));
        }
        let within = within.map(|(part, whole)| (old[part].id, numbers[whole]));
        Ok((found, within.collect()))
    }

    fn bind(
        &self,
        listeners: &mut Listeners,
        wanted: &Wanted,
        beside: Beside,
        port: Option<u16>,
    ) -> io::Result<Place> {
        let workers = self.workers.len();
        let hinted = match (&wanted.at, port) {
            (At::Tcp(at), Some(port)) if at.port() == 0 => {
                let endpoint = Endpoint::Tcp(SocketAddr::new(at.ip(), port));
                Bound::new(endpoint, workers, beside).ok()
            }
            _ => None,
        };
        let bound = match hinted {
            Some(bound) => bound,
            None => Bound::new(listeners.endpoint(&wanted.at)?, workers, beside)?,
        };
        listeners.next += 1;
        Ok(Place::New(ListenerId(listeners.next), Box::new(bound)))
    }
}

/// Wanted listeners, and where they come from; old ones that are parts of them.
type Places = (Vec<(Wanted, Place)>, Vec<(ListenerId, usize)>);

/// Whether both are wanted by one generation, and share a part.
fn at_once(one: &Wanted, other: &Wanted) -> bool {
    let both = one.at.tcp().zip(other.at.tcp());
    both.is_some_and(|(one, other)| overlap(one, other))
}

/// The parts of an address that new listeners have from now on.
fn heirs(
    whole: Option<SocketAddr>,
    staying: &[(Option<Kept>, Standing)],
) -> Option<Vec<SocketAddr>> {
    let whole = whole?;
    let new = staying.iter().filter(|(kept, _)| kept.is_none());
    let bound = new.filter_map(|(_, place)| place.bound);
    let heirs: Vec<SocketAddr> = bound.filter(|heir| covers(whole, *heir)).collect();
    (!heirs.is_empty()).then_some(heirs)
}

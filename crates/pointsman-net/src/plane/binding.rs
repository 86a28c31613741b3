//! The listeners of a generation that is prepared: taken over from those in force, or bound anew.
//!
//! Invariants: preparing closes nothing and takes no listener's clients before all others are bound; dropping what was
//! prepared closes what was bound for it. What stands here stays true until the commit, for one generation is prepared
//! at a time.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_policy::fact::InboundKind;

use super::ApplyError;
use super::listeners::{self, ActiveListener, Listeners, Plan, Standing};
use super::wanted::{Wanted, covers, is_lacking, overlap};
use crate::door::Door;
use crate::listen::{Beside, Bound, Endpoint};
use crate::spec::listening::{At, ListenerId, Listening};

/// The listeners of a generation, and where each comes from.
#[derive(Debug)]
pub(super) struct Binding(Vec<Stand>);

/// A listener as it will stand.
#[derive(Debug)]
struct Stand {
    place: Standing,
    /// Where it leads, by its place among the generation's doors.
    door: usize,
    /// `None`: one in force is taken over.
    fresh: Option<Box<Bound>>,
}

/// Where a wanted listener comes from.
enum ListenerSource {
    /// One in force, by its place among those.
    Kept(usize),
    New(Box<Bound>),
}

impl ListenerSource {
    fn port(&self) -> Option<u16> {
        match self {
            Self::Kept(_) => None,
            Self::New(bound) => bound.address().map(|address| address.port()),
        }
    }
}

impl Binding {
    /// Where each listener leads.
    pub(super) fn leads_to(&self, doors: &[Arc<Door>]) -> HashMap<ListenerId, Arc<Door>> {
        let leads = |stand: &Stand| Some((stand.place.id, Arc::clone(doors.get(stand.door)?)));
        self.0.iter().filter_map(leads).collect()
    }

    /// All that is listened on, as it is told.
    pub(super) fn listening(&self) -> Vec<Listening> {
        let told = self.0.iter().filter(|stand| !stand.place.within);
        told.map(|stand| stand.place.listening()).collect()
    }

    /// Where connections will reach this plane.
    pub(super) fn reached_at(&self, listeners: &Listeners) -> Vec<At> {
        self.0
            .iter()
            .map(|stand| listeners.reached_at(&stand.place))
            .collect()
    }

    /// The name and the first address of each of so many doors, in order.
    pub(super) fn addresses(&self, doors: usize) -> Vec<(Arc<str>, SocketAddr)> {
        let first = |door| {
            let mut stands = self.0.iter().filter(|stand| stand.door == door);
            stands.find_map(|stand| Some((Arc::clone(&stand.place.name), stand.place.bound?)))
        };
        (0..doors).filter_map(first).collect()
    }

    /// The parts of an address that listeners have from now on which were bound for that.
    ///
    /// Of UDP there are none: nobody has begun to connect.
    pub(super) fn heirs(&self, gone: &Standing) -> Option<Vec<SocketAddr>> {
        let whole = gone.bound.filter(|_| !gone.asked.is_udp())?;
        let fresh = self.0.iter().filter(|stand| stand.fresh.is_some());
        let bound = fresh.filter_map(|stand| stand.place.bound_beside(&gone.asked));
        let heirs: Vec<SocketAddr> = bound.filter(|heir| covers(whole, *heir)).collect();
        (!heirs.is_empty()).then_some(heirs)
    }
}

impl Listeners {
    /// Gets the listeners that are wanted, for so many workers.
    ///
    /// Those beside one of ours take clients that were its own once they listen: they do after all are bound, for what
    /// fails then would reset those clients. (What can still fail is that another process came to listen there in
    /// between.)
    ///
    /// # Errors
    /// [`ApplyError::Bind`]: an address that cannot be had.
    pub(super) fn prepare(
        &mut self,
        wanted: Vec<Wanted>,
        workers: usize,
    ) -> Result<Binding, ApplyError> {
        let old: Vec<Standing> = self.kept.iter().map(|kept| kept.place.clone()).collect();
        let Plan { taken, within } = listeners::plan(&wanted, &old);
        let beside = |wanted: &Wanted| {
            let at = wanted.at.address()?;
            let bound = |old: &Standing| old.bound_beside(&wanted.at);
            let ours = |old: &Standing| bound(old).is_some_and(|bound| overlap(bound, at));
            old.iter().any(ours).then_some(at)
        };
        let mut places: Vec<Option<ListenerSource>> = taken
            .into_iter()
            .map(|taken| taken.map(ListenerSource::Kept))
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
            self.share(&this.at);
            // Both families of port 0 get one port, where that is free.
            let first = index.checked_sub(1).filter(|first| wanted[*first].implied);
            let first = first.and_then(|first| places[first].as_ref());
            let port = first.and_then(ListenerSource::port);
            // Who asks a DNS server by UDP asks the same port by TCP.
            let is_same = |other: &usize| {
                let other = &wanted[*other];
                (other.door, other.kind) == (this.door, InboundKind::Dns)
            };
            let same = (0..index)
                .filter(is_same)
                .find_map(|at| places[at].as_ref());
            let port = port.or_else(|| same?.port());
            match self.bind(this, beside, port, workers) {
                Ok(bound) => places[index] = Some(ListenerSource::New(Box::new(bound))),
                Err(error) if this.spare && is_lacking(&error) => lacking[index] = true,
                Err(error) => return Err(this.failed(error)),
            }
        }
        for (wanted, place) in wanted.iter().zip(&places) {
            if let Some(ListenerSource::New(bound)) = place {
                bound.listen().map_err(|error| wanted.failed(error))?;
            }
        }
        // A spare one that is lacking is the whole of no part.
        let within = within.into_iter().filter(|(_, whole)| !lacking[*whole]);
        let parts = within.map(|(part, whole)| Stand {
            place: old[part].within(&wanted[whole]),
            door: wanted[whole].door,
            fresh: None,
        });
        let parts: Vec<Stand> = parts.collect();
        let found = wanted.iter().zip(places);
        let found = found.filter_map(|(wanted, place)| Some((wanted, place?)));
        let stands = found.map(|(wanted, place)| self.stand(wanted, place, &old));
        let stands: Vec<Stand> = stands.collect();
        Ok(Binding(stands.into_iter().chain(parts).collect()))
    }

    /// Those that the next generation does not have. The others stand as it says from now on.
    pub(super) fn part_with(&mut self, binding: &Binding) -> Vec<ActiveListener> {
        let goes = |kept: &ActiveListener| !binding.0.iter().any(|it| it.place.id == kept.place.id);
        self.kept.extract_if(.., |kept| goes(kept)).collect()
    }

    /// Has all listeners of a generation that is in force by now; none that is new where nothing is listened on any more.
    pub(super) fn take_up(
        &mut self,
        Binding(stands): Binding,
        serve: impl Fn(Standing, Bound) -> ActiveListener,
    ) {
        let old = self.kept.drain(..).map(|kept| (kept.place.id, kept));
        let mut old: HashMap<ListenerId, ActiveListener> = old.collect();
        for Stand { place, fresh, .. } in stands {
            match (fresh, old.remove(&place.id)) {
                (Some(bound), _) if !self.stopped => self.kept.push(serve(place, *bound)),
                (None, Some(kept)) => self.kept.push(ActiveListener { place, ..kept }),
                (Some(_), _) | (None, None) => {}
            }
        }
    }

    fn stand(&mut self, wanted: &Wanted, place: ListenerSource, old: &[Standing]) -> Stand {
        let (place, fresh) = match place {
            ListenerSource::Kept(index) => (old[index].asked_anew(wanted), None),
            ListenerSource::New(bound) => {
                self.next += 1;
                let place = Standing::new(ListenerId(self.next), wanted, bound.address());
                (place, Some(bound))
            }
        };
        Stand {
            place,
            door: wanted.door,
            fresh,
        }
    }

    fn bind(
        &mut self,
        wanted: &Wanted,
        beside: Beside,
        port: Option<u16>,
        workers: usize,
    ) -> io::Result<Bound> {
        let free = wanted.at.address().filter(|at| at.port() == 0);
        if let (Some(at), Some(port)) = (free, port) {
            let hinted = SocketAddr::new(at.ip(), port);
            let hinted = match wanted.at.is_udp() {
                true => Endpoint::Udp(hinted),
                false => Endpoint::Tcp(hinted),
            };
            if let Ok(bound) = Bound::new(hinted, workers, beside) {
                return Ok(bound);
            }
        }
        Bound::new(self.endpoint(&wanted.at)?, workers, beside)
    }
}

/// Whether both are wanted by one generation, and share a part.
fn at_once(one: &Wanted, other: &Wanted) -> bool {
    let both = one.at.beside(&other.at).zip(other.at.address());
    both.is_some_and(|(one, other)| overlap(one, other))
}

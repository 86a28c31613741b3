//! What outlives generations: what name servers answered, who of them was silent, what is being asked, what the system's
//! files say.
//!
//! Invariant: it is found by who is asked and by what way, and not by whose resolver asks: a reload that changes neither
//! keeps it. What no resolver would ask any more is dropped with the last one that did.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use pointsman_spec::cache::CacheLimits;
use pointsman_spec::resolver::NameServer;

use super::cache::{Cache, UpstreamId};
use super::line::Line;
use super::questions::Questions;
use super::sockets::Sockets;
use super::system::System;
use super::tally::Tally;
use super::turns::{Fastest, Silences};
use super::way::Reached;
use crate::fake::FakeHome;

/// What resolvers share, over all generations.
#[derive(Debug, Default)]
pub struct Station {
    pub(super) system: System,
    pub(super) cache: Cache,
    pub(super) questions: Arc<Questions>,
    pub(super) silences: Silences,
    pub(super) sockets: Sockets,
    pub(crate) fakes: FakeHome,
    upstreams: Mutex<HashMap<Arc<[Reached]>, Weak<Upstreams>>>,
    lines: Mutex<HashMap<Reached, Weak<Line>>>,
    next: AtomicU64,
}

/// Servers that are asked in turn, each by its way.
#[derive(Debug)]
pub(super) struct Upstreams {
    pub(super) asked: UpstreamId,
    pub(super) all: Arc<[Reached]>,
    /// ... by these connections.
    pub(super) lines: Box<[Arc<Line>]>,
    pub(super) tally: Tally,
    /// What each is called.
    called: Box<[OnceLock<Arc<str>>]>,
    /// Who answered first when all were asked.
    pub(super) fastest: Fastest,
    station: Weak<Station>,
}

impl Station {
    /// One that takes the system to be configured as these files say.
    #[must_use]
    pub fn new(system: System) -> Self {
        Self {
            system,
            ..Self::default()
        }
    }

    /// One that keeps in that directory what outlives the daemon.
    #[must_use]
    pub fn within(state: Option<&Path>) -> Self {
        Self {
            fakes: FakeHome::within(state),
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn with_sockets(sockets: Sockets) -> Self {
        Self {
            sockets,
            ..Self::default()
        }
    }

    /// Keeps as much of answers from now on, and for as long.
    pub fn limit(&self, limits: &CacheLimits) {
        self.cache.limit(limits);
    }

    /// Those servers, by those ways.
    pub(super) fn upstreams(self: &Arc<Self>, all: &[Reached], reuse: Duration) -> Arc<Upstreams> {
        let mut table = self.table();
        if let Some(known) = table.get(all).and_then(Weak::upgrade) {
            for line in &known.lines {
                line.rests(reuse);
            }
            return known;
        }
        let upstreams = Arc::new(Upstreams {
            asked: self.next.fetch_add(1, Ordering::Relaxed),
            all: all.into(),
            tally: Tally::default(),
            called: all.iter().map(|_| OnceLock::new()).collect(),
            fastest: Fastest::default(),
            lines: all
                .iter()
                .map(|reached| self.line(reached, reuse))
                .collect(),
            station: Arc::downgrade(self),
        });
        table.insert(Arc::clone(&upstreams.all), Arc::downgrade(&upstreams));
        upstreams
    }

    /// The connections to that server by that way, whoever else asks it.
    fn line(&self, reached: &Reached, reuse: Duration) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lines.get(reached).and_then(Weak::upgrade) {
            known.rests(reuse);
            return known;
        }
        if lines.len() == lines.capacity() {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let line = Arc::new(Line::new(reached.clone(), reuse));
        lines.insert(reached.clone(), Arc::downgrade(&line));
        line
    }

    /// All that is known of servers that are defined so, whatever was selected on the way.
    pub(super) fn known_as(&self, defined: &[Reached]) -> Vec<Arc<Upstreams>> {
        let is_it = |all: &[Reached]| {
            let mut pairs = all.iter().zip(defined);
            all.len() == defined.len() && pairs.all(|(one, other)| one.is_defined_as(other))
        };
        let table = self.table();
        let found = table.iter().filter(|(all, _)| is_it(all));
        found.filter_map(|(_, known)| known.upgrade()).collect()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Arc<[Reached]>, Weak<Upstreams>>> {
        self.upstreams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstreams {
    /// What one of them is called: all its answers share that.
    pub(super) fn called(&self, at: usize, server: &NameServer) -> Arc<str> {
        let name = || Arc::from(server.to_string());
        let called = self.called.get(at);
        called.map_or_else(name, |called| Arc::clone(called.get_or_init(name)))
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        let Some(station) = self.station.upgrade() else {
            return;
        };
        {
            let mut table = station.table();
            // Its place may have been taken meanwhile.
            if table
                .get(&self.all)
                .is_some_and(|now| now.strong_count() == 0)
            {
                table.remove(&self.all);
            }
        }
        station.cache.forget(self.asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman_spec::resolver::Place;

    const REUSE: Duration = Duration::ZERO;

    fn servers(last: u8) -> Vec<Reached> {
        let place = Place {
            address: ([127, 0, 0, last], 53).into(),
            interface: None,
            via: None,
        };
        vec![Reached::defined(&NameServer::Udp(place), &[])]
    }

    #[test]
    fn the_same_servers_are_the_same_as_long_as_somebody_asks_them() {
        let station = Arc::<Station>::default();
        let one = station.upstreams(&servers(1), REUSE);
        let other = station.upstreams(&servers(2), REUSE);
        assert_ne!(one.asked, other.asked);
        assert_eq!(one.asked, station.upstreams(&servers(1), REUSE).asked);
        let held = station.known_as(&servers(1));
        assert_eq!(held.len(), 1);
        let asked = one.asked;
        drop(one);
        assert_eq!(station.upstreams(&servers(1), REUSE).asked, asked);
        drop(held);
        assert!(station.known_as(&servers(1)).is_empty());
        assert_eq!(station.table().len(), 1);
        assert_ne!(station.upstreams(&servers(1), REUSE).asked, asked);
    }
}
